package lease

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"strings"

	"bridgehead/ikev2/message"
)

// Range is a run of addresses of one family, both ends included.
type Range struct{ First, Last netip.Addr }

// ParseRange reads a prefix such as "192.0.2.0/25" or a literal range such as
// "192.0.2.10-192.0.2.20". A prefix of more than two addresses gives neither
// its first (host part zero: a Windows client brings up no IPv6 interface
// with it) nor its last (IPv4 broadcast). A literal range gives every address
// it names.
func ParseRange(s string) (Range, error) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(strings.TrimSpace(s))
		if err != nil {
			return Range{}, &RangeError{Text: s, Problem: "this is no prefix", Err: err}
		}
		return RangeOf(p)
	}
	first, last, ok := strings.Cut(s, "-")
	if !ok {
		last = first
	}
	a, err := netip.ParseAddr(strings.TrimSpace(first))
	if err != nil {
		return Range{}, &RangeError{Text: s, Problem: "the first address can't be read", Err: err}
	}
	b, err := netip.ParseAddr(strings.TrimSpace(last))
	if err != nil {
		return Range{}, &RangeError{Text: s, Problem: "the last address can't be read", Err: err}
	}
	r := Range{a.Unmap(), b.Unmap()}
	switch {
	case a.Zone() != "" || b.Zone() != "":
		return Range{}, &RangeError{Text: s, Problem: "a lease can't carry a zone"}
	case r.First.Is4() != r.Last.Is4():
		return Range{}, &RangeError{Text: s, Problem: "the ends are of different families"}
	case r.Last.Less(r.First):
		return Range{}, &RangeError{Text: s, Problem: "the last address lies before the first"}
	}
	return r, nil
}

// RangeOf is the range that a prefix gives, see ParseRange.
func RangeOf(p netip.Prefix) (Range, error) {
	if !p.IsValid() {
		return Range{}, &RangeError{Text: p.String(), Problem: "this is no prefix"}
	}
	if p.Addr().Is4In6() {
		return Range{}, &RangeError{Text: p.String(), Problem: "an IPv4 prefix must be written as IPv4"}
	}
	if p.Masked() != p {
		return Range{}, &RangeError{Text: p.String(), Problem: fmt.Sprintf("the address has bits behind the prefix: the prefix is %v", p.Masked())}
	}
	r := Range{p.Addr(), message.SelectorOf(p).End}
	if p.Addr().BitLen()-p.Bits() > 1 {
		r.First, r.Last = r.First.Next(), r.Last.Prev()
	}
	return r, nil
}

// String writes a range as first-last.
func (r Range) String() string { return r.First.String() + "-" + r.Last.String() }

// Contains tells whether a lies in the range.
func (r Range) Contains(a netip.Addr) bool {
	return r.valid() && a.Is4() == r.First.Is4() && !a.Less(r.First) && !r.Last.Less(a)
}

// Size is the number of addresses, at most math.MaxUint64.
func (r Range) Size() uint64 {
	if !r.valid() {
		return 0
	}
	a, b := r.First.As16(), r.Last.As16()
	lo, borrow := bits.Sub64(binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(a[8:]), 0)
	hi, _ := bits.Sub64(binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(a[:8]), borrow)
	if hi != 0 || lo == math.MaxUint64 {
		return math.MaxUint64
	}
	return lo + 1
}

func (r Range) valid() bool {
	return r.First.IsValid() && r.Last.IsValid() && r.First.Is4() == r.Last.Is4() && !r.Last.Less(r.First)
}

func (r Range) overlaps(o Range) bool { return r.Contains(o.First) || o.Contains(r.First) }

// addSaturating adds sizes without wrapping.
func addSaturating(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return math.MaxUint64
	}
	return sum
}
