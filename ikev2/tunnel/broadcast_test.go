package tunnel

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bridgehead/ikev2/inetsum"
)

// udpOn opens a UDP socket of h for broadcasts, on its tunnel's device alone.
func (h *host) udpOn(t *testing.T, addr netip.AddrPort) *net.UDPConn {
	t.Helper()
	var c net.PacketConn
	h.in(t, func() (err error) {
		c, err = (&net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
			failed := raw.Control(func(fd uintptr) {
				if err = unix.BindToDevice(int(fd), h.tunnel.Name()); err == nil {
					err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
				}
			})
			if failed != nil {
				return failed
			}
			return err
		}}).ListenPacket(context.Background(), "udp4", addr.String())
		return err
	})
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.UDPConn)
}

// TestBroadcastIsAnswered: what Config.Broadcast takes never reaches the host
// and its answer goes through the tunnel; the rest reaches the host.
func TestBroadcastIsAnswered(t *testing.T) {
	const port = 6767
	ask, other, answer := []byte("who serves?"), []byte("for the host"), []byte("I do")
	hosts := newWorld(t, func(side int, c *Config) {
		if side == 0 {
			return
		}
		c.Broadcast = func(p []byte) ([]byte, bool) {
			if !bytes.HasSuffix(p, ask) {
				return nil, false
			}
			// Ends swapped, ports the same, and no checksum over UDP.
			reply := append(bytes.Clone(p[:28]), answer...)
			copy(reply[12:16], []byte{10, 77, 0, 2})
			copy(reply[16:20], p[12:16])
			reply[3], reply[25], reply[26], reply[27] = byte(len(reply)), byte(len(reply)-20), 0, 0
			reply[10], reply[11] = 0, 0
			sum := inetsum.Of(0, reply[:20])
			reply[10], reply[11] = byte(sum>>8), byte(sum)
			return reply, true
		}
	})
	broadcast := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	children := pair(hosts, "aes128gcm16", 1, false, true)
	children[0].Remote = append(children[0].Remote, selectors(broadcast)...)
	children[1].Local = append(children[1].Local, selectors(broadcast)...)
	install(t, hosts, children)

	client := hosts[0].udpOn(t, netip.AddrPortFrom(hosts[0].inner4, port))
	server := hosts[1].udpOn(t, netip.AddrPortFrom(netip.IPv4Unspecified(), port))
	buf := make([]byte, 1500)
	for range 2 {
		if _, err := client.WriteToUDPAddrPort(ask, netip.AddrPortFrom(broadcast, port)); err != nil {
			t.Fatal(err)
		}
		n, from, err := client.ReadFromUDPAddrPort(buf)
		if err != nil || !bytes.Equal(buf[:n], answer) || from.Addr() != hosts[1].inner4 {
			t.Fatalf("%q from %v, %v", buf[:n], from, err)
		}
	}
	if _, err := client.WriteToUDPAddrPort(other, netip.AddrPortFrom(broadcast, port)); err != nil {
		t.Fatal(err)
	}
	if n, _, err := server.ReadFromUDPAddrPort(buf); err != nil || !bytes.Equal(buf[:n], other) {
		t.Errorf("the host got %q first, %v", buf[:n], err)
	}
	us, err := hosts[1].tunnel.Usage(t.Context(), nil)
	if want := uint64(2 * (28 + len(answer))); err != nil || us[0].BytesOut != want || us[0].PacketsIn < 3 {
		t.Errorf("accounted %+v, want %d octets out, %v", us, want, err)
	}
}
