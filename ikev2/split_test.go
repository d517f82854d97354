package ikev2

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bridgehead/ikev2/initiator"
)

func prefixes(list ...string) []netip.Prefix {
	var ps []netip.Prefix
	for _, s := range list {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

// TestDHCPINFORMFitsTheSelectors: Windows with split routes may reach where it
// sends DHCPINFORM to and what answers, after each rekey too; nobody else may.
func TestDHCPINFORMFitsTheSelectors(t *testing.T) {
	split := prefixes("10.1.0.0/16", "2001:db8:1::/48")
	inside, outside := netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("192.0.0.8")
	for _, c := range []struct {
		name    string
		profile *initiator.Profile
		subnets []netip.Prefix
		server  netip.Addr
		off     []Quirk
		want    string
		informs bool
	}{
		{"Windows, the server within its routes", initiator.Windows10DH2048(), split, inside, nil,
			"10.1.0.0-10.1.255.255 255.255.255.255 2001:db8:1::-2001:db8:1:ffff:ffff:ffff:ffff:ffff", true},
		{"Windows, the server outside", initiator.Windows10DH2048(), split, outside, nil,
			"10.1.0.0-10.1.255.255 255.255.255.255 192.0.0.8 2001:db8:1::-2001:db8:1:ffff:ffff:ffff:ffff:ffff", true},
		{"Windows, everything", initiator.Windows10DH2048(), nil, inside, nil,
			"0.0.0.0-255.255.255.255 ::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
		{"Windows, IPv6 alone", initiator.Windows10DH2048(), split[1:], inside, nil, "2001:db8:1::-2001:db8:1:ffff:ffff:ffff:ffff:ffff", true},
		{"Windows, nothing answers", initiator.Windows10DH2048(), split[:1], netip.Addr{}, nil, "10.1.0.0-10.1.255.255", false},
		{"Windows without the allowance", initiator.Windows10DH2048(), split[:1], inside, []Quirk{QuirkW8}, "10.1.0.0-10.1.255.255", false},
		{"Apple", initiator.Apple(), split[:1], inside, nil, "10.1.0.0-10.1.255.255", false},
		{"strongSwan", initiator.DefaultProfile(), split[:1], inside, nil, "10.1.0.0-10.1.255.255", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, func(cfg *Config) { cfg.LocalSubnets, cfg.DHCPServer, cfg.WithoutQuirks = c.subnets, c.server, c.off })
			d := w.newDevice(func(cfg *initiator.Config) { cfg.Profile = c.profile }).mustLogin()
			check := func(when string) {
				t.Helper()
				theirs, _ := d.sa.Child()
				if got := describeSelectors(w.plane.only(t).Local); got != c.want || describeSelectors(theirs.Remote) != c.want {
					t.Errorf("%s: installed %s, told %s, want %s", when, got, describeSelectors(theirs.Remote), c.want)
				}
			}
			check("login")
			if i := w.events[len(w.events)-1].Session; i.Informs != c.informs || len(c.subnets) > 0 && !slices.Equal(i.Routes, c.subnets) {
				t.Errorf("session: %v, %v", i.Informs, i.Routes)
			}
			if err := d.command(initiator.RekeyChild{}); err != nil {
				t.Fatal(err)
			}
			check("rekey")
		})
	}
}

// TestSplitDNS: Apple asks for INTERNAL_DNS_DOMAIN (quirk A5) and gets it where
// traffic is split, with TSr as narrowed; and wherever it has an IPv6 lease TSr
// holds ::/0, without which it sets no IPv6 route.
func TestSplitDNS(t *testing.T) {
	split := prefixes("192.0.2.0/24", "2001:db8::/32")
	for _, c := range []struct {
		name    string
		profile *initiator.Profile
		subnets []netip.Prefix
		off     []Quirk
		want    []string
		reaches string
	}{
		{"Apple, split", initiator.Apple(), split, nil, []string{"corp.example.org", "lab.example"}, "192.0.2.0/24"},
		{"Apple, IPv4 split", initiator.Apple(), prefixes("192.0.2.0/24", "::/0"), nil, []string{"corp.example.org", "lab.example"}, "192.0.2.0/24 ::/0"},
		{"Apple, everything", initiator.Apple(), nil, nil, nil, "0.0.0.0/0 ::/0"},
		{"Apple without the allowance", initiator.Apple(), split, []Quirk{QuirkA5}, nil, "192.0.2.0/24 2001:db8::/32"},
		{"Windows does not ask", initiator.Windows10DH2048(), split, nil, nil, "192.0.2.0/24 2001:db8::/32"},
		{"Android does not ask", initiator.Android(), split, nil, nil, "192.0.2.0/24 2001:db8::/32"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, func(cfg *Config) {
				cfg.LocalSubnets, cfg.Domains, cfg.WithoutQuirks = c.subnets, []string{"corp.example.org", "lab.example"}, c.off
			})
			d := w.newDevice(func(cfg *initiator.Config) { cfg.Profile = c.profile }).mustLogin()
			if diff := cmp.Diff(c.want, d.sa.Result().Config.Domains); diff != "" {
				t.Errorf("domains: %s", diff)
			}
			var reached []string
			for _, p := range initiator.Prefixes(w.plane.only(t).Local) {
				reached = append(reached, p.String())
			}
			if got := strings.Join(reached, " "); got != c.reaches {
				t.Errorf("TSr %s, want %s", got, c.reaches)
			}
		})
	}
}

// TestServerOfDHCPIsIPv4 refuses what no DHCP client could be answered from.
func TestServerOfDHCPIsIPv4(t *testing.T) {
	w := newWorld(t, 1, nil)
	cfg := w.config()
	cfg.DHCPServer = netip.MustParseAddr("2001:db8::1")
	if _, err := newSettings(cfg); err == nil || !strings.Contains(err.Error(), "IPv4") {
		t.Errorf("error %v", err)
	}
}
