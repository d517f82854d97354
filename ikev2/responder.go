package ikev2

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/transport"
)

// Responder runs the gateway's IKE SAs in shards. Its methods are safe for
// concurrent use.
type Responder struct {
	cfg     *settings
	seed    maphash.Seed
	runners []*runner
	pools   [poolCount]*workers
	works   works
	stray   counters // of what reached no shard

	base   context.Context // of jobs; ends with Run
	stop   context.CancelFunc
	asking context.Context // of jobs that wait for backends; ends with Run's patience
	hangUp context.CancelFunc
	ended  chan struct{} // closed when all shards have ended
}

// ErrEnded reports a question to a Responder that has ended.
var ErrEnded = errors.New("ikev2: the gateway has ended")

// hostJobs is the number of lease and data plane calls at once.
const hostJobs = 32

// NewResponder makes a Responder that is not yet running. The error joins all
// that is wrong with c.
func NewResponder(c Config) (*Responder, error) {
	cfg, err := newSettings(c)
	if err != nil {
		return nil, err
	}
	r := &Responder{cfg: cfg, seed: maphash.MakeSeed(), ended: make(chan struct{})}
	r.base, r.stop = context.WithCancel(context.Background())
	r.asking, r.hangUp = context.WithCancel(r.base)
	r.works = works{
		backend: cfg.Backend, leases: cfg.Leases, accounts: cfg.Accountant, plane: cfg.Plane, rand: cfg.Rand, now: cfg.Now,
		limiter: cfg.limiter(), sessions: newSessionLimits(), supersede: r.supersede,
	}
	for p, limit := range [poolCount]int{poolCrypto: runtime.GOMAXPROCS(0), poolBackend: cfg.Limits.BackendJobs, poolHost: hostJobs, poolAccount: cfg.Limits.BackendJobs} {
		r.pools[p] = &workers{limit: limit, keep: runtime.GOMAXPROCS(0), run: r.runJob}
	}
	halfOpen := newHalfOpenCount()
	for i := range cfg.Shards {
		r.runners = append(r.runners, &runner{shard: newShard(cfg, uint8(i), halfOpen), r: r, inbox: newInbox(cfg.Limits.Queue)})
	}
	return r, nil
}

// HandleIKE takes datagrams that came in. It copies what it keeps and does
// not block; with the queue of a shard full it drops.
func (r *Responder) HandleIKE(in []transport.Datagram) {
	for _, d := range in {
		u := r.runnerOf(d)
		if u == nil {
			r.stray[DropMalformed].Add(1)
			continue
		}
		d.Data = slices.Clone(d.Data)
		d.Remote = netip.AddrPortFrom(d.Remote.Addr().Unmap(), d.Remote.Port())
		d.Local = netip.AddrPortFrom(d.Local.Addr().Unmap(), d.Local.Port())
		if !u.inbox.datagram(d) {
			u.reg.count(DropQueue)
		}
	}
}

// runnerOf finds the shard of a datagram: by our SPI, or before there is one by
// what stays the same when the client repeats itself.
func (r *Responder) runnerOf(d transport.Datagram) *runner {
	h, err := message.ParseHeader(d.Data)
	if err != nil {
		return nil
	}
	if ours := h.ReceiverSPI(); !ours.IsZero() {
		return r.runners[int(ours[0])%len(r.runners)]
	}
	var hash maphash.Hash
	hash.SetSeed(r.seed)
	hash.Write(d.Data[:8])
	a := d.Remote.Addr().As16()
	hash.Write(a[:])
	return r.runners[hash.Sum64()%uint64(len(r.runners))]
}

// Run runs the shards until ctx ends, then tells all clients that their
// sessions are over, waits for them and for authentication backends as long as
// Timers.Drain, and takes all leases and tunnels back. It may be called once.
func (r *Responder) Run(ctx context.Context) error {
	defer r.stop()
	drained := make(chan struct{})
	var shards sync.WaitGroup
	for _, u := range r.runners {
		shards.Go(func() { u.run(ctx, drained) })
	}
	go func() { // ends with the shards
		shards.Wait()
		close(r.ended)
	}()
	<-ctx.Done()
	limit := time.NewTimer(r.cfg.Timers.Drain)
	defer limit.Stop()
	select {
	case <-r.ended:
	case <-limit.C:
		r.hangUp()
		close(drained)
		<-r.ended
	}
	for _, p := range r.pools {
		p.wait()
	}
	return nil
}

// runJob runs a job and hands it back to its shard.
func (r *Responder) runJob(j Job) {
	switch j.pool() {
	case poolCrypto:
		j.Run(r.base, &r.works)
	case poolBackend:
		r.runBounded(r.asking, j, r.cfg.Timers.Backend)
	default:
		r.runBounded(r.base, j, r.cfg.Timers.Job)
	}
	r.giveBack(j)
}

func (r *Responder) runBounded(ctx context.Context, j Job, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	j.Run(ctx, &r.works)
}

func (r *Responder) giveBack(j Job) {
	u := r.runners[j.owner().reg.index]
	u.inbox.put(func(b *batch) { b.jobs = append(b.jobs, j) })
}

