package guard

import (
	"sync"
	"time"
)

// ways is how many levels share a set of a table.
const ways = 8

// table keeps levels by key in a room of fixed size. What finds its set full
// takes the place of the lowest level there: an attacker who invents keys
// drives out such as were seen as seldom, never what is under suspicion.
type table struct {
	mu   sync.Mutex
	sets [][ways]slot // a power of two
}

type slot struct {
	key uint64 // a keyed hash; 0: free
	level
}

func newTable(slots int) *table { return &table{sets: make([][ways]slot, slots/ways)} }

// find gives the slot of a key; nil: there is none. The lock is held.
func (t *table) find(key uint64) *slot {
	set := &t.sets[key%uint64(len(t.sets))]
	for i := range set {
		if set[i].key == key {
			return &set[i]
		}
	}
	return nil
}

// room gives the slot of a key, which may be new. The lock is held.
func (t *table) room(now time.Time, key uint64, r rate) *slot {
	if s := t.find(key); s != nil {
		return s
	}
	set := &t.sets[key%uint64(len(t.sets))]
	lowest := &set[0]
	for i := range set {
		s := &set[i]
		if s.key == 0 {
			lowest = s
			break
		}
		if s.drain(now, r); s.full < lowest.full {
			lowest = s
		}
	}
	*lowest = slot{key: key}
	return lowest
}

// take adds one to a key's level where that stays within the limit. It gives
// the level there is then.
func (t *table) take(now time.Time, key uint64, r rate) (full float64, taken bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.room(now, key, r)
	taken = s.take(now, 1, r)
	return s.full, taken
}

// full gives a key's level.
func (t *table) full(now time.Time, key uint64, r rate) float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(key)
	if s == nil {
		return 0
	}
	s.drain(now, r)
	return s.full
}

// lower lowers the level of a key that is there.
func (t *table) lower(now time.Time, key uint64, n float64, r rate) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.find(key); s != nil {
		s.lower(now, n, r)
	}
}
