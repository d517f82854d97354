package ikev2

import (
	"context"
	"errors"
	"net/netip"

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
