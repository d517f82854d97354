package peers

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"bridgehead/integration/lab"
)

// logged is a line of the gateway's log, as far as the tests look at it.
type logged struct{ Level, Msg, Session, Protocol, Proposal, IDr, Auth string }

// said are the lines of the gateway's log with this text, about one session.
func (s *site) said(t *testing.T, session, text string) []logged {
	t.Helper()
	var list []logged
	for line := range strings.Lines(s.process.Log()) {
		if !strings.Contains(line, text) {
			continue
		}
		if l := decode[logged](t, line); l.Msg == text && l.Session == session {
			list = append(list, l)
		}
	}
	return list
}

// watchBegun counts IKE and ESP packets with which the gateway begins to talk to
// somebody, instead of answering.
func (s *seedSite) watchBegun() {
	s.gateway.Rules(`table inet watch {
  counter begun { }
  counter answered { }
  chain output {
    type filter hook output priority filter;
    udp sport { 500, 4500 } ct state new counter name begun
    meta l4proto esp ct state new counter name begun
    udp sport { 500, 4500 } ct state established counter name answered
  }
}
`)
}

// TestSeedOnTheWire has clients that differ in what they ask for.
func TestSeedOnTheWire(t *testing.T) {
	t.Parallel()
	s := newSeedSite(t)
	s.gateway.AddAddress("eth0", "192.0.2.130/24")
	s.gateway.AddAddress("eth0", "2001:db8::1:0:82/64")
	s.watchBegun()
	s.serveSeed(t, "")
	const asked = "id = " + gatewayName
	for i, test := range []struct {
		name     string
		server   string
		changes  []string
		settings string
		check    func(t *testing.T, c *client, in session, login logged)
	}{
		{"as on the page", seedGateway4, nil, "", s.checkPageLogin},
		{"that asks for no name", seedGateway4, []string{asked, "id = %any"}, "", func(t *testing.T, c *client, _ session, login logged) {
			if login.IDr != "CN="+gatewayName || !strings.Contains(c.charon.Log(), "authentication of 'CN="+gatewayName+"' with ") {
				t.Errorf("IDr %q, want the certificate's name", login.IDr)
			}
		}},
		{"that asks for no certificate", seedGateway4, []string{"version = 2", "version = 2\nsend_certreq = no"}, "", func(t *testing.T, c *client, _ session, _ logged) {
			if log := c.charon.Log(); strings.Contains(log, "sending cert request") || !strings.Contains(log, "[ IDr CERT CERT CERT AUTH ") {
				t.Error("not one leaf and two intermediates unasked")
			}
		}},
		{"that knows SHA-1 alone", seedGateway4, nil, "signature_authentication = no", func(t *testing.T, _ *client, _ session, login logged) {
			if !strings.HasPrefix(login.Auth, "1 ") {
				t.Errorf("AUTH is %q, want the RSA method with SHA-1", login.Auth)
			}
		}},
		{"of IPv4 alone", seedGateway4, []string{"vips = 0.0.0.0, ::", "vips = 0.0.0.0"}, "", func(t *testing.T, c *client, in session, _ logged) {
			sas := c.charon.Swanctl("--list-sas")
			if !slices.Equal(in.Addresses, []string{seedFirst4}) || !strings.Contains(sas, "local  "+seedFirst4+"/32\n") || !strings.Contains(sas, "remote 0.0.0.0/0\n") {
				t.Errorf("leased %v:\n%s", in.Addresses, sas)
			}
			if log := c.charon.Log(); !strings.Contains(log, "CPRP(ADDR DNS DNS)") {
				t.Error("not two name servers of its family")
			}
		}},
		{"with another group first", seedGateway4, []string{"version = 2", "version = 2\nproposals = aes256-sha256-ecp256-modp2048"}, "", func(t *testing.T, c *client, in session, _ logged) {
			if log := c.charon.Log(); in.IKE != "aes256-sha256-modp2048" || !strings.Contains(log, "it requested MODP_2048") {
				t.Errorf("%s, or no word of another group", in.IKE)
			}
		}},
		{"of a second address", "192.0.2.130", nil, "", nil},
		{"of a second IPv6 address", "2001:db8::1:0:82", nil, "", nil},
	} {
		t.Run("a client "+test.name, func(t *testing.T) {
			c := s.newClient(t, fmt.Sprint("c", i))
			c.settings = lab.FullTunnel + "\n  " + test.settings
			s.swanctl(t, c, pageConnection(test.server, test.changes...))
			c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
			in := s.oneSession(t)
			login := s.said(t, in.ID, "client identified itself")
			if len(login) != 1 {
				t.Fatalf("%d lines of the login", len(login))
			}
			if log := c.charon.Log(); strings.Contains(log, "received cert request") || strings.Contains(log, "CERTREQ ]") {
				t.Error("the gateway asks for a certificate")
			}
			if test.check != nil {
				test.check(t, c, in, login[0])
			}
			c.visits(t, "after the login", seedHost4, in.Addresses...)
			c.charon.Swanctl("--terminate", "--ike", "home")
			s.nobodyIn(t)
		})
	}
	if begun, answered := s.gateway.Octets(t, "inet", "watch", "begun"), s.gateway.Octets(t, "inet", "watch", "answered"); begun > 0 || answered == 0 {
		t.Errorf("the gateway began with %d octets and answered with %d: it must wait for clients", begun, answered)
	}
}

// checkPageLogin looks at the log, at its level by default, and at what the
// client sees.
func (s *seedSite) checkPageLogin(t *testing.T, c *client, in session, login logged) {
	t.Helper()
	for _, line := range []string{"received proposals", "configured proposals", "chosen proposal"} {
		var protocols []string
		for _, l := range s.said(t, in.ID, line) {
			protocols = append(protocols, l.Protocol)
		}
		if !slices.Equal(protocols, []string{"IKE", "ESP"}) {
			t.Errorf("%q is logged of %v, want once of IKE and ESP each", line, protocols)
		}
	}
	if login.IDr != gatewayName || !strings.HasPrefix(login.Auth, "14 ") || !strings.Contains(login.Auth, "sha256") {
		t.Errorf("login %+v, want the name that was asked for and a digital signature", login)
	}
	sas := c.charon.Swanctl("--list-sas")
	for _, want := range []string{"local  " + seedFirst4 + "/32 " + seedFirst6 + "/128\n", "remote 0.0.0.0/0 ::/0\n"} {
		if strings.Count(sas, want) != 1 {
			t.Errorf("not one Child SA with %q:\n%s", want, sas)
		}
	}
	lab.Eventually(t, lab.Patience, "the script's runs for both families", func() bool { return len(s.proxies()) == 2 })
}
