package ikev2

import (
	"net/netip"
	"slices"

	"bridgehead/ikev2/lease"
	"bridgehead/ikev2/message"
)

// broadcast is where Windows sends DHCPINFORM to inside its tunnel.
var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// DummyAddress stands for a node without an IPv4 address that suits (RFC 7600
// §4.8). Nothing has it, so a client that may reach it reaches nothing.
var DummyAddress = netip.AddrFrom4([4]byte{192, 0, 0, 8})

// dhcpServer is where the answers to the client's DHCPINFORM come from (quirk
// W8); zero: there are none. It is the configured address only for clients that
// may reach that anyway: any client can pose as Windows.
func (sa *SA) dhcpServer() netip.Addr {
	server := sa.cfg.DHCPServer
	if !sa.quirk(QuirkW8) || !server.IsValid() || !sa.session.lease.IPv4.IsValid() {
		return netip.Addr{}
	}
	if own := hostSelector(server); slices.ContainsFunc(sa.allowed(), func(s message.Selector) bool { return includes(s, own) }) {
		return server
	}
	return DummyAddress
}

// allowed is what the session's client may reach by the Grant or else the
// configuration.
func (sa *SA) allowed() []message.Selector {
	g := sa.session.given
	if g == nil || len(g.routes) == 0 {
		return sa.cfg.subnets
	}
	var allowed []message.Selector
	for _, p := range g.routes {
		allowed = append(allowed, message.SelectorOf(p))
	}
	return allowed
}

// reachable is what the session's client may reach. Where that is not all of
// IPv4, a client that sends DHCPINFORM may also reach what it sends that to and
// what answers: outside of the traffic selectors neither would get through.
func (sa *SA) reachable() []message.Selector {
	allowed := sa.allowed()
	ipv4 := func(s message.Selector) bool { return s.Start.Is4() }
	if server := sa.dhcpServer(); server.IsValid() && slices.ContainsFunc(allowed, ipv4) {
		allowed = insert(slices.Clone(allowed), hostSelector(broadcast))
		allowed = insert(allowed, hostSelector(server))
	}
	return allowed
}

// given is what this session's client is told.
func (sa *SA) given() given {
	var g given
	if sa.session.given != nil {
		g = *sa.session.given
	}
	if len(g.routes) == 0 {
		g.routes = sa.cfg.LocalSubnets
	}
	if len(g.dns) == 0 {
		g.dns = sa.cfg.DNS
	}
	if len(g.domains) == 0 {
		g.domains = sa.cfg.Domains
	}
	return g
}

// split tells whether traffic of a leased family stays outside of the tunnel.
// Domains are for that case alone: a client that sends everything through the
// tunnel asks the name servers there for every name.
func (g given) split(l lease.Lease) bool {
	everything := func(ipv4 bool) bool {
		return slices.ContainsFunc(g.routes, func(p netip.Prefix) bool { return p.Bits() == 0 && p.Addr().Is4() == ipv4 })
	}
	return l.IPv4.IsValid() && !everything(true) || l.IPv6.IsValid() && !everything(false)
}

// answersDNS tells whether a request is answered with a name server at all.
// Domains go with one only (RFC 8598 §3.2).
func answersDNS(asked *message.CP, l lease.Lease, dns []netip.Addr) bool {
	asks := func(t message.CPAttributeType) bool {
		return slices.ContainsFunc(asked.Attributes, func(a message.CPAttribute) bool { return a.Type == t })
	}
	return l.IPv4.IsValid() && asks(message.InternalIP4DNS) && slices.ContainsFunc(dns, netip.Addr.Is4) ||
		l.IPv6.IsValid() && asks(message.InternalIP6DNS) && slices.ContainsFunc(dns, netip.Addr.Is6)
}
