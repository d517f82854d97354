package lease

import (
	"errors"
	"math"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestRanges(t *testing.T) {
	for _, tt := range []struct {
		in, first, last string
		size            uint64
	}{
		{"192.0.2.0/25", "192.0.2.1", "192.0.2.126", 126},
		{"2001:db8::/96", "2001:db8::1", "2001:db8::ffff:fffe", 1<<32 - 2},
		{"2001:db8::/64", "2001:db8::1", "2001:db8::ffff:ffff:ffff:fffe", math.MaxUint64 - 1},
		{"2001:db8::/32", "2001:db8::1", "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe", math.MaxUint64},
		{"10.0.0.0/8", "10.0.0.1", "10.255.255.254", 1<<24 - 2},
		{"192.0.2.4/30", "192.0.2.5", "192.0.2.6", 2},
		{"192.0.2.4/31", "192.0.2.4", "192.0.2.5", 2},
		{"192.0.2.4/32", "192.0.2.4", "192.0.2.4", 1},
		{"2001:db8::1/128", "2001:db8::1", "2001:db8::1", 1},
		{"192.0.2.0-192.0.2.127", "192.0.2.0", "192.0.2.127", 128},
		{" 192.0.2.10 - 192.0.2.20 ", "192.0.2.10", "192.0.2.20", 11},
		{"192.0.2.10", "192.0.2.10", "192.0.2.10", 1},
		{"2001:db8::-2001:db8::ffff", "2001:db8::", "2001:db8::ffff", 1 << 16},
		{"::ffff:192.0.2.1-192.0.2.9", "192.0.2.1", "192.0.2.9", 9},
	} {
		r, err := ParseRange(tt.in)
		if err != nil || r.First.String() != tt.first || r.Last.String() != tt.last || r.Size() != tt.size {
			t.Errorf("%q: %v of %d, %v", tt.in, r, r.Size(), err)
		}
	}
	for _, in := range []string{"", "x", "192.0.2.1/25", "192.0.2.0/33", "192.0.2.9-192.0.2.1", "192.0.2.1-2001:db8::1", "fe80::1%eth0-fe80::2", "::ffff:192.0.2.0/121", "192.0.2.1-", "1-2-3"} {
		var bad *RangeError
		if r, err := ParseRange(in); !errors.As(err, &bad) || r != (Range{}) {
			t.Errorf("%q: %v, %v", in, r, err)
		}
	}
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"192.0.2.0/25", "2001:db8::/96", "192.0.2.1-192.0.2.9", "1.2.3.4", "/", "-", "::/0", "0.0.0.0/0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRange(s)
		if err != nil {
			return
		}
		if r.Size() == 0 || !r.Contains(r.First) || !r.Contains(r.Last) {
			t.Fatalf("%q gives %v of %d", s, r, r.Size())
		}
		if again, err := ParseRange(r.String()); err != nil || again != r {
			t.Fatalf("%v is read back as %v, %v", r, again, err)
		}
	})
}

func TestRangeSizeAgreesWithCounting(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		first := netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0xFE, 0xFF}), 16, 16).Draw(rt, "first")))
		n := rapid.IntRange(1, 600).Draw(rt, "n")
		r := Range{first, first}
		for range n - 1 {
			if next := r.Last.Next(); next.IsValid() {
				r.Last = next
			} else {
				n = 1
				r.Last = r.First
				break
			}
		}
		if r.Size() != uint64(n) {
			rt.Fatalf("%v: %d, want %d", r, r.Size(), n)
		}
	})
}
