package hostnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// program writes an executable and gives its path.
func program(t testing.TB, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "updown")
	must(t, os.WriteFile(path, []byte("#!/bin/bash\n"+strings.Join(lines, "\n")+"\n"), 0o700))
	return path
}

// log is what a Script has logged, without the times.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *log) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// scriptTest is a Script that runs.
type scriptTest struct {
	*Script
	t    testing.TB
	log  *log
	stop func() // ends Run
}

func startScript(t testing.TB, c ScriptConfig) *scriptTest {
	t.Helper()
	s := &scriptTest{t: t, log: &log{}}
	if c.Journal == "" {
		c.Journal = filepath.Join(t.TempDir(), "script")
	}
	c.Logger, c.Connection = s.log.logger(), "myvpn"
	var err error
	s.Script, err = OpenScript(c)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// drain waits until all that is queued has run.
func (s *scriptTest) drain() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	must(s.t, s.Drain(ctx))
}

func visitor(id string, inner ...string) Session {
	return Session{
		ID: id, Local: netip.MustParseAddrPort("127.0.0.1:4500"), Remote: netip.MustParseAddrPort("198.51.100.7:61234"), Encap: true,
		LocalID: "vpn.example.org", RemoteID: "alice@example.org", User: "alice", Addresses: addrs(inner...),
		Subnets: prefixes("192.0.2.0/24", "198.51.100.0/24"),
	}
}

func TestScriptEnvironment(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	s := startScript(t, ScriptConfig{Command: []string{program(t, `(echo "args=$*"; env | grep -v '^\(PWD\|SHLVL\|_\)=' | sort; echo) >>"$2"`), "two words", out}})
	hostile := visitor("s1", "10.9.0.7", "fd09::7")
	hostile.RemoteID = "$(touch /tmp/x);`id`\n\x00PLUTO_VERB=up\x1b[31m\xff\u0085 'quoted'"
	hostile.Group = "staff\x1b"
	s.Up(hostile)
	s.drain()
	s.Down("s1")
	s.drain()
	s.Up(Session{ID: "s2", Local: netip.MustParseAddrPort("[2001:db8::1%eth7]:500"), Remote: netip.MustParseAddrPort("[2001:db8::9]:500"), Addresses: addrs("10.9.0.8")})
	s.drain()
	got, err := os.ReadFile(out)
	must(t, err)
	common := func(number int) string {
		return fmt.Sprintf("PLUTO_PROTO=esp\nPLUTO_REQID=%d\n", number)
	}
	first := func(verb, family, mine, client string) string {
		return "args=two words " + out + "\nBRIDGEHEAD_GROUP=staff\nPATH=" + os.Getenv("PATH") + "\nPLUTO_CONNECTION=myvpn\nPLUTO_INTERFACE=lo\nPLUTO_ME=127.0.0.1\nPLUTO_MY_CLIENT=" + mine +
			"\nPLUTO_MY_ID=vpn.example.org\nPLUTO_MY_PORT=0\nPLUTO_MY_PROTOCOL=0\nPLUTO_PEER=198.51.100.7\nPLUTO_PEER_CLIENT=" + client +
			"\nPLUTO_PEER_ID=$(touch /tmp/x);`id`PLUTO_VERB=up[31m 'quoted'\nPLUTO_PEER_PORT=0\nPLUTO_PEER_PROTOCOL=0\n" +
			"PLUTO_PEER_SOURCEIP4_1=10.9.0.7\nPLUTO_PEER_SOURCEIP6_1=fd09::7\nPLUTO_PEER_SOURCEIP=10.9.0.7\n" + common(1) +
			"PLUTO_UDP_ENC=61234\nPLUTO_UNIQUEID=1\nPLUTO_VERB=" + verb + "-client" + family + "\nPLUTO_VERSION=1.1\nPLUTO_XAUTH_ID=alice\n\n"
	}
	want := first("up", "", "192.0.2.0/24", "10.9.0.7/32") + first("up", "-v6", "::/0", "fd09::7/128") +
		first("down", "", "192.0.2.0/24", "10.9.0.7/32") + first("down", "-v6", "::/0", "fd09::7/128") +
		"args=two words " + out + "\nPATH=" + os.Getenv("PATH") + "\nPLUTO_CONNECTION=myvpn\nPLUTO_INTERFACE=unknown\nPLUTO_ME=2001:db8::1\nPLUTO_MY_CLIENT=0.0.0.0/0" +
		"\nPLUTO_MY_ID=\nPLUTO_MY_PORT=0\nPLUTO_MY_PROTOCOL=0\nPLUTO_PEER=2001:db8::9\nPLUTO_PEER_CLIENT=10.9.0.8/32" +
		"\nPLUTO_PEER_ID=\nPLUTO_PEER_PORT=0\nPLUTO_PEER_PROTOCOL=0\nPLUTO_PEER_SOURCEIP4_1=10.9.0.8\nPLUTO_PEER_SOURCEIP=10.9.0.8\n" + common(2) +
		"PLUTO_UNIQUEID=2\nPLUTO_VERB=up-client\nPLUTO_VERSION=1.1\nPLUTO_XAUTH_ID=\n\n"
	if string(got) != want {
		t.Errorf("only in what it got:\n%s\nonly in what was wanted:\n%s",
			strings.Join(missing(strings.Split(string(got), "\n"), strings.Split(want, "\n")), "\n"),
			strings.Join(missing(strings.Split(want, "\n"), strings.Split(string(got), "\n")), "\n"))
	}
}

