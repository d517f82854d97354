package peers

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bridgehead/integration/lab"
)

// hostNetwork is all that the program may change at a machine with this many
// links, once the kernel is done with their own addresses.
func hostNetwork(t *testing.T, n *lab.Namespace, links int) map[string]string {
	t.Helper()
	var addresses, devices string
	defer func() {
		if t.Failed() {
			t.Logf("%s has\n%s%s", n.Name, devices, addresses)
		}
	}()
	lab.Eventually(t, lab.Patience, "interfaces with carrier and link-local addresses", func() bool {
		addresses, devices = n.Run("ip", "-o", "-6", "addr", "show", "scope", "link"), n.Run("ip", "-o", "link")
		// One made from an Ethernet address may have fe80 in its midst, too.
		return strings.Count(addresses, "inet6 fe80:") == links && !strings.Contains(addresses, "tentative") && !strings.Contains(devices, "NO-CARRIER")
	})
	return map[string]string{
		"links":         n.Run("ip", "-o", "link"),
		"addresses":     n.Run("ip", "-o", "addr"),
		"IPv4 routes":   n.Run("ip", "-4", "route", "show", "table", "all"),
		"IPv6 routes":   withoutExpiry(n.Run("ip", "-6", "route", "show", "table", "all")),
		"rules":         n.Run("ip", "rule") + n.Run("ip", "-6", "rule"),
		"nftables":      n.Run("nft", "list", "ruleset"),
		"IPv4 settings": n.Run("sysctl", "net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding", "net.ipv4.conf.default.forwarding", "net.ipv4.conf.all.rp_filter", "net.ipv4.conf.all.accept_redirects"),
		"IPv6 settings": n.Run("sysctl", "net.ipv6.conf.all.forwarding", "net.ipv6.conf.default.forwarding", "net.ipv6.conf.all.disable_ipv6"),
	}
}

// withoutExpiry leaves out what counts down and the order of what the kernel
// lists by hash.
func withoutExpiry(routes string) string {
	lines := strings.Split(routes, "\n")
	for i, line := range lines {
		lines[i], _, _ = strings.Cut(line, " expires ")
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func sameHostNetwork(t *testing.T, n *lab.Namespace, links int, before map[string]string) {
	t.Helper()
	if diff := cmp.Diff(before, hostNetwork(t, n, links)); diff != "" {
		t.Errorf("the machine's network is not as it was: -before +after:\n%s", diff)
	}
}

// hostNetwork is that of the gateway's machine.
func (s *site) hostNetwork(t *testing.T) map[string]string {
	t.Helper()
	return hostNetwork(t, s.gateway, 2)
}

func (s *site) sameHostNetwork(t *testing.T, before map[string]string) {
	t.Helper()
	sameHostNetwork(t, s.gateway, 2, before)
}

// TestTheEndOfAGateway stops gateways with a client logged in: the client is
// told, and the machine is as it was before.
func TestTheEndOfAGateway(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.gateway.Rules("table inet site {\nchain input {\ntype filter hook input priority filter; tcp dport 25 drop;\n}\n}\n")
	before := s.hostNetwork(t)
	c := s.newClient(t, "client")
	file := s.writeConfig(t, "[nat]\nmasquerade = true\n")
	s.swanctl(t, c, connection{server: s.outside.IPv4.String()}.String())
	login := func(t *testing.T) {
		t.Helper()
		c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
		c.reaches(t, "logged in", []string{"10.99.0.254", "fd00:99::fe"})
	}
	for name, signal := range map[string]os.Signal{"Ctrl-C": os.Interrupt, "SIGTERM": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			s.start(t, "serve", "--config", file)
			login(t)
			if err := s.process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if code := s.process.Code(t, lab.Patience); code != 0 {
				t.Errorf("exit code %d:\n%s", code, s.process.Log())
			}
			if sas := c.charon.Swanctl("--list-sas"); sas != "" {
				t.Errorf("the client was not told:\n%s", sas)
			}
			s.sameHostNetwork(t, before)
			s.noSocket(t)
		})
	}
	t.Run("Ctrl-C of quickstart", func(t *testing.T) {
		server, name, password, ca := s.quickstart(t)
		p := connected(t, c.Namespace, t.TempDir(), password, server, "--ca", ca, "--user", name, "--subnet", "10.99.0.0/24", "--subnet", "fd00:99::/64")
		c.reaches(t, "logged in", []string{"10.99.0.254", "fd00:99::fe"})
		interrupt(t, s.process)
		p.Code(t, lab.Patience)
		s.sameHostNetwork(t, before)
		s.noSocket(t)
	})
	t.Run("a crash", func(t *testing.T) {
		s.start(t, "serve", "--config", file)
		login(t)
		leased := s.oneSession(t).Addresses
		if err := s.process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		s.process.Code(t, lab.Patience)
		s.start(t, "serve", "--config", file)
		_, _ = c.charon.TrySwanctl("--terminate", "--ike", "home", "--force", "--timeout", "1") // nobody answers for it
		login(t)
		if again := s.oneSession(t).Addresses; !slices.Equal(again, leased) {
			t.Errorf("leased %v, before the crash %v", again, leased)
		}
		interrupt(t, s.process)
		s.sameHostNetwork(t, before)
	})
}
