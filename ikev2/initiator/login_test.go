package initiator

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

func TestLogin(t *testing.T) {
	c := newConn(t, 1, testConfig())
	c.login()
	c.established()
	r := c.sa.Result()
	if r.IKE != "aes128gcm16-prfsha256-x25519" || r.ESP != "aes128gcm16" || r.Server != testName || r.Signature != "Digital Signature" || r.Certificate.Sent != 2 {
		t.Errorf("result %+v", r)
	}
	if len(r.Config.Addresses) != 1 || r.Config.Addresses[0].String() != "192.0.2.1/32" || len(r.Config.DNS) != 1 {
		t.Errorf("configuration %+v", r.Config)
	}
	child, ok := c.sa.Child()
	if !ok || child.In.SPI == 0 || bytes.Equal(child.In.EncrKey, child.Out.EncrKey) || child.Local[0].Start.String() != "192.0.2.1" || child.Path.Local != testEndpoints.LocalNATT {
		t.Errorf("Child SA %+v", child)
	}
	if c.sa.login != nil || !c.out.Deadline.IsZero() {
		t.Errorf("login %v and deadline %s are left over", c.sa.login, c.out.Deadline)
	}
	c.handle(Delete{})
	if closed, ok := notice[Closed](c); !ok || closed.Err != nil || c.sa.ike != nil {
		t.Errorf("after the deletion %+v", closed)
	}
}

// TestEachDatagramLost loses each datagram of a login once, in turn and each
// way: the login completes by retransmission, with the same octets.
func TestEachDatagramLost(t *testing.T) {
	probe := newConn(t, 2, testConfig())
	probe.login()
	for direction, total := range probe.sent {
		for lost := 1; lost <= total; lost++ {
			c := newConn(t, 2, testConfig())
			c.lose = func(toGateway bool, n int, _ []byte) bool { return toGateway == (direction == 1) && n == lost }
			c.login()
			if !c.pass() {
				t.Fatalf("direction %d, datagram %d lost: nothing is due", direction, lost)
			}
			c.established()
			if c.sent[1] != total && direction == 1 && c.sent[1] != total+1 {
				t.Errorf("direction %d, datagram %d lost: %d datagrams sent, want one more than %d", direction, lost, c.sent[1], total)
			}
			again := slices.ContainsFunc(c.wire, func(a []byte) bool {
				return countEqual(c.wire, a) == 2
			})
			if !again {
				t.Errorf("direction %d, datagram %d lost: no datagram was repeated octet for octet", direction, lost)
			}
		}
	}
}

func countEqual(all [][]byte, one []byte) (n int) {
	for _, a := range all {
		if bytes.Equal(a, one) {
			n++
		}
	}
	return n
}

func TestSilenceIsNamed(t *testing.T) {
	for _, test := range []struct {
		name  string
		from  int // number of the first datagram to the gateway that is lost
		step  Step
		heard bool
	}{
		{"no answer at all", 1, StepInit, false},
		{"none on port 4500", 2, StepCertificate, true},
		{"none to the EAP identity", 3, StepIdentity, true},
		{"none to the challenge's answer", 4, StepChallenge, true},
		{"none to the last AUTH", 6, StepFinal, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newConn(t, 3, testConfig())
			c.lose = func(toGateway bool, n int, _ []byte) bool { return toGateway && n >= test.from }
			c.login()
			for c.pass() {
			}
			f := c.failure()
			var e *TimeoutError
			if !errors.As(f, &e) || f.At() != test.step || e.Answers != test.heard || e.Sent != 6 {
				t.Errorf("%v", f)
			}
			if budget := c.sa.cfg.Retransmit.Budget(); e.Waited < budget*8/10 || e.Waited > budget*12/10 {
				t.Errorf("gave up after %s, the budget is %s", e.Waited, budget)
			}
		})
	}
}

