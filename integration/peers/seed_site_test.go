package peers

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bridgehead/integration/lab"
)

// The documented setup: a machine with one interface, eth0, in a network whose
// lower half is its clients'. The host inside is a neighbour with a name
// server's address, and the router on the segment knows nothing of clients.
const (
	seedGateway4, seedGateway6 = "192.0.2.129", "2001:db8::1:0:81"
	seedRouter4, seedRouter6   = "192.0.2.254", "2001:db8::1:0:fe"
	seedHost4, seedHost6       = "192.0.2.200", "2001:db8::1:0:c8"
	seedFirst4, seedFirst6     = "192.0.2.1", "2001:db8::1" // the first leases, as the page says
	seedUser, seedPassword     = "user1", "password1"       // of its ipsec.secrets
)

// seedFolder has the files of the documented setup as they were published.
const seedFolder = "../../cmd/bridgehead/internal/strongswan/testdata/seed"

// seedSite is a site of the documented setup. Its gateway has folders of its
// own at /etc, /run and /var/lib, so that every path is the documented one.
type seedSite struct {
	*site
	machine string // what stands at / for the gateway
}

// newSeedSite makes the machines, with the documented files in their places.
func newSeedSite(t *testing.T) *seedSite {
	t.Helper()
	s := &seedSite{site: &site{Lab: lab.New(t)}}
	s.internet, s.gateway, s.inside = s.Internet(), s.Namespace("gate"), s.Namespace("inside")
	s.segment(t)
	s.outside = lab.Uplink{IPv4: netip.MustParseAddr(seedGateway4), IPv6: netip.MustParseAddr(seedGateway6), Link: "eth0"}
	s.web(t, seedHost4, seedHost6)
	s.machine = s.Dir("machine")
	s.control = filepath.Join(s.machine, "run/bridgehead/control.sock")
	s.dir = filepath.Join(s.machine, "etc/bridgehead")
	s.installSeed(t)
	return s
}

// segment joins gateway, host and router by an Ethernet bridge.
func (s *seedSite) segment(t *testing.T) {
	t.Helper()
	bridge := s.Namespace("lan")
	bridge.Run("ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
	bridge.Run("ip", "link", "set", "br0", "up")
	for _, m := range []struct {
		n      *lab.Namespace
		v4, v6 string
	}{{s.gateway, seedGateway4, seedGateway6}, {s.inside, seedHost4, seedHost6}, {s.internet.Namespace, seedRouter4, seedRouter6}} {
		port, link := s.Link(bridge, nil, m.n, nil)
		bridge.Run("ip", "link", "set", port, "master", "br0")
		m.n.Run("ip", "link", "set", link, "down", "name", "eth0")
		m.n.AddAddress("eth0", m.v4+"/24")
		m.n.AddAddress("eth0", m.v6+"/64")
		m.n.Run("ip", "link", "set", "eth0", "up")
		if m.n != s.internet.Namespace {
			m.n.Run("ip", "route", "add", "default", "via", seedRouter4)
			m.n.Run("ip", "-6", "route", "add", "default", "via", seedRouter6)
		}
	}
}

// installSeed puts the documented files where they belong, and certificates of
// our own where those say that certificates are.
func (s *seedSite) installSeed(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"run", "var/lib", "etc"} {
		s.Dir(filepath.Join("machine", dir))
	}
	for name, to := range map[string]os.FileMode{"ipsec.conf": 0o644, "ipsec.secrets": 0o600, "proxyndp.updown": 0o755} {
		text, err := os.ReadFile(filepath.Join(seedFolder, name))
		if err != nil {
			t.Fatal(err)
		}
		where := "etc/" + name
		if to == 0o755 {
			where = "etc/strongswan.d/" + name
		}
		s.install(t, where, string(text), to)
	}
	s.install(t, "etc/ipsec.d/secrets/myvpn", "user3 : EAP \"password3\"\n", 0o600)
	s.root = lab.NewCA(t, "Test Root", lab.RSA2048)
	upper := s.root.NewIntermediate("Test Policy", lab.RSA2048)
	issuing := upper.NewIntermediate("Test Issuing", lab.RSA2048)
	server := issuing.NewServer(lab.RSA2048, 300*24*time.Hour, gatewayName)
	upper.Write(s.path("etc/ipsec.d/cacerts/policy.pem"))
	issuing.Write(s.path("etc/ipsec.d/cacerts/issuing.pem"))
	server.Write(s.path("etc/ssl/private/vpn-server.crt"))
	server.WriteKey(s.path("etc/ssl/private/vpn-server.key"))
}

