package ikev2

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// childMessage is a CREATE_CHILD_SA request, replacing the Child SA with the
// client's SPI old unless that is nil.
func (p *peer) childMessage(old []byte, more ...message.Payload) []message.Payload {
	ps := []message.Payload{}
	if old != nil {
		ps = append(ps, &message.Notify{Protocol: message.ProtocolESP, Kind: message.RekeySA, SPI: old})
	}
	return append(append(ps, &message.Nonce{Data: p.ni}), append(p.child(), more...)...)
}

func (p *peer) ke(g suite.Group) (*message.KE, suite.KeyPair) {
	p.Helper()
	pair, err := g.Generate(p.octets)
	if err != nil {
		p.Fatal(err)
	}
	return &message.KE{Group: uint16(g), Data: pair.Public()}, pair
}

func espProposals(t testing.TB, s string) suite.Proposals {
	t.Helper()
	ps, err := suite.ParseProposals(message.ProtocolESP, s)
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

// The client rekeys as real ones do: any first proposal number, the same
// proposal several times, with a group or without, with a CP that has no
// place there.
func TestChildRekey(t *testing.T) {
	for _, c := range []struct {
		name  string
		esp   string
		first uint8
		group suite.Group
		more  []message.Payload
		want  suite.Group
	}{
		{"without key exchange", "aes256-sha256-noesn", 1, 0, nil, 0},
		{"with the IKE SA's group", "aes256-sha256-x25519-noesn", 1, suite.X25519, nil, suite.X25519},
		{"with another group", "aes256-sha256-ecp256-noesn", 1, suite.ECP256, nil, suite.ECP256},
		{"with and without, as Apple", "aes256-sha256-ecp256-noesn,aes256-sha256-noesn", 1, suite.ECP256, nil, suite.ECP256},
		{"the same three times, from 7 on", "aes256-sha256-noesn,aes256-sha256-noesn,aes256-sha256-noesn", 7, 0, nil, 0},
		{"with a CP, as MikroTik", "aes256-sha256-noesn", 1, 0, []message.Payload{configRequest(message.InternalIP4Address)}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, nil)
			p := w.newPeer().establish()
			old := p.childSPI
			p.childSPI, p.esp = []byte{0xc0, 0, 0, 2}, espProposals(t, c.esp)
			ps := p.childMessage(old, c.more...)
			for _, x := range ps {
				if sa, ok := x.(*message.SA); ok {
					for i := range sa.Proposals {
						sa.Proposals[i].Number = c.first + uint8(i)
					}
				}
			}
			if c.group != 0 {
				ke, _ := p.ke(c.group)
				ps = append(ps, ke)
			}
			answer := p.request(message.ExchangeCreateChildSA, ps...)
			sa, ke := message.Find[*message.SA](answer), message.Find[*message.KE](answer)
			if sa == nil || len(sa.Proposals) != 1 || sa.Proposals[0].Number != c.first {
				t.Fatalf("answer %s", describe(answer))
			}
			if (ke != nil) != (c.want != 0) || ke != nil && suite.Group(ke.Group) != c.want {
				t.Errorf("KE %v, expected group %s", ke, c.want)
			}
			if len(w.plane.children) != 2 {
				t.Errorf("%d Child SAs, expected old and new", len(w.plane.children))
			}
			wantNotify(t, "rekeying the replaced one", p.request(message.ExchangeCreateChildSA, p.childMessage(old)...), message.TemporaryFailure)
			answer = p.request(message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolESP, SPISize: 4, SPIs: [][]byte{old}})
			if d := message.Find[*message.Delete](answer); d == nil || len(d.SPIs) != 1 {
				t.Errorf("the answer to the DELETE is %s", describe(answer))
			}
			if left := w.plane.only(t); !bytes.Equal(spiOctets(left.Out.SPI), p.childSPI) {
				t.Errorf("the Child SA left has SPI %08x", left.Out.SPI)
			}
			p.wantState("after all that", StateEstablished)
		})
	}
}

