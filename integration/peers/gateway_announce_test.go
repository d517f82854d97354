package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"bridgehead/integration/lab"
)

// Pools out of the network that the host inside is on, as the documented setup
// has them.
const segmentPool4, segmentPool6 = "10.99.0.64/26", "fd00:99::c0:0/112"

// newSegment is a site whose host inside knows of no router: it finds clients
// as neighbours or not at all. The gateway's link to it is eth0.
func newSegment(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	s.inside.Run("ip", "route", "del", "default")
	s.inside.Run("ip", "-6", "route", "del", "default")
	link := strings.Fields(s.gateway.Run("ip", "-o", "-4", "addr", "show", "to", "10.99.0.254"))[1]
	s.gateway.Run("ip", "link", "set", link, "down") // Linux before 6.2 renames no other
	s.gateway.Run("ip", "link", "set", link, "name", "eth0")
	s.gateway.Run("ip", "link", "set", "eth0", "up")
	s.gateway.AddAddress("eth0", "fd00:99::fe/64") // went with the link
	return s
}

// configure adds a file to the gateway's configuration.
func (s *site) configure(t *testing.T, name, text string) {
	t.Helper()
	folder := filepath.Join(s.dir, "conf.d")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// proxies are the addresses that the gateway answers for at eth0.
func (s *site) proxies() []string {
	var list []string
	for _, family := range []string{"-4", "-6"} {
		for line := range strings.Lines(s.gateway.Run("ip", family, "neigh", "show", "proxy", "dev", "eth0")) {
			list = append(list, strings.Fields(line)[0])
		}
	}
	slices.Sort(list)
	return list
}

// sameProxies waits until the gateway answers for these addresses and no other.
func (s *site) sameProxies(t *testing.T, when string, want ...string) {
	t.Helper()
	slices.Sort(want)
	lab.Eventually(t, lab.Patience, fmt.Sprintf("%s proxies for %q", when, want), func() bool {
		return slices.Equal(s.proxies(), want)
	})
}

// reachesBothWays checks traffic of the client's making and of the host's.
func (s *site) reachesBothWays(t *testing.T, c *client, addresses []string) {
	t.Helper()
	for _, a := range addresses {
		if out, err := s.inside.Try("ping", "-c", "2", "-i", "0.2", "-W", "20", a); err != nil {
			t.Errorf("the host inside pings %s: %v\n%s", a, err, out)
		}
	}
	c.reaches(t, "as a neighbour", addresses)
}

func TestClientsAreNeighboursOfTheSegment(t *testing.T) {
	t.Parallel()
	s := newSegment(t)
	const foreign = "10.99.0.200" // somebody else's
	s.gateway.Run("ip", "neigh", "add", "proxy", foreign, "dev", "eth0")
	before := s.hostNetwork(t)
	proxyNDP := func() string { return strings.TrimSpace(s.gateway.Run("sysctl", "-n", "net.ipv6.conf.eth0.proxy_ndp")) }
	s.configure(t, "announce.toml", "[addresses]\nannounce = \"eth0\"\n")
	file := s.writeConfig(t, "", segmentPool4, segmentPool6)
	c := s.newClient(t, "client")
	s.start(t, "serve", "--config", file)
	s.swanctl(t, c, connection{server: s.outside.IPv4.String()}.String())
	login := func() []string {
		c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
		addresses := s.oneSession(t).Addresses
		s.sameProxies(t, "after the login", append(slices.Clone(addresses), foreign)...)
		return addresses
	}
	s.reachesBothWays(t, c, login())
	if on := proxyNDP(); on != "1" {
		t.Errorf("proxy_ndp is %s", on)
	}
	c.rekey(t, "child", "home")
	c.rekey(t, "ike", "home")
	s.reachesBothWays(t, c, s.oneSession(t).Addresses)
	c.charon.Swanctl("--terminate", "--ike", "home")
	s.nobodyIn(t)
	s.sameProxies(t, "after the logout", foreign)

	left := login()
	if err := s.process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.process.Code(t, lab.Patience)
	if got := len(s.proxies()); got != 3 {
		t.Errorf("the crash left %q, want those of %v", s.proxies(), left)
	}
	s.start(t, "serve", "--config", file)
	s.sameProxies(t, "after the crash", foreign)
	for _, want := range left {
		if !strings.Contains(s.process.Log(), want+" announced on eth0") {
			t.Errorf("the log says nothing of %s", want)
		}
	}
	_, _ = c.charon.TrySwanctl("--terminate", "--ike", "home", "--force", "--timeout", "1") // nobody answers for it
	s.reachesBothWays(t, c, login())
	interrupt(t, s.process)
	s.sameProxies(t, "after the end", foreign)
	if on := proxyNDP(); on != "0" {
		t.Errorf("proxy_ndp stays %s", on)
	}
	s.sameHostNetwork(t, before)
}

// The script of the documented setup does the same, as it stands.
func TestDocumentedScriptThroughTheGateway(t *testing.T) {
	t.Parallel()
	s := newSegment(t)
	script, err := filepath.Abs("../../ikev2/hostnet/testdata/proxyndp.updown")
	if err != nil {
		t.Fatal(err)
	}
	s.gateway.Run("sysctl", "-qw", "net.ipv6.conf.eth0.proxy_ndp=1") // as that setup says
	s.serve(t, fmt.Sprintf("[hooks]\nupdown = %q\n", script), segmentPool4, segmentPool6)
	c := s.newClient(t, "client")
	s.swanctl(t, c, connection{server: s.outside.IPv4.String()}.String())
	login := func() []string {
		c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
		addresses := s.oneSession(t).Addresses
		s.sameProxies(t, "after the login", addresses...)
		return addresses
	}
	s.reachesBothWays(t, c, login())
	c.charon.Swanctl("--terminate", "--ike", "home")
	s.nobodyIn(t)
	s.sameProxies(t, "after the logout")

	login()
	if err := s.process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.process.Code(t, lab.Patience)
	s.start(t, "serve", "--config", filepath.Join(s.dir, "bridgehead.toml"))
	s.sameProxies(t, "after a crash")
	_, _ = c.charon.TrySwanctl("--terminate", "--ike", "home", "--force", "--timeout", "1") // nobody answers for it
	login()
	interrupt(t, s.process)
	s.sameProxies(t, "after the end")
}

// What the gateway is not to switch on itself the operator must.
func TestCheckTellsWhatTheHostLacks(t *testing.T) {
	t.Parallel()
	s := newSegment(t)
	file := s.writeConfig(t, "[dataplane]\nforward = false\n", segmentPool4, segmentPool6)
	check := func() string {
		t.Helper()
		got := bridgehead(t, s.gateway, "", "check", "--config", file)
		if got.code != 0 {
			t.Fatalf("check: %s", got)
		}
		return got.out
	}
	s.configure(t, "announce.toml", "[addresses]\nannounce = \"eth7\"\n")
	if said := check(); !strings.Contains(said, `announce.toml:2:12: warning: addresses.announce: this host has no interface "eth7"`) || !strings.Contains(said, "expected one of: ") {
		t.Errorf("of a link that is not there:\n%s", said)
	}
	s.configure(t, "announce.toml", "[addresses]\nannounce = \"eth0\"\n")
	for _, line := range []string{"net.ipv4.ip_forward = 1", "net.ipv6.conf.all.forwarding = 1", "net.ipv6.conf.eth0.proxy_ndp = 1"} {
		said := check()
		if !strings.Contains(said, "put into /etc/sysctl.d/bridgehead.conf: "+line+"\n") {
			t.Errorf("the line %q is not in\n%s", line, said)
		}
		s.gateway.Run("sysctl", "-qw", strings.ReplaceAll(line, " ", ""))
		if again := check(); strings.Contains(again, line) {
			t.Errorf("after %q:\n%s", line, again)
		}
	}
	const link = "net.ipv4.conf.eth0.forwarding"
	s.gateway.Run("sysctl", "-qw", link+"=0")
	if said := check(); !strings.Contains(said, link+" = 1") {
		t.Errorf("the line %q is not in\n%s", link, said)
	}
	s.gateway.Run("sysctl", "-qw", link+"=1")
	if said := check(); strings.Contains(said, "sysctl") {
		t.Errorf("with nothing amiss:\n%s", said)
	}
	s.configure(t, "hooks.toml", "[hooks]\nupdown = \"users\"\n")
	got := bridgehead(t, s.gateway, "", "check", "--config", file)
	if got.code != 78 || !strings.Contains(got.err, "hooks.toml:2:10: hooks.updown: ") {
		t.Errorf("a hook that is not there: %s", got)
	}
}
