package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"

	"bridgehead/cmd/bridgehead/internal/admin"
	"bridgehead/ikev2/initiator"
)

// insideNamespace tells the copy of this test that it has a network of its own.
const insideNamespace = "BRIDGEHEAD_TEST_INSIDE_NAMESPACE"

// TestQuickstart plays a whole trial in a network namespace: quickstart, the
// verbs that look after it, logins good and bad, and the end.
func TestQuickstart(t *testing.T) {
	if os.Getenv(insideNamespace) != "" {
		playQuickstart(t)
		return
	}
	c := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestQuickstart$", "-test.v")
	c.Env = append(os.Environ(), insideNamespace+"=1")
	runtime.LockOSThread() // Pdeathsig is sent when the thread that forked ends
	defer runtime.UnlockOSThread()
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// trial is a quickstart that runs in this process.
type trial struct {
	t        *testing.T
	dir      string
	control  string
	ca       string
	password string
	lines    *bufio.Scanner // of its output
	log      *lockedBuffer
	stop     context.CancelFunc
	ended    chan int
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

const (
	server4, server6 = "192.0.2.1", "2001:db8::1"
	serverName       = "vpn.example.org"
)

// loseDevice takes the TUN device away from a gateway that runs: it must end
// with the reason and leave nothing behind.
func loseDevice(t *testing.T) {
	t.Helper()
	q := startTrial(t)
	device, err := netlink.LinkByName("bridgehead0")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkDel(device); err != nil {
		t.Fatal(err)
	}
	for q.lines.Scan() {
		if strings.Contains(q.lines.Text(), "as it was before") {
			t.Error("a lost device is told as a good end")
		}
	}
	if code := <-q.ended; code != exitFailed || !strings.Contains(q.log.String(), "bridgehead: tunnel: ") {
		t.Errorf("exit %d; its log:\n%s", code, q.log)
	}
	q.nothingIsLeft()
}

// giveAddresses makes the namespace a host with two addresses.
func giveAddresses(t *testing.T) {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{server4 + "/32", server6 + "/128"} {
		addr, err := netlink.ParseAddr(a)
		if err != nil {
			t.Fatal(err)
		}
		addr.Flags = syscall.IFA_F_NODAD
		if err := netlink.AddrAdd(lo, addr); err != nil {
			t.Fatal(err)
		}
	}
}

// startTrial runs quickstart until it says that it runs.
func startTrial(t *testing.T) *trial {
	t.Helper()
	dir := t.TempDir()
	in, out := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	q := &trial{
		t: t, dir: filepath.Join(dir, "state"), control: filepath.Join(dir, "control.sock"), lines: bufio.NewScanner(in),
		log: new(lockedBuffer), stop: stop, ended: make(chan int, 1),
	}
	go func() {
		a := &app{in: strings.NewReader(""), out: out, err: q.log, now: time.Now}
		code := a.run(ctx, []string{"quickstart", "--state", q.dir, "--control", q.control, "--name", serverName, "--log-level", "info"})
		out.Close()
		q.ended <- code
	}()
	q.until("Ctrl-C ends it", func(line string) {
		if word, value, _ := strings.Cut(strings.TrimSpace(line), " "); word == "password" {
			q.password = strings.TrimSpace(value)
		}
	})
	q.ca = filepath.Join(q.dir, "ca.pem")
	return q
}

// until reads the output up to a line with some text.
func (q *trial) until(text string, each func(line string)) {
	q.t.Helper()
	for q.lines.Scan() {
		each(q.lines.Text())
		if strings.Contains(q.lines.Text(), text) {
			return
		}
	}
	q.t.Fatalf("quickstart ended before it said %q; its log:\n%s", text, q.log)
}

func ignore(string) {}

// expect runs a command line with the password on its standard input.
func (q *trial) expect(code int, says, password string, args ...string) outcome {
	q.t.Helper()
	got := bridgehead(q.t, password+"\n", args...)
	if got.code != code || !strings.Contains(got.out+got.err, says) {
		q.t.Fatalf("bridgehead %s: got %s\nwant exit %d and %q; the gateway's log:\n%s", strings.Join(args, " "), got, code, says, q.log)
	}
	return got
}

// look runs a verb that talks to the gateway.
func (q *trial) look(code int, says string, args ...string) {
	q.t.Helper()
	q.expect(code, says, "", append(args, "--control", q.control)...)
}

// probe logs in.
func (q *trial) probe(code int, verdict initiator.Verdict, password string, args ...string) initiator.ProbeReport {
	q.t.Helper()
	args = append([]string{"probe", "--json", "--user", "alice", "--server-name", serverName}, args...)
	got := q.expect(code, string(verdict), password, args...)
	var r initiator.ProbeReport
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || r.Verdict != verdict {
		q.t.Fatalf("%s: %v", got.out, err)
	}
	return r
}

func playQuickstart(t *testing.T) {
	forwarding := []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"}
	before := readAll(t, forwarding)
	giveAddresses(t)
	q := startTrial(t)

	for _, server := range []string{server4, server6} {
		r := q.probe(exitDone, initiator.VerdictOK, q.password, server, "--ca", q.ca)
		if len(r.Addresses) != 2 || len(r.DNS) == 0 || r.Cert == nil {
			t.Errorf("%s: %+v", server, r)
		}
		q.until(" in   alice logged in from ", ignore)
		q.until(" out  alice logged out after ", ignore)
	}

	q.probe(exitDenied, initiator.VerdictCredentials, "a wrong one", server4, "--ca", q.ca)
	q.until(" no   alice from ", ignore)
	q.look(exitDone, `"cause": "wrong-password"`, "why", "alice", "--json", "-n", "1")
	q.probe(exitFailed, initiator.VerdictCertificate, q.password, server4)
	q.until(" no   ", ignore)
	q.look(exitDone, `"cause": "client-refused-our-authentication"`, "why", "--json", "-n", "1")
	q.probe(exitFailed, initiator.VerdictNoProposal, q.password, server4, "--ca", q.ca, "--ike", "aes128-sha1-modp1024")
	q.until(" no   a client from ", ignore)
	q.look(exitDone, "no-ike-proposal", "why", server4, "-n", "1")

	q.holdAndDisconnect()
	q.reloads()
	q.collisions()

	q.look(exitDone, `bridgehead_handshakes_total{reason="wrong-password",result="refused"} 1`, "metrics")
	q.look(exitDone, serverName, "status")
	q.stop()
	q.until("this host's network is as it was before", ignore)
	if code := <-q.ended; code != exitDone {
		t.Errorf("quickstart: exit %d; its log:\n%s", code, q.log)
	}
	if after := readAll(t, forwarding); after != before {
		t.Errorf("forwarding was %q, is %q", before, after)
	}
	q.nothingIsLeft()
	q.look(exitNotRunning, "no gateway runs", "status")
	if !signal.Ignored(syscall.SIGPIPE) {
		t.Error("whoever closes the output ends the gateway")
	}
	q.servesPools()
	q.nothingIsLeft()
	loseDevice(t)
	if strings.Contains(q.log.String(), q.password) {
		t.Error("the password stands in the log")
	}
}

// holdAndDisconnect keeps two sessions up and has the operator end them.
func (q *trial) holdAndDisconnect() {
	ctx, release := context.WithCancel(q.t.Context())
	held := make(chan int, 1)
	go func() {
		a := &app{in: strings.NewReader(q.password + "\n"), out: io.Discard, err: io.Discard, now: time.Now}
		held <- a.run(ctx, []string{"bench", server4, "--user", "alice", "--server-name", serverName, "--ca", q.ca, "-n", "2", "--hold"})
	}()
	q.until(" in   alice logged in from ", ignore)
	q.until(" in   alice logged in from ", ignore)
	downs := q.follow("down", 2)
	q.look(exitDone, "alice", "sessions", "alice", "--wide")
	q.look(exitFailed, "no such session", "disconnect", "bob")
	q.look(exitDone, "2 ended", "disconnect", "alice")
	q.until("an operator ended the session", ignore)
	q.until("an operator ended the session", ignore)
	downs()
	q.look(exitDone, "nobody is logged in", "sessions")
	release()
	<-held
}

// follow runs "events -f" and gives what waits for n events of a kind that
// nobody had seen when follow was called, and ends it.
func (q *trial) follow(kind string, n int) (wait func()) {
	in, out := io.Pipe()
	ctx, stop := context.WithCancel(q.t.Context())
	ended := make(chan int, 1)
	go func() {
		a := &app{in: strings.NewReader(""), out: out, err: q.log, now: time.Now}
		code := a.run(ctx, []string{"events", "-f", "--json", "--control", q.control})
		out.Close()
		ended <- code
	}()
	events := json.NewDecoder(in)
	next := func() (e admin.Event) {
		if err := events.Decode(&e); err != nil {
			q.t.Errorf("events -f: %v", err)
		}
		return e
	}
	for up := 0; up < 4; { // the two logins of before and those just made
		if next().Kind == admin.KindUp {
			up++
		}
	}
	return func() {
		q.t.Helper()
		for n > 0 {
			if e := next(); string(e.Kind) != kind || e.Session == "" || e.Time.IsZero() {
				q.t.Fatalf("got %+v, want kind %s", e, kind)
			}
			n--
		}
		stop()
		if code := <-ended; code != exitDone {
			q.t.Errorf("events -f: exit %d", code)
		}
	}
}

// reloads changes the configuration, well and badly.
func (q *trial) reloads() {
	file := filepath.Join(q.dir, "bridgehead.toml")
	good, err := os.ReadFile(file)
	if err != nil {
		q.t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		code int
		says string
	}{
		{"[ike]\nproposals = \"aes256-sha256-modp2048\"\n[dataplane]\nmtu = 1390\n", exitDone, "changed: ike.proposals\nchanged: users (1)\nneeds a restart: dataplane.mtu\n"},
		{"[ike]\nproposals = \"rot13\"\n", exitFailed, file},
	} {
		if err := os.WriteFile(file, append(bytes.Clone(good), c.text...), 0o600); err != nil {
			q.t.Fatal(err)
		}
		q.look(c.code, c.says, "reload")
		r := q.probe(exitDone, initiator.VerdictOK, q.password, server4, "--ca", q.ca)
		if r.Suite != "aes256-sha256-modp2048" {
			q.t.Errorf("after %q the IKE SA has %s", c.text, r.Suite)
		}
	}
	if err := os.WriteFile(file, good, 0o600); err != nil {
		q.t.Fatal(err)
	}
}

// servesPools goes on from quickstart's configuration with a second pool and
// a user of it.
func (q *trial) servesPools() {
	file := filepath.Join(q.dir, "bridgehead.toml")
	text, err := os.ReadFile(file)
	if err != nil {
		q.t.Fatal(err)
	}
	text = append(text, "[pools.staff]\naddresses = [\"10.77.0.0/28\", \"fd77::/120\"]\n"...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		q.t.Fatal(err)
	}
	q.expect(exitDone, "added", q.password, "users", "add", "bob", "--pool", "staff", "--file", filepath.Join(q.dir, "users"))
	ready, log := io.Pipe()
	ctx, stop := context.WithCancel(q.t.Context())
	ended := make(chan int, 1)
	go func() {
		a := &app{in: strings.NewReader(""), out: io.Discard, err: io.MultiWriter(q.log, log), now: time.Now}
		ended <- a.run(ctx, []string{"serve", "--config", file, "--control", q.control})
		log.Close()
	}()
	lines := bufio.NewScanner(ready)
	for lines.Scan() && !strings.Contains(lines.Text(), `"ready"`) {
	}
	drained := make(chan struct{})
	go func() { defer close(drained); _, _ = io.Copy(io.Discard, ready) }()
	for user, want := range map[string]string{"bob": "10.77.0.1/32 fd77::1/128", "alice": ""} {
		r := q.probe(exitDone, initiator.VerdictOK, q.password, server4, "--ca", q.ca, "--user", user)
		if got := words(r.Addresses); want != "" && got != want || want == "" && strings.Contains(got, "10.77.") {
			q.t.Errorf("%s gets %s, want %s", user, got, want)
		}
	}
	q.look(exitDone, "pool staff IPv4", "status")
	q.look(exitDone, `bridgehead_pool_addresses{family="IPv6",pool="staff"} 254`, "metrics")
	for _, network := range []string{"10.77.0.0/28", "fd77::/120"} {
		if _, dst, err := net.ParseCIDR(network); err != nil || !routed(q.t, dst) {
			q.t.Errorf("no route to %s", network)
		}
	}
	stop()
	if code := <-ended; code != exitDone {
		q.t.Errorf("serve: exit %d; its log:\n%s", code, q.log)
	}
	<-drained
}

// routed tells whether a network lies behind a link of this host.
func routed(t *testing.T, dst *net.IPNet) bool {
	t.Helper()
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Dst: dst}, netlink.RT_FILTER_DST)
	if err != nil {
		t.Fatal(err)
	}
	return len(routes) == 1
}

