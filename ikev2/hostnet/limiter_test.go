package hostnet

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
)

// site is a client, a gateway that forwards for it as it does after kernel ESP,
// and a server. The client has two addresses of each family: one of a session
// with limits, one of another without.
type site struct {
	t                       *testing.T
	client, gateway, server *namespace
	limiter                 *Limiter
}

const (
	limited4, limited6 = "10.9.0.7", "fd09::7"
	free4, free6       = "10.9.0.8", "fd09::8"
	server4, server6   = "198.51.100.1", "2001:db8:5::1"
)

// newSite leaves the test's thread in the gateway.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, client: newNamespace(t), gateway: newNamespace(t), server: newNamespace(t)}
	connect(t, s.gateway, "tun-test", s.client, "inner")
	connect(t, s.gateway, "uplink", s.server, "outer")
	s.client.enter()
	configure(t, "inner", limited4+"/24", limited6+"/96", free4+"/24", free6+"/96")
	run(t, "ip route add default via 10.9.0.1")
	run(t, "ip -6 route add default via fd09::1")
	s.server.enter()
	configure(t, "outer", server4+"/24", server6+"/64")
	run(t, "ip route add default via 198.51.100.9")
	run(t, "ip -6 route add default via 2001:db8:5::9")
	for _, ns := range []*namespace{s.client, s.server} { // which answer no packet of the tests
		ns.in(func() error {
			return exec.Command("nft", "add table inet quiet; add chain inet quiet input { type filter hook input priority 0; }; add rule inet quiet input meta l4proto 99 drop").Run()
		})
	}
	s.gateway.enter()
	configure(t, "uplink", "198.51.100.9/24", "2001:db8:5::9/64")
	h := open(t, filepath.Join(t.TempDir(), "j"))
	before := snapshot(t)
	full := fullGateway("tun-test")
	full.KernelESP, full.Masquerade, full.Limits = true, false, true
	must(t, h.ApplyGateway(full))
	t.Cleanup(func() {
		must(t, h.Close())
		after := snapshot(t)
		if strings.Contains(after, LimitsTable(full.Table)) || strings.Contains(before, "table inet") {
			t.Error("a table is left")
		}
	})
	s.limiter = NewLimiter(LimitsTable(full.Table))
	// Neighbours are known and one processor takes all, so that packets arrive in
	// the order in which they are sent.
	for _, from := range []string{limited4, free4, limited6, free6} {
		s.client.in(func() error { return exec.Command("ping", "-c1", "-I", from, serverFor(from)).Run() })
	}
	var one unix.CPUSet
	must(t, unix.SchedGetaffinity(0, &one))
	for cpu := range 1024 {
		if one.IsSet(cpu) {
			one.Zero()
			one.Set(cpu)
			break
		}
	}
	must(t, unix.SchedSetaffinity(0, &one))
	return s
}

// serverFor is the server's address of the family.
func serverFor(a string) string {
	if strings.Contains(a, ":") {
		return server6
	}
	return server4
}

func (s *site) limit(up, down uint64, rules ...string) []auth.FilterRule {
	s.t.Helper()
	f, err := auth.ParseFilter(rules)
	must(s.t, err)
	f = auth.AssignFilter(f, addrs(limited4, limited6))
	must(s.t, s.limiter.Limit(context.Background(), "0123456789abcdef", addrs(limited4, limited6), &esp.Limits{Filter: f, RateUp: up, RateDown: down}))
	return f
}

// rawSocket sends whole IP packets of a family in a namespace.
type rawSocket struct {
	fd int
	to syscall.Sockaddr
}

func (ns *namespace) raw(to netip.Addr) *rawSocket {
	ns.t.Helper()
	r := &rawSocket{}
	ns.in(func() (err error) {
		if to.Is4() {
			r.to = &syscall.SockaddrInet4{Addr: to.As4()}
			r.fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.IPPROTO_RAW)
		} else {
			r.to = &syscall.SockaddrInet6{Addr: to.As16()}
			r.fd, err = syscall.Socket(syscall.AF_INET6, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.IPPROTO_RAW)
		}
		return err
	})
	ns.t.Cleanup(func() { syscall.Close(r.fd) })
	return r
}

