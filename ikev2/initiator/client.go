package initiator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/transport"
)

// Client drives SAs over one Transport: it finds the session of each message
// by its SPI. It is a transport.Handler; whoever runs the Transport gives it
// the Client, or Client.HandleIKE. Its methods are safe for concurrent use.
type Client struct {
	transport *transport.Transport
	esp       func([]transport.ESPDatagram)

	mu       sync.RWMutex
	sessions map[message.SPI]*Session // by our SPI
}

// NewClient makes a Client over t. esp takes the ESP packets that arrive, such
// as a tunnel's HandleESP; nil drops them.
func NewClient(t *transport.Transport, esp func([]transport.ESPDatagram)) *Client {
	return &Client{transport: t, esp: esp, sessions: make(map[message.SPI]*Session)}
}

// HandleIKE gives messages to their sessions.
func (c *Client) HandleIKE(batch []transport.Datagram) {
	for _, d := range batch {
		h, err := message.ParseHeader(d.Data)
		if err != nil {
			continue
		}
		c.mu.RLock()
		s := c.sessions[h.ReceiverSPI()]
		c.mu.RUnlock()
		if s != nil {
			s.deliver(d.Data)
		}
	}
}

// HandleESP gives ESP packets to the data plane.
func (c *Client) HandleESP(batch []transport.ESPDatagram) {
	if c.esp != nil {
		c.esp(batch)
	}
}

func (c *Client) bind(spi message.SPI, s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessions[spi] = s
}

func (c *Client) unbind(spi message.SPI) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sessions, spi)
}

// Dial logs in and gives the session, or a Failure. When ctx ends before the
// login is complete, the login is abandoned; afterwards ctx has no meaning for
// the session.
func (c *Client) Dial(ctx context.Context, cfg Config) (*Session, error) {
	cfg = cfg.withDefaults()
	target, resolving, err := resolve(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return c.dial(ctx, cfg, target, resolving)
}

// target is one resolved gateway.
type target struct{ local, remote netip.Addr }

func (c *Client) dial(ctx context.Context, cfg Config, to target, resolving time.Duration) (*Session, error) {
	s, err := c.start(cfg, to, resolving)
	if err != nil {
		return nil, err
	}
	if err := s.await(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// await waits for the end of the login.
func (s *Session) await(ctx context.Context) error {
	select {
	case <-s.up:
		return nil
	case <-s.done:
		return s.Err()
	case <-ctx.Done():
		step := s.step()
		s.abandon()
		<-s.done
		if s.unanswered != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return s.unanswered
		}
		return &InterruptedError{at{step}, ctx.Err()}
	}
}

// start begins a login.
func (c *Client) start(cfg Config, to target, resolving time.Duration) (*Session, error) {
	sa, err := NewSA(cfg)
	if err != nil {
		return nil, err
	}
	s := newSession(c, cfg, sa, to)
	s.steps = append(s.steps, StepTime{StepResolve, resolving})
	go s.run(Start{Endpoints{
		LocalIKE: netip.AddrPortFrom(to.local, c.transport.IKEPort()), RemoteIKE: netip.AddrPortFrom(to.remote, cfg.IKEPort),
		LocalNATT: netip.AddrPortFrom(to.local, c.transport.NATTPort()), RemoteNATT: netip.AddrPortFrom(to.remote, cfg.NATTPort),
	}})
	return s, nil
}

// Dial logs in over sockets of its own, on ephemeral ports, which are closed
// with the session. It is Client.Dial otherwise.
func Dial(ctx context.Context, cfg Config) (*Session, error) {
	cfg = cfg.withDefaults()
	to, resolving, err := resolve(ctx, cfg)
	if err != nil {
		return nil, err
	}
	at := to.local
	if cfg.MOBIKE {
		at = netip.Addr{} // those it has later, too
	}
	c, closeSockets, err := listen(at)
	if err != nil {
		return nil, err
	}
	s, err := c.dial(ctx, cfg, to, resolving)
	if err != nil {
		closeSockets()
		return nil, err
	}
	s.closeSockets = closeSockets
	return s, nil
}

// listen makes a Client with sockets of its own at an address, at all if it is
// zero, and gives what closes them and waits for their readers.
func listen(at netip.Addr) (*Client, func(), error) {
	cfg := transport.Config{Readers: 1}
	if at.IsValid() {
		cfg.Addresses = []netip.Addr{at}
	}
	t, err := transport.Listen(cfg)
	if err != nil {
		return nil, nil, localError(StepInit, err)
	}
	c := NewClient(t, nil)
	var reading sync.WaitGroup
	reading.Go(func() {
		// A dead socket shows as silence of the gateway.
		_ = t.Serve(context.Background(), c)
	})
	return c, func() { t.Close(); reading.Wait() }, nil
}

// resolve finds the gateway's first address that there is a route to, and the
// address that packets to it leave from. The error is a *ResolveError or an
// *InterruptedError.
func resolve(ctx context.Context, cfg Config) (target, time.Duration, error) {
	began := cfg.Now()
	var addrs []netip.Addr
	if a, err := netip.ParseAddr(cfg.Server); err == nil {
		addrs = []netip.Addr{a}
	} else if addrs, err = net.DefaultResolver.LookupNetIP(ctx, "ip", cfg.Server); err != nil {
		if ctx.Err() != nil {
			return target{}, 0, &InterruptedError{at{StepResolve}, err}
		}
		return target{}, 0, &ResolveError{at{StepResolve}, cfg.Server, err}
	}
	err := errors.New("it has no address")
	for _, a := range addrs {
		var local netip.Addr
		if local, err = sourceFor(netip.AddrPortFrom(a.Unmap(), cfg.IKEPort)); err == nil {
			return target{local, a.Unmap()}, cfg.Now().Sub(began), nil
		}
	}
	return target{}, 0, &ResolveError{at{StepResolve}, cfg.Server, err}
}

// sourceFor asks the kernel's routing for the source address of packets to
// remote. Nothing is sent.
func sourceFor(remote netip.AddrPort) (netip.Addr, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(remote))
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	local, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.Addr{}, fmt.Errorf("unexpected local address %s", conn.LocalAddr())
	}
	return local.AddrPort().Addr().Unmap(), nil
}
