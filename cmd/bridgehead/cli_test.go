package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"bridgehead/cmd/bridgehead/internal/admin"
	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/cmd/bridgehead/internal/pki"
	"bridgehead/ikev2/suite"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	time.Local = time.UTC // golden files show local times
	os.Exit(m.Run())
}

// noon is when the tests happen.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// outcome is what a command line printed and its exit code.
type outcome struct {
	code     int
	out, err string
}

// bridgehead runs a command line in this process.
func bridgehead(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	var out, err bytes.Buffer
	a := &app{in: strings.NewReader(stdin), out: &out, err: &err, now: func() time.Time { return noon }, explainPlane: func(*config.Config) string { return "(a data plane)" }}
	code := a.run(t.Context(), args)
	return outcome{code, out.String(), err.String()}
}

// String is the form of the golden files.
func (o outcome) String() string {
	return fmt.Sprintf("exit %d\n--- out\n%s--- err\n%s", o.code, o.out, o.err)
}

// golden compares with testdata/NAME.golden.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: -want +got:\n%s", name, diff)
	}
}

// fakeGateway is a gateway with two sessions.
type fakeGateway struct{ err error }

func (g fakeGateway) Status(context.Context) (admin.Status, error) {
	return admin.Status{
		Name: "vpn.example.org", Version: "v1.2.3", Started: noon.Add(-time.Hour), Uptime: time.Hour, Sessions: 2, HalfOpen: 1,
		Listen: []string{"all addresses, UDP ports 500 and 4500"}, Backend: "radius", Plane: "userspace ESP on bridgehead0",
		Pools:  []admin.Pool{{Name: "default", Family: "IPv4", Size: 126, InUse: 2}, {Name: "default", Family: "IPv6", Size: 4294967294, InUse: 1}, {Name: "staff", Family: "IPv4", Size: 14}},
		Logins: admin.Logins{Accepted: 3, Refused: 2, Silent: 1},
		RADIUS: []admin.RADIUSServer{
			{
				Name: "campus1", Address: "192.0.2.10:1812", Transport: "UDP", Group: "others", State: "alive", Since: noon.Add(-50 * time.Minute), Heard: noon.Add(-time.Minute),
				RoundTrip: 3127 * time.Microsecond, InFlight: 1, Requests: 13, Answers: 12,
			},
			{
				Name: "campus2", Address: "radius.example.org:2083", Transport: "TLS", Group: "others", State: "dead", Since: noon.Add(-time.Minute),
				Requests: 4, Retransmissions: 9, Timeouts: 4, Discarded: 2,
			},
		},
		Warnings: []string{"the certificate of CN=vpn.example.org ends 2026-12-01; renew it and say `bridgehead reload`"},
	}, g.err
}

func (g fakeGateway) Sessions(context.Context) ([]admin.Session, error) {
	return []admin.Session{
		{
			ID: "00aa", User: "alice", Identity: "alice@example.org", Peer: "198.51.100.7:4500", Local: "192.0.2.1:4500", Client: "windows", Quirks: []string{"W1", "W9"},
			Addresses:   []netip.Addr{netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("fd00::1")},
			Established: noon.Add(-75 * time.Minute), IKE: "aes256-sha256-modp2048", ESP: "aes256gcm16", BytesIn: 1 << 20, BytesOut: 3 << 30,
		},
		{
			ID: "00bb", Quirks: []string{}, User: "bob\x1b[2J", Identity: "10.0.0.1", Peer: "[2001:db8::7]:500", Local: "[2001:db8::1]:500",
			Addresses:   []netip.Addr{netip.MustParseAddr("10.9.0.2")},
			Established: noon.Add(-3 * time.Second), IKE: "aes128gcm16-prfsha256-x25519", ESP: "aes128gcm16", BytesIn: 7,
		},
	}, g.err
}

func (g fakeGateway) Disconnect(_ context.Context, which admin.Selector) (admin.Disconnected, error) {
	if which == (admin.Selector{Session: "00aa"}) || which == (admin.Selector{User: "alice"}) {
		return admin.Disconnected{Sessions: 1}, g.err
	}
	if which.All {
		return admin.Disconnected{Sessions: 2}, g.err
	}
	return admin.Disconnected{}, g.err
}

func (g fakeGateway) Reload(context.Context) (admin.Reloaded, error) {
	return admin.Reloaded{Changed: []string{"users (2)"}, Restart: []string{"server.ike_port"}}, g.err
}