// recorder is a program that writes down its verbs and clients as it begins.
func recorder(t testing.TB, out string, lines ...string) string {
	t.Helper()
	return program(t, slices.Insert(lines, 0, `echo "$PLUTO_VERB ${PLUTO_PEER_CLIENT%/*}" >>`+out)...)
}

func readLinesOf(t testing.TB, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if !errors.Is(err, os.ErrNotExist) {
		must(t, err)
	}
	return slices.Collect(strings.Lines(string(b)))
}

// gate makes a program of one client wait until it is opened.
func gate(t testing.TB, client string) (lines, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "gate")
	must(t, os.WriteFile(path, nil, 0o600))
	return `while [ $PLUTO_PEER_CLIENT = ` + client + ` -a -e ` + path + ` ]; do sleep .02; done`, path
}

// A program that hangs for one client holds up neither Up nor Down, nor the
// programs of other clients; a session that ends before the program was told
// of it is never heard of; the next session with the same address waits.
func TestScriptOrder(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	wait, gated := gate(t, "10.9.0.7/32")
	s := startScript(t, ScriptConfig{Command: []string{recorder(t, out, wait)}, Workers: 2})
	var want []string
	hears := func(line string) {
		t.Helper()
		want = append(want, line+"\n")
		awaitLines(t, out, len(want))
	}
	s.Up(visitor("a", "10.9.0.7"))
	hears("up-client 10.9.0.7")     // and hangs
	s.Up(visitor("a", "10.9.0.99")) // known already
	s.Up(visitor("none"))
	s.Down("a")
	s.Down("a")
	s.Down("never seen")
	s.Up(visitor("brief", "10.9.0.7")) // after a
	s.Down("brief")
	s.Up(visitor("b", "10.9.0.7", "fd09::7")) // after brief
	for _, inner := range []string{"10.9.0.1", "10.9.0.2"} {
		s.Up(visitor(inner, inner))
		hears("up-client " + inner)
		s.Down(inner)
		hears("down-client " + inner)
	}
	must(t, os.Remove(gated))
	s.drain()
	want = append(want, "down-client 10.9.0.7\n", "up-client 10.9.0.7\n", "up-client-v6 fd09::7\n")
	if got := readLinesOf(t, out); !slices.Equal(got, want) {
		t.Errorf("the program heard %q, want %q", got, want)
	}
}

// awaitLines returns once a file has as many lines.
func awaitLines(t testing.TB, path string, n int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); len(readLinesOf(t, path)) < n; {
		if time.Now().After(deadline) {
			t.Fatalf("%s holds %q, want %d lines", path, readLinesOf(t, path), n)
		}
	}
}

