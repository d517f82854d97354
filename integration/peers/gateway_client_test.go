package peers

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"bridgehead/integration/lab"
)

// client is a road warrior's machine.
type client struct {
	*lab.Namespace
	uplink   lab.Uplink
	charon   *lab.Charon
	settings string // of charon, further lines
	tries    int    // retransmissions after which charon gives up; 0 means 3

	kernelESP bool // of charon
}

// newClient makes a machine in the internet.
func (s *site) newClient(t *testing.T, name string) *client {
	t.Helper()
	c := &client{Namespace: s.Namespace(name)}
	c.uplink = s.internet.Join(c.Namespace)
	return c
}

// swanctl runs strongSwan at the client, which trusts the site's authority.
func (s *site) swanctl(t *testing.T, c *client, connections ...string) *lab.Charon {
	t.Helper()
	c.charon = c.StartCharon(lab.CharonConfig{
		Connections: strings.Join(connections, "\n"),
		Settings:    fmt.Sprintf("%s\n  retransmit_timeout = 1.0\n  retransmit_base = 1.4\n  retransmit_tries = %d", c.settings, cmp.Or(c.tries, 3)),
		Authorities: map[string]*lab.Certificate{"root.pem": s.root},
		KernelESP:   c.kernelESP,
	})
	return c.charon
}

// connection is one entry of a client's swanctl.conf. Empty fields mean what a
// user would have.
type connection struct {
	name, server   string
	user, password string
	id             string // IDi; the user
	ike, esp       string
	vips           string // "none": no addresses are asked for
	more           string // further lines of the connection
	secrets        string // further secrets
}

// String is the entry.
func (c connection) String() string {
	set := func(field *string, standard string) {
		if *field == "" {
			*field = standard
		}
	}
	set(&c.name, "home")
	set(&c.user, user)
	set(&c.password, password)
	set(&c.id, c.user)
	set(&c.ike, "aes256-sha256-modp2048")
	set(&c.esp, "aes256gcm16")
	set(&c.vips, "0.0.0.0, ::")
	if c.vips != "none" {
		c.more += "\n  vips = " + c.vips
	}
	return fmt.Sprintf(`connections { %[1]s {
  version = 2
  remote_addrs = %[2]s
  proposals = %[3]s
  local { auth = eap-mschapv2
          id = %[9]s
          eap_id = %[4]s }
  remote { auth = pubkey
           id = vpn.example.org }
  children { %[1]s { remote_ts = 10.99.0.0/24, fd00:99::/64
                     esp_proposals = %[5]s } }
  %[6]s
} }
secrets { eap-%[1]s { id = %[4]s
  secret = "%[7]s" }
  %[8]s }
`, c.name, c.server, c.ike, c.user, c.esp, c.more, c.password, c.secrets, c.id)
}

// reaches checks that the client gets through to the host inside over both
// families, and that the host sees it under its own inner addresses.
func (c *client) reaches(t *testing.T, when string, addresses []string) {
	t.Helper()
	c.visits(t, when, behind4, addresses...)
	c.visits(t, when, behind6, addresses...)
}

// visits pings a host and asks its web server for the visitor's address, which
// must be one of those given; it gives which.
func (c *client) visits(t *testing.T, when, host string, addresses ...string) string {
	t.Helper()
	if out, err := c.Try("ping", "-c", "2", "-i", "0.1", "-W", "20", host); err != nil {
		t.Errorf("%s: ping %s: %v\n%s", when, host, err, out)
	}
	got, err := c.Try("curl", "-s", "-S", "-g", "-m", "20", "http://"+net.JoinHostPort(host, "80")+"/")
	if err != nil || !slices.Contains(addresses, got) {
		t.Errorf("%s: curl %s: seen as %q, want one of %v, error %v", when, host, got, addresses, err)
	}
	return got
}

// isCutOff checks that the host inside is out of reach.
func (c *client) isCutOff(t *testing.T, when string) {
	t.Helper()
	for _, host := range []string{behind4, behind6} {
		if out, err := c.Try("ping", "-c", "1", "-W", "1", host); err == nil {
			t.Errorf("%s: ping %s got through:\n%s", when, host, out)
		}
	}
}