// gatewayFor serves g on a socket and gives its path.
func gatewayFor(t *testing.T, g admin.Gateway) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "control.sock")
	j := admin.NewJournal()
	j.Publish(admin.Event{Time: noon, Kind: admin.KindUp, Session: "00aa", User: "alice", Peer: "198.51.100.7:4500", Text: "alice logged in from 198.51.100.7:4500"})
	j.Refuse(admin.Refusal{
		Time: noon, Session: "00cc", Peer: "198.51.100.9:500", User: "carol", Client: "windows", Quirks: []string{"W1", "W9"}, Cause: "no-ike-proposal",
		Text:     "The client and the gateway have no IKE proposal in common.",
		Evidence: []admin.Evidence{{Key: "offered", Value: "3des-sha1-modp1024"}}, Advice: "Raise the client's settings.",
		Remedy: []string{"# at the client:", "Restart-Service RasMan"},
	})
	j.Refuse(admin.Refusal{
		Time: noon, Silent: true, Session: "00dd", Peer: "198.51.100.10:500", Cause: "never-continued",
		Text: "The client began a login and never continued it.", Advice: "Open the port.",
		Likely: []string{"UDP port 4500 is closed.", "IP fragments are lost."},
	})
	registry := prometheus.NewRegistry()
	s, err := admin.Listen(admin.Config{Socket: socket, Gateway: g, Journal: j, Metrics: registry, Logger: slog.New(slog.DiscardHandler)})
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
	})
	return socket
}

func TestReadingVerbs(t *testing.T) {
	socket := gatewayFor(t, fakeGateway{})
	for name, args := range map[string]string{
		"status": "status", "status-json": "status --json",
		"sessions": "sessions", "sessions-wide": "sessions --wide", "sessions-json": "sessions --json",
		"sessions-alice": "sessions alice", "sessions-nobody": "sessions nobody",
		"why": "why", "why-json": "why --json", "why-carol": "why carol", "why-nobody": "why nobody",
		"events": "events", "events-json": "events --json",
		"reload": "reload", "disconnect-user": "disconnect alice", "disconnect-session": "disconnect 00aa",
		"disconnect-nobody": "disconnect nobody", "disconnect-all": "disconnect --all",
	} {
		t.Run(name, func(t *testing.T) {
			golden(t, name, bridgehead(t, "", append(strings.Fields(args), "--control", socket)...).String())
		})
	}
}

func TestExitCodes(t *testing.T) {
	t.Chdir(t.TempDir())
	socket := gatewayFor(t, fakeGateway{})
	slow := gatewayFor(t, fakeGateway{err: context.DeadlineExceeded})
	refusing := gatewayFor(t, fakeGateway{err: errors.New("the gateway says no")})
	for _, c := range []struct {
		args string
		want int
		says string
	}{
		{"version", exitDone, ""},
		{"status --control " + socket, exitDone, ""},
		{"disconnect nobody --control " + socket, exitFailed, ""},
		{"reload --control " + refusing, exitFailed, "the gateway says no"},
		{"users remove alice --file none", exitFailed, "none"},
		{"sesions", exitUsage, "sessions"},
		{"status --jsn", exitUsage, "did you mean --json?"},
		{"status --number x", exitUsage, "--help"},
		{"status extra", exitUsage, "extra"},
		{"disconnect", exitUsage, "--all"},
		{"disconnect alice --all", exitUsage, "--all"},
		{"status --control ./none.sock", exitNotRunning, "bridgehead serve"},
		{"events -f --control ./none.sock", exitNotRunning, "bridgehead serve"},
		{"status --control " + slow, exitTimeout, "in time"},
		{"check --config none.toml", exitConfig, "none.toml:1:1"},
	} {
		got := bridgehead(t, "", strings.Fields(c.args)...)
		if got.code != c.want || !strings.Contains(got.err, c.says) {
			t.Errorf("%s: got %s\nwant exit %d and %q", c.args, got, c.want, c.says)
		}
	}
}

func TestDeniedIsToldApart(t *testing.T) {
	a := &app{err: new(bytes.Buffer), begun: true}
	if code := a.exit(&admin.DeniedError{Socket: "s", Err: os.ErrPermission}); code != exitDenied {
		t.Errorf("exit %d", code)
	}
}

// TestHelp keeps the words of every command in one golden file.
func TestHelp(t *testing.T) {
	var all strings.Builder
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Name() == "completion" || c.Name() == "help" {
			return // cobra's own
		}
		path := strings.Fields(c.CommandPath())[1:]
		fmt.Fprintf(&all, "=== %s\n%s", c.CommandPath(), bridgehead(t, "", append(path, "--help")...).out)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk((&app{}).root())
	golden(t, "help", all.String())
}

