package mschapv2

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"bridgehead/auth"
	"bridgehead/auth/eap"
)

const (
	// DefaultTries is how many answers one conversation judges: typing errors
	// are forgiven, guessing costs a new IKE SA each time.
	DefaultTries = 3
	// maxStrays bounds the packets of one conversation that are malformed or
	// answer no open request; for each the open request is repeated.
	maxStrays = 3
)

// Options of the backend; the zero value is ready for use.
type Options struct {
	Rand       io.Reader // challenges and the first identifier; nil: crypto/rand
	ServerName string    // the Name of the Challenge; empty: "bridgehead"
	Tries      int       // answers judged in one conversation; 0: DefaultTries
}

type backend struct {
	verifier auth.Verifier
	options  Options
}

// NewBackend runs EAP-Identity and EAP-MSCHAPv2 over a verifier.
func NewBackend(v auth.Verifier, o Options) auth.Backend {
	return &backend{v, o.withDefaults()}
}

func (o Options) withDefaults() Options {
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.ServerName == "" {
		o.ServerName = "bridgehead"
	}
	if o.Tries <= 0 {
		o.Tries = DefaultTries
	}
	return o
}

// Begin implements auth.Backend.
func (b *backend) Begin(ctx context.Context, peer auth.Peer) (auth.Conversation, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return &conversation{backend: b, peer: peer}, nil
}

// serverState is what a conversation awaits.
type serverState uint8

const (
	expectStart serverState = iota
	expectIdentity
	expectResponse
	expectSuccessAck
	expectNewPassword // or the acknowledgement of the refusal
	expectFailureAck
	serverEnded
)

// conversation is the server's end of one login. States only go forward;
// acceptance is reached from expectSuccessAck alone, and that only from a
// verified Response (CVE-2015-8023).
type conversation struct {
	*backend
	peer  auth.Peer
	state serverState

	id       uint8  // identifier of the open request
	open     []byte // the open request
	identity string // EAP identity, may be empty
	claimed  string // the name that Steps carry, clipped while only claimed

	challenge [16]byte
	name      string // of the last Response
	tries     int
	changes   int // of the password
	strays    int
	refusal   *auth.Refusal // the last one
	retry     bool          // it lets the client try again
	grant     *auth.Grant   // set once a Response is verified
}

// Next implements auth.Conversation. A packet that answers no open request is
// ignored as RFC 3748 §4.1 says, which inside IKEv2 means that the open
// request goes out again, a few times; after that, and for a packet out of
// order, the end is EAP-Failure.
func (c *conversation) Next(ctx context.Context, response []byte) (auth.Step, error) {
	switch {
	case c.state == serverEnded:
		return auth.Step{}, ErrEnded
	case errors.Is(ctx.Err(), context.Canceled):
		return auth.Step{}, context.Cause(ctx)
	case c.state == expectStart:
		return c.start(response)
	}
	p, err := eap.Parse(response)
	if err != nil {
		return c.stray(err.Error())
	}
	if p.Code != eap.CodeResponse || p.Identifier != c.id {
		return c.stray(fmt.Sprintf("EAP %s with identifier %d, expected a Response with %d", p.Code, p.Identifier, c.id))
	}
	if c.state == expectIdentity {
		return c.onIdentity(p)
	}
	if p.IsNak() {
		return c.onNak(p)
	}
	if p.Type != eap.TypeMSCHAPv2 {
		return c.unexpected(fmt.Sprintf("EAP-%s", p.Type))
	}
	m, err := eap.ParseMSCHAPv2(p)
	if err != nil {
		return c.stray(err.Error())
	}
	return c.onMethod(ctx, m)
}

// Close implements auth.Conversation.
func (c *conversation) Close() {
	c.state = serverEnded
	if c.grant != nil {
		c.grant.MSK.Wipe()
		c.grant = nil
	}
}

func (c *conversation) start(response []byte) (auth.Step, error) {
	if response != nil {
		return c.unexpected("an EAP packet before any request")
	}
	var id [1]byte
	if _, err := io.ReadFull(c.options.Rand, id[:]); err != nil {
		return c.internal(err)
	}
	c.id = id[0]
	c.state = expectIdentity
	return c.ask(eap.Packet{Code: eap.CodeRequest, Identifier: c.id, Type: eap.TypeIdentity}), nil
}

// ask makes a packet the open request.
func (c *conversation) ask(p eap.Packet) auth.Step {
	c.open = p.Append(nil)
	return auth.Step{Packet: c.open, Identity: c.claimed}
}

func (c *conversation) onIdentity(p eap.Packet) (auth.Step, error) {
	if p.Type != eap.TypeIdentity {
		return c.unexpected(fmt.Sprintf("EAP-%s", p.Type))
	}
	c.identity = string(p.Data)
	c.claimed = auth.Clip(c.identity)
	if c.claimed == "" { // Android sends none
		c.claimed = auth.Clip(c.peer.IDi)
		if c.peer.IdentityNeeded {
			return c.end(auth.Reject, auth.Reason{Cause: auth.CauseNoIdentity})
		}
	}
	if err := c.newChallenge(); err != nil {
		return c.internal(err)
	}
	c.id++
	c.state = expectResponse
	return c.ask(eap.NewMSCHAPv2(c.id, &eap.Challenge{MSID: c.id, Challenge: c.challenge, Name: c.options.ServerName})), nil
}

