package guard

import (
	"maps"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxUsers bounds the users that are remembered. Only who has logged in is.
	maxUsers = 1 << 16
	// maxPlaces bounds the places remembered of one user; the one not seen for
	// the longest time goes.
	maxPlaces = 8
	// memory is how long a place is remembered that is not seen again.
	memory = 90 * 24 * time.Hour
	// creditEvery is how often a user's logins from one place count in its
	// favour: nobody earns guesses by logging in again and again.
	creditEvery = 10 * time.Minute
)

// visit is a place that a user has logged in from.
type visit struct {
	place    netip.Prefix
	last     time.Time
	credited time.Time
}

// known remembers who has logged in from where. It is safe for concurrent use.
type known struct {
	mu    sync.Mutex
	users map[string][]visit
}

func newKnown() *known {
	return &known{users: make(map[string][]visit)}
}

// has tells whether a user has logged in from a place.
func (k *known) has(now time.Time, user string, place netip.Prefix) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, v := range k.users[user] {
		if v.place == place {
			return now.Sub(v.last) < memory
		}
	}
	return false
}

// learn notes a login, and tells whether it counts in favour of its place.
func (k *known) learn(now time.Time, user string, place netip.Prefix) (credited bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := k.users[user]
	for i := range list {
		v := &list[i]
		if v.place != place {
			continue
		}
		v.last = now
		if credited = now.Sub(v.credited) >= creditEvery; credited {
			v.credited = now
		}
		return credited
	}
	if list == nil && len(k.users) >= maxUsers {
		k.evict()
	}
	if len(list) >= maxPlaces {
		oldest := 0
		for i := range list {
			if list[i].last.Before(list[oldest].last) {
				oldest = i
			}
		}
		list[oldest] = list[len(list)-1]
		list = list[:len(list)-1]
	}
	k.users[user] = append(list, visit{place: place, last: now, credited: now})
	return true
}

// evict makes room for a user: of a few taken at random, the one not seen for
// the longest time goes. The lock is held.
func (k *known) evict() {
	const sample = 16
	var (
		loser string
		least time.Time
		n     int
	)
	for user, list := range maps.All(k.users) {
		last := list[0].last
		for _, v := range list {
			if v.last.After(last) {
				last = v.last
			}
		}
		if n == 0 || last.Before(least) {
			loser, least = user, last
		}
		if n++; n == sample {
			break
		}
	}
	delete(k.users, loser)
}
