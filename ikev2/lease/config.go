package lease

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

const (
	// DefaultRemember is how long an address waits for the identity that
	// held it last.
	DefaultRemember = 30 * 24 * time.Hour
	// DefaultMaxRemembered bounds the addresses remembered in one family of
	// one pool: users who come once and never again must not fill the memory.
	DefaultMaxRemembered = 1 << 16
)

// PoolConfig describes one named pool.
type PoolConfig struct {
	Name   string
	Ranges []Range // IPv4 and IPv6, in order of use
	// Reserved addresses are given only to those who have them fixed: the
	// gateway's own, and those of the users file. Pools.Reserve changes them.
	Reserved []netip.Addr
	// Remember is how long an address waits for its last identity; zero is
	// DefaultRemember, negative never.
	Remember time.Duration
	// MaxRemembered bounds the remembered addresses of each family; zero is
	// DefaultMaxRemembered.
	MaxRemembered int
}

// NewPools reads the store and gives pools in the order configured. The
// store must have no other user that holds sessions of its own in these
// pools: claims found in it belong to dead sessions and are only remembered.
// Errors are *ConfigError and *StoreError.
func NewPools(cfg []PoolConfig, store Store) (*Pools, error) {
	p := &Pools{store: store, outside: newBook(nil), holders: make(map[string]*holding)}
	if len(cfg) == 0 {
		return nil, &ConfigError{Problem: "none is configured; name at least one prefix, such as 192.0.2.0/25"}
	}
	for i, c := range cfg {
		if err := checkPool(c, cfg[:i]); err != nil {
			return nil, err
		}
		p.pools = append(p.pools, newPool(c))
	}
	return p, p.load()
}

func newPool(c PoolConfig) *pool {
	var ranges [2][]Range
	for _, r := range c.Ranges {
		i := familyIndex(r.First)
		ranges[i] = append(ranges[i], r)
	}
	pl := &pool{name: c.Name, remember: c.Remember, max: c.MaxRemembered}
	for i := range pl.books {
		pl.books[i] = newBook(ranges[i])
		pl.books[i].reserve(c.Reserved)
	}
	if pl.remember == 0 {
		pl.remember = DefaultRemember
	}
	if pl.max == 0 {
		pl.max = DefaultMaxRemembered
	}
	return pl
}

// checkPool refuses what would hand one address out twice.
func checkPool(c PoolConfig, before []PoolConfig) error {
	if len(c.Ranges) == 0 {
		return &ConfigError{Pool: c.Name, Problem: "it has no addresses; give it at least one prefix or range"}
	}
	for i, r := range c.Ranges {
		if !r.valid() {
			return &ConfigError{Pool: c.Name, Problem: fmt.Sprintf("%v is no range", r)}
		}
		if j := slices.IndexFunc(c.Ranges[:i], r.overlaps); j >= 0 {
			return &ConfigError{Pool: c.Name, Problem: fmt.Sprintf("%v overlaps with its own %v; take one of them out", r, c.Ranges[j])}
		}
		for _, o := range before {
			if j := slices.IndexFunc(o.Ranges, r.overlaps); j >= 0 {
				return &ConfigError{Pool: c.Name, Problem: fmt.Sprintf("%v overlaps with %v of pool %q; no address can be in two pools", r, o.Ranges[j], o.Name)}
			}
		}
	}
	for _, o := range before {
		if o.Name == c.Name {
			return &ConfigError{Pool: c.Name, Problem: "two pools have this name; rename one"}
		}
	}
	return nil
}

// load turns the store's claims into remembered addresses.
func (p *Pools) load() error {
	claims, err := p.store.List(context.Background())
	if err != nil {
		return &StoreError{Op: "read the claims", Err: err}
	}
	slices.SortFunc(claims, func(a, b Claim) int {
		if c := a.Until.Compare(b.Until); c != 0 {
			return c
		}
		return a.Addr.Compare(b.Addr)
	})
	var forget []netip.Addr
	for _, c := range claims {
		pl, b := p.find(c.Addr)
		if pl == nil || c.Identity == "" || b.reserved[c.Addr] {
			forget = append(forget, c.Addr)
			continue
		}
		b.remember(&entry{addr: c.Addr, identity: c.Identity}, c.Until)
	}
	if err := p.store.Release(context.Background(), "", nil, forget); err != nil {
		return &StoreError{Op: "forget old claims", Err: err}
	}
	return nil
}
