package radius

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"

	"bridgehead/auth"
	"bridgehead/auth/eap"
)

// unanswered tells an outage. A login whose server died starts over with
// another one while the client waits: no other knows its State.
func (c *conversation) unanswered(ctx context.Context, err error) (auth.Step, error) {
	if errors.Is(err, context.Canceled) {
		return auth.Step{}, err
	}
	reason := c.outageOf(err)
	if len(c.state) > 0 && ctx.Err() == nil && c.restarts < maxRestarts && c.group.others([]*Server{c.server}) {
		c.restarts++
		c.outage = reason
		c.server, c.state, c.method, c.failed = nil, nil, "", nil
		c.id++
		step := c.askIdentity()
		step.Reason = reason
		return step, nil
	}
	return c.end(auth.Unavailable, reason)
}

// outageOf is why nobody answered, and what the login was at.
func (c *conversation) outageOf(err error) auth.Reason {
	if len(c.state) == 0 {
		return outage(c.server, err)
	}
	return outage(c.server, err, auth.Evidence{Key: "during", Value: c.method})
}

// outage names which server was silent for how long, and why. server is the
// one that was asked, nil where that were several.
func outage(server *Server, err error, more ...auth.Evidence) auth.Reason {
	cause := auth.CauseBackendUnavailable
	var silent *SilentError
	var evidence []auth.Evidence
	if errors.As(err, &silent) {
		evidence = append(evidence,
			auth.Evidence{Key: "server", Value: silent.Server},
			auth.Evidence{Key: "silent for", Value: silent.Waited.Round(time.Millisecond).String()},
			auth.Evidence{Key: "sent", Value: strconv.Itoa(silent.Sent)})
		state := Unproven
		if server != nil {
			state = server.Figures().State
		}
		switch {
		case silent.Forged+silent.Unsigned > 0:
			cause = CauseNotAuthentic
			evidence = append(evidence, auth.Evidence{Key: "discarded", Value: strconv.FormatUint(silent.Forged+silent.Unsigned, 10)})
		case state == Alive:
			cause = auth.CauseBackendTimeout
		}
	}
	evidence = append(evidence, more...)
	return auth.Reason{Cause: cause, Evidence: append(evidence, auth.Evidence{Key: "error", Value: err.Error()})}
}

// noServer is why nobody was asked for a user.
func noServer(name string) auth.Reason {
	return auth.Reason{Cause: CauseNoServer, Evidence: []auth.Evidence{{Key: "realm", Value: clip(printable(auth.SplitName(name).Realm))}}}
}

// because is a cause with the server and the method.
func (c *conversation) because(cause auth.Cause, more ...auth.Evidence) auth.Reason {
	return because(c.server, c.method, cause, more...)
}

func because(server *Server, method string, cause auth.Cause, more ...auth.Evidence) auth.Reason {
	evidence := []auth.Evidence{{Key: "server", Value: server.Name()}}
	if method != "" {
		evidence = append(evidence, auth.Evidence{Key: "method", Value: method})
	}
	return auth.Reason{Cause: cause, Evidence: append(evidence, more...)}
}

// refusal is why the server said no: what its MS-CHAPv2 Failure told, and its
// Reply-Message.
func (c *conversation) refusal(r *Reply) auth.Reason {
	cause, more := said(c.failed, r)
	return c.because(cause, more...)
}

// said is what a server says with its no. Both may be nil.
func said(failed *auth.Refusal, r *Reply) (cause auth.Cause, more []auth.Evidence) {
	cause = CauseRefused
	if failed != nil {
		if known, ok := failureCauses[failed.Code]; ok {
			cause = known
		}
		more = append(more, auth.Evidence{Key: "mschapv2 error", Value: strconv.Itoa(failed.Code)})
	}
	if r != nil {
		if b, ok := join(r.Attributes, rfc2865.ReplyMessage_Type); ok {
			more = append(more, auth.Evidence{Key: "reply message", Value: clip(printable(string(b)))})
		}
	}
	return cause, more
}

// failureCauses are the codes of RFC 2759 §6 that say more than no.
var failureCauses = map[int]auth.Cause{
	auth.ErrorRestrictedLogonHours: auth.CauseLogonHours,
	auth.ErrorAccountDisabled:      auth.CauseAccountDisabled,
	auth.ErrorPasswordExpired:      auth.CausePasswordExpired,
	auth.ErrorNoDialinPermission:   auth.CauseNoDialinPermission,
	auth.ErrorChangingPassword:     auth.CausePasswordNotChanged,
}

// failureOf reads an MS-CHAPv2 Failure that the server sends.
func failureOf(p eap.Packet) *auth.Refusal {
	if p.Type != eap.TypeMSCHAPv2 {
		return nil
	}
	m, err := eap.ParseMSCHAPv2(p)
	if err != nil {
		return nil
	}
	failure, ok := m.(*eap.FailureRequest)
	if !ok {
		return nil
	}
	f, err := eap.ParseFailureMessage(failure.Message)
	if err != nil {
		return &auth.Refusal{}
	}
	return &auth.Refusal{Code: f.Error, Retry: f.Retry}
}

// stray repeats the open request for a packet to be ignored. Too many end the
// login; after an outage that is what ends it, since the client may not know
// how to start over.
func (c *conversation) stray(problem string) (auth.Step, error) {
	if c.strays++; c.strays <= maxStrays {
		return auth.Step{Packet: c.open, Identity: c.identity}, nil
	}
	if c.restarts > 0 {
		return c.end(auth.Unavailable, c.outage)
	}
	return c.end(auth.Reject, auth.Reason{Cause: auth.CauseEAPMalformed, Evidence: []auth.Evidence{{Key: "problem", Value: problem}}})
}

// end sends EAP-Failure.
func (c *conversation) end(v auth.Verdict, r auth.Reason) (auth.Step, error) {
	c.Close()
	return auth.Step{
		Packet:   eap.Packet{Code: eap.CodeFailure, Identifier: c.id}.Append(nil),
		Verdict:  v,
		Reason:   r,
		Identity: c.identity,
	}, nil
}

// nameOf is the name that the server gives the user (RFC 2865 §5.1).
func nameOf(r *Reply) (string, bool) {
	for _, a := range all(r.Attributes, rfc2865.UserName_Type) {
		if name := string(a.Attribute); name != "" && name == printable(name) {
			return name, true
		}
	}
	return "", false
}

// eapMessage joins the parts of a reply's EAP packet.
func eapMessage(attrs codec.Attributes) ([]byte, bool) { return join(attrs, rfc2869.EAPMessage_Type) }

// clip shortens what a stranger sent to what an attribute and evidence hold.
func clip(s string) string {
	if len(s) > maxValue {
		return strings.ToValidUTF8(s[:maxValue], "")
	}
	return s
}

// printable replaces what could disturb a terminal or a log.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '�'
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}
