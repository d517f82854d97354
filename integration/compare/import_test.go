//go:build bench

package compare

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"bridgehead/integration/lab"
)

// seedFolder has the files of the documented setup as they were published.
const seedFolder = "../../cmd/bridgehead/internal/strongswan/testdata/seed"

// documented is what clients of the documented setup get by default here, both
// ways having it.
var documented = suites{"aes256-sha256-modp2048", "aes256-sha256-modp2048", "aes256-sha256"}

// documentedUser and its password are of the documented ipsec.secrets.
const documentedUser, documentedPassword = "user1", "password1"

// handWritten is the documented setup as somebody would write it who begins with
// bridgehead. How clients are announced is left open.
const handWritten = `[server]
name        = "vpn.example.org"
certificate = "/etc/ssl/private/vpn-server.crt"
key         = "/etc/ssl/private/vpn-server.key"
chain       = "/etc/ipsec.d/cacerts"

[addresses]
pools = ["192.0.2.0/25", "2001:db8::/96"]
dns   = ["192.0.2.200", "192.0.2.201", "2001:db8:8000::53:1", "2001:db8:8000::53:2"]

[ike]
proposals = "aes256-sha256-modp2048"

[esp]
proposals = "aes256-sha256"

[auth.file]
path = "/etc/bridgehead/users"

`

// The two ways in which the host inside finds clients: the documented script,
// and what is built in.
const (
	byScript = "[hooks]\nupdown = \"/etc/strongswan.d/proxyndp.updown\"\n"
	builtIn  = "[addresses]\nannounce = \"eth0\"\n\n[hooks]\nupdown = \"\"\n"
)

// TestImportedLoginCPU compares the gateway's processor time for a login and
// logout through the documented setup, imported, with that through a
// configuration written by hand. The programs that it starts count, too.
func TestImportedLoginCPU(t *testing.T) {
	for _, way := range []struct{ name, settings string }{{"script", byScript}, {"gateway", builtIn}} {
		figures := map[string][]float64{}
		for i := range repeats {
			work := map[string]map[string]float64{}
			for _, origin := range []string{"imported", "hand-written"} {
				t.Run(fmt.Sprintf("%s-%s-%d", origin, way.name, i), func(t *testing.T) {
					s := newDocumentedScene(t)
					control := s.serve(origin == "imported", way.settings)
					s.loginsAs(documentedUser, documentedPassword, documented, 20, workers) // warm
					began := s.events(control)
					before := settledTime(t, s.daemon.Pid())
					s.loginsAs(documentedUser, documentedPassword, documented, documentedRun, workers)
					used := settledTime(t, s.daemon.Pid()) - before
					figures[origin] = append(figures[origin], float64(used.Microseconds())/1000/documentedRun)
					work[origin] = difference(s.events(control), began)
				})
			}
			if !maps.Equal(work["imported"], work["hand-written"]) {
				t.Errorf("the same logins are other work: imported %v, hand-written %v", work["imported"], work["hand-written"])
			}
		}
		row("gateway CPU per login and logout, the documented setup imported and (right) hand-written, clients announced by the "+way.name, "ms",
			figures["imported"], figures["hand-written"], "1.10 or less")
	}
}

const documentedRun = 200

// documentedScene is a gateway with the documented files in the places that
// they name, on a machine whose clients' network is that of eth0.
type documentedScene struct {
	*scene
	machine string // what stands at / for the gateway
	daemon  *lab.Process
}

