package xfrm

import (
	"testing"
	"time"

	"bridgehead/ikev2/esp"
)

// TestRekeyedLingers: what was rekeyed and removed receives for a while, its
// octets counted once, but not longer than what came after it.
func TestRekeyedLingers(t *testing.T) {
	id := stateID{testPath(1).Local.Addr(), testChild(1, 1).In.SPI}
	begin := func(t *testing.T, linger time.Duration) (*Plane, *fakeKernel) {
		t.Helper()
		p, k := onFake(t, Config{RekeyGrace: -1, Linger: linger})
		must(t, p.Install(t.Context(), testChild(1, 1)))
		must(t, p.Rekey(t.Context(), 1, testChild(2, 1)))
		s := k.states[id]
		s.sent = 3
		k.states[id] = s
		must(t, p.Remove(t.Context(), 1))
		return p, k
	}
	carried := func(t *testing.T, p *Plane, want uint64) {
		t.Helper()
		if in, _, err := p.Carried(t.Context()); err != nil || in != want {
			t.Errorf("%d octets carried, want %d; %v", in, want, err)
		}
	}
	t.Run("its time", func(t *testing.T) {
		p, k := begin(t, time.Hour)
		s, there := k.states[id]
		if !there {
			t.Fatal("it receives no more")
		}
		carried(t, p, 300)
		s.sent = 5
		k.states[id] = s
		if r, err := p.Reconcile(t.Context()); err != nil || r.Removed+r.Restored+len(r.Lost) != 0 {
			t.Errorf("reconciling: %v, %v", r, err)
		}
		p.mu.Lock()
		must(t, p.endLinger(p.inbound[id]))
		p.mu.Unlock()
		if _, there := k.states[id]; there {
			t.Error("it still receives")
		}
		carried(t, p, 500)
	})
	t.Run("its successor goes", func(t *testing.T) {
		p, k := begin(t, time.Hour)
		must(t, p.Remove(t.Context(), 2))
		if len(k.states) != 2 || len(k.policies) != 6 {
			t.Errorf("%d states and %d policies are left", len(k.states)-2, len(k.policies)-6)
		}
		carried(t, p, 300)
	})
	t.Run("its SPI is used again", func(t *testing.T) {
		p, _ := begin(t, time.Hour)
		again := testChild(3, 3)
		again.In.SPI = testChild(1, 1).In.SPI
		must(t, p.Install(t.Context(), again))
		carried(t, p, 300)
	})
	t.Run("few of many", func(t *testing.T) {
		p, k := begin(t, time.Hour)
		const last = 10
		for n := esp.ChildID(2); n < last; n++ {
			must(t, p.Rekey(t.Context(), n, testChild(n+1, 1)))
			must(t, p.Remove(t.Context(), n))
		}
		for n := esp.ChildID(1); n <= last; n++ {
			id := stateID{testPath(1).Local.Addr(), testChild(n, 1).In.SPI}
			if _, there := k.states[id]; there != (n >= last-maxLingering) {
				t.Errorf("%d of %d receives: %v", n, last, there)
			}
		}
		carried(t, p, 300)
		must(t, p.Remove(t.Context(), last))
		if len(k.states) != 2 || len(k.policies) != 6 {
			t.Errorf("%d states and %d policies are left", len(k.states)-2, len(k.policies)-6)
		}
	})
	t.Run("never", func(t *testing.T) {
		p, k := begin(t, -1)
		if _, there := k.states[id]; there {
			t.Error("it receives")
		}
		carried(t, p, 300)
	})
}
