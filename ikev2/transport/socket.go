package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// kind is what a socket carries.
type kind uint8

const (
	kindIKE  kind = iota // the IKE port: IKE messages without marker
	kindNATT             // the NAT traversal port: IKE after a marker, ESP, keepalives
	kindRaw              // IP protocol 50
)

// socketBuffer is the buffer asked of the kernel each way: at 1 Gbit/s some
// 30 ms, the time a busy core may need to get back to the socket.
const socketBuffer = 4 << 20

// endpoint is one local address and port, with the sockets that share it.
type endpoint struct {
	kind    kind
	addr    netip.Addr // unspecified: all addresses of the family
	port    uint16
	sockets []*socket
}

// socket is one file descriptor. One reader receives from it; any sender may
// send.
type socket struct {
	kind  kind
	v6    bool
	port  uint16
	conn  closer
	raw   syscall.RawConn
	noGSO atomic.Bool // the kernel or device refused UDP_SEGMENT
}

type closer interface {
	io.Closer
	syscall.Conn
	SetReadDeadline(time.Time) error
}

func listenEndpoint(c Config, k kind, a netip.Addr, port uint16, n int) (*endpoint, error) {
	e := &endpoint{kind: k, addr: a, port: port}
	// What GRO has joined the kernel would take for one ESP packet.
	gro := k == kindNATT && c.Decapsulate == nil
	for i := range n {
		s, err := listenSocket(k, a, e.port, i > 0, gro)
		if err != nil {
			e.close()
			return nil, err
		}
		e.sockets = append(e.sockets, s)
		e.port = s.port
		if i == 0 && n > 1 {
			// Only now: bound without it, the port was ours alone to take.
			if err := setOption(s.raw, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
				e.close()
				return nil, err
			}
		}
	}
	return e, nil
}

func (e *endpoint) close() error {
	var err error
	for _, s := range e.sockets {
		err = errors.Join(err, s.conn.Close())
	}
	return err
}

func listenSocket(k kind, a netip.Addr, port uint16, share, gro bool) (*socket, error) {
	s := &socket{kind: k, v6: a.Is6()}
	var optErr error
	lc := net.ListenConfig{Control: func(_, _ string, rc syscall.RawConn) error {
		err := rc.Control(func(fd uintptr) { optErr = setOptions(int(fd), s.v6, share, gro) })
		return errors.Join(err, optErr)
	}}
	network, address := "udp", netip.AddrPortFrom(a, port).String()
	family := "4"
	if s.v6 {
		family = "6" // package net then sets IPV6_V6ONLY
	}
	network += family
	if k == kindRaw {
		network, address = "ip"+family+":50", a.String()
	}
	pc, err := lc.ListenPacket(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	switch c := pc.(type) {
	case *net.UDPConn:
		s.conn = c
		s.port = c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		s.raw, err = c.SyscallConn()
	case *net.IPConn:
		s.conn = c
		s.raw, err = c.SyscallConn()
	default:
		err = fmt.Errorf("unexpected connection type %T", pc)
	}
	if err != nil {
		pc.Close()
		return nil, err
	}
	return s, nil
}

// option is one setsockopt with an int.
type option struct{ level, name, value int }

func setOptions(fd int, v6, share, gro bool) error {
	required := []option{
		{unix.IPPROTO_IP, unix.IP_PKTINFO, 1},
		{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT},
	}
	wanted := []option{
		{unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1},
		{unix.IPPROTO_IP, unix.IP_RECVTOS, 1},
	}
	if v6 {
		required = []option{
			{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
			{unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT},
		}
		wanted[1] = option{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1}
	}
	if share {
		required = append(required, option{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1})
	}
	if gro {
		wanted = append(wanted, option{unix.IPPROTO_UDP, unix.UDP_GRO, 1})
	}
	for _, o := range required {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("setsockopt %d/%d: %w", o.level, o.name, err)
		}
	}
	for _, o := range wanted {
		// An older kernel without one of these serves, only slower or blinder.
		_ = unix.SetsockoptInt(fd, o.level, o.name, o.value)
	}
	growBuffer(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF)
	growBuffer(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF)
	return nil
}

// growBuffer asks beyond net.core.{r,w}mem_max, which needs CAP_NET_ADMIN, and
// else for what that allows.
func growBuffer(fd, force, plain int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, socketBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, socketBuffer)
	}
}

func setOption(rc syscall.RawConn, level, name, value int) error {
	var optErr error
	err := rc.Control(func(fd uintptr) { optErr = unix.SetsockoptInt(int(fd), level, name, value) })
	return errors.Join(err, optErr)
}

// stopReading makes the socket's reader return os.ErrDeadlineExceeded.
func (s *socket) stopReading() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) }