func TestUsers(t *testing.T) {
	t.Chdir(t.TempDir())
	const file = "users"
	run := func(stdin, args string) outcome {
		t.Helper()
		return bridgehead(t, stdin, append(strings.Fields(args), "--file", file)...)
	}
	if got := run("correct horse battery\n", "users add alice --group staff --ip4 192.0.2.9"); got.code != 0 || got.err != "" {
		t.Fatalf("add: %s", got)
	}
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(first, []byte("horse")) {
		t.Error("the file holds the password")
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v, want mode 0600", info.Mode(), err)
	}
	for _, c := range []struct {
		stdin, args string
		code        int
		says        string
	}{
		{"x\n", "users add bob", 0, "advice: "},
		{"another password\n", "users add alice", exitFailed, "already"},
		{"", "users add carol", exitFailed, "no password"},
		{strings.Repeat("x", 300) + "\n", "users add carol", exitFailed, "256"},
		{"a new password here\n", "users passwd alice", 0, "changed"},
		{"a new password here\n", "users passwd dave", exitFailed, `no user "dave"`},
		{"", "users remove dave", exitFailed, `no user "dave"`},
		{"", "users list --json", 0, `"name": "alice"`},
		{"", "users remove bob", 0, "removed"},
		{"", "users add eve --generate", 0, "password: "},
	} {
		got := run(c.stdin, c.args)
		if got.code != c.code || !strings.Contains(got.out+got.err, c.says) {
			t.Errorf("%s: got %s\nwant exit %d and %q", c.args, got, c.code, c.says)
		}
	}
	list := run("", "users list")
	want := "NAME   GROUP  POOL  ADDRESSES  STATE\nalice  staff  -     192.0.2.9  enabled\neve    -      -     -          enabled\n"
	if list.out != want {
		t.Errorf("list:\n%s\nwant\n%s", list.out, want)
	}
	now, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(bytes.Split(now, []byte("\n"))[1], bytes.Split(first, []byte("\n"))[1]) {
		t.Error("passwd left the hash as it was")
	}
}

func TestCheckListsEveryMistake(t *testing.T) {
	t.Chdir(t.TempDir())
	broken := "[server]\nnmae = 1\n[addresses]\npools = \"10.0.0.0/33\"\n[log]\nlevel = \"loud\"\n"
	if err := os.WriteFile("b.toml", []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	got := bridgehead(t, "", "check", "--config", "b.toml")
	for _, place := range []string{"b.toml:2:1: ", "b.toml:4:9: ", "b.toml:6:9: ", `did you mean "name"?`, `lacks "certificate"`, `lacks "key"`} {
		if !strings.Contains(got.err, place) {
			t.Errorf("%q is not in\n%s", place, got.err)
		}
	}
	if got.code != exitConfig || got.out != "" {
		t.Errorf("got %s", got)
	}
	asJSON := bridgehead(t, "", "check", "--config", "b.toml", "--json")
	if asJSON.code != exitConfig || !strings.Contains(asJSON.out, `"ok": false`) || strings.Count(asJSON.out, `"message"`) < 5 || asJSON.err != "" {
		t.Errorf("got %s", asJSON)
	}
}

func TestCheckExplains(t *testing.T) {
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	issued, err := pki.Store{Dir: ".", Random: rand.Reader}.Ensure([]string{"vpn.example.org"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if got := bridgehead(t, "a good password\n", "users", "add", "alice", "--file", "users"); got.code != exitDone {
		t.Fatal(got)
	}
	text := fmt.Sprintf("[server]\nname = \"vpn.example.org\"\ncertificate = %q\nkey = %q\nchain = %q\n[addresses]\npools = \"10.9.0.0/24\"\n[auth.file]\npath = \"users\"\n",
		issued.CertificatePath, issued.KeyPath, issued.AuthorityPath)
	if err := os.WriteFile("b.toml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := bridgehead(t, "", "check", "--config", "b.toml")
	explained := bridgehead(t, "", "check", "--config", "b.toml", "--explain")
	asJSON := bridgehead(t, "", "check", "--config", "b.toml", "--explain", "--json")
	t.Chdir(root)
	golden(t, "check", plain.String())
	// Which proposals are the default is the suite's to say.
	defaults := strings.NewReplacer(suite.DefaultIKE().String(), "(default IKE)", suite.DefaultESP().String(), "(default ESP)",
		issued.Authority.Subject.String(), "(authority)", issued.Server.NotAfter.Format(time.DateOnly), "(end)")
	golden(t, "check-explain", defaults.Replace(explained.String()))
	golden(t, "check-explain-json", defaults.Replace(asJSON.String()))
}

func TestVisible(t *testing.T) {
	if got := visible("a\x1b[2J\r\nb\u009b\u2028ü"); got != "a?[2J??b??ü" {
		t.Errorf("got %q", got)
	}
}

func TestQuantities(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m01s", 75 * time.Minute: "1h15m", 50 * time.Hour: "2d02h",
	} {
		if got := ago(d); got != want {
			t.Errorf("ago(%v) = %s, want %s", d, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 3 << 30: "3.0 GiB", 1 << 63: "8192.0 PiB"} {
		if got := octets(n); got != want {
			t.Errorf("octets(%d) = %s, want %s", n, got, want)
		}
	}
}
