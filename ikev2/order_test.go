package ikev2

import (
	"net/netip"
	"testing"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/lease"
	"bridgehead/ikev2/message"
)

// A client that has deleted its Child SA is watched all the same; what other
// clients send is no sign of its life.
func TestLivenessWithoutChildSA(t *testing.T) {
	w := newWorld(t, 1, func(c *Config) { c.Timers.DPD = 10 * time.Minute })
	other := w.newDevice(nil).mustLogin()
	busy := w.plane.only(t).ID
	p := w.newPeer().establish()
	p.request(message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolESP, SPISize: 4, SPIs: [][]byte{p.childSPI}})
	for range 15 {
		w.plane.usage[busy] = esp.Usage{LastIn: w.now, PacketsIn: 5}
		w.run(time.Minute, nil)
	}
	if len(p.heard) == 0 {
		t.Error("the client without a Child SA was not asked for a sign of life")
	}
	if ev := w.lastEvent(); ev.Cause != CauseLostCarrier || ev.Session.Identity != "alice.example.org" {
		t.Errorf("last event %+v", ev)
	}
	if other.closed {
		t.Error("the other client lost its session")
	}
}

// Of two moves in quick succession the later wins, whichever job ends first,
// and a Child SA that was being installed goes along.
func TestMovesInQuickSuccession(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.newPeer().init()
	p.sa().nat.client = true
	p.throughEAP().prove()
	p.echo = faithful
	waits := []time.Duration{3 * time.Second, time.Second, 2 * time.Second}
	w.jobTime = func() (time.Duration, time.Duration) {
		next := waits[0]
		waits = append(waits[1:], time.Millisecond)
		return next, 0
	}
	move := func(to string, x message.ExchangeType, ps ...message.Payload) {
		p.from = netip.MustParseAddrPort(to)
		p.deliver(true, datagram(p, p.seal(x, 0, p.id, ps, 0)[0]))
		p.id++
	}
	move("198.51.100.201:4500", message.ExchangeInformational)
	old := p.childSPI
	p.childSPI = []byte{0xc0, 0, 0, 2}
	move("198.51.100.202:4500", message.ExchangeCreateChildSA, p.childMessage(old)...)
	w.run(time.Minute, nil)
	if len(w.plane.children) != 2 {
		t.Fatalf("%d Child SAs", len(w.plane.children))
	}
	for _, c := range w.plane.children {
		if c.Path.Remote != p.from {
			t.Errorf("a Child SA sends to %s, the client is at %s", c.Path.Remote, p.from)
		}
	}
}

// An address is nobody else's while a Child SA of its last session may still
// be on its way into the data plane or out of it.
func TestLeaseOutlivesItsChildSAs(t *testing.T) {
	for name, begin := range map[string]func(p *peer) []byte{
		"installing": func(p *peer) []byte {
			return p.throughEAP().seal(message.ExchangeAuth, 0, p.id, []message.Payload{p.proof()}, 0)[0]
		},
		"removing": func(p *peer) []byte {
			p.throughEAP().prove()
			d := &message.Delete{Protocol: message.ProtocolESP, SPISize: 4, SPIs: [][]byte{p.childSPI}}
			return p.seal(message.ExchangeInformational, 0, p.id, []message.Payload{d}, 0)[0]
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, nil)
			p := w.newPeer().init()
			last := begin(p)
			w.jobTime = func() (time.Duration, time.Duration) {
				if p.sa().session.busy > 0 {
					return time.Minute, 0
				}
				return time.Millisecond, 0
			}
			p.deliver(true, datagram(p, last))
			w.run(time.Second, nil)
			w.jobTime = func() (time.Duration, time.Duration) { return time.Millisecond, 0 }
			w.gateway.disconnect(w.now, CauseOperator, Selector{All: true}.matches)
			w.flush()
			w.run(time.Second, nil)
			if w.gateway.cfg.Leases.(*lease.Pools).Usage()[0].Held == 0 {
				t.Error("the address was free before the Child SA was gone")
			}
			w.run(5*time.Minute, nil)
			w.mustBeEmpty()
		})
	}
}
