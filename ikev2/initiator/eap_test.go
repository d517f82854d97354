package initiator

import (
	"errors"
	"testing"

	"bridgehead/auth"
	"bridgehead/auth/eap"
	"bridgehead/ikev2/message"
)

// TestRefusedCredentials has the gateway refuse the password and then end the
// conversation in each way there is.
func TestRefusedCredentials(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(c *conn, ps []message.Payload) []message.Payload // of the answer to our acknowledgement
	}{
		{"EAP-Failure", func(_ *conn, ps []message.Payload) []message.Payload { return ps }},
		{"a notification", func(*conn, []message.Payload) []message.Payload {
			return notification(message.AuthenticationFailed, nil)
		}},
		{"neither", func(*conn, []message.Payload) []message.Payload { return nil }},
		{"silence", func(c *conn, ps []message.Payload) []message.Payload {
			c.lose = func(toGateway bool, _ int, _ []byte) bool { return !toGateway }
			return ps
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.Password = auth.Secret("wrong battery")
			c := newConn(t, 60, cfg)
			refused := false
			c.gateway.onEAP = func(ps []message.Payload) []message.Payload {
				if refused {
					return test.end(c, ps)
				}
				p, err := eap.Parse(ps[0].(*message.EAP).Packet)
				c.gateway.must(err)
				if m, err := eap.ParseMSCHAPv2(p); err == nil {
					_, refused = m.(*eap.FailureRequest)
				}
				return ps
			}
			c.login()
			for c.pass() {
			}
			var e *CredentialsError
			if f := c.failure(); !refused || !errors.As(f, &e) || e.Code != auth.ErrorAuthenticationFailed || e.User != testUser || e.At() != StepChallenge {
				t.Errorf("%v", f)
			}
		})
	}
}

func TestEAPConversationsThatDoNotEnd(t *testing.T) {
	c := newConn(t, 61, testConfig())
	id := byte(0)
	c.gateway.ownEAP = true
	c.gateway.onEAP = func([]message.Payload) []message.Payload {
		id++
		return []message.Payload{&message.EAP{Packet: eap.Packet{Code: eap.CodeRequest, Identifier: id, Type: eap.TypeNotification, Data: []byte("wait")}.Append(nil)}}
	}
	c.login()
	if f := c.failure(); f.Verdict() != VerdictProtocol || len(c.gateway.asked) > maxEAPRounds+3 {
		t.Errorf("%v after %d requests", f, len(c.gateway.asked))
	}
}

func TestOtherMethodsAreDeclined(t *testing.T) {
	c := newConn(t, 62, testConfig())
	c.gateway.onAuth = func(ps []message.Payload) []message.Payload {
		message.Find[*message.EAP](ps).Packet = eap.Packet{Code: eap.CodeRequest, Identifier: 9, Type: eap.TypeTLS, Data: []byte{0x20}}.Append(nil)
		return ps
	}
	declined := false
	c.gateway.ownEAP = true
	c.gateway.onEAP = func([]message.Payload) []message.Payload {
		declined = true
		return []message.Payload{&message.EAP{Packet: eap.Packet{Code: eap.CodeFailure, Identifier: 9}.Append(nil)}}
	}
	c.login()
	var e *MethodError
	if f := c.failure(); !declined || !errors.As(f, &e) || e.Wanted != "TLS" || e.At() != StepMethod {
		t.Errorf("%v", f)
	}
}
