package ikev2

import (
	"net/netip"

	"bridgehead/ikev2/lease"
	"bridgehead/ikev2/message"
)

// applicationVersion is what clients that ask are told; Android does.
const applicationVersion = "bridgehead"

// wishes are the addresses that a configuration request asks for
// (RFC 7296 §3.15.1).
type wishes struct {
	ipv4, ipv6 bool
	addresses  []netip.Addr // those the client had before, and would like again
}

func wishesOf(cp *message.CP) wishes {
	var w wishes
	for _, a := range cp.Attributes {
		switch a.Type {
		case message.InternalIP4Address:
			w.ipv4 = true
			if addr, ok := netip.AddrFromSlice(a.Value); ok && addr.Is4() && !addr.IsUnspecified() {
				w.addresses = append(w.addresses, addr)
			}
		case message.InternalIP6Address:
			w.ipv6 = true
			if len(a.Value) >= 16 { // 17 octets with the prefix length
				if addr, _ := netip.AddrFromSlice(a.Value[:16]); !addr.IsUnspecified() && !addr.Is4In6() {
					w.addresses = append(w.addresses, addr)
				}
			}
		}
	}
	return w
}

// configReply answers a configuration request: only what was asked, each kind
// once in the order asked, and nothing of a family that got no address. The
// lengths are exact: Android gives up over others. What is not known here,
// such as Microsoft's 23456 and 23457, is left unanswered.
func configReply(asked *message.CP, l lease.Lease, g given) *message.CP {
	reply := &message.CP{Kind: message.CPReply}
	add := func(a message.CPAttribute) { reply.Attributes = append(reply.Attributes, a) }
	answered := make(map[message.CPAttributeType]bool, len(asked.Attributes))
	for _, a := range asked.Attributes {
		if answered[a.Type] {
			continue
		}
		answered[a.Type] = true
		switch a.Type {
		case message.InternalIP4Address:
			if l.IPv4.IsValid() {
				add(message.AddrAttribute(a.Type, l.IPv4))
			}
		case message.InternalIP4Netmask:
			if l.IPv4.IsValid() {
				add(message.CPAttribute{Type: a.Type, Value: []byte{255, 255, 255, 255}})
			}
		case message.InternalIP6Address:
			if l.IPv6.IsValid() {
				add(message.PrefixAttribute(a.Type, netip.PrefixFrom(l.IPv6, 128)))
			}
		case message.InternalIP4DNS:
			addServers(add, a.Type, g.dns, l.IPv4.IsValid(), netip.Addr.Is4)
		case message.InternalIP6DNS:
			addServers(add, a.Type, g.dns, l.IPv6.IsValid(), netip.Addr.Is6)
		case message.InternalIP4Subnet:
			addSubnets(add, a.Type, g.routes, l.IPv4.IsValid(), true)
		case message.InternalIP6Subnet:
			addSubnets(add, a.Type, g.routes, l.IPv6.IsValid(), false)
		case message.InternalDNSDomain:
			if !g.split(l) || !answersDNS(asked, l, g.dns) {
				continue
			}
			for _, d := range g.domains {
				add(message.DomainAttribute(d))
			}
		case message.ApplicationVersion:
			add(message.CPAttribute{Type: a.Type, Value: []byte(applicationVersion)})
		}
	}
	return reply
}

func addServers(add func(message.CPAttribute), t message.CPAttributeType, servers []netip.Addr, leased bool, family func(netip.Addr) bool) {
	for _, a := range servers {
		if leased && family(a) {
			add(message.AddrAttribute(t, a))
		}
	}
}

// addSubnets names the networks behind the gateway where they are not simply
// everything: address and mask for IPv4, address and prefix length for IPv6.
func addSubnets(add func(message.CPAttribute), t message.CPAttributeType, routes []netip.Prefix, leased, ipv4 bool) {
	for _, p := range routes {
		if !leased || p.Addr().Is4() != ipv4 || p.Bits() == 0 {
			continue
		}
		add(message.PrefixAttribute(t, p.Masked()))
	}
}
