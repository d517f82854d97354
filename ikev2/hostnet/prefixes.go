package hostnet

import "net/netip"

// Prefixes gives the fewest prefixes that make up the addresses from first to
// last, both included: routes know no other ranges. It is nil if first comes
// after last or the families differ.
func Prefixes(first, last netip.Addr) []netip.Prefix {
	if !first.IsValid() || first.BitLen() != last.BitLen() {
		return nil
	}
	var prefixes []netip.Prefix
	for first.Compare(last) <= 0 {
		p := largestFrom(first, last)
		prefixes = append(prefixes, p)
		if first = lastOf(p).Next(); !first.IsValid() {
			break // the end of the address space
		}
	}
	return prefixes
}

// largestFrom is the largest prefix that begins with first and ends by last.
func largestFrom(first, last netip.Addr) netip.Prefix {
	p := netip.PrefixFrom(first, first.BitLen())
	for p.Bits() > 0 {
		wider := netip.PrefixFrom(first, p.Bits()-1)
		if wider.Masked().Addr() != first || lastOf(wider).Compare(last) > 0 {
			break
		}
		p = wider
	}
	return p
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
