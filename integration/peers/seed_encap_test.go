package peers

import (
	"fmt"
	"net/netip"
	"testing"
)

// TestSeedEncapsulation watches what carries the traffic of clients with and
// without a NAT, over both families, for each way to set the gateway.
func TestSeedEncapsulation(t *testing.T) {
	t.Parallel()
	s := newSeedSite(t)
	s.internet.Rules(`table inet watch {
  counter bare { }
  counter natt { }
  chain forward {
    type filter hook forward priority filter;
    meta l4proto esp counter name bare
    udp dport 4500 counter name natt
    udp sport 4500 counter name natt
  }
}
`)
	s.serveSeed(t, "")
	nat := s.Namespace("nat")
	outer := s.internet.Join(nat)
	nat.Masquerade(outer.Link)
	n := 0
	behind := func(t *testing.T) *client { n++; return s.newClientBehind(t, nat, n) }
	open := func(t *testing.T) *client { n++; return s.newClient(t, fmt.Sprint("c", n)) }
	for _, set := range []struct {
		encap                   string // as written; empty: as imported
		fourUDP, natUDP, sixUDP bool
	}{
		{"", true, true, false},                // ESP in UDP is what the userspace plane is quick at
		{"[]", false, true, false},             // as the page has it
		{`["ipv4", "ipv6"]`, true, true, true}, // what it could not have
	} {
		if set.encap != "" {
			s.configure(t, "more.toml", "[ike]\nencap = "+set.encap+"\n")
			s.asked(t, "reload")
		}
		for _, test := range []struct {
			name, server string
			client       func(*testing.T) *client
			udp          bool
		}{
			{"IPv4", seedGateway4, open, set.fourUDP},
			{"IPv4 behind a NAT", seedGateway4, behind, set.natUDP},
			{"IPv6", seedGateway6, open, set.sixUDP},
		} {
			t.Run(fmt.Sprintf("encap %s, %s", set.encap, test.name), func(t *testing.T) {
				c := test.client(t)
				session := s.seedTunnel(t, c.Namespace, test.server)
				in := s.oneSession(t)
				if port := netip.MustParseAddrPort(in.Peer).Port(); test.name != "IPv4 behind a NAT" && (port == 4500) != test.udp {
					t.Errorf("IKE is on port %d", port)
				}
				bare, udp := s.internet.Octets(t, "inet", "watch", "bare"), s.internet.Octets(t, "inet", "watch", "natt")
				c.visits(t, "after the login", seedHost4, in.Addresses...)
				c.visits(t, "after the login", seedHost6, in.Addresses...)
				if err := session.RekeyChild(t.Context(), false); err != nil {
					t.Error(err)
				}
				c.visits(t, "after a rekey", seedHost4, in.Addresses...)
				bare, udp = s.internet.Octets(t, "inet", "watch", "bare")-bare, s.internet.Octets(t, "inet", "watch", "natt")-udp
				if test.udp && (bare > 0 || udp == 0) || !test.udp && (bare == 0 || udp > 0) {
					t.Errorf("%d octets of ESP by itself, %d on the port for ESP in UDP; want it in UDP: %v", bare, udp, test.udp)
				}
				if err := session.Close(t.Context()); err != nil {
					t.Error(err)
				}
				s.nobodyIn(t)
			})
		}
	}
}
