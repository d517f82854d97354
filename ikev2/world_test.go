package ikev2

import (
	"container/heap"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/lease"
	"bridgehead/ikev2/transport"
)

// A world is one gateway, its clients and the wire between them, with one
// clock and one seed. Nothing in it runs at the same time as anything else.
type world struct {
	testing.TB
	seed    uint64
	now     time.Time
	rand    *rand.Rand
	octets  io.Reader
	queue   happenings
	serial  int
	gateway *shard
	works   works
	plane   *fakePlane
	events  []SessionEvent
	notes   *[]Note // what is logged, if anybody listens
	clients []*device
	peers   []*peer
	wire    wire
	// spy sees what is put on the wire.
	spy func(toGateway bool, d transport.Datagram)
	// jobTime is how long a job waits before it runs, and how long its result
	// takes to come back.
	jobTime func() (wait, back time.Duration)
	// gatewayTime is the real time spent in the gateway and its jobs.
	gatewayTime time.Duration
}

// wire is what the network does to datagrams.
type wire struct {
	loss, duplicate float64       // probabilities, each way
	delay, jitter   time.Duration // jitter reorders
	// tap may drop (nil) or alter what passes; toGateway tells the direction.
	tap func(toGateway bool, data []byte) []byte
}

type happening struct {
	at     time.Time
	serial int
	do     func()
}

type happenings []happening

func (h happenings) Len() int { return len(h) }
func (h happenings) Less(i, j int) bool {
	return h[i].at.Before(h[j].at) || h[i].at.Equal(h[j].at) && h[i].serial < h[j].serial
}
func (h happenings) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *happenings) Push(x any)   { *h = append(*h, x.(happening)) }
func (h *happenings) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

var epoch = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

var (
	gatewayV4 = netip.MustParseAddr("203.0.113.1")
	gatewayV6 = netip.MustParseAddr("2001:db8:ffff::1")
)

