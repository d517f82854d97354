package config

import (
	"errors"
	"net/netip"
	"strings"

	"bridgehead/ikev2/hostnet"
	"bridgehead/ikev2/lease"
)

// Pool is one entry of addresses.pools: a prefix, whose first and last address
// are never given out, or a range that is given out whole.
type Pool struct {
	Prefix netip.Prefix // invalid for a range
	Range  lease.Range  // what is given out
}

// ParsePool reads "192.0.2.0/25" or "192.0.2.10-192.0.2.99".
func ParsePool(s string) (Pool, error) {
	r, err := lease.ParseRange(s)
	if err != nil {
		var e *lease.RangeError
		if errors.As(err, &e) {
			err = errors.New("cannot be a pool: " + e.Problem)
		}
		return Pool{}, err
	}
	if !strings.Contains(s, "/") {
		return Pool{Range: r}, nil
	}
	p, err := netip.ParsePrefix(strings.TrimSpace(s))
	return Pool{Prefix: p, Range: r}, err
}

// String is the form ParsePool reads.
func (p Pool) String() string {
	if p.Prefix.IsValid() {
		return p.Prefix.String()
	}
	return p.Range.String()
}

// Contains tells whether an address belongs to the pool, those included that a
// prefix keeps back.
func (p Pool) Contains(a netip.Addr) bool {
	return p.Prefix.IsValid() && p.Prefix.Contains(a) || p.Range.Contains(a)
}

// Overlaps tells whether two pools share an address.
func (p Pool) Overlaps(o Pool) bool {
	first := func(p Pool) netip.Addr {
		if p.Prefix.IsValid() {
			return p.Prefix.Addr()
		}
		return p.Range.First
	}
	return p.Contains(first(o)) || o.Contains(first(p))
}

// Is4 tells the family.
func (p Pool) Is4() bool { return p.Range.First.Is4() }

// Prefixes covers the pool with as few prefixes as possible.
func (p Pool) Prefixes() []netip.Prefix {
	if p.Prefix.IsValid() {
		return []netip.Prefix{p.Prefix}
	}
	return hostnet.Prefixes(p.Range.First, p.Range.Last)
}
