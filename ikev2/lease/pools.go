package lease

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
)

const (
	// AlertPercent is the share of held addresses from which on Usage warns.
	AlertPercent = 80
	// maxStoreTries bounds how many addresses one Acquire tries when a shared
	// store says that others hold them.
	maxStoreTries = 16
	// pruneStep bounds the expired entries one call clears away.
	pruneStep = 64
)

// Request is a session's wish for addresses.
type Request struct {
	Holder    string // the session's id, unique
	Identity  string // the authenticated name: who comes again gets the same addresses; empty: never remembered
	Pool      string // empty: the first configured
	Pool6     string // of the IPv6 address; empty: as Pool
	WantIPv4  bool
	WantIPv6  bool
	OneIsBest bool         // no IPv6 address is wanted beside an IPv4 one, but in its place
	Fixed     []netip.Addr // from the Grant; the first of each wanted family counts
	Wish      []netip.Addr // from the peer: granted where free
}

// Lease is what a session got; the zero Addr where it got none.
type Lease struct {
	IPv4, IPv6 netip.Addr
	// Missed are fixed addresses that another session of the same identity
	// holds; this one got dynamic addresses in their place.
	Missed []netip.Addr
}

// Pools hands out addresses. Its methods are safe for concurrent use.
type Pools struct {
	store Store
	pools []*pool

	mu      sync.Mutex          // guards the books and what follows; not held while the store writes
	outside *book               // fixed addresses that lie in no pool
	holders map[string]*holding // by session id
}

type pool struct {
	name     string
	remember time.Duration
	max      int
	books    [2]*book // IPv4, IPv6
}

// holding is one session's lease.
type holding struct {
	parts    [2]part // IPv4, IPv6
	pending  bool    // the store is still writing
	released bool    // Release came while pending
}

// part is one address of a holding.
type part struct {
	pool *pool // nil: outside of all pools
	book *book
	e    *entry // nil: none of this family
}

