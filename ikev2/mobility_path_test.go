package ikev2

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/transport"
)

// An answer with another cookie than the one sent, or with none, ends the IKE
// SA (RFC 4555 §3.7).
func TestWrongCookie(t *testing.T) {
	for name, wrong := range map[string]echo{
		"another": func([]message.Payload) []message.Payload {
			return []message.Payload{status(message.Cookie2, make([]byte, cookieLen))}
		},
		"none": func([]message.Payload) []message.Payload { return []message.Payload{} },
		"cut off": func(ps []message.Payload) []message.Payload {
			if n := message.FindNotify(ps, message.Cookie2); n != nil {
				return []message.Payload{status(message.Cookie2, n.Data[:cookieLen-1])}
			}
			return []message.Payload{} // the DELETE that follows
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, nil)
			p := w.mobile()
			p.echo = wrong
			p.goTo(awayV4).update(awayV4)
			w.run(time.Minute, nil)
			if ev := w.lastEvent(); ev.Kind != EventDown || ev.Cause != CauseReturnRoutability || w.plane.moves != 0 {
				t.Errorf("last event %+v, %d moves", ev, w.plane.moves)
			}
			w.mustBeEmpty()
		})
	}
	w := newWorld(t, 1, nil)
	p := w.mobile()
	seen := make(map[string]bool)
	p.echo = func(ps []message.Payload) []message.Payload {
		n := message.FindNotify(ps, message.Cookie2)
		if n == nil || len(n.Data) < 16 || seen[string(n.Data)] {
			t.Errorf("the check holds %s, or the same cookie as another", describe(ps))
		}
		seen[string(n.Data)] = true
		return faithful(ps)
	}
	for n := range 5 {
		p.goTo(netip.AddrPortFrom(awayV4.Addr(), uint16(10000+n))).update(p.from)
	}
	if len(seen) != 5 {
		t.Errorf("%d checks of 5 addresses", len(seen))
	}
}

// sent counts what the gateway sends to an address by itself.
func (p *peer) sent(count map[netip.AddrPort]int) {
	p.spy = func(toGateway bool, d transport.Datagram) {
		if m := p.parse(d.Data); !toGateway && !m.Header.IsResponse() {
			count[d.Remote]++
		}
	}
}

// A client that does not answer from its new address keeps its traffic where
// it answers; few datagrams go to an address that nobody proved.
func TestMoveThatIsNotProven(t *testing.T) {
	home := netip.MustParseAddrPort("198.51.100.200:4500")
	t.Run("it answers where it was", func(t *testing.T) {
		w := newWorld(t, 1, nil)
		p := w.mobile()
		count := make(map[netip.AddrPort]int)
		p.sent(count)
		p.echo = nil
		p.goTo(awayV4).update(awayV4)
		p.goTo(home)
		p.echo = faithful
		w.run(2*time.Minute, nil)
		if n := count[awayV4]; n == 0 || n > mostUnproven {
			t.Errorf("%d requests to an address that was not proven", n)
		}
		if p.sa().path.remote != home || w.plane.moves != 0 {
			t.Errorf("the client is at %s, %d moves", p.sa().path.remote, w.plane.moves)
		}
		p.afterwards()
	})
	t.Run("it answers nowhere", func(t *testing.T) {
		w := newWorld(t, 1, nil)
		p := w.mobile()
		count := make(map[netip.AddrPort]int)
		p.sent(count)
		p.echo = nil
		p.goTo(awayV4).update(awayV4)
		p.from = netip.AddrPort{}
		w.run(patience-time.Second, nil)
		if w.count(EventDown) != 0 {
			t.Error("given up within 5 minutes")
		}
		w.run(2*time.Minute, nil)
		if ev := w.lastEvent(); ev.Cause != CauseLostCarrier {
			t.Errorf("last event %+v", ev)
		}
		if n := count[awayV4]; n != mostUnproven || count[home] < n {
			t.Errorf("%d requests to the new address, %d to the old", n, count[home])
		}
		w.mustBeEmpty()
	})
	t.Run("its first answers are lost", func(t *testing.T) {
		w := newWorld(t, 1, nil)
		p := w.mobile()
		lost := 0
		p.echo = func(ps []message.Payload) []message.Payload {
			if lost++; lost <= 2 {
				return nil
			}
			return faithful(ps)
		}
		p.goTo(awayV4).update(awayV4)
		w.run(time.Minute, nil)
		p.wantPath("in the end", awayV4, true)
	})
}