func TestScriptsThatMisbehave(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	for _, c := range []struct {
		name   string
		lines  []string
		want   []string // in the log
		others func(t *testing.T, log string)
	}{
		{"fails", []string{"echo to stdout", "echo to stderr >&2", "exit 3"}, []string{
			`level=INFO msg="updown: to stdout" session=s verb=up-client`,
			`level=INFO msg="updown: to stderr"`, `level=WARN msg="the updown script failed"`, `error="exit status 3"`,
		}, nil},
		{"hangs, and its child, too", []string{"echo begun", "sleep 1000 & echo $! >" + pid, "wait"}, []string{
			`msg="updown: begun"`, `error="killed, for it ran longer than 300ms"`,
		}, func(t *testing.T, _ string) {
			child := strings.TrimSpace(strings.Join(readLinesOf(t, pid), ""))
			for deadline := time.Now().Add(10 * time.Second); alive(child); {
				if time.Now().After(deadline) {
					t.Fatalf("the child %s lives on", child)
				}
			}
		}},
		{"floods", []string{"yes"}, []string{"level=WARN", `error="it wrote more than 1048576 octets"`, `lines more"`}, func(t *testing.T, log string) {
			if n := strings.Count(log, `msg="updown: y"`); n != maxLines {
				t.Errorf("%d lines were logged, want %d", n, maxLines)
			}
		}},
		{"floods and will not stop", []string{"trap '' PIPE", "while true; do echo flood; done 2>/dev/null"}, []string{"level=WARN", "updown: flood"}, func(t *testing.T, log string) {
			if len(log) > 100*maxLines {
				t.Errorf("%d octets of log", len(log))
			}
		}},
		{"one endless line", []string{"head -c 100000 /dev/zero | tr '\\0' x"}, []string{`msg="updown: ` + strings.Repeat("x", maxLine) + `" `}, nil},
		{"control characters", []string{`printf 'a\033[2Jb\r\0c\377\nlast'`}, []string{`msg="updown: a[2Jbc" `, `msg="updown: last" `}, nil},
		{"leaves one behind", []string{"(sleep 30; echo late) & echo $! >" + pid, "echo done"}, []string{`msg="updown: done"`}, func(t *testing.T, log string) {
			child := strings.TrimSpace(strings.Join(readLinesOf(t, pid), ""))
			if strings.Contains(log, "WARN") || !alive(child) {
				t.Errorf("a daemon of the script's: alive %v, log %s", alive(child), log)
			}
			run(t, "pkill -P %s", child)
		}},
		{"no interpreter", nil, []string{"level=WARN", "no such file or directory"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := program(t, c.lines...)
			if c.lines == nil {
				must(t, os.WriteFile(path, []byte("#!/no/such/interpreter\n"), 0o700))
			}
			timeout := 20 * time.Second
			if strings.Contains(c.name, "hang") || strings.Contains(c.name, "will not stop") {
				timeout = 300 * time.Millisecond
			}
			s := startScript(t, ScriptConfig{Command: []string{path}, Timeout: timeout})
			s.Up(visitor("s", "10.9.0.7"))
			s.drain()
			for _, want := range c.want {
				if !strings.Contains(s.log.String(), want) {
					t.Errorf("the log has no %s:\n%.2000s", want, s.log)
				}
			}
			if c.others != nil {
				c.others(t, s.log.String())
			}
		})
	}
}

// alive tells whether a process exists and is no zombie.
func alive(pid string) bool {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	return pid != "" && err == nil && !strings.Contains(string(b), ") Z ")
}

// A gateway that stops has no time for a program that hangs: it is killed, and
// the next start begins with what is left.
func TestScriptsEndWithTheGateway(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	journal := filepath.Join(t.TempDir(), "script")
	wait, gated := gate(t, "10.9.0.7/32")
	path := recorder(t, out, wait)
	s := startScript(t, ScriptConfig{Command: []string{path}, Journal: journal, Workers: 1})
	s.Up(visitor("other", "10.9.0.8"))
	s.drain()
	s.Up(visitor("slow", "10.9.0.7"))
	awaitLines(t, out, 2)
	s.Down("other")
	s.Down("slow")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the next start does the rest") {
		t.Errorf("draining: %v", err)
	}
	if n := s.Left(); n != 2 {
		t.Errorf("%d sessions left", n)
	}
	s.stop()
	must(t, s.Close())
	if log := s.log.String(); !strings.Contains(log, "killed, for the gateway stops") {
		t.Errorf("log:\n%s", log)
	}
	must(t, os.Remove(gated))
	s = startScript(t, ScriptConfig{Command: []string{path}, Journal: journal})
	s.drain()
	s.stop()
	must(t, s.Close())
	got := readLinesOf(t, out)
	slices.Sort(got[2:]) // by several workers
	if want := []string{"up-client 10.9.0.8\n", "up-client 10.9.0.7\n", "down-client 10.9.0.7\n", "down-client 10.9.0.8\n"}; !slices.Equal(got, want) {
		t.Errorf("the program heard %q, want %q", got, want)
	}
	if _, err := os.Stat(journal); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the journal: %v", err)
	}
}

func TestScriptsThatCannotBeRun(t *testing.T) {
	dir := t.TempDir()
	plain, open := filepath.Join(dir, "plain"), filepath.Join(dir, "open")
	must(t, os.WriteFile(plain, nil, 0o600))
	must(t, os.WriteFile(open, nil, 0o600))
	must(t, os.Chmod(open, 0o777))
	for _, c := range []struct {
		command []string
		want    string
	}{
		{nil, "needs a program"}, {[]string{dir + "/none"}, "no such file"},
		{[]string{dir}, "expected a program"}, {[]string{plain}, "chmod +x"}, {[]string{open}, "chmod o-w"},
	} {
		_, err := OpenScript(ScriptConfig{Command: c.command, Journal: filepath.Join(dir, "j")})
		if !errors.As(err, new(*ConfigError)) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.command, err, c.want)
		}
	}
}

