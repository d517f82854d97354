package transport

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"syscall"
)

// Datagram is one IKE message on the wire. The non-ESP marker of the NAT
// traversal port (RFC 3948 §2.2) has been removed on receipt and is added on
// sending when Local has that port.
type Datagram struct {
	Data          []byte
	Local, Remote netip.AddrPort
}

// ESPDatagram is one received ESP packet: ESP header to integrity check value.
type ESPDatagram struct {
	Data []byte
	// Local and Remote are the outer addresses. The ports are 0 for IP
	// protocol 50.
	Local, Remote netip.AddrPort
	// Encap tells ESP in UDP (RFC 3948) from IP protocol 50.
	Encap bool
	// ECN is the outer header's ECN field (RFC 3168), 0 to 3.
	ECN uint8
}

// Path is where ESP packets go. Its fields are those of esp.Path.
type Path struct {
	Local, Remote netip.AddrPort
	Encap         bool
}

// Handler takes what has been received. Its methods are called by several
// goroutines at once, all datagrams of one remote address and port by the same
// one, and must not block. Batches and their Data are valid during the call
// only; Data may be overwritten in place up to its length.
type Handler interface {
	HandleIKE(batch []Datagram)
	HandleESP(batch []ESPDatagram)
}

// Transport is a set of open sockets. Its methods are safe for concurrent use.
type Transport struct {
	endpoints         []*endpoint // immutable after Listen
	ikePort, nattPort uint16
	counters          counters
	senders           sync.Pool // *Sender, for SendIKE
	closeOnce         sync.Once
	closeErr          error
}

// Listen opens the sockets of c. The error is a *ListenError, a *ConfigError or
// what Config.Decapsulate returned.
func Listen(c Config) (*Transport, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	t := &Transport{ikePort: c.IKEPort, nattPort: c.NATTPort}
	t.senders.New = func() any { return t.newSender(false) }
	err := t.listenPort(c, kindIKE, &t.ikePort, 1)
	if err == nil {
		err = t.listenPort(c, kindNATT, &t.nattPort, c.readers())
	}
	if err == nil && c.Decapsulate != nil {
		err = t.decapsulate(c.Decapsulate)
	}
	if err == nil && c.RawESP {
		var none uint16
		err = t.listenPort(c, kindRaw, &none, 1)
	}
	if err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// decapsulate hands the ESP packets of the NAT traversal port to the kernel.
func (t *Transport) decapsulate(set func(syscall.Conn) error) error {
	for _, e := range t.endpoints {
		for _, s := range e.sockets {
			if s.kind != kindNATT {
				continue
			}
			if err := set(s.conn); err != nil {
				return err
			}
		}
	}
	return nil
}

// listenPort opens n sockets of kind k on every address of c and stores the
// port they got. With an ephemeral port the first address decides it; when a
// later one finds it taken, all start again with another.
func (t *Transport) listenPort(c Config, k kind, port *uint16, n int) error {
	const attempts = 16
	asked := *port
	for try := 1; ; try++ {
		opened, got, err := listenAll(c, k, asked, n)
		if err == nil {
			t.endpoints = append(t.endpoints, opened...)
			*port = got
			return nil
		}
		for _, e := range opened {
			e.close()
		}
		if asked != 0 || k == kindRaw || try == attempts || !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
	}
}

func listenAll(c Config, k kind, port uint16, n int) ([]*endpoint, uint16, error) {
	var opened []*endpoint
	for _, a := range c.addresses() {
		e, err := listenEndpoint(c, k, a, port, n)
		if err != nil && len(c.Addresses) == 0 && a.Is6() && noFamily(err) {
			continue // a host without IPv6
		}
		if err != nil {
			return opened, 0, newListenError(k, a, port, err)
		}
		opened = append(opened, e)
		port = e.port
	}
	return opened, port, nil
}

func noFamily(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

// IKEPort is the port bound for IKE.
func (t *Transport) IKEPort() uint16 { return t.ikePort }

// NATTPort is the port bound for IKE and ESP in UDP.
func (t *Transport) NATTPort() uint16 { return t.nattPort }

// Serve receives until ctx ends or Close is called, and gives what arrives to
// h. It returns after every reader has ended: nil when Close ended it, else
// ctx's error or the fault of a socket, which ends the others too. The sockets
// stay open, so that what is left to say can still be sent; Close them.
func (t *Transport) Serve(ctx context.Context, h Handler) error {
	reading, end := context.WithCancelCause(ctx)
	defer end(nil)
	stop := context.AfterFunc(reading, t.wake)
	defer stop()
	var readers sync.WaitGroup
	for _, e := range t.endpoints {
		for _, s := range e.sockets {
			r := newReader(t, s, h)
			readers.Go(func() {
				if err := r.run(); err != nil {
					end(err)
				}
			})
		}
	}
	readers.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return context.Cause(reading)
}

// wake makes every reader return.
func (t *Transport) wake() {
	for _, e := range t.endpoints {
		for _, s := range e.sockets {
			s.stopReading()
		}
	}
}

// Close closes the sockets and ends Serve.
func (t *Transport) Close() error {
	t.closeOnce.Do(func() {
		for _, e := range t.endpoints {
			t.closeErr = errors.Join(t.closeErr, e.close())
		}
	})
	return t.closeErr
}