// tap sees the IP packets that come in on a link.
func (ns *namespace) tap(link string) (next func() []byte) {
	ns.t.Helper()
	var fd int
	ns.in(func() error {
		l, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		all := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(all)); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: l.Index})
	})
	must(ns.t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}))
	must(ns.t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20))
	ns.t.Cleanup(func() { unix.Close(fd) })
	b := make([]byte, 1<<16)
	return func() []byte {
		for {
			n, from, err := unix.Recvfrom(fd, b, 0)
			if err != nil {
				ns.t.Fatalf("nothing came on %s: %v", link, err)
			}
			if ll := from.(*unix.SockaddrLinklayer); ll.Pkttype != unix.PACKET_OUTGOING && (ll.Protocol == 0x0008 || ll.Protocol == 0xdd86) {
				return b[:n]
			}
		}
	}
}

// packet is an IP packet, whose last octets are a mark.
func packet(from, to string, protocol byte, header []byte, mark uint32) []byte {
	a, b := netip.MustParseAddr(from), netip.MustParseAddr(to)
	body := binary.BigEndian.AppendUint32(append([]byte(nil), header...), mark)
	if a.Is4() {
		p := make([]byte, 20, 80)
		p[0], p[8], p[9] = 0x45, 64, protocol
		binary.BigEndian.PutUint16(p[2:], uint16(20+len(body)))
		copy(p[12:], append(a.AsSlice(), b.AsSlice()...))
		var sum uint32
		for i := 0; i < 20; i += 2 {
			sum += uint32(binary.BigEndian.Uint16(p[i:]))
		}
		binary.BigEndian.PutUint16(p[10:], ^uint16(sum+sum>>16))
		return append(p, body...)
	}
	p := make([]byte, 40, 100)
	p[0], p[6], p[7] = 0x60, protocol, 64
	binary.BigEndian.PutUint16(p[4:], uint16(len(body)))
	copy(p[8:], append(a.AsSlice(), b.AsSlice()...))
	return append(p, body...)
}

func (r *rawSocket) send(t testing.TB, p []byte) {
	t.Helper()
	must(t, syscall.Sendto(r.fd, p, 0, r.to))
}

func tcp(source, destination uint16, flags byte) []byte {
	b := make([]byte, 20)
	binary.BigEndian.PutUint16(b, source)
	binary.BigEndian.PutUint16(b[2:], destination)
	b[12], b[tcpFlagsOffset] = 5<<4, flags
	return b
}

func udp(source, destination uint16) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, source), destination), 0)
}

// passes tells which of the packets arrive where the tap is: sent is a way to
// there, and last a packet that passes in any case and behind them.
func passes(t *testing.T, send *rawSocket, tap func() []byte, packets [][]byte, last []byte) map[uint32]bool {
	t.Helper()
	mark := func(p []byte) uint32 { return binary.BigEndian.Uint32(p[len(p)-4:]) }
	for _, p := range append(packets, last) {
		send.send(t, p)
	}
	seen := make(map[uint32]bool)
	for !seen[mark(last)] {
		seen[mark(tap())] = true
	}
	return seen
}

