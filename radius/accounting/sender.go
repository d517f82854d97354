package accounting

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	restFirst = time.Second
	restMost  = 5 * time.Minute
	// probing is how many requests are under way while none is answered.
	probing = 4
	// asideAfter is how often a server that lives leaves a record unanswered
	// before the others go on without waiting for it.
	asideAfter = 10
)

// restingHeap is the accounts that wait for their next try, the next first.
type restingHeap []*account

func (h restingHeap) Len() int           { return len(h) }
func (h restingHeap) Less(i, j int) bool { return h[i].retry.Before(h[j].retry) }
func (h restingHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].rest, h[j].rest = i+1, j+1 }
func (h *restingHeap) Push(x any)        { a := x.(*account); *h = append(*h, a); a.rest = len(*h) }
func (h *restingHeap) Pop() any {
	last := len(*h) - 1
	a := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	a.rest = 0
	return a
}

func sortEpochs(list []*epoch) {
	slices.SortFunc(list, func(a, b *epoch) int { return cmp.Compare(a.number, b.number) })
}

// Run sends what the spool holds, and notes what sessions carry, until ctx ends.
// A record that is on its way then is sent again by the next start.
func (s *Spool) Run(ctx context.Context) error {
	var sending sync.WaitGroup
	defer sending.Wait()
	if s.config.Usage != nil {
		sending.Go(func() { s.watchUsage(ctx) })
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		for a := s.take(); a != nil; a = s.take() {
			sending.Go(func() { s.send(ctx, a) })
		}
		if next := s.nextTry(); next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(0, next.Sub(s.config.Now())))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// take gives the next account with a record to send, nil where there is none or
// as many are under way as may be.
func (s *Spool) take() *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.config.Now()
	for len(s.resting) > 0 && !now.Before(s.resting[0].retry) {
		a := heap.Pop(&s.resting).(*account)
		s.arrange(a)
	}
	window := s.config.Window
	if !s.healthy {
		window = min(window, probing)
	}
	for s.sending < window && len(s.ready) > 0 {
		a := s.ready[0]
		s.ready[0] = nil
		s.ready = s.ready[1:]
		a.queued = false
		if a.gone {
			continue
		}
		a.busy = true
		s.sending++
		return a
	}
	return nil
}

func (s *Spool) nextTry() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.resting) == 0 {
		return time.Time{}
	}
	return s.resting[0].retry
}

// arrange has an account sent as soon as it may be; the lock is held.
func (s *Spool) arrange(a *account) {
	if a.gone || a.busy || a.queued || a.rest > 0 || a.next >= a.end || !s.may(a) {
		return
	}
	a.queued = true
	s.ready = append(s.ready, a)
}

// arrangeAll has all sent that may be, what waits longest first; the lock is
// held.
func (s *Spool) arrangeAll() {
	var waiting []*account
	for _, a := range s.accounts {
		if a.next < a.end {
			waiting = append(waiting, a)
		}
	}
	slices.SortFunc(waiting, func(a, b *account) int { return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.id, b.id)) })
	for _, a := range waiting {
		s.arrange(a)
	}
}

// may tells whether an account's epoch has come so far.
func (s *Spool) may(a *account) bool {
	current := s.epochs[0]
	switch {
	case a.epoch.number != current.number:
		return a.epoch.number < current.number
	case a.mark == kindOn:
		return true
	case a.mark == kindOff:
		return current.on == nil && current.waited()
	}
	return current.on == nil
}

// waited tells whether nothing of the epoch's sessions is left to wait for.
func (e *epoch) waited() bool { return e.accounts <= e.aside }

// advance goes on to the next epoch whose turn it is; the lock is held.
func (s *Spool) advance() {
	for len(s.epochs) > 1 && s.epochs[0].on == nil && s.epochs[0].off == nil && s.epochs[0].waited() {
		s.epochs = s.epochs[1:]
		s.arrangeAll()
	}
	for _, a := range [...]*account{s.epochs[0].on, s.epochs[0].off} {
		if a != nil {
			s.arrange(a)
		}
	}
}

// send takes an account's next record to the servers.
func (s *Spool) send(ctx context.Context, a *account) {
	defer s.rouse()
	n, k, err := s.deliver(ctx, a)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sending--
	a.busy = false
	switch {
	case a.gone:
	case err == nil:
		s.answered(a, n, k)
	case errors.Is(err, errNoRecord): // dropped, where the spool was full
		s.skip(a, n)
	case errors.Is(err, errFlawed):
		s.unreadable(recordKey(a.id, n), err)
		s.remove([]change{{bucketRecords, recordKey(a.id, n), nil}})
		s.skip(a, n)
	case errors.Is(err, errDamaged):
		s.unreadable([]byte(a.id), err)
		s.erase(a)
	case ctx.Err() != nil:
		s.arrange(a)
	default:
		s.unanswered(a, err)
	}
}

// skip goes on with what comes after a record that can't be sent: a session that
// is up still gets its Stop. The lock is held.
func (s *Spool) skip(a *account, n uint32) {
	a.next, a.since = n+1, s.config.Now()
	if a.over && a.next >= a.numbered { // it was the last one
		s.erase(a)
		return
	}
	s.prune()
	s.arrange(a)
}

