package admin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// fakeGateway answers from its fields and remembers what it was told.
type fakeGateway struct {
	status   Status
	sessions []Session
	err      error
	asked    []Selector
}

func (g *fakeGateway) Status(context.Context) (Status, error)      { return g.status, g.err }
func (g *fakeGateway) Sessions(context.Context) ([]Session, error) { return g.sessions, g.err }
func (g *fakeGateway) Reload(context.Context) (Reloaded, error) {
	return Reloaded{Changed: []string{"users"}}, g.err
}

func (g *fakeGateway) Disconnect(_ context.Context, which Selector) (Disconnected, error) {
	g.asked = append(g.asked, which)
	return Disconnected{Sessions: 2}, g.err
}

// serve runs a server on a socket of its own and ends it with the test.
func serve(t *testing.T, g Gateway) (*Client, *Journal) {
	t.Helper()
	j := NewJournal()
	socket := filepath.Join(t.TempDir(), "run", "control.sock")
	s, err := Listen(Config{
		Socket: socket, Gateway: g, Journal: j, Metrics: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(socket); !os.IsNotExist(err) {
			t.Errorf("the socket is left behind: %v", err)
		}
	})
	return NewClient(socket), j
}

func TestRoundTrip(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	g := &fakeGateway{
		status: Status{Name: "vpn.example.org", Started: at, Uptime: time.Minute, Sessions: 1, Pools: []Pool{{"default", "IPv4", 126, 1}}},
		sessions: []Session{{
			ID: "a1", User: "alice", Peer: "198.51.100.7:4500", Established: at,
			Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
		}},
	}
	c, _ := serve(t, g)
	status, err := c.Status(t.Context())
	if diff := cmp.Diff(g.status, status); diff != "" || err != nil {
		t.Errorf("status: %v\n%s", err, diff)
	}
	sessions, err := c.Sessions(t.Context())
	if diff := cmp.Diff(g.sessions, sessions, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" || err != nil {
		t.Errorf("sessions: %v\n%s", err, diff)
	}
	n, err := c.Disconnect(t.Context(), Selector{User: "alice"})
	if err != nil || n.Sessions != 2 || len(g.asked) != 1 || g.asked[0].User != "alice" {
		t.Errorf("disconnect: %v %v, asked %v", n, err, g.asked)
	}
	r, err := c.Reload(t.Context())
	if err != nil || !cmp.Equal(r.Changed, []string{"users"}) {
		t.Errorf("reload: %v %v", r, err)
	}
}

func TestRefusals(t *testing.T) {
	g := &fakeGateway{}
	c, _ := serve(t, g)
	for _, which := range []Selector{{}, {User: "a", All: true}, {User: "a", Session: "b"}} {
		_, err := c.Disconnect(t.Context(), which)
		if e := new(RefusedError); !errors.As(err, &e) {
			t.Errorf("%+v: got %v, want a RefusedError", which, err)
		}
	}
	if len(g.asked) != 0 {
		t.Errorf("the gateway was asked for %v", g.asked)
	}
	g.err = errors.New("bridgehead.toml:3:1: no")
	_, err := c.Reload(t.Context())
	if e := new(RefusedError); !errors.As(err, &e) || e.Message != g.err.Error() {
		t.Errorf("got %v, want the gateway's own words", err)
	}
	g.err = context.DeadlineExceeded
	_, err = c.Status(t.Context())
	if e := new(TimeoutError); !errors.As(err, &e) {
		t.Errorf("got %v, want a TimeoutError", err)
	}
}

func TestNobodyListens(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "control.sock")
	dead := filepath.Join(t.TempDir(), "dead.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for _, socket := range []string{missing, dead} {
		_, err := NewClient(socket).Status(t.Context())
		if e := new(NotRunningError); !errors.As(err, &e) {
			t.Errorf("%s: got %v, want a NotRunningError", socket, err)
		}
	}
	s, err := Listen(Config{Socket: dead, Logger: slog.New(slog.DiscardHandler), Journal: NewJournal(), Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatalf("a dead gateway's socket must be replaced: %v", err)
	}
	s.Close()
}

func TestSocketTaken(t *testing.T) {
	c, _ := serve(t, &fakeGateway{})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, socket := range []string{c.socket, file} {
		_, err := Listen(Config{Socket: socket, Logger: slog.New(slog.DiscardHandler)})
		if e := new(SocketError); !errors.As(err, &e) || e.Remedy == "" {
			t.Errorf("%s: got %v, want a SocketError with a remedy", socket, err)
		}
	}
	info, err := os.Stat(c.socket)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("socket: %v %v, want mode 0660", info.Mode(), err)
	}
}

