package hostnet

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// proxies is what the kernel answers for on behalf of others.
func proxies(t testing.TB) string {
	t.Helper()
	return run(t, "ip -4 neigh show proxy") + run(t, "ip -6 neigh show proxy")
}

// awaitProxies returns once the kernel's table reads like want.
func awaitProxies(t testing.TB, want string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); proxies(t) != want; {
		if time.Now().After(deadline) {
			t.Fatalf("proxies are\n%swant\n%s", proxies(t), want)
		}
	}
}

func announceOn(link, journal string) AnnounceConfig {
	return AnnounceConfig{
		Journal: journal, Link: link, Pools: prefixes("10.9.0.0/24", "fd09::/96"), SetSysctls: true,
		Logger: slog.New(slog.DiscardHandler),
	}
}

func openAnnouncer(t testing.TB, c AnnounceConfig) *Announcer {
	t.Helper()
	a, _, err := OpenAnnouncer(c)
	must(t, err)
	return a
}

// segment is a gateway, where the test goes on, with a link to a host.
func segment(t testing.TB) (host *namespace) {
	t.Helper()
	gateway, host := newNamespace(t), newNamespace(t)
	connect(t, gateway, "eth0", host, "lan0")
	host.enter()
	configure(t, "lan0", "10.9.0.250/24", "fd09::250/64")
	gateway.enter()
	configure(t, "eth0", "10.9.0.1/24", "fd09::1/64")
	return host
}

// A host on the segment knows nothing of a tunnel: it asks who has the address
// of a client, and reaches it.
func TestHostOnTheSegmentReachesAClient(t *testing.T) {
	host := segment(t)
	addTUN(t, "tun-test")
	before := proxies(t)
	h := open(t, filepath.Join(t.TempDir(), "j"))
	must(t, h.ApplyGateway(Gateway{Device: "tun-test", MTU: 1400, Pools: prefixes("10.9.0.0/25", "fd09::/96"), Forward: true}))
	a := openAnnouncer(t, announceOn("eth0", filepath.Join(t.TempDir(), "a")))
	// The answers come at once, not after a random delay (RFC 4861 §7.2.8).
	run(t, "sysctl -qw net.ipv4.neigh.eth0.proxy_delay=0 net.ipv6.neigh.eth0.proxy_delay=0")
	client := attach(t, "tun-test")
	if got := asks(t, host, "10.9.0.7"); got != "" {
		t.Errorf("before it was leased, %s answered for the address", got)
	}

	clients := addrs("10.9.0.7", "fd09::7")
	must(t, a.Add(t.Context(), clients))
	link, err := net.InterfaceByName("eth0")
	must(t, err)
	for _, c := range clients {
		for n := range 3 {
			host.in(func() error { return sendUDP(c, fmt.Sprint("packet ", n)) })
			if got, want := client.next(), fmt.Sprintf("%v: packet %d", c, n); got != want {
				t.Errorf("the client got %q, want %q", got, want)
			}
		}
		if got := asks(t, host, c.String()); got != link.HardwareAddr.String() {
			t.Errorf("%v is at %q, want %v", c, got, link.HardwareAddr)
		}
	}
	must(t, a.Remove(t.Context(), clients))
	if got := proxies(t); got != "" {
		t.Errorf("still answering for\n%s", got)
	}
	must(t, a.Close())
	must(t, h.Close())
	sameSnapshot(t, before, proxies(t))
}

// asks makes the host look for an address and gives the MAC that answered.
func asks(t *testing.T, host *namespace, address string) (mac string) {
	t.Helper()
	host.in(func() error {
		_ = sendUDP(netip.MustParseAddr(address), "who are you") // fails if nobody answers
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
			words := strings.Fields(run(t, "ip neigh show %s dev lan0", address))
			if i := slices.Index(words, "lladdr"); i >= 0 {
				mac = words[i+1]
				return nil
			}
			if slices.Contains(words, "FAILED") {
				return nil
			}
		}
		return errors.New("neither found nor given up")
	})
	return mac
}

func sendUDP(to netip.Addr, text string) error {
	c, err := net.Dial("udp", netip.AddrPortFrom(to, 9).String())
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = io.WriteString(c, text)
	return err
}

// tunReader is the far side of a TUN link.
type tunReader struct {
	t    testing.TB
	file *os.File
}

func attach(t testing.TB, device string) *tunReader {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	must(t, err)
	request, err := unix.NewIfreq(device)
	must(t, err)
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	must(t, unix.IoctlIfreq(fd, unix.TUNSETIFF, request))
	f := os.NewFile(uintptr(fd), device)
	t.Cleanup(func() { f.Close() })
	return &tunReader{t, f}
}

