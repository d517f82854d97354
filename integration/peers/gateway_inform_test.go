package peers

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bridgehead/integration/lab"
)

// splitRoutes is what TestWindowsGetsSplitRoutes adds to [addresses].
const splitRoutes = `[addresses]
subnets = ["10.99.0.0/24", "172.20.0.0/14", "fd00:99::/64"]
domains = ["corp.example.org"]
`

// TestWindowsGetsSplitRoutes, whatever firewall and DHCP server the host has.
func TestWindowsGetsSplitRoutes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.gateway.Rules("table inet strict {\nchain input {\ntype filter hook input priority filter; udp dport 67 drop\n}\n}\n")
	holdPort67(t, s.gateway)
	s.windowsGetsSplitRoutes(t, "")
}

// windowsGetsSplitRoutes: the program's client, looking like Windows,
// broadcasts a DHCPINFORM through its tunnel and gets the routes of
// addresses.subnets; whatever else it, or somebody in its place, broadcasts gets
// nothing.
func (s *site) windowsGetsSplitRoutes(t *testing.T, more string) {
	t.Helper()
	file := s.writeConfig(t, more)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Replace(text, []byte("[addresses]\n"), []byte(splitRoutes), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(t, "serve", "--config", file)
	c := s.newClient(t, "windows")
	p := connect(t, c.Namespace, t.TempDir(), s.root, s.outside.IPv4.String(), "--as", "windows10-dh2048")
	addresses := s.oneSession(t).Addresses
	leased := netip.MustParseAddr(addresses[slices.IndexFunc(addresses, func(a string) bool { return strings.Contains(a, ".") })])
	_, device, _ := strings.Cut(p.Log(), "connected on ")
	device = strings.FieldsFunc(device, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-", r) })[0]
	w := newInformer(t, c.Namespace, device, leased)

	begun := time.Now()
	w.send(t, 1, w.address, informType)
	got := w.receive(t, 1)
	routes := []byte{24, 10, 99, 0, 0, 0, 0, 0, 14, 172, 20, 0, 0, 0, 0}
	want := map[byte][]byte{
		53: {5}, 54: {10, 99, 0, 254}, 1: {255, 255, 255, 255}, 6: netip.MustParseAddr(resolver4).AsSlice(), 15: []byte("corp.example.org"),
		249: routes, 121: routes,
	}
	if !maps.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("options %v, want %v", got, want)
	}

	// What is answered next is what was asked next: the rest got nothing.
	w.send(t, 2, w.address, discoverType)
	w.send(t, 3, netip.MustParseAddr("192.0.2.77"), informType)
	w.malformed(t)
	s.inside.AddAddress("lo", leased.String()+"/32")
	newInformer(t, s.inside, linkOf(s.inside, behind4), leased).send(t, 5, leased, informType)
	w.send(t, 4, w.address, informType)
	w.receive(t, 4)
	all := func() (n float64) {
		for name, v := range s.metrics(t) {
			if strings.HasPrefix(name, "bridgehead_dhcp_messages_total") {
				n += v
			}
		}
		return n
	}
	// A few at a time: the sockets on the way hold no more on a slow machine.
	const flood, few = 200, 20
	for sent := 0; sent < flood; {
		for range few {
			w.send(t, uint32(100+sent), w.address, informType)
			sent++
		}
		lab.Eventually(t, lab.Patience, "every message to be counted", func() bool { return all() == float64(sent+5) })
	}
	const burst, refill = 8, 5 * time.Second // of package dhcp
	allowed := burst + int(time.Since(begun)/refill) + 1
	counted := s.metrics(t)
	count := func(result string) int {
		return int(counted[fmt.Sprintf(`bridgehead_dhcp_messages_total{result=%q}`, result)])
	}
	if count("not_inform") != 1 || count("foreign") != 1 || count("malformed") != 1 || count("answered") > allowed || count("too_many") < flood-allowed {
		t.Errorf("counted %v", counted)
	}
	if n := len(w.rest(t, 100)); n > allowed {
		t.Errorf("%d answers to a flood", n)
	}
}

// Values of the option "DHCP message type".
const (
	discoverType = 1
	informType   = 8
)

// informer is the DHCP client of Windows on a device.
type informer struct {
	*net.UDPConn
	address netip.Addr
}

// linkOf is the interface that has an address.
func linkOf(n *lab.Namespace, address string) string {
	return strings.Fields(n.Run("ip", "-o", "addr", "show", "to", address))[1]
}

// newInformer opens the client's socket at a machine.
func newInformer(t *testing.T, n *lab.Namespace, device string, address netip.Addr) *informer {
	t.Helper()
	w := &informer{address: address}
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		failed := raw.Control(func(fd uintptr) {
			if err = unix.BindToDevice(int(fd), device); err == nil {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
			}
		})
		if failed != nil {
			return failed
		}
		return err
	}}
	var conn net.PacketConn
	var err error
	n.Do(func() {
		conn, err = config.ListenPacket(context.Background(), "udp4", netip.AddrPortFrom(w.address, 68).String())
	})
	if err != nil {
		t.Fatalf("socket on %q: %v", device, err)
	}
	w.UDPConn = conn.(*net.UDPConn)
	t.Cleanup(func() { w.Close() })
	return w
}

