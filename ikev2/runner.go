package ikev2

import (
	"context"
	"sync"
	"time"

	"bridgehead/ikev2/transport"
)

// inbox is what waits for a shard: datagrams up to a limit, finished jobs and
// commands. Putting something in never blocks. Its methods are safe for
// concurrent use.
type inbox struct {
	limit int // of datagrams
	wake  chan struct{}

	mu   sync.Mutex
	next batch // guarded by mu
}

// batch is the content of an inbox at one time.
type batch struct {
	datagrams []transport.Datagram
	jobs      []Job
	commands  []func(now time.Time, s *shard)
}

func (b *batch) reset() {
	clear(b.datagrams)
	clear(b.jobs)
	clear(b.commands)
	b.datagrams, b.jobs, b.commands = b.datagrams[:0], b.jobs[:0], b.commands[:0]
}

func newInbox(limit int) *inbox { return &inbox{limit: limit, wake: make(chan struct{}, 1)} }

// put runs add on the content and wakes the shard.
func (i *inbox) put(add func(*batch)) {
	i.mu.Lock()
	add(&i.next)
	i.mu.Unlock()
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

// datagram puts in a datagram; false: the inbox is full.
func (i *inbox) datagram(d transport.Datagram) (taken bool) {
	i.put(func(b *batch) {
		if taken = len(b.datagrams) < i.limit; taken {
			b.datagrams = append(b.datagrams, d)
		}
	})
	return taken
}

// swap takes the content out and leaves spare, which is empty, in its place.
func (i *inbox) swap(spare batch) batch {
	i.mu.Lock()
	defer i.mu.Unlock()
	b := i.next
	i.next = spare
	return b
}

// runner gives a shard its goroutine.
type runner struct {
	*shard
	r     *Responder
	inbox *inbox
}

// run works until ctx ends and the shard has drained after that. Once drained
// is closed it waits no longer for clients, but still for what its jobs bring.
func (u *runner) run(ctx context.Context, drained <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	done := ctx.Done()
	var b batch
	for {
		b = u.inbox.swap(b)
		u.process(&b)
		b.reset()
		if u.closing && u.idle() {
			return
		}
		if next := u.deadline(); next.IsZero() {
			timer.Reset(time.Hour)
		} else {
			timer.Reset(next.Sub(u.cfg.Now()))
		}
		select {
		case <-u.inbox.wake:
		case <-timer.C:
		case <-done:
			done = nil
			now := u.cfg.Now()
			u.closing = true
			u.disconnect(now, CauseShutdown, func(*SA) bool { return true })
			u.flush()
		case <-drained:
			drained, u.drained = nil, true
		}
	}
}

// flushEvery is how many datagrams are handled before the answers go out.
const flushEvery = 64

func (u *runner) process(b *batch) {
	now := u.cfg.Now()
	for _, c := range b.commands {
		c(now, u.shard)
	}
	for _, j := range b.jobs {
		u.finish(now, j)
	}
	u.flush()
	for i, d := range b.datagrams {
		u.receive(now, d)
		if i%flushEvery == flushEvery-1 {
			u.flush()
		}
	}
	u.due(now)
	u.flush()
}

// flush carries out what the SAs put into the Outbox.
func (u *runner) flush() {
	o := &u.out
	if len(o.Datagrams) > 0 {
		u.cfg.Send(o.Datagrams)
	}
	for _, j := range o.Jobs {
		u.r.pools[j.pool()].submit(j)
	}
	u.r.publish(o)
	o.Reset()
}