// next gives the next UDP packet to a port of its own: address and text. The
// kernel's own traffic is passed over.
func (r *tunReader) next() string {
	r.t.Helper()
	must(r.t, r.file.SetReadDeadline(time.Now().Add(10*time.Second)))
	b := make([]byte, 2048)
	for {
		n, err := r.file.Read(b)
		must(r.t, err)
		p := b[:n]
		var to netip.Addr
		switch {
		case p[0]>>4 == 4 && p[9] == unix.IPPROTO_UDP:
			to, p = netip.AddrFrom4([4]byte(p[16:20])), p[20:]
		case p[0]>>4 == 6 && p[6] == unix.IPPROTO_UDP:
			to, p = netip.AddrFrom16([16]byte(p[24:40])), p[40:]
		default:
			continue
		}
		if text := string(p[8:binary.BigEndian.Uint16(p[4:])]); bytes.HasPrefix(p[2:], []byte{0, 9}) && strings.HasPrefix(text, "packet") {
			return fmt.Sprintf("%v: %s", to, text)
		}
	}
}

func TestAnnouncerKeepsItsOwnAndLeavesOthers(t *testing.T) {
	segment(t)
	run(t, "ip neigh add proxy 10.9.0.77 dev eth0")
	run(t, "ip neigh add proxy fd09::77 dev eth0")
	foreign := proxies(t)
	before := snapshot(t)
	path := filepath.Join(t.TempDir(), "state", "a")
	a := openAnnouncer(t, announceOn("eth0", path))
	ctx := t.Context()

	must(t, a.Add(ctx, addrs("10.9.0.77", "fd09::77"))) // theirs
	must(t, a.Add(ctx, []netip.Addr{netip.MustParseAddr("10.9.0.7"), {}}))
	must(t, a.Add(ctx, addrs("10.9.0.7", "10.9.0.8", "fd09::8"))) // one of them again
	if got, want := a.Announced(), addrs("10.9.0.7", "10.9.0.8", "fd09::8"); !slices.Equal(got, want) {
		t.Errorf("announced %v, want %v", got, want)
	}
	for _, want := range []string{"10.9.0.7 dev eth0 proxy", "10.9.0.8 dev eth0 proxy", "fd09::8 dev eth0 proxy"} {
		if !strings.Contains(proxies(t), want) {
			t.Errorf("there is no %q among\n%s", want, proxies(t))
		}
	}
	must(t, a.Remove(ctx, addrs("10.9.0.77", "fd09::77", "10.9.0.8", "10.9.0.200")))
	must(t, a.Reconcile(ctx, addrs("fd09::8", "fd09::9", "10.9.0.77")))
	if got, want := a.Announced(), addrs("fd09::8", "fd09::9"); !slices.Equal(got, want) {
		t.Errorf("after reconciling %v, want %v", got, want)
	}
	run(t, "ip neigh del proxy fd09::8 dev eth0") // by somebody else
	must(t, a.Reconcile(ctx, addrs("fd09::8", "fd09::9")))
	if got := proxies(t); strings.Count(got, "fd09::8 ")+strings.Count(got, "fd09::9 ") != 2 {
		t.Errorf("an entry that was lost is not back:\n%s", got)
	}
	run(t, "ip neigh del proxy fd09::9 dev eth0")
	must(t, a.Remove(ctx, addrs("fd09::9"))) // gone already
	must(t, a.Close())
	if got := proxies(t); got != foreign {
		t.Errorf("others' entries were\n%sand are\n%s", foreign, got)
	}
	sameSnapshot(t, before, snapshot(t))
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
		t.Errorf("left on disk: %v, %v", left, err)
	}
}

