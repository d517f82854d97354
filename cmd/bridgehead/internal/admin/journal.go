package admin

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// What a Journal keeps. Both are bounded since strangers fill them.
const (
	maxEvents   = 1024
	maxRefusals = 1024
	// backlog is how far a follower may lag before it is dropped.
	backlog = 256
)

// Journal remembers the recent events and refusals and hands new events to
// whoever follows. It is safe for concurrent use; publishing never waits.
type Journal struct {
	mu        sync.Mutex
	events    ring[Event]
	refusals  ring[Refusal]
	followers map[*Follower]struct{}
	closed    bool
}

// NewJournal makes an empty one.
func NewJournal() *Journal {
	return &Journal{
		events:    ring[Event]{limit: maxEvents},
		refusals:  ring[Refusal]{limit: maxRefusals},
		followers: make(map[*Follower]struct{}),
	}
}

// Publish remembers an event and hands it on. A follower whose backlog is full
// is dropped.
func (j *Journal) Publish(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events.add(e)
	for f := range j.followers {
		select {
		case f.events <- e:
		default:
			f.slow = true
			j.drop(f)
		}
	}
}

// Refuse remembers a refusal and publishes it as an event.
func (j *Journal) Refuse(r Refusal) {
	j.mu.Lock()
	j.refusals.add(r)
	j.mu.Unlock()
	kind := KindRefused
	if r.Silent {
		kind = KindSilent
	}
	j.Publish(Event{
		Time: r.Time, Kind: kind, Session: r.Session, User: r.User, Peer: r.Peer, Client: r.Client, Cause: r.Cause,
		Text: fmt.Sprintf("%s from %s: %s", r.Who(), r.Peer, Clause(r.Text)),
	})
}

// Who names the client as well as it is known.
func (r *Refusal) Who() string {
	for _, name := range []string{r.User, r.Identity} {
		if name != "" {
			return name
		}
	}
	return "a client"
}

// Clause fits a sentence behind a colon: a capital that only begins it becomes
// small, and its full stop goes.
func Clause(s string) string {
	s = strings.TrimSuffix(s, ".")
	if len(s) > 1 && 'A' <= s[0] && s[0] <= 'Z' && (s[1] == ' ' || 'a' <= s[1] && s[1] <= 'z') {
		s = strings.ToLower(s[:1]) + s[1:]
	}
	return s
}

// Events gives the recent events, oldest first.
func (j *Journal) Events() []Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.events.all()
}

// Why gives the recent refusals about a user, a session or a peer's address,
// newest first; "" gives all.
func (j *Journal) Why(about string) []Refusal {
	j.mu.Lock()
	list := j.refusals.all()
	j.mu.Unlock()
	slices.Reverse(list)
	if about == "" {
		return list
	}
	return slices.DeleteFunc(list, func(r Refusal) bool { return !r.concerns(about) })
}

// concerns tells whether a refusal is about a user, a session or a peer.
func (r *Refusal) concerns(about string) bool {
	if strings.EqualFold(r.User, about) || r.Session == about || r.Peer == about {
		return true
	}
	if _, name, ok := strings.Cut(r.User, `\`); ok && strings.EqualFold(name, about) {
		return true
	}
	peer, err := netip.ParseAddrPort(r.Peer)
	if err != nil {
		return false
	}
	if p, err := netip.ParsePrefix(about); err == nil {
		return p.Contains(peer.Addr().Unmap())
	}
	a, err := netip.ParseAddr(about)
	return err == nil && a.Unmap() == peer.Addr().Unmap()
}

// Follower receives events from the moment it was made.
type Follower struct {
	events  chan Event
	journal *Journal
	slow    bool // written under the journal's lock before events is closed
}

// Follow begins to follow. Every Follower must be closed.
func (j *Journal) Follow() *Follower {
	j.mu.Lock()
	defer j.mu.Unlock()
	f := &Follower{events: make(chan Event, backlog), journal: j}
	if j.closed {
		close(f.events)
		return f
	}
	j.followers[f] = struct{}{}
	return f
}

// Events is closed when the follower was too slow, was closed, or the journal
// ended.
func (f *Follower) Events() <-chan Event { return f.events }

// Slow tells, once Events is closed, that the follower was dropped because it
// lagged.
func (f *Follower) Slow() bool {
	f.journal.mu.Lock()
	defer f.journal.mu.Unlock()
	return f.slow
}

// Close ends following.
func (f *Follower) Close() {
	f.journal.mu.Lock()
	defer f.journal.mu.Unlock()
	f.journal.drop(f)
}

// drop removes a follower; the lock is held.
func (j *Journal) drop(f *Follower) {
	if _, ok := j.followers[f]; ok {
		delete(j.followers, f)
		close(f.events)
	}
}

// Close drops every follower and accepts no more.
func (j *Journal) Close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	for f := range j.followers {
		j.drop(f)
	}
}

// ring keeps the last limit elements.
type ring[T any] struct {
	limit int
	list  []T
	next  int // where the oldest stands once the ring is full
}

func (r *ring[T]) add(t T) {
	if len(r.list) < r.limit {
		r.list = append(r.list, t)
		return
	}
	r.list[r.next] = t
	r.next = (r.next + 1) % r.limit
}

// all copies the elements, oldest first.
func (r *ring[T]) all() []T {
	all := make([]T, 0, len(r.list))
	return append(append(all, r.list[r.next:]...), r.list[:r.next]...)
}
