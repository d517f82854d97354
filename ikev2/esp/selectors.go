package esp

import (
	"encoding/binary"
	"math"
	"net/netip"

	"bridgehead/ikev2/message"
)

// selectors are traffic selectors compiled for matching packets.
type selectors []selector

// selector is one range of addresses, ports and perhaps one protocol. Addresses
// are numbers of 128 bits, IPv4 ones in the low 32.
type selector struct {
	start, end         address
	startPort, endPort uint16
	protocol           uint8 // 0: any
}

type address struct {
	high, low uint64
	v6        bool
}

// compileSelectors prepares sel. selectors of an unknown type match nothing and
// are left out.
func compileSelectors(sel []message.Selector) selectors {
	compiled := make(selectors, 0, len(sel))
	for _, s := range sel {
		if s.Raw != nil || s.Start.Is4() != s.End.Is4() || !s.Start.IsValid() {
			continue
		}
		compiled = append(compiled, selector{
			start: addressOf(s.Start), end: addressOf(s.End),
			startPort: s.StartPort, endPort: s.EndPort,
			protocol: s.Protocol,
		})
	}
	return compiled
}

// match tells whether a packet end with this address, protocol and port lies
// within one of the selectors. For ICMP the port is type and code (RFC 7296
// §3.13.1).
func (ss selectors) match(a address, protocol uint8, port int) bool {
	for i := range ss {
		s := &ss[i]
		if s.contains(a) && (s.protocol == 0 || s.protocol == protocol) && s.covers(port) {
			return true
		}
	}
	return false
}

// onlyAddresses tells whether no selector looks at protocol or ports.
func (ss selectors) onlyAddresses() bool {
	for i := range ss {
		if ss[i].protocol != 0 || !ss[i].anyPort() {
			return false
		}
	}
	return true
}

func (s *selector) anyPort() bool { return s.startPort == 0 && s.endPort == math.MaxUint16 }

func (s *selector) covers(port int) bool {
	return s.anyPort() || port >= int(s.startPort) && port <= int(s.endPort)
}

func (s *selector) contains(a address) bool {
	return s.start.v6 == a.v6 && !a.less(s.start) && !s.end.less(a)
}

func (a address) less(b address) bool {
	return a.high < b.high || a.high == b.high && a.low < b.low
}

// last is the last address of the prefix of so many bits that a begins.
func (a address) last(bits int) address {
	if !a.v6 {
		a.low |= 1<<(32-bits) - 1
		return a
	}
	a.low |= ones(128 - bits)
	a.high |= ones(64 - bits)
	return a
}

// ones has the n lowest bits set, none for less than 0 and all for more than
// there are.
func ones(n int) uint64 { return 1<<max(n, 0) - 1 }

func addressOf(a netip.Addr) address {
	if a.Is4() {
		b := a.As4()
		return addressFrom4(b[:])
	}
	b := a.As16()
	return addressFrom16(b[:])
}

func addressFrom4(b []byte) address { return address{low: uint64(binary.BigEndian.Uint32(b))} }

func addressFrom16(b []byte) address {
	return address{high: binary.BigEndian.Uint64(b), low: binary.BigEndian.Uint64(b[8:]), v6: true}
}
