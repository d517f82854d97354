package ikev2

import (
	"math"
	"net/netip"

	"bridgehead/ikev2/message"
)

// maxSelectors bounds what narrowing gives; a client may ask for 255 ranges.
const maxSelectors = 64

// hostSelector is all traffic of one address.
func hostSelector(a netip.Addr) message.Selector {
	return message.Selector{EndPort: math.MaxUint16, Start: a, End: a}
}

// narrow gives the part of the asked traffic that is allowed (RFC 7296
// §2.9), in the order asked, without selectors that others include. Selector
// types that are not modelled are passed over.
func narrow(allowed, asked []message.Selector) []message.Selector {
	var narrowed []message.Selector
	for _, want := range asked {
		for _, have := range allowed {
			s, ok := intersect(have, want)
			if ok && len(narrowed) < maxSelectors {
				narrowed = insert(narrowed, s)
			}
		}
	}
	return narrowed
}

// insert adds s unless it is included already, and takes out what s includes.
func insert(set []message.Selector, s message.Selector) []message.Selector {
	kept := set[:0:len(set)]
	for _, o := range set {
		if includes(o, s) {
			return set
		}
	}
	for _, o := range set {
		if !includes(s, o) {
			kept = append(kept, o)
		}
	}
	return append(kept, s)
}

// intersect gives the traffic in both a and b.
func intersect(a, b message.Selector) (message.Selector, bool) {
	if a.Raw != nil || b.Raw != nil || a.Start.Is4() != b.Start.Is4() {
		return message.Selector{}, false
	}
	s := message.Selector{
		Protocol:  max(a.Protocol, b.Protocol),
		StartPort: max(a.StartPort, b.StartPort), EndPort: min(a.EndPort, b.EndPort),
		Start: a.Start, End: a.End,
	}
	if a.Start.Less(b.Start) {
		s.Start = b.Start
	}
	if b.End.Less(a.End) {
		s.End = b.End
	}
	protocolsMeet := a.Protocol == 0 || b.Protocol == 0 || a.Protocol == b.Protocol
	if b.StartPort > b.EndPort { // OPAQUE, 65535 to 0 (RFC 7296 §3.13.1)
		s.StartPort, s.EndPort = b.StartPort, b.EndPort
		return s, protocolsMeet && !s.End.Less(s.Start) && a.StartPort == 0 && a.EndPort == math.MaxUint16
	}
	return s, protocolsMeet && !s.End.Less(s.Start) && s.StartPort <= s.EndPort
}

// includes tells whether all traffic of b is traffic of a.
func includes(a, b message.Selector) bool {
	return a.Start.Is4() == b.Start.Is4() && !b.Start.Less(a.Start) && !a.End.Less(b.End) &&
		a.StartPort <= b.StartPort && b.EndPort <= a.EndPort && (a.Protocol == 0 || a.Protocol == b.Protocol)
}

// ofFamilies leaves out selectors of a family that the other side has none
// of: a client without an IPv6 address is offered no IPv6.
func ofFamilies(set, other []message.Selector) []message.Selector {
	var ipv4, ipv6 bool
	for _, s := range other {
		ipv4, ipv6 = ipv4 || s.Start.Is4(), ipv6 || !s.Start.Is4()
	}
	var kept []message.Selector
	for _, s := range set {
		if s.Start.Is4() && ipv4 || !s.Start.Is4() && ipv6 {
			kept = append(kept, s)
		}
	}
	return kept
}
