package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// sink keeps copies of what a Transport delivers.
type sink struct {
	ike chan Datagram
	esp chan ESPDatagram
}

func newSink() *sink {
	return &sink{ike: make(chan Datagram, 1<<12), esp: make(chan ESPDatagram, 1<<12)}
}

func (s *sink) HandleIKE(batch []Datagram) {
	for _, d := range batch {
		d.Data = bytes.Clone(d.Data)
		s.ike <- d
	}
}

func (s *sink) HandleESP(batch []ESPDatagram) {
	for _, d := range batch {
		d.Data = bytes.Clone(d.Data)
		s.esp <- d
	}
}

func next[T any](t *testing.T, c chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was delivered")
		panic("unreachable")
	}
}

// serve listens with c and delivers to the sink until the test ends, when
// Serve must return.
func serve(t *testing.T, c Config) (*Transport, *sink) {
	t.Helper()
	tr, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	s := newSink()
	served := make(chan error, 1)
	go func() { served <- tr.Serve(context.Background(), s) }()
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := next(t, served); err != nil {
			t.Errorf("Serve after Close: %v", err)
		}
	})
	return tr, s
}

func at(addr string, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(addr), port)
}

func ikeMessage(n int, fill byte) []byte { return bytes.Repeat([]byte{fill}, n) }

func espPacket(seq uint32, n int) []byte {
	b := make([]byte, n)
	binary.BigEndian.PutUint32(b, 0xc0ffee00)
	binary.BigEndian.PutUint32(b[4:], seq)
	return b
}

func TestIKEKeepsAddressesAndMarker(t *testing.T) {
	server, got := serve(t, Config{})
	client, back := serve(t, Config{})
	// Of the loopback addresses each is local: the answer must leave from the
	// one asked, which is not the one that routing would prefer.
	for _, tc := range []struct {
		name        string
		from, to    string
		sport, port uint16
		length      int
	}{
		{"IKE port over IPv4", "127.0.0.1", "127.0.0.77", client.IKEPort(), server.IKEPort(), 300},
		{"NAT traversal port over IPv4", "127.0.0.9", "127.0.0.78", client.NATTPort(), server.NATTPort(), 300},
		{"IKE port over IPv6", "::1", "::1", client.IKEPort(), server.IKEPort(), 300},
		{"NAT traversal port over IPv6", "::1", "::1", client.NATTPort(), server.NATTPort(), 300},
		{"longest IKE message", "127.0.0.1", "127.0.0.79", client.NATTPort(), server.NATTPort(), maxPayload - markerLen},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := Datagram{ikeMessage(tc.length, 7), at(tc.from, tc.sport), at(tc.to, tc.port)}
			if err := client.SendIKE([]Datagram{want}); err != nil {
				t.Fatal(err)
			}
			d := next(t, got.ike)
			if d.Local != want.Remote || d.Remote != want.Local || !bytes.Equal(d.Data, want.Data) {
				t.Fatalf("got %d octets %s -> %s", len(d.Data), d.Remote, d.Local)
			}
			if err := server.SendIKE([]Datagram{{ikeMessage(99, 8), d.Local, d.Remote}}); err != nil {
				t.Fatal(err)
			}
			if a := next(t, back.ike); a.Remote != want.Remote || a.Local != want.Local || len(a.Data) != 99 {
				t.Fatalf("the answer came from %s to %s with %d octets", a.Remote, a.Local, len(a.Data))
			}
		})
	}
}

