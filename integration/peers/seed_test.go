package peers

import (
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"bridgehead/integration/lab"
)

// The documented setup, taken over as it stands, with the clients that the
// page names for Linux: the host inside reaches them as neighbours through the
// page's own script, and through what is built in instead.
func TestSeed(t *testing.T) {
	t.Parallel()
	for _, announcing := range []struct{ name, more string }{
		{"the page's script", ""},
		{"built in", "[hooks]\nupdown = \"\"\n[addresses]\nannounce = \"eth0\"\n"},
	} {
		t.Run(announcing.name, func(t *testing.T) {
			s := newSeedSite(t)
			s.serveSeed(t, announcing.more)
			t.Run("swanctl", func(t *testing.T) { s.swanctlOfThePage(t) })
			t.Run("swanctl over IPv6", func(t *testing.T) {
				c := s.pageClient(t, "six", seedGateway6)
				c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
				s.neighbours(t, "after the login", c)
				c.charon.Swanctl("--terminate", "--ike", "home")
				s.nobodyIn(t)
			})
			t.Run("charon-cmd", func(t *testing.T) { s.charonCmdOfThePage(t) })
		})
	}
}

// swanctlOfThePage is a whole visit, and how it can end.
func (s *seedSite) swanctlOfThePage(t *testing.T) {
	t.Helper()
	c := s.pageClient(t, "swan", seedGateway4)
	c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
	in := s.neighbours(t, "after the login", c)
	firstLeases(t, in)
	if in.User != seedUser || in.Client != "strongswan" {
		t.Errorf("session %+v", in)
	}
	var resolvers []string // strongSwan writes each above those before
	for line := range strings.Lines(c.charon.Resolvers()) {
		resolvers = slices.Insert(resolvers, 0, strings.Fields(line)[1])
	}
	if want := []string{seedHost4, "192.0.2.201", "2001:db8:8000::53:1", "2001:db8:8000::53:2"}; !slices.Equal(resolvers, want) {
		t.Errorf("name servers %v, want %v", resolvers, want)
	}
	c.rekey(t, "child", "home")
	c.rekey(t, "ike", "home")
	s.neighbours(t, "after the rekeys", c)
	c.charon.Swanctl("--terminate", "--ike", "home")
	s.nobodyIn(t)
	s.sameProxies(t, "after the logout")
}

// charonCmdOfThePage gives charon-cmd the server, its name and the user, and the
// password when it asks.
func (s *seedSite) charonCmdOfThePage(t *testing.T) {
	t.Helper()
	c := s.newClient(t, "cmd")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	s.root.Write(ca)
	peer := c.StartCharonCmd(lab.FullTunnel, seedPassword, "charon-cmd", "--host", seedGateway4, "--remote-identity", gatewayName,
		"--identity", seedUser, "--cert", ca, "--profile", "ikev2-eap", "--remote-ts", "0.0.0.0/0", "--remote-ts", "::/0")
	lab.Eventually(t, lab.Patience, "the login of charon-cmd", func() bool {
		select {
		case <-peer.Exited():
			t.Fatalf("charon-cmd ended:\n%s", peer.Log())
		default:
		}
		return len(s.sessions(t)) == 1 && strings.Contains(peer.Log(), "CHILD_SA cmd{1} established")
	})
	firstLeases(t, s.neighbours(t, "after the login", c))
	if err := peer.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	peer.Code(t, lab.Patience)
	s.nobodyIn(t)
	s.sameProxies(t, "after the logout")
}
