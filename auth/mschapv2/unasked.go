package mschapv2

import (
	"context"

	"bridgehead/auth"
)

// Standing is where a conversation stands that goes on with refusals only.
type Standing struct {
	Open     []byte // the request last sent: a Challenge, or a Failure that lets the client try again
	Identity string // the EAP identity, may be empty
	Tries    int    // answers that were judged before
}

// Refusal is what the client is told each time, and the operator.
type Refusal struct {
	Reason auth.Reason
	// Message is the text of the Failure; empty: that of a wrong password.
	Message string
	// Final tells that no Failure lets the client try again.
	Final bool
}

// NewRefusal goes on with a conversation of any server's, from its next
// Response: every one is refused as a wrong password is, and no verifier is
// asked. Standing.Open has an EAP header at least.
func NewRefusal(peer auth.Peer, o Options, at Standing, r Refusal) auth.Conversation {
	b := &backend{unasked{r}, o.withDefaults()}
	c := &conversation{
		backend: b, peer: peer, state: expectResponse,
		id: at.Open[1], open: at.Open, identity: at.Identity, claimed: auth.Clip(at.Identity), tries: at.Tries,
	}
	if c.claimed == "" {
		c.claimed = auth.Clip(peer.IDi)
	}
	return c
}

// unasked is a verifier that takes no answer.
type unasked struct{ refusal Refusal }

// Verify implements auth.Verifier. It takes the time of a wrong password.
func (u unasked) Verify(_ context.Context, r auth.MSCHAPv2Response) (auth.Keys, error) {
	_, _ = Judge(auth.Account{}, false, r) // who has no account is refused
	evidence := append([]auth.Evidence{{Key: "name", Value: auth.Clip(r.Name)}}, u.refusal.Reason.Evidence...)
	return auth.Keys{}, &auth.Refusal{
		Code: auth.ErrorAuthenticationFailed, Retry: !u.refusal.Final, Message: u.refusal.Message,
		Reason: auth.Reason{Cause: u.refusal.Reason.Cause, Evidence: evidence},
	}
}