// TestKernelFiltersAsUserspaceDoes sends the same packets past nftables and
// past esp.Filter.
func TestKernelFiltersAsUserspaceDoes(t *testing.T) {
	s := newSite(t)
	filters := [][]string{
		nil,
		{"permit in ip from any to 198.51.100.0/24", "permit out ip from 198.51.100.0/24 to any"},
		{"permit in ip from any to !198.51.100.0/24", "deny out ip from !2001:db8:5::/48 to any"},
		{"permit in tcp from assigned to any 25,80-90,85-100,443-65535"},
		{"deny in tcp from any to any 25", "deny out tcp from any 25 to any"},
		{"deny in udp from any 4000-4001 to any 25,53", "permit in 17 from any to any"},
		{"permit in tcp from any to any setup", "permit out tcp from any to any established"},
		{"permit in ip from !assigned to any"},
		{"deny in ip from any to 198.51.100.1", "permit in ip from any to any"},
		{"permit in icmpv6 from any to any"},
		{"deny in tcp from any to any setup", "deny out tcp from any to any setup"},
		{"deny in ip from any to ::/0"},
	}
	var long []string
	for i := range auth.MaxFilterRules {
		long = append(long, fmt.Sprintf("deny in tcp from 192.0.2.0/24 %d,%d to any %d,%d", i+1, i+1000, i+2000, i+3000))
	}
	filters = append(filters, long)
	fragment4 := func(p []byte, offset uint16) []byte {
		binary.BigEndian.PutUint16(p[6:], offset)
		p[10], p[11] = 0, 0 // the kernel fills the sum in
		return p
	}
	fragment6 := func(offset uint16, header []byte) []byte {
		return append([]byte{6, 0, byte(offset >> 5), byte(offset << 3), 0, 0, 0, 1}, header...)
	}
	hidden6 := []byte{60, 0, 0, 1, 0, 0, 0, 1, 6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0}
	mark := uint32(0xb4000000)
	up := func(client4, client6, target4, target6 string) (v4, v6 [][]byte) {
		add := func(list *[][]byte, p []byte) {
			mark++
			binary.BigEndian.PutUint32(p[len(p)-4:], mark)
			*list = append(*list, p)
		}
		for _, h := range []struct {
			protocol byte
			header   []byte
		}{
			{6, tcp(4000, 25, 0x02)}, {6, tcp(25, 4000, 0x10)}, {6, tcp(4000, 90, 0x12)}, {6, tcp(4000, 101, 0x04)}, {6, tcp(4000, 65535, 0x02)},
			{17, udp(4000, 25)}, {17, udp(4002, 53)}, {47, make([]byte, 8)}, {6, nil},
		} {
			add(&v4, packet(client4, target4, h.protocol, h.header, 0))
			add(&v6, packet(client6, target6, h.protocol, h.header, 0))
		}
		add(&v4, fragment4(packet(client4, target4, 6, tcp(4000, 25, 2), 0), 5))
		add(&v4, fragment4(packet(client4, target4, 6, tcp(4000, 25, 2), 0), 1))
		add(&v6, packet(client6, target6, 44, fragment6(0, tcp(4000, 25, 2)), 0))
		add(&v6, packet(client6, target6, 44, fragment6(5, tcp(4000, 25, 2)), 0))
		add(&v6, packet(client6, target6, 44, fragment6(1, tcp(4000, 25, 2)), 0))
		add(&v6, packet(client6, target6, 58, []byte{128, 0, 0, 0}, 0))
		// Options lead the first fragment: TCP begins in the second, or its flags do.
		add(&v6, packet(client6, target6, 44, hidden6, 0))
		add(&v6, packet(client6, target6, 44, slices.Concat(hidden6, make([]byte, 4), []byte{15, 160, 0, 25}), 0))
		return v4, v6
	}
	server4s, server6s := s.client.raw(netip.MustParseAddr(server4)), s.client.raw(netip.MustParseAddr(server6))
	client4s, client6s := s.server.raw(netip.MustParseAddr(limited4)), s.server.raw(netip.MustParseAddr(limited6))
	free4s, free6s := s.server.raw(netip.MustParseAddr(free4)), s.server.raw(netip.MustParseAddr(free6))
	atServer, atClient := s.server.tap("outer"), s.client.tap("inner")
	last := []byte("lastlast")
	for _, rules := range filters {
		f := esp.NewFilter(s.limit(0, 0, rules...))
		check := func(direction string, decide func([]byte) error, packets [][]byte, seen map[uint32]bool) {
			t.Helper()
			for _, p := range packets {
				want := decide(p) == nil
				if got := seen[binary.BigEndian.Uint32(p[len(p)-4:])]; got != want {
					t.Errorf("filter %.3q, %s: passes is %v in the kernel and %v in userspace: %x", rules, direction, got, want, p)
				}
			}
		}
		v4, v6 := up(limited4, limited6, server4, server6)
		check("in", f.In, v4, passes(t, server4s, atServer, v4, packet(free4, server4, 99, last, 1)))
		check("in", f.In, v6, passes(t, server6s, atServer, v6, packet(free6, server6, 99, last, 2)))
		v4, v6 = up(server4, server6, limited4, limited6)
		check("out", f.Out, v4, passesVia(t, client4s, free4s, atClient, v4, packet(server4, free4, 99, last, 3)))
		check("out", f.Out, v6, passesVia(t, client6s, free6s, atClient, v6, packet(server6, free6, 99, last, 4)))
	}
}

