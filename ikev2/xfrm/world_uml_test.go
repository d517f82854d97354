//go:build uml

package xfrm

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bridgehead/ikev2/esp/planetest"
)

// The outer addresses, on the loopback interface.
var (
	here4 = netip.MustParseAddr("192.0.2.1")
	here6 = netip.MustParseAddr("2001:db8::1")
)

// world is a machine between the outer addresses and a network behind it, which
// is a TUN device. What leaves without a policy goes to a device that drops it.
type world struct {
	*testing.T
	tun      *os.File
	received chan []byte
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, received: make(chan []byte, 1024)}
	// Linux checks no policies for what arrives on the loopback interface, but
	// here the peers are there.
	w.sysctl("net/ipv4/ip_forward=1", "net/ipv6/conf/all/forwarding=1",
		"net/ipv4/conf/all/rp_filter=0", "net/ipv4/conf/default/rp_filter=0",
		"net/ipv4/conf/lo/disable_policy=0", "net/ipv4/conf/lo/disable_xfrm=0",
		"net/ipv6/conf/default/accept_dad=0", "net/ipv6/conf/default/addr_gen_mode=1")
	w.tun = openTUN(t, "inside")
	for _, line := range []string{
		"addr replace 192.0.2.1/32 dev lo", "-6 addr replace 2001:db8::1/128 dev lo nodad",
		"link add outside type dummy",
		"link set outside up", "link set inside up",
		"route add 10.91.0.0/16 dev outside", "-6 route add fd91::/16 dev outside",
		"route add 10.90.0.0/16 dev inside", "-6 route add fd90::/64 dev inside",
	} {
		w.ip(line)
	}
	done := make(chan struct{})
	go func() { defer close(done); w.read() }()
	t.Cleanup(func() {
		w.tun.Close()
		<-done
		w.ip("link del outside")
	})
	return w
}

func (w *world) ip(line string) string {
	w.Helper()
	out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput()
	if err != nil {
		w.Fatalf("ip %s: %v: %s", line, err, out)
	}
	return string(out)
}

func (w *world) sysctl(settings ...string) {
	w.Helper()
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0); err != nil {
			w.Fatal(err)
		}
	}
}

func openTUN(t *testing.T, name string) *os.File {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	r, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, r); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), name)
}

// read gives on what the machine forwards to the network behind it. Linux has
// lowered the hop limit by one, which is put back; its own multicasts are left
// out.
func (w *world) read() {
	buf := make([]byte, 1<<16)
	for {
		n, err := w.tun.Read(buf)
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				w.Error(err)
			}
			return
		}
		b := append([]byte(nil), buf[:n]...)
		if b[0]>>4 == 6 && b[24] == 0xff {
			continue
		}
		addHop(b)
		w.received <- b
	}
}

// send gives the machine a packet of the network behind it.
func (w *world) send(inner []byte) error {
	b := append([]byte(nil), inner...)
	addHop(b)
	_, err := w.tun.Write(b)
	return err
}

// addHop raises the hop limit by one.
func addHop(b []byte) {
	if b[0]>>4 == 6 {
		b[7]++
		return
	}
	b[8]++
	sum := uint32(^binary.BigEndian.Uint16(b[10:])) + 0x100 // RFC 1624
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum+sum>>16))
}

// encapsulating opens the gateway's socket for ESP in UDP.
func (w *world) encapsulating(a netip.Addr) netip.AddrPort {
	w.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 4500)))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { conn.Close() })
	if err := EnableUDPEncap(conn); err != nil {
		w.Fatal(err)
	}
	return netip.AddrPortFrom(a, 4500)
}

func (w *world) open(c Config) *Plane {
	w.Helper()
	p, err := Open(c)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := p.Close(); err != nil {
			w.Error(err)
		}
		if left := w.ip("xfrm state") + w.ip("xfrm policy"); left != "" {
			w.Errorf("the plane left\n%s", left)
		}
	})
	return p
}

func (w *world) subject(a netip.Addr, c Config) planetest.Subject {
	w.Helper()
	return planetest.Subject{
		Plane: w.open(c), Local: w.encapsulating(a), Send: w.send, Received: w.received,
		CountsAuthentic: true, LearnsLater: true, Lingers: true,
	}
}