func (c *conversation) newChallenge() error {
	_, err := io.ReadFull(c.options.Rand, c.challenge[:])
	return err
}

// onNak ends the conversation: RFC 3748 §5.3.1 allows a Nak only as the
// answer to the first request of a method, and there is no other method.
func (c *conversation) onNak(p eap.Packet) (auth.Step, error) {
	if c.state != expectResponse || c.tries > 0 {
		return c.unexpected("EAP-Nak within the method")
	}
	wanted, err := p.Wanted()
	if err != nil {
		return c.stray(err.Error())
	}
	names := make([]string, len(wanted))
	for i, m := range wanted {
		names[i] = fmt.Sprintf("%d:%d", m.Vendor, m.Type)
		if m.Vendor == 0 && m.Type <= 255 {
			names[i] = "EAP-" + eap.Type(m.Type).String()
		}
	}
	if len(names) == 0 {
		names = []string{"nothing else"}
	}
	return c.end(auth.Reject, auth.Reason{Cause: auth.CauseMethodRefused, Evidence: []auth.Evidence{
		{Key: "offered", Value: "EAP-MSCHAPv2"}, {Key: "wanted", Value: auth.Clip(strings.Join(names, ", "))},
	}})
}

// onMethod is the RFC's order of op-codes, one line each.
func (c *conversation) onMethod(ctx context.Context, m eap.MSCHAPv2) (auth.Step, error) {
	switch m := m.(type) {
	case *eap.Response:
		if c.state == expectResponse || c.state == expectNewPassword && c.retry {
			return c.onResponse(ctx, m)
		}
	case *eap.ChangePassword:
		if c.state == expectNewPassword {
			return c.onChange(ctx, m)
		}
	case *eap.SuccessResponse:
		if c.state == expectSuccessAck {
			return c.accept()
		}
	case *eap.FailureResponse:
		switch {
		case c.state == expectFailureAck, c.state == expectNewPassword, c.state == expectResponse && c.tries > 0:
			return c.end(auth.Reject, c.refused())
		case c.state == expectSuccessAck:
			return c.end(auth.Reject, auth.Reason{Cause: auth.CauseServerProofRefused})
		}
	}
	return c.unexpected(fmt.Sprintf("EAP-MSCHAPv2 %s", opOf(m)))
}

func (c *conversation) onResponse(ctx context.Context, m *eap.Response) (auth.Step, error) {
	c.tries++
	c.name = m.Name
	if c.claimed == "" {
		c.claimed = auth.Clip(m.Name)
	}
	if c.identity != "" && !auth.SameUser(c.identity, m.Name) {
		return c.refuse(&auth.Refusal{Code: auth.ErrorAuthenticationFailed, Reason: auth.Reason{
			Cause:    auth.CauseIdentityMismatch,
			Evidence: []auth.Evidence{{Key: "identity", Value: auth.Clip(c.identity)}, {Key: "name", Value: auth.Clip(m.Name)}},
		}})
	}
	keys, err := c.verifier.Verify(ctx, c.question(m.MSID, m.Name, m.PeerChallenge, m.NTResponse))
	return c.judged(ctx, m.MSID, keys, err)
}

// question is an answer of the client's for the verifier to judge.
func (c *conversation) question(msid uint8, name string, peer [16]byte, nt eap.NTResponse) auth.MSCHAPv2Response {
	return auth.MSCHAPv2Response{
		Peer:                   c.peer,
		Identity:               c.identity,
		Name:                   name,
		Ident:                  msid,
		AuthenticatorChallenge: c.challenge,
		PeerChallenge:          peer,
		NTResponse:             nt,
		WholeName:              c.peer.WholeName,
	}
}

// judged tells the client what the verifier said.
func (c *conversation) judged(ctx context.Context, msid uint8, keys auth.Keys, err error) (auth.Step, error) {
	if err != nil {
		return c.notVerified(ctx, err)
	}
	c.grant = &keys.Grant
	c.claimed = c.grant.Name
	c.id++
	c.state = expectSuccessAck
	text := eap.SuccessMessage{AuthenticatorResponse: keys.AuthenticatorResponse}.String()
	return c.ask(eap.NewMSCHAPv2(c.id, &eap.SuccessRequest{MSID: msid, Message: []byte(text)})), nil
}

// accept is the one way to Accept.
func (c *conversation) accept() (auth.Step, error) {
	grant := c.grant
	c.grant = nil
	c.state = serverEnded
	return auth.Step{
		Packet:   eap.Packet{Code: eap.CodeSuccess, Identifier: c.id}.Append(nil),
		Verdict:  auth.Accept,
		Grant:    grant,
		Identity: c.claimed,
	}, nil
}

// refused is the reason of the last refusal, with the number of tries.
func (c *conversation) refused() auth.Reason {
	r := c.refusal.Reason
	r.Evidence = append(r.Evidence[:len(r.Evidence):len(r.Evidence)], auth.Evidence{Key: "tries", Value: strconv.Itoa(c.tries)})
	return r
}

func opOf(m eap.MSCHAPv2) eap.OpCode { return eap.OpCode(m.AppendData(nil)[0]) }