func newDocumentedScene(t *testing.T) *documentedScene {
	t.Helper()
	s := &documentedScene{scene: newScene(t)}
	inside := s.Namespace("inside")
	link, _ := s.Link(s.gateway, nil, inside, []string{"192.0.2.200/24"})
	s.gateway.Run("ip", "link", "set", link, "down", "name", "eth0")
	s.gateway.AddAddress("eth0", "192.0.2.129/24")
	s.gateway.AddAddress("eth0", "2001:db8::1:0:81/64")
	s.gateway.Run("ip", "link", "set", "eth0", "up")
	s.machine = s.Dir("machine")
	for _, folder := range []string{"run", "var/lib", "etc/ipsec.d/secrets", "etc/ipsec.d/cacerts", "etc/ssl/private", "etc/strongswan.d", "etc/bridgehead"} {
		s.Dir(filepath.Join("machine", folder))
	}
	s.server.Write(s.path("etc/ssl/private/vpn-server.crt"))
	s.server.WriteKey(s.path("etc/ssl/private/vpn-server.key"))
	s.issuing.Write(s.path("etc/ipsec.d/cacerts/issuing.pem"))
	return s
}

// path is a path of the gateway's machine as others see it.
func (s *documentedScene) path(name string) string { return filepath.Join(s.machine, name) }

// install copies a documented file to its place.
func (s *documentedScene) install(name, to string, mode os.FileMode) {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(seedFolder, name))
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(to, string(text), mode)
}

func (s *documentedScene) write(name, text string, mode os.FileMode) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
}

// command is the program at the gateway's machine, all paths being the usual
// ones.
func (s *documentedScene) command(args ...string) (name string, all []string) {
	const script = `mount --make-rprivate / && for d in etc run var/lib; do mount --bind "$1/$d" "/$d" || exit; done && shift && exec "$@"`
	return "unshare", append([]string{"-m", "sh", "-c", script, "-", s.machine, bridgeheadBinary(s.t)}, args...)
}

func (s *documentedScene) succeeds(stdin string, args ...string) {
	s.t.Helper()
	name, all := s.command(args...)
	cmd := s.gateway.Command(name, all...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("bridgehead %v: %v\n%s", args, err, out)
	}
}

// serve starts the gateway, by the documented setup taken over or by a
// configuration written by hand, and gives its control socket.
func (s *documentedScene) serve(imported bool, way string) (control string) {
	s.t.Helper()
	s.install("proxyndp.updown", "etc/strongswan.d/proxyndp.updown", 0o755)
	if imported {
		s.install("ipsec.conf", "etc/ipsec.conf", 0o644)
		s.install("ipsec.secrets", "etc/ipsec.secrets", 0o600)
		s.write("etc/ipsec.d/secrets/myvpn", "user3 : EAP \"password3\"\n", 0o600)
		s.succeeds("", "import")
	} else {
		s.write("etc/bridgehead/bridgehead.toml", handWritten, 0o600)
		s.succeeds(documentedPassword+"\n", "users", "add", documentedUser)
	}
	s.Dir("machine/etc/bridgehead/conf.d")
	s.write("etc/bridgehead/conf.d/way.toml", way+"\n[log]\nlevel = \"warn\"\n", 0o600)
	name, all := s.command("serve")
	s.daemon = s.gateway.Start(15*time.Second, name, all...)
	control = s.path("run/bridgehead/control.sock")
	lab.Eventually(s.t, 10*time.Second, "bridgehead to serve", func() bool {
		select {
		case <-s.daemon.Exited():
			s.t.Fatalf("bridgehead ended:\n%s", s.daemon.Log())
		default:
		}
		_, err := os.Stat(control)
		return err == nil
	})
	return control
}

// events reads how often each thing has happened in the IKE engine.
func (s *documentedScene) events(control string) map[string]float64 {
	s.t.Helper()
	out, err := s.gateway.Try(bridgeheadBinary(s.t), "metrics", "--control", control)
	if err != nil {
		s.t.Fatalf("metrics: %v\n%s", err, out)
	}
	counted := map[string]float64{}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.HasPrefix(name, "bridgehead_ike_events_total") {
			continue
		}
		if counted[name], err = strconv.ParseFloat(value, 64); err != nil {
			s.t.Fatal(err)
		}
	}
	if len(counted) == 0 {
		s.t.Fatalf("no events are counted:\n%s", out)
	}
	return counted
}

func difference(after, before map[string]float64) map[string]float64 {
	d := maps.Clone(after)
	for name := range d {
		d[name] -= before[name]
	}
	return d
}