func TestMissingFragmentsAreNamed(t *testing.T) {
	c := newConn(t, 4, testConfig())
	c.gateway.limit = 400
	c.lose = func(toGateway bool, _ int, data []byte) bool {
		m, err := message.Parse(data)
		return err == nil && !toGateway && exchange.FragmentOf(m) != nil && exchange.FragmentOf(m).Number == 2
	}
	c.login()
	for c.pass() {
	}
	var e *TimeoutError
	if f := c.failure(); !errors.As(f, &e) || e.Step != StepCertificate || !slices.Equal(e.Missing, []int{2}) || e.Total < 3 || !strings.Contains(f.Error(), "fragments") {
		t.Errorf("%v", f)
	}
}

func TestFragmentsAreJoined(t *testing.T) {
	c := newConn(t, 5, testConfig())
	c.gateway.limit = 200
	c.login()
	c.established()
}

func TestCookieAndGroup(t *testing.T) {
	cookie := []byte("a cookie of the gateway")
	cfg := testConfig()
	cfg.IKE = parse(t, message.ProtocolIKE, "aes128gcm16-prfsha256-ecp256-x25519")
	for _, profile := range []*Profile{DefaultProfile(), func() *Profile { p := DefaultProfile(); p.FreshRetry = true; return p }()} {
		cfg.Profile = profile
		c := newConn(t, 6, cfg)
		var spis []message.SPI
		c.gateway.onInit = func(m *message.Message) *message.Message {
			spis = append(spis, m.Header.InitiatorSPI)
			if n, ok := m.Payloads[0].(*message.Notify); ok && n.Kind == message.Cookie && bytes.Equal(n.Data, cookie) || len(spis) > 2 {
				return nil
			}
			h := m.Header
			h.Flags = message.FlagResponse
			return &message.Message{Header: h, Payloads: notification(message.Cookie, cookie)}
		}
		c.login()
		c.established()
		r := c.sa.Result()
		if !r.Cookie || r.Group != "x25519" || len(spis) != 3 || spis[0] != spis[1] {
			t.Errorf("cookie %t, group %q, SPIs %v", r.Cookie, r.Group, spis)
		}
		if fresh := spis[2] != spis[1]; fresh != profile.FreshRetry {
			t.Errorf("the group's retry has a fresh SPI: %t, want %t", fresh, profile.FreshRetry)
		}
	}
}

func TestEndlessRestartsEnd(t *testing.T) {
	c := newConn(t, 7, testConfig())
	c.gateway.onInit = func(m *message.Message) *message.Message {
		h := m.Header
		h.Flags = message.FlagResponse
		return &message.Message{Header: h, Payloads: notification(message.Cookie, c.gateway.octets(16))}
	}
	c.login()
	if f := c.failure(); f.Verdict() != VerdictProtocol || c.gateway.inits > maxRestarts+1 {
		t.Errorf("%v after %d requests", f, c.gateway.inits)
	}
}

