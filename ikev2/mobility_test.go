package ikev2

import (
	"bytes"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/transport"
)

// echo gives the answer to a check of the path; nil: none.
type echo func(check []message.Payload) []message.Payload

// faithful copies the cookie.
func faithful(check []message.Payload) []message.Payload {
	if n := message.FindNotify(check, message.Cookie2); n != nil {
		return []message.Payload{n}
	}
	return []message.Payload{}
}

// answersCheck takes an INFORMATIONAL request of the gateway off the wire, if
// the peer echoes, and answers it by the way it came.
func (p *peer) answersCheck(d transport.Datagram) bool {
	p.Helper()
	m := p.parse(d.Data)
	if p.echo == nil || m.Header.IsResponse() || m.Header.Exchange != message.ExchangeInformational {
		return false
	}
	if answer := p.echo(p.open([][]byte{d.Data}, 0, m.Header.MessageID)); answer != nil {
		for _, data := range p.seal(m.Header.Exchange, message.FlagResponse, m.Header.MessageID, answer, 0) {
			p.carry(true, transport.Datagram{Data: bytes.Clone(data), Local: d.Local, Remote: d.Remote})
		}
	}
	return true
}

var (
	awayV4   = netip.MustParseAddrPort("203.0.113.77:4500")
	awayV6   = netip.MustParseAddrPort("[2001:db8:aa::77]:4500")
	behindV4 = netip.MustParseAddrPort("192.168.1.2:4500") // what a NAT hides
)

// mobile is a client that is logged in, with MOBIKE.
func (w *world) mobile() *peer {
	w.Helper()
	p := w.newPeer()
	p.asks = append(p.asks, status(message.MOBIKESupported, nil))
	p.echo = faithful
	return p.establish()
}

// to has the client be elsewhere; the gateway's address follows its family.
func (p *peer) goTo(to netip.AddrPort) *peer {
	p.from = to
	p.to = netip.AddrPortFrom(gatewayV4, 4500)
	if to.Addr().Is6() {
		p.to = netip.AddrPortFrom(gatewayV6, 4500)
	}
	return p
}

// natd is NAT detection by a client that takes itself for at.
func (p *peer) natd(at netip.AddrPort) []message.Payload {
	source, destination := exchange.NATHash(p.spii, p.spir, at), exchange.NATHash(p.spii, p.spir, p.to)
	return []message.Payload{status(message.NATDetectionSourceIP, source[:]), status(message.NATDetectionDestinationIP, destination[:])}
}

// update says where the client is now, which takes itself for at.
func (p *peer) update(at netip.AddrPort, more ...message.Payload) []message.Payload {
	p.Helper()
	ps := append([]message.Payload{status(message.UpdateSAAddresses, nil)}, p.natd(at)...)
	return p.request(message.ExchangeInformational, append(ps, more...)...)
}

// wantPath checks where the Child SAs send to.
func (p *peer) wantPath(why string, remote netip.AddrPort, encap bool) {
	p.Helper()
	for _, c := range p.plane.children {
		if c.Path.Remote != remote || c.Path.Encap != encap || c.Path.Local != p.gatewayAt(remote) {
			p.Errorf("%s: a Child SA sends %s, expected to %s, encapsulated %v", why, c.Path, remote, encap)
		}
	}
}

func (p *peer) gatewayAt(remote netip.AddrPort) netip.AddrPort {
	if remote.Addr().Is6() {
		return netip.AddrPortFrom(gatewayV6, 4500)
	}
	return netip.AddrPortFrom(gatewayV4, 4500)
}

// gatewayNAT tells whether an answer shows a NAT to a client that takes itself
// for at: in front of the gateway, and in front of itself.
func (p *peer) natSeen(answer []message.Payload, at netip.AddrPort) (gateway, client bool) {
	p.Helper()
	source, destination := exchange.NATHash(p.spii, p.spir, p.to), exchange.NATHash(p.spii, p.spir, at)
	return !bytes.Equal(wantNotify(p, "NAT detection", answer, message.NATDetectionSourceIP).Data, source[:]),
		!bytes.Equal(wantNotify(p, "NAT detection", answer, message.NATDetectionDestinationIP).Data, destination[:])
}

