package ikev2

import (
	"testing"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
)

// With dead peer detection after 2400 s and no rekeying of its own, as road
// warriors' gateways are commonly set up, a gateway leaves a client alone for
// more than a day: what it says are signs of life it asks for, in idle hours
// alone. It answers the client's rekeys meanwhile, and clears a dead one.
func TestADayWithoutRekeying(t *testing.T) {
	const dpd = 2400 * time.Second
	w := newWorld(t, 1, func(c *Config) { c.Timers.DPD = dpd })
	p := w.newPeer().establish()
	idle := func() {
		t.Helper()
		w.run(dpd-2*time.Second, nil)
		if len(p.heard) > 0 {
			t.Fatalf("asked before it was time, after %s", w.now.Sub(epoch))
		}
		w.run(4*time.Second, nil)
		if ps := p.receivedRequest("2400 s of silence", true); len(ps) > 0 {
			t.Fatalf("after %s the gateway says %s", w.now.Sub(epoch), describe(ps))
		}
	}
	for w.now.Sub(epoch) < 26*time.Hour {
		idle()
	}
	child := w.plane.only(t).ID
	for w.now.Sub(epoch) < 52*time.Hour {
		w.plane.usage[child] = esp.Usage{PacketsIn: uint64(w.now.Unix()), LastIn: w.now, OutboundRemaining: freshNumbers}
		w.run(30*time.Minute, nil)
		if len(p.heard) > 0 {
			t.Fatalf("asked although traffic flowed, after %s", w.now.Sub(epoch))
		}
	}
	old := p.childSPI
	p.childSPI = []byte{0xc0, 0, 0, 2}
	if answer := p.request(message.ExchangeCreateChildSA, p.childMessage(old)...); message.Find[*message.SA](answer) == nil {
		t.Errorf("the client's rekey is answered with %s", describe(answer))
	}
	p.request(message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolESP, SPISize: 4, SPIs: [][]byte{old}})
	p.heard = nil // the answers
	idle()
	p.wantState("on the third day", StateEstablished)
	w.run(dpd+2*time.Minute, nil)
	if ev := w.lastEvent(); ev.Kind != EventDown || ev.Cause != CauseLostCarrier {
		t.Errorf("last event %+v", ev)
	}
	w.mustBeEmpty()
}
