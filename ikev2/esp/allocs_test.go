//go:build !race

package esp

import "testing"

// Under the race detector sync.Pool drops elements on purpose, which counts as
// allocations.

func TestNothingIsAllocatedPerPacket(t *testing.T) {
	eachSuite(t, func(t *testing.T, s testSuite) {
		out, in := pair(t, s.sa())
		buf := make([]byte, 1600)
		inner := ipv4Packet(1400)
		if n := testing.AllocsPerRun(100, func() {
			copy(buf[64:], inner)
			packet, err := out.Seal(buf, 64, len(inner), 4)
			if err == nil {
				_, _, err = in.Open(packet)
			}
			if err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations for sealing and opening a packet", n)
		}
	})
}

func TestCheckingSelectorsAllocatesNothing(t *testing.T) {
	p, inner := NewPolicy(everything("192.0.2.1", "2001:db8::1")), ipv6Packet(1400)
	if n := testing.AllocsPerRun(100, func() {
		if err := p.In(inner); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
