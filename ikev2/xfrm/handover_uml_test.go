//go:build uml

package xfrm

import "testing"

// TestKernelKeepsTheLimit: a state that sends and is then limited protects
// exactly so many packets more, of which the last has the number that Move
// reckons with.
func TestKernelKeepsTheLimit(t *testing.T) {
	const more = 4
	p := newPair(t)
	p.install(p.child(1, gcmESN, pairPath(false, false, 8)))
	must(t, <-p.ping(3))
	c := p.gateway.children[1]
	_, sent, err := p.gateway.read(c)
	must(t, err)
	limited := c.outbound(c.Path)
	limited.hardLimit = sent.packets + more
	answers, err := p.gateway.link.do([]request{newState(limited, true)})
	must(t, err)
	must(t, answers[0].err)
	if err := <-p.ping(5); err == nil {
		t.Error("more than the limit went through")
	}
	in, _, err := p.client.read(p.client.children[1])
	must(t, err)
	if in.packets != sent.packets+more || in.replay.received != sent.replay.sent+more {
		t.Errorf("after %d packets, limited to %d more, the peer has %d and number %d", sent.packets, more, in.packets, in.replay.received)
	}
}

// TestKernelEndsWhatPassedItsLimit: a state that has sent more than it may when
// the limit is set sends no more, and its successor begins after all of it.
func TestKernelEndsWhatPassedItsLimit(t *testing.T) {
	p := newPair(t)
	p.install(p.child(1, gcmESN, pairPath(false, false, 8)))
	c := p.gateway.children[1]
	_, before, err := p.gateway.read(c)
	must(t, err)
	must(t, <-p.ping(handoverPackets)) // of each family
	last, err := p.gateway.limit(c.outbound(c.Path), before)
	must(t, err)
	if err := <-p.ping(3); err == nil {
		t.Error("it sends on")
	}
	in, _, err := p.client.read(p.client.children[1])
	must(t, err)
	if last.packets != 2*handoverPackets || in.packets != last.packets || in.replay.received > last.replay.sent {
		t.Errorf("the peer has %d packets and number %d, the successor begins after %d and %d packets",
			in.packets, in.replay.received, last.replay.sent, last.packets)
	}
}
