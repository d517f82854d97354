package dhcp

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bridgehead/integration/lab"
)

// TestSocket answers a broadcast that the host received, though another program
// holds the port, from an address that the host has not. Without kernel ESP
// the client is simply a neighbour.
func TestSocket(t *testing.T) {
	l := lab.New(t)
	gateway, client := l.Namespace("gate"), l.Namespace("client")
	_, link := l.Link(gateway, []string{"10.1.0.254/24"}, client, []string{"10.1.0.2/24"})
	gateway.Run("ip", "route", "add", alice.String()+"/32", "via", "10.1.0.2")
	client.AddAddress(link, alice.String()+"/32")

	s, session := NewServer(time.Now), alicesSession()
	session.Server = netip.MustParseAddr("192.0.0.8")
	s.Add(session)
	var held io.Closer
	var socket *Socket
	var err error
	gateway.Do(func() {
		var other net.PacketConn
		if other, err = net.ListenPacket("udp4", ":67"); err == nil {
			held = other
			socket, err = Listen(s)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- socket.Run(ctx) }()

	var conn net.PacketConn
	broadcasting := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		return errors.Join(raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1) }), err)
	}}
	client.Run("ip", "route", "add", "255.255.255.255/32", "dev", link)
	client.Do(func() {
		conn, err = broadcasting.ListenPacket(ctx, "udp4", netip.AddrPortFrom(alice, clientPort).String())
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"10.1.0.254:67", "255.255.255.255:137", "255.255.255.255:67"} { // the last alone is answered
		if _, err := conn.WriteTo(windows().message(), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to))); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 1500)
	n, from, err := conn.ReadFrom(buf)
	if err != nil || from.String() != "192.0.0.8:67" || n < minLen || buf[offOp] != bootReply {
		t.Errorf("%d octets from %v, %v", n, from, err)
	}
	if s.Counts() != (Counts{Answered: 1}) {
		t.Errorf("counted %v", s.Counts())
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("ended: %v", err)
	}
	if err := socket.Close(); err != nil {
		t.Errorf("closed once more: %v", err)
	}
}
