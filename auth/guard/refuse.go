package guard

import (
	"context"

	"bridgehead/auth"
	"bridgehead/auth/eap"
	"bridgehead/auth/mschapv2"
)

// style is how the backend words a wrong password, so that a refusal does not
// differ from it. The zero value is EAP-MSCHAPv2's own.
type style struct {
	text  string
	final bool // no Failure lets the client try again
}

// learnStyle notes how a first wrong password was answered.
func (g *Guard) learnStyle(f eap.FailureMessage) {
	s := style{auth.Clip(f.Text), !f.Retry}
	if former := g.style.Load(); former == nil || *former != s {
		g.style.Store(&s)
	}
}

// refuse answers unasked, as a wrong password is answered, and goes on so.
// Where the client was not asked for an EAP-MSCHAPv2 answer, and in methods
// whose inside cannot be seen, that is EAP-Failure.
func (c *conversation) refuse(ctx context.Context, response []byte, cause auth.Cause) (auth.Step, error) {
	c.refusal = failing{}
	reason := auth.Reason{Cause: cause, Evidence: []auth.Evidence{{Key: "counted from", Value: c.attempt.place.String()}}}
	if c.method == eap.TypeMSCHAPv2 && takesAnswer(c.open) {
		r := mschapv2.Refusal{Reason: reason}
		if s := c.guard.style.Load(); s != nil {
			r.Message, r.Final = s.text, s.final
		}
		at := mschapv2.Standing{Open: c.open, Identity: c.identity, Tries: c.answers - 1}
		c.refusal = mschapv2.NewRefusal(c.peer, mschapv2.Options{Rand: c.rand}, at, r)
		step, err := c.refusal.Next(ctx, response)
		return c.refused(step, true), err
	}
	reason.Evidence = append(reason.Evidence, auth.Evidence{Key: "name", Value: auth.Clip(c.claimed())})
	packet := eap.Packet{Code: eap.CodeFailure}
	if len(response) > 1 {
		packet.Identifier = response[1]
	}
	return c.refused(auth.Step{Packet: packet.Append(nil), Verdict: auth.Reject, Reason: reason, Identity: auth.Clip(c.claimed())}, true), nil
}

// refused delays what tells that one more answer was refused.
func (c *conversation) refused(step auth.Step, guess bool) auth.Step {
	if guess {
		step.Delay = spreadOut(longest, c.rand)
	}
	return step
}

// takesAnswer tells whether a request is one that an EAP-MSCHAPv2 Response
// answers.
func takesAnswer(request []byte) bool {
	p, err := eap.Parse(request)
	if err != nil || p.Code != eap.CodeRequest {
		return false
	}
	m, err := eap.ParseMSCHAPv2(p)
	if err != nil {
		return false
	}
	switch m := m.(type) {
	case *eap.Challenge:
		return true
	case *eap.FailureRequest:
		f, err := eap.ParseFailureMessage(m.Message)
		return err == nil && f.Retry
	}
	return false
}

// failing is a conversation that has ended.
type failing struct{}

// Next implements auth.Conversation.
func (failing) Next(context.Context, []byte) (auth.Step, error) {
	return auth.Step{}, mschapv2.ErrEnded
}

// Close implements auth.Conversation.
func (failing) Close() {}
