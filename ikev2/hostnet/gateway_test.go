package hostnet

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func getMaxSegment(fd int) (int, error) {
	return unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG)
}

func addrs(ss ...string) []netip.Addr {
	var all []netip.Addr
	for _, s := range ss {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

func prefixes(ss ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, s := range ss {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

// fullGateway uses everything at once.
func fullGateway(device string) Gateway {
	return Gateway{
		Device: device, MTU: 1300,
		Addresses: addrs("10.9.0.1", "fd09::1"),
		Pools:     prefixes("10.9.0.0/24", "fd09::/96"),
		Forward:   true, ProxyNDP: true, Table: "bridgehead-test", Masquerade: true, ClampMSS: true,
	}
}

func open(t testing.TB, path string) *Host {
	t.Helper()
	h, _, err := Open(path)
	must(t, err)
	return h
}

func TestGatewayIsRestoredWhole(t *testing.T) {
	newNamespace(t).enter()
	addTUN(t, "tun-test")
	addTUN(t, "eth.7") // dots are common in VLAN links' names
	run(t, "sysctl -qw net.ipv4.conf.all.accept_redirects=0")
	run(t, "sysctl -qw net.ipv6.conf.eth/7.forwarding=1")
	before := snapshot(t)
	path := filepath.Join(t.TempDir(), "state", "network.json")
	h := open(t, path)
	must(t, h.ApplyGateway(fullGateway("tun-test")))
	for _, want := range []string{
		"net.ipv4.ip_forward = 1 (was 0)", "net.ipv6.conf.all.forwarding = 1 (was 0)", "net.ipv6.conf.all.proxy_ndp = 1 (was 0)", "tun-test up, MTU 1300",
		"route fd09::/96 dev tun-test", "address 10.9.0.1 on tun-test", "nftables table inet bridgehead-test",
	} {
		if !slices.Contains(h.Changes(), want) {
			t.Errorf("changes %q have no %q", h.Changes(), want)
		}
	}
	during := snapshot(t)
	for _, want := range []string{
		"/proc/sys/net/ipv4/conf/tun-test/forwarding = 1", "mtu 1300", "10.9.0.0/24 dev tun-test", "fd09::/96 dev tun-test",
		"inet 10.9.0.1/32", "inet6 fd09::1/128",
		`ip saddr 10.9.0.0/24 oifname != "tun-test" masquerade`, `ip6 saddr fd09::/96 oifname != "tun-test" masquerade`,
		`iifname "tun-test" tcp flags syn / syn,rst tcp option maxseg size set rt mtu`,
		`oifname "tun-test" tcp flags syn / syn,rst tcp option maxseg size set rt mtu`,
	} {
		if !strings.Contains(during, want) {
			t.Errorf("while running, nothing says %q", want)
		}
	}
	must(t, h.Close())
	sameSnapshot(t, before, snapshot(t))
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); err != nil || len(left) > 0 {
		t.Errorf("left on disk: %v, %v", left, err)
	}
}

// A router stays one, and only what was missing is changed.
func TestRouterStaysRouter(t *testing.T) {
	newNamespace(t).enter()
	run(t, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
	addTUN(t, "tun-test")
	run(t, "sysctl -qw net.ipv4.conf.tun-test.forwarding=0")
	before := snapshot(t)
	h := open(t, filepath.Join(t.TempDir(), "j"))
	must(t, h.ApplyGateway(Gateway{Device: "tun-test", MTU: 1400, Pools: prefixes("10.9.0.0/24", "fd09::/96"), Forward: true}))
	want := []string{
		"tun-test up, MTU 1400", "route 10.9.0.0/24 dev tun-test", "route fd09::/96 dev tun-test",
		"net.ipv4.conf.tun-test.forwarding = 1 (was 0)",
	}
	if got := h.Changes(); !slices.Equal(got, want) {
		t.Errorf("changes %q, want %q", got, want)
	}
	must(t, h.Close())
	sameSnapshot(t, before, snapshot(t))
}

// What somebody else changed meanwhile is theirs.
func TestForeignChangesStay(t *testing.T) {
	newNamespace(t).enter()
	addTUN(t, "tun-test")
	addTUN(t, "uplink")
	configure(t, "uplink", "fd01::2/64")
	run(t, "ip -6 route add default via fe80::1 dev uplink proto ra metric 1024")
	h := open(t, filepath.Join(t.TempDir(), "j"))
	must(t, h.ApplyGateway(fullGateway("tun-test")))
	run(t, "sysctl -qw net.ipv6.conf.uplink.accept_ra=0")
	run(t, "sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.all.accept_redirects=0")
	run(t, "ip link set tun-test mtu 1290")
	run(t, "nft delete table inet bridgehead-test")
	run(t, "ip route del 10.9.0.0/24")
	run(t, "ip address del fd09::1/128 dev tun-test")
	must(t, h.Close())
	after := snapshot(t)
	for _, want := range []string{"net/ipv4/conf/all/accept_redirects = 0", "net/ipv6/conf/uplink/accept_ra = 0", "mtu 1290"} {
		if !strings.Contains(after, want) {
			t.Errorf("%q was not left alone", want)
		}
	}
}

// The link of a TUN vanishes with its process.
func TestVanishedLinkIsNothingToRestore(t *testing.T) {
	newNamespace(t).enter()
	before := snapshot(t)
	addTUN(t, "tun-test")
	h := open(t, filepath.Join(t.TempDir(), "j"))
	must(t, h.ApplyGateway(fullGateway("tun-test")))
	run(t, "ip link del tun-test")
	must(t, h.Close())
	sameSnapshot(t, before, snapshot(t))
}

func TestRouterAdvertisementsAreStillHeard(t *testing.T) {
	newNamespace(t).enter()
	for _, link := range []string{"tun-test", "uplink", "quiet"} {
		addTUN(t, link)
	}
	configure(t, "uplink", "fd01::2/64")
	configure(t, "quiet", "fd02::2/64")
	run(t, "ip -6 route add default via fe80::1 dev uplink proto ra metric 1024")
	facts, err := Inspect()
	must(t, err)
	if !slices.Equal(facts.RouterAdvertised, []string{"uplink"}) {
		t.Errorf("interfaces at risk: %v, want uplink alone", facts.RouterAdvertised)
	}
	before := snapshot(t)
	h := open(t, filepath.Join(t.TempDir(), "j"))
	must(t, h.ApplyGateway(fullGateway("tun-test")))
	during := snapshot(t)
	for _, want := range []string{"conf/uplink/accept_ra = 2", "conf/quiet/accept_ra = 1", "default via fe80::1 dev uplink proto ra"} {
		if !strings.Contains(during, want) {
			t.Errorf("while running, nothing says %q", want)
		}
	}
	must(t, h.Close())
	sameSnapshot(t, before, snapshot(t))
}

func TestConfigurationsRefusedBeforeAnyChange(t *testing.T) {
	newNamespace(t).enter()
	addTUN(t, "tun-test")
	before := snapshot(t)
	for _, c := range []struct {
		name string
		edit func(*Gateway)
		want string
	}{
		{"no such link", func(g *Gateway) { g.Device = "absent" }, "cannot find the link absent"},
		{"MTU below IPv6's least", func(g *Gateway) { g.MTU = 1279 }, "MTU 1279 is below the 1280 octets that IPv6 needs"},
		{"table without a name", func(g *Gateway) { g.Table = "" }, "an nftables table needs a name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := fullGateway("tun-test")
			c.edit(&g)
			if _, err := g.plan(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	sameSnapshot(t, before, snapshot(t))
}

func TestFailureHalfWayIsRestored(t *testing.T) {
	newNamespace(t).enter()
	addTUN(t, "tun-test")
	run(t, "ip route add blackhole 10.9.0.0/24")
	before := snapshot(t)
	h := open(t, filepath.Join(t.TempDir(), "j"))
	err := h.ApplyGateway(fullGateway("tun-test"))
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, unix.EEXIST) || !strings.Contains(e.Remedy, "remove that first") {
		t.Fatalf("route that exists: %v", err)
	}
	must(t, h.Close())
	sameSnapshot(t, before, snapshot(t))
}

// Traffic of a client in the pool reaches a server that knows no way back to
// the pool, over both families, with an MSS that fits the tunnel, whether the
// rules go by the tunnel's interface or by addresses; the link of the client
// stands for the TUN.
func TestMasqueradedClientsReachTheNetworkBehind(t *testing.T) {
	for _, kernelESP := range []bool{false, true} {
		t.Run(fmt.Sprintf("kernel ESP %v", kernelESP), func(t *testing.T) { masquerades(t, kernelESP) })
	}
}

func masquerades(t *testing.T, kernelESP bool) {
	t.Helper()
	client, gateway, server := newNamespace(t), newNamespace(t), newNamespace(t)
	connect(t, gateway, "tun-test", client, "inner")
	connect(t, gateway, "uplink", server, "outer")
	client.enter()
	configure(t, "inner", "10.9.0.7/24", "fd09::7/96")
	run(t, "ip route add default via 10.9.0.1")
	run(t, "ip -6 route add default via fd09::1")
	server.enter()
	configure(t, "outer", "198.51.100.1/24", "2001:db8:5::1/64")
	gateway.enter()
	configure(t, "uplink", "198.51.100.9/24", "2001:db8:5::9/64")
	h := open(t, filepath.Join(t.TempDir(), "j"))
	full := fullGateway("tun-test")
	full.KernelESP = kernelESP
	must(t, h.ApplyGateway(full))
	defer func() { must(t, h.Close()) }()
	if rules := run(t, "nft list ruleset"); strings.Contains(rules, "tun-test\"") == kernelESP {
		t.Errorf("the rules are\n%s", rules)
	}
	for _, c := range []struct {
		family, listen, seen string
		mss                  int
	}{
		{"tcp4", "198.51.100.1:0", "198.51.100.9", 1300 - 40},
		{"tcp6", "[2001:db8:5::1]:0", "2001:db8:5::9", 1300 - 60},
	} {
		seen, mss := exchange(t, server, client, c.family, c.listen)
		if seen != c.seen {
			t.Errorf("%s: the server saw %s, want the gateway's %s", c.family, seen, c.seen)
		}
		if mss[0] > c.mss || mss[1] > c.mss || mss[0] < 1000 || mss[1] < 1000 {
			t.Errorf("%s: MSS %v, want at most %d each way", c.family, mss, c.mss)
		}
	}
}

// exchange connects from one namespace to another and gives the address that
// the server saw, and the MSS at the server and at the client.
func exchange(t *testing.T, server, client *namespace, family, listen string) (seen string, mss [2]int) {
	t.Helper()
	var l net.Listener
	server.in(func() (err error) {
		l, err = net.Listen(family, listen)
		return err
	})
	defer l.Close()
	accepted := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			defer c.Close()
			host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			seen = host
			mss[0], err = maxSegment(c)
			fmt.Fprint(c, "hello")
		}
		accepted <- err
	}()
	client.in(func() error {
		c, err := net.DialTimeout(family, l.Addr().String(), 10*time.Second)
		if err != nil {
			l.Close()
			return err
		}
		defer c.Close()
		text, err := io.ReadAll(c)
		if err == nil && string(text) != "hello" {
			err = fmt.Errorf("read %q", text)
		}
		if err == nil {
			mss[1], err = maxSegment(c)
		}
		return err
	})
	must(t, <-accepted)
	return seen, mss
}
