package transport

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestIKEDoesNotWaitForESP: an ESP sender that waits for room in the queue
// holds the descriptor's write lock meanwhile.
func TestIKEDoesNotWaitForESP(t *testing.T) {
	server, got := serve(t, Config{})
	client, _ := serve(t, Config{})
	d := Datagram{ikeMessage(300, 7), at("127.0.0.1", client.NATTPort()), at("127.0.0.1", server.NATTPort())}
	err := client.socketFor(kindNATT, d.Local.Addr(), d.Remote.Addr()).raw.Write(func(uintptr) bool {
		sent := make(chan error, 1)
		go func() { sent <- client.SendIKE([]Datagram{d}) }()
		if err := next(t, sent); err != nil {
			t.Error(err)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	next(t, got.ike)
}

// TestUnspecifiedLocal: without a local address the remote one's family
// decides the socket.
func TestUnspecifiedLocal(t *testing.T) {
	server, got := serve(t, Config{})
	client, _ := serve(t, Config{})
	for _, remote := range []string{"127.0.0.1", "::1"} {
		d := Datagram{ikeMessage(300, 7), netip.AddrPortFrom(netip.Addr{}, client.NATTPort()), at(remote, server.NATTPort())}
		if err := client.SendIKE([]Datagram{d}); err != nil {
			t.Fatal(err)
		}
		if from := next(t, got.ike).Remote.Addr(); from != d.Remote.Addr() {
			t.Errorf("to %s from %s", remote, from)
		}
	}
}

// TestLinkLocalByName: a zone may be an interface's name, as people write it;
// datagrams come with its number.
func TestLinkLocalByName(t *testing.T) {
	var server, client *Transport
	address := netip.MustParseAddr("fe80::1%lo")
	inNamespace(t, 65536, []string{"fe80::1/64"}, func() (err error) {
		if server, err = Listen(Config{Addresses: []netip.Addr{address}}); err == nil {
			client, err = Listen(Config{Addresses: []netip.Addr{address}})
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
	asked := Datagram{ikeMessage(300, 1), netip.AddrPortFrom(address, client.IKEPort()), netip.AddrPortFrom(address, server.IKEPort())}
	if err := client.SendIKE([]Datagram{asked}); err != nil {
		t.Fatal(err)
	}
	d := next(t, got.ike)
	if err := server.SendIKE([]Datagram{{d.Data, d.Local, d.Remote}}); err != nil {
		t.Fatalf("answer from %s to %s: %v", d.Local, d.Remote, err)
	}
	next(t, back.ike)
}

// brokenConn is a descriptor that the kernel has no more to say on.
type brokenConn struct{ syscall.RawConn }

var errBroken = errors.New("broken")

func (brokenConn) Read(func(uintptr) bool) error { return errBroken }

// TestFaultyReaderEndsServe: a gateway that hears nothing on one of its
// sockets must not seem to run.
func TestFaultyReaderEndsServe(t *testing.T) {
	tr, err := Listen(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	s := tr.endpoints[len(tr.endpoints)-1].sockets[0]
	s.raw = brokenConn{s.raw}
	served := make(chan error, 1)
	go func() { served <- tr.Serve(context.Background(), newSink()) }()
	if err := next(t, served); !errors.Is(err, errBroken) {
		t.Errorf("Serve: %v, want %v", err, errBroken)
	}
}

// TestDecapsulateHasEverySocket of the NAT traversal port, and no other; GRO is
// off on those, and a refusal is Listen's.
func TestDecapsulateHasEverySocket(t *testing.T) {
	asked := 0
	c := Config{Readers: 3, Decapsulate: func(conn syscall.Conn) error {
		asked++
		raw, err := conn.SyscallConn()
		if err != nil {
			return err
		}
		var value int
		var got error
		err = raw.Control(func(fd uintptr) { value, got = unix.GetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO) })
		if err = errors.Join(err, got); err == nil && value != 0 {
			err = errors.New("UDP_GRO is on")
		}
		return err
	}}
	tr, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	if asked != 6 {
		t.Errorf("%d sockets of 3 for each family", asked)
	}
	refusal := errors.New("no such option")
	c.Decapsulate = func(syscall.Conn) error { return refusal }
	if _, err := Listen(c); !errors.Is(err, refusal) {
		t.Errorf("Listen: %v", err)
	}
}
