package accounting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2866"

	"bridgehead/auth"
)

var errSilent = errors.New("no answer")

// server is a RADIUS server: it keeps what it is sent.
type server struct {
	mu    sync.Mutex
	seen  []codec.Attributes // answered, in order
	tries []codec.Attributes // all
	down  bool               // it answers nothing
	alive bool               // it is known to live while it does so
	// refuse tells what it leaves unanswered.
	refuse func(codec.Attributes) bool
	takes  time.Duration
	inside int // requests
	most   int // at once
}

func (s *server) Account(ctx context.Context, attrs codec.Attributes) error {
	s.mu.Lock()
	s.tries = append(s.tries, attrs)
	silent := s.down || s.refuse != nil && s.refuse(attrs)
	s.inside++
	s.most = max(s.most, s.inside)
	wait := s.takes
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.inside--
		s.mu.Unlock()
	}()
	if silent {
		wait = 30 * time.Second
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return ctx.Err()
	}
	if silent {
		return errSilent
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, attrs)
	return nil
}

func (s *server) Answering() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alive || !s.down
}

func (s *server) set(change func(*server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func kindOf(a codec.Attributes) kind {
	n, _ := codec.Integer(a.Get(rfc2866.AcctStatusType_Type))
	return kind(n)
}

func idOf(a codec.Attributes) string { return string(a.Get(rfc2866.AcctSessionID_Type)) }

// story is what came, such as "on start:a stop:a off"; ids of marks are left
// out.
func (s *server) story() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var words []string
	for _, a := range s.seen {
		w := kindOf(a).String()
		if k := kindOf(a); k != kindOn && k != kindOff {
			w += ":" + idOf(a)
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

// only gives the one packet of a kind about a session.
func (s *server) only(t *testing.T, k kind, id string) codec.Attributes {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []codec.Attributes
	for _, a := range s.seen {
		if kindOf(a) == k && (id == "" || idOf(a) == id) {
			found = append(found, a)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d packets %v of %q, expected one", len(found), k, id)
	}
	return found[0]
}

func number(t *testing.T, a codec.Attributes, kind codec.Type) uint32 {
	t.Helper()
	n, err := codec.Integer(a.Get(kind))
	if err != nil {
		t.Fatalf("attribute %d: %v", kind, err)
	}
	return n
}

// log counts the lines of each level.
type log struct {
	slog.Handler
	mu    sync.Mutex
	lines []slog.Record
}

func newLog() *log                                      { return &log{Handler: slog.DiscardHandler} }
func (l *log) Enabled(context.Context, slog.Level) bool { return true }
func (l *log) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, r)
	return nil
}

func (l *log) has(level slog.Level, text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.lines, func(r slog.Record) bool { return r.Level == level && strings.Contains(r.Message, text) })
}

// scene is a spool that runs, and its server.
type scene struct {
	*testing.T
	*Spool
	server  *server
	path    string
	log     *log
	mu      sync.Mutex
	notices []string            // guarded by mu
	usage   map[string]Progress // guarded by mu
	config  func(*Config)
	stop    func()
}

// bubble runs a test with a clock of its own.
func bubble(t *testing.T, change func(*Config), test func(*scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{T: t, server: new(server), path: filepath.Join(t.TempDir(), "accounting.db"), log: newLog(), usage: map[string]Progress{}, config: change}
		s.open()
		defer func() { s.kill() }()
		test(s)
	})
}

func (s *scene) noticed(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notices = append(s.notices, text)
}

func (s *scene) carried(context.Context) (map[string]Progress, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.usage), nil
}

// carries says what a session has carried by now.
func (s *scene) carries(id string, p Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.usage[id] = p
}

func (s *scene) open() {
	s.Helper()
	c := Config{
		Path: s.path, Sender: s.server, Log: slog.New(s.log),
		NAS:    NAS{Identifier: "vpn.example.org", Authentic: rfc2866.AcctAuthentic_Value_RADIUS},
		Notice: s.noticed,
		Usage:  s.carried,
	}
	if s.config != nil {
		s.config(&c)
	}
	var err error
	if s.Spool, err = Open(c); err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Spool.Run(ctx); err != nil {
			s.Error(err)
		}
	})
	s.stop = func() { cancel(); running.Wait() }
}

// kill ends the spool as far as a process that lives on can: the deletions that
// wait for the disk are lost.
func (s *scene) kill() {
	s.stop()
	s.store.mu.Lock()
	s.store.pending = slices.DeleteFunc(s.store.pending, func(w *write) bool { return w.lazy })
	s.store.mu.Unlock()
	if err := s.Close(); err != nil && !errors.Is(err, ErrClosed) {
		s.Error(err)
	}
}

func (s *scene) crash() {
	s.Helper()
	s.kill()
	s.open()
}

// restart ends the spool in order, but for Off, and opens it again.
func (s *scene) restart() {
	s.Helper()
	s.stop()
	if err := s.Close(); err != nil {
		s.Error(err)
	}
	s.open()
}

// settle lets everything happen that happens within a time.
func (s *scene) settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (s *scene) start(ids ...string) {
	s.Helper()
	for _, id := range ids {
		if err := s.Start(s.Context(), session(id)); err != nil {
			s.Fatalf("Start of %s: %v", id, err)
		}
	}
}

func (s *scene) end(id string, t auth.Totals) {
	s.Helper()
	if err := s.Stop(s.Context(), id, t, auth.End{Cause: "client-disconnected", Time: time.Now()}); err != nil {
		s.Fatalf("Stop of %s: %v", id, err)
	}
}

func (s *scene) wantStory(want string) {
	s.Helper()
	if got := s.server.story(); got != want {
		s.Errorf("the server got %q, expected %q", got, want)
	}
}

func session(id string) auth.Session {
	return auth.Session{
		ID: id, User: "alice@example.org", Class: [][]byte{{1, 2, 3}, []byte("second")}, ChargeableUser: []byte("cui"),
		Addresses: []netip.Addr{netip.MustParseAddr("10.99.0.7"), netip.MustParseAddr("2001:db8:99::7")},
		Local:     netip.MustParseAddrPort("192.0.2.1:4500"), Remote: netip.MustParseAddrPort("198.51.100.9:61000"),
		Client: "windows", Suite: "aes256-sha256-modp2048", Began: time.Now(),
	}
}

func values(a codec.Attributes, t codec.Type) []string {
	var list []string
	for _, v := range a {
		if v.Type == t {
			list = append(list, fmt.Sprintf("%x", []byte(v.Attribute)))
		}
	}
	return list
}