func TestListenOnGivenAddresses(t *testing.T) {
	addrs := []netip.Addr{netip.MustParseAddr("127.0.0.5"), netip.MustParseAddr("127.0.0.6"), netip.IPv6Loopback()}
	server, got := serve(t, Config{Addresses: addrs})
	client, back := serve(t, Config{})
	for _, a := range addrs {
		local := netip.AddrPortFrom(netip.IPv4Unspecified(), client.NATTPort())
		if a.Is6() {
			local = netip.AddrPortFrom(netip.IPv6Unspecified(), client.NATTPort())
		}
		remote := netip.AddrPortFrom(a, server.NATTPort())
		if err := client.SendIKE([]Datagram{{ikeMessage(60, 1), local, remote}}); err != nil {
			t.Fatal(err)
		}
		d := next(t, got.ike)
		if d.Local != remote {
			t.Fatalf("received at %s, sent to %s", d.Local, remote)
		}
		if err := server.SendIKE([]Datagram{{ikeMessage(60, 2), d.Local, d.Remote}}); err != nil {
			t.Fatal(err)
		}
		if d := next(t, back.ike); d.Remote != remote {
			t.Fatalf("answered from %s, not %s", d.Remote, remote)
		}
	}
	err := server.SendIKE([]Datagram{{ikeMessage(60, 1), at("127.0.0.7", server.IKEPort()), at("127.0.0.1", 9)}})
	var refused *SendError
	if !errors.As(err, &refused) || !errors.Is(err, ErrNoSocket) {
		t.Fatalf("sending from an address that is not bound: %v", err)
	}
}

func TestESPBatchesArriveWholeAndInOrder(t *testing.T) {
	server, got := serve(t, Config{})
	client, _ := serve(t, Config{})
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			to := Path{Local: at(host, client.NATTPort()), Remote: at(host, server.NATTPort()), Encap: true}
			other := to
			other.Remote = at(host, server.IKEPort()) // where ESP is taken for IKE
			// Runs of equal size, a shorter last segment, one longer than the
			// run, another path between, more than one send can carry.
			sizes := []int{1400, 1400, 1400, 333, 1400, 60, 1500, 10}
			for range 150 {
				sizes = append(sizes, 1200)
			}
			s := client.NewSender()
			for i, n := range sizes {
				s.Add(&to, uint8(i/40)&3, espPacket(uint32(i), n))
				if i%50 == 0 {
					s.Add(&other, 0, espPacket(uint32(i), 100))
				}
			}
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
			for i, n := range sizes {
				d := next(t, got.esp)
				if !bytes.Equal(d.Data, espPacket(uint32(i), n)) || d.Local != to.Remote || d.Remote != to.Local || !d.Encap {
					t.Fatalf("packet %d: %d octets from %s to %s", i, len(d.Data), d.Remote, d.Local)
				}
				if want := uint8(i/40) & 3; d.ECN != want {
					t.Fatalf("packet %d: ECN %d, want %d", i, d.ECN, want)
				}
			}
			for range (len(sizes) + 49) / 50 {
				next(t, got.ike)
			}
		})
	}
	if st := client.Stats(); st.ESPSent != 2*(158+4) || st.SendFailed != 0 {
		t.Fatalf("stats %+v", st)
	}
}

func TestDatagramsThatLieAreCounted(t *testing.T) {
	server, got := serve(t, Config{})
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at("127.0.0.1", server.NATTPort())))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, b := range [][]byte{
		{0xff}, {0xff}, // keepalives
		{}, {0xfe}, {0, 0, 0}, // runts
		{1, 2, 3, 4, 5, 6, 7, 8, 9},            // too short for ESP
		make([]byte, 4),                        // a marker alone
		make([]byte, 4+27),                     // too short for an IKE header
		{0, 0, 0, 255, 0, 0, 0, 1, 0, 0, 0, 0}, // reserved SPI
		espPacket(1, 40),
	} {
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if d := next(t, got.esp); len(d.Data) != 40 {
		t.Fatalf("got %d octets", len(d.Data))
	}
	want := Stats{ESPReceived: 1, Keepalives: 2, RuntESP: 4, RuntIKE: 2, ReservedSPI: 1}
	if st := server.Stats(); st != want {
		t.Fatalf("stats %+v, want %+v", st, want)
	}
}

