package guard

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of the list of bans.
const (
	// maxBans bounds the bans of either kind, by hand and by itself, apart: a
	// flood of the latter must not drive out what an operator said.
	maxBans = 4096
	// leastBits are the widest prefixes that may be banned.
	leastBits4 = 8
	leastBits6 = 16
	// maxReason bounds an operator's reason, in octets.
	maxReason = 256
)

// Ban is a prefix from which no login may begin.
type Ban struct {
	Prefix netip.Prefix `json:"prefix"`
	Since  time.Time    `json:"since"`
	Until  time.Time    `json:"until"`
	Manual bool         `json:"manual"` // by an operator; else by too many wrong passwords
	Reason string       `json:"reason"` // for a person
}

// BanError tells why a prefix cannot be banned, or not be let in again.
type BanError struct {
	Prefix netip.Prefix
	Text   string // what is wrong, and what to do
}

func (e *BanError) Error() string { return fmt.Sprintf("%s: %s", e.Prefix, e.Text) }

// ErrNotBanned is what a BanError of a prefix wraps on which there is no ban.
var ErrNotBanned = errors.New("not banned")

// Is tells whether the ban was missing.
func (e *BanError) Is(target error) bool { return target == ErrNotBanned && e.Text == notBanned }

const notBanned = "is not banned; `bridgehead bans` lists what is"

// bans is the list of them. It is safe for concurrent use; looking up takes no
// lock.
type bans struct {
	current atomic.Pointer[banSet]
	mu      sync.Mutex // of writers
}

// banSet is the list at one time; nobody changes it.
type banSet struct {
	list         map[netip.Prefix]Ban
	bits4, bits6 []int // the lengths there are
}

func newBans() *bans {
	b := new(bans)
	b.current.Store(new(banSet))
	return b
}

// find gives the ban that an address falls under.
func (b *bans) find(now time.Time, a netip.Addr) (Ban, bool) {
	s := b.current.Load()
	bits := s.bits6
	if a = a.Unmap().WithZone(""); a.Is4() {
		bits = s.bits4
	}
	for _, n := range bits {
		p, err := a.Prefix(n)
		if err != nil {
			continue
		}
		if ban, ok := s.list[p]; ok && now.Before(ban.Until) {
			return ban, true
		}
	}
	return Ban{}, false
}

// all lists what is in force, in the order of the prefixes.
func (b *bans) all(now time.Time) []Ban {
	list := slices.DeleteFunc(slices.Collect(maps.Values(b.current.Load().list)), func(ban Ban) bool { return !now.Before(ban.Until) })
	slices.SortFunc(list, func(x, y Ban) int {
		return cmp.Or(x.Prefix.Addr().Compare(y.Prefix.Addr()), cmp.Compare(x.Prefix.Bits(), y.Prefix.Bits()))
	})
	return list
}

// put adds a ban or takes the place of one. Of too many that
// came by themselves, the one that would be over first goes.
func (b *bans) put(now time.Time, ban Ban) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := maps.Clone(b.current.Load().list)
	if next == nil {
		next = make(map[netip.Prefix]Ban)
	}
	alike, first := 0, Ban{}
	for p, o := range next {
		switch {
		case !now.Before(o.Until):
			delete(next, p)
		case o.Manual == ban.Manual && p != ban.Prefix:
			if alike++; alike == 1 || o.Until.Before(first.Until) {
				first = o
			}
		}
	}
	if alike >= maxBans {
		if ban.Manual {
			return &BanError{ban.Prefix, fmt.Sprintf("there are %d bans by hand already; ban wider prefixes, or use the host's firewall", alike)}
		}
		delete(next, first.Prefix)
	}
	next[ban.Prefix] = ban
	b.current.Store(newBanSet(next))
	return nil
}

// remove takes a ban away.
func (b *bans) remove(now time.Time, p netip.Prefix) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	former, ok := b.current.Load().list[p]
	if !ok || !now.Before(former.Until) {
		return false
	}
	next := maps.Clone(b.current.Load().list)
	delete(next, p)
	b.current.Store(newBanSet(next))
	return true
}

func newBanSet(list map[netip.Prefix]Ban) *banSet {
	s := &banSet{list: list}
	for p := range list {
		bits := &s.bits6
		if p.Addr().Is4() {
			bits = &s.bits4
		}
		if !slices.Contains(*bits, p.Bits()) {
			*bits = append(*bits, p.Bits())
		}
	}
	return s
}

// checkBan makes an operator's ban one that can be found again, or says what is
// wrong with it.
func checkBan(ban *Ban) error {
	p := ban.Prefix
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	ban.Prefix = p.Masked()
	least := leastBits6
	if p.Addr().Is4() {
		least = leastBits4
	}
	switch {
	case !p.IsValid():
		return &BanError{p, `expected an address or a prefix such as "192.0.2.0/24"`}
	case p.Bits() < least:
		return &BanError{p, fmt.Sprintf("is too wide, it might shut you out, too; expected /%d or longer", least)}
	case !ban.Until.After(ban.Since):
		return &BanError{p, "the ban would be over at once; expected a time above zero"}
	case len(ban.Reason) > maxReason:
		return &BanError{p, fmt.Sprintf("the reason is longer than %d octets", maxReason)}
	}
	return nil
}
