package tunnel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"bridgehead/ikev2/esp"
)

const patience = 20 * time.Second

// ping sends n echo requests of size octets from h and wants every answer.
func (h *host) ping(t *testing.T, to netip.Addr, n, size int) {
	t.Helper()
	var conn *icmp.PacketConn
	network, kind, protocol := "ip4:icmp", icmp.Type(ipv4.ICMPTypeEcho), protocolICMP
	if to.Is6() {
		network, kind, protocol = "ip6:ipv6-icmp", ipv6.ICMPTypeEchoRequest, protocolICMPv6
	}
	h.in(t, func() (err error) {
		local := h.inner4
		if to.Is6() {
			local = h.inner6
		}
		conn, err = icmp.ListenPacket(network, local.String())
		return err
	})
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	for seq := range n {
		echo := &icmp.Echo{ID: 77, Seq: seq, Data: bytes.Repeat([]byte{byte(seq)}, size)}
		b, err := (&icmp.Message{Type: kind, Body: echo}).Marshal(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.WriteTo(b, &net.IPAddr{IP: to.AsSlice()}); err != nil {
			t.Fatal(err)
		}
		for {
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				t.Fatalf("echo %d to %s: %v", seq, to, err)
			}
			m, err := icmp.ParseMessage(protocol, buf[:n])
			if err != nil {
				t.Fatal(err)
			}
			if e, ok := m.Body.(*icmp.Echo); ok && m.Type != kind && e.Seq == seq && bytes.Equal(e.Data, echo.Data) {
				break
			}
		}
	}
}

// transfer sends n octets over TCP and wants the same octets there.
func transfer(t *testing.T, hosts [2]*host, to netip.Addr, n int64) {
	t.Helper()
	client, server := connect(t, hosts, to)
	pattern := bytes.Repeat([]byte("0123456789abcdef\n"), 4096)
	sent, received := sha256.New(), sha256.New()
	failed := make(chan error, 1)
	go func() {
		_, err := io.CopyN(io.MultiWriter(client, sent), endless{pattern}, n)
		failed <- err
	}()
	if err := server.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(received, server, n); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(sent.Sum(nil), received.Sum(nil)) {
		t.Fatal("other octets arrived than were sent")
	}
}

// endless reads pattern for ever, in pieces that are no multiple of a segment.
type endless struct{ pattern []byte }

func (e endless) Read(b []byte) (int, error) { return copy(b, e.pattern), nil }

// TestPingAndTCP moves real traffic between two kernels' stacks: every
// combination of outer family and encapsulation carries both inner families.
func TestPingAndTCP(t *testing.T) {
	for _, tc := range []struct {
		name, suite string
		v6, encap   bool
	}{
		{"UDP over IPv4", "aes128gcm16", false, true},
		{"UDP over IPv6", "chacha20poly1305", true, true},
		{"protocol 50 over IPv4", "aes256-sha512", false, false},
		{"protocol 50 over IPv6", "aes256-sha1", true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			hosts := newWorld(t, nil)
			children := pair(hosts, tc.suite, 1, tc.v6, tc.encap)
			install(t, hosts, children)
			for _, to := range []netip.Addr{hosts[1].inner4, hosts[1].inner6} {
				hosts[0].ping(t, to, 3, 56)
				hosts[0].ping(t, to, 2, 3000) // fragments within the tunnel
				transfer(t, hosts, to, 8<<20)
			}
			for i, h := range hosts {
				if d := h.tunnel.Drops(); d != (Drops{OutNoRoute: d[OutNoRoute]}) { // router solicitations
					t.Errorf("host %d dropped %v", i, d)
				}
				us, err := h.tunnel.Usage(t.Context(), nil)
				if err != nil || us[0].BytesIn == 0 || us[0].BytesOut == 0 || us[0].LastIn.IsZero() {
					t.Errorf("host %d: usage %+v, %v", i, us, err)
				}
			}
		})
	}
}

// TestMTUAndMSS: with an outer path narrower than the device thinks, of which
// only one end knows, TCP is clamped in both directions and others are told
// what fits.
func TestMTUAndMSS(t *testing.T) {
	const outer = 1300
	hosts := newWorld(t, func(side int, c *Config) {
		if side == 0 {
			c.OuterMTU = outer
		}
	})
	children := pair(hosts, "aes128gcm16", 1, false, true)
	install(t, hosts, children)
	out, err := esp.NewOutbound(children[0].Out)
	if err != nil {
		t.Fatal(err)
	}
	fits := out.MaxInner(outer - ipv4HeaderLen - 8)
	for _, tc := range []struct {
		to  netip.Addr
		mtu int
		mss int
	}{
		{hosts[1].inner4, fits, fits - 40},
		{hosts[1].inner6, minIPv6MTU, minIPv6MTU - 60},
	} {
		client, server := connect(t, hosts, tc.to) // by the handshake alone
		for i, conn := range []net.Conn{client, server} {
			if mss := sendMSS(t, conn.(*net.TCPConn)); mss > tc.mss || mss < tc.mss-20 {
				t.Errorf("%s: host %d sends segments of %d, want %d less options", tc.to, i, mss, tc.mss)
			}
		}
		transfer(t, hosts, tc.to, 1<<20)
		if mtu := hosts[0].discoverMTU(t, tc.to); mtu != tc.mtu {
			t.Errorf("%s: path MTU %d, want %d", tc.to, mtu, tc.mtu)
		}
	}
	// What may be fragmented is: a ping without DF exceeds what fits.
	hosts[0].ping(t, hosts[1].inner4, 1, 1360)
	if d := hosts[0].tunnel.Drops(); d[OutTooBig] == 0 {
		t.Errorf("nothing was too big: %v", d)
	}
}