// A request from elsewhere that does not say that the client has moved may try
// a path: it is answered there, with NAT detection if it asks for it, and moves
// nothing (RFC 4555 §3.8, §3.10).
func TestPathTest(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.mobile()
	home := p.from
	p.sa().nat.client = true // else it would not be followed anyway
	p.goTo(netip.MustParseAddrPort("203.0.113.77:31000"))
	answer := p.request(message.ExchangeInformational, p.natd(behindV4)...)
	if gateway, client := p.natSeen(answer, behindV4); !gateway || !client {
		t.Error("the answer shows no NAT")
	}
	w.run(time.Minute, nil)
	if p.sa().path.remote != home || w.plane.moves != 0 {
		t.Error("a path test moved the client")
	}
}

// Neither an outsider nor the replay of an old update moves anything.
func TestForgedAndReplayedUpdates(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.mobile()
	home := p.from
	old := p.seal(message.ExchangeInformational, 0, p.id, append([]message.Payload{status(message.UpdateSAAddresses, nil)}, p.natd(awayV4)...), 0)[0]
	p.goTo(awayV4).raw(old)
	p.id++
	p.wantPath("moved", awayV4, true)
	p.goTo(home).update(home)
	p.wantPath("moved back", home, true)
	moves := w.plane.moves
	for _, data := range [][]byte{old, forged(old, 1), forged(old, 40), forged(old, len(old)-1)} {
		p.goTo(netip.MustParseAddrPort("203.0.113.66:4500")).raw(data)
		w.run(time.Second, nil)
	}
	if p.sa().path.remote != home || w.plane.moves != moves {
		t.Errorf("the client is at %s, %d moves", p.sa().path.remote, w.plane.moves-moves)
	}
	// The latest update again is answered again, and no more.
	last := p.seal(message.ExchangeInformational, 0, p.id, append([]message.Payload{status(message.UpdateSAAddresses, nil)}, p.natd(awayV4)...), 0)[0]
	p.goTo(awayV4).raw(last)
	p.id++
	p.goTo(netip.MustParseAddrPort("203.0.113.66:4500"))
	if answers := p.raw(last); len(answers) != 1 {
		t.Errorf("%d answers to a repetition", len(answers))
	}
	p.wantPath("repeated from elsewhere", awayV4, true)
}

func forged(data []byte, at int) []byte {
	b := bytes.Clone(data)
	b[at] ^= 1
	return b
}

// An address that the client proved a short while ago needs no proof again.
func TestProvenAddressesAreRemembered(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.mobile()
	home := p.from
	p.goTo(awayV4).update(awayV4)
	p.echo = func(ps []message.Payload) []message.Payload { t.Error("checked"); return faithful(ps) }
	p.goTo(home).update(home)
	p.wantPath("back home", home, true)
	checked := 0
	p.echo = func(ps []message.Payload) []message.Payload { checked++; return faithful(ps) }
	w.run(provenFor, nil)
	p.goTo(awayV4).update(awayV4)
	p.wantPath("away again, later", awayV4, true)
	if checked != 1 {
		t.Errorf("checked %d times after %s", checked, provenFor)
	}
}

