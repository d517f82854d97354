package gateway

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bridgehead/cmd/bridgehead/internal/config"

	"bridgehead/auth"
)

func addrs(words ...string) []netip.Addr {
	var list []netip.Addr
	for _, w := range words {
		list = append(list, netip.MustParseAddr(w))
	}
	return list
}

var sameAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func TestNameserversThatClientsCanReach(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []netip.Addr
	}{
		{"plain", "search example.org\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n", addrs("192.0.2.53", "2001:db8::53")},
		{"stub", "nameserver 127.0.0.53\noptions edns0\n", nil},
		{"mixed with loopback", "nameserver ::1\nnameserver 10.0.0.2 # office\n", addrs("10.0.0.2")},
		{"link-local", "nameserver fe80::1%eth0\nnameserver fe80::1\n", nil},
		{"twice", "nameserver 10.0.0.2\nnameserver ::ffff:10.0.0.2\n", addrs("10.0.0.2")},
		{"more than three", "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n", addrs("10.0.0.1", "10.0.0.2", "10.0.0.3")},
		{"broken", "nameserver\nnameserver x\n#nameserver 10.0.0.1\n", nil},
	} {
		if diff := cmp.Diff(c.want, nameservers([]byte(c.text)), sameAddr); diff != "" {
			t.Errorf("%s: -want +got:\n%s", c.name, diff)
		}
	}
}

func FuzzNameservers(f *testing.F) {
	f.Add([]byte("nameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver ::ffff:127.0.0.1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list := nameservers(data)
		if len(list) > 3 {
			t.Fatalf("%d name servers", len(list))
		}
		for _, a := range list {
			if !a.IsValid() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.Zone() != "" {
				t.Fatalf("clients are told of %s", a)
			}
		}
	})
}

func TestResolversBehindTheStub(t *testing.T) {
	dir := t.TempDir()
	stub, real := filepath.Join(dir, "stub"), filepath.Join(dir, "real")
	for file, text := range map[string]string{stub: "nameserver 127.0.0.53\n", real: "nameserver 192.0.2.53\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(addrs("192.0.2.53"), hostResolvers([]string{filepath.Join(dir, "none"), stub, real}), sameAddr); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := hostResolvers([]string{stub}); got != nil {
		t.Errorf("loopback resolvers are offered: %v", got)
	}
}

func TestFreePoolsTouchNoNetworkOfTheHost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var taken []netip.Prefix
		for _, bits := range rapid.SliceOfN(rapid.IntRange(10, 30), 0, 8).Draw(t, "bits") {
			b := rapid.SliceOfN(rapid.Byte(), 3, 3).Draw(t, "octets")
			taken = append(taken, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, b[0], b[1], b[2]}), bits))
		}
		random := bytes.NewReader(rapid.SliceOfN(rapid.Byte(), 7*64, 7*64).Draw(t, "random"))
		v4, v6, err := freePools(taken, random)
		if err != nil {
			return // nearly all of 10/8 can be taken
		}
		for _, p := range taken {
			if p.Overlaps(v4) {
				t.Fatalf("%s is given out though %s is the host's", v4, p)
			}
		}
		if v4 != v4.Masked() || v4.Bits() != 24 || v6 != v6.Masked() || v6.Bits() != 64 || v6.Addr().As16()[0] != 0xfd {
			t.Fatalf("pools %s and %s", v4, v6)
		}
	})
	if _, _, err := freePools([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, bytes.NewReader(make([]byte, 7*64))); err == nil {
		t.Error("a pool is found in a full 10.0.0.0/8")
	}
}

func TestReachableAddresses(t *testing.T) {
	at := func(p place, prefixes ...string) (list []hostAddress) {
		for _, s := range prefixes {
			list = append(list, hostAddress{Prefix: netip.MustParsePrefix(s), place: p})
		}
		return list
	}
	host := slices.Concat(
		at(onLoopback, "127.0.0.1/8", "::1/128", "10.255.0.1/32"), at(onVirtualLink, "172.17.0.1/16", "fd00::1/64"),
		at(onRealLink, "2001:db8::7/64", "fe80::1/64", "192.0.2.7/24", "198.51.100.7/24", "192.0.2.7/32"),
		[]hostAddress{{Prefix: netip.MustParsePrefix("2001:db8::1234/64"), fleeting: true}},
	)
	for _, c := range []struct {
		name    string
		outward []netip.Addr
		want    []netip.Addr
	}{
		{"no route to the world", nil, addrs("192.0.2.7", "198.51.100.7", "2001:db8::7", "172.17.0.1", "fd00::1", "10.255.0.1")},
		{"default routes", addrs("198.51.100.7", "2001:db8::7"), addrs("198.51.100.7", "2001:db8::7", "192.0.2.7", "172.17.0.1", "fd00::1", "10.255.0.1")},
		{"out by what clients can't dial", addrs("127.0.0.1", "2001:db8::1234"), addrs("192.0.2.7", "198.51.100.7", "2001:db8::7", "172.17.0.1", "fd00::1", "10.255.0.1")},
	} {
		if diff := cmp.Diff(c.want, reachable(host, c.outward), sameAddr); diff != "" {
			t.Errorf("%s: -want +got:\n%s", c.name, diff)
		}
	}
}

func TestHostAddressesAreThoseOfTheHost(t *testing.T) {
	list, err := hostAddresses()
	if err != nil {
		t.Fatal(err)
	}
	loopback := hostAddress{Prefix: netip.MustParsePrefix("127.0.0.1/8"), place: onLoopback}
	if !slices.Contains(list, loopback) {
		t.Errorf("%v is not in %v", loopback, list)
	}
}

func TestQuickNames(t *testing.T) {
	host := addrs("192.0.2.7", "2001:db8::7", "198.51.100.7")
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		listen []netip.Addr
		want   string
	}{
		{"", nil, "192.0.2.7 2001:db8::7 198.51.100.7"},
		{"VPN.example.org.", nil, "vpn.example.org 192.0.2.7 2001:db8::7 198.51.100.7"},
		{"2001:DB8:0::7", nil, "2001:db8::7 192.0.2.7 198.51.100.7"},
		{"", addrs("198.51.100.7"), "198.51.100.7"},
		{"203.0.113.1", addrs("0.0.0.0"), "203.0.113.1 192.0.2.7 198.51.100.7"},
	} {
		got, err := quickNames(QuickOptions{Name: c.name, Listen: c.listen}, host)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Fields(c.want)
		if _, err := config.ServerName(own); err == nil && own != "localhost" {
			want = append(want, strings.ToLower(own))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q on %v: -want +got:\n%s", c.name, c.listen, diff)
		}
	}
	if _, err := quickNames(QuickOptions{}, nil); err == nil {
		t.Error("a host without addresses has names")
	}
}

func TestNewPassword(t *testing.T) {
	a, err := NewPassword(bytes.NewReader([]byte("0123456789abcdefghijklmnopqrstuv")))
	if err != nil {
		t.Fatal(err)
	}
	if len(a) != 19 || strings.Count(a, "-") != 3 || strings.ContainsAny(a, "lo01") {
		t.Errorf("password %q", a)
	}
	if advice, err := auth.CheckPassword("alice", []byte(a)); err != nil || len(advice) > 0 {
		t.Errorf("our own password is criticised: %v %v", advice, err)
	}
	if _, err := NewPassword(bytes.NewReader([]byte("short"))); err == nil {
		t.Error("a password without randomness")
	}
}
