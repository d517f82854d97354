package transport

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// inNamespace runs open in a network namespace of its own, whose loopback
// interface has the given MTU and further addresses. Sockets belong to the
// namespace in which they are opened, whoever uses them.
func inNamespace(t *testing.T, mtu int, addrs []string, open func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		// The thread stays locked, and is thrown away with the goroutine.
		runtime.LockOSThread()
		ns, err := netns.New() // anonymous: gone with its last user
		if err == nil {
			err = errors.Join(configureLoopback(mtu, addrs), ns.Close())
		}
		if err == nil {
			err = open()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatalf("in a network namespace (root is needed): %v", err)
	}
}

func configureLoopback(mtu int, addrs []string) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	err = errors.Join(netlink.LinkSetMTU(lo, mtu), netlink.LinkSetUp(lo))
	for _, a := range addrs {
		addr, parseErr := netlink.ParseAddr(a)
		if parseErr != nil {
			return parseErr
		}
		addr.Flags = unix.IFA_F_NODAD
		err = errors.Join(err, netlink.AddrAdd(lo, addr), settle(addr.IP))
	}
	return err
}

// settle waits until the loopback interface, just brought up, delivers what is
// sent to an address: before, it drops that.
func settle(ip net.IP) error {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip, Zone: "lo"})
	if err != nil {
		return err
	}
	defer c.Close()
	for range 500 {
		if _, err := c.WriteTo([]byte{0}, c.LocalAddr()); err != nil {
			return err
		}
		if err := c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			return err
		}
		if _, _, err = c.ReadFrom(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
	return fmt.Errorf("the loopback interface delivers nothing to %v", ip)
}

// TestAnswersLeaveFromAddressAsked with several addresses of one interface,
// for the UDP ports and for IP protocol 50, both families.
func TestAnswersLeaveFromAddressAsked(t *testing.T) {
	var server, client *Transport
	inNamespace(t, 65536, []string{"192.0.2.1/32", "192.0.2.2/32", "2001:db8::1/128", "2001:db8::2/128"}, func() (err error) {
		server, err = Listen(Config{RawESP: true, Addresses: []netip.Addr{
			netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::2"),
			netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"),
		}})
		if err == nil {
			client, err = Listen(Config{RawESP: true})
		}
		return err
	})
	got, back := newSink(), newSink()
	for _, s := range []struct {
		t *Transport
		h Handler
	}{{server, got}, {client, back}} {
		served := make(chan error, 1)
		go func() { served <- s.t.Serve(t.Context(), s.h) }()
		t.Cleanup(func() { s.t.Close(); <-served })
	}
	for _, tc := range [][2]string{
		{"192.0.2.2", "192.0.2.1"}, {"192.0.2.1", "192.0.2.2"},
		{"2001:db8::2", "2001:db8::1"}, {"2001:db8::1", "2001:db8::2"},
	} {
		from, to := at(tc[0], client.IKEPort()), at(tc[1], server.IKEPort())
		if err := client.SendIKE([]Datagram{{ikeMessage(100, 1), from, to}}); err != nil {
			t.Fatal(err)
		}
		d := next(t, got.ike)
		if d.Local != to || d.Remote != from {
			t.Fatalf("received from %s at %s", d.Remote, d.Local)
		}
		if err := server.SendIKE([]Datagram{{ikeMessage(100, 2), d.Local, d.Remote}}); err != nil {
			t.Fatal(err)
		}
		if d := next(t, back.ike); d.Remote != to || d.Local != from {
			t.Fatalf("answer from %s at %s", d.Remote, d.Local)
		}
		checkRawESP(t, client, got, at(tc[0], 0), at(tc[1], 0))
	}
}

// checkRawESP sends over IP protocol 50. Both ends are on this host, whose raw
// sockets all see the packet; the one bound to its destination counts.
func checkRawESP(t *testing.T, client *Transport, got *sink, from, to netip.AddrPort) {
	t.Helper()
	s := client.NewSender()
	p := &Path{Local: from, Remote: to}
	s.Add(p, 2, espPacket(1, 900))
	s.Add(p, 2, espPacket(2, 900))
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	for seq := range uint32(2) {
		d := next(t, got.esp)
		if !bytes.Equal(d.Data, espPacket(seq+1, 900)) || d.Encap || d.Local != to || d.Remote != from || d.ECN != 2 {
			t.Fatalf("packet %d: %d octets from %s at %s, encap %v, ECN %d",
				seq+1, len(d.Data), d.Remote, d.Local, d.Encap, d.ECN)
		}
	}
}

