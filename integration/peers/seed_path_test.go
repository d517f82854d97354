package peers

import (
	"fmt"
	"testing"

	"bridgehead/integration/lab"
)

// loseFragments has the internet lose IP fragments, which it counts.
func (s *seedSite) loseFragments() {
	s.internet.Rules(`table inet path {
  counter fragments { }
  chain prerouting {
    type filter hook prerouting priority -450; policy accept;
    ip frag-off & 0x3fff != 0 counter name fragments drop
    exthdr frag exists counter name fragments drop
  }
}
`)
}

// TestSeedThroughNarrowPaths logs in where IP fragments are lost, through links
// as narrow as each family allows. All that strongSwan proposes by default would
// not fit there into IKE_SA_INIT, which cannot be in fragments.
func TestSeedThroughNarrowPaths(t *testing.T) {
	t.Parallel()
	s := newSeedSite(t)
	s.loseFragments()
	for i, path := range []struct {
		name, server   string
		mtu            int
		more, settings string
	}{
		{"IPv4", seedGateway4, 1280, "", ""},
		{"IPv6", seedGateway6, 1280, "", ""},
		{"IPv4 at its narrowest", seedGateway4, 576, "[ike]\nfragment_size = 576\n", "fragment_size = 576"},
	} {
		t.Run(path.name, func(t *testing.T) {
			if i == 0 {
				s.serveSeed(t, "")
			} else if path.more != "" {
				s.configure(t, "more.toml", path.more)
				s.asked(t, "reload")
			}
			c := s.newClient(t, fmt.Sprint("c", i))
			c.settings = lab.FullTunnel + "\n  " + path.settings
			s.swanctl(t, c, pageConnection(path.server, "version = 2", "version = 2\nproposals = aes256-sha384-modp2048"))
			mtu := fmt.Sprint(path.mtu)
			c.Run("ip", "link", "set", c.uplink.Link, "mtu", mtu)
			s.internet.Run("ip", "link", "set", c.uplink.RouterLink, "mtu", mtu)
			c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
			if n := s.internet.Octets(t, "inet", "path", "fragments"); n > 0 {
				t.Errorf("%d octets in IP fragments", n)
			}
			in := s.oneSession(t)
			c.visits(t, "after the login", seedHost4, in.Addresses...)
			c.visits(t, "after the login", seedHost6, in.Addresses...)
			c.rekey(t, "ike", "home")
			c.charon.Swanctl("--terminate", "--ike", "home")
			s.nobodyIn(t)
			if n := s.internet.Octets(t, "inet", "path", "fragments"); n > 0 {
				t.Errorf("%d octets in IP fragments", n)
			}
		})
	}
	// The rule does lose them.
	c := s.newClient(t, "control")
	for _, host := range []string{seedGateway4, seedGateway6} {
		before := s.internet.Octets(t, "inet", "path", "fragments")
		if out, err := c.Try("ping", "-c", "1", "-s", "3000", "-W", "1", host); err == nil || s.internet.Octets(t, "inet", "path", "fragments") == before {
			t.Errorf("fragments towards %s come through:\n%s", host, out)
		}
	}
}