func familyIndex(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

func familyAt(i int) Family { return [2]Family{IPv4, IPv6}[i] }

// find gives the pool and book an address belongs to; for an address in no
// pool, nil and the book of outside addresses.
func (p *Pools) find(a netip.Addr) (*pool, *book) {
	for _, pl := range p.pools {
		if b := pl.books[familyIndex(a)]; b.contains(a) {
			return pl, b
		}
	}
	return nil, p.outside
}

func (p *Pools) byName(name string) (*pool, error) {
	if name == "" {
		return p.pools[0], nil
	}
	known := make([]string, 0, len(p.pools))
	for _, pl := range p.pools {
		if pl.name == name {
			return pl, nil
		}
		known = append(known, pl.name)
	}
	return nil, &UnknownPoolError{Pool: name, Known: known}
}

// poolsOf are the pools of a request's IPv4 and IPv6 address.
func (p *Pools) poolsOf(r Request) (from [2]*pool, err error) {
	if from[0], err = p.byName(r.Pool); err != nil || r.Pool6 == "" {
		from[1] = from[0]
		return from, err
	}
	from[1], err = p.byName(r.Pool6)
	return from, err
}

// Acquire gives the session an address of each wanted family that the pool
// has; it is in the store before Acquire returns. now is for the memory of
// released addresses.
//
// A fixed address is claimed even where no pool holds it. If a session of
// another identity has it, Acquire fails with an *InUseError; if another
// session of the same identity has it, both stay up: this one gets a dynamic
// address, and Missed tells so. A caller who wants the newer session to have
// it releases the older one first.
//
// When one wanted family is exhausted nothing is claimed and the error is an
// *ExhaustedError. Others: *UnknownPoolError, *DuplicateHolderError,
// *ReleasedError, *StoreError, the last also when ctx ends early.
func (p *Pools) Acquire(ctx context.Context, now time.Time, r Request) (Lease, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	from, err := p.poolsOf(r)
	if err != nil {
		return Lease{}, err
	}
	if p.holders[r.Holder] != nil {
		return Lease{}, &DuplicateHolderError{Holder: r.Holder}
	}
	if err := p.prune(ctx, now); err != nil {
		return Lease{}, err
	}
	h := &holding{pending: true}
	p.holders[r.Holder] = h
	for try := 1; ; try++ {
		lease, err := p.choose(from, r, h)
		if err == nil {
			err = p.write(ctx, now, h)
		}
		if err == nil && h.released {
			err = &ReleasedError{Holder: r.Holder}
		}
		if err == nil {
			h.pending = false
			return lease, nil
		}
		var held *HeldError
		retry := errors.As(err, &held) && !h.released && try < maxStoreTries
		p.undo(ctx, now, r.Holder, h, held)
		if !retry {
			delete(p.holders, r.Holder)
			return Lease{}, err
		}
	}
}

// choose fills h with an address of each wanted family.
func (p *Pools) choose(from [2]*pool, r Request, h *holding) (Lease, error) {
	var lease Lease
	for i, wanted := range [2]bool{r.WantIPv4, r.WantIPv6} {
		if !wanted || i > 0 && r.OneIsBest && h.parts[0].e != nil {
			continue
		}
		fixed := firstOf(r.Fixed, i)
		ok, err := p.chooseFixed(fixed, i, r, h)
		if err != nil {
			return Lease{}, err
		}
		if ok {
			continue
		}
		if fixed.IsValid() {
			lease.Missed = append(lease.Missed, fixed)
		}
		pl := from[i]
		b := pl.books[i]
		if len(b.ranges) == 0 {
			continue
		}
		e := b.pick(r.Identity, r.Holder, firstOf(r.Wish, i))
		if e == nil {
			return Lease{}, &ExhaustedError{Pool: pl.name, Family: familyAt(i), Size: b.size}
		}
		h.parts[i] = part{pl, b, e}
	}
	if e := h.parts[0].e; e != nil {
		lease.IPv4 = e.addr
	}
	if e := h.parts[1].e; e != nil {
		lease.IPv6 = e.addr
	}
	if !lease.IPv4.IsValid() && !lease.IPv6.IsValid() && (r.WantIPv4 || r.WantIPv6) {
		family, pl := IPv6, from[1]
		if r.WantIPv4 {
			family, pl = IPv4, from[0]
		}
		return Lease{}, &ExhaustedError{Pool: pl.name, Family: family}
	}
	return lease, nil
}

// chooseFixed claims a fixed address; false: there is none, or another
// session of the same identity has it.
func (p *Pools) chooseFixed(a netip.Addr, family int, r Request, h *holding) (bool, error) {
	if !a.IsValid() {
		return false, nil
	}
	pl, b := p.find(a)
	if e := b.entries[a]; e != nil && e.holder != "" {
		if e.identity == r.Identity && r.Identity != "" {
			return false, nil
		}
		return false, &InUseError{Addr: a, Identity: e.identity, Holder: e.holder}
	}
	h.parts[family] = part{pl, b, b.claim(a, r.Identity, r.Holder)}
	return true, nil
}

func firstOf(addrs []netip.Addr, family int) netip.Addr {
	for _, a := range addrs {
		if a = a.Unmap(); a.IsValid() && a.Zone() == "" && familyIndex(a) == family {
			return a
		}
	}
	return netip.Addr{}
}

// write puts h into the store, without the lock: other sessions go on, and
// their claims share one write.
func (p *Pools) write(ctx context.Context, now time.Time, h *holding) error {
	claims := make([]Claim, 0, 2)
	for _, pt := range h.parts {
		if pt.e != nil {
			claims = append(claims, pt.claim(pt.e.holder, now))
		}
	}
	p.mu.Unlock()
	defer p.mu.Lock()
	if len(claims) == 0 {
		return nil
	}
	if err := p.store.Claim(ctx, claims); err != nil {
		return &StoreError{Op: "claim addresses", Err: err}
	}
	return nil
}

// claim is the store's form of a part. Until is set on held claims too: if
// the gateway dies, the memory ends then.
func (pt part) claim(holder string, now time.Time) Claim {
	c := Claim{Addr: pt.e.addr, Identity: pt.e.identity, Holder: holder, Until: now}
	if pt.pool != nil {
		c.Until = now.Add(max(0, pt.pool.remember))
	}
	return c
}

// undo gives up what h got. An address that the store says is held elsewhere
// goes to the end of the queue, under that holder's name; the store has then
// written nothing.
func (p *Pools) undo(ctx context.Context, now time.Time, holder string, h *holding, held *HeldError) {
	if held == nil {
		keep, forget := p.drop(now, h)
		// The claim failed already; if this fails too, a claim stays without
		// a living holder, which the next start forgives.
		_ = p.store.Release(context.WithoutCancel(ctx), holder, keep, forget)
		return
	}
	for _, pt := range h.parts {
		if pt.e != nil && pt.e.addr == held.Addr {
			pt.e.identity = "session " + held.Holder
		}
	}
	p.drop(now, h)
}

// drop turns h's addresses into remembered ones where they may be, and tells
// what the store must keep and forget.
func (p *Pools) drop(now time.Time, h *holding) (keep []Claim, forget []netip.Addr) {
	for i, pt := range h.parts {
		if pt.e == nil {
			continue
		}
		h.parts[i] = part{}
		if pt.pool == nil || pt.pool.remember < 0 || pt.e.identity == "" || pt.book.reserved[pt.e.addr] {
			pt.book.forget(pt.e)
			forget = append(forget, pt.e.addr)
			continue
		}
		c := pt.claim("", now)
		pt.book.remember(pt.e, c.Until)
		keep = append(keep, c)
	}
	return keep, forget
}

// Release ends the session's lease. Releasing twice, or a session that never
// had one, is no error. Release of a session whose Acquire still runs makes
// that Acquire fail with a *ReleasedError.
func (p *Pools) Release(ctx context.Context, now time.Time, holder string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.holders[holder]
	if h == nil {
		return nil
	}
	if h.pending {
		h.released = true
		return nil
	}
	delete(p.holders, holder)
	keep, forget := p.drop(now, h)
	// Under the lock, so that a claim which follows on the same address can't
	// overtake this release in the store.
	if err := p.store.Release(ctx, holder, keep, forget); err != nil {
		return &StoreError{Op: "release addresses", Err: err}
	}
	return p.prune(ctx, now)
}

// prune clears away some of what has expired or is too much, here and, in
// order, in the store.
func (p *Pools) prune(ctx context.Context, now time.Time) error {
	var forget []netip.Addr
	for _, pl := range p.pools {
		for _, b := range pl.books {
			for n := 0; n < pruneStep && b.oldest != nil; n++ {
				if b.remembered <= pl.max && now.Before(b.oldest.until) {
					break
				}
				forget = append(forget, b.oldest.addr)
				b.forget(b.oldest)
			}
		}
	}
	if len(forget) == 0 {
		return nil
	}
	if err := p.store.Release(ctx, "", nil, forget); err != nil {
		return &StoreError{Op: "forget old claims", Err: err}
	}
	return nil
}

// Reserve replaces the addresses that are given only to those who have them
// fixed. One that a session holds dynamically stays with it until it is
// released; one that is remembered for somebody is so no longer. The only
// error is a *StoreError: the reservation stands, but the store may remember
// more than it should until the next start.
func (p *Pools) Reserve(ctx context.Context, addrs []netip.Addr) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var forget []netip.Addr
	for _, pl := range p.pools {
		for _, b := range pl.books {
			forget = append(forget, b.reserve(addrs)...)
		}
	}
	if len(forget) == 0 {
		return nil
	}
	if err := p.store.Release(ctx, "", nil, forget); err != nil {
		return &StoreError{Op: "forget reserved addresses", Err: err}
	}
	return nil
}

// PoolUsage is how full one family of one pool is.
type PoolUsage struct {
	Pool       string
	Family     Family
	Size       uint64 // addresses the pool can give; math.MaxUint64 and more count as that
	Held       int
	Remembered int
	Alert      bool // AlertPercent or more of Size are held
}

// Usage gives a line for each family that a pool has, in configured order.
func (p *Pools) Usage() []PoolUsage {
	p.mu.Lock()
	defer p.mu.Unlock()
	var us []PoolUsage
	for _, pl := range p.pools {
		for i, b := range pl.books {
			if len(b.ranges) == 0 {
				continue
			}
			us = append(us, PoolUsage{
				Pool: pl.name, Family: familyAt(i), Size: b.size, Held: b.held, Remembered: b.remembered,
				Alert: float64(b.held)*100 >= float64(b.size)*AlertPercent,
			})
		}
	}
	return us
}
