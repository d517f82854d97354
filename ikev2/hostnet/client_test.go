package hostnet

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bridgehead/ikev2/message"
	"pgregory.net/rapid"
)

func TestClientKeepsTheGatewayOutsideTheTunnel(t *testing.T) {
	for _, c := range []struct {
		name    string
		gateway string
		routes  []string
		want    []string // lines of ip route get
		changes int
	}{
		{
			"everything, gateway behind a router", "203.0.113.5", []string{"0.0.0.0/0", "::/0"},
			[]string{"203.0.113.5 via 198.51.100.1 dev uplink", "198.18.0.1 dev tun-test", "2001:db8:ffff::1 from :: dev tun-test"}, 8,
		},
		{
			"everything, gateway on the same network", "198.51.100.77", []string{"0.0.0.0/0"},
			[]string{"198.51.100.77 dev uplink", "203.0.113.5 dev tun-test"}, 6,
		},
		{
			"gateway over IPv6", "2001:db8:77::5", []string{"::/0"},
			[]string{"2001:db8:77::5 from :: via 2001:db8:5::1 dev uplink", "203.0.113.5 via 198.51.100.1 dev uplink"}, 6,
		},
		{
			"split tunnel without the gateway", "203.0.113.5", []string{"10.0.0.0/8"},
			[]string{"203.0.113.5 via 198.51.100.1 dev uplink", "10.1.2.3 dev tun-test"}, 4,
		},
		{
			"gateway on this machine", "198.51.100.9", []string{"0.0.0.0/0"},
			[]string{"local 198.51.100.9 dev lo"}, 5,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			newNamespace(t).enter()
			addTUN(t, "tun-test")
			addTUN(t, "uplink")
			configure(t, "uplink", "198.51.100.9/24", "2001:db8:5::9/64")
			run(t, "ip route add default via 198.51.100.1")
			run(t, "ip -6 route add default via 2001:db8:5::1")
			before := snapshot(t)
			h := open(t, filepath.Join(t.TempDir(), "j"))
			must(t, h.ApplyClient(Client{
				Device: "tun-test", MTU: 1400, Addresses: addrs("10.9.0.7", "fd09::7"),
				Routes: prefixes(c.routes...), Gateway: netip.MustParseAddr(c.gateway),
			}))
			for _, want := range c.want {
				words := strings.Fields(want)
				if got := run(t, "ip route get %s", words[slices.IndexFunc(words, isAddress)]); !strings.Contains(got, want) {
					t.Errorf("route %q, want %q", got, want)
				}
			}
			if got := h.Changes(); len(got) != c.changes {
				t.Errorf("%d changes, want %d: %q", len(got), c.changes, got)
			}
			must(t, h.Close())
			sameSnapshot(t, before, snapshot(t))
		})
	}
}

func isAddress(word string) bool {
	_, err := netip.ParseAddr(word)
	return err == nil
}

// A host route that the machine has already is not ours to delete.
func TestForeignHostRouteStays(t *testing.T) {
	newNamespace(t).enter()
	addTUN(t, "tun-test")
	addTUN(t, "uplink")
	configure(t, "uplink", "198.51.100.9/24")
	run(t, "ip route add 203.0.113.5/32 via 198.51.100.1 proto static")
	before := snapshot(t)
	h := open(t, filepath.Join(t.TempDir(), "j"))
	must(t, h.ApplyClient(Client{
		Device: "tun-test", MTU: 1400, Addresses: addrs("10.9.0.7"),
		Routes: prefixes("0.0.0.0/0"), Gateway: netip.MustParseAddr("203.0.113.5"),
	}))
	must(t, h.Close())
	sameSnapshot(t, before, snapshot(t))
}

func TestPrefixesMakeUpTheRange(t *testing.T) {
	for _, c := range []struct{ first, last, want string }{
		{"192.0.2.0", "192.0.2.127", "192.0.2.0/25"},
		{"192.0.2.1", "192.0.2.6", "192.0.2.1/32 192.0.2.2/31 192.0.2.4/31 192.0.2.6/32"},
		{"0.0.0.0", "255.255.255.255", "0.0.0.0/0"},
		{"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"},
		{"255.255.255.254", "255.255.255.255", "255.255.255.254/31"},
		{"192.0.2.2", "192.0.2.1", ""},
		{"192.0.2.2", "2001:db8::", ""},
	} {
		var got []string
		for _, p := range Prefixes(netip.MustParseAddr(c.first), netip.MustParseAddr(c.last)) {
			got = append(got, p.String())
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s to %s: %v, want %s", c.first, c.last, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 4, 4)
		first, last := netip.AddrFrom4([4]byte(b.Draw(t, "a"))), netip.AddrFrom4([4]byte(b.Draw(t, "b")))
		if last.Less(first) {
			first, last = last, first
		}
		next := first
		for i, p := range Prefixes(first, last) {
			if p.Addr() != next || p != p.Masked() {
				t.Fatalf("prefix %d of %v to %v is %v, expected one from %v", i, first, last, p, next)
			}
			next = message.SelectorOf(p).End.Next()
		}
		if next.Prev() != last && next.IsValid() {
			t.Fatalf("%v to %v ends before %v", first, last, next)
		}
	})
}
