package peers

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"bridgehead/integration/lab"
)

// TestSwanctlWorksThroughTheGateway is the main job: a road warrior with
// Debian's strongSwan logs in, works, gets new keys, and leaves.
func TestSwanctlWorksThroughTheGateway(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve(t, "")
	c := s.newClient(t, "client")
	v4, v6 := s.outside.IPv4.String(), s.outside.IPv6.String()
	suites := []struct {
		name, server, ike, esp string
		chosen, child          string // in the gateway's words
		rekeyed                string // in swanctl's words, after a rekey of the Child SA
	}{
		{"cbc", v4, "aes256-sha256-modp2048", "aes256-sha256", "aes256-sha256-modp2048", "aes256-sha256", "ESP:AES_CBC-256/HMAC_SHA2_256_128"},
		{"gcm", v4, "aes128gcm16-prfsha256-curve25519", "aes128gcm16", "aes128gcm16-prfsha256-x25519", "aes128gcm16", "ESP:AES_GCM_16-128"},
		{"chacha", v4, "chacha20poly1305-prfsha256-curve25519", "chacha20poly1305", "chacha20poly1305-prfsha256-x25519", "chacha20poly1305", "ESP:CHACHA20_POLY1305"},
		{"pfs", v4, "aes256-sha256-modp2048", "aes256gcm16-modp2048", "aes256-sha256-modp2048", "aes256gcm16", "ESP:AES_GCM_16-256/MODP_2048"},
		{"ipv6", v6, "aes256gcm16-prfsha384-ecp384", "aes256gcm16", "aes256gcm16-prfsha384-ecp384", "aes256gcm16", "ESP:AES_GCM_16-256"},
	}
	var connections []string
	for _, suite := range suites {
		connections = append(connections, connection{name: suite.name, server: suite.server, ike: suite.ike, esp: suite.esp}.String())
	}
	s.swanctl(t, c, connections...)
	for _, suite := range suites {
		t.Run(suite.name, func(t *testing.T) {
			c.charon.Swanctl("--initiate", "--child", suite.name, "--timeout", "60")
			in := s.oneSession(t)
			if in.User != user || in.IKE != suite.chosen || in.ESP != suite.child || in.Client != "strongswan" {
				t.Errorf("session %+v, want %s and %s", in, suite.chosen, suite.child)
			}
			s.checkAddresses(t, c, in)
			c.reaches(t, "after the login", in.Addresses)
			c.rekey(t, "child", suite.name)
			if sas := c.charon.Swanctl("--list-sas"); !strings.Contains(sas, suite.rekeyed+"\n") {
				t.Errorf("after the rekey no %s:\n%s", suite.rekeyed, sas)
			}
			c.reaches(t, "after the Child SA's rekey", in.Addresses)
			c.rekey(t, "ike", suite.name)
			c.reaches(t, "after the IKE SA's rekey", in.Addresses)
			c.rekey(t, "child", suite.name)
			c.reaches(t, "after a rekey below the new IKE SA", in.Addresses)
			if again := s.oneSession(t); again.ID != in.ID || again.BytesIn == 0 || again.BytesOut == 0 {
				t.Errorf("after three rekeys session %+v was %+v", again, in)
			}
			c.charon.Swanctl("--terminate", "--ike", suite.name)
			s.nobodyIn(t)
			c.isCutOff(t, "after the logout")
			if left := c.charon.Resolvers(); strings.Contains(left, "nameserver") {
				t.Errorf("name servers are left at the client:\n%s", left)
			}
		})
	}
	s.checkJournal(t, len(suites))
	if left := s.why(t); len(left) > 0 {
		t.Errorf("refusals without any reason: %+v", left)
	}
}

// oneSession is the only session there is.
func (s *site) oneSession(t *testing.T) session {
	t.Helper()
	list := s.sessions(t)
	if len(list) != 1 {
		t.Fatalf("%d sessions, want 1: %+v", len(list), list)
	}
	return list[0]
}

// checkAddresses holds what the client has against what the gateway says.
func (s *site) checkAddresses(t *testing.T, c *client, in session) {
	t.Helper()
	if len(in.Addresses) != 2 {
		t.Fatalf("addresses %v, want one of each family", in.Addresses)
	}
	sas := c.charon.Swanctl("--list-sas")
	for i, pool := range []string{pool4, pool6} {
		addr := in.Addresses[i]
		if !netip.MustParsePrefix(pool).Contains(netip.MustParseAddr(addr)) {
			t.Errorf("address %s is not from %s", addr, pool)
		}
		if !strings.Contains(sas, addr) {
			t.Errorf("swanctl --list-sas lacks %s:\n%s", addr, sas)
		}
	}
	for _, resolver := range []string{resolver4, resolver6} {
		if text := c.charon.Resolvers(); !strings.Contains(text, "nameserver "+resolver+" ") {
			t.Errorf("resolv.conf lacks %s:\n%s", resolver, text)
		}
	}
}

var installed = regexp.MustCompile(`#(\d+), reqid \d+, INSTALLED`)

// rekey has strongSwan replace the SA of a kind and waits until only the new
// one is there.
func (c *client) rekey(t *testing.T, kind, name string) {
	t.Helper()
	established := regexp.MustCompile(name + `: (#\d+), ESTABLISHED`)
	which := map[string]*regexp.Regexp{"child": installed, "ike": established}[kind]
	before := which.FindString(c.charon.Swanctl("--list-sas"))
	c.charon.Swanctl("--rekey", "--"+kind, name)
	lab.Eventually(t, lab.Patience, fmt.Sprintf("a new %s SA instead of %q", kind, before), func() bool {
		sas := c.charon.Swanctl("--list-sas")
		now := which.FindAllString(sas, -1)
		return len(now) == 1 && now[0] != before // it keeps the old Child SA a few seconds as "DELETED"
	})
}

// checkJournal counts what events -- the verb -- tells of n whole visits.
func (s *site) checkJournal(t *testing.T, n int) {
	t.Helper()
	seen := make(map[string]int)
	for _, e := range s.events(t) {
		seen[e.Kind]++
		if e.Kind == "down" && e.Cause != "client-disconnected" {
			t.Errorf("a session ended with %q: %s", e.Cause, e.Text)
		}
	}
	if seen["up"] != n || seen["down"] != n || seen["rekeyed"] != 3*n || seen["refused"]+seen["silent"] > 0 {
		t.Errorf("events %v after %d visits with three rekeys each", seen, n)
	}
}
