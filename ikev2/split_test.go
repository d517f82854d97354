package ikev2

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bridgehead/auth"
	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/lease"
	"bridgehead/ikev2/message"
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
	everywhere := describeSelectors([]message.Selector{message.SelectorOf(netip.MustParsePrefix("0.0.0.0/0")), message.SelectorOf(netip.MustParsePrefix("::/0"))})
	for _, c := range []struct {
		name    string
		profile *initiator.Profile
		subnets []netip.Prefix
		user    []netip.Prefix // that this one alone may reach
		server  netip.Addr
		off     []Quirk
		want    string
		from    netip.Addr
	}{
		{"Windows, the server within its routes", initiator.Windows10DH2048(), split, nil, inside, nil,
			"10.1.0.0-10.1.255.255 255.255.255.255 2001:db8:1::-2001:db8:1:ffff:ffff:ffff:ffff:ffff", inside},
		{"Windows, the server outside", initiator.Windows10DH2048(), split, nil, netip.MustParseAddr("172.16.0.1"), nil,
			"10.1.0.0-10.1.255.255 255.255.255.255 192.0.0.8 2001:db8:1::-2001:db8:1:ffff:ffff:ffff:ffff:ffff", outside},
		{"Windows, a user with routes without the server", initiator.Windows10DH2048(), split, prefixes("10.1.2.0/24"), inside, nil,
			"10.1.2.0-10.1.2.255 255.255.255.255 192.0.0.8", outside},
		{"Windows, a user with routes beyond", initiator.Windows10DH2048(), split[1:], prefixes("10.0.0.0/8"), inside, nil,
			"10.0.0.0-10.255.255.255 255.255.255.255", inside},
		{"Windows, everything", initiator.Windows10DH2048(), nil, nil, inside, nil, everywhere, inside},
		{"Windows, IPv6 alone", initiator.Windows10DH2048(), split[1:], nil, inside, nil, "2001:db8:1::-2001:db8:1:ffff:ffff:ffff:ffff:ffff", outside},
		{"Windows, nothing answers", initiator.Windows10DH2048(), split[:1], nil, netip.Addr{}, nil, "10.1.0.0-10.1.255.255", netip.Addr{}},
		{"Windows without the allowance", initiator.Windows10DH2048(), split[:1], nil, inside, []Quirk{QuirkW8}, "10.1.0.0-10.1.255.255", netip.Addr{}},
		{"Apple", initiator.Apple(), split[:1], nil, inside, nil, "10.1.0.0-10.1.255.255", netip.Addr{}},
		{"strongSwan", initiator.DefaultProfile(), split[:1], nil, inside, nil, "10.1.0.0-10.1.255.255", netip.Addr{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, func(cfg *Config) {
				cfg.LocalSubnets, cfg.DHCPServer, cfg.WithoutQuirks = c.subnets, c.server, c.off
				cfg.Backend = mschapv2.NewBackend(mschapv2.NewHashVerifier(userFile{"alice": {Hash: users["alice"].Hash, Grant: auth.Grant{Name: "alice", Routes: c.user}}}), mschapv2.Options{})
			})
			d := w.newDevice(func(cfg *initiator.Config) { cfg.Profile = c.profile }).mustLogin()
			check := func(when string) {
				t.Helper()
				theirs, _ := d.sa.Child()
				if got := describeSelectors(w.plane.only(t).Local); got != c.want || describeSelectors(theirs.Remote) != c.want {
					t.Errorf("%s: installed %s, told %s, want %s", when, got, describeSelectors(theirs.Remote), c.want)
				}
			}
			check("login")
			if i := w.events[len(w.events)-1].Session; i.DHCPServer != c.from || c.user == nil && len(c.subnets) > 0 && !slices.Equal(i.Routes, c.subnets) {
				t.Errorf("session: answered from %v, want %v; routes %v", i.DHCPServer, c.from, i.Routes)
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

// An Apple client with split routes gets an IPv6 address where the pool has no
// other.
func TestAppleGetsWhatThePoolHas(t *testing.T) {
	w := newWorld(t, 1, func(cfg *Config) {
		r, err := lease.ParseRange("2001:db8::/96")
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Leases, err = lease.NewPools([]lease.PoolConfig{{Name: "v6", Ranges: []lease.Range{r}}}, lease.NewMemory()); err != nil {
			t.Fatal(err)
		}
		cfg.LocalSubnets = prefixes("2001:db8:1::/48")
	})
	w.newDevice(func(cfg *initiator.Config) { cfg.Profile = initiator.Apple() }).mustLogin()
	if got := w.lastEvent().Session; !got.IPv6.IsValid() || got.IPv4.IsValid() {
		t.Errorf("addresses %v and %v", got.IPv4, got.IPv6)
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
