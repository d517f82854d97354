package tunnel

import (
	"context"
	"net/netip"
	"sync/atomic"

	"bridgehead/ikev2/esp"
)

// limits are what a session is held to, shared by its Child SAs. They are
// immutable but for what the buckets hold.
type limits struct {
	filter   *esp.Filter // nil: none
	up, down *bucket     // nil: no limit
}

// admitIn decides on a packet from the peer.
func (l *limits) admitIn(p []byte, now int64) (Reason, bool) {
	switch {
	case l.filter != nil && l.filter.In(p) != nil:
		return InFilter, false
	case l.up != nil && !l.up.take(now, len(p)):
		return InRate, false
	}
	return 0, true
}

// admitOut decides on a packet to the peer.
func (l *limits) admitOut(p []byte, now int64) (Reason, bool) {
	switch {
	case l.filter != nil && l.filter.Out(p) != nil:
		return OutFilter, false
	case l.down != nil && !l.down.take(now, len(p)):
		return OutRate, false
	}
	return 0, true
}

// bucket bounds a rate without a lock. It holds no tokens but the time by which
// all that passed would have passed at the rate: no packet passes while that
// lies further ahead than a burst takes.
type bucket struct {
	rate  uint64 // bits a second
	burst int64  // nanoseconds
	until atomic.Int64
}

const nanosecondBits = 8 * 1e9 // of an octet at one bit a second

func newBucket(rate uint64) *bucket {
	if rate == 0 {
		return nil
	}
	return &bucket{rate: rate, burst: int64(float64(esp.Burst(rate)) * nanosecondBits / float64(rate))}
}

// take tells whether a packet of n octets passes at now.
func (b *bucket) take(now int64, n int) bool {
	cost := int64(uint64(n) * nanosecondBits / b.rate)
	for {
		until := b.until.Load()
		next := max(until, now) + cost
		if next-now > b.burst {
			return false
		}
		if b.until.CompareAndSwap(until, next) {
			return true
		}
	}
}

var _ esp.Limiter = (*Tunnel)(nil)

// Limit holds a session's packets to l from now on, in both directions and in
// all Child SAs it has or gets. It never fails.
func (t *Tunnel) Limit(_ context.Context, session string, _ []netip.Addr, l *esp.Limits) error {
	next := &limits{up: newBucket(l.RateUp), down: newBucket(l.RateDown)}
	if len(l.Filter) > 0 {
		next.filter = esp.NewFilter(l.Filter)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if before := t.limits[session]; before != nil {
		next.up, next.down = kept(before.up, next.up), kept(before.down, next.down)
	}
	t.limits[session] = next
	t.spread(session, next)
	return nil
}

// kept is the former bucket where the rate stays: what it owes is not forgiven.
func kept(before, next *bucket) *bucket {
	if before != nil && next != nil && before.rate == next.rate {
		return before
	}
	return next
}

// Unlimit lets all packets of a session pass.
func (t *Tunnel) Unlimit(_ context.Context, session string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.limits[session] != nil {
		delete(t.limits, session)
		t.spread(session, nil)
	}
	return nil
}

// spread gives a session's Child SAs their limits, also those that only
// receive still. t.mu is held.
func (t *Tunnel) spread(session string, l *limits) {
	for _, c := range t.children {
		if c.session != session {
			continue
		}
		c.limits.Store(l)
		for _, still := range c.lingering {
			still.limits.Store(l)
		}
	}
}