func TestMOBIKEAnnounced(t *testing.T) {
	others := []netip.Addr{gatewayV4, gatewayV6, netip.MustParseAddr("203.0.113.2")}
	for _, c := range []struct {
		name         string
		client, off  bool
		addresses    []netip.Addr
		mobike, none bool
		additional   []netip.Addr
	}{
		{name: "by both", client: true, mobike: true},
		{name: "switched off", client: true, off: true, addresses: others},
		{name: "not by the client", addresses: others},
		{name: "other addresses", client: true, addresses: others, mobike: true, additional: others[1:]},
		{name: "no other address", client: true, addresses: others[:1], mobike: true, none: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, func(cfg *Config) { cfg.NoMOBIKE, cfg.Addresses = c.off, c.addresses })
			p := w.newPeer()
			if c.client {
				p.asks = append(p.asks, status(message.MOBIKESupported, []byte("ignored")))
			}
			answer := p.init().throughEAP().prove()
			list, _ := readAdditional(answer)
			if got := message.FindNotify(answer, message.MOBIKESupported) != nil; got != c.mobike || p.sa().mobike != c.mobike {
				t.Errorf("announced %v", got)
			}
			if none := message.FindNotify(answer, message.NoAdditionalAddresses) != nil; none != c.none || !slices.Equal(list, c.additional) {
				t.Errorf("additional addresses %v, none %v", list, none)
			}
		})
	}
}

// The Child SAs follow an UPDATE_SA_ADDRESSES once the client has proved that
// it receives what is sent there, over either family, with NATs coming and
// going; all that the session holds stays.
func TestMoves(t *testing.T) {
	for _, c := range []struct {
		name         string
		force        bool // announce a NAT over IPv4
		home, homeAt netip.AddrPort
		away, awayAt netip.AddrPort // as the gateway sees it, as the client does
		before, then bool           // encapsulated
	}{
		{"v4 to v4", false, netip.MustParseAddrPort("198.51.100.200:4500"), netip.AddrPort{}, awayV4, awayV4, false, false},
		{"v4 to v4, a NAT announced", true, netip.MustParseAddrPort("198.51.100.200:4500"), netip.AddrPort{}, awayV4, awayV4, true, true},
		{"v4 to v6", false, netip.MustParseAddrPort("198.51.100.200:4500"), netip.AddrPort{}, awayV6, awayV6, false, false},
		{"v4 to v6, a NAT announced over v4", true, netip.MustParseAddrPort("198.51.100.200:4500"), netip.AddrPort{}, awayV6, awayV6, true, false},
		{"v6 to v4", false, netip.MustParseAddrPort("[2001:db8:aa::1]:4500"), netip.AddrPort{}, awayV4, awayV4, false, false},
		{"v6 to v4, a NAT announced over v4", true, netip.MustParseAddrPort("[2001:db8:aa::1]:4500"), netip.AddrPort{}, awayV4, awayV4, false, true},
		{"a NAT appears", false, netip.MustParseAddrPort("198.51.100.200:4500"), netip.AddrPort{}, netip.MustParseAddrPort("203.0.113.77:31000"), behindV4, false, true},
		{"a NAT vanishes", false, netip.MustParseAddrPort("198.51.100.200:4500"), behindV4, awayV4, awayV4, true, false},
		{"from NAT to NAT", false, netip.MustParseAddrPort("198.51.100.200:4500"), behindV4, netip.MustParseAddrPort("203.0.113.77:31000"), behindV4, true, true},
		{"a NAT appears at the same address", false, netip.MustParseAddrPort("198.51.100.200:4500"), netip.AddrPort{}, netip.MustParseAddrPort("198.51.100.200:4500"), behindV4, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, func(cfg *Config) { cfg.ForceEncapIPv4 = c.force })
			p := w.newPeer()
			p.asks = append(p.asks, status(message.MOBIKESupported, nil))
			p.goTo(c.home)
			if c.homeAt.IsValid() {
				p.self = c.homeAt
			}
			p.establish()
			p.wantPath("after the login", c.home, c.before)
			before, session := p.sa().session.lease, p.sa().session.id
			answer := p.goTo(c.away).update(c.awayAt)
			gateway, client := p.natSeen(answer, c.awayAt)
			if gateway != (c.force && c.away.Addr().Is4()) || client != (c.awayAt != c.away) {
				t.Errorf("the answer shows a NAT at the gateway %v, at the client %v", gateway, client)
			}
			if c.home != c.away {
				p.wantPath("before the proof", c.home, c.before)
				if w.count(EventMoved) != 0 {
					t.Error("moved before the proof")
				}
				p.echo = faithful
				w.run(5*time.Second, nil)
			}
			p.wantPath("after the proof", c.away, c.then)
			if info := p.sa().info(); info.Remote != c.away || info.Encap != c.then || info.ID != session || !reflect.DeepEqual(p.sa().session.lease, before) {
				t.Errorf("session %+v", info)
			}
			if ev := w.lastEvent(); ev.Kind != EventMoved || ev.Session.Remote != c.away || ev.Detail == "" || w.counter(Moved) != 1 {
				t.Errorf("last event %+v, %d moves", ev, w.counter(Moved))
			}
			p.afterwards()
		})
	}
}

