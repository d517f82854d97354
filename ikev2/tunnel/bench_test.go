package tunnel

import (
	"io"
	"net"
	"net/netip"
	"os"
	"testing"

	"golang.zx2c4.com/wireguard/tun"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/transport"
)

// BenchmarkTCPStream sends one TCP stream from one network namespace to
// another through two tunnels, both on this machine.
func BenchmarkTCPStream(b *testing.B) {
	for _, tc := range []struct {
		name, suite string
		v6, encap   bool
	}{
		{"aes128gcm16", "aes128gcm16", false, true},
		{"aes256-sha1", "aes256-sha1", false, true},
		{"chacha20poly1305", "chacha20poly1305", false, true},
		{"aes128gcm16 protocol 50 IPv6", "aes128gcm16", true, false},
	} {
		b.Run(tc.name, func(b *testing.B) {
			hosts := newWorld(b, nil)
			install(b, hosts, pair(hosts, tc.suite, 1, tc.v6, tc.encap))
			client, server := connect(b, hosts, hosts[1].inner4)
			chunk := make([]byte, 1<<20)
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			b.ResetTimer()
			received := make(chan error, 1)
			go func() {
				_, err := io.CopyN(io.Discard, server, int64(b.N)*int64(len(chunk)))
				received <- err
			}()
			for range b.N {
				if _, err := client.Write(chunk); err != nil {
					b.Fatal(err)
				}
			}
			if err := <-received; err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)*float64(len(chunk))*8/1e9/b.Elapsed().Seconds(), "Gbit/s")
		})
	}
}

// blackHole is a device that never gives a packet and swallows all.
type blackHole struct{ tun.Device }

func (blackHole) Name() (string, error)                   { return "blackhole", nil }
func (blackHole) MTU() (int, error)                       { return DefaultMTU, nil }
func (blackHole) BatchSize() int                          { return 128 }
func (blackHole) Write(bufs [][]byte, _ int) (int, error) { return len(bufs), nil }
func (blackHole) Close() error                            { return nil }
func (blackHole) File() *os.File                          { return nil }

const benchBatch = 40 // segments of a TCP super-packet

// benchTunnel has one Child SA to a socket that nobody reads.
func benchTunnel(b *testing.B, encap bool) (*Tunnel, esp.Child) {
	b.Helper()
	loopback := netip.MustParseAddr("127.0.0.1")
	tr, err := transport.Listen(transport.Config{Addresses: []netip.Addr{loopback}, RawESP: !encap})
	if err != nil {
		b.Fatal(err)
	}
	sink, err := net.ListenUDP("udp4", &net.UDPAddr{IP: loopback.AsSlice()})
	if err != nil {
		b.Fatal(err)
	}
	tn, err := Open(Config{Transport: tr, Devices: []tun.Device{blackHole{}}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { tn.Close(); tr.Close(); sink.Close() })
	c := manyChildren(0)
	c.Path = esp.Path{
		Local:  netip.AddrPortFrom(loopback, tr.NATTPort()),
		Remote: sink.LocalAddr().(*net.UDPAddr).AddrPort(), Encap: encap,
	}
	if err := tn.Install(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	return tn, c
}

// BenchmarkSend is the way of a packet from the device's buffer into the
// kernel's socket: route, selectors, seal, segmented send.
func BenchmarkSend(b *testing.B) {
	for _, name := range []string{"UDP", "protocol 50"} {
		b.Run(name, func(b *testing.B) {
			tn, c := benchTunnel(b, name == "UDP")
			o := newOutbound(tn, tn.queues[0])
			packet := ipPacket(here4, c.Remote[0].Start, 17, make([]byte, 1360))
			b.SetBytes(int64(len(packet)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				n := i % benchBatch
				o.sizes[n] = copy(o.bufs[n][headroom:], packet)
				if n == benchBatch-1 {
					o.send(benchBatch)
				}
			}
			if u, err := tn.Usage(b.Context(), nil); err != nil || u[0].PacketsOut == 0 {
				b.Fatalf("nothing was sent: %+v %v", u, err)
			}
		})
	}
}

// BenchmarkReceive is the way of a packet from the socket's buffer to the
// device: SPI, replay window, open, selectors, hand-over. Sealing the packet,
// with a fresh sequence number, is part of the figure; "seal" is that alone.
func BenchmarkReceive(b *testing.B) {
	for _, name := range []string{"open", "seal"} {
		b.Run(name, func(b *testing.B) {
			tn, c := benchTunnel(b, true)
			peer, err := esp.NewOutbound(c.In)
			if err != nil {
				b.Fatal(err)
			}
			w := tn.takeWriter()
			packet := ipPacket(c.Remote[0].Start, here4, 17, make([]byte, 1360))
			batch := make([]transport.ESPDatagram, benchBatch)
			bufs := make([][]byte, benchBatch)
			for i := range bufs {
				bufs[i] = make([]byte, 2048)
			}
			b.SetBytes(int64(len(packet)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				n := i % benchBatch
				copy(bufs[n][headroom:], packet)
				sealed, err := peer.Seal(bufs[n], headroom, len(packet), nextHeaderIPv4)
				if err != nil {
					b.Fatal(err)
				}
				batch[n] = transport.ESPDatagram{Data: sealed, Local: c.Path.Local, Remote: c.Path.Remote, Encap: true}
				if n == benchBatch-1 && name == "open" {
					w.handle(batch)
				}
			}
			if d := tn.Drops(); d != (Drops{}) {
				b.Fatalf("dropped %v", d)
			}
		})
	}
}

// BenchmarkInstall is the cost of one more Child SA when 5,000 are there.
func BenchmarkInstall(b *testing.B) {
	tn, err := Open(Config{Devices: []tun.Device{blackHole{}}})
	if err != nil {
		b.Fatal(err)
	}
	for i := range 5000 {
		if err := tn.Install(b.Context(), manyChildren(i)); err != nil {
			b.Fatal(err)
		}
	}
	c := manyChildren(5000)
	b.ReportAllocs()
	for b.Loop() {
		if err := tn.Install(b.Context(), c); err != nil {
			b.Fatal(err)
		}
		if err := tn.Remove(b.Context(), c.ID); err != nil {
			b.Fatal(err)
		}
	}
}
