package esp

import (
	"context"
	"net/netip"

	"bridgehead/auth"
)

// Limits are what the inner packets of a session are held to, whichever of its
// Child SAs carries them. Nobody alters them once they were handed on.
type Limits struct {
	// Filter decides packet by packet; none: everything passes. The client's own
	// addresses are in it where a rule says "assigned".
	Filter []auth.FilterRule
	// RateUp and RateDown bound the octets of inner packets from and to the
	// client, in bits a second; 0: no limit.
	RateUp, RateDown uint64
}

// IsZero tells whether nothing is limited.
func (l *Limits) IsZero() bool { return len(l.Filter) == 0 && l.RateUp == 0 && l.RateDown == 0 }

// minBurst lets through the largest packet there is, twice: what generic
// receive offload has put together counts as one.
const minBurst = 128 << 10

// Burst is how many octets may pass at once under a rate in bits a second: what
// comes in a tenth of a second, and 128 KiB at least.
func Burst(rate uint64) uint64 { return max(rate/8/10, minBurst) }

// Limiter holds sessions to limits. A DataPlane that is none may have one
// beside it.
type Limiter interface {
	// Limit puts limits in the place of those that a session has, if any: before
	// its first Child SA is installed, or at any time later. inner are the client's
	// own addresses, always the same. Where it fails, the former limits hold.
	Limit(ctx context.Context, session string, inner []netip.Addr, l *Limits) error
	// Unlimit forgets a session's limits: when they are lifted, and before its
	// addresses are another's. That there are none is no error.
	Unlimit(ctx context.Context, session string) error
}
