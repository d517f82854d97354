package ikev2

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// Before the login is complete nothing may be created, rekeyed, moved or
// deleted (CVE-2014-2338, CVE-2026-78133), and it can still be completed.
func TestNothingButTheLoginBeforeItIsComplete(t *testing.T) {
	steps := []struct {
		name string
		run  func(p *peer)
		want State
	}{
		{"after IKE_SA_INIT", func(p *peer) { p.init() }, StateAwaitAuth},
		{"after our AUTH", func(p *peer) { p.identify() }, StateAwaitEAP},
		{"after the identity", func(p *peer) { p.answerEAP() }, StateAwaitEAP},
		{"after the password", func(p *peer) { p.answerEAP() }, StateAwaitEAP},
		{"after EAP success", func(p *peer) { p.answerEAP() }, StateAwaitProof},
	}
	w := newWorld(t, 1, nil)
	p := w.newPeer()
	for _, s := range steps {
		s.run(p)
		p.wantState(s.name, s.want)
		before := p.sa().evidence
		for name, ps := range map[string][]message.Payload{
			"a Child SA":        append(p.child(), &message.Nonce{Data: p.ni}),
			"a Child SA rekey":  append(p.child(), &message.Nonce{Data: p.ni}, &message.Notify{Protocol: message.ProtocolESP, Kind: message.RekeySA, SPI: p.childSPI}),
			"an IKE SA rekey":   {&message.SA{Proposals: suite.DefaultIKE().Offer(p.ni[:8])}, &message.Nonce{Data: p.ni}, &message.KE{Group: uint16(suite.X25519), Data: make([]byte, 32)}},
			"an empty exchange": {},
		} {
			if answer := p.request(message.ExchangeCreateChildSA, ps...); answer != nil {
				t.Errorf("%s: %s was answered with %s", s.name, name, describe(answer))
			}
		}
		for name, ps := range map[string][]message.Payload{
			"liveness":         {},
			"deleting a Child": {&message.Delete{Protocol: message.ProtocolESP, SPISize: 4, SPIs: [][]byte{p.childSPI}}},
			"moving":           {status(message.UpdateSAAddresses, nil)},
		} {
			if answer := p.request(message.ExchangeInformational, ps...); len(answer) != 0 {
				t.Errorf("%s: %s was answered with %s", s.name, name, describe(answer))
			}
		}
		p.wantState(s.name, s.want)
		if p.sa().evidence != before|provedKeys || len(w.plane.children) != 0 || len(p.sa().children) != 0 || len(w.events) != 0 {
			t.Errorf("%s: evidence %s, %d Child SAs", s.name, p.sa().evidence, len(w.plane.children))
		}
	}
	if _, err := p.eap.Respond(p.challenge); err != nil {
		t.Fatal(err)
	}
	p.prove()
	p.wantState("the login goes on unharmed", StateEstablished)
}

func TestLoginOutOfOrderIsRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		run   func(p *peer) []message.Payload
		cause Cause
		kind  message.NotifyType
	}{
		{"AUTH in the first message", func(p *peer) []message.Payload {
			return p.init().request(message.ExchangeAuth, p.idi, &message.Auth{Method: message.AuthSharedKey, Data: []byte{1}})
		}, CauseNotEAP, message.AuthenticationFailed},
		{"no IDi", func(p *peer) []message.Payload { return p.init().request(message.ExchangeAuth, p.child()...) }, CauseInvalidSyntax, message.InvalidSyntax},
		{"an endless identity", func(p *peer) []message.Payload {
			p.idi = fqdn(strings.Repeat("x", maxIdentity+1))
			return p.init().identify()
		}, CauseInvalidSyntax, message.InvalidSyntax},
		{"EAP in the first message", func(p *peer) []message.Payload {
			return p.init().request(message.ExchangeAuth, &message.EAP{Packet: []byte{2, 1, 0, 5, 1}})
		}, CauseInvalidSyntax, message.InvalidSyntax},
		{"AUTH in the midst of EAP", func(p *peer) []message.Payload {
			p.init().identify()
			return p.prove()
		}, CauseOutOfOrder, message.AuthenticationFailed},
		{"EAP after its success", func(p *peer) []message.Payload {
			return p.init().throughEAP().request(message.ExchangeAuth, &message.EAP{Packet: []byte{2, 1, 0, 5, 1}})
		}, CauseOutOfOrder, message.AuthenticationFailed},
		{"AUTH by signature after EAP", func(p *peer) []message.Payload {
			p.init().throughEAP()
			return p.request(message.ExchangeAuth, &message.Auth{Method: message.AuthSignature, Data: p.proof().Data})
		}, CauseOutOfOrder, message.AuthenticationFailed},
		{"AUTH that does not fit", func(p *peer) []message.Payload {
			p.init().throughEAP()
			a := p.proof()
			a.Data[0] ^= 1
			return p.request(message.ExchangeAuth, a)
		}, CauseAuthMismatch, message.AuthenticationFailed},
		{"AUTH of no octets", func(p *peer) []message.Payload {
			return p.init().throughEAP().request(message.ExchangeAuth, &message.Auth{Method: message.AuthSharedKey})
		}, CauseAuthMismatch, message.AuthenticationFailed},
		{"AUTH for another identity", func(p *peer) []message.Payload {
			p.init().throughEAP()
			p.idi = fqdn("mallory.example.org")
			return p.prove()
		}, CauseAuthMismatch, message.AuthenticationFailed},
		{"INFORMATIONAL with an unknown critical payload", func(p *peer) []message.Payload {
			return p.init().request(message.ExchangeInformational, &message.Unknown{Kind: 200, Critical: true})
		}, CauseCriticalPayload, message.UnsupportedCriticalPayload},
		{"an unknown critical payload", func(p *peer) []message.Payload {
			return p.init().request(message.ExchangeAuth, p.idi, &message.Unknown{Kind: 200, Critical: true})
		}, CauseCriticalPayload, message.UnsupportedCriticalPayload},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, nil)
			p := w.newPeer()
			wantNotify(t, c.name, c.run(p), c.kind)
			p.wantState(c.name, StateRefused)
			if rs := w.refusals(); len(rs) != 1 || rs[0].Cause != c.cause {
				t.Errorf("refusals %s, expected %s", describeRefusals(rs), c.cause)
			}
			if answer := p.prove(); answer != nil {
				t.Errorf("after its end the login still answers %s", describe(answer))
			}
			if err := w.newDevice(nil).mustLogin().command(initiator.Delete{}); err != nil {
				t.Errorf("a good login right after: %v", err)
			}
			w.run(time.Minute, nil)
			w.mustBeEmpty()
		})
	}
}

// A repeated request gets the very same octets, changed or not in flight
// nothing else happens.
func TestRepeatedRequestsGetTheSameAnswer(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.newPeer()
	var asked, answered [][]byte
	w.wire.tap = func(toGateway bool, data []byte) []byte {
		answered = append(answered, data)
		return data
	}
	repeat := func(why string, datagrams ...[]byte) {
		t.Helper()
		first := p.raw(datagrams[0])
		if len(first) == 0 {
			t.Fatalf("%s: no answer", why)
		}
		asked = append(asked, datagrams[0])
		again := p.raw(datagrams[0])
		if !slices.EqualFunc(first, again, bytes.Equal) {
			t.Errorf("%s: the answer to the repeated request differs", why)
		}
	}
	p.init()
	if again := p.raw(p.initRequest); len(again) != 1 || !bytes.Equal(again[0], p.initAnswer) {
		t.Error("the answer to the repeated IKE_SA_INIT differs")
	}
	ps := append([]message.Payload{p.idi}, append(p.asks, p.child()...)...)
	repeat("first IKE_AUTH", p.seal(message.ExchangeAuth, 0, 1, ps, 0)...)
	p.hear(p.open(p.heard, message.FlagResponse, 1))
	p.id = 2
	for range 3 {
		p.answerEAP()
	}
	if _, err := p.eap.Respond(p.challenge); err != nil {
		t.Fatal(err)
	}
	repeat("last IKE_AUTH", p.seal(message.ExchangeAuth, 0, p.id, []message.Payload{p.proof()}, 0)...)
	p.id++
	w.plane.only(t)
	repeat("liveness", p.seal(message.ExchangeInformational, 0, p.id, nil, 0)...)
	p.id++
	for _, old := range asked[:2] {
		if answer := p.raw(old); len(answer) != 0 {
			t.Error("a request older than the last one was answered")
		}
	}
	for _, id := range []uint32{p.id + 1, p.id + 100, 1<<32 - 1} {
		if answer := p.raw(p.seal(message.ExchangeInformational, 0, id, nil, 0)[0]); len(answer) != 0 {
			t.Errorf("message id %d was answered while %d is expected", id, p.id)
		}
	}
	if n := w.count(EventUp); n != 1 {
		t.Errorf("%d sessions came up", n)
	}
}

