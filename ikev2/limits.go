package ikev2

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/lease"
)

// limitsOf are those of a Grant, its filter as it was given; nil: none.
func limitsOf(g *auth.Grant) *esp.Limits {
	l := &esp.Limits{Filter: g.Filter, RateUp: g.RateUp, RateDown: g.RateDown}
	if l.IsZero() {
		return nil
	}
	return l
}

// limiter is what holds sessions to limits; nil: nothing can.
func (s *settings) limiter() esp.Limiter {
	if s.Limiter != nil {
		return s.Limiter
	}
	l, _ := s.Plane.(esp.Limiter)
	return l
}

var errNoLimiter = errors.New("nothing on this gateway can filter packets or bound rates")

// informRules let the DHCPINFORM of Windows and its answers past a filter: the
// gateway's own service, by which these clients learn their routes (QuirkW8).
func informRules(server netip.Addr) []auth.FilterRule {
	const udp = 17
	port := func(n uint16) []auth.PortRange { return []auth.PortRange{{First: n, Last: n}} }
	host := func(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
	client := auth.FilterEnd{Ports: port(68)}
	rules := []auth.FilterRule{{Protocol: udp, From: client, To: auth.FilterEnd{Prefix: host(broadcast), Ports: port(67)}}}
	for _, a := range []netip.Addr{server, DummyAddress} {
		rules = append(rules, auth.FilterRule{Out: true, Protocol: udp, From: auth.FilterEnd{Prefix: host(a), Ports: port(67)}, To: client})
	}
	return rules
}

// informed puts the rules for DHCPINFORM in front of a filter, if there is one
// and the client needs them.
func (sa *SA) informed(l *esp.Limits) *esp.Limits {
	if l == nil || len(l.Filter) == 0 || !sa.quirk(QuirkW8) || !sa.cfg.DHCPServer.IsValid() {
		return l
	}
	with := *l
	with.Filter = nil
	for _, r := range informRules(sa.cfg.DHCPServer) {
		// Alone in its direction it would deny all else there.
		if slices.ContainsFunc(l.Filter, func(o auth.FilterRule) bool { return o.Out == r.Out }) {
			with.Filter = append(with.Filter, r)
		}
	}
	with.Filter = append(with.Filter, l.Filter...)
	return &with
}

// limit holds a session to limits from now on; nil: to none. The error is a
// *GatewayFault: a user who is to be limited does not come in without.
func (w *works) limit(ctx context.Context, session string, leased lease.Lease, l *esp.Limits) error {
	if l == nil {
		return w.unlimit(ctx, session)
	}
	err := errNoLimiter
	if w.limiter != nil {
		inner := addressesOf(leased)
		assigned := *l
		assigned.Filter = auth.AssignFilter(l.Filter, inner)
		err = w.limiter.Limit(ctx, session, inner, &assigned)
	}
	if err != nil {
		return &GatewayFault{Cause: CauseLimits, Err: err}
	}
	return nil
}

func (w *works) unlimit(ctx context.Context, session string) error {
	if w.limiter == nil {
		return nil
	}
	return w.limiter.Unlimit(ctx, session)
}

// addressesOf are the addresses of a lease.
func addressesOf(l lease.Lease) []netip.Addr {
	var all []netip.Addr
	for _, a := range [...]netip.Addr{l.IPv4, l.IPv6} {
		if a.IsValid() {
			all = append(all, a)
		}
	}
	return all
}
