package tunnel

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/tun/tuntest"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/esp/planetest"
	"bridgehead/ikev2/transport"
)

// overLoopback runs a Tunnel with an in-memory device over the loopback
// interface until the test ends.
func overLoopback(t *testing.T, c Config, readers int) (*Tunnel, *tuntest.ChannelTUN, netip.AddrPort) {
	t.Helper()
	loopback := netip.MustParseAddr("127.0.0.1")
	tr, err := transport.Listen(transport.Config{Addresses: []netip.Addr{loopback}, Readers: readers})
	if err != nil {
		t.Fatal(err)
	}
	c.Transport = tr
	tn, device := inMemory(t, c)
	done := make(chan error, 2)
	go func() { done <- tr.Serve(context.Background(), espOnly{tn}) }()
	go func() { done <- tn.Run(context.Background()) }()
	t.Cleanup(func() {
		tn.Close()
		tr.Close()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	return tn, device, netip.AddrPortFrom(loopback, tr.NATTPort())
}

func TestDataPlane(t *testing.T) {
	planetest.Run(t, func(t *testing.T) planetest.Subject {
		tn, device, local := overLoopback(t, Config{RekeyGrace: time.Hour}, 2)
		return planetest.Subject{
			Plane: tn, Local: local, Received: device.Inbound, Lingers: true,
			Send: func(inner []byte) error { device.Outbound <- inner; return nil },
		}
	})
}

// TestRekeyWaitsForPeer: until the peer is known to have the new Child SA the
// old one sends (RFC 7296 §2.8); and with no grace the new one does at once.
func TestRekeyWaitsForPeer(t *testing.T) {
	for _, tc := range []struct {
		name  string
		grace time.Duration
		first esp.ChildID // sends the packet after Rekey
	}{
		{"grace", time.Hour, 1},
		{"grace over", time.Nanosecond, 2},
		{"no grace", -1, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tn, device, _ := overLoopback(t, Config{RekeyGrace: tc.grace}, 1)
			c := manyChildren(0)
			renewed := c
			renewed.ID, renewed.In.SPI, renewed.Out.SPI = 2, 0x777, 0x778
			if err := tn.Install(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if err := tn.Rekey(t.Context(), c.ID, renewed); err != nil {
				t.Fatal(err)
			}
			packet := ipPacket(here4, c.Remote[0].Start, 17, make([]byte, 30))
			device.Outbound <- packet
			device.Outbound <- packet // is taken once the first has been sent
			us, err := tn.Usage(t.Context(), []esp.ChildID{tc.first})
			if err != nil || us[0].PacketsOut == 0 {
				t.Errorf("child %d did not send: %+v, %v", tc.first, us, err)
			}
		})
	}
}

// TestLingeringEnds: a Child SA that was succeeded and removed receives until
// its time is over; its SPI is not missing until then.
func TestLingeringEnds(t *testing.T) {
	for _, linger := range []time.Duration{-1, time.Millisecond, time.Hour} {
		tn, _, _ := overLoopback(t, Config{Linger: linger}, 1)
		c := manyChildren(0)
		renewed, again := c, c
		renewed.ID, renewed.In.SPI = 2, 0x777
		again.ID, again.Out.SPI = 3, 0x999 // with the SPI of c
		if err := tn.Install(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if err := tn.Rekey(t.Context(), c.ID, renewed); err != nil {
			t.Fatal(err)
		}
		if err := tn.Rekey(t.Context(), c.ID, again); err == nil {
			t.Error("an SPI in use was taken again")
		}
		old := tn.spis.get(c.In.SPI)
		if err := tn.Remove(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		if linger != time.Millisecond {
			if receives := tn.spis.get(c.In.SPI) == old; receives != (linger > 0) {
				t.Errorf("linger %s: receives %v", linger, receives)
			}
		} else {
			for deadline := time.Now().Add(10 * time.Second); tn.spis.get(c.In.SPI) != nil; {
				if time.Now().After(deadline) {
					t.Fatal("it receives for ever")
				}
			}
		}
		if err := tn.Rekey(t.Context(), renewed.ID, again); err != nil {
			t.Errorf("an SPI that only lingered: %v", err)
		}
		if tn.spis.get(c.In.SPI).id != again.ID {
			t.Error("the SPI leads to the former Child SA")
		}
	}
}

// TestFewLinger: of many rekeys in short order the latest linger, each for its
// own time, and none once the last Child SA is gone.
func TestFewLinger(t *testing.T) {
	tn, _, _ := overLoopback(t, Config{Linger: time.Hour}, 1)
	c := manyChildren(0)
	if err := tn.Install(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	const rekeys = 10
	first := c.In.SPI
	receive := func() (n int) {
		for i := range uint32(rekeys + 1) {
			if tn.spis.get(first+i) != nil {
				n++
			}
		}
		return n
	}
	for range rekeys {
		next := c
		next.ID, next.In.SPI = c.ID+1, c.In.SPI+1
		if err := tn.Rekey(t.Context(), c.ID, next); err != nil {
			t.Fatal(err)
		}
		if err := tn.Remove(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		c = next
	}
	if n := receive(); n != 1+maxLingering || tn.spis.get(first+rekeys-maxLingering) == nil {
		t.Errorf("%d receive after %d rekeys, want the last and the %d before it", n, rekeys, maxLingering)
	}
	tn.mu.Lock()
	tn.forget(tn.spis.get(first + rekeys - 2))
	tn.mu.Unlock()
	if n := receive(); n != maxLingering {
		t.Errorf("%d receive after the time of one is over", n)
	}
	if err := tn.Remove(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	if n := receive(); n != 0 {
		t.Errorf("%d receive after the last was removed", n)
	}
}