// Whatever sessions do, the program hears of each address in turn: up, down,
// up, down; and in the end no more of it than of the sessions that are there.
func TestScriptSchedule(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		s, err := OpenScript(ScriptConfig{Command: []string{"/bin/true"}, Journal: filepath.Join(dir, fmt.Sprint(n)), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		inner := addrs("10.9.0.1", "10.9.0.2", "fd09::1", "fd09::2")
		up, heard := map[string]Session{}, map[netip.Addr]string{} // who is up; whom the program knows
		var running []*visit
		next := 0
		finish := func(v *visit) {
			begin := v.up && !v.down
			end := v.down && !v.up && v.begun
			for _, a := range v.Session.Addresses {
				switch {
				case begin && heard[a] != "", end && heard[a] != v.Session.ID:
					t.Fatalf("%s begins %v, ends %v: %v has %q", v.Session.ID, begin, end, a, heard[a])
				case begin:
					heard[a] = v.Session.ID
				case end:
					delete(heard, a)
				}
			}
			s.step(canceled, v)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		unlocked := func(f func()) { s.mu.Unlock(); f(); s.mu.Lock() }
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				next++
				v := Session{ID: fmt.Sprint(next), Addresses: []netip.Addr{
					inner[rapid.IntRange(0, 1).Draw(t, "IPv4")], inner[2+rapid.IntRange(0, 1).Draw(t, "IPv6")],
				}}
				for id, other := range up { // addresses are leased once at a time
					if slices.ContainsFunc(other.Addresses, func(a netip.Addr) bool { return slices.Contains(v.Addresses, a) }) {
						delete(up, id)
						unlocked(func() { s.Down(id) })
					}
				}
				up[v.ID] = v
				unlocked(func() { s.Up(v) })
			case 1:
				id := fmt.Sprint(rapid.IntRange(0, next).Draw(t, "who"))
				delete(up, id)
				unlocked(func() { s.Down(id) })
			case 2:
				if len(s.ready) > 0 {
					running = append(running, s.ready[0])
					s.ready = s.ready[1:]
				}
			case 3:
				if len(running) > 0 {
					i := rapid.IntRange(0, len(running)-1).Draw(t, "which")
					v := running[i]
					running = slices.Delete(running, i, i+1)
					finish(v)
				}
			}
		}
		for len(running)+len(s.ready) > 0 {
			running, s.ready = append(running, s.ready...), nil
			finish(running[0])
			running = running[1:]
		}
		if len(s.sessions) != len(up) {
			t.Fatalf("%d sessions are known, %d are up", len(s.sessions), len(up))
		}
		for _, v := range up {
			for _, a := range v.Addresses {
				if heard[a] != v.ID {
					t.Fatalf("of %v the program knows %q, want %s", a, heard[a], v.ID)
				}
			}
		}
		if len(s.holders) != len(heard) {
			t.Fatalf("%d addresses are held, want %d", len(s.holders), len(heard))
		}
	})
}

// canceled keeps steps from running anything.
var canceled = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// scriptJournal names the journal of a process that runs the script given as
// the only other word.
const scriptJournal = "HOSTNET_TEST_SCRIPT_JOURNAL"

// runScript tells the script of two sessions and waits to be killed; when there
// are sessions left from before, it only ends those.
func runScript(value string) {
	journal, command, _ := strings.Cut(value, " ")
	s, err := OpenScript(ScriptConfig{Command: []string{command}, Journal: journal, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	left := s.Left()
	if left == 0 {
		s.Up(visitor("a", "10.9.0.7", "fd09::7"))
		s.Up(visitor("b", "10.9.0.8"))
		s.Up(visitor("c", "10.9.0.9"))
		fmt.Println(left, "left", s.Drain(ctx))
		s.Down("c")
		fmt.Println("drained", s.Drain(ctx))
		waitToBeKilled()
	}
	err = s.Drain(ctx)
	cancel()
	<-ended
	fmt.Println(left, "left", errors.Join(err, s.Close()))
}

// The documented script, unchanged, announces clients; when the gateway is
// killed, the next one has it take back what it did.
func TestDocumentedScript(t *testing.T) {
	segment(t)
	before := proxies(t)
	script, err := filepath.Abs("testdata/proxyndp.updown")
	must(t, err)
	value := filepath.Join(t.TempDir(), "j") + " " + script
	victim := startVictim(t, scriptJournal, value)
	victim.says("0 left <nil>")
	victim.says("drained <nil>")
	const announced = "10.9.0.7 dev eth0 proxy \n10.9.0.8 dev eth0 proxy \nfd09::7 dev eth0 proxy \n"
	if got := proxies(t); got != announced {
		t.Errorf("after one of three ended entries are\n%swant\n%s", got, announced)
	}
	victim.kill()
	startVictim(t, scriptJournal, value).says("2 left <nil>")
	if got := proxies(t); got != before {
		t.Errorf("entries were\n%sand are\n%s", before, got)
	}
}
