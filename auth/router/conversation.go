package router

import (
	"context"

	"bridgehead/auth"
	"bridgehead/auth/eap"
)

// conversation is one login. EAP-MSCHAPv2 is the router's own; where some
// member has whole conversations, the answer to EAP-Request/Identity decides
// for good who goes on.
type conversation struct {
	router *Router
	peer   auth.Peer
	judge  *judge

	own    auth.Conversation
	passed auth.Conversation // instead of own, until it has begun: then own is closed
	member *Member           // that has passed

	open     int    // identifier of the identity request plus 1; 0: it is not open
	identity string // as routed by
}

// Next implements auth.Conversation.
func (c *conversation) Next(ctx context.Context, response []byte) (auth.Step, error) {
	if c.passed != nil {
		return c.pass(ctx, response)
	}
	if name, ok := c.claimed(response); ok {
		if c.choose(ctx, name) {
			return c.hand(ctx, response)
		}
	}
	step, err := c.own.Next(ctx, response)
	if c.router.passes && c.judge.rule == nil && len(step.Packet) > 1 {
		c.open = int(step.Packet[1]) + 1
	}
	return step, err
}

// claimed is the name in the answer to the identity request, if it is one and
// somebody is to be chosen by it.
func (c *conversation) claimed(response []byte) (string, bool) {
	if c.open == 0 || c.judge.rule != nil {
		return "", false
	}
	p, err := eap.Parse(response)
	if err != nil || p.Code != eap.CodeResponse || p.Type != eap.TypeIdentity || int(p.Identifier)+1 != c.open {
		return "", false
	}
	if len(p.Data) == 0 {
		return c.peer.IDi, true // Android sends none
	}
	return string(p.Data), true
}

// choose takes the rule for a name, once, and tells whether the member that has
// whole conversations is to have this one.
func (c *conversation) choose(ctx context.Context, name string) bool {
	c.identity = name
	c.judge.rule = c.router.route(name, c.peer.Profile)
	chain := &c.judge.rule.Chain
	last := chain.last()
	if last == nil || last.Backend == nil {
		return false
	}
	o := chain.find(ctx, auth.MSCHAPv2Response{Name: name, WholeName: c.peer.WholeName})
	o.answer.account.Hash.Wipe()
	if o.by != last {
		if o.by == nil {
			c.judge.doubt = o
		}
		return false
	}
	c.member = last
	return true
}

// hand gives the conversation to the member. Should that be out before the
// client has seen anything of it, break-glass accounts are looked at.
func (c *conversation) hand(ctx context.Context, response []byte) (auth.Step, error) {
	peer := c.peer
	peer.Asked = true
	passed, err := c.member.Backend.Begin(ctx, peer)
	if err != nil {
		return auth.Step{}, err
	}
	c.passed = passed
	step, err := c.pass(ctx, response)
	if err == nil && step.Verdict == auth.Unavailable && c.member.Central && c.judge.rule.Chain.BreakGlass != nil {
		c.passed.Close()
		c.passed = nil
		c.judge.out, c.judge.cause = c.member, &auth.OutageError{Reason: step.Reason}
		return c.own.Next(ctx, response)
	}
	c.own.Close()
	return step, err
}

// pass relays a packet of the member's.
func (c *conversation) pass(ctx context.Context, response []byte) (auth.Step, error) {
	step, err := c.passed.Next(ctx, response)
	if err != nil {
		return step, err
	}
	decided := c.judge.decided(outcome{by: c.member})
	switch step.Verdict {
	case auth.Accept:
		if step.Grant != nil && c.elsewhere(ctx, step.Grant.Name) {
			return c.usurped(step), nil
		}
		if step.Grant != nil {
			step.Grant.Remarks = append(step.Grant.Remarks, decided...)
		}
	case auth.Reject, auth.Unavailable:
		step.Reason.Evidence = append(step.Reason.Evidence[:len(step.Reason.Evidence):len(step.Reason.Evidence)], decided...)
	}
	return step, nil
}

// elsewhere tells whether the user who was accepted is another than the one
// who was sent to the member, and one whom a member before it knows, or may
// know: that one would have decided.
func (c *conversation) elsewhere(ctx context.Context, name string) bool {
	if auth.SameUser(c.identity, name) {
		return false
	}
	o := c.judge.rule.Chain.find(ctx, auth.MSCHAPv2Response{Name: name, WholeName: c.peer.WholeName})
	o.answer.account.Hash.Wipe()
	return o.by != c.member
}

// usurped refuses such a user.
func (c *conversation) usurped(step auth.Step) auth.Step {
	step.Grant.MSK.Wipe()
	packet := eap.Packet{Code: eap.CodeFailure}
	if len(step.Packet) > 1 {
		packet.Identifier = step.Packet[1]
	}
	return auth.Step{
		Packet: packet.Append(nil), Verdict: auth.Reject, Identity: step.Identity,
		Reason: auth.Reason{Cause: auth.CauseIdentityMismatch, Evidence: append([]auth.Evidence{
			{Key: "identity", Value: auth.Clip(c.identity)}, {Key: "name", Value: auth.Clip(step.Grant.Name)},
		}, c.judge.decided(outcome{by: c.member})...)},
	}
}

// Close implements auth.Conversation.
func (c *conversation) Close() {
	c.own.Close()
	if c.passed != nil {
		c.passed.Close()
	}
}
