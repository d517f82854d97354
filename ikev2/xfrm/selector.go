package xfrm

import (
	"fmt"
	"math"
	"math/bits"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	wire "bridgehead/ikev2/message"
)

// selector is a traffic selector in the kernel's form: prefixes, and ports as
// value and mask.
type selector struct {
	source, destination         netip.Prefix
	protocol                    uint8 // 0: any
	sourcePort, destinationPort portMask
}

// portMask matches the ports p with p & mask == port.
type portMask struct{ port, mask uint16 }

// maxSelectors bounds the selectors of one Child SA in the kernel's form. A
// range that begins and ends anywhere takes up to 254 prefixes.
const maxSelectors = 256

// compile gives the outbound selectors, from local to remote, that cover
// exactly the pairs of traffic selectors (RFC 7296 §2.9). Selectors of unknown
// type and for opaque ports match no packet and are left out.
func compile(local, remote []wire.Selector) ([]selector, error) {
	var all []selector
	for _, l := range local {
		for _, r := range remote {
			pair, err := compilePair(l, r)
			if err != nil {
				return nil, err
			}
			all = append(all, pair...)
			if len(all) > maxSelectors {
				return nil, errTooManySelectors
			}
		}
	}
	if len(all) == 0 {
		return nil, errNoSelectors
	}
	return all, nil
}

func compilePair(l, r wire.Selector) ([]selector, error) {
	protocol, ok := common(l.Protocol, r.Protocol)
	if !ok || !usable(l) || !usable(r) || l.Start.Is4() != r.Start.Is4() {
		return nil, nil
	}
	ports := portPairs(protocol, l, r)
	var all []selector
	for _, source := range prefixes(l.Start, l.End) {
		for _, destination := range prefixes(r.Start, r.End) {
			for _, p := range ports {
				if len(all) == maxSelectors {
					return nil, errTooManySelectors
				}
				all = append(all, selector{source, destination, protocol, p[0], p[1]})
			}
		}
	}
	return all, nil
}

func usable(s wire.Selector) bool {
	return s.Raw == nil && s.Start.IsValid() && s.Start.Is4() == s.End.Is4() &&
		!s.End.Less(s.Start) && s.StartPort <= s.EndPort
}

// common is the protocol that both allow, 0 being any.
func common(a, b uint8) (uint8, bool) {
	if a == 0 || a == b {
		return b, true
	}
	return a, b == 0
}

// portPairs gives source and destination ports. For ICMP a selector's port is
// type and code (RFC 7296 §3.13.1), and both selectors see the same; the kernel
// takes the type as source and the code as destination port.
func portPairs(protocol uint8, l, r wire.Selector) [][2]portMask {
	var pairs [][2]portMask
	if protocol == unix.IPPROTO_ICMP || protocol == unix.IPPROTO_ICMPV6 {
		for _, p := range portMasks(max(l.StartPort, r.StartPort), min(l.EndPort, r.EndPort)) {
			pairs = append(pairs, [2]portMask{octetMask(p.port>>8, p.mask>>8), octetMask(p.port&0xff, p.mask&0xff)})
		}
		return pairs
	}
	for _, source := range portMasks(l.StartPort, l.EndPort) {
		for _, destination := range portMasks(r.StartPort, r.EndPort) {
			pairs = append(pairs, [2]portMask{source, destination})
		}
	}
	return pairs
}

// octetMask matches a port that holds an octet; nothing is compared if the mask
// of that octet is empty.
func octetMask(value, mask uint16) portMask {
	if mask == 0 {
		return portMask{}
	}
	return portMask{value, 0xff00 | mask}
}

// portMasks covers start to end exactly; none if start > end.
func portMasks(start, end uint16) []portMask {
	var all []portMask
	for at := uint32(start); at <= uint32(end); {
		size := uint32(1) << min(bits.TrailingZeros32(at|1<<16), bits.Len32(uint32(end)-at+1)-1)
		all = append(all, portMask{uint16(at), ^uint16(size - 1)})
		at += size
	}
	return all
}

// prefixes covers start to end exactly, with at most 254 prefixes.
func prefixes(start, end netip.Addr) []netip.Prefix {
	var all []netip.Prefix
	for {
		p := widest(start, end)
		all = append(all, p)
		final := wire.SelectorOf(p).End
		if final == end {
			return all
		}
		start = final.Next()
	}
}

// widest is the widest prefix that begins at start and does not exceed end.
func widest(start, end netip.Addr) netip.Prefix {
	for n := range start.BitLen() {
		p := netip.PrefixFrom(start, n)
		if p.Masked().Addr() == start && !end.Less(wire.SelectorOf(p).End) {
			return p
		}
	}
	return netip.PrefixFrom(start, start.BitLen())
}

// reversed is the selector of the opposite direction. The ports of ICMP stay:
// they are type and code.
func (s selector) reversed() selector {
	s.source, s.destination = s.destination, s.source
	if s.protocol != unix.IPPROTO_ICMP && s.protocol != unix.IPPROTO_ICMPV6 {
		s.sourcePort, s.destinationPort = s.destinationPort, s.sourcePort
	}
	return s
}

// width grows with what s matches; less than 4,096. A narrower selector goes
// first.
func (s selector) width() uint32 {
	open := s.source.Addr().BitLen() - s.source.Bits() + s.destination.Addr().BitLen() - s.destination.Bits()
	w := uint32(open) * 8
	if s.protocol == 0 {
		w += 4
	}
	if s.sourcePort.mask == 0 {
		w += 2
	}
	if s.destinationPort.mask == 0 {
		w++
	}
	return w
}

func (s selector) message() nl.XfrmSelector {
	return nl.XfrmSelector{
		Daddr: address(s.destination.Addr()), Saddr: address(s.source.Addr()),
		Dport: be16(s.destinationPort.port), DportMask: be16(s.destinationPort.mask),
		Sport: be16(s.sourcePort.port), SportMask: be16(s.sourcePort.mask),
		Family: family(s.source.Addr()), Proto: s.protocol,
		PrefixlenD: uint8(s.destination.Bits()), PrefixlenS: uint8(s.source.Bits()),
	}
}

func selectorOf(m *nl.XfrmSelector) selector {
	return selector{
		source:          netip.PrefixFrom(addressOf(m.Saddr, m.Family), int(m.PrefixlenS)),
		destination:     netip.PrefixFrom(addressOf(m.Daddr, m.Family), int(m.PrefixlenD)),
		protocol:        m.Proto,
		sourcePort:      portMask{be16(m.Sport), be16(m.SportMask)},
		destinationPort: portMask{be16(m.Dport), be16(m.DportMask)},
	}
}

func (s selector) String() string {
	text := fmt.Sprintf("%v to %v", s.source, s.destination)
	if s.protocol != 0 {
		text += fmt.Sprintf(" protocol %d", s.protocol)
	}
	if s.sourcePort.mask != 0 || s.destinationPort.mask != 0 {
		text += fmt.Sprintf(" ports %v to %v", s.sourcePort, s.destinationPort)
	}
	return text
}

func (p portMask) String() string {
	switch p.mask {
	case 0:
		return "any"
	case math.MaxUint16:
		return fmt.Sprint(p.port)
	}
	return fmt.Sprintf("%d/%#x", p.port, p.mask)
}