func TestCredentials(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const stranger = 54321
	group := uint32(os.Getegid())
	for _, c := range []struct {
		name string
		who  credentials
		want bool
	}{
		{"root", credentials{uid: 0}, true},
		{"the gateway's user", credentials{uid: uint32(os.Geteuid()), groups: []uint32{stranger}}, true},
		{"first group", credentials{uid: stranger, groups: []uint32{group}}, true},
		{"another group", credentials{uid: stranger, groups: []uint32{stranger, group}}, true},
		{"stranger", credentials{uid: stranger, groups: []uint32{stranger}}, false},
	} {
		if got := c.who.allowed(socket); got != c.want {
			t.Errorf("%s: allowed = %v, want %v", c.name, got, c.want)
		}
	}
	if (&credentials{uid: stranger, groups: []uint32{group}}).allowed(socket + ".gone") {
		t.Error("a stranger is served though the socket's group is unknown")
	}
}

func TestEvents(t *testing.T) {
	c, j := serve(t, &fakeGateway{})
	j.Publish(Event{Kind: KindUp, User: "before"})
	var got []string
	enough := errors.New("enough")
	err := c.Events(t.Context(), true, func(e Event) error {
		got = append(got, e.User)
		if e.User == "before" {
			j.Publish(Event{Kind: KindUp, User: "after"})
			return nil
		}
		return enough
	})
	if !errors.Is(err, enough) || !cmp.Equal(got, []string{"before", "after"}) {
		t.Errorf("followed %v, %v", got, err)
	}
	got = nil
	if err := c.Events(t.Context(), false, func(e Event) error { got = append(got, e.User); return nil }); err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(got, []string{"before", "after"}) {
		t.Errorf("recent events are %v", got)
	}
}

func TestSlowFollowerIsDropped(t *testing.T) {
	j := NewJournal()
	slow, quick := j.Follow(), j.Follow()
	defer slow.Close()
	defer quick.Close()
	for range backlog + 1 {
		j.Publish(Event{Kind: KindUp})
		<-quick.Events()
	}
	n := 0
	for range slow.Events() {
		n++
	}
	if n != backlog || !slow.Slow() || quick.Slow() {
		t.Errorf("slow got %d events, dropped %v; quick dropped %v", n, slow.Slow(), quick.Slow())
	}
	j.Close()
	if _, ok := <-quick.Events(); ok {
		t.Error("following goes on after the journal's end")
	}
	if _, ok := <-j.Follow().Events(); ok {
		t.Error("an ended journal can be followed")
	}
}

func TestJournalIsBounded(t *testing.T) {
	j := NewJournal()
	for i := range maxEvents + maxRefusals + 10 {
		j.Refuse(Refusal{Session: string(rune('a' + i%26)), Peer: "192.0.2.1:500"})
	}
	if e, r := len(j.Events()), len(j.Why("")); e != maxEvents || r != maxRefusals {
		t.Errorf("kept %d events and %d refusals", e, r)
	}
	if newest := j.Why("")[0].Session; newest != string(rune('a'+(maxEvents+maxRefusals+9)%26)) {
		t.Errorf("the newest is %q", newest)
	}
}

func TestWhyAbout(t *testing.T) {
	c, j := serve(t, &fakeGateway{})
	j.Refuse(Refusal{Session: "s1", User: `CORP\alice`, Peer: "[::ffff:192.0.2.7]:500", Cause: "wrong-password"})
	j.Refuse(Refusal{Text: "The client left.", Session: "s2", User: "bob", Peer: "[2001:db8::7]:4500", Cause: "no-proposal", Silent: true})
	for about, want := range map[string]string{
		"alice": "s1", `corp\ALICE`: "s1", "192.0.2.7": "s1", "s1": "s1", "192.0.2.0/24": "s1",
		"bob": "s2", "2001:db8::7": "s2", "2001:db8::/32": "s2", "": "s2 s1", "carol": "", "198.51.100.1": "",
	} {
		list, err := c.Why(t.Context(), about)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range list {
			got = append(got, r.Session)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("why %q: %v, want %q", about, got, want)
		}
	}
	if e := j.Events(); e[0].Kind != KindRefused || e[1].Kind != KindSilent {
		t.Errorf("refusals are not told as events: %+v", e)
	} else if want := "bob from [2001:db8::7]:4500: the client left"; e[1].Text != want {
		t.Errorf("got %q, want %q", e[1].Text, want)
	}
}

func TestMetricsOverTheSocket(t *testing.T) {
	c, _ := serve(t, &fakeGateway{})
	if err := c.Metrics(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
}

func TestClause(t *testing.T) {
	for sentence, want := range map[string]string{
		"The client left.": "the client left", "A word.": "a word", "UDP is closed": "UDP is closed", "No": "no", "": "", "X": "X",
	} {
		if got := Clause(sentence); got != want {
			t.Errorf("Clause(%q) = %q, want %q", sentence, got, want)
		}
	}
}