// afterwards rekeys and ends a session that has moved: all must run over the
// new path.
func (p *peer) afterwards() {
	p.Helper()
	remote, encap := p.from, p.sa().nat.encap()
	old := p.childSPI
	p.childSPI = []byte{0xc0, 0, 0, 2}
	wantPayload := p.request(message.ExchangeCreateChildSA, p.childMessage(old)...)
	if message.Find[*message.SA](wantPayload) == nil {
		p.Fatalf("the Child SA was not rekeyed: %s", describe(wantPayload))
	}
	p.request(message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolESP, SPISize: 4, SPIs: [][]byte{old}})
	p.run(time.Second, nil)
	p.wantPath("the rekeyed Child SA", remote, encap)
	p.request(message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolIKE})
	p.run(time.Minute, nil)
	p.mustBeEmpty()
}

// A move counts as a sign of life.
func TestMoveResetsLiveness(t *testing.T) {
	w := newWorld(t, 1, func(c *Config) { c.Timers.DPD = 10 * time.Minute })
	p := w.mobile()
	w.run(9*time.Minute, nil)
	p.goTo(awayV4).update(awayV4)
	p.echo, p.heard = nil, nil
	w.run(9*time.Minute, nil)
	if len(p.heard) != 0 {
		t.Error("asked for life 9 minutes after a move")
	}
	w.run(2*time.Minute, nil)
	if len(p.heard) == 0 {
		t.Error("not asked for life 11 minutes after a move")
	}
}

func TestCookie2(t *testing.T) {
	for _, n := range []int{0, 7, 8, 64, 65} {
		w := newWorld(t, 1, nil)
		p := w.mobile()
		answer := p.request(message.ExchangeInformational, status(message.Cookie2, bytes.Repeat([]byte{7}, n)))
		if n < 8 || n > 64 {
			wantNotify(t, "a cookie of a wrong length", answer, message.InvalidSyntax)
			p.wantState("not well formed", StateRefused)
			continue
		}
		if got := wantNotify(t, "a cookie", answer, message.Cookie2); len(got.Data) != n || len(answer) != 1 {
			t.Errorf("answered with %s of %d octets, sent %d", describe(answer), len(got.Data), n)
		}
	}
}

