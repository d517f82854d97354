package guard

import (
	"bytes"
	"context"
	"io"
	"time"

	"bridgehead/auth"
	"bridgehead/auth/eap"
)

// guarded is a backend behind the guard.
type guarded struct {
	auth.Backend
	guard *Guard
	now   func() time.Time
	rand  io.Reader
}

// Wrap puts the guard before a backend. Every EAP-MSCHAPv2 Response counts, of
// other methods every conversation. What the client is told as a wrong password
// stays counted, and so does what the backend never judged because the client
// left. An outage, a right password and what is told only to whoever has that
// are taken back. A conversation of no client, with no Peer.Remote, passes by.
// rand gives the challenges of refusals, and is safe for concurrent use.
func (g *Guard) Wrap(b auth.Backend, now func() time.Time, rand io.Reader) auth.Backend {
	return &guarded{b, g, now, rand}
}

// Begin implements auth.Backend.
func (b *guarded) Begin(ctx context.Context, peer auth.Peer) (auth.Conversation, error) {
	c, err := b.Backend.Begin(ctx, peer)
	if err != nil || c == nil || !peer.Remote.IsValid() {
		return c, err
	}
	return &conversation{Conversation: c, guarded: b, peer: peer}, nil
}

// conversation is one login behind the guard.
type conversation struct {
	auth.Conversation
	*guarded
	peer auth.Peer

	refusal  auth.Conversation // instead of the backend's, from the first answer refused on
	open     []byte            // the request last sent
	identity string            // the EAP identity, clipped
	answers  int               // EAP-MSCHAPv2 Responses
	counted  bool              // some answer was
	pending  bool              // attempt is counted and not judged
	attempt  attempt
	method   eap.Type // of the attempt
}

// Next implements auth.Conversation.
func (c *conversation) Next(ctx context.Context, response []byte) (auth.Step, error) {
	name, guess := c.guessed(response)
	if c.refusal != nil {
		step, err := c.refusal.Next(ctx, response)
		return c.refused(step, guess), err
	}
	if guess {
		a, cause := c.guard.admit(c.now(), c.peer.Remote.Addr(), userOf(name))
		c.attempt, c.counted = a, true
		if cause != "" {
			return c.refuse(ctx, response, cause)
		}
		c.pending = true
	}
	step, err := c.Conversation.Next(ctx, response)
	c.settle(&step, err)
	c.open = step.Packet
	return step, err
}

// guessed tells whether a packet may try a password, and for whom. The backend
// may be laxer about what is well-formed.
func (c *conversation) guessed(response []byte) (name string, guess bool) {
	p, err := eap.Parse(response)
	if err != nil || p.Code != eap.CodeResponse {
		return "", false
	}
	switch {
	case p.Type == eap.TypeIdentity:
		c.identity = auth.Clip(string(p.Data))
		return "", false
	case p.Type == eap.TypeNotification, p.IsNak():
		return "", false
	case p.Type != eap.TypeMSCHAPv2:
		c.method = p.Type
		return c.claimed(), !c.counted
	case len(p.Data) == 0 || eap.OpCode(p.Data[0]) != eap.OpResponse:
		return "", false
	}
	c.method = p.Type
	c.answers++
	if m, err := eap.ParseMSCHAPv2(p); err == nil {
		return m.(*eap.Response).Name, true
	}
	return c.claimed(), true
}

// claimed is whom a method is run for that hides the user's name, as far as
// can be seen.
func (c *conversation) claimed() string {
	if c.identity == "" {
		return c.peer.IDi
	}
	return c.identity
}

// settle says to the guard what came of an answer.
func (c *conversation) settle(step *auth.Step, err error) {
	now := c.now()
	switch {
	case err != nil, step.Verdict == auth.Unavailable:
		c.takeBack(now)
	case step.Verdict == auth.Accept:
		c.takeBack(now)
		if step.Grant != nil {
			c.guard.login(now, c.peer.Remote.Addr(), c.proven(step.Grant))
		}
	case step.Verdict == auth.Reject:
		switch {
		case blameless(step.Reason.Cause):
			c.takeBack(now)
		case c.pending:
			step.Delay = c.wrong(now)
		case !c.counted: // refused by the name alone
			c.counted = true
			c.attempt, _ = c.guard.admit(now, c.peer.Remote.Addr(), userOf(c.claimed()))
			step.Delay = c.wrong(now)
		}
	case c.pending && c.method == eap.TypeMSCHAPv2:
		c.read(now, step)
	}
}

// read tells from the packet what became of an EAP-MSCHAPv2 Response. What says
// nothing about it leaves it counted.
func (c *conversation) read(now time.Time, step *auth.Step) {
	if bytes.Equal(step.Packet, c.open) { // ignored: the request goes out again
		c.takeBack(now)
		return
	}
	p, err := eap.Parse(step.Packet)
	if err != nil {
		return
	}
	m, err := eap.ParseMSCHAPv2(p)
	if err != nil {
		return
	}
	switch m := m.(type) {
	case *eap.SuccessRequest:
		c.takeBack(now)
	case *eap.FailureRequest:
		f, err := eap.ParseFailureMessage(m.Message)
		if err == nil && f.Error != auth.ErrorAuthenticationFailed {
			c.takeBack(now)
			return
		}
		if err == nil && c.answers == 1 {
			c.guard.learnStyle(f)
		}
		step.Delay = c.wrong(now)
	}
}

func (c *conversation) takeBack(now time.Time) {
	if c.pending {
		c.pending = false
		c.guard.undo(now, c.attempt)
	}
}

func (c *conversation) wrong(now time.Time) time.Duration {
	c.pending = false
	return spreadOut(c.guard.delay(now, c.attempt), c.rand)
}

// proven is under which name a login is remembered: the one that will count
// the next time, where it is the user's.
func (c *conversation) proven(g *auth.Grant) string {
	switch {
	case c.method == eap.TypeMSCHAPv2 && c.counted: // the answer covers the name
		return c.attempt.user
	case auth.SameUser(c.claimed(), g.Name):
		return userOf(c.claimed())
	}
	return userOf(g.Name)
}

// Close implements auth.Conversation. What was not judged stays counted.
func (c *conversation) Close() {
	if c.refusal != nil {
		c.refusal.Close()
	}
	c.Conversation.Close()
}

// blameless tells whether a cause is none of a wrong password: the password was
// right, or none was given.
func blameless(c auth.Cause) bool {
	switch c {
	case auth.CauseAccountDisabled, auth.CausePasswordExpired, auth.CauseLogonHours, auth.CauseNoDialinPermission,
		auth.CausePasswordNotChanged, auth.CauseAccountLocked, auth.CauseAccountExpired, auth.CauseLDAPNotInGroup,
		auth.CauseLDAPBadAttribute, auth.CauseServerProofRefused,
		auth.CauseMethodRefused, auth.CauseNoIdentity, auth.CauseEAPMalformed, auth.CauseEAPUnexpected,
		auth.CauseNoMSCHAPSuccess, auth.CauseChallengeWithoutEAP,
		auth.CauseRADIUSNoKey, auth.CauseRADIUSNoSuccess, auth.CauseRADIUSBadAttribute:
		return true
	}
	return false
}
