package router

import (
	"context"
	"errors"

	"bridgehead/auth"
)

// judge is the verifier of one conversation of EAP-MSCHAPv2.
type judge struct {
	router *Router
	peer   auth.Peer
	rule   *Rule   // once it is chosen
	by     *Member // who decided last; nil: nobody
	out    *Member // a member that has had the conversation until it was out
	cause  error   // why
	doubt  outcome // of an identity that no member could be chosen for, since one was out
}

// Verify implements auth.Verifier. The rule is chosen by the first name that
// the client gave, and holds for the whole conversation: mschapv2 sees to it
// that later names are the same user's, if the client gave an EAP identity.
func (j *judge) Verify(ctx context.Context, r auth.MSCHAPv2Response) (auth.Keys, error) {
	if j.rule == nil {
		name := r.Identity
		if name == "" {
			name = r.Name
		}
		j.rule = j.router.route(name, j.peer.Profile)
	}
	chain := &j.rule.Chain
	if j.out != nil {
		j.by = j.out
		keys, err := chain.breakGlass(ctx, r, j.out, j.cause)
		return j.tell(keys, outcome{by: j.out}, err)
	}
	if j.router.passes && r.Identity == "" && j.router.route(r.Name, j.peer.Profile) != j.rule {
		return auth.Keys{}, &auth.Refusal{Code: auth.ErrorAuthenticationFailed, Reason: auth.Reason{
			Cause: auth.CauseIdentityMismatch, Evidence: []auth.Evidence{{Key: "identity", Value: j.peer.IDi}, {Key: "rule", Value: j.rule.Name}},
		}}
	}
	if last := chain.last(); last != nil && last.Backend != nil {
		without := *chain // who was sent here is known to a store
		without.Members = without.Members[:len(without.Members)-1]
		if len(without.Members) == 0 {
			return auth.Keys{}, errors.New("no member of the chain judges EAP-MSCHAPv2")
		}
		chain = &without
	}
	keys, o, err := chain.verify(ctx, r)
	if chain != &j.rule.Chain && o.by == nil && o.out == nil && j.doubt.out != nil {
		// It is back and knows no such user, but whoever stands behind it was not
		// asked and is not any more: that is still an outage.
		o = j.doubt
		keys, err = auth.Keys{}, outageOf(o.out, o.answer.err)
	}
	if j.by = o.by; j.by == nil {
		j.by = o.out
	}
	return j.tell(keys, o, err)
}

// tell adds who decided to what was decided.
func (j *judge) tell(keys auth.Keys, o outcome, err error) (auth.Keys, error) {
	decided := j.decided(o)
	var (
		refusal *auth.Refusal
		outage  *auth.OutageError
	)
	switch {
	case err == nil:
		keys.Grant.Remarks = append(keys.Grant.Remarks[:len(keys.Grant.Remarks):len(keys.Grant.Remarks)], decided...)
		if keys.Grant.BreakGlass && j.router.breakGlass != nil {
			j.router.breakGlass(keys.Grant.Name, j.peer.Session)
		}
	case errors.As(err, &refusal):
		told := *refusal
		told.Reason.Evidence = append(told.Reason.Evidence[:len(told.Reason.Evidence):len(told.Reason.Evidence)], decided...)
		err = &told
	case errors.As(err, &outage):
		outage = &auth.OutageError{Reason: outage.Reason, Err: outage.Err}
		outage.Reason.Evidence = append(outage.Reason.Evidence[:len(outage.Reason.Evidence):len(outage.Reason.Evidence)], decided...)
		err = outage
	}
	return keys, err
}

// decided is evidence of the rule and the member that decided.
func (j *judge) decided(o outcome) []auth.Evidence {
	by := "none knows the user"
	switch {
	case o.by != nil:
		by = o.by.Name
	case o.out != nil:
		by = o.out.Name
	}
	list := []auth.Evidence{{Key: "rule", Value: j.rule.Name}, {Key: "backend", Value: by}}
	if o.skipped != "" {
		list = append(list, auth.Evidence{Key: "unavailable", Value: o.skipped})
	}
	return list
}

// changer is a judge where some member can change passwords.
type changer struct{ *judge }

// ChangePassword implements auth.PasswordChanger. Only the member that found
// the password expired can change it.
func (c changer) ChangePassword(ctx context.Context, p auth.PasswordChange) (auth.Keys, error) {
	var member auth.PasswordChanger
	if c.by != nil {
		member, _ = c.by.Verifier.(auth.PasswordChanger)
	}
	if member == nil {
		return auth.Keys{}, &auth.Refusal{Code: auth.ErrorChangingPassword, Reason: auth.Reason{
			Cause: auth.CausePasswordExpired, Evidence: []auth.Evidence{{Key: "rule", Value: c.rule.Name}},
		}}
	}
	keys, err := member.ChangePassword(ctx, p)
	return c.tell(keys, outcome{by: c.by}, err)
}