// When one of a lease's addresses cannot be announced, none is.
func TestAddIsWholeOrNothing(t *testing.T) {
	segment(t)
	a := openAnnouncer(t, announceOn("eth0", filepath.Join(t.TempDir(), "a")))
	must(t, a.Add(t.Context(), addrs("10.9.0.7")))
	run(t, "ip link del eth0")
	err := a.Add(t.Context(), addrs("fd09::8", "10.9.0.8"))
	if !errors.Is(err, unix.ENODEV) || !strings.Contains(err.Error(), "fd09::8") {
		t.Errorf("without the link: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Add(ctx, addrs("10.9.0.9")); !errors.Is(err, context.Canceled) {
		t.Errorf("out of time: %v", err)
	}
	if got, want := a.Announced(), addrs("10.9.0.7"); !slices.Equal(got, want) {
		t.Errorf("announced %v, want %v", got, want)
	}
	must(t, a.Close())
}

func TestProxyNDPIsSwitchedOnAndBack(t *testing.T) {
	segment(t)
	setting := proxyNDP("eth0")
	for _, c := range []struct {
		name   string
		was    string
		alter  func(*AnnounceConfig)
		during string
	}{
		{"off", "0", func(*AnnounceConfig) {}, "1"},
		{"on already", "1", func(*AnnounceConfig) {}, "1"},
		{"not ours to switch", "0", func(c *AnnounceConfig) { c.SetSysctls = false }, "0"},
		{"IPv4 alone", "0", func(c *AnnounceConfig) { c.Pools = prefixes("10.9.0.0/24") }, "0"},
	} {
		must(t, setting.write(c.was))
		config := announceOn("eth0", filepath.Join(t.TempDir(), "a"))
		c.alter(&config)
		a := openAnnouncer(t, config)
		during, err := setting.read()
		must(t, err)
		must(t, a.Close())
		after, err := setting.read()
		must(t, err)
		if during != c.during || after != c.was {
			t.Errorf("%s: %s, then %s, want %s, then %s", c.name, during, after, c.during, c.was)
		}
	}
}

// TestNeighboursAreAnsweredAtOnce: the kernel's delay before the answer of a
// proxy is gone as long as addresses of the family are announced.
func TestNeighboursAreAnsweredAtOnce(t *testing.T) {
	segment(t)
	delays := func() (text string) {
		for _, f := range []Family{IPv4, IPv6} {
			value, err := proxyDelay(f, "eth0").read()
			must(t, err)
			text += value + " "
		}
		return text
	}
	before := delays()
	for _, c := range []struct {
		name   string
		alter  func(*AnnounceConfig)
		during string
	}{
		{"both families", func(*AnnounceConfig) {}, "0 0 "},
		{"not ours to set", func(c *AnnounceConfig) { c.SetSysctls = false }, before},
		{"IPv4 alone", func(c *AnnounceConfig) { c.Pools = prefixes("10.9.0.0/24") }, "0 80 "},
	} {
		config := announceOn("eth0", filepath.Join(t.TempDir(), "a"))
		c.alter(&config)
		a := openAnnouncer(t, config)
		if got := delays(); got != c.during {
			t.Errorf("%s: %q, want %q", c.name, got, c.during)
		}
		must(t, a.Close())
		if got := delays(); got != before {
			t.Errorf("%s: %q afterwards, want %q", c.name, got, before)
		}
	}
}

// The kernel forgets what it announced when the link goes down or is replaced.
func TestEntriesReturnWithTheLink(t *testing.T) {
	segment(t)
	a := openAnnouncer(t, announceOn("eth0", filepath.Join(t.TempDir(), "a")))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	must(t, a.Add(ctx, addrs("10.9.0.7", "fd09::7")))
	announced := proxies(t)

	run(t, "ip link set eth0 down")
	awaitProxies(t, "")
	run(t, "ip link set eth0 up")
	awaitProxies(t, announced)
	run(t, "ip link del eth0")
	awaitProxies(t, "")
	run(t, "ip link add eth0 type veth peer name other0")
	run(t, "ip link set eth0 up")
	awaitProxies(t, announced)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	must(t, a.Close())
	awaitProxies(t, "")
}

func TestLinksThatCannotAnnounce(t *testing.T) {
	segment(t)
	addTUN(t, "tun-test")
	for _, name := range []string{"lo", "tun-test", "eth9", ""} {
		_, _, err := OpenAnnouncer(announceOn(name, filepath.Join(t.TempDir(), "a")))
		var config *ConfigError
		if !errors.As(err, &config) || !strings.Contains(err.Error(), "such as: eth0") {
			t.Errorf("%q: %v", name, err)
		}
	}
	facts, err := Inspect()
	must(t, err)
	if !slices.Equal(facts.Segments, []string{"eth0"}) || !slices.Equal(facts.NoProxyNDP, []string{"eth0"}) {
		t.Errorf("links with neighbours %v, without NDP for others %v", facts.Segments, facts.NoProxyNDP)
	}
	run(t, "sysctl -qw %s", strings.ReplaceAll(ProxyNDPSysctl("eth0"), " ", ""))
	if facts, err = Inspect(); err != nil || len(facts.NoProxyNDP) > 0 {
		t.Errorf("after the remedy: %v, %v", facts.NoProxyNDP, err)
	}
}

func BenchmarkAnnounce(b *testing.B) {
	newNamespace(b).enter()
	run(b, "ip link add eth0 type veth peer name eth1")
	configure(b, "eth0")
	a := openAnnouncer(b, announceOn("eth0", filepath.Join(b.TempDir(), "a")))
	held := make([]netip.Addr, 5000)
	for i, addr := 0, netip.MustParseAddr("10.10.0.0"); i < len(held); i, addr = i+1, addr.Next() {
		held[i] = addr
	}
	must(b, a.Add(b.Context(), held))
	lease := addrs("10.9.0.7", "fd09::7")
	b.ReportAllocs()
	for b.Loop() {
		must(b, a.Add(b.Context(), lease))
		must(b, a.Remove(b.Context(), lease))
	}
	must(b, a.Close())
}