// What was asked at the old address is asked again at the new one, and the
// check waits for its turn.
func TestMoveWhileARequestIsOutstanding(t *testing.T) {
	w := newWorld(t, 1, func(c *Config) { c.Timers.DPD = 10 * time.Minute })
	p := w.mobile()
	p.echo = nil
	w.run(10*time.Minute+30*time.Second, nil)
	if len(p.heard) == 0 {
		t.Fatal("not asked for life")
	}
	p.echo = faithful
	began := w.now
	p.goTo(awayV4).update(awayV4)
	p.wantPath("moved", awayV4, true)
	if took := w.now.Sub(began); took > 2*time.Second {
		t.Errorf("took %s", took)
	}
	p.afterwards()
}

// A further move before the first is proven: the later counts.
func TestMoveAgainBeforeTheProof(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.mobile()
	p.echo = nil
	p.goTo(awayV4).update(awayV4)
	p.echo = faithful
	p.goTo(awayV6).update(awayV6)
	w.run(time.Second, nil)
	p.wantPath("moved twice", awayV6, false)
	if w.count(EventMoved) != 1 {
		t.Errorf("%d moves reported", w.count(EventMoved))
	}
	// And back before the proof: nothing needs one.
	p.echo = nil
	p.goTo(awayV4).update(awayV4)
	p.goTo(awayV6).update(awayV6)
	p.wantPath("never moved", awayV6, false)
	p.echo = faithful
	w.run(10*time.Second, nil)
	p.wantPath("never moved, and the check answered", awayV6, false)
	p.afterwards()
}

func (w *world) rebind(t *testing.T, remote netip.AddrPort) {
	t.Helper()
	w.gateway.tellChild(w.now, w.plane.only(t).ID, Rebound{w.plane.only(t).ID, remote})
	w.flush()
	w.run(time.Second, nil)
}

// A client behind a NAT is followed to where its ESP packets come from, once
// it has answered there, with MOBIKE or without.
func TestRebound(t *testing.T) {
	remapped := netip.MustParseAddrPort("198.51.100.200:31001")
	for _, mobike := range []bool{true, false} {
		for _, nat := range []bool{true, false} {
			w := newWorld(t, 1, nil)
			p := w.newPeer()
			if mobike {
				p.asks = append(p.asks, status(message.MOBIKESupported, nil))
			}
			if nat {
				p.self = behindV4
			}
			p.establish()
			home := p.from
			p.from = remapped
			w.rebind(t, remapped)
			p.wantPath("before the proof", home, true)
			p.echo = faithful
			w.run(5*time.Second, nil)
			want := home
			if nat {
				want = remapped
			}
			p.wantPath("in the end", want, true)
			if moved := w.count(EventMoved) == 1; moved != nat || p.sa().path.remote != want {
				t.Errorf("MOBIKE %v, NAT %v: moved %v, now at %s", mobike, nat, moved, p.sa().path.remote)
			}
		}
	}
}

func TestReboundThatMovesNothing(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.newPeer()
	p.asks = append(p.asks, status(message.MOBIKESupported, nil))
	p.self, p.echo = behindV4, faithful
	p.establish()
	home := p.from
	for _, to := range []netip.AddrPort{home, awayV6, netip.MustParseAddrPort("224.0.0.1:4500"), netip.MustParseAddrPort("198.51.100.200:0")} {
		w.rebind(t, to)
	}
	w.gateway.tellChild(w.now, esp.ChildID(99), Rebound{99, awayV4})
	// Somebody else sends a copy of a packet from elsewhere: the client answers
	// where it is.
	w.rebind(t, netip.MustParseAddrPort("203.0.113.66:4500"))
	w.run(time.Minute, nil)
	if p.sa().path.remote != home || w.plane.moves != 0 || w.count(EventDown) != 0 {
		t.Fatalf("the client is at %s, %d moves, last event %+v", p.sa().path.remote, w.plane.moves, w.lastEvent())
	}
	// Late packets of before a move.
	p.goTo(awayV4).update(behindV4)
	p.wantPath("moved", awayV4, true)
	w.rebind(t, home)
	p.wantPath("a late packet", awayV4, true)
	p.afterwards()
}