// path is a path of the gateway's machine as others see it.
func (s *seedSite) path(name string) string { return filepath.Join(s.machine, name) }

func (s *seedSite) install(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	path := s.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// command is a command at the gateway's machine.
func (s *seedSite) command(args ...string) *exec.Cmd {
	const script = `mount --make-rprivate / && for d in etc run var/lib; do mount --bind "$1/$d" "/$d" || exit; done && shift && exec "$@"`
	return s.gateway.Command("unshare", append([]string{"-m", "sh", "-c", script, "-", s.machine}, args...)...)
}

// succeeds runs a verb of the program at the gateway's machine and gives what
// it said.
func (s *seedSite) succeeds(t *testing.T, args ...string) outcome {
	t.Helper()
	got := finish(t, s.command(append([]string{program(t)}, args...)...), "")
	if got.code != 0 {
		t.Fatalf("bridgehead %v: %s", args, got)
	}
	return got
}

// serveSeed takes the documented setup over and starts the gateway, all paths
// being the usual ones. A further file goes to conf.d.
func (s *seedSite) serveSeed(t *testing.T, more string) {
	t.Helper()
	s.succeeds(t, "import")
	if more != "" {
		s.configure(t, "more.toml", more)
	}
	s.await(t, s.gateway.StartCommand(15*time.Second, s.command(program(t), "serve")))
}

// pageClient is a strongSwan client with the settings of the page: the server,
// the user and the password, and all the rest as it is by default.
func (s *seedSite) pageClient(t *testing.T, name, server string) *client {
	t.Helper()
	c := s.newClient(t, name)
	c.settings = lab.FullTunnel
	s.swanctl(t, c, pageConnection(server))
	return c
}

// pageConnection is that client's swanctl.conf, with old texts replaced by new
// ones, in pairs.
func pageConnection(server string, changes ...string) string {
	text := fmt.Sprintf(`connections { home {
  version = 2
  remote_addrs = %s
  vips = 0.0.0.0, ::
  local { auth = eap-mschapv2
          id = %[2]s
          eap_id = %[2]s }
  remote { auth = pubkey
           id = %[4]s }
  children { home { remote_ts = 0.0.0.0/0, ::/0 } }
} }
secrets { eap-home { id = %[2]s
  secret = %[3]s } }
`, server, seedUser, seedPassword, gatewayName)
	return strings.NewReplacer(changes...).Replace(text)
}

// neighbours checks that the gateway answers for the only session's addresses
// on the segment, and traffic of both families in both directions: with the
// host inside, and with one on the internet beyond the router.
func (s *seedSite) neighbours(t *testing.T, when string, c *client) session {
	t.Helper()
	in := s.oneSession(t)
	s.sameProxies(t, when, in.Addresses...)
	for _, a := range in.Addresses {
		if out, err := s.inside.Try("ping", "-c", "2", "-i", "0.2", "-W", "20", a); err != nil {
			t.Errorf("%s: the host inside pings %s: %v\n%s", when, a, err, out)
		}
	}
	c.visits(t, when, seedHost4, in.Addresses...)
	c.visits(t, when, seedHost6, in.Addresses...)
	return in
}

// firstLeases checks that a session has the first addresses of the pools.
func firstLeases(t *testing.T, in session) {
	t.Helper()
	if got := strings.Join(in.Addresses, " "); got != seedFirst4+" "+seedFirst6 {
		t.Errorf("leased %s, want %s and %s", got, seedFirst4, seedFirst6)
	}
}
