package accounting

import (
	"log/slog"
	"slices"
	"time"
)

const (
	// overhead is what a key and its place take in the file.
	overhead = 64
	// stopCost is kept free for the Stop of every session, and for what is noted
	// of it meanwhile.
	stopCost = 512
	// sayAgain is the pause between two reports of the same trouble.
	sayAgain = time.Minute
)

func cost(value []byte) int64 { return int64(len(value)) + overhead }

// item is a record of an account.
type item struct {
	*account
	number uint32
}

// queue is records or accounts, the oldest first. What is gone meanwhile is
// passed over.
type queue struct {
	items []item
	sweep int // as many items have prune look at all of them
}

// leastSweep is how many items are always held, needed or not.
const leastSweep = 64

func (q *queue) push(i item) { q.items = append(q.items, i) }

func (q *queue) pop() (item, bool) {
	if len(q.items) == 0 {
		q.items = nil
		return item{}, false
	}
	i := q.items[0]
	q.items[0] = item{}
	q.items = q.items[1:]
	return i, true
}

// prune forgets the oldest as long as they are answered; what is answered behind
// one that is not, once it is about half of all.
func (q *queue) prune(answered func(item) bool) {
	for len(q.items) > 0 && answered(q.items[0]) {
		q.pop()
	}
	if len(q.items) >= max(q.sweep, leastSweep) {
		q.items = slices.DeleteFunc(q.items, answered)
		q.sweep = 2 * len(q.items)
	}
}

// fullness is what was said of a full spool.
type fullness struct {
	said    time.Time
	dropped uint64 // interim reports since
}

// admit makes room for octets of a new session, or refuses it; the lock is
// held.
func (s *Spool) admit(octets int64) error {
	if s.used+octets <= s.config.Limit {
		return nil
	}
	if s.config.WhenFull == DropInterims {
		for s.used+octets > s.config.Limit && (s.dropInterim() || s.dropSession()) {
		}
	}
	if s.used+octets <= s.config.Limit {
		return nil
	}
	s.figures.Refused++
	s.complain("the accounting spool is full: logins are refused")
	return &FullError{s.config.Limit}
}

// complain reports a full spool, not more than once a minute.
func (s *Spool) complain(text string) {
	now := s.config.Now()
	if !s.full.said.IsZero() && now.Sub(s.full.said) < sayAgain {
		return
	}
	s.config.Log.Error(text, slog.Int64("octets", s.used), slog.Int64("limit", s.config.Limit), slog.Uint64("interims_dropped", s.full.dropped),
		slog.String("advice", "have the RADIUS server answer, or raise accounting.spool_limit"))
	s.config.Notice(text)
	s.full = fullness{said: now}
}

// interimCost is about what an interim report takes.
const interimCost = 256 + overhead

// dropInterim drops the oldest interim report that is not on its way; false:
// there is none.
func (s *Spool) dropInterim() bool {
	for {
		i, ok := s.interims.pop()
		if !ok {
			return false
		}
		if i.gone || i.number < i.next || i.busy && i.number == i.next {
			continue
		}
		s.remove([]change{{bucketRecords, recordKey(i.id, i.number), nil}})
		i.size -= interimCost
		s.used -= interimCost
		s.figures.DroppedInterims++
		s.full.dropped++
		s.complain("the accounting spool is full: interim reports are dropped")
		return true
	}
}

// dropSession drops the session that ended first of those that no server has
// heard the end of; false: there is none.
func (s *Spool) dropSession() bool {
	for {
		i, ok := s.ended.pop()
		if !ok {
			return false
		}
		if i.gone || i.busy {
			continue
		}
		s.figures.DroppedSessions++
		s.config.Log.Error("the accounting spool is full: a session is not reported", slog.String("session", i.id),
			slog.Time("began", i.began), slog.Any("totals", i.totals), slog.Int64("limit", s.config.Limit))
		s.erase(i.account)
		return true
	}
}

// erase deletes all of an account, and forgets it; the lock is held.
func (s *Spool) erase(a *account) {
	changes := []change{{bucketSessions, []byte(a.id), nil}, {bucketNotes, []byte(a.id), nil}}
	for n := a.next; n < a.end; n++ {
		changes = append(changes, change{bucketRecords, recordKey(a.id, n), nil})
	}
	s.remove(changes)
	s.finish(a)
}

// remove deletes from the disk, at leisure: what comes back by a crash is sent
// once more. So is it where the file is closed already.
func (s *Spool) remove(changes []change) {
	_ = s.store.put(&write{lazy: true, keep: true, changes: changes})
}
