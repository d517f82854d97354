package ikev2

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/lease"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/transport"
)

// running is a Responder on loopback sockets and a client for it.
type running struct {
	*Responder
	plane  *fakePlane
	leases *lease.Pools
	client *initiator.Client
	config initiator.Config
	leave  func() // ends the clients' side without a word
	end    func() // ends the gateway and waits for it
	events *eventLog
}

type eventLog struct {
	mu  sync.Mutex
	all []SessionEvent
}

func (l *eventLog) Event(ev SessionEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, ev)
}

func (l *eventLog) count(k EventKind, c Cause) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, ev := range l.all {
		if ev.Kind == k && (c == "" || ev.Cause == c) {
			n++
		}
	}
	return n
}

// ikeOnly passes IKE on and drops ESP.
type ikeOnly struct{ to func([]transport.Datagram) }

func (h ikeOnly) HandleIKE(b []transport.Datagram)  { h.to(b) }
func (ikeOnly) HandleESP(_ []transport.ESPDatagram) {}

func listen(t testing.TB) *transport.Transport {
	t.Helper()
	tr, err := transport.Listen(transport.Config{Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

// serve runs a goroutine and gives a function that ends it and waits.
func serve(t testing.TB, f func(context.Context) error) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	var once sync.Once
	end := func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	t.Cleanup(end)
	return end
}

func run(t testing.TB, change func(*Config)) *running {
	t.Helper()
	r, err := lease.ParseRange("10.64.0.0/16")
	if err != nil {
		t.Fatal(err)
	}
	pools, err := lease.NewPools([]lease.PoolConfig{{Name: "main", Ranges: []lease.Range{r}}}, lease.NewMemory())
	if err != nil {
		t.Fatal(err)
	}
	server, client := listen(t), listen(t)
	u := &running{plane: newFakePlane(), leases: pools, events: &eventLog{}}
	cfg := Config{
		Certificates: []Certificate{rsaIdentity()}, Backend: mschapv2.NewBackend(mschapv2.NewHashVerifier(users), mschapv2.Options{}),
		Leases: pools, Plane: u.plane, ForceEncapIPv4: true, Shards: 3, Logger: slog.New(slog.DiscardHandler), Rand: rand.Reader,
		Now: time.Now, Sink: u.events,
		Send: func(ds []transport.Datagram) {
			if err := server.SendIKE(ds); err != nil {
				t.Log(err)
			}
		},
	}
	if change != nil {
		change(&cfg)
	}
	if u.Responder, err = NewResponder(cfg); err != nil {
		t.Fatal(err)
	}
	u.client = initiator.NewClient(client, nil)
	serve(t, func(ctx context.Context) error { return server.Serve(ctx, ikeOnly{u.HandleIKE}) })
	u.leave = serve(t, func(ctx context.Context) error { return client.Serve(ctx, u.client) })
	u.end = serve(t, u.Run)
	u.config = initiator.Config{
		Server: "127.0.0.1", IKEPort: server.IKEPort(), NATTPort: server.NATTPort(), ServerName: "vpn.example.org", Roots: roots(),
		User: "alice", Password: auth.Secret("wonderland"),
	}
	return u
}

// dial logs n clients in at once, each with an identity of its own.
func (u *running) dial(t testing.TB, n int) []*initiator.Session {
	t.Helper()
	sessions := make([]*initiator.Session, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			cfg := u.config
			cfg.Identity = fqdn(fmt.Sprintf("device%d.example.org", i))
			s, err := u.client.Dial(t.Context(), cfg)
			if err != nil {
				t.Errorf("login %d: %v", i, err)
			}
			sessions[i] = s
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return sessions
}

func TestResponderRunsManySessionsAndEndsThemAll(t *testing.T) {
	const n = 40
	u := run(t, nil)
	sessions := u.dial(t, n)
	infos, err := u.Sessions(t.Context())
	if err != nil || len(infos) != n {
		t.Fatalf("%d sessions, %v", len(infos), err)
	}
	addresses := make(map[netip.Addr]bool)
	for _, i := range infos {
		addresses[i.IPv4] = true
		if i.User != "alice" || !strings.HasPrefix(i.Identity, "device") || len(i.Usage) != 1 || i.IKE == "" || len(i.ESP) != 1 {
			t.Errorf("session %+v", i)
		}
	}
	if len(addresses) != n {
		t.Errorf("%d addresses for %d sessions", len(addresses), n)
	}
	if err := sessions[0].RekeyIKE(t.Context()); err != nil {
		t.Error(err)
	}
	if err := sessions[0].RekeyChild(t.Context(), true); err != nil {
		t.Error(err)
	}
	if err := sessions[1].Close(t.Context()); err != nil {
		t.Error(err)
	}
	fifth := slices.IndexFunc(infos, func(i SessionInfo) bool { return i.Identity == "device5.example.org" })
	if got, err := u.Disconnect(t.Context(), Selector{ID: infos[fifth].ID}); err != nil || got != 1 {
		t.Errorf("disconnected %d, %v", got, err)
	}
	u.end()
	for _, s := range sessions {
		select {
		case <-s.Done():
		case <-time.After(10 * time.Second):
			t.Fatal("a client was not told that its session is over")
		}
	}
	if _, err := u.Sessions(t.Context()); !errors.Is(err, ErrEnded) {
		t.Errorf("sessions after the end: %v", err)
	}
	u.mustBeOver(t)
	if u.events.count(EventUp, "") != n || u.events.count(EventDown, "") != n || u.events.count(EventDown, CauseShutdown) < n-3 {
		t.Errorf("%d up, %d down, %d by shutdown", u.events.count(EventUp, ""), u.events.count(EventDown, ""), u.events.count(EventDown, CauseShutdown))
	}
	if c := u.Counters(); c["logins-complete"] != n || c["refused-move"] != 0 || c["jobs-failed"] != 0 {
		t.Errorf("counters %v", c)
	}
}

// A client that comes back after a crash says so: its old session goes, and
// it gets its address again although another shard held it.
func TestInitialContactReplacesTheSessionOfTheSameClient(t *testing.T) {
	u := run(t, func(c *Config) { c.Shards = 8 })
	login := func(contact bool) SessionInfo {
		cfg := u.config
		cfg.InitialContact = contact
		if _, err := u.client.Dial(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		infos, err := u.Sessions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return infos[len(infos)-1]
	}
	first := login(false)
	for range 5 {
		if again := login(true); again.IPv4 != first.IPv4 || again.ID == first.ID {
			t.Errorf("address %s, expected the former %s", again.IPv4, first.IPv4)
		}
	}
	login(false) // without the notification both stay
	if infos, _ := u.Sessions(t.Context()); len(infos) != 2 {
		t.Errorf("%d sessions, expected 2", len(infos))
	}
	if n := u.events.count(EventDown, CauseReplaced); n != 5 {
		t.Errorf("%d sessions were replaced, expected 5", n)
	}
}

// Clients that are gone do not hold up the gateway's end, and what they held
// is taken back.
func TestResponderEndsWithoutItsClients(t *testing.T) {
	u := run(t, func(c *Config) { c.Timers.Drain = 50 * time.Millisecond })
	u.dial(t, 5)
	u.leave()
	u.end()
	u.mustBeOver(t)
	if n := u.events.count(EventDown, CauseShutdown); n != 5 {
		t.Errorf("%d sessions were reported as ended", n)
	}
}

// waitingBackend never answers, but when it is told to give up.
type waitingBackend struct {
	begun  chan struct{}
	closed atomic.Int32
}

func (b *waitingBackend) Begin(context.Context, auth.Peer) (auth.Conversation, error) { return b, nil }
func (b *waitingBackend) Close()                                                      { b.closed.Add(1) }
func (b *waitingBackend) Next(ctx context.Context, _ []byte) (auth.Step, error) {
	b.begun <- struct{}{}
	<-ctx.Done()
	return auth.Step{}, ctx.Err()
}

// A backend that does not answer does not hold up the gateway's end, and what
// it was asked for is closed.
func TestResponderEndsWithoutItsBackend(t *testing.T) {
	b := &waitingBackend{begun: make(chan struct{})}
	u := run(t, func(c *Config) { c.Backend, c.Timers.Drain, c.Timers.Job = b, 50*time.Millisecond, time.Hour })
	go func() { _, _ = u.client.Dial(t.Context(), u.config) }() // ends with the test's client
	<-b.begun
	u.end()
	if n := b.closed.Load(); n != 1 {
		t.Errorf("the conversation was closed %d times", n)
	}
	u.mustBeOver(t)
}

// Who gives up waiting for the end of a client's former sessions loses
// nothing: they end later, and all they held is taken back.
func TestSupersedingInTimeOrNot(t *testing.T) {
	u := run(t, func(c *Config) { c.Shards = 2 })
	u.dial(t, 1)
	block := make(chan struct{})
	for _, r := range u.runners {
		r.inbox.put(func(b *batch) { b.commands = append(b.commands, func(time.Time, *shard) { <-block }) })
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	alice := clientID{user: "alice", identity: string(rune(message.IDFQDN)) + "device0.example.org"}
	u.supersede(ctx, superseding{alice, "", []string{u.works.sessions.byUser["alice"][0].session}, CauseReplaced})
	close(block)
	if infos, err := u.Sessions(t.Context()); err != nil || len(infos) != 0 {
		t.Errorf("sessions %v, %v: expected none", infos, err)
	}
	u.end()
	if u.events.count(EventDown, CauseReplaced) != 1 {
		t.Error("the session was not reported as replaced")
	}
	u.mustBeOver(t)
}

// mustBeOver checks that nothing is left of a Responder that has ended.
func (u *running) mustBeOver(t *testing.T) {
	t.Helper()
	if len(u.plane.children) != 0 || u.leases.Usage()[0].Held != 0 {
		t.Errorf("%d Child SAs and %d addresses are left", len(u.plane.children), u.leases.Usage()[0].Held)
	}
	if n := len(u.works.sessions.byUser); n != 0 {
		t.Errorf("%d users still have sessions", n)
	}
	for _, p := range u.Responder.pools {
		if p.running != 0 || len(p.idle) != 0 || len(p.queue) != 0 || len(p.last) != 0 {
			t.Errorf("%d jobs run, %d workers wait, %d jobs are queued", p.running, len(p.idle), len(p.queue)+len(p.last))
		}
	}
	for _, r := range u.runners {
		if r.jobs != 0 || len(r.inbox.next.jobs) != 0 {
			t.Errorf("%d jobs were not taken back, %d are on their way", r.jobs, len(r.inbox.next.jobs))
		}
	}
}

// A datagram more than the queue holds is dropped and counted; the shard goes
// on.
func TestQueueIsBounded(t *testing.T) {
	u := run(t, func(c *Config) { c.Shards, c.Limits.Queue = 1, 8 })
	junk := make([]transport.Datagram, 100)
	for i := range junk {
		junk[i] = transport.Datagram{Data: make([]byte, 28), Remote: netip.MustParseAddrPort("192.0.2.1:500")}
	}
	block := make(chan struct{})
	u.runners[0].inbox.put(func(b *batch) { b.commands = append(b.commands, func(time.Time, *shard) { <-block }) })
	u.runners[0].inbox.put(func(b *batch) { b.commands = append(b.commands, func(time.Time, *shard) {}) })
	for range 10 {
		u.HandleIKE(junk)
	}
	close(block)
	u.dial(t, 1)
	if n := u.Counters()["drop-queue-full"]; n < 1000-16 {
		t.Errorf("%d datagrams of 1000 were dropped at a queue of 8", n)
	}
}

func TestConfigReportsAllThatIsMissing(t *testing.T) {
	_, err := NewResponder(Config{})
	for _, word := range []string{"certificate", "backend", "pools", "data plane", "logger", "random", "clock", "send"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not speak of %s", err, word)
		}
	}
}
