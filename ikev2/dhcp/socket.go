package dhcp

import (
	"context"
	"errors"
	"fmt"
	"net"

	"golang.org/x/net/ipv4"
)

// Socket feeds a Server what the host itself receives: the way for a data plane
// in the kernel, whose decapsulated packets come up on the interface that the
// ESP packets came in by.
//
// It is a raw socket for UDP, bound to the broadcast address. So it holds no
// port and stands beside any DHCP server of the host's own, and the kernel
// hands it no other packets. It may send from an address that the host has not,
// and what it sends is subject to the IPsec policies as anything else is. Those
// for inbound packets have passed what comes here: nobody on a network of the
// host can pose as a client.
type Socket struct {
	server *Server
	raw    *ipv4.RawConn
}

// ListenError is a socket that could not be had. Its text ends in what the
// operator can do.
type ListenError struct{ Err error }

func (e *ListenError) Error() string {
	return fmt.Sprintf("socket for DHCPINFORM: %v: run as root or grant CAP_NET_RAW; Windows clients get no routes until then", e.Err)
}

// Unwrap is the operating system's error.
func (e *ListenError) Unwrap() error { return e.Err }

// Listen opens the socket in the network namespace of the calling thread. The
// error is a *ListenError.
func Listen(s *Server) (*Socket, error) {
	c, err := net.ListenPacket("ip4:udp", Broadcast.String())
	if err != nil {
		return nil, &ListenError{err}
	}
	raw, err := ipv4.NewRawConn(c)
	if err != nil {
		return nil, &ListenError{errors.Join(err, c.Close())}
	}
	return &Socket{s, raw}, nil
}

// Run answers until ctx ends, which closes the socket, or Close is called. It
// returns nil then, else the operating system's error.
func (s *Socket) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.Close() }) // nothing is waiting in it that could be lost
	defer stop()
	in := []ipv4.Message{{Buffers: [][]byte{make([]byte, 1<<16-1)}}}
	for {
		if _, err := s.raw.ReadBatch(in, 0); err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("socket for DHCPINFORM: %w", err)
		}
		if reply, _ := s.server.Answer(in[0].Buffers[0][:in[0].N]); reply != nil && s.send(reply) != nil {
			s.server.counts[SendFailed].Add(1)
		}
	}
}

// send sends a whole IP packet. The source stands in the control message, too:
// the kernel looks for the IPsec policy before it reads the packet, and what
// missed that would leave in the clear.
func (s *Socket) send(packet []byte) error {
	source, destination := net.IP(packet[12:16]), net.IP(packet[16:20])
	_, err := s.raw.WriteBatch([]ipv4.Message{{
		Buffers: [][]byte{packet}, Addr: &net.IPAddr{IP: destination},
		OOB: (&ipv4.ControlMessage{Src: source}).Marshal(),
	}}, 0)
	return err
}

// Close ends Run. The end of Run has closed the socket, too: that is no error.
func (s *Socket) Close() error {
	if err := s.raw.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