// passesVia is passes, with another way for the last packet.
func passesVia(t *testing.T, send, sendLast *rawSocket, tap func() []byte, packets [][]byte, last []byte) map[uint32]bool {
	t.Helper()
	for _, p := range packets {
		send.send(t, p)
	}
	return passes(t, sendLast, tap, nil, last)
}

// TestKernelLimitsRates: a second's worth and a burst pass, then nothing, of
// the session with the limit alone; both families share it.
func TestKernelLimitsRates(t *testing.T) {
	s := newSite(t)
	const size, rate = 1000, 8 // octets, bits a second
	s.limit(rate, rate)
	most := int(esp.Burst(rate)) + rate/8
	fits := most / size
	body := make([]byte, size-20-4)
	for _, c := range []struct {
		name             string
		from             *namespace
		tap              func() []byte
		source, to, free string
		last             []byte
	}{
		{"up", s.client, s.server.tap("outer"), limited4, server4, server4, packet(free4, server4, 99, body, 0xb5ffffff)},
		{"down", s.server, s.client.tap("inner"), server4, limited4, free4, packet(server4, free4, 99, body, 0xb5ffffff)},
	} {
		var packets [][]byte
		for i := range fits + 20 {
			packets = append(packets, packet(c.source, c.to, 99, body, 0xb5000000+uint32(i)))
		}
		seen := passesVia(t, c.from.raw(netip.MustParseAddr(c.to)), c.from.raw(netip.MustParseAddr(c.free)), c.tap, packets, c.last)
		passed := 0
		for m := range seen {
			if m>>24 == 0xb5 {
				passed++
			}
		}
		if passed--; passed != fits { // the last
			t.Errorf("%s: %d packets passed, want %d", c.name, passed, fits)
		}
	}
	v6 := [][]byte{packet(limited6, server6, 99, body, 0xb6000001)}
	if seen := passes(t, s.client.raw(netip.MustParseAddr(server6)), s.server.tap("outer"), v6, packet(free6, server6, 99, body, 0xb6ffffff)); seen[0xb6000001] {
		t.Error("the other family has a rate of its own")
	}
	must(t, s.limiter.Unlimit(context.Background(), "0123456789abcdef"))
	if seen := passes(t, s.client.raw(netip.MustParseAddr(server6)), s.server.tap("outer"), v6, packet(free6, server6, 99, body, 0xb6ffffff)); !seen[0xb6000001] {
		t.Error("lifted, but nothing passes")
	}
}

// TestLimitsOfTheMachineItself: what a client sends to the gateway and gets
// from it is filtered, too, and what passes between two clients by both.
func TestLimitsOfTheMachineItself(t *testing.T) {
	s := newSite(t)
	s.limit(0, 0, "permit in udp from any to any 53", "permit out udp from any 53 to any")
	heard := func(to string, port int) bool {
		t.Helper()
		var l net.PacketConn
		s.gateway.in(func() (err error) {
			l, err = net.ListenPacket("udp", net.JoinHostPort(to, fmt.Sprint(port)))
			return err
		})
		defer l.Close()
		dial := func(from string, text string) {
			s.client.in(func() error {
				d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}
				c, err := d.Dial("udp", l.LocalAddr().String())
				if err != nil {
					return err
				}
				defer c.Close()
				_, err = c.Write([]byte(text))
				return err
			})
		}
		dial(limited4, "limited")
		dial(free4, "free")
		b := make([]byte, 10)
		must(t, l.SetReadDeadline(time.Now().Add(10*time.Second)))
		n, _, err := l.ReadFrom(b)
		must(t, err)
		return string(b[:n]) == "limited"
	}
	if !heard("10.9.0.1", 53) || heard("10.9.0.1", 54) {
		t.Error("the gateway's own services are open to all, or to nobody")
	}
}

