//go:build bench

package compare

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/integration/lab"
)

// radiusScene is a scene whose gateway asks FreeRADIUS on its own loopback.
type radiusScene struct {
	*scene
	secret    string
	authority *lab.Certificate
}

func newRadiusScene(t *testing.T) *radiusScene {
	t.Helper()
	var b [12]byte
	if _, err := rand.Read(b[:]); err != nil {
		t.Fatal(err)
	}
	return &radiusScene{scene: newScene(t), secret: hex.EncodeToString(b[:]), authority: lab.NewCA(t, "Bench RADIUS", lab.ECDSA256)}
}

// freeRADIUS starts one that knows the user, of whatever realm.
func (s *radiusScene) freeRADIUS(port int) *lab.FreeRADIUS {
	s.t.Helper()
	return s.StartFreeRADIUS(lab.FreeRADIUSConfig{
		On: s.gateway, Port: port, Accounting: port + 1, Secret: s.secret, Quiet: true,
		Users:  fmt.Sprintf("%s\tCleartext-Password := %q\n", user, password),
		Server: s.authority.NewServer(lab.RSA2048, time.Hour, "radius.example.org", "127.0.0.1"), Authority: s.authority,
	})
}

// server is a RADIUS server as a gateway is told of it.
type server struct {
	address string // host:port
	realm   string // bridgehead's alone
}

// radiusContender is a product that asks RADIUS servers.
type radiusContender struct {
	name  string
	start func(s *radiusScene, sockets int, servers ...server) daemon
}

var radiusContenders = []radiusContender{{"bridgehead", (*radiusScene).bridgehead}, {"charon", (*radiusScene).charon}}

// bridgehead opens sockets as it needs them.
func (s *radiusScene) bridgehead(_ int, servers ...server) daemon {
	s.t.Helper()
	dir := s.Dir("bridgehead")
	secret := filepath.Join(dir, "radius.secret")
	if err := os.WriteFile(secret, []byte(s.secret), 0o600); err != nil {
		s.t.Fatal(err)
	}
	backend := "[auth]\nbackend = \"radius\"\n"
	for i, r := range servers {
		backend += fmt.Sprintf("[radius.s%d]\naddress = %q\nsecret_file = %q\n", i, r.address, secret)
		if r.realm != "" {
			backend += fmt.Sprintf("realms = [%q]\n", r.realm)
		}
	}
	return s.serve(dir, x25519, backend)
}

// both has users of fast.example in a file of its own, all others behind a
// server.
func (s *radiusScene) both(address string) daemon {
	s.t.Helper()
	dir := s.Dir("bridgehead")
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
		return path
	}
	hash := auth.HashPassword([]byte(password))
	users := write("fast.users", fmt.Sprintf("%s $nt$%x\n", user, hash[:]))
	return s.serve(dir, x25519, fmt.Sprintf(`[auth]
backend = "radius"
file.path = %q
[auth.rules.fast]
realms = "fast.example"
backend = "file"
[radius.slow]
address = %q
secret_file = %q
`, users, address, write("radius.secret", s.secret)))
}

// charon has the number of sockets to each server, which is how many requests
// it has in flight at most; its default is 1.
func (s *radiusScene) charon(sockets int, servers ...server) daemon {
	s.t.Helper()
	var list strings.Builder
	for i, r := range servers {
		host, port, _ := strings.Cut(r.address, ":")
		fmt.Fprintf(&list, "s%d { address = %s\nauth_port = %s\nsecret = %s\nsockets = %d }\n", i, host, port, s.secret, sockets)
	}
	return s.startCharon(x25519, "eap-radius", "", "plugins { eap-radius { servers {\n"+list.String()+"} } }\n")
}

// report is what "bridgehead bench --json" says of logins.
type report struct {
	benchReport
	Elapsed float64 `json:"elapsed_ms"`
	Login   struct {
		P50 float64 `json:"p50_ms"`
		P99 float64 `json:"p99_ms"`
		Max float64 `json:"max_ms"`
	} `json:"login"`
}

// load runs n logins and logouts, some of which may fail.
func (s *radiusScene) load(name string, n, workers int, patience time.Duration) report {
	s.t.Helper()
	args := s.benchCommand(name, x25519, "-n", strconv.Itoa(n), "-w", strconv.Itoa(workers), "--patience", patience.String())
	cmd := s.client.Command(args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(password + "\n")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, _ := cmd.Output() // failed logins are in the report
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		s.t.Fatalf("bench: %v\n%s%s", err, out, stderr.String())
	}
	return r
}

const radiusPort = 1812

// TestRADIUSLoginCPU compares the gateway's processor time for a login and
// logout that RADIUS decides, with the same FreeRADIUS.
func TestRADIUSLoginCPU(t *testing.T) {
	figures := make(map[string][]float64)
	for i := range repeats {
		for _, c := range radiusContenders {
			t.Run(fmt.Sprintf("%s-%d", c.name, i), func(t *testing.T) {
				s := newRadiusScene(t)
				d := c.start(s, 1, server{address: s.freeRADIUS(radiusPort).Address()})
				s.logins(x25519, 50, workers) // warm
				before := cpuTime(t, d.Pid())
				s.logins(x25519, loginsRun, workers)
				used := cpuTime(t, d.Pid()) - before
				figures[c.name] = append(figures[c.name], float64(used.Microseconds())/1000/loginsRun)
			})
		}
	}
	row("gateway CPU per login and logout by RADIUS, "+x25519.name, "ms", figures["bridgehead"], figures["charon"], "0.80 or less")
}