// TestLargerThanPathMTUIsFragmented: IKE before RFC 7383 is agreed, and ESP
// whose segments no segmented send may carry.
func TestLargerThanPathMTUIsFragmented(t *testing.T) {
	var server, client *Transport
	inNamespace(t, 1500, nil, func() (err error) {
		if server, err = Listen(Config{}); err == nil {
			client, err = Listen(Config{})
		}
		return err
	})
	got := newSink()
	served := make(chan error, 1)
	go func() { served <- server.Serve(t.Context(), got) }()
	t.Cleanup(func() { client.Close(); server.Close(); <-served })
	for _, host := range []string{"127.0.0.1", "::1"} {
		from, to := at(host, client.NATTPort()), at(host, server.NATTPort())
		if err := client.SendIKE([]Datagram{{ikeMessage(6000, 5), from, to}}); err != nil {
			t.Fatal(err)
		}
		if d := next(t, got.ike); !bytes.Equal(d.Data, ikeMessage(6000, 5)) {
			t.Fatalf("%s: %d octets of IKE arrived", host, len(d.Data))
		}
		s := client.NewSender()
		p := &Path{Local: from, Remote: to, Encap: true}
		for seq := range uint32(10) {
			s.Add(p, 0, espPacket(seq, 1600))
		}
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
		for seq := range uint32(10) {
			if d := next(t, got.esp); !bytes.Equal(d.Data, espPacket(seq, 1600)) {
				t.Fatalf("%s: packet %d arrived as %d octets", host, seq, len(d.Data))
			}
		}
	}
	if st := client.Stats(); st.GSOFallbacks != 2 || st.SendFailed != 0 || st.ESPSent != 20 {
		t.Fatalf("stats %+v", st)
	}
}

// counter counts datagrams.
type counter struct{ n atomic.Uint64 }

func (c *counter) HandleIKE(batch []Datagram)    { c.n.Add(uint64(len(batch))) }
func (c *counter) HandleESP(batch []ESPDatagram) { c.n.Add(uint64(len(batch))) }

// TestKernelDropsAreCounted: what a full receive buffer swallowed is known, to
// the datagram.
func TestKernelDropsAreCounted(t *testing.T) {
	tr, err := Listen(Config{Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at("127.0.0.1", tr.NATTPort())))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sent, packet := uint64(0), espPacket(1, 1400)
	send := func() {
		t.Helper()
		if _, err := conn.Write(packet); err != nil {
			t.Fatal(err)
		}
		sent++
	}
	for range 3 * socketBuffer / len(packet) {
		send() // nobody reads
	}
	got := &counter{}
	served := make(chan error, 1)
	go func() { served <- tr.Serve(t.Context(), got) }()
	// The kernel tells with each datagram how many it dropped before.
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		st := tr.Stats()
		if got.n.Load()+st.Kernel == sent && st.Kernel > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d sent, %d received, %d known as dropped", sent, got.n.Load(), st.Kernel)
		}
		send()
	}
	tr.Close()
	<-served
}

// FuzzSort: whatever arrives, with whatever segment size, is taken apart
// without panic and without losing an octet of what is delivered.
func FuzzSort(f *testing.F) {
	f.Add([]byte{0xff}, uint8(kindNATT), false, 0)
	f.Add(espPacket(1, 60), uint8(kindNATT), false, 20)
	f.Add(append(make([]byte, 4), ikeMessage(40, 1)...), uint8(kindNATT), true, 22)
	f.Add(append([]byte{0x45}, espPacket(1, 60)...), uint8(kindRaw), false, 0)
	f.Add(espPacket(1, 60), uint8(kindRaw), true, 0)
	f.Fuzz(func(t *testing.T, b []byte, k uint8, v6 bool, segment int) {
		r := &reader{t: &Transport{}, s: &socket{kind: kind(k % 3), v6: v6, port: 4500}}
		a := ancillary{local: netip.MustParseAddr("192.0.2.1"), segment: segment}
		r.sort(bytes.Clone(b), at("198.51.100.1", 1024), a)
		for _, d := range r.ike {
			if len(d.Data) < ikeHeaderLen || !bytes.Contains(b, d.Data) {
				t.Fatalf("IKE datagram of %d octets", len(d.Data))
			}
		}
		for _, d := range r.esp {
			if len(d.Data) < minESPLen || !bytes.Contains(b, d.Data) || r.s.kind == kindIKE {
				t.Fatalf("ESP datagram of %d octets", len(d.Data))
			}
		}
	})
}
