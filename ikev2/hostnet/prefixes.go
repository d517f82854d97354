package hostnet

import (
	"net/netip"

	"bridgehead/ikev2/message"
)

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
		if first = message.SelectorOf(p).End.Next(); !first.IsValid() {
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
		if wider.Masked().Addr() != first || message.SelectorOf(wider).End.Compare(last) > 0 {
			break
		}
		p = wider
	}
	return p
}
