package guard

import (
	"hash/maphash"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"bridgehead/auth"
)

// Sizes of the tables, which are all the memory that strangers can fill.
const (
	addressSlots = 1 << 14
	userSlots    = 1 << 14
	pairSlots    = 1 << 12
)

const (
	// credit is how many wrong passwords one user's login makes good for the
	// place it comes from: many may be behind one address.
	credit = 5
	// pairFactor is how many times the limit of a user is that of the same user
	// from where they have logged in before: an old phone with an old password
	// must not shut out the laptop beside it.
	pairFactor = 3
)

// Settings are the limits. Zero means none.
type Settings struct {
	PerAddress int           // wrong passwords in Window from one IPv4 address or IPv6 /64
	PerUser    int           // the same for one user, from where that user never logged in
	Total      int           // the same in all, from places where their user never logged in
	Window     time.Duration // must be above zero
}

// Guard counts wrong passwords and refuses answers over a limit. It is safe
// for concurrent use. Nothing in it outlives the process.
type Guard struct {
	settings Settings
	seed     maphash.Seed

	addresses, users, pairs *table
	all                     *table // of one key
	known                   *known
	style                   atomic.Pointer[style]
}

// New makes a Guard that knows nobody.
func New(s Settings) *Guard {
	return &Guard{
		settings: s, seed: maphash.MakeSeed(), known: newKnown(),
		addresses: newTable(addressSlots), users: newTable(userSlots), pairs: newTable(pairSlots), all: newTable(ways),
	}
}

// attempt is one answer that was admitted and not judged yet.
type attempt struct {
	place netip.Prefix
	user  string
	known bool
}

// admit counts an answer before it is judged, so that many at once cannot pass
// a limit together. Over a limit it gives the cause, and nothing is counted.
func (g *Guard) admit(now time.Time, from netip.Addr, user string) (attempt, auth.Cause) {
	s := &g.settings
	a := attempt{place: placeOf(from), user: user}
	if a.known = user != "" && g.known.has(now, user, a.place); a.known {
		if _, ok := g.pairs.take(now, g.pairKey(a), s.pair()); !ok {
			return a, auth.CauseGuessingUser
		}
		return a, ""
	}
	if _, ok := g.addresses.take(now, g.placeKey(a.place), s.rate(s.PerAddress)); !ok {
		return a, auth.CauseGuessingAddress
	}
	if user != "" {
		if _, ok := g.users.take(now, g.userKey(user), s.rate(s.PerUser)); !ok {
			g.addresses.lower(now, g.placeKey(a.place), 1, s.rate(s.PerAddress))
			return a, auth.CauseGuessingUser
		}
	}
	if _, ok := g.all.take(now, 1, s.rate(s.Total)); !ok {
		g.release(now, a)
		return a, auth.CauseGuessingTotal
	}
	return a, ""
}

// undo takes an attempt back: nobody guessed.
func (g *Guard) undo(now time.Time, a attempt) {
	if !a.place.IsValid() {
		return
	}
	s := &g.settings
	if a.known {
		g.pairs.lower(now, g.pairKey(a), 1, s.pair())
		return
	}
	g.release(now, a)
	g.all.lower(now, 1, 1, s.rate(s.Total))
}

// release takes back what counts for the place and the user.
func (g *Guard) release(now time.Time, a attempt) {
	s := &g.settings
	g.addresses.lower(now, g.placeKey(a.place), 1, s.rate(s.PerAddress))
	if a.user != "" {
		g.users.lower(now, g.userKey(a.user), 1, s.rate(s.PerUser))
	}
}

// login notes that a user got in: where they come from is known from now on.
func (g *Guard) login(now time.Time, from netip.Addr, user string) {
	place := placeOf(from)
	if !place.IsValid() || user == "" {
		return
	}
	if g.known.learn(now, user, place) {
		s := &g.settings
		g.addresses.lower(now, g.placeKey(place), credit, s.rate(s.PerAddress))
	}
}

func (s *Settings) rate(limit int) rate { return rate{float64(limit), s.Window} }
func (s *Settings) pair() rate          { return s.rate(pairFactor * s.PerUser) }

// placeOf is what counts as one place: an IPv4 address, or the /64 of one
// site. Of no address it is none.
func placeOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // an address that is none gives a prefix that is none
	return p
}

// userOf is what counts as one user: domain and realm vary from client to
// client, and case from user to user. The name that hides a user's own in
// methods with an inside (RFC 7542 §2.4) is nobody's.
func userOf(name string) string {
	user := strings.ToLower(auth.SplitName(auth.Clip(name)).User)
	if user == "anonymous" || strings.HasPrefix(user, "@") {
		return ""
	}
	return user
}

func (g *Guard) placeKey(p netip.Prefix) uint64 { return maphash.Comparable(g.seed, p) | 1 }
func (g *Guard) userKey(u string) uint64        { return maphash.String(g.seed, u) | 1 }
func (g *Guard) pairKey(a attempt) uint64       { return maphash.Comparable(g.seed, a) | 1 }