func TestCreateChildRefusals(t *testing.T) {
	w := newWorld(t, 1, func(c *Config) { c.Limits.Children = 3 })
	p := w.newPeer().establish()
	good := p.childSPI
	ask := func(why string, want message.NotifyType, ps ...message.Payload) *message.Notify {
		t.Helper()
		n := wantNotify(t, why, p.request(message.ExchangeCreateChildSA, ps...), want)
		w.plane.only(t)
		p.wantState(why, StateEstablished)
		return n
	}
	n := ask("no such Child SA", message.ChildSANotFound, p.childMessage([]byte{1, 2, 3, 4})...)
	if !bytes.Equal(n.SPI, []byte{1, 2, 3, 4}) || n.Protocol != message.ProtocolESP {
		t.Errorf("CHILD_SA_NOT_FOUND names %v %x", n.Protocol, n.SPI)
	}
	p.esp = suite.Proposals{{Protocol: message.ProtocolESP, Transforms: []message.Transform{
		{Type: message.TransformENCR, ID: 3}, {Type: message.TransformINTEG, ID: 2}, // 3DES with HMAC-SHA1
	}}}
	ask("nothing acceptable", message.NoProposalChosen, p.childMessage(good)...)
	p.esp = espProposals(t, "aes256-sha256-x25519-noesn")
	ke, _ := p.ke(suite.ECP384)
	n = ask("a group of no proposal", message.InvalidKEPayload, p.childMessage(good, ke)...)
	if !bytes.Equal(n.Data, []byte{0, byte(suite.X25519)}) {
		t.Errorf("INVALID_KE_PAYLOAD names %x", n.Data)
	}
	p.esp = espProposals(t, "aes256-sha256-noesn")
	foreign := []message.Selector{message.SelectorOf(netip.MustParsePrefix("172.16.0.0/12"))}
	ps := p.childMessage(nil)
	for _, x := range ps {
		if ts, ok := x.(*message.TS); ok && !ts.Responder {
			ts.Selectors = foreign
		}
	}
	ask("another's addresses", message.TSUnacceptable, ps...)
	for i := range 2 {
		p.childSPI = []byte{0xc0, 0, 0, byte(10 + i)}
		if answer := p.request(message.ExchangeCreateChildSA, p.childMessage(nil)...); message.FindTS(answer, true) == nil {
			t.Fatalf("a further Child SA: %s", describe(answer))
		}
	}
	wantNotify(t, "one too many", p.request(message.ExchangeCreateChildSA, p.childMessage(nil)...), message.NoAdditionalSAs)
	for _, r := range w.refusals() {
		if r.Cause == "" || r.Text == "" || r.User != "alice" {
			t.Errorf("refusal %+v", r)
		}
	}
}

