package initiator

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"bridgehead/ikev2/hostnet"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/transport"
	"bridgehead/ikev2/tunnel"
)

const logoutTime = 5 * time.Second // bounds the logout when a connection ends

// connectHabits are those of a connection whose profile has none of its own.
var connectHabits = Habits{RekeyChild: 3 * time.Hour, RekeyIKE: 9 * time.Hour, Jitter: 0.1, Liveness: time.Minute}

// ConnectConfig is one client with traffic: a TUN device and userspace ESP.
type ConnectConfig struct {
	Config Config // Plane and ForceEncap are set by Connect
	Device string // name of the TUN device or a pattern with %d; empty: the tunnel's default
	MTU    int    // of the device; 0: the tunnel's default
	// Up is called when the tunnel carries traffic: it gives the device its
	// addresses and routes. What it returns takes them back and is called
	// once, whatever ends the connection.
	Up func(Interface) (down func() error, err error)
}

// Interface is what a network configuration needs to know of a connection.
type Interface struct {
	Device    string
	MTU       int
	Addresses []netip.Prefix
	DNS       []netip.Addr
	Domains   []string
	Routes    []netip.Prefix // what the gateway lets this client reach
	Gateway   netip.Addr     // its outer address, to be kept out of the tunnel
	Session   *Session
}

// Connect logs in and carries traffic until ctx ends or the session does. It
// needs CAP_NET_ADMIN for the device and CAP_NET_RAW for ESP outside of UDP.
// After a login that was complete the error is nil if ctx ended it.
func Connect(ctx context.Context, c ConnectConfig) (err error) {
	cfg := c.Config.withDefaults()
	to, resolving, err := resolve(ctx, cfg)
	if err != nil {
		return err
	}
	listen := transport.Config{Addresses: []netip.Addr{to.local}, RawESP: true}
	if cfg.MOBIKE {
		listen.Addresses = nil // those it has later, too
	}
	sockets, err := transport.Listen(listen)
	if err != nil {
		return localError(StepInit, err)
	}
	defer func() { err = errors.Join(err, sockets.Close()) }()
	plane, err := tunnel.Open(tunnel.Config{Transport: sockets, Device: c.Device, MTU: c.MTU})
	if err != nil {
		return localError(StepInstall, err)
	}
	// Over IPv4 everything goes through UDP; over IPv6 a NAT that is not
	// there must not be announced.
	cfg.Plane, cfg.ForceEncap = plane, to.remote.Is4()
	if cfg.Profile.Habits == (Habits{}) {
		own := *cfg.Profile
		own.Habits = connectHabits
		cfg.Profile = &own
	}
	client := NewClient(sockets, plane.HandleESP)
	stop := serve(sockets, plane, client)
	defer func() { err = errors.Join(err, stop()) }()
	s, err := client.dial(ctx, cfg, to, resolving)
	if err != nil {
		return err
	}
	return carry(ctx, s, c.Up, plane)
}

// serve runs the transport and the tunnel, and gives what ends both.
func serve(sockets *transport.Transport, plane *tunnel.Tunnel, client *Client) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- sockets.Serve(ctx, client) }()
	go func() { ended <- plane.Run(ctx) }()
	return func() error {
		cancel()
		var faults []error
		for range cap(ended) {
			if err := <-ended; !errors.Is(err, context.Canceled) {
				faults = append(faults, err)
			}
		}
		return errors.Join(append(faults, plane.Close())...)
	}
}

// carry keeps an established session until ctx or the session ends.
func carry(ctx context.Context, s *Session, up func(Interface) (func() error, error), plane *tunnel.Tunnel) (err error) {
	defer func() {
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTime)
		defer cancel()
		closing := s.Close(bound)
		if err == nil {
			err = closing
		}
	}()
	if up != nil {
		result := s.Result()
		down, failed := up(Interface{
			Device: plane.Name(), MTU: plane.MTU(), Addresses: result.Config.Addresses, DNS: result.Config.DNS, Domains: result.Config.Domains,
			Routes: Prefixes(result.RemoteSelectors), Gateway: s.to.remote, Session: s,
		})
		if down != nil {
			defer func() { err = errors.Join(err, down()) }()
		}
		if failed != nil {
			return localError(StepInstall, failed)
		}
	}
	select {
	case <-ctx.Done():
		return nil
	case <-s.Done():
		return s.Err()
	}
}

// Prefixes gives the address ranges of traffic selectors as prefixes.
func Prefixes(selectors []message.Selector) []netip.Prefix {
	var ps []netip.Prefix
	for _, s := range selectors {
		if s.Raw == nil {
			ps = append(ps, hostnet.Prefixes(s.Start, s.End)...)
		}
	}
	return ps
}