// What the gateway cannot use, or the client forbids, changes nothing.
func TestMovesRefused(t *testing.T) {
	noNATs := func(from, to netip.AddrPort) message.Payload {
		return status(message.NoNATsAllowed, appendNoNATs(nil, from, to))
	}
	gateway := netip.AddrPortFrom(gatewayV4, 4500)
	for _, c := range []struct {
		name   string
		mobike bool
		to     netip.AddrPort
		at     netip.AddrPort
		onIKE  bool
		more   []message.Payload
		want   message.NotifyType // 0: no refusal, but no move either
	}{
		{"no MOBIKE", false, awayV4, awayV4, false, nil, 0},
		{"multicast", true, netip.MustParseAddrPort("224.0.0.1:4500"), awayV4, false, nil, message.UnacceptableAddresses},
		{"broadcast", true, netip.MustParseAddrPort("255.255.255.255:4500"), awayV4, false, nil, message.UnacceptableAddresses},
		{"port 0", true, netip.MustParseAddrPort("203.0.113.77:0"), awayV4, false, nil, message.UnacceptableAddresses},
		{"its own inner address", true, netip.MustParseAddrPort("192.0.2.1:4500"), awayV4, false, nil, message.UnacceptableAddresses},
		{"a NAT on port 500", true, netip.MustParseAddrPort("203.0.113.77:500"), behindV4, true, nil, message.UnacceptableAddresses},
		{"a forbidden NAT", true, awayV4, awayV4, false, []message.Payload{noNATs(behindV4, gateway)}, message.UnexpectedNATDetected},
		{"a forbidden NAT here", true, awayV4, awayV4, false, []message.Payload{noNATs(awayV4, netip.MustParseAddrPort("10.0.0.1:4500"))}, message.UnexpectedNATDetected},
		{"nonsense", true, awayV4, awayV4, false, []message.Payload{status(message.NoNATsAllowed, []byte{1})}, message.UnexpectedNATDetected},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, nil)
			p := w.newPeer()
			if c.mobike {
				p.asks = append(p.asks, status(message.MOBIKESupported, nil))
			}
			p.echo = faithful
			p.establish()
			home := p.from
			if p.sa().session.lease.IPv4 != netip.MustParseAddr("192.0.2.1") {
				t.Fatalf("the inner address is %s", p.sa().session.lease.IPv4)
			}
			p.goTo(c.to)
			if c.onIKE {
				p.to = netip.AddrPortFrom(gatewayV4, 500)
			}
			answer := p.update(c.at, append(c.more, status(message.Cookie2, []byte("eight or more")))...)
			wantNotify(t, c.name, answer, message.Cookie2)
			if c.want != 0 {
				wantNotify(t, c.name, answer, c.want)
			}
			w.run(10*time.Second, nil)
			if p.sa().path.remote != home || w.plane.moves != 0 || w.count(EventMoved) != 0 {
				t.Errorf("the client is now at %s, %d moves", p.sa().path.remote, w.plane.moves)
			}
			if want := uint64(1); c.want != 0 && w.counter(MovesRefused) != want {
				t.Errorf("%d refusals counted", w.counter(MovesRefused))
			}
		})
	}
	t.Run("NO_NATS_ALLOWED that holds", func(t *testing.T) {
		w := newWorld(t, 1, func(c *Config) { c.ForceEncapIPv4 = false })
		p := w.mobile()
		p.goTo(awayV4).request(message.ExchangeInformational, status(message.UpdateSAAddresses, nil), noNATs(awayV4, gateway))
		p.wantPath("no NAT", awayV4, false)
	})
	t.Run("NO_NATS_ALLOWED at the login", func(t *testing.T) {
		w := newWorld(t, 1, nil)
		p := w.newPeer().init()
		p.asks = append(p.asks, noNATs(behindV4, gateway))
		wantNotify(t, "login", p.identify(), message.UnexpectedNATDetected)
		if rs := w.refusals(); len(rs) != 1 || rs[0].Cause != CauseUnexpectedNAT {
			t.Errorf("refusals %s", describeRefusals(rs))
		}
	})
	t.Run("too many", func(t *testing.T) {
		w := newWorld(t, 1, nil)
		p := w.mobile()
		for n := range 200 {
			p.goTo(netip.AddrPortFrom(awayV4.Addr(), uint16(10000+n)))
			ps := append([]message.Payload{status(message.UpdateSAAddresses, nil)}, p.natd(p.from)...)
			p.deliver(true, datagram(p, p.seal(message.ExchangeInformational, 0, p.id, ps, 0)[0]))
			p.id++
			w.run(100*time.Millisecond, nil)
		}
		most := uint64(rationSession.burst + 20*rationSession.perSecond)
		if n := w.counter(MovesRefused); n != 200-most && n != 200-most+1 {
			t.Errorf("%d of 200 moves within 20 seconds were refused", n)
		}
	})
}