func TestFragmentsBothWays(t *testing.T) {
	w := newWorld(t, 1, func(c *Config) { c.FragmentSize = 576 })
	p := w.newPeer().init()
	p.asks = append(p.asks, &message.CertReq{Encoding: message.CertX509Signature, Authorities: make([]byte, 20*100)})
	ps := append([]message.Payload{p.idi}, append(p.asks, p.child()...)...)
	fragments := p.seal(message.ExchangeAuth, 0, 1, ps, 400)
	if len(fragments) < 6 {
		t.Fatalf("only %d fragments", len(fragments))
	}
	slices.Reverse(fragments)
	var answer [][]byte
	for i, f := range fragments {
		if i == len(fragments)-1 {
			p.raw(fragments[0]) // a duplicate before the last
		}
		answer = p.raw(f)
		if i < len(fragments)-1 && len(answer) != 0 {
			t.Fatalf("answered after %d of %d fragments", i+1, len(fragments))
		}
	}
	if len(answer) < 2 {
		t.Fatalf("the answer has %d datagrams, expected fragments", len(answer))
	}
	for _, d := range answer {
		if len(d) > 576-20-8-4 {
			t.Errorf("a fragment of %d octets does not fit an IP datagram of 576", len(d))
		}
	}
	if message.Find[*message.Auth](p.open(answer, message.FlagResponse, 1)) == nil {
		t.Error("the fragments do not hold our AUTH")
	}
	first := fragments[len(fragments)-1]
	if again := p.raw(first); !slices.EqualFunc(again, answer, bytes.Equal) {
		t.Error("the first fragment again does not bring the same answer")
	}
	if again := p.raw(fragments[0]); len(again) != 0 {
		t.Error("another fragment again brings an answer")
	}
}

// The gateway names what it saw when a login falls silent.
func TestSilencesAreExplained(t *testing.T) {
	for _, c := range []struct {
		name  string
		run   func(p *peer)
		cause Cause
	}{
		{"nothing after IKE_SA_INIT", func(p *peer) { p.init() }, CauseNoIKEAuth},
		{"IKE_SA_INIT again and again", func(p *peer) {
			p.init()
			p.raw(p.initRequest)
			p.raw(p.initRequest)
		}, CauseAnswersLost},
		{"some fragments", func(p *peer) {
			p.init()
			for i, f := range p.seal(message.ExchangeAuth, 0, 1, []message.Payload{&message.CertReq{Encoding: 4, Authorities: make([]byte, 2000)}}, 400) {
				if i != 1 {
					p.raw(f)
				}
			}
		}, CauseFragmentsMissing},
		{"some fragments, then all in one piece", func(p *peer) {
			p.init()
			p.raw(p.seal(message.ExchangeAuth, 0, 1, []message.Payload{&message.CertReq{Encoding: 4, Authorities: make([]byte, 2000)}}, 400)[0])
			p.identify()
		}, CauseLeftAfterAuth},
		{"messages that are not authentic", func(p *peer) {
			d := p.init().seal(message.ExchangeAuth, 0, 1, []message.Payload{p.idi}, 0)[0]
			d[len(d)-1] ^= 1
			p.raw(d)
		}, CauseKeysDiffer},
		{"nothing after our certificate", func(p *peer) { p.init().identify() }, CauseLeftAfterAuth},
		{"the same IKE_AUTH again and again", func(p *peer) {
			p.init()
			d := p.seal(message.ExchangeAuth, 0, 1, append([]message.Payload{p.idi}, p.child()...), 0)[0]
			p.raw(d)
			p.raw(d)
			p.raw(d)
		}, CauseAnswersLost},
		{"nothing after the identity", func(p *peer) { p.init().identify(); p.answerEAP() }, CauseLeftInEAP},
		{"nothing after EAP success", func(p *peer) { p.init().throughEAP() }, CauseLeftBeforeAuth},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, nil)
			p := w.newPeer()
			c.run(p)
			w.run(2*time.Minute, nil)
			rs := w.refusals()
			if len(rs) != 1 || rs[0].Cause != c.cause || !rs[0].Silent || w.count(EventSilent) != 1 {
				t.Fatalf("refusals %s, expected silence %s", describeRefusals(rs), c.cause)
			}
			if rs[0].Session == "" || len(rs[0].Evidence) < 3 {
				t.Errorf("refusal %+v", rs[0])
			}
			w.mustBeEmpty()
		})
	}
}

