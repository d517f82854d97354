package radius

import (
	"context"
	"errors"
	"fmt"
	"io"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"bridgehead/auth"
	"bridgehead/auth/eap"
)

const (
	// maxStrays bounds packets that are malformed or answer no open request;
	// for each, the open request is repeated (RFC 3748 §4.1).
	maxStrays = 3
	// maxRestarts is how often a login starts over after its server died.
	maxRestarts = 1
)

// errEnded tells that Next was called after the end.
var errEnded = errors.New("radius: the conversation has ended")

// Next implements auth.Conversation.
func (c *conversation) Next(ctx context.Context, response []byte) (auth.Step, error) {
	if t := c.backend.config.StepTime; t > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t)
		defer cancel()
	}
	switch {
	case c.phase == ended:
		return auth.Step{}, errEnded
	case errors.Is(ctx.Err(), context.Canceled):
		return auth.Step{}, context.Cause(ctx)
	case c.phase == expectStart:
		return c.start(ctx, response)
	}
	p, err := eap.Parse(response)
	if err != nil {
		return c.stray(err.Error())
	}
	if p.Code != eap.CodeResponse || p.Identifier != c.id {
		return c.stray(fmt.Sprintf("EAP %s with identifier %d, expected a Response with %d", p.Code, p.Identifier, c.id))
	}
	switch asked, err := eap.Parse(c.open); {
	case err == nil && p.Type == eap.TypeIdentity && asked.Type != eap.TypeIdentity:
		// RFC 3748 §5.1: nobody becomes somebody else in the midst of a method.
		return c.stray(fmt.Sprintf("EAP-Identity, expected EAP-%s or Nak", asked.Type))
	case p.Type == eap.TypeIdentity:
		return c.claim(ctx, p)
	case c.phase == expectIdentity:
		return c.stray(fmt.Sprintf("EAP-%s, expected EAP-Identity", p.Type))
	}
	return c.relay(ctx, response)
}

// Close implements auth.Conversation.
func (c *conversation) Close() {
	c.phase, c.state, c.open = ended, nil, nil
}

// start opens the conversation.
func (c *conversation) start(ctx context.Context, response []byte) (auth.Step, error) {
	if p, err := eap.Parse(response); err == nil && c.peer.Asked && p.Code == eap.CodeResponse && p.Type == eap.TypeIdentity {
		c.id = p.Identifier
		return c.claim(ctx, p)
	}
	if response != nil {
		return c.end(auth.Reject, auth.Reason{Cause: auth.CauseEAPUnexpected, Evidence: []auth.Evidence{
			{Key: "got", Value: "an EAP packet before any request"}, {Key: "expected", Value: "nothing yet"}}})
	}
	var id [1]byte
	if _, err := io.ReadFull(c.backend.config.Rand, id[:]); err != nil {
		return c.end(auth.Unavailable, auth.Reason{Cause: auth.CauseInternal, Evidence: []auth.Evidence{{Key: "error", Value: err.Error()}}})
	}
	c.id = id[0]
	switch c.backend.config.Start {
	case AskServer: // RFC 3579 §2.1: an EAP-Message without data
		c.identity = clip(c.peer.IDi)
		return c.relay(ctx, nil)
	case AssumeIDi:
		return c.claim(ctx, eap.Packet{Code: eap.CodeResponse, Identifier: c.id, Type: eap.TypeIdentity})
	}
	return c.askIdentity(), nil
}

// askIdentity asks the client who it is.
func (c *conversation) askIdentity() auth.Step {
	c.phase = expectIdentity
	c.open = eap.Packet{Code: eap.CodeRequest, Identifier: c.id, Type: eap.TypeIdentity}.Append(nil)
	return auth.Step{Packet: c.open, Identity: c.identity}
}

// claim takes the client's EAP identity. A client that gives none is asked for
// by its IKE identity: in the packet too, since servers compare the two.
func (c *conversation) claim(ctx context.Context, p eap.Packet) (auth.Step, error) {
	c.identity = string(p.Data)
	if c.identity == "" {
		if c.peer.IdentityNeeded && (c.peer.Asked || c.backend.config.Start != AssumeIDi) {
			return c.end(auth.Reject, auth.Reason{Cause: auth.CauseNoIdentity})
		}
		c.identity = clip(c.peer.IDi)
	}
	if c.identity == "" {
		return c.end(auth.Reject, auth.Reason{Cause: auth.CauseNoIdentity})
	}
	if len(c.identity) > maxValue { // what User-Name can't hold (RFC 2865 §5.1)
		c.identity = clip(c.identity)
		return c.end(auth.Reject, auth.Reason{Cause: auth.CauseEAPMalformed, Evidence: []auth.Evidence{
			{Key: "problem", Value: fmt.Sprintf("an EAP identity of %d octets, expected at most %d", len(p.Data), maxValue)}}})
	}
	p.Data = []byte(c.identity)
	return c.relay(ctx, p.Append(nil))
}

