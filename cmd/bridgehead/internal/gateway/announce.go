package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"bridgehead/ikev2"
	"bridgehead/ikev2/hostnet"
	"bridgehead/ikev2/lease"
)

// announceJournal is where announced addresses are noted, below paths.state.
const announceJournal = "announce.journal"

// openAnnouncer takes back what a gateway that crashed has announced, and
// announces from now on where the configuration wants it.
func (g *Gateway) openAnnouncer(ctx context.Context) error {
	c := g.config.Load()
	journal := filepath.Join(c.Paths.State, announceJournal)
	if c.Addresses.Announce == "" {
		restored, err := hostnet.Withdraw(journal)
		g.undone(restored)
		return err
	}
	a, restored, err := hostnet.OpenAnnouncer(hostnet.AnnounceConfig{
		Journal: journal, Link: c.Addresses.Announce, Pools: poolPrefixes(c), SetSysctls: c.DataPlane.Forward, Logger: g.logger,
	})
	if err != nil {
		return fmt.Errorf("addresses.announce: %w", err)
	}
	g.announcer = a
	g.onClose(a.Close)
	for _, addr := range a.Announced() {
		restored = append(restored, fmt.Sprintf("%v announced on %s", addr, c.Addresses.Announce))
	}
	g.undone(restored)
	return a.Reconcile(ctx, nil) // no session lives yet
}

// leases are where sessions get their addresses.
func (g *Gateway) leases() ikev2.Leases {
	ways := places{g.routes}
	if g.announcer != nil {
		ways = append(ways, g.announcer)
	}
	return &announcedLeases{Leases: g.pools, announcer: ways, held: make(map[string]*announced)}
}

// places are all that has to know of a client's addresses.
type places []announcer

// Add tells all of them or none.
func (ps places) Add(ctx context.Context, addrs []netip.Addr) error {
	for i, p := range ps {
		if err := p.Add(ctx, addrs); err != nil {
			return errors.Join(err, ps[:i].Remove(context.WithoutCancel(ctx), addrs))
		}
	}
	return nil
}

// Remove tells all of them, the last first.
func (ps places) Remove(ctx context.Context, addrs []netip.Addr) error {
	var err error
	for _, p := range slices.Backward(ps) {
		err = errors.Join(err, p.Remove(ctx, addrs))
	}
	return err
}

// announcer is a *hostnet.Announcer or a *hostnet.HostRoutes.
type announcer interface {
	Add(ctx context.Context, addrs []netip.Addr) error
	Remove(ctx context.Context, addrs []netip.Addr) error
}

// announcedLeases announces addresses before they are promised to a client, and
// no longer when they are free for the next.
type announcedLeases struct {
	ikev2.Leases
	announcer announcer

	mu   sync.Mutex
	held map[string]*announced // by holder, guarded by mu
}

// announced is the way of one session's lease.
type announced struct {
	addrs    []netip.Addr
	claimed  bool // the lease is had
	ready    bool // and announced
	released bool // Release came before that
}

// Acquire implements ikev2.Leases.
func (l *announcedLeases) Acquire(ctx context.Context, now time.Time, r lease.Request) (lease.Lease, error) {
	h, fresh := l.begin(r.Holder)
	got, err := l.Leases.Acquire(ctx, now, r)
	if err != nil || !fresh { // a holder has one lease; Acquire told so
		if fresh {
			l.forget(r.Holder)
		}
		return got, err
	}
	giveBack := func(err error) (lease.Lease, error) {
		l.forget(r.Holder)
		return lease.Lease{}, errors.Join(err, l.Leases.Release(context.WithoutCancel(ctx), now, r.Holder))
	}
	if l.mark(&h.claimed, h) {
		return giveBack(&lease.ReleasedError{Holder: r.Holder})
	}
	h.addrs = []netip.Addr{got.IPv4, got.IPv6}
	if err := l.announcer.Add(ctx, h.addrs); err != nil {
		return giveBack(&ikev2.GatewayFault{Cause: ikev2.CauseNotAnnounced, Err: err})
	}
	if l.mark(&h.ready, h) {
		err := l.announcer.Remove(context.WithoutCancel(ctx), h.addrs)
		return giveBack(errors.Join(&lease.ReleasedError{Holder: r.Holder}, err))
	}
	return got, nil
}

// begin makes a holder known; false: it is already.
func (l *announcedLeases) begin(holder string) (h *announced, fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := l.held[holder]; h != nil {
		return h, false
	}
	h = &announced{}
	l.held[holder] = h
	return h, true
}

// mark records a step of Acquire and tells whether Release came before it.
func (l *announcedLeases) mark(step *bool, h *announced) (released bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*step = true
	return h.released
}

func (l *announcedLeases) forget(holder string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, holder)
}

// Release implements ikev2.Leases. The address is silent before it is free; an
// Acquire that is still on its way sees to both.
func (l *announcedLeases) Release(ctx context.Context, now time.Time, holder string) error {
	l.mu.Lock()
	h := l.held[holder]
	if h != nil && !h.ready {
		h.released = true
		if h.claimed {
			l.mu.Unlock()
			return nil
		}
		h = nil
	}
	if h != nil {
		delete(l.held, holder)
	}
	l.mu.Unlock()
	var err error
	if h != nil {
		err = l.announcer.Remove(ctx, h.addrs)
	}
	return errors.Join(err, l.Leases.Release(ctx, now, holder))
}