func sendMSS(t *testing.T, c *net.TCPConn) int {
	t.Helper()
	rc, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	var infoErr error
	if err := errors.Join(rc.Control(func(fd uintptr) {
		info, infoErr = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}), infoErr); err != nil {
		t.Fatal(err)
	}
	return int(info.Snd_mss)
}

// discoverMTU sends datagrams of the device's MTU that must not be fragmented
// until the kernel refuses one, and gives the path MTU that it has learned.
func (h *host) discoverMTU(t *testing.T, to netip.Addr) int {
	t.Helper()
	var conn *net.UDPConn
	h.in(t, func() (err error) {
		conn, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
		return err
	})
	defer conn.Close()
	rc, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	level, discover, value, mtu := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO, unix.IP_MTU
	if to.Is6() {
		level, discover, value, mtu = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DO, unix.IPV6_MTU
	}
	var optErr error
	if err := rc.Control(func(fd uintptr) { optErr = unix.SetsockoptInt(int(fd), level, discover, value) }); err != nil || optErr != nil {
		t.Fatal(err, optErr)
	}
	datagram := make([]byte, DefaultMTU-48)
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		_, err := conn.Write(datagram)
		if errors.Is(err, syscall.EMSGSIZE) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: no datagram was refused: %v", to, err)
		}
	}
	learned := 0
	if err := rc.Control(func(fd uintptr) { learned, optErr = unix.GetsockoptInt(int(fd), level, mtu) }); err != nil || optErr != nil {
		t.Fatal(err, optErr)
	}
	return learned
}

// TestRekeyUnderTrafficLosesNothing renews the Child SA again and again while
// datagrams go back and forth, each awaited, none repeated.
func TestRekeyUnderTrafficLosesNothing(t *testing.T) {
	const generations, window, initiator, responder = 10, 32, 0, 1
	hosts := newWorld(t, func(side int, c *Config) {
		c.RekeyGrace = time.Hour
		if side == initiator {
			c.RekeyGrace = -1 // it knows that the other end has installed
		}
	})
	current := pair(hosts, "aes128gcm16", 1, false, true)
	install(t, hosts, current)
	stop := make(chan struct{})
	echoed := make(chan error, 1)
	go func() { echoed <- exchange(t, hosts, window, stop) }()
	for g := uint32(2); g <= generations; g++ {
		next := pair(hosts, "aes128gcm16", g, false, true)
		for _, i := range []int{responder, initiator} {
			if err := hosts[i].tunnel.Rekey(t.Context(), current[i].ID, next[i]); err != nil {
				t.Fatal(err)
			}
			if i == responder {
				awaitTraffic(t, hosts[i], current[i].ID) // not on the new one yet
			}
		}
		for i := range hosts {
			awaitTraffic(t, hosts[i], next[i].ID)
		}
		awaitDrained(t, hosts, current[0].ID)
		for i := range hosts {
			if err := hosts[i].tunnel.Remove(t.Context(), current[i].ID); err != nil {
				t.Fatal(err)
			}
		}
		current = next
	}
	close(stop)
	if err := <-echoed; err != nil {
		t.Fatal(err)
	}
}

// exchange sends numbered datagrams to an echo server with up to window of
// them under way, until stop; each must come back.
func exchange(t *testing.T, hosts [2]*host, window uint64, stop <-chan struct{}) error {
	var client, server *net.UDPConn
	hosts[1].in(t, func() (err error) {
		server, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(hosts[1].inner4, 7)))
		return err
	})
	defer server.Close()
	hosts[0].in(t, func() (err error) {
		client, err = net.DialUDP("udp", nil, server.LocalAddr().(*net.UDPAddr))
		return err
	})
	defer client.Close()
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := server.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if _, err := server.WriteToUDPAddrPort(buf[:n], from); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 1000)
	var sent, back uint64
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		for ; sent < back+window; sent++ {
			binary.BigEndian.PutUint64(buf, sent)
			if _, err := client.Write(buf); err != nil {
				return err
			}
		}
		if err := client.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if _, err := client.Read(buf); err != nil {
			return fmt.Errorf("datagram %d: %w", back, err)
		}
		if n := binary.BigEndian.Uint64(buf); n != back {
			return fmt.Errorf("datagram %d came back when %d was due", n, back)
		}
		back++
	}
}

// eventually polls until f holds.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !f(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

func (h *host) usage(t *testing.T, id esp.ChildID) esp.Usage {
	t.Helper()
	us, err := h.tunnel.Usage(context.Background(), []esp.ChildID{id})
	if err != nil || len(us) != 1 {
		t.Fatalf("usage of %d: %v, %v", id, us, err)
	}
	return us[0]
}

// awaitTraffic waits until another hundred packets have gone each way.
func awaitTraffic(t *testing.T, h *host, id esp.ChildID) {
	t.Helper()
	was := h.usage(t, id)
	eventually(t, fmt.Sprintf("traffic of child %d at %s", id, h.outer4), func() bool {
		is := h.usage(t, id)
		return is.PacketsIn >= was.PacketsIn+100 && is.PacketsOut >= was.PacketsOut+100
	})
}

// awaitDrained waits until all that was sent on a Child SA has arrived.
func awaitDrained(t *testing.T, hosts [2]*host, id esp.ChildID) {
	t.Helper()
	eventually(t, "the last packets on the old Child SA", func() bool {
		a, b := hosts[0].usage(t, id), hosts[1].usage(t, id)
		return a.PacketsOut == b.PacketsIn && b.PacketsOut == a.PacketsIn
	})
}
