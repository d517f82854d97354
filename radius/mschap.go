package radius

import (
	"context"
	"errors"
	"fmt"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"bridgehead/auth"
)

// VerifierConfig is MS-CHAPv2 towards servers without EAP.
type VerifierConfig struct {
	Group  *Group            // asked where Realms has no other; nil: such users are refused
	Realms map[string]*Group // by realm in lower case: "example.org" of "alice@example.org"
	// NASIdentifier names this gateway to the servers.
	NASIdentifier string
	// StationPort adds the port to Called- and Calling-Station-Id.
	StationPort bool
	// StepTime bounds each question, beside what its context allows; 0: no
	// bound.
	StepTime time.Duration
}

// Verifier has RADIUS servers judge MS-CHAPv2 answers (RFC 2548 §2) that the
// gateway got by ending EAP-MSCHAPv2 itself. It is an auth.PasswordChanger.
type Verifier struct {
	access
	stepTime time.Duration
}

var _ auth.PasswordChanger = (*Verifier)(nil)

// NewVerifier makes a verifier over groups, which stay the caller's to close.
func NewVerifier(c VerifierConfig) (*Verifier, error) {
	if c.Group == nil && len(c.Realms) == 0 {
		return nil, errNoGroup
	}
	return &Verifier{access{c.Group, c.Realms, c.NASIdentifier, c.StationPort}, c.StepTime}, nil
}

// asking sends a request to servers of a group.
type asking func(*Group, context.Context, codec.Attributes) (*Server, *Reply, error)

// Verify implements auth.Verifier.
func (v *Verifier) Verify(ctx context.Context, r auth.MSCHAPv2Response) (auth.Keys, error) {
	return v.judge(ctx, r, responseAttributes(r), (*Group).begin)
}

// ChangePassword implements auth.PasswordChanger. One server alone is asked: to
// a second one, the password that the first has changed would be wrong.
func (v *Verifier) ChangePassword(ctx context.Context, c auth.PasswordChange) (auth.Keys, error) {
	return v.judge(ctx, c.Response, changeAttributes(c), (*Group).askOnce)
}

// judge asks with proof, which is the client's answer, and gives what the
// server makes of it.
func (v *Verifier) judge(ctx context.Context, r auth.MSCHAPv2Response, proof codec.Attributes, ask asking) (auth.Keys, error) {
	if len(r.Name) == 0 || len(r.Name) > maxValue { // what User-Name can hold (RFC 2865 §5.1)
		return auth.Keys{}, &auth.Refusal{Code: auth.ErrorAuthenticationFailed, Reason: auth.Reason{
			Cause: auth.CauseEAPMalformed, Evidence: []auth.Evidence{
				{Key: "problem", Value: fmt.Sprintf("an MS-CHAPv2 Name of %d octets, expected 1 to %d", len(r.Name), maxValue)}}}}
	}
	group := v.groupOf(r.Name)
	if group == nil {
		return auth.Keys{}, &auth.Refusal{Code: auth.ErrorAuthenticationFailed, Reason: noServer(r.Name)}
	}
	if v.stepTime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, v.stepTime)
		defer cancel()
	}
	var attrs codec.Attributes
	attrs.Add(rfc2865.UserName_Type, codec.Attribute(r.Name))
	attrs = append(append(attrs, v.about(r.Peer)...), proof...)
	server, reply, err := ask(group, ctx, attrs)
	switch {
	case errors.Is(err, context.Canceled):
		return auth.Keys{}, err
	case err != nil:
		return auth.Keys{}, &auth.OutageError{Reason: outage(server, err), Err: err}
	}
	switch reply.Code {
	case codec.CodeAccessAccept:
		return accepted(server, reply, r.Name)
	case codec.CodeAccessReject:
		return auth.Keys{}, rejected(server, reply)
	}
	return auth.Keys{}, useless(server, flaw{auth.CauseChallengeWithoutEAP, auth.Evidence{Key: "got", Value: reply.Code.String()}})
}

// accepted is the one way to keys.
func accepted(s *Server, r *Reply, name string) (auth.Keys, error) {
	proof, err := successOf(r.Attributes)
	if err != nil {
		return auth.Keys{}, useless(s, flaw{auth.CauseNoMSCHAPSuccess, auth.Evidence{Key: "problem", Value: err.Error()}})
	}
	grant, flaw := grantOf(r, name)
	if flaw != nil {
		return auth.Keys{}, useless(s, *flaw)
	}
	return auth.Keys{AuthenticatorResponse: proof, Grant: grant}, nil
}

// useless is an answer by which nobody can be let in, nor refused for anything
// that is the user's fault.
func useless(s *Server, f flaw) error {
	return &auth.OutageError{Reason: because(s, mschapMethod, f.cause, f.evidence)}
}

// rejected is the server's no. Without MS-CHAP-Error it is a plain one.
func rejected(s *Server, r *Reply) error {
	refusal, err := refusalOf(r.Attributes)
	cause, more := said(refusal, r)
	if err != nil {
		more = append(more, auth.Evidence{Key: "problem", Value: err.Error()})
	}
	refusal.Reason = because(s, mschapMethod, cause, more...)
	return refusal
}