// TestTwoSessionsHaveNoAddressInCommon: a second claim fails and leaves the
// first as it is.
func TestTwoSessionsHaveNoAddressInCommon(t *testing.T) {
	s := newSite(t)
	s.limit(0, 0, "permit in ip from any to any")
	before := run(t, "nft list ruleset")
	ctx := context.Background()
	if err := s.limiter.Limit(ctx, "another", addrs(limited4), &esp.Limits{RateUp: 1}); err == nil {
		t.Error("an address was claimed twice")
	}
	if after := run(t, "nft list ruleset"); after != before {
		t.Errorf("changed by what failed:\n%s\n%s", before, after)
	}
	must(t, s.limiter.Unlimit(ctx, "another"))
	must(t, s.limiter.Unlimit(ctx, "0123456789abcdef"))
	must(t, s.limiter.Limit(ctx, "another", addrs(limited4), &esp.Limits{RateUp: 1}))
	if err := NoLimits(); err != nil {
		t.Errorf("this kernel can't: %v", err)
	}
}

// BenchmarkLimit is one more session with limits when 1,000 have some.
func BenchmarkLimit(b *testing.B) {
	ns := newNamespace(b)
	ns.enter()
	l := NewLimiter("bench_limits")
	f, err := auth.ParseFilter([]string{"permit in ip from any to 192.0.2.0/24", "deny in tcp from any to any 25", "permit in ip from any to any"})
	must(b, err)
	limits := &esp.Limits{Filter: f, RateUp: 1e7, RateDown: 1e8}
	claim := func(i int) {
		must(b, l.Limit(b.Context(), fmt.Sprintf("%016x", i), []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})}, limits))
	}
	for i := range 1000 {
		claim(i)
	}
	for b.Loop() {
		claim(1001)
		must(b, l.Unlimit(b.Context(), fmt.Sprintf("%016x", 1001)))
	}
}

// TestLimitsComeBack: where somebody else flushed nftables, as a reload of
// Debian's nftables.service does, the next change of a session puts the limits
// of all of them back.
func TestLimitsComeBack(t *testing.T) {
	s := newSite(t)
	ctx := context.Background()
	const other = "fedcba9876543210"
	must(t, s.limiter.Limit(ctx, other, addrs(free4, free6), &esp.Limits{RateUp: 1e6}))
	s.limit(0, 1e6, "deny in tcp from any to any 25,80")
	table := LimitsTable(fullGateway("tun-test").Table)
	full := run(t, "nft list table inet %s", table)
	lifted := func() string {
		must(t, s.limiter.Unlimit(ctx, other))
		return run(t, "nft list table inet %s", table)
	}
	without := lifted()
	if !strings.Contains(full, other) || strings.Contains(without, other) || !strings.Contains(without, "0123456789abcdef") {
		t.Fatalf("with both:\n%s\nwith one:\n%s", full, without)
	}

	run(t, "nft flush ruleset")
	must(t, s.limiter.Limit(ctx, other, addrs(free4, free6), &esp.Limits{RateUp: 1e6}))
	if got := lifted(); got != without {
		t.Errorf("after a new session:\n%s\nwant\n%s", got, without)
	}
	must(t, s.limiter.Limit(ctx, other, addrs(free4, free6), &esp.Limits{RateUp: 1e6}))
	run(t, "nft flush ruleset")
	if got := lifted(); got != without {
		t.Errorf("after a session's end:\n%s\nwant\n%s", got, without)
	}
	run(t, "nft flush ruleset")
	s.limit(0, 1e6, "deny in tcp from any to any 25,80")
	if got := run(t, "nft list table inet %s", table); got != without {
		t.Errorf("after a change:\n%s\nwant\n%s", got, without)
	}
}

// TestLimitsThatStayedAreLiftedLater: where a session's limits could not be
// taken away at its end, they are before its address has others.
func TestLimitsThatStayedAreLiftedLater(t *testing.T) {
	s := newSite(t)
	ctx := context.Background()
	must(t, s.limiter.Limit(ctx, "lost", addrs(limited4, limited6), &esp.Limits{RateUp: 1e6}))
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var all [2]unix.CapUserData
	must(t, unix.Capget(&head, &all[0]))
	none := all
	none[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	must(t, unix.Capset(&head, &none[0])) // of this thread alone
	err := s.limiter.Unlimit(ctx, "lost")
	must(t, unix.Capset(&head, &all[0]))
	if err == nil {
		t.Fatal("lifted without the right to")
	}
	s.limit(0, 0, "permit in ip from any to any")
	if rules := run(t, "nft list ruleset"); strings.Contains(rules, "lost") || !strings.Contains(rules, "0123456789abcdef") {
		t.Errorf("the table holds\n%s", rules)
	}
}
