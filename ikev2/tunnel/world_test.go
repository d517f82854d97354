package tunnel

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
	"bridgehead/ikev2/transport"
)

// host is one end of a world: a network namespace with an outer interface, a
// tunnel and an inner address of each family.
type host struct {
	ns             netns.NsHandle
	outer4, outer6 netip.Addr
	inner4, inner6 netip.Addr
	transport      *transport.Transport
	tunnel         *Tunnel
}

var worlds atomic.Int32

// in runs f on a thread inside the namespace.
func (h *host) in(tb testing.TB, f func() error) {
	tb.Helper()
	done := make(chan error, 1)
	go func() {
		// The thread stays locked and ends with the goroutine: no other may
		// find itself in this namespace.
		runtime.LockOSThread()
		if err := netns.Set(h.ns); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	if err := <-done; err != nil {
		tb.Fatal(err)
	}
}

func newNamespace(tb testing.TB) netns.NsHandle {
	tb.Helper()
	type made struct {
		ns  netns.NsHandle
		err error
	}
	done := make(chan made)
	go func() {
		runtime.LockOSThread()
		ns, err := netns.New() // anonymous: gone with its last user
		done <- made{ns, err}
	}()
	m := <-done
	if m.err != nil {
		tb.Fatalf("network namespace (root is needed): %v", m.err)
	}
	tb.Cleanup(func() { m.ns.Close() })
	return m.ns
}

// newWorld makes two hosts joined by a veth pair, each with a tunnel that runs.
func newWorld(tb testing.TB, configure func(side int, c *Config)) [2]*host {
	tb.Helper()
	var hosts [2]*host
	for i := range hosts {
		n := byte(i + 1)
		hosts[i] = &host{
			ns:     newNamespace(tb),
			outer4: netip.AddrFrom4([4]byte{192, 0, 2, n}),
			outer6: netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", n)),
			inner4: netip.AddrFrom4([4]byte{10, 77, 0, n}),
			inner6: netip.MustParseAddr(fmt.Sprintf("fd77::%d", n)),
		}
	}
	link(tb, hosts)
	for i, h := range hosts {
		h.start(tb, func(c *Config) {
			if configure != nil {
				configure(i, c)
			}
		})
	}
	return hosts
}

func link(tb testing.TB, hosts [2]*host) {
	tb.Helper()
	name := fmt.Sprintf("bh%d-%d", os.Getpid(), worlds.Add(1))
	hosts[0].in(tb, func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = name
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: attrs, PeerName: name, PeerNamespace: netlink.NsFd(hosts[1].ns),
		})
	})
	for _, h := range hosts {
		h.in(tb, func() error { return configureLink(name, h.outer4, h.outer6) })
		h.in(tb, func() error { return configureLink("lo") })
	}
}

// configureLink gives addresses, each with the world's other address of its
// subnet on the link.
func configureLink(name string, addrs ...netip.Addr) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		n := &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen()-8, a.BitLen())}
		addr := &netlink.Addr{IPNet: n}
		if a.Is6() {
			addr.Flags = 0x02 // IFA_F_NODAD
		}
		if err := netlink.AddrAdd(l, addr); err != nil {
			return fmt.Errorf("%s on %s: %w", a, name, err)
		}
	}
	return netlink.LinkSetUp(l)
}

func (h *host) start(tb testing.TB, configure func(*Config)) {
	tb.Helper()
	h.in(tb, func() (err error) {
		h.transport, err = transport.Listen(transport.Config{NATTPort: 4500, RawESP: true})
		return err
	})
	c := Config{Transport: h.transport}
	configure(&c)
	h.in(tb, func() (err error) {
		if h.tunnel, err = Open(c); err != nil {
			return err
		}
		return configureLink(h.tunnel.Name(), h.inner4, h.inner6)
	})
	done := make(chan error, 2)
	go func() { done <- h.transport.Serve(context.Background(), espOnly{h.tunnel}) }()
	go func() { done <- h.tunnel.Run(context.Background()) }()
	tb.Cleanup(func() {
		h.tunnel.Close()
		h.transport.Close()
		for range 2 {
			if err := <-done; err != nil {
				tb.Errorf("%s: %v", h.outer4, err)
			}
		}
	})
}