// collisions starts further gateways where this one is.
func (q *trial) collisions() {
	other := filepath.Join(q.t.TempDir(), "other")
	q.expect(exitFailed, "another quickstart uses the folder", "", "quickstart", "--state", q.dir, "--control", other+".sock")
	q.expect(exitFailed, "address already in use", "", "quickstart", "--state", other, "--control", other+".sock")
	q.expect(exitFailed, "another gateway runs behind it", "", "quickstart", "--state", other, "--control", q.control, "--port", "1500", "--nat-port", "14500")
}

// nothingIsLeft looks for traces on the host.
func (q *trial) nothingIsLeft() {
	q.t.Helper()
	links, err := net.Interfaces()
	if err != nil {
		q.t.Fatal(err)
	}
	for _, l := range links {
		if strings.HasPrefix(l.Name, "bridgehead") {
			q.t.Errorf("%s is left", l.Name)
		}
	}
	conn, err := nftables.New()
	if err != nil {
		q.t.Fatal(err)
	}
	tables, err := conn.ListTables()
	if err != nil || len(tables) > 0 {
		q.t.Errorf("tables left: %v %v", tables, err)
	}
	if _, err := os.Stat(q.control); !os.IsNotExist(err) {
		q.t.Errorf("the socket is left: %v", err)
	}
}

func readAll(t *testing.T, files []string) string {
	t.Helper()
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s", b)
	}
	return all.String()
}