// TestGatewayIsNotTrusted has a gateway that is not what it claims; none may
// reach the next proof.
func TestGatewayIsNotTrusted(t *testing.T) {
	without := func(drop message.PayloadType) func([]message.Payload) []message.Payload {
		return func(ps []message.Payload) []message.Payload {
			return slices.DeleteFunc(ps, func(p message.Payload) bool { return p.Type() == drop })
		}
	}
	flip := func(ps []message.Payload) []message.Payload {
		a := message.Find[*message.Auth](ps)
		a.Data[len(a.Data)-1] ^= 1
		return ps
	}
	for _, test := range []struct {
		name    string
		change  func(*gateway)
		verdict Verdict
		at      Step
		proof   proof // that must not be there
	}{
		{"no AUTH", func(g *gateway) { g.onAuth = without(message.TypeAuth) }, VerdictSignature, StepCertificate, proofServer},
		{"no certificate", func(g *gateway) { g.onAuth = without(message.TypeCert) }, VerdictCertificate, StepCertificate, proofServer},
		{"no IDr", func(g *gateway) { g.onAuth = without(message.TypeIDr) }, VerdictProtocol, StepCertificate, proofServer},
		{"no EAP", func(g *gateway) { g.onAuth = without(message.TypeEAP) }, VerdictProtocol, StepCertificate, proofEAP},
		{"signature with a flipped bit", func(g *gateway) { g.onAuth = flip }, VerdictSignature, StepCertificate, proofServer},
		{"signature over another nonce", func(g *gateway) {
			g.forge = func(id *message.ID, nonce []byte) (*message.ID, []byte) { return id, make([]byte, len(nonce)) }
		}, VerdictSignature, StepCertificate, proofServer},
		{"IDr that was not signed", func(g *gateway) {
			g.forge = func(_ *message.ID, nonce []byte) (*message.ID, []byte) {
				return &message.ID{Responder: true, Kind: message.IDFQDN, Data: []byte("VPN.example.org")}, nonce
			}
		}, VerdictSignature, StepCertificate, proofServer},
		{"IDr that the certificate lacks", func(g *gateway) {
			g.forge = func(_ *message.ID, nonce []byte) (*message.ID, []byte) {
				return &message.ID{Responder: true, Kind: message.IDFQDN, Data: []byte("bank.example")}, nonce
			}
		}, VerdictCertificate, StepCertificate, proofServer},
		{"intermediate missing", func(g *gateway) {
			g.onAuth = func(ps []message.Payload) []message.Payload { return slices.Delete(ps, 2, 3) }
		}, VerdictCertificate, StepCertificate, proofServer},
		{"EAP-Success at once", func(g *gateway) {
			g.onEAP = func([]message.Payload) []message.Payload {
				return []message.Payload{&message.EAP{Packet: []byte{3, 1, 0, 4}}}
			}
		}, VerdictSignature, StepIdentity, proofEAP},
		{"AUTH over another MSK", func(g *gateway) { g.onFinal = flip }, VerdictSignature, StepFinal, proofMSK},
		{"signature instead of the MSK", func(g *gateway) {
			g.onFinal = func(ps []message.Payload) []message.Payload {
				message.Find[*message.Auth](ps).Method = message.AuthSignature
				return ps
			}
		}, VerdictSignature, StepFinal, proofMSK},
		{"no AUTH at the end", func(g *gateway) { g.onFinal = without(message.TypeAuth) }, VerdictProtocol, StepFinal, proofMSK},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newConn(t, 8, testConfig())
			test.change(c.gateway)
			c.login()
			f := c.failure()
			if f.Verdict() != test.verdict || f.At() != test.at {
				t.Errorf("%s at %s: %v; want %s at %s", f.Verdict(), f.At(), f, test.verdict, test.at)
			}
			if c.sa.proof&test.proof != 0 {
				t.Errorf("proof %04b holds %04b", c.sa.proof, test.proof)
			}
			if strings.Contains(f.Error(), testPassword) {
				t.Errorf("the password is shown: %v", f)
			}
		})
	}
}

func TestRefusalsAtTheEndAreNamed(t *testing.T) {
	for _, test := range []struct {
		n       message.NotifyType
		verdict Verdict
	}{
		{message.NoProposalChosen, VerdictNoProposal},
		{message.TSUnacceptable, VerdictTraffic},
		{message.InternalAddressFailure, VerdictNoAddress},
		{message.FailedCPRequired, VerdictNoAddress},
		{message.TemporaryFailure, VerdictRefused},
	} {
		c := newConn(t, 9, testConfig())
		c.gateway.onFinal = func(ps []message.Payload) []message.Payload {
			return append([]message.Payload{message.Find[*message.Auth](ps)}, notification(test.n, nil)...)
		}
		c.login()
		if f := c.failure(); f.Verdict() != test.verdict || f.At() != StepFinal {
			t.Errorf("%s: %v", test.n, f)
		}
		// The IKE SA stands at the gateway: it is told.
		if last := c.gateway.asked[len(c.gateway.asked)-1]; last.Exchange != message.ExchangeInformational {
			t.Errorf("%s: the last request is %s, want a deletion", test.n, last.Exchange)
		}
	}
}