func TestIKERekeyHandsTheSessionOn(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.newPeer().establish()
	old, before := *p, w.plane.only(t)
	next := message.SPI{8, 8, 8, 8, 8, 8, 8, 8}
	rekey := func(spi []byte, g suite.Group, pair *suite.KeyPair) []message.Payload {
		offer := suite.Proposals{p.suite.Proposal()}.Offer(spi)
		offer[0].Number = 3
		ke, kp := p.ke(g)
		if pair != nil {
			*pair = kp
		}
		return []message.Payload{&message.SA{Proposals: offer}, &message.Nonce{Data: p.ni}, ke}
	}
	wantNotify(t, "another group", p.request(message.ExchangeCreateChildSA, rekey(next[:], suite.ECP256, nil)...), message.InvalidKEPayload)
	var pair suite.KeyPair
	answer := p.request(message.ExchangeCreateChildSA, rekey(next[:], p.suite.Group, &pair)...)
	sa, ke, nonce := message.Find[*message.SA](answer), message.Find[*message.KE](answer), message.Find[*message.Nonce](answer)
	if sa == nil || ke == nil || nonce == nil || sa.Proposals[0].Number != 3 {
		t.Fatalf("answer %s", describe(answer))
	}
	p.wantState("the old IKE SA", StateReplaced)
	shared, err := pair.Shared(ke.Data)
	if err != nil {
		t.Fatal(err)
	}
	p.spii, p.spir, p.id = next, message.SPI(sa.Proposals[0].SPI), 0
	p.use(p.suite.DeriveRekey(p.suite.PRF, old.keys.D, shared, p.ni, nonce.Data, p.spii, p.spir))
	p.wantState("the new IKE SA", StateEstablished)
	if answer := p.request(message.ExchangeInformational); len(answer) != 0 || p.id != 1 {
		t.Errorf("liveness on the new IKE SA: %s", describe(answer))
	}
	if after := w.plane.only(t); after.ID != before.ID {
		t.Error("the Child SA was not inherited")
	}
	late := old.childMessage(old.childSPI)
	old.id += 2
	w.peers = append(w.peers, &old)
	wantNotify(t, "a Child rekey on the old IKE SA", old.request(message.ExchangeCreateChildSA, late...), message.TemporaryFailure)
	old.request(message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolIKE})
	if w.count(EventDown) != 0 || len(w.plane.children) != 1 {
		t.Error("deleting the old IKE SA ended the session")
	}
	p.childSPI = []byte{0xc0, 0, 0, 9}
	if answer := p.request(message.ExchangeCreateChildSA, p.childMessage(old.childSPI)...); message.FindTS(answer, true) == nil {
		t.Errorf("Child rekey on the new IKE SA: %s", describe(answer))
	}
	p.request(message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolIKE})
	w.run(time.Minute, nil)
	if w.count(EventDown) != 1 || w.count(EventUp) != 1 {
		t.Errorf("%d sessions up, %d down", w.count(EventUp), w.count(EventDown))
	}
	w.mustBeEmpty()
}

func TestOldIKESAGoesAlsoWithoutDelete(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.newPeer().establish()
	offer := suite.Proposals{p.suite.Proposal()}.Offer([]byte{8, 8, 8, 8, 8, 8, 8, 8})
	ke, _ := p.ke(p.suite.Group)
	p.request(message.ExchangeCreateChildSA, &message.SA{Proposals: offer}, &message.Nonce{Data: p.ni}, ke)
	w.run(2*time.Minute, nil)
	if n := len(w.gateway.reg.sas); n != 1 {
		t.Errorf("%d IKE SAs, expected the new one alone", n)
	}
	if w.count(EventDown) != 0 {
		t.Error("the session ended")
	}
}

// A request that is not well formed ends the SA at both ends without a DELETE
// (RFC 7296 §2.21.3); an unknown critical payload does not.
func TestFaultsOfAnEstablishedClient(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.newPeer().establish()
	n := wantNotify(t, "critical payload", p.request(message.ExchangeInformational, &message.Unknown{Kind: 201, Critical: true}), message.UnsupportedCriticalPayload)
	if !bytes.Equal(n.Data, []byte{201}) {
		t.Errorf("the notification names %v", n.Data)
	}
	p.wantState("after it", StateEstablished)
	if answer := p.request(message.ExchangeInformational, &message.Unknown{Kind: 201}, status(40000, []byte("whatever"))); len(answer) != 0 {
		t.Errorf("unknown things were answered with %s", describe(answer))
	}
	if answer := p.request(message.ExchangeAuth, p.proof()); answer != nil {
		t.Errorf("another IKE_AUTH was answered with %s", describe(answer))
	}
}

