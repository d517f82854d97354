package auth

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// FilterRule is one rule of a user's packet filter (IPFilterRule, RFC 6733
// §4.3.1), as ParseFilterRule makes it. A packet meets the rules of its
// direction in order, and the first that it matches decides. One that none
// matches is dropped if the direction's last rule permits, and passes if that
// denies; a direction without rules is not filtered.
type FilterRule struct {
	Deny        bool  // else permit
	Out         bool  // to the client; else from it
	Protocol    uint8 // of IP; 0: any
	From, To    FilterEnd
	Established bool // TCP segments with ACK or RST only
	Setup       bool // TCP segments with SYN and without ACK only
}

// FilterEnd is the source or the destination in a FilterRule.
type FilterEnd struct {
	Not      bool         // matches all other addresses of the family instead
	Assigned bool         // the client's own addresses; AssignFilter puts them in
	Prefix   netip.Prefix // zero: any address, unless Assigned
	Ports    []PortRange  // none: any. A fragment other than the first has no port and matches none
}

// PortRange is the ports from First to Last, both included.
type PortRange struct{ First, Last uint16 }

// Protocols that filter rules have names for.
const (
	protocolICMP   = 1
	protocolTCP    = 6
	protocolUDP    = 17
	protocolDCCP   = 33
	protocolGRE    = 47
	protocolESP    = 50
	protocolAH     = 51
	protocolICMPv6 = 58
	protocolSCTP   = 132
)

// filterProtocols are the names of IP protocols; each number's first is how it
// is printed.
var filterProtocols = []struct {
	name   string
	number uint8
}{
	{"ip", 0}, {"tcp", protocolTCP}, {"udp", protocolUDP}, {"icmp", protocolICMP}, {"icmpv6", protocolICMPv6},
	{"icmp6", protocolICMPv6}, {"ipv6-icmp", protocolICMPv6}, {"sctp", protocolSCTP}, {"dccp", protocolDCCP},
	{"gre", protocolGRE}, {"esp", protocolESP}, {"ah", protocolAH},
}

// String is the rule in the syntax that ParseFilterRule reads.
func (r FilterRule) String() string {
	words := []string{"permit", "in", strconv.Itoa(int(r.Protocol)), "from", r.From.String(), "to", r.To.String()}
	if r.Deny {
		words[0] = "deny"
	}
	if r.Out {
		words[1] = "out"
	}
	for _, p := range filterProtocols {
		if p.number == r.Protocol {
			words[2] = p.name
			break
		}
	}
	if r.Established {
		words = append(words, "established")
	}
	if r.Setup {
		words = append(words, "setup")
	}
	return strings.Join(words, " ")
}

// String is the end as it stands in a rule.
func (e FilterEnd) String() string {
	s := "any"
	switch {
	case e.Assigned:
		s = "assigned"
	case e.Prefix.IsSingleIP():
		s = e.Prefix.Addr().String()
	case e.Prefix.IsValid():
		s = e.Prefix.String()
	}
	if e.Not {
		s = "!" + s
	}
	for i, p := range e.Ports {
		s += map[bool]string{true: " ", false: ","}[i == 0] + p.String()
	}
	return s
}

// String is the port, or the first and the last with a hyphen.
func (p PortRange) String() string {
	if p.First == p.Last {
		return strconv.Itoa(int(p.First))
	}
	return strconv.Itoa(int(p.First)) + "-" + strconv.Itoa(int(p.Last))
}

// AssignFilter gives the rules with the client's own addresses in the place of
// "assigned": one rule for each that is of the family of the rule's other end.
// A rule for which there is none stays as it is and matches nothing.
func AssignFilter(rules []FilterRule, own []netip.Addr) []FilterRule {
	var assigned []FilterRule
	for _, r := range rules {
		if !r.From.Assigned && !r.To.Assigned {
			assigned = append(assigned, r)
			continue
		}
		before := len(assigned)
		for _, a := range own {
			one := r
			if one.From.Assigned {
				one.From.Assigned, one.From.Prefix = false, netip.PrefixFrom(a, a.BitLen())
			}
			if one.To.Assigned {
				one.To.Assigned, one.To.Prefix = false, netip.PrefixFrom(a, a.BitLen())
			}
			if !one.mixed() {
				assigned = append(assigned, one)
			}
		}
		if len(assigned) == before {
			assigned = append(assigned, r)
		}
	}
	return assigned
}

// mixed tells whether the ends are of two families, so that no packet matches.
func (r *FilterRule) mixed() bool {
	from, to := r.From.Prefix, r.To.Prefix
	return from.IsValid() && to.IsValid() && from.Addr().Is4() != to.Addr().Is4()
}

// hasPorts tells whether the protocol's packets carry ports.
func hasPorts(protocol uint8) bool {
	return slices.Contains([]uint8{protocolTCP, protocolUDP, protocolDCCP, protocolSCTP}, protocol)
}