// espOnly is a transport.Handler without IKE.
type espOnly struct{ t *Tunnel }

func (espOnly) HandleIKE([]transport.Datagram)            {}
func (h espOnly) HandleESP(batch []transport.ESPDatagram) { h.t.HandleESP(batch) }

// Cipher suites as strongSwan writes them, by transform id and key bits.
var suites = map[string]suite.ESP{
	"aes128gcm16":      {Encr: 20, KeyLength: 128},
	"aes256-sha1":      {Encr: 12, KeyLength: 256, Integ: 2},
	"aes256-sha512":    {Encr: 12, KeyLength: 256, Integ: 14},
	"chacha20poly1305": {Encr: 28, ESN: true},
}

// sa makes a key of its own for each direction and generation.
func sa(name string, spi uint32) esp.SA {
	s := suites[name]
	key := sha256.Sum256([]byte(fmt.Sprint(name, spi)))
	encr := int(s.KeyLength) / 8
	integ := map[uint16]int{0: 0, 2: 20, 12: 32, 13: 48, 14: 64}[uint16(s.Integ)]
	if s.Encr == 28 {
		encr = 32
	}
	if integ == 0 {
		encr += 4
	}
	long := append(append(key[:], key[:]...), key[:]...)
	return esp.SA{SPI: spi, Suite: s, EncrKey: suite.Secret(long[:encr]), IntegKey: suite.Secret(long[:integ])}
}

// selectors covers single addresses.
func selectors(addrs ...netip.Addr) []message.Selector {
	var out []message.Selector
	for _, a := range addrs {
		out = append(out, message.Selector{EndPort: 65535, Start: a, End: a})
	}
	return out
}

// pair gives both ends of a Child SA, generation by generation.
func pair(hosts [2]*host, name string, generation uint32, v6, encap bool) [2]esp.Child {
	var children [2]esp.Child
	for i := range children {
		me, peer := hosts[i], hosts[1-i]
		local, remote := me.outer4, peer.outer4
		if v6 {
			local, remote = me.outer6, peer.outer6
		}
		children[i] = esp.Child{
			ID:  esp.ChildID(generation),
			In:  sa(name, 0x1000*generation+uint32(i)),
			Out: sa(name, 0x1000*generation+uint32(1-i)),
			Path: esp.Path{
				Local: netip.AddrPortFrom(local, 4500), Remote: netip.AddrPortFrom(remote, 4500), Encap: encap,
			},
			Local:  selectors(me.inner4, me.inner6),
			Remote: selectors(peer.inner4, peer.inner6),
		}
	}
	return children
}

func install(tb testing.TB, hosts [2]*host, children [2]esp.Child) {
	tb.Helper()
	for i, h := range hosts {
		if err := h.tunnel.Install(context.Background(), children[i]); err != nil {
			tb.Fatal(err)
		}
	}
}

// connect opens a TCP connection through the tunnel, from hosts[0] to hosts[1].
func connect(tb testing.TB, hosts [2]*host, to netip.Addr) (client, server net.Conn) {
	tb.Helper()
	var l net.Listener
	hosts[1].in(tb, func() (err error) {
		l, err = net.Listen("tcp", netip.AddrPortFrom(to, 0).String())
		return err
	})
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			close(accepted)
			return
		}
		accepted <- c
	}()
	hosts[0].in(tb, func() (err error) {
		client, err = net.Dial("tcp", l.Addr().String())
		return err
	})
	server, ok := <-accepted
	if !ok {
		tb.Fatal("the connection was not accepted")
	}
	tb.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}
