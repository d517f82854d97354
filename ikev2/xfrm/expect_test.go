package xfrm

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"bridgehead/ikev2/esp"
)

// TestExpectedStateIsTheOneKept: a Child SA receives at both of the gateway's
// addresses until it is moved, with all that either has carried, and nothing of
// it stays where it never moves.
func TestExpectedStateIsTheOneKept(t *testing.T) {
	other := func(p esp.Path) esp.Path {
		p.Local, p.Remote, p.Encap = netip.MustParseAddrPort("[2001:db8::1]:4500"), netip.MustParseAddrPort("[2001:db8::9]:4500"), false
		return p
	}
	there := netip.MustParseAddr("2001:db8::1")
	for _, end := range []string{"moved there", "moved there and back", "moved elsewhere", "stays", "removed"} {
		t.Run(end, func(t *testing.T) {
			p, k := onFake(t, Config{RekeyGrace: time.Hour, Linger: time.Hour})
			must(t, p.Install(t.Context(), testChild(1, 1)))
			must(t, p.Expect(t.Context(), 1, testPath(2))) // the same local address
			if len(k.states) != 4 {
				t.Errorf("%d states for a path that needs none of its own", len(k.states))
			}
			id := stateID{there, testChild(1, 1).In.SPI}
			for range 2 { // the second time it is there
				must(t, p.Expect(t.Context(), 1, other(testPath(1))))
			}
			s, ok := k.states[id]
			if !ok || len(k.states) != 5 {
				t.Fatalf("no state for the expected path among %d", len(k.states))
			}
			s.sent = 3
			k.states[id] = s
			us, err := p.Usage(t.Context(), nil)
			if err != nil || us[0].PacketsIn != 3 || us[0].BytesIn != 300 {
				t.Errorf("usage %+v, %v", us, err)
			}
			left := 2
			switch end {
			case "moved there":
				k.rounds = 0
				must(t, p.Move(t.Context(), 1, other(testPath(1))))
				if _, kept := k.states[id]; !kept || k.rounds > 4 {
					t.Errorf("the expected state was not kept, or it took %d round trips", k.rounds)
				}
				left = 3 // it still receives where it was
			case "moved there and back":
				must(t, p.Move(t.Context(), 1, other(testPath(1))))
				must(t, p.Expect(t.Context(), 1, testPath(1)))
				must(t, p.Move(t.Context(), 1, testPath(1)))
				left = 3
			case "moved elsewhere":
				must(t, p.Move(t.Context(), 1, testPath(5)))
			case "stays":
				must(t, p.Move(t.Context(), 1, testPath(1)))
			case "removed":
				must(t, p.Remove(t.Context(), 1))
				left = 0
			}
			if len(k.states) != 2+left {
				t.Errorf("%d states", len(k.states)-2)
			}
			if in, _, err := p.Carried(t.Context()); err != nil || in != 300 {
				t.Errorf("%d octets carried, %v", in, err)
			}
			if r, err := p.Reconcile(t.Context()); err != nil || r.Removed+r.Restored+len(r.Lost) != 0 {
				t.Errorf("reconciling: %v, %v", r, err)
			}
		})
	}
}

// TestStateWhereItWasGoesAtLast, by itself.
func TestStateWhereItWasGoesAtLast(t *testing.T) {
	p, k := onFake(t, Config{RekeyGrace: time.Hour, Linger: time.Millisecond})
	must(t, p.Install(t.Context(), testChild(1, 1)))
	to := testPath(1)
	to.Local = netip.MustParseAddrPort("192.0.2.3:4500")
	must(t, p.Move(t.Context(), 1, to))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for states := 0; states != 4; {
		p.mu.Lock()
		states = len(k.states)
		p.mu.Unlock()
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("%d states", states-2)
		}
	}
	if r, err := p.Reconcile(t.Context()); err != nil || r.Removed+r.Restored+len(r.Lost) != 0 {
		t.Errorf("reconciling: %v, %v", r, err)
	}
}