// newWorld makes a world with a gateway of the defaults, as changed.
func newWorld(t testing.TB, seed uint64, change func(*Config)) *world {
	t.Helper()
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	w := &world{
		TB: t, seed: seed, now: epoch, rand: rand.New(rand.NewPCG(seed, 1)), octets: rand.NewChaCha8(key),
		plane: newFakePlane(), wire: wire{delay: 10 * time.Millisecond},
		jobTime: func() (time.Duration, time.Duration) { return time.Millisecond, 0 },
	}
	cfg := w.config()
	if change != nil {
		change(&cfg)
	}
	settings, err := newSettings(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.gateway = newShard(settings, 0, newHalfOpenCount())
	w.works = works{
		backend: cfg.Backend, leases: cfg.Leases, accounts: cfg.Accountant, plane: cfg.Plane, rand: cfg.Rand, now: cfg.Now, sessions: newSessionLimits(), limiter: settings.limiter(),
		supersede: func(ctx context.Context, by superseding) {
			for _, j := range w.gateway.supersede(w.now, by) {
				j.Run(ctx, &w.works)
				w.gateway.finish(w.now, j)
			}
		},
	}
	return w
}

func (w *world) config() Config {
	ranges := make([]lease.Range, 0, 2)
	inner := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/96")}
	for _, p := range inner {
		r, err := lease.ParseRange(p.String())
		if err != nil {
			w.Fatal(err)
		}
		ranges = append(ranges, r)
	}
	pools, err := lease.NewPools([]lease.PoolConfig{{Name: "main", Ranges: ranges}}, lease.NewMemory())
	if err != nil {
		w.Fatal(err)
	}
	return Config{
		Certificates:   []Certificate{rsaIdentity()},
		Backend:        mschapv2.NewBackend(mschapv2.NewHashVerifier(users), mschapv2.Options{Rand: w.octets}),
		Leases:         pools,
		Plane:          w.plane,
		DNS:            []netip.Addr{netip.MustParseAddr("192.0.2.200"), netip.MustParseAddr("2001:db8::53")},
		Inner:          inner,
		ForceEncapIPv4: true,
		Shards:         1,
		Logger:         slog.New(slog.DiscardHandler),
		Rand:           w.octets,
		Now:            func() time.Time { return w.now },
		Send:           func([]transport.Datagram) {},
	}
}

// at makes something happen after a while.
func (w *world) after(d time.Duration, do func()) {
	w.serial++
	heap.Push(&w.queue, happening{w.now.Add(d), w.serial, do})
}

// step lets the next thing happen; false: nothing ever will before the limit.
func (w *world) step(limit time.Time) bool {
	next, do := limit, func() {}
	found := false
	consider := func(at time.Time, f func()) {
		if !at.IsZero() && at.Before(next) {
			next, do, found = at, f, true
		}
	}
	if len(w.queue) > 0 {
		consider(w.queue[0].at, func() { heap.Pop(&w.queue).(happening).do() })
	}
	consider(w.gateway.deadline(), func() { w.gateway.due(w.now); w.flush() })
	for _, c := range w.clients {
		consider(c.out.Deadline, func() { c.handle(initiator.Tick{}) })
	}
	if next.After(w.now) {
		w.now = next
	}
	do()
	return found
}

// run lets things happen for a while, or until enough is true.
func (w *world) run(d time.Duration, enough func() bool) bool {
	limit := w.now.Add(d)
	for enough == nil || !enough() {
		if !w.step(limit) {
			return enough == nil
		}
	}
	return true
}

// flush carries out what the gateway wants done.
func (w *world) flush() {
	o := &w.gateway.out
	for _, d := range o.Datagrams {
		w.carry(false, d)
	}
	for _, j := range o.Jobs {
		wait, back := w.jobTime()
		w.after(wait, func() {
			w.timed(func() { j.Run(context.Background(), &w.works) })
			if back > 0 {
				w.after(back, func() { w.takeBack(j) })
			} else {
				w.takeBack(j)
			}
		})
	}
	w.events = append(w.events, o.Events...)
	if w.notes != nil {
		*w.notes = append(*w.notes, o.Notes...)
	}
	o.Reset()
}

// takeBack gives a job that has run to the gateway.
func (w *world) takeBack(j Job) {
	w.timed(func() { w.gateway.finish(w.now, j) })
	w.flush()
}

// timed adds up what the gateway takes.
func (w *world) timed(f func()) {
	begin := time.Now()
	f()
	w.gatewayTime += time.Since(begin)
}

// carry puts a datagram on the wire.
func (w *world) carry(toGateway bool, d transport.Datagram) {
	if w.spy != nil {
		w.spy(toGateway, d)
	}
	data := slices.Clone(d.Data)
	if w.wire.tap != nil {
		if data = w.wire.tap(toGateway, data); data == nil {
			return
		}
	}
	copies := 1
	if w.rand.Float64() < w.wire.loss {
		copies = 0
	} else if w.rand.Float64() < w.wire.duplicate {
		copies = 2
	}
	for range copies {
		delay := w.wire.delay
		if w.wire.jitter > 0 {
			delay += time.Duration(w.rand.Int64N(int64(w.wire.jitter)))
		}
		arrived := transport.Datagram{Data: slices.Clone(data), Local: d.Remote, Remote: d.Local}
		w.after(delay, func() { w.deliver(toGateway, arrived) })
	}
}

func (w *world) deliver(toGateway bool, d transport.Datagram) {
	if toGateway {
		w.timed(func() { w.gateway.receive(w.now, d) })
		w.flush()
		return
	}
	for _, p := range w.peers {
		if p.from.Addr() == d.Local.Addr() && !p.answersCheck(d) {
			p.heard = append(p.heard, d.Data)
		}
	}
	for _, c := range w.clients {
		if c.hears(d.Local) {
			c.handle(initiator.Datagram{Data: d.Data})
		}
	}
}

// refusals gives what the gateway reported.
func (w *world) refusals() []*Refusal {
	var rs []*Refusal
	for _, ev := range w.events {
		if ev.Refusal != nil {
			rs = append(rs, ev.Refusal)
		}
	}
	return rs
}

// count gives how often a kind of event was reported.
func (w *world) count(k EventKind) int {
	n := 0
	for _, ev := range w.events {
		if ev.Kind == k {
			n++
		}
	}
	return n
}

func (w *world) counter(c Counter) uint64 { return w.gateway.reg.counters[c].Load() }

// device is one of our initiators at an address of its own.
type device struct {
	w      *world
	sa     *initiator.SA
	addr   netip.Addr // zero: it has left the network
	roams  *roams     // of one that moves by MOBIKE; nil: it has addr alone
	out    initiator.Outbox
	up     bool
	closed bool
	err    error // of Closed
	done   []error
	rekeys []initiator.Rekeyed
	plane  *flowPlane // its data plane; nil: none
}

// newDevice puts a client into the world. It does not begin yet.
func (w *world) newDevice(change func(*initiator.Config)) *device {
	w.Helper()
	cfg := initiator.Config{
		Server: "vpn.example.org", ServerName: "vpn.example.org", Roots: roots(),
		User: "alice", Password: auth.Secret("wonderland"),
		Rand: w.octets, Now: func() time.Time { return w.now },
	}
	if change != nil {
		change(&cfg)
	}
	sa, err := initiator.NewSA(cfg)
	if err != nil {
		w.Fatal(err)
	}
	c := &device{w: w, sa: sa, addr: netip.AddrFrom4([4]byte{198, 51, 100, byte(len(w.clients) + 1)})}
	w.clients = append(w.clients, c)
	return c
}

// start begins the login over the family of the client's address.
func (c *device) start() *device {
	gateway := gatewayV4
	if c.addr.Is6() {
		gateway = gatewayV6
	}
	c.handle(initiator.Start{Endpoints: initiator.Endpoints{
		LocalIKE: netip.AddrPortFrom(c.addr, 500), RemoteIKE: netip.AddrPortFrom(gateway, 500),
		LocalNATT: netip.AddrPortFrom(c.addr, 4500), RemoteNATT: netip.AddrPortFrom(gateway, 4500),
	}})
	return c
}

func (c *device) handle(ev initiator.Event) {
	c.sa.Handle(c.w.now, ev, &c.out)
	installed := c.plane.change(c.out.Plane)
	for _, d := range c.out.Send {
		if d.Local = c.leaves(d.Local); d.Local.IsValid() {
			c.w.carry(true, d)
		}
	}
	for _, n := range c.out.Notices {
		switch n := n.(type) {
		case initiator.Established:
			c.up = true
		case initiator.Closed:
			c.closed, c.err = true, n.Err
		case initiator.Done:
			c.done = append(c.done, n.Err)
		case initiator.Rekeyed:
			c.rekeys = append(c.rekeys, n)
		}
	}
	deadline := c.out.Deadline
	c.out.Reset()
	c.out.Deadline = deadline
	if installed {
		c.handle(initiator.Installed{})
	}
}

// ended tells whether the login is over, one way or the other.
func (c *device) ended() bool { return c.up || c.closed }

// login runs until the login is over.
func (c *device) login() {
	c.w.Helper()
	if !c.start().w.run(5*time.Minute, c.ended) {
		c.w.Fatalf("seed %d: the login neither succeeded nor failed in 5 minutes", c.w.seed)
	}
}

// mustLogin logs in and fails the test if that does.
func (c *device) mustLogin() *device {
	c.w.Helper()
	if c.login(); !c.up {
		c.w.Fatalf("seed %d: login failed: %v; gateway: %s", c.w.seed, c.err, describeRefusals(c.w.refusals()))
	}
	return c
}

// command runs a command of the client to its end.
func (c *device) command(cmd initiator.Command) error {
	c.w.Helper()
	before := len(c.done)
	c.handle(cmd)
	if !c.w.run(5*time.Minute, func() bool { return len(c.done) > before }) {
		c.w.Fatalf("seed %d: %T did not end in 5 minutes", c.w.seed, cmd)
	}
	return c.done[before]
}

func describeRefusals(rs []*Refusal) string {
	s := ""
	for _, r := range rs {
		s += fmt.Sprintf("%s %v; ", r.Cause, r.Evidence)
	}
	return s
}