// deliver sends a record and tells its number and kind. With errNoRecord the
// number is that of the last one looked for.
func (s *Spool) deliver(ctx context.Context, a *account) (uint32, kind, error) {
	if a.mark != 0 {
		r, err := s.store.loadMark(a.epoch.number, a.mark)
		if err != nil {
			return 0, 0, fmt.Errorf("%w: %w", errDamaged, err)
		}
		return 0, r.Kind, s.config.Sender.Account(ctx, s.config.NAS.mark(r, s.config.Now()))
	}
	s.mu.Lock()
	next, end := a.next, a.end
	s.mu.Unlock()
	e, r, n, err := s.store.load(a.id, next)
	if errors.Is(err, errNoRecord) {
		n = end - 1
	}
	if err != nil {
		return n, 0, err
	}
	return n, r.Kind, s.config.Sender.Account(ctx, s.config.NAS.session(e.Session, r, s.config.Now()))
}

// answered takes that a server has a record; the lock is held.
func (s *Spool) answered(a *account, n uint32, k kind) {
	s.figures.count(k)
	a.tries, a.refused = 0, 0
	if !s.healthy {
		s.healthy = true
		s.config.Log.Info("accounting is answered again")
		s.config.Notice("accounting is answered again")
		s.hurry()
	}
	if a.aside {
		a.aside = false
		a.epoch.aside--
	}
	if a.mark != 0 {
		s.remove([]change{{bucketMarks, markKey(a.epoch.number, a.mark), nil}})
		s.finish(a)
		return
	}
	if k == kindStart && a.started != nil {
		close(a.started)
		a.started = nil
	}
	a.next, a.since = n+1, s.config.Now()
	if k == kindStop {
		s.erase(a)
		return
	}
	s.remove([]change{{bucketRecords, recordKey(a.id, n), nil}})
	if k == kindInterim {
		a.size -= interimCost
		s.used -= interimCost
	}
	s.prune()
	s.arrange(a)
}

// prune forgets what needs not be dropped any more.
func (s *Spool) prune() {
	s.interims.prune(func(i item) bool { return i.gone || i.number < i.next })
	s.ended.prune(func(i item) bool { return i.gone })
}

// hurry has all tried again that waits because nobody answered.
func (s *Spool) hurry() {
	list := s.resting
	s.resting = nil
	for _, a := range list {
		a.rest = 0
		if a.aside {
			heap.Push(&s.resting, a)
			continue
		}
		s.arrange(a)
	}
}

// unanswered takes that no server has taken a record; the lock is held.
func (s *Spool) unanswered(a *account, err error) {
	s.figures.Retried++
	if s.healthy {
		s.config.Log.Warn("accounting is not answered; the records stay on disk until they are", slog.Any("error", err))
		s.config.Notice("accounting is not answered; its records stay on disk until it is: " + err.Error())
	}
	s.healthy = false
	a.tries++
	if s.config.Sender.Answering() {
		a.refused++
	}
	if a.refused >= asideAfter && !a.aside {
		s.setAside(a, err)
		if a.gone {
			return
		}
	}
	rest := restMost
	if shift := min(a.tries-1, 16); restFirst<<shift < restMost {
		rest = restFirst << shift
	}
	a.retry = s.config.Now().Add(rest + s.jitter(rest))
	heap.Push(&s.resting, a)
}

// setAside has the others not wait for a record that a server that lives does
// not answer. On or Off has no sense any more once others have overtaken it.
func (s *Spool) setAside(a *account, err error) {
	s.config.Log.Error("a RADIUS server lives and does not answer an accounting record: others no longer wait for it",
		slog.String("session", a.id), slog.Any("error", err))
	if a.mark != 0 {
		s.figures.DroppedMarks++
		s.remove([]change{{bucketMarks, markKey(a.epoch.number, a.mark), nil}})
		s.finish(a)
		return
	}
	a.aside = true
	a.epoch.aside++
	s.advance()
}

// jitter is up to a quarter of d.
func (s *Spool) jitter(d time.Duration) time.Duration {
	var b [2]byte
	if _, err := io.ReadFull(s.config.Rand, b[:]); err != nil {
		return 0
	}
	return d / 4 * time.Duration(binary.BigEndian.Uint16(b[:])) >> 16
}

// finish forgets an account; the lock is held.
func (s *Spool) finish(a *account) {
	if a.gone {
		return
	}
	a.gone = true
	switch a.mark {
	case kindOn:
		a.epoch.on = nil
		if a.epoch == s.epochs[0] { // all that waited for it
			s.arrangeAll()
		}
	case kindOff:
		a.epoch.off = nil
	default:
		delete(s.accounts, a.id)
		s.used -= a.size
		a.epoch.accounts--
		if a.aside {
			a.epoch.aside--
		}
	}
	if a.rest > 0 {
		heap.Remove(&s.resting, a.rest-1)
	}
	s.prune()
	s.advance()
}