// slowAnswer is how long the slow server takes for each answer; a login needs
// three.
const slowAnswer = 2 * time.Second

// TestSlowRADIUS shows how many logins wait at once for a slow server, and how
// many are done in a second.
func TestSlowRADIUS(t *testing.T) {
	for _, c := range []struct {
		name                     string
		of                       radiusContender
		sockets, logins, workers int
	}{
		{"bridgehead", radiusContenders[0], 0, 2000, 1500},
		{"strongSwan", radiusContenders[1], 1, 4, 4},
		{"strongSwan with 100 sockets", radiusContenders[1], 100, 24, 24},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newRadiusScene(t)
			s.server = s.issuing.NewServer(lab.ECDSA256, 24*time.Hour, gatewayName, gatewayAddress) // signatures shall not be the limit
			r := newRelay(t, s.gateway, s.freeRADIUS(radiusPort).Address(), slowAnswer)
			c.of.start(s, c.sockets, server{address: r.address})
			got := s.load(user, c.logins, c.workers, 2*time.Minute)
			remark("RADIUS answers after 2 s", "%s: %d requests in flight at once, %.2f logins/s, p50 %.1f s (%d clients at once, %d of %d failed %s)",
				c.name, r.inFlight(), got.Rate, got.Login.P50/1000, c.workers, got.Failed, c.logins, got.Error)
		})
	}
}

// TestWaitingUsersAreNotInTheWay shows what 500 users who wait for a slow
// server cost those of the same gateway whom its file knows.
func TestWaitingUsersAreNotInTheWay(t *testing.T) {
	const waiting, measured, delay = 500, 400, 12 * time.Second
	var alone, beside []float64
	for range 3 {
		s := newRadiusScene(t)
		slow := newRelay(t, s.gateway, s.freeRADIUS(radiusPort).Address(), delay)
		s.both(slow.address)
		s.load(user+"@fast.example", 100, 2, time.Minute) // warm
		alone = append(alone, s.load(user+"@fast.example", measured, 2, time.Minute).Login.P99)
		done := make(chan report)
		go func() { done <- s.load(user+"@slow.example", waiting, waiting, 2*time.Minute) }()
		lab.Eventually(t, 15*time.Second, "everybody to wait", func() bool { return slow.inFlight() >= waiting })
		began := time.Now()
		beside = append(beside, s.load(user+"@fast.example", measured, 2, time.Minute).Login.P99)
		if took := time.Since(began); took > delay {
			t.Errorf("the logins took %s: the others did not wait all the time", took)
		}
		if r := <-done; r.Failed > 0 {
			t.Errorf("%d of those who waited failed: %s", r.Failed, r.Error)
		}
	}
	remark("p99 of users of the file", "alone %s ms, beside %d who wait for a slow one %s ms, ratio **%s** (goal 1.20 or less, 100 ms or less)",
		spreadOf(alone), waiting, spreadOf(beside), ratios(beside, alone))
}

// TestOneServerSilent shows how logins go on when one of two servers falls
// silent.
func TestOneServerSilent(t *testing.T) {
	for i, c := range radiusContenders {
		t.Run(c.name, func(t *testing.T) {
			s := newRadiusScene(t)
			first, second := s.freeRADIUS(radiusPort), s.freeRADIUS(radiusPort+10)
			c.start(s, workers, server{address: first.Address()}, server{address: second.Address()})
			s.load(user, 100, workers, time.Minute) // warm
			n := []int{1000, 200}[i]                // a stall of the second is longer
			before := s.load(user, n, workers, time.Minute)
			s.signal(first, "STOP")
			after := s.load(user, n, workers, time.Minute)
			later := s.load(user, n, workers, time.Minute)
			for _, m := range []struct {
				when string
				r    report
			}{{"before", before}, {"from the moment it is silent", after}, {"then", later}} {
				remark("one of two servers silent", "%s, %s: p50 %.1f ms, p99 %.1f ms, longest %.1f s; %d of %d failed %s",
					c.name, m.when, m.r.Login.P50, m.r.Login.P99, m.r.Login.Max/1000, m.r.Failed, n, m.r.Error)
			}
		})
	}
}

// signal sends a process a signal by its name.
func (s *radiusScene) signal(p *lab.FreeRADIUS, name string) {
	s.t.Helper()
	s.gateway.Run("kill", "-"+name, strconv.Itoa(p.Pid()))
}

// remark prints what is no pair of figures, as a row of the table.
func remark(what, format string, args ...any) {
	fmt.Printf("| %s | %s | | | | |\n", what, fmt.Sprintf(format, args...))
}
