package radius

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	codec "layeh.com/radius"
)

const (
	// dialTime bounds the way to a TLS server, handshake included.
	dialTime = 5 * time.Second
	// writeTime bounds one write: a TLS server that takes nothing is gone.
	writeTime = 5 * time.Second
)

// link carries whole packets to one server and back.
type link interface {
	send(packet []byte) error
	// receive waits for one packet. An error for which broken is false is
	// passing: the next packet may be fine.
	receive(buf []byte) (int, error)
	broken(err error) bool
	Close() error
}

// dialer makes links to one server.
type dialer func(ctx context.Context) (link, error)

// dialer makes the links to the server that the configuration names.
func (c *ServerConfig) dialer() dialer {
	if c.TLS != nil {
		return c.tlsDialer()
	}
	return c.udpDialer()
}

// udpDialer makes connected sockets: the kernel keeps away whatever comes from
// another address, and tells when nothing listens.
func (c *ServerConfig) udpDialer() dialer {
	d := net.Dialer{Timeout: dialTime}
	if c.Source.IsValid() {
		d.LocalAddr = &net.UDPAddr{IP: c.Source.AsSlice(), Zone: c.Source.Zone()}
	}
	return func(ctx context.Context) (link, error) {
		conn, err := d.DialContext(ctx, "udp", c.Address)
		if err != nil {
			return nil, err
		}
		return udpLink{conn}, nil
	}
}

type udpLink struct{ net.Conn }

func (l udpLink) send(packet []byte) error        { _, err := l.Write(packet); return err }
func (l udpLink) receive(buf []byte) (int, error) { return l.Read(buf) }
func (udpLink) broken(err error) bool             { return errors.Is(err, net.ErrClosed) }

// tlsDialer makes connections with mutual certificates (RFC 6614 §2.3).
func (c *ServerConfig) tlsDialer() dialer {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTime, KeepAlive: 15 * time.Second}, Config: c.TLS}
	if c.Source.IsValid() {
		d.NetDialer.LocalAddr = &net.TCPAddr{IP: c.Source.AsSlice(), Zone: c.Source.Zone()}
	}
	return func(ctx context.Context) (link, error) {
		ctx, cancel := context.WithTimeout(ctx, dialTime)
		defer cancel()
		conn, err := d.DialContext(ctx, "tcp", c.Address)
		if err != nil {
			return nil, err
		}
		return streamLink{conn}, nil
	}
}

// streamLink frames packets by their own length field (RFC 6613 §2.6).
type streamLink struct{ net.Conn }

func (l streamLink) send(packet []byte) error {
	if err := l.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	_, err := l.Write(packet)
	return err
}

// receive reads one packet. A length that can't be is the end: nobody knows
// where the next packet would begin.
func (l streamLink) receive(buf []byte) (int, error) { return readFrame(l.Conn, buf) }

func (streamLink) broken(error) bool { return true }

func readFrame(r io.Reader, buf []byte) (int, error) {
	if _, err := io.ReadFull(r, buf[:4]); err != nil {
		return 0, err
	}
	n := int(binary.BigEndian.Uint16(buf[2:]))
	if n < headerLen || n > codec.MaxPacketLength || n > len(buf) {
		return 0, fmt.Errorf("a packet of %d octets announced, expected %d to %d", n, headerLen, codec.MaxPacketLength)
	}
	if _, err := io.ReadFull(r, buf[4:n]); err != nil {
		return 0, err
	}
	return n, nil
}
