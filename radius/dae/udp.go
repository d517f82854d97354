package dae

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	codec "layeh.com/radius"
)

// maxFaults is how many errors in a row a socket survives.
const maxFaults = 64

// Socket is a UDP socket for requests. Answers leave by the address that was
// asked, also where the socket listens on all.
type Socket struct {
	conn *net.UDPConn
	v4   *ipv4.PacketConn // nil over IPv6
	v6   *ipv6.PacketConn // nil over IPv4
}

// Listen opens a UDP socket. An unspecified address is all addresses of its
// family.
func Listen(address netip.AddrPort) (*Socket, error) {
	network := "udp6"
	if address.Addr().Is4() {
		network = "udp4"
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(address))
	if err != nil {
		return nil, fmt.Errorf("dynamic authorization on %s: %w", address, err)
	}
	s := &Socket{conn: conn}
	if network == "udp4" {
		s.v4 = ipv4.NewPacketConn(conn)
		err = s.v4.SetControlMessage(ipv4.FlagDst, true)
	} else {
		s.v6 = ipv6.NewPacketConn(conn)
		err = s.v6.SetControlMessage(ipv6.FlagDst, true)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("dynamic authorization on %s: %w", address, err), conn.Close())
	}
	return s, nil
}

// Addr is where the socket listens.
func (s *Socket) Addr() netip.AddrPort { return s.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// Close closes the socket.
func (s *Socket) Close() error { return s.conn.Close() }

// read takes one datagram; to is the address that it was sent to.
func (s *Socket) read(b []byte) (n int, from *net.UDPAddr, to net.IP, err error) {
	var src net.Addr
	if s.v4 != nil {
		var cm *ipv4.ControlMessage
		if n, cm, src, err = s.v4.ReadFrom(b); cm != nil {
			to = cm.Dst
		}
	} else {
		var cm *ipv6.ControlMessage
		if n, cm, src, err = s.v6.ReadFrom(b); cm != nil {
			to = cm.Dst
		}
	}
	from, _ = src.(*net.UDPAddr)
	return n, from, to, err
}

// write sends an answer from the address that was asked.
func (s *Socket) write(b []byte, from net.IP, to *net.UDPAddr) error {
	var err error
	if s.v4 != nil {
		_, err = s.v4.WriteTo(b, &ipv4.ControlMessage{Src: from}, to)
	} else {
		_, err = s.v6.WriteTo(b, &ipv6.ControlMessage{Src: from}, to)
	}
	return err
}

// ServeUDP takes requests from a socket until ctx ends or the socket fails,
// waits for those under way, and closes the socket.
func (s *Server) ServeUDP(ctx context.Context, socket *Socket) error {
	var running sync.WaitGroup
	defer socket.Close()
	defer running.Wait()
	defer context.AfterFunc(ctx, func() { socket.conn.SetReadDeadline(time.Unix(1, 0)) })()
	buf := make([]byte, codec.MaxPacketLength)
	for faults := 0; ; {
		n, from, to, err := socket.read(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil || from == nil { // such as an ICMP error of an answer before
			if faults++; faults > maxFaults || errors.Is(err, net.ErrClosed) {
				return err
			}
			continue
		}
		faults = 0
		addr := from.AddrPort()
		addr = netip.AddrPortFrom(addr.Addr().Unmap().WithZone(""), addr.Port())
		s.receive(ctx, &running, source{addr: addr}, buf[:n], func(answer []byte) {
			if err := socket.write(answer, to, from); err != nil {
				s.log.Warn("dynamic authorization: an answer was not sent", "to", addr.String(), "error", err)
			}
		})
	}
}