func TestFragmentSilenceNamesTheMissingOnes(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.newPeer().init()
	fs := p.seal(message.ExchangeAuth, 0, 1, []message.Payload{&message.CertReq{Encoding: 4, Authorities: make([]byte, 2000)}}, 400)
	for i, f := range fs {
		if i != 1 && i != 3 {
			p.raw(f)
		}
	}
	w.run(2*time.Minute, nil)
	for _, e := range w.refusals()[0].Evidence {
		if e.Key == "fragments missing" && e.Value == "2 4 of 7" {
			return
		}
	}
	t.Errorf("evidence %v does not name fragments 2 and 4 of 7", w.refusals()[0].Evidence)
}

func TestAddressesFromTheRightFamilyOnly(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.newPeer()
	p.asks = []message.Payload{configRequest(message.InternalIP4Address, message.InternalIP4Netmask, message.InternalIP4DNS, 23456, message.ApplicationVersion)}
	answer := p.init().throughEAP().prove()
	cp := message.Find[*message.CP](answer)
	if cp == nil || cp.Kind != message.CPReply {
		t.Fatalf("answer %s", describe(answer))
	}
	var got []message.CPAttributeType
	for _, a := range cp.Attributes {
		got = append(got, a.Type)
	}
	want := []message.CPAttributeType{message.InternalIP4Address, message.InternalIP4Netmask, message.InternalIP4DNS, message.ApplicationVersion}
	if !slices.Equal(got, want) {
		t.Errorf("attributes %v, expected %v", got, want)
	}
	tsi, tsr := message.FindTS(answer, false), message.FindTS(answer, true)
	address, _ := netip.AddrFromSlice(cp.Attributes[0].Value)
	if len(tsi.Selectors) != 1 || tsi.Selectors[0].Start != address || len(tsr.Selectors) != 1 || !tsr.Selectors[0].Start.Is4() {
		t.Errorf("traffic selectors %v %v for %s", tsi.Selectors, tsr.Selectors, address)
	}
}

// The IKE SA of a login whose Child SA fails is created as usual and tells
// why; the client may delete it, else we do.
func TestLoginWithoutChildSA(t *testing.T) {
	for _, clientDeletes := range []bool{true, false} {
		w := newWorld(t, 1, nil)
		p := w.newPeer()
		p.esp = suite.Proposals{{Protocol: message.ProtocolESP, Transforms: []message.Transform{
			{Type: message.TransformENCR, ID: 3}, {Type: message.TransformINTEG, ID: 2}, // 3DES with HMAC-SHA1
		}}}
		answer := p.init().throughEAP().prove()
		wantNotify(t, "the last answer of the login", answer, message.NoProposalChosen)
		if message.Find[*message.Auth](answer) == nil || message.Find[*message.CP](answer) != nil {
			t.Errorf("the last answer of the login is %s", describe(answer))
		}
		p.wantState("after it", StateEstablished)
		p.heard = nil
		if clientDeletes {
			p.request(message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolIKE})
			p.heard = nil
		}
		w.run(15*time.Second, nil)
		if !clientDeletes {
			if ps := p.receivedRequest("an IKE SA without Child SA", true); message.Find[*message.Delete](ps) == nil {
				t.Errorf("the gateway sent %s", describe(ps))
			}
		} else if len(p.heard) != 0 {
			t.Error("the gateway deletes what the client deleted")
		}
		w.run(time.Minute, nil)
		if w.count(EventUp) != 0 || w.count(EventDown) != 0 || w.count(EventRefused) != 1 {
			t.Errorf("%d up, %d down, %d refused", w.count(EventUp), w.count(EventDown), w.count(EventRefused))
		}
		w.mustBeEmpty()
	}
}

// Where the gateway needs ESP in UDP, a client that knows nothing of NATs is
// told that there is nothing for it; elsewhere it gets plain ESP.
func TestClientWithoutNATTraversal(t *testing.T) {
	for _, force := range []bool{true, false} {
		w := newWorld(t, 1, func(c *Config) { c.ForceEncapIPv4 = force })
		p := w.newPeer()
		p.noNATT = true
		answer := p.init().throughEAP().prove()
		if force {
			wantNotify(t, "encapsulation needed", answer, message.NoProposalChosen)
			if rs := w.refusals(); len(rs) != 1 || rs[0].Cause != CauseNoNATTraversal {
				t.Errorf("refusals %s", describeRefusals(rs))
			}
		} else if w.plane.only(t).Path.Encap {
			t.Error("ESP is encapsulated")
		}
	}
}

