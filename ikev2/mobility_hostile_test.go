package ikev2

import (
	"net/netip"
	"testing"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
)

// behindNAT is a client that is logged in from behind a NAT.
func (w *world) behindNAT(mobike bool) *peer {
	w.Helper()
	p := w.newPeer()
	if mobike {
		p.asks = append(p.asks, status(message.MOBIKESupported, nil))
	}
	p.self = behindV4
	return p.establish()
}

// packetFrom has the data plane tell of an authentic packet from elsewhere.
func (p *peer) packetFrom(from netip.AddrPort) {
	id := p.plane.only(p).ID
	p.gateway.tellChild(p.now, id, Rebound{id, from})
	p.flush()
}

// Who relays a client's packets, from another port each time, makes the gateway
// ask now and then whether the client is there, and nothing else: the traffic
// stays, and the client may rekey and move as before.
func TestRelayedPacketsCostTheClientNothing(t *testing.T) {
	for _, mobike := range []bool{true, false} {
		w := newWorld(t, 1, nil)
		p := w.behindNAT(mobike)
		home := p.from
		p.echo = faithful
		asked := make(map[netip.AddrPort]int)
		p.sent(asked)
		for n := range 600 {
			p.packetFrom(netip.AddrPortFrom(awayV4.Addr(), uint16(10000+n)))
			w.run(100*time.Millisecond, nil)
		}
		sum := 0
		for _, n := range asked {
			sum += n
		}
		if most := 3 * int(time.Minute/rebindPause); sum > most {
			t.Errorf("mobike %v: %d requests in a minute, expected at most %d", mobike, sum, most)
		}
		p.wantPath("relayed", home, true)
		if w.plane.moves != 0 || w.count(EventMoved) != 0 {
			t.Errorf("%d moves", w.plane.moves)
		}
		old := p.childSPI
		p.childSPI = []byte{0xc0, 0, 0, 2}
		if answer := p.request(message.ExchangeCreateChildSA, p.childMessage(old)...); message.Find[*message.SA](answer) == nil {
			t.Errorf("mobike %v: the client's rekey is answered with %s", mobike, describe(answer))
		}
		w.run(2*time.Minute, nil)
		if sa := p.sa(); sa.path.remote != home || sa.mobility.settled != nil {
			t.Errorf("mobike %v: the client is sought at %s", mobike, sa.path.remote)
		}
	}
}

// Nobody is followed to an address of the gateway, nor to one inside a tunnel:
// two tunnels that lead into each other would carry a packet for ever.
func TestNoMoveIntoATunnel(t *testing.T) {
	other := netip.MustParseAddr("203.0.113.2")
	for _, to := range []string{"192.0.2.77:4500", "192.0.2.1:4500", "127.0.0.1:4500", "203.0.113.1:4500", "203.0.113.2:31000"} {
		to := netip.MustParseAddrPort(to)
		for name, move := range map[string]func(p *peer){
			"update": func(p *peer) {
				wantNotify(t, to.String(), p.goTo(to).update(behindV4), message.UnacceptableAddresses)
			},
			"packets": func(p *peer) { p.packetFrom(to) },
			"request": func(p *peer) { p.goTo(to).request(message.ExchangeInformational) },
		} {
			w := newWorld(t, 1, func(c *Config) { c.Addresses = []netip.Addr{gatewayV4, other} })
			p := w.behindNAT(name == "update")
			home := p.from
			p.echo = faithful
			move(p)
			w.run(10*time.Second, nil)
			if p.sa().path.remote != home || w.plane.moves != 0 {
				t.Errorf("%s to %s: the client is now at %s, %d moves", name, to, p.sa().path.remote, w.plane.moves)
			}
		}
	}
}

// A client whose NAT has a new mapping, of which neither it nor, by packets,
// the gateway knows, is asked where its last request came from.
func TestSilentClientIsSoughtWhereItLastAsked(t *testing.T) {
	w := newWorld(t, 1, func(c *Config) { c.Timers.DPD = 10 * time.Minute })
	p := w.behindNAT(true)
	mapped := netip.AddrPortFrom(p.from.Addr(), 31000)
	w.plane.usage[w.plane.only(t).ID] = esp.Usage{}
	p.goTo(mapped).request(message.ExchangeInformational)
	asked := make(map[netip.AddrPort]int)
	p.sent(asked)
	w.run(14*time.Minute, nil)
	if asked[mapped] < 2 || asked[mapped] > 20 {
		t.Errorf("it was asked %v", asked)
	}
	if p.sa().path.remote == mapped {
		t.Error("a request that did not say so has moved it")
	}
}

// A Child SA that is rekeyed while a path is being checked sends where the one
// before it does.
func TestRekeyDuringACheckSendsToTheProvenAddress(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.mobile()
	home := p.from
	p.echo = func([]message.Payload) []message.Payload { return nil }
	p.goTo(awayV4).update(awayV4)
	old := p.childSPI
	p.childSPI = []byte{0xc0, 0, 0, 2}
	if answer := p.request(message.ExchangeCreateChildSA, p.childMessage(old)...); message.Find[*message.SA](answer) == nil {
		t.Fatalf("the rekey is answered with %s", describe(answer))
	}
	if len(w.plane.children) != 2 {
		t.Fatalf("%d Child SAs", len(w.plane.children))
	}
	p.wantPath("unproven", home, true)
	p.echo = faithful
	w.run(time.Minute, nil)
	p.wantPath("proven", awayV4, true)
}
