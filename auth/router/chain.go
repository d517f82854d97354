package router

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"bridgehead/auth"
	"bridgehead/auth/mschapv2"
)

// Member is one backend of a chain. Exactly one of Store, Verifier and Backend
// is set. Only a Store can say that it does not know a user, so that another
// one can stand last alone.
type Member struct {
	Name     string
	Central  bool           // its outage lets break-glass accounts in
	Store    auth.HashStore // of accounts, for EAP-MSCHAPv2
	Verifier auth.Verifier  // judges EAP-MSCHAPv2
	Backend  auth.Backend   // has the conversation, whatever the method
}

// Chain is who is asked, in order.
type Chain struct {
	Members []Member
	// SkipOutages has the next member asked where one is unavailable.
	SkipOutages bool
	// BreakGlass are accounts for the time in which a central member is
	// unavailable; nil: none.
	BreakGlass auth.HashStore
}

// ConfigError tells what keeps a chain from being used.
type ConfigError struct{ Chain, Fault string }

func (e *ConfigError) Error() string { return "router: chain " + e.Chain + ": " + e.Fault }

func (c *Chain) check(name string) error {
	if len(c.Members) == 0 {
		return &ConfigError{name, "expected a member"}
	}
	for i, m := range c.Members {
		n := 0
		for _, set := range []bool{m.Store != nil, m.Verifier != nil, m.Backend != nil} {
			if set {
				n++
			}
		}
		if n != 1 {
			return &ConfigError{name, fmt.Sprintf("member %q: expected one of Store, Verifier and Backend", m.Name)}
		}
		if m.Store == nil && i < len(c.Members)-1 {
			return &ConfigError{name, fmt.Sprintf("member %q can't tell whom it knows: expected it to be the last one", m.Name)}
		}
	}
	return nil
}

// last is the member that decides whatever it is asked; nil: there is none.
func (c *Chain) last() *Member {
	if m := &c.Members[len(c.Members)-1]; m.Store == nil {
		return m
	}
	return nil
}

// answer is what a store says of a user.
type answer struct {
	account auth.Account
	known   bool
	err     error // it could not tell
}

// outcome is who decides: a member, or nobody, and then for the sake of the
// member that was out, if there is one.
type outcome struct {
	by, out *Member
	answer  answer // of by, or of out
	skipped string // members that were out, with the reason
}

// decide goes through the truth table: answers are those of the stores.
func (c *Chain) decide(answers []answer) outcome {
	var o outcome
	for i := range c.Members {
		m := &c.Members[i]
		switch {
		case m.Store == nil || answers[i].known && answers[i].err == nil:
			o.by = m
			if m.Store != nil {
				o.answer = answers[i]
			}
			return o
		case answers[i].err == nil:
			continue
		}
		if o.out == nil || m.Central && !o.out.Central {
			o.out, o.answer = m, answer{err: answers[i].err}
		}
		if !c.SkipOutages {
			return o
		}
		o.skipped = joinWords(o.skipped, m.Name)
	}
	return o
}

func joinWords(list, word string) string {
	if list == "" {
		return word
	}
	return list + ", " + word
}

// ask asks every store of the chain, side by side.
func (c *Chain) ask(ctx context.Context, r auth.MSCHAPv2Response) []answer {
	answers := make([]answer, len(c.Members))
	one := func(i int) {
		a := &answers[i]
		a.account, a.known, a.err = mschapv2.Find(ctx, c.Members[i].Store, r)
	}
	var others sync.WaitGroup
	for i := range c.Members {
		if c.Members[i].Store != nil && i > 0 {
			others.Go(func() { one(i) })
		}
	}
	if c.Members[0].Store != nil {
		one(0)
	}
	others.Wait()
	return answers
}

// find tells who decides about a user, and wipes what the others said.
func (c *Chain) find(ctx context.Context, r auth.MSCHAPv2Response) outcome {
	answers := c.ask(ctx, r)
	o := c.decide(answers)
	for i := range answers {
		answers[i].account.Hash.Wipe()
	}
	return o
}

// verify has the member judge that decides.
func (c *Chain) verify(ctx context.Context, r auth.MSCHAPv2Response) (auth.Keys, outcome, error) {
	o := c.find(ctx, r)
	switch {
	case o.by != nil && o.by.Verifier != nil:
		keys, err := o.by.Verifier.Verify(ctx, r)
		var refusal *auth.Refusal
		if err == nil || errors.As(err, &refusal) || ctx.Err() != nil {
			return keys, o, err
		}
		keys, err = c.breakGlass(ctx, r, o.by, err)
		return keys, o, err
	case o.by == nil && o.out != nil:
		keys, err := c.breakGlass(ctx, r, o.out, o.answer.err)
		return keys, o, err
	}
	defer o.answer.account.Hash.Wipe()
	keys, err := mschapv2.Judge(o.answer.account, o.by != nil && o.by.Store != nil, r)
	return keys, o, err
}

// breakGlass lets nobody in but the accounts that are kept for an outage. To
// the client a wrong password for one looks like the outage itself.
func (c *Chain) breakGlass(ctx context.Context, r auth.MSCHAPv2Response, out *Member, cause error) (auth.Keys, error) {
	outage := outageOf(out, cause)
	if c.BreakGlass == nil || !out.Central {
		return auth.Keys{}, outage
	}
	account, known, err := mschapv2.Find(ctx, c.BreakGlass, r)
	defer account.Hash.Wipe()
	if err != nil {
		outage.Reason.Evidence = append(outage.Reason.Evidence, auth.Evidence{Key: "break glass", Value: err.Error()})
		return auth.Keys{}, outage
	}
	keys, err := mschapv2.Judge(account, known, r)
	if err == nil {
		keys.Grant.BreakGlass = true
		keys.Grant.Remarks = append(keys.Grant.Remarks, auth.Evidence{Key: "break glass", Value: "let in while " + out.Name + " is unavailable"})
		return keys, nil
	}
	var refusal *auth.Refusal
	if known && errors.As(err, &refusal) {
		evidence := append(outage.Reason.Evidence, refusal.Reason.Evidence...)
		outage.Reason = auth.Reason{Cause: refusal.Reason.Cause, Evidence: append(evidence, auth.Evidence{Key: "break glass", Value: "refused while " + out.Name + " is unavailable"})}
	}
	return auth.Keys{}, outage
}

// outageOf tells why a member could not tell, in an error of the caller's own.
func outageOf(out *Member, err error) *auth.OutageError {
	o := &auth.OutageError{Reason: auth.Reason{Cause: auth.CauseBackendUnavailable}, Err: err}
	var known *auth.OutageError
	switch {
	case errors.As(err, &known):
		o.Reason.Cause = known.Reason.Cause
		o.Reason.Evidence = append(o.Reason.Evidence, known.Reason.Evidence...)
		o.Err = known.Err
	case errors.Is(err, context.DeadlineExceeded):
		o.Reason.Cause = auth.CauseBackendTimeout
	}
	if known == nil && err != nil {
		o.Reason.Evidence = append(o.Reason.Evidence, auth.Evidence{Key: "error", Value: err.Error()})
	}
	return o
}