// ask runs a command on every shard and waits for all answers, for ctx, or
// for the Responder's end.
func ask[A any](ctx context.Context, r *Responder, command func(now time.Time, s *shard) A) ([]A, error) {
	answers := make(chan A, len(r.runners))
	for _, u := range r.runners {
		u.inbox.put(func(b *batch) {
			b.commands = append(b.commands, func(now time.Time, s *shard) { answers <- command(now, s) })
		})
	}
	all := make([]A, 0, len(r.runners))
	for range r.runners {
		select {
		case a := <-answers:
			all = append(all, a)
		case <-ctx.Done():
			return all, ctx.Err()
		case <-r.ended:
			return all, ErrEnded
		}
	}
	return all, nil
}

// supersede ends a client's former sessions for a job that claims its lease,
// and frees what they held right here: to wait for another job of the same
// pool might be to wait for oneself. Where one of theirs is still under way,
// their lease goes back after it, and the client gets another address.
func (r *Responder) supersede(ctx context.Context, by superseding) {
	var (
		mu   sync.Mutex
		jobs []Job // guarded by mu
		gone bool  // nobody runs jobs any more; guarded by mu
	)
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.asking, cancel)() // a shard that has ended does not answer
	_, err := ask(waiting, r, func(now time.Time, s *shard) struct{} {
		freeing := s.supersede(now, by)
		mu.Lock()
		defer mu.Unlock()
		if gone {
			s.out.Jobs = append(s.out.Jobs, freeing...)
		} else {
			jobs = append(jobs, freeing...)
		}
		return struct{}{}
	})
	mu.Lock()
	gone = true
	mu.Unlock()
	if err != nil {
		r.cfg.Logger.Warn("could not end a client's former sessions in time", slog.String("session", by.login), slog.Any("error", err))
	}
	for _, j := range jobs {
		r.runBounded(r.base, j, r.cfg.Timers.Job)
		r.giveBack(j)
	}
}

// Sessions gives the sessions that are up, with their traffic where the data
// plane tells it, in order of their beginning.
func (r *Responder) Sessions(ctx context.Context) ([]SessionInfo, error) {
	shards, err := ask(ctx, r, func(_ time.Time, s *shard) []SessionInfo { return s.sessions() })
	infos := slices.Concat(shards...)
	if err != nil {
		return infos, err
	}
	usage, err := r.cfg.Plane.Usage(ctx, nil)
	if err != nil {
		return infos, err
	}
	byChild := make(map[esp.ChildID]esp.Usage, len(usage))
	for _, u := range usage {
		byChild[u.ID] = u
	}
	for i := range infos {
		for _, id := range infos[i].Children {
			if u, ok := byChild[id]; ok {
				infos[i].Usage = append(infos[i].Usage, u)
			}
		}
	}
	slices.SortFunc(infos, func(a, b SessionInfo) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID)) })
	return infos, nil
}

// Disconnect ends the sessions and logins that sel picks and tells how many
// there were. The clients are told; Disconnect does not wait for them.
func (r *Responder) Disconnect(ctx context.Context, sel Selector) (int, error) {
	shards, err := ask(ctx, r, func(now time.Time, s *shard) int { return s.disconnect(now, CauseOperator, sel.matches) })
	n := 0
	for _, count := range shards {
		n += count
	}
	return n, err
}

// Counters gives all counts by the counters' names.
func (r *Responder) Counters() map[string]uint64 {
	sums := make(map[string]uint64, counterCount)
	for c := range counterCount {
		sum := r.stray[c].Load()
		for _, u := range r.runners {
			sum += u.reg.counters[c].Load()
		}
		sums[c.String()] = sum
	}
	return sums
}

// publish logs what happened and tells the sink.
func (r *Responder) publish(o *Outbox) {
	for _, n := range o.Notes {
		r.cfg.Logger.LogAttrs(context.Background(), n.Level, n.Text, append(n.Attrs, slog.String("session", n.Session))...)
	}
	for _, ev := range o.Events {
		r.logEvent(ev)
		if r.cfg.Sink != nil {
			r.cfg.Sink.Event(ev)
		}
	}
}

func (r *Responder) logEvent(ev SessionEvent) {
	attrs := []slog.Attr{slog.String("session", ev.Session.ID), slog.Any("client", ev.Session)}
	if ev.Cause != "" {
		attrs = append(attrs, slog.String("cause", string(ev.Cause)))
	}
	if ev.Detail != "" {
		attrs = append(attrs, slog.String("detail", ev.Detail))
	}
	level := slog.LevelInfo
	if f := ev.Refusal; f != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("peer", f.Peer.String()), slog.String("user", f.User), slog.String("text", f.Text), slog.String("advice", f.Advice))
		for _, e := range f.Evidence {
			attrs = append(attrs, slog.String("evidence: "+e.Key, e.Value))
		}
	}
	r.cfg.Logger.LogAttrs(context.Background(), level, "session "+ev.Kind.String(), attrs...)
}