// relay asks the server and gives what it answers.
func (c *conversation) relay(ctx context.Context, packet []byte) (auth.Step, error) {
	attrs := c.accessRequest(packet)
	if n, err := codec.AttributesEncodedLen(attrs); err != nil || headerLen+macLen+n > codec.MaxPacketLength {
		return c.end(auth.Reject, auth.Reason{Cause: auth.CauseEAPMalformed, Evidence: []auth.Evidence{
			{Key: "problem", Value: fmt.Sprintf("an EAP packet of %d octets, which no RADIUS packet can hold", len(packet))}}})
	}
	if c.server == nil {
		if c.group = c.backend.groupOf(c.identity); c.group == nil {
			return c.end(auth.Reject, noServer(c.identity))
		}
	}
	reply, err := c.ask(ctx, attrs)
	if err != nil {
		return c.unanswered(ctx, err)
	}
	switch reply.Code {
	case codec.CodeAccessChallenge:
		return c.challenged(reply)
	case codec.CodeAccessAccept:
		return c.accepted(reply)
	}
	return c.rejected(reply)
}

// ask sends a request to the conversation's server, or to any of the group
// while there is no conversation with one.
func (c *conversation) ask(ctx context.Context, attrs codec.Attributes) (*Reply, error) {
	if c.server != nil {
		return c.server.exchange(ctx, attrs, c.restarts < maxRestarts && len(c.group.servers) > 1)
	}
	var reply *Reply
	var err error
	c.server, reply, err = c.group.begin(ctx, attrs)
	return reply, err
}

// challenged relays the server's next EAP request.
func (c *conversation) challenged(r *Reply) (auth.Step, error) {
	raw, p, err := packetOf(r)
	if err != nil {
		return c.end(auth.Unavailable, c.because(CauseNoEAP, auth.Evidence{Key: "problem", Value: err.Error()}))
	}
	if p.Code != eap.CodeRequest {
		return c.end(auth.Unavailable, c.because(CauseSuccessInChallenge, auth.Evidence{Key: "got", Value: "EAP-" + p.Code.String()}))
	}
	c.state = all(r.Attributes, rfc2865.State_Type)
	c.phase, c.id, c.open = expectResponse, p.Identifier, raw
	step := auth.Step{Packet: raw, Identity: c.identity}
	if p.Type != eap.TypeIdentity && p.Type != eap.TypeNotification {
		c.method = "EAP-" + p.Type.String()
	}
	if f := failureOf(p); f != nil {
		c.failed = f
		step.Reason = c.refusal(nil)
		if !f.Retry && c.peer.NoFinalFailure { // the client would never answer it
			return c.end(auth.Reject, step.Reason)
		}
	}
	return step, nil
}

// accepted is the one way to Accept. RFC 3579 §2.6.3: EAP-Success comes with
// Access-Accept and with nothing else.
func (c *conversation) accepted(r *Reply) (auth.Step, error) {
	raw, p, err := packetOf(r)
	if err != nil {
		return c.end(auth.Unavailable, c.because(CauseNoSuccess, auth.Evidence{Key: "problem", Value: err.Error()}))
	}
	if p.Code != eap.CodeSuccess {
		return c.end(auth.Unavailable, c.because(CauseNoSuccess, auth.Evidence{Key: "got", Value: "EAP-" + p.Code.String()}))
	}
	grant, flaw := grantOf(r, c.identity)
	if flaw != nil {
		return c.end(auth.Unavailable, c.because(flaw.cause, flaw.evidence))
	}
	c.Close()
	return auth.Step{Packet: raw, Verdict: auth.Accept, Grant: &grant, Identity: grant.Name}, nil
}

// rejected ends the login. An EAP-Success beside Access-Reject is never
// relayed.
func (c *conversation) rejected(r *Reply) (auth.Step, error) {
	_, p, err := packetOf(r)
	if err == nil && p.Code == eap.CodeSuccess {
		return c.end(auth.Reject, c.because(CauseSuccessInReject))
	}
	if err == nil {
		c.id = p.Identifier
	}
	return c.end(auth.Reject, c.refusal(r))
}

// packetOf is the EAP packet of a reply.
func packetOf(r *Reply) ([]byte, eap.Packet, error) {
	raw, ok := eapMessage(r.Attributes)
	if !ok {
		return nil, eap.Packet{}, errors.New("no EAP-Message")
	}
	p, err := eap.Parse(raw)
	return raw, p, err
}