func TestFatalFaultsOfAnEstablishedClient(t *testing.T) {
	with := func(spi []byte, more ...message.Payload) func(*peer) []message.Payload {
		return func(p *peer) []message.Payload {
			p.childSPI = spi
			return p.childMessage(nil, more...)
		}
	}
	for _, c := range []struct {
		name  string
		ask   func(p *peer) []message.Payload
		cause Cause
	}{
		{"no nonce", (*peer).child, CauseInvalidSyntax},
		{"no traffic selectors", func(p *peer) []message.Payload { return p.childMessage(nil)[:2] }, CauseNoChildAsked},
		{"a public value of zeros", func(p *peer) []message.Payload {
			p.childSPI, p.esp = []byte{0xc0, 0, 0, 2}, espProposals(t, "aes256-sha256-x25519-noesn")
			return p.childMessage(nil, &message.KE{Group: uint16(suite.X25519), Data: make([]byte, 32)})
		}, CausePublicValue},
		{"SPI zero", with([]byte{0, 0, 0, 0}), CauseInvalidSyntax},
		{"a reserved SPI", with([]byte{0, 0, 0, 255}), CauseInvalidSyntax},
		{"the SPI of its other Child SA", with([]byte{0xc0, 0, 0, 1}), CauseInvalidSyntax},
		{"an IKE SA rekey with SPI zero", func(p *peer) []message.Payload {
			ke, _ := p.ke(p.suite.Group)
			return []message.Payload{&message.SA{Proposals: suite.Proposals{p.suite.Proposal()}.Offer(make([]byte, 8))}, &message.Nonce{Data: p.ni}, ke}
		}, CauseInvalidSyntax},
		{"an IKE SA rekey without KE", func(p *peer) []message.Payload {
			return []message.Payload{&message.SA{Proposals: suite.Proposals{p.suite.Proposal()}.Offer(p.ni[:8])}, &message.Nonce{Data: p.ni}}
		}, CauseInvalidSyntax},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, nil)
			p := w.newPeer().establish()
			wantNotify(t, c.name, p.request(message.ExchangeCreateChildSA, c.ask(p)...), message.InvalidSyntax)
			p.wantState(c.name, StateRefused)
			w.run(time.Minute, nil)
			if w.count(EventDown) != 1 || w.lastEvent().Cause != c.cause {
				t.Errorf("last event %+v", w.lastEvent())
			}
			w.mustBeEmpty()
		})
	}
}

// What a client asks beyond all need is put off, so that its old IKE SAs,
// reports and lines in the log stay few.
func TestGreedyClientIsRationed(t *testing.T) {
	var notes []Note
	w := newWorld(t, 1, nil)
	p := w.newPeer().establish()
	w.notes = &notes
	ask := func(x message.ExchangeType, ps ...message.Payload) {
		p.deliver(true, datagram(p, p.seal(x, 0, p.id, ps, 0)[0]))
		p.id++
	}
	for range 200 { // at once
		ask(message.ExchangeCreateChildSA, p.childMessage([]byte{9, 9, 9, 9})...)
		ask(message.ExchangeInformational, status(message.MSStatus, []byte{0, 0, 1, 2}))
	}
	if got, want := w.counter(ExchangesRationed), 200-uint64(rationSession.burst)/2; got != want || len(notes) != int(rationSession.burst)/2 {
		t.Errorf("%d of 200 were put off, expected %d; %d lines were logged", got, want, len(notes))
	}
	w.run(time.Minute, nil)
	wantNotify(t, "after a while", p.request(message.ExchangeCreateChildSA, p.childMessage([]byte{9, 9, 9, 9})...), message.ChildSANotFound)
}

// A login that gave no Child SA is no session: nothing may be made of it that
// no event tells of.
func TestNothingComesOfALoginWithoutChildSA(t *testing.T) {
	w := newWorld(t, 1, func(c *Config) { c.LocalSubnets = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	p := w.newPeer().init().throughEAP()
	p.sa().login.child.tsr.Selectors = selectors("172.16.0.0/12")
	wantNotify(t, "the login", p.prove(), message.TSUnacceptable)
	p.childSPI = []byte{0xc0, 0, 0, 2}
	wantNotify(t, "a Child SA now", p.request(message.ExchangeCreateChildSA, p.childMessage(nil)...), message.TemporaryFailure)
	ke, _ := p.ke(p.suite.Group)
	offer := suite.Proposals{p.suite.Proposal()}.Offer([]byte{8, 8, 8, 8, 8, 8, 8, 8})
	wantNotify(t, "another IKE SA", p.request(message.ExchangeCreateChildSA, &message.SA{Proposals: offer}, &message.Nonce{Data: p.ni}, ke), message.TemporaryFailure)
	w.run(3*time.Minute, nil)
	w.mustBeEmpty()
}
