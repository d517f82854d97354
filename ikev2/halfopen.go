package ikev2

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
)

// halfOpenBuckets is the size of the table of counts by address. Addresses
// that share a bucket share its limit, which errs on the strict side and
// keeps the table from growing with the number of attackers.
const halfOpenBuckets = 1 << 14

// halfOpenCount counts the logins under way, in total and by address, over
// all shards. Its methods are safe for concurrent use and take no lock.
type halfOpenCount struct {
	seed   maphash.Seed
	total  atomic.Int32
	bucket [halfOpenBuckets]atomic.Int32
}

func newHalfOpenCount() *halfOpenCount { return &halfOpenCount{seed: maphash.MakeSeed()} }

// of gives the count for an IPv4 address or an IPv6 /64, as one site has.
func (h *halfOpenCount) of(a netip.Addr) *atomic.Int32 {
	b := a.Unmap().As16()
	if !a.Unmap().Is4() {
		clear(b[8:])
	}
	return &h.bucket[maphash.Bytes(h.seed, b[:])%halfOpenBuckets]
}

func (h *halfOpenCount) enter(a netip.Addr) {
	h.total.Add(1)
	h.of(a).Add(1)
}

func (h *halfOpenCount) leave(a netip.Addr) {
	h.total.Add(-1)
	h.of(a).Add(-1)
}

// HalfOpen is the number of logins under way.
func (r *Responder) HalfOpen() int { return int(r.runners[0].halfOpen.total.Load()) }
