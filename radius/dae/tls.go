package dae

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	codec "layeh.com/radius"

	"bridgehead/radius"
)

const (
	// handshakeTime bounds the handshake, and idleTime the wait for the next
	// request on a connection.
	handshakeTime = 5 * time.Second
	idleTime      = 10 * time.Minute
	writeTime     = 5 * time.Second
	// acceptAgain is the pause after a connection that could not be taken.
	acceptAgain = 100 * time.Millisecond
	// connections bounds the TLS connections, and handshakes those of which
	// nothing is known yet.
	connections = 128
	handshakes  = 32
)

// ServeTLS takes connections from l until ctx ends or l fails; it waits for the
// requests under way and closes l. Each connection asks config for our
// certificate and for whose clients' certificates to take.
func (s *Server) ServeTLS(ctx context.Context, l net.Listener, config func() *tls.Config) error {
	var running sync.WaitGroup
	defer l.Close()
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	all, early := make(chan struct{}, connections), make(chan struct{}, handshakes)
	for {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // such as no file descriptor left
			select {
			case <-ctx.Done():
			case <-time.After(acceptAgain):
			}
			continue
		}
		if !s.welcome(conn, all, early) {
			continue
		}
		running.Go(func() {
			defer func() { <-all }()
			s.serveConn(ctx, tls.Server(conn, mutual(config())), func() { <-early })
		})
	}
}

// mutual has clients prove themselves by certificates.
func mutual(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.ClientAuth, config.MinVersion = tls.RequireAndVerifyClientCert, max(config.MinVersion, tls.VersionTLS12)
	config.SessionTicketsDisabled = true // the keys of tickets would end with the connection
	return config
}

// welcome counts a connection in. One from nowhere near a client, or one too
// many, is closed.
func (s *Server) welcome(conn net.Conn, all, early chan struct{}) bool {
	from := source{addr: remote(conn), overTLS: true}
	if !s.config.Load().clients.expected(from.addr.Addr()) {
		s.discarded(s.now(), "", from, discardClient)
		conn.Close()
		return false
	}
	select {
	case all <- struct{}{}:
	default:
		s.discarded(s.now(), "", from, discardBusy)
		conn.Close()
		return false
	}
	select {
	case early <- struct{}{}:
		return true
	default:
		<-all
		s.discarded(s.now(), "", from, discardBusy)
		conn.Close()
		return false
	}
}

// expected tells whether any client comes over TLS from an address.
func (l clients) expected(a netip.Addr) bool {
	for i := range l {
		if len(l[i].TLSNames) > 0 && l[i].hasAddress(a) {
			return true
		}
	}
	return false
}

func remote(conn net.Conn) netip.AddrPort {
	a, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := a.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap().WithZone(""), p.Port())
}

// serveConn takes the requests of one connection, which it closes. shaken is
// called once the handshake is over.
func (s *Server) serveConn(ctx context.Context, conn *tls.Conn, shaken func()) {
	var running sync.WaitGroup
	defer conn.Close()
	defer running.Wait()
	from := source{addr: remote(conn), overTLS: true}
	shaking, cancel := context.WithTimeout(ctx, handshakeTime)
	err := conn.HandshakeContext(shaking)
	cancel()
	shaken()
	if err != nil {
		s.discarded(s.now(), "", from, fmt.Errorf("%w: %w", discardHandshake, err))
		return
	}
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	leaf := conn.ConnectionState().PeerCertificates[0]
	var writing sync.Mutex
	buf := make([]byte, codec.MaxPacketLength)
	for ctx.Err() == nil {
		if conn.SetReadDeadline(time.Now().Add(idleTime)) != nil || ctx.Err() != nil {
			return
		}
		n, err := radius.ReadFrame(conn, buf)
		if err != nil {
			return
		}
		// With every request anew: a reload may have taken the client out.
		if from.client = s.config.Load().clients.byCertificate(from.addr.Addr(), leaf); from.client == nil {
			s.discarded(s.now(), "", from, discardClient)
			return
		}
		s.receive(ctx, &running, from, buf[:n], func(answer []byte) {
			writing.Lock()
			defer writing.Unlock()
			if conn.SetWriteDeadline(time.Now().Add(writeTime)) != nil {
				return
			}
			if _, err := conn.Write(answer); err != nil {
				s.log.Warn("dynamic authorization: an answer was not sent", "to", from.addr.String(), "error", err)
			}
		})
	}
}