// INITIAL_CONTACT ends the sessions of the same user by the same identity;
// where that is an address, mostly a private one, only those from the same
// place. The vendor id by which Windows says something like it does not.
func TestInitialContactMeansTheSameClient(t *testing.T) {
	contact := status(message.InitialContact, nil)
	vendor := &message.VendorID{Data: []byte{0x26, 0x24, 0x4d, 0x38, 0xed, 0xdb, 0x61, 0xb3, 0x17, 0x2a, 0x36, 0xe3, 0xd0, 0xcf, 0xb8, 0x19}}
	private := &message.ID{Kind: message.IDIPv4Addr, Data: []byte{192, 168, 1, 10}}
	for _, c := range []struct {
		name     string
		first    *message.ID
		second   *message.ID
		from     string
		contact  message.Payload
		user     string
		password string
		replaced bool
	}{
		{"the same name from elsewhere", fqdn("phone"), fqdn("phone"), "198.51.100.9:500", contact, "alice", "wonderland", true},
		{"another name", fqdn("phone"), fqdn("laptop"), "198.51.100.200:500", contact, "alice", "wonderland", false},
		{"the same name as an e-mail address", fqdn("phone"), &message.ID{Kind: message.IDRFC822Addr, Data: []byte("phone")}, "198.51.100.200:500", contact, "alice", "wonderland", false},
		{"another user", fqdn("phone"), fqdn("phone"), "198.51.100.200:500", contact, "bob", "builder", false},
		{"the same private address, another home", private, private, "198.51.100.9:500", contact, "alice", "wonderland", false},
		{"the same private address, the same home", private, private, "198.51.100.200:1500", contact, "alice", "wonderland", true},
		{"a vendor id", fqdn("phone"), fqdn("phone"), "198.51.100.200:500", vendor, "alice", "wonderland", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, nil)
			p := w.newPeer()
			p.idi = c.first
			p.establish()
			w.peers = nil
			p = w.newPeer()
			p.spii[0], p.childSPI = 0xaa, []byte{0xc0, 0, 0, 7}
			p.idi, p.from = c.second, netip.MustParseAddrPort(c.from)
			p.asks, p.extensions = append(p.asks, c.contact), append(p.extensions, c.contact)
			p.eap = mschapv2.NewClient(c.user, []byte(c.password), w.octets)
			p.establish()
			if got := w.count(EventDown) == 1; got != c.replaced || len(w.plane.children) != 2-w.count(EventDown) {
				t.Errorf("replaced: %v, %d Child SAs", got, len(w.plane.children))
			}
		})
	}
}

// Android gets advice of its own when it leaves over our certificate.
func TestAndroidThatLeaves(t *testing.T) {
	w := newWorld(t, 1, nil)
	silent := initiator.Android()
	silent.SilentLeave = true
	w.newDevice(func(c *initiator.Config) { c.Profile, c.Roots = silent, foreignRoots() }).login()
	w.run(2*time.Minute, nil)
	if r := w.refusals()[0]; r.Client != "android" || r.Cause != CauseLeftAfterAuth || !strings.Contains(r.Likely[0], "Android") {
		t.Errorf("%s by %q: %q", r.Cause, r.Client, r.Likely)
	}
}

// What may lie behind a client's leaving is ranked by what is known of it.
func TestLikelyReasonsOfALeavingClient(t *testing.T) {
	microsoft := &message.VendorID{Data: append(slices.Clone(vendorMicrosoft), 0, 0, 0, 9)}
	for _, c := range []struct {
		name        string
		extensions  []message.Payload
		asked       *message.ID
		certificate Certificate
		first       string
		among       string
	}{
		{"another name", nil, &message.ID{Responder: true, Kind: message.IDFQDN, Data: []byte("old.example.org")}, rsaIdentity(), "old.example.org", "trusts"},
		{"not RSA", []message.Payload{status(message.RedirectSupported, nil)}, nil, ecdsaIdentity(), "not RSA", "Remote ID"},
		{"windows", []message.Payload{microsoft}, nil, rsaIdentity(), "13801", "fragment size"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, func(cfg *Config) { cfg.Certificates = []Certificate{c.certificate} })
			p := w.newPeer()
			p.extensions = c.extensions
			if c.asked != nil {
				p.asks = append(p.asks, c.asked)
			}
			p.init().identify()
			w.run(2*time.Minute, nil)
			r := w.refusals()[0]
			if r.Cause != CauseLeftAfterAuth || len(r.Likely) < 2 || !strings.Contains(r.Likely[0], c.first) || !strings.Contains(strings.Join(r.Likely[1:], " "), c.among) {
				t.Errorf("%s: %q", r.Cause, r.Likely)
			}
		})
	}
}