// holdPort67 keeps the port of DHCP servers as another program would.
func holdPort67(t *testing.T, n *lab.Namespace) {
	t.Helper()
	var held net.PacketConn
	var err error
	n.Do(func() { held, err = net.ListenPacket("udp4", ":67") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { held.Close() })
}

// send broadcasts a message as Windows has it.
func (w *informer) send(t *testing.T, id uint32, ciaddr netip.Addr, kind byte) {
	t.Helper()
	m := make([]byte, 240)
	m[0], m[1], m[2] = 1, 8, 6
	binary.BigEndian.PutUint32(m[4:], id)
	copy(m[12:], ciaddr.AsSlice())
	copy(m[28:], "RAS \x00\x01")
	copy(m[236:], []byte{99, 130, 83, 99})
	m = append(m, 53, 1, kind, 61, 7, 8, 'R', 'A', 'S', ' ', 0, 1)
	m = append(append(m, 60, 8), "MSFT 5.0"...)
	m = append(m, 55, 13, 1, 15, 3, 6, 44, 46, 47, 31, 33, 121, 249, 43, 252, 255)
	w.broadcast(t, m)
}

func (w *informer) malformed(t *testing.T) {
	t.Helper()
	w.broadcast(t, []byte("no DHCP message at all"))
}

func (w *informer) broadcast(t *testing.T, message []byte) {
	t.Helper()
	if _, err := w.WriteToUDPAddrPort(message, netip.MustParseAddrPort("255.255.255.255:67")); err != nil {
		t.Fatal(err)
	}
}

// receive reads the next answer, which must be to the message id, and gives its
// options.
func (w *informer) receive(t *testing.T, id uint32) map[byte][]byte {
	t.Helper()
	buf := make([]byte, 1500)
	if err := w.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, from, err := w.ReadFromUDPAddrPort(buf)
	if err != nil || n < 300 {
		t.Fatalf("no answer: %d octets, %v", n, err)
	}
	if got := binary.BigEndian.Uint32(buf[4:]); got != id || buf[0] != 2 || from.Port() != 67 ||
		!bytes.Equal(buf[12:16], w.address.AsSlice()) || !bytes.Equal(buf[16:28], make([]byte, 12)) {
		t.Fatalf("answer %d from %v, want one to %d: % x", got, from, id, buf[:44])
	}
	options := map[byte][]byte{}
	for rest := buf[240:n]; rest[0] != 255; rest = rest[2+rest[1]:] {
		options[rest[0]] = bytes.Clone(rest[2 : 2+rest[1]])
	}
	return options
}

// rest reads the answers that have come, to messages from id on.
func (w *informer) rest(t *testing.T, id uint32) (ids []uint32) {
	t.Helper()
	buf := make([]byte, 1500)
	if err := w.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for {
		n, _, err := w.ReadFromUDPAddrPort(buf)
		if err != nil {
			return ids
		}
		if got := binary.BigEndian.Uint32(buf[4:]); n < 300 || got < id {
			t.Fatalf("answer of %d octets to %d", n, got)
		} else {
			ids = append(ids, got)
		}
	}
}