func TestPortInUseNamesHolder(t *testing.T) {
	first, _ := serve(t, Config{})
	for _, c := range []Config{
		{IKEPort: first.IKEPort()},
		{NATTPort: first.NATTPort()}, // a SO_REUSEPORT group is not joined by a stranger
	} {
		second, err := Listen(c)
		var refused *ListenError
		if !errors.As(err, &refused) {
			second.Close()
			t.Fatalf("a second Listen on %+v: %v", c, err)
		}
		want := fmt.Sprintf("(pid %d) has it: stop it, or choose other ports with ike_port and nat_port in [server]", os.Getpid())
		if refused.Port != c.IKEPort+c.NATTPort || !strings.HasSuffix(err.Error(), want) {
			t.Fatalf("%v", err)
		}
	}
}

func TestListenRefusals(t *testing.T) {
	for _, c := range []Config{
		{IKEPort: 4000, NATTPort: 4000},
		{Addresses: []netip.Addr{{}}},
		{Addresses: []netip.Addr{netip.MustParseAddr("224.0.0.1")}},
	} {
		var refused *ConfigError
		if _, err := Listen(c); !errors.As(err, &refused) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	_, err := Listen(Config{Addresses: []netip.Addr{netip.MustParseAddr("198.51.100.77")}})
	if err == nil || !strings.Contains(err.Error(), "this host has no such address") {
		t.Errorf("a foreign address: %v", err)
	}
}

func TestServeEndsWithContext(t *testing.T) {
	tr, err := Listen(Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- tr.Serve(ctx, newSink()) }()
	cancel()
	if err := next(t, served); !errors.Is(err, context.Canceled) {
		t.Fatalf("Serve: %v", err)
	}
	// What is left to say can still be said.
	if err := tr.SendIKE([]Datagram{{ikeMessage(40, 1), at("127.0.0.1", tr.IKEPort()), at("127.0.0.1", 9)}}); err != nil {
		t.Fatal(err)
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	if err := tr.SendIKE([]Datagram{{ikeMessage(40, 1), at("127.0.0.1", tr.IKEPort()), at("127.0.0.1", 9)}}); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("sending after Close: %v", err)
	}
}

func TestSendFailureIsNotFatal(t *testing.T) {
	client, _ := serve(t, Config{})
	server, got := serve(t, Config{})
	local := at("127.0.0.1", client.IKEPort())
	good := Datagram{ikeMessage(50, 3), local, at("127.0.0.1", server.IKEPort())}
	err := client.SendIKE([]Datagram{
		{ikeMessage(50, 1), local, at("127.0.0.1", 0)},                  // no such port
		{ikeMessage(maxPayload+1, 1), local, good.Remote},               // cannot be a datagram
		{ikeMessage(50, 1), at("192.0.2.1", local.Port()), good.Remote}, // not our address
		good,
	})
	var refused *SendError
	if !errors.As(err, &refused) || refused.Local != local {
		t.Fatalf("no fault was reported: %v", err)
	}
	if d := next(t, got.ike); !bytes.Equal(d.Data, good.Data) {
		t.Fatal("the good datagram behind the bad ones was lost")
	}
	if st := client.Stats(); st.IKESent != 1 || st.SendFailed != 3 {
		t.Fatalf("stats %+v", st)
	}
}

func TestConcurrentSenders(t *testing.T) {
	server, got := serve(t, Config{})
	client, _ := serve(t, Config{})
	const workers, each = 4, 100
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			p := &Path{Local: at("127.0.0.1", client.NATTPort()), Remote: at("127.0.0.1", server.NATTPort()), Encap: true}
			s := client.NewSender()
			for i := range each {
				s.Add(p, 0, espPacket(uint32(w<<16|i), 100))
				if i%10 == 9 {
					if err := s.Flush(); err != nil {
						t.Error(err)
					}
					if err := client.SendIKE([]Datagram{{ikeMessage(30, 1), p.Local, p.Remote}}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	var seen [workers]uint32
	for range workers * each {
		seq := binary.BigEndian.Uint32(next(t, got.esp).Data[4:])
		w, i := seq>>16, seq&0xffff
		if i != seen[w] {
			t.Fatalf("worker %d: packet %d came when %d was due", w, i, seen[w])
		}
		seen[w]++
	}
	for range workers * each / 10 {
		next(t, got.ike)
	}
}
