package mschapv2

import (
	"cmp"
	"context"
	"errors"

	"bridgehead/auth"
	"bridgehead/auth/eap"
)

// notVerified tells a refusal from an outage.
func (c *conversation) notVerified(ctx context.Context, err error) (auth.Step, error) {
	var refusal *auth.Refusal
	var outage *auth.OutageError
	switch {
	case errors.As(err, &refusal):
		return c.refuse(refusal)
	case errors.Is(ctx.Err(), context.Canceled):
		return auth.Step{}, context.Cause(ctx)
	case errors.As(err, &outage):
		return c.end(auth.Unavailable, outage.Reason)
	case errors.Is(err, context.DeadlineExceeded):
		return c.unavailable(auth.CauseBackendTimeout, err)
	}
	return c.unavailable(auth.CauseBackendUnavailable, err)
}

// refuse sends Failure: with a new challenge while the client may try again or
// change its password (RFC 2759 §6), else with R=0. Windows never answers the
// latter, so that it gets EAP-Failure at once; for a new password it is asked.
func (c *conversation) refuse(r *auth.Refusal) (auth.Step, error) {
	c.refusal = r
	c.retry = r.Retry && c.tries < c.options.Tries
	switch {
	case c.changer(r) != nil:
		c.state = expectNewPassword
	case c.retry:
		c.state = expectResponse
	case c.peer.NoFinalFailure:
		return c.end(auth.Reject, c.refused())
	default:
		c.state = expectFailureAck
	}
	msid := c.id
	if r.Challenge != nil {
		c.challenge = *r.Challenge
	} else if err := c.newChallenge(); err != nil {
		return c.internal(err)
	}
	c.id++
	text := eap.FailureMessage{Error: r.Code, Retry: c.retry, Challenge: c.challenge[:], Text: cmp.Or(r.Message, codeText(r.Code))}.String()
	step := c.ask(eap.NewMSCHAPv2(c.id, &eap.FailureRequest{MSID: msid, Message: []byte(text)}))
	step.Reason = c.refused()
	return step, nil
}

// stray repeats the open request for a packet to be ignored.
func (c *conversation) stray(problem string) (auth.Step, error) {
	c.strays++
	if c.strays > maxStrays {
		return c.end(auth.Reject, c.orRefused(auth.Reason{Cause: auth.CauseEAPMalformed, Evidence: []auth.Evidence{{Key: "problem", Value: problem}}}))
	}
	return auth.Step{Packet: c.open, Identity: c.claimed}, nil
}

// unexpected ends the conversation for a packet out of order.
func (c *conversation) unexpected(got string) (auth.Step, error) {
	expected := [...]string{
		expectStart:      "nothing yet",
		expectIdentity:   "EAP-Identity",
		expectResponse:   "EAP-MSCHAPv2 Response",
		expectSuccessAck: "EAP-MSCHAPv2 Success",

		expectNewPassword: "EAP-MSCHAPv2 Change-Password",
		expectFailureAck:  "EAP-MSCHAPv2 Failure",
	}[c.state]
	return c.end(auth.Reject, c.orRefused(auth.Reason{Cause: auth.CauseEAPUnexpected, Evidence: []auth.Evidence{
		{Key: "got", Value: got}, {Key: "expected", Value: expected},
	}}))
}

// orRefused keeps the refusal as the reason once that is final: how the client
// takes it matters no more.
func (c *conversation) orRefused(r auth.Reason) auth.Reason {
	if c.state == expectFailureAck || c.state == expectNewPassword {
		return c.refused()
	}
	return r
}

func (c *conversation) internal(err error) (auth.Step, error) {
	return c.unavailable(auth.CauseInternal, err)
}

func (c *conversation) unavailable(cause auth.Cause, err error) (auth.Step, error) {
	return c.end(auth.Unavailable, auth.Reason{Cause: cause, Evidence: []auth.Evidence{{Key: "error", Value: err.Error()}}})
}

// end sends EAP-Failure and wipes what was granted.
func (c *conversation) end(v auth.Verdict, r auth.Reason) (auth.Step, error) {
	c.Close()
	return auth.Step{
		Packet:   eap.Packet{Code: eap.CodeFailure, Identifier: c.id}.Append(nil),
		Verdict:  v,
		Reason:   r,
		Identity: c.claimed,
	}, nil
}