// The check of a path survives the rekey of the IKE SA.
func TestRekeyDuringTheCheck(t *testing.T) {
	w := newWorld(t, 1, nil)
	d := w.newRoamer(nil).mustLogin()
	sa := w.newestSA()
	w.wire.tap = func(toGateway bool, data []byte) []byte { // the gateway's own requests are lost
		if h, err := message.ParseHeader(data); err == nil && !toGateway && !h.IsResponse() {
			return nil
		}
		return data
	}
	to := netip.AddrPortFrom(netip.MustParseAddr("198.51.100.99"), 4500)
	d.move(to.Addr())
	w.run(time.Second, nil)
	if sa.mobility == nil || sa.mobility.settled == nil {
		t.Fatal("no check is under way")
	}
	if err := d.command(initiator.RekeyIKE{}); err != nil {
		t.Fatal(err)
	}
	if next := w.newestSA(); next == sa || next.mobility.settled == nil {
		t.Fatal("the check was lost in the rekey")
	}
	w.wire.tap = nil
	w.run(10*time.Second, nil)
	if c := w.plane.only(t); c.Path.Remote != to {
		t.Errorf("the Child SA sends %s", c.Path)
	}
}

// A client that has fallen silent is looked for at its additional addresses.
func TestAdditionalAddresses(t *testing.T) {
	w := newWorld(t, 1, func(c *Config) { c.Timers.DPD = 10 * time.Minute })
	p := w.mobile()
	extra := netip.MustParseAddr("203.0.113.9")
	v6 := netip.MustParseAddr("2001:db8:aa::9")
	p.request(message.ExchangeInformational, status(message.AdditionalIP4Address, extra.AsSlice()), status(message.AdditionalIP6Address, v6.AsSlice()),
		status(message.AdditionalIP4Address, []byte{224, 0, 0, 1}), status(message.AdditionalIP4Address, []byte{1}))
	if got := p.sa().mobility.additional; !slices.Equal(got, []netip.Addr{extra, v6}) {
		t.Errorf("additional addresses %v", got)
	}
	count := make(map[netip.AddrPort]int)
	p.sent(count)
	home := p.from
	p.from = netip.AddrPortFrom(extra, 4500)
	w.run(12*time.Minute, nil)
	if count[p.from] == 0 || count[home] < triesAlone || count[netip.AddrPortFrom(v6, 4500)] != 0 {
		t.Errorf("asked %v", count)
	}
	if p.sa().path.remote != home || p.sa().requests.Outstanding() {
		t.Error("the answer from elsewhere moved the client, or was not taken")
	}
	p.goTo(home).request(message.ExchangeInformational, status(message.NoAdditionalAddresses, nil))
	if got := p.sa().mobility.additional; len(got) != 0 {
		t.Errorf("additional addresses %v after there are none", got)
	}
}

// What a session carried stays with it, whatever becomes of its Child SAs: some
// clients rekey when they move.
func TestUsageSurvivesRekeys(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.mobile()
	sum := func(usage []esp.Usage) (in uint64) {
		for _, u := range usage {
			in += u.BytesIn
		}
		return in
	}
	for n := range byte(3) {
		w.plane.usage[w.plane.only(t).ID] = esp.Usage{BytesIn: 1000, PacketsIn: 1, LastIn: w.now}
		old := p.childSPI
		p.childSPI = []byte{0xc0, 0, 0, 2 + n}
		p.request(message.ExchangeCreateChildSA, p.childMessage(old)...)
		p.request(message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolESP, SPISize: 4, SPIs: [][]byte{old}})
		if got := sum(w.gateway.sessions()[0].Usage); got != 1000*uint64(n+1) {
			t.Errorf("after rekey %d the session has carried %d octets", n+1, got)
		}
	}
	w.plane.usage[w.plane.only(t).ID] = esp.Usage{BytesIn: 500}
	p.request(message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolIKE})
	w.run(time.Minute, nil)
	if ev := w.lastEvent(); ev.Kind != EventDown || sum(ev.Session.Usage) != 3500 {
		t.Errorf("last event %+v", ev)
	}
}