func TestAnswersOutsideTheOfferAreRefused(t *testing.T) {
	aes256 := message.Transform{Type: message.TransformENCR, ID: suite.EncrAESGCM16, KeyLength: 256}
	for _, test := range []struct {
		name   string
		change func(*message.Proposal)
	}{
		{"a cipher that was not offered", func(p *message.Proposal) { p.Transforms[0] = aes256 }},
		{"two ciphers", func(p *message.Proposal) { p.Transforms = append(p.Transforms, p.Transforms[0]) }},
		{"no cipher", func(p *message.Proposal) { p.Transforms = p.Transforms[1:] }},
		{"another number", func(p *message.Proposal) { p.Number = 7 }},
		{"another protocol", func(p *message.Proposal) { p.Protocol = message.ProtocolAH }},
		{"no SPI", func(p *message.Proposal) { p.SPI = nil }},
	} {
		cfg := testConfig()
		cfg.ESP = parse(t, message.ProtocolESP, "aes128gcm16")
		c := newConn(t, 10, cfg)
		c.gateway.onFinal = func(ps []message.Payload) []message.Payload {
			test.change(&message.Find[*message.SA](ps).Proposals[0])
			return ps
		}
		c.login()
		if f := c.failure(); f.Verdict() != VerdictNoProposal {
			t.Errorf("%s: %v", test.name, f)
		}
	}
}

func TestSelectorsBeyondTheOfferAreRefused(t *testing.T) {
	cfg := testConfig()
	cfg.RemoteSelectors = everything()[1:]
	c := newConn(t, 11, cfg)
	c.login() // the gateway answers with all of IPv4
	if f := c.failure(); f.Verdict() != VerdictProtocol || f.At() != StepFinal {
		t.Errorf("%v", f)
	}
}

// TestNothingBeforeAuthentication has the gateway ask for things before it
// has proved itself.
func TestNothingBeforeAuthentication(t *testing.T) {
	c := newConn(t, 12, testConfig())
	c.lose = func(toGateway bool, n int, _ []byte) bool { return toGateway && n >= 2 }
	c.login()
	g := c.gateway.latest()
	for range 2 {
		c.deliver(c.gateway.request(g, message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolIKE}))
	}
	if len(g.answered) != 0 || c.sa.state != stateAuth {
		t.Errorf("%d requests were answered, state %d", len(g.answered), c.sa.state)
	}
	c.lose = nil
	c.pass()
	c.established()
}

func TestStateNeedsProof(t *testing.T) {
	c := newConn(t, 13, testConfig())
	c.lose = func(toGateway bool, n int, _ []byte) bool { return toGateway && n >= 2 }
	c.login()
	for _, to := range []state{stateEAP, stateFinal, stateInstalling, stateEstablished, stateInit} {
		if err := c.sa.advance(to); err == nil || c.sa.state != stateAuth {
			t.Errorf("moved to state %d with proof %04b only", to, c.sa.proof)
		}
	}
}

func TestInvalidGroupNotifications(t *testing.T) {
	group := func(g suite.Group) []byte { return binary.BigEndian.AppendUint16(nil, uint16(g)) }
	for _, test := range []struct {
		name    string
		data    []byte
		verdict Verdict
	}{
		{"a group that was not offered", group(suite.MODP8192), VerdictNoProposal},
		{"no group", nil, VerdictProtocol},
	} {
		cfg := testConfig()
		cfg.IKE = parse(t, message.ProtocolIKE, "aes128gcm16-prfsha256-x25519")
		c := newConn(t, 14, cfg)
		c.gateway.onInit = func(m *message.Message) *message.Message {
			h := m.Header
			h.Flags = message.FlagResponse
			return &message.Message{Header: h, Payloads: notification(message.InvalidKEPayload, test.data)}
		}
		c.login()
		if f := c.failure(); f.Verdict() != test.verdict || f.At() != StepInit {
			t.Errorf("%s: %v", test.name, f)
		}
	}
}

func TestKeepAlives(t *testing.T) {
	cfg := testConfig()
	cfg.ForceEncap = true
	c := newConn(t, 15, cfg)
	c.login()
	c.established()
	for range 3 {
		before := c.now
		if !c.pass() || !c.out.KeepAlive || c.now.Sub(before) != 20*time.Second {
			t.Errorf("after %s: keepalive %t", c.now.Sub(before), c.out.KeepAlive)
		}
	}
	if child, _ := c.sa.Child(); !child.Path.Encap {
		t.Error("ESP is not encapsulated")
	}
}
