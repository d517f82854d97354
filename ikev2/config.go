package ikev2

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/lease"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
	"bridgehead/ikev2/transport"
)

// Config is what a Responder is made of. Fields without a remark must be set.
type Config struct {
	// Certificates are the gateway's identities. An RSA one should be there:
	// Android and hand-made iOS connections accept no other.
	Certificates []Certificate
	IKE          suite.Proposals // none: suite.DefaultIKE()
	ESP          suite.Proposals // none: suite.DefaultESP()
	Order        suite.Order     // whose order decides; zero: the gateway's
	Backend      auth.Backend
	Leases       Leases
	Plane        esp.DataPlane
	// Limiter holds sessions to their limits; nil: Plane does if it can, else
	// users with limits are refused.
	Limiter esp.Limiter
	// Accountant keeps account of sessions; nil: nobody does.
	Accountant   auth.Accountant
	LocalSubnets []netip.Prefix // what clients may reach; none: everything, both families
	DNS          []netip.Addr   // may be empty
	Domains      []string       // split DNS (RFC 8598); may be empty
	// DHCPServer is the IPv4 address that the DHCPINFORM of Windows is answered
	// from, inside the tunnel; zero: nothing answers. Where neither LocalSubnets
	// nor the client's routes hold it, DummyAddress takes its place.
	DHCPServer netip.Addr
	// ForceEncapIPv4 announces a NAT on IPv4 whether there is one or not, so
	// that clients encapsulate ESP in UDP.
	ForceEncapIPv4 bool
	ForceEncapIPv6 bool // the same on IPv6, except towards Android (QuirkD5)
	// Unique says what becomes of a client's former sessions when it logs in
	// anew.
	Unique Unique
	// NoChildless refuses clients that log in without a Child SA (RFC 6023).
	NoChildless bool
	// NoMOBIKE keeps the gateway from announcing MOBIKE (RFC 4555).
	NoMOBIKE bool
	// Addresses are all outer addresses the gateway listens on, which a client
	// with MOBIKE is told, up to 8; none: they are not known.
	Addresses []netip.Addr
	// Inner are the addresses that clients get inside the tunnel: no client is
	// followed to one of them.
	Inner []netip.Prefix
	// WithoutQuirks are the allowances that are not made for any client.
	WithoutQuirks []Quirk
	// Rekey has the gateway start rekeys itself; zero: it never does.
	Rekey        Rekey
	Limits       Limits
	Timers       Timers
	FragmentSize int // octets of an IP datagram that carries IKE; zero: 1280
	Shards       int // zero: as many as processors, at most 64
	Logger       *slog.Logger
	Rand         io.Reader        // safe for concurrent use: crypto/rand.Reader
	Now          func() time.Time // time.Now
	Sink         EventSink        // nil: events are only logged
	// Send puts datagrams on the wire. The shards call it concurrently; it
	// must not keep the datagrams nor alter their Data.
	Send func([]transport.Datagram)
}

// Certificate is one identity of the gateway: the chain with the leaf first,
// and the leaf's key.
type Certificate struct {
	Chain []*x509.Certificate
	Key   crypto.Signer
	// Identity is the IDr sent to clients that ask for none of the names in
	// the leaf; nil: its subject's distinguished name.
	Identity *message.ID
}

// Leases gives sessions their inner addresses. *lease.Pools is one.
type Leases interface {
	Acquire(ctx context.Context, now time.Time, r lease.Request) (lease.Lease, error)
	Release(ctx context.Context, now time.Time, holder string) error
}

// Limits bound what clients can cost before and after they proved who they
// are. Zero means the default, negative no limit.
type Limits struct {
	// HalfOpen is the number of logins under way at once. Beyond it new ones
	// are dropped: a flood must not eat the memory. Default 10000.
	HalfOpen int
	// HalfOpenPerAddress is the same for one IPv4 address or IPv6 /64; many
	// clients may sit behind one NAT. Default 256.
	HalfOpenPerAddress int
	// CookieThreshold is the number of logins under way from which on clients
	// must first prove their address (RFC 7296 §2.6). Default 128.
	CookieThreshold int
	// Queue is the number of datagrams waiting for one shard. Default 4096.
	Queue int
	// Children is the number of Child SAs of one session, those being
	// replaced included. Default 8.
	Children int
	// EAPRounds is the number of EAP packets of one login; EAP-TLS with long
	// chains needs some tens. Default 64.
	EAPRounds int
	// BackendJobs is the number of authentication backend calls at once.
	// Default HalfOpen, of which each makes one at a time: users who wait for
	// a slow server hold up nobody.
	BackendJobs int
}

// Timers are the responder's times. Zero means the default.
type Timers struct {
	HalfOpen   time.Duration // from the first message to the end of the login; default 60 s, for a human types the password
	Linger     time.Duration // how long a refused login answers repeated requests; default 15 s
	Job        time.Duration // the longest one job may take; default 10 s: Android waits 15.5 s altogether
	Backend    time.Duration // the same for one call of the backend; default Job
	DPD        time.Duration // silence before we ask whether the client lives; default 40 min, negative: never
	Childless  time.Duration // how long an IKE SA whose Child SA failed stays; default 10 s
	Replaced   time.Duration // how long a rekeyed SA stays if the client does not delete it: it may have to repeat our answer; default 2 min
	Session    time.Duration // the longest any session may last; zero: for ever. A user's own limit counts where it is shorter
	Idle       time.Duration // the same without traffic
	Drain      time.Duration // how long Run waits at its end for clients to acknowledge; default 5 s
	Retransmit exchange.Retransmit
}

// Defaults of Config, Limits and Timers.
const (
	defaultFragmentSize = 1280 // the least MTU of IPv6; what Apple and Android use
	minFragmentSize     = 576
	maxShards           = 64
)

// orDefault is n, the default for zero, or no limit at all for less.
func orDefault(n, standard int) int {
	switch {
	case n == 0:
		return standard
	case n < 0:
		return math.MaxInt32
	}
	return n
}

// withDefaults is c with its zero fields filled in.
func (c Config) withDefaults() Config {
	l, t := &c.Limits, &c.Timers
	c.Rekey = c.Rekey.withDefaults()
	l.HalfOpen = orDefault(l.HalfOpen, 10000)
	l.HalfOpenPerAddress = orDefault(l.HalfOpenPerAddress, 256)
	l.CookieThreshold = orDefault(l.CookieThreshold, 128)
	l.Queue = orDefault(l.Queue, 4096)
	l.Children = orDefault(l.Children, 8)
	l.EAPRounds = orDefault(l.EAPRounds, 64)
	l.BackendJobs = orDefault(l.BackendJobs, l.HalfOpen)
	t.HalfOpen = cmp.Or(t.HalfOpen, time.Minute)
	t.Linger = cmp.Or(t.Linger, 15*time.Second)
	t.Job = cmp.Or(t.Job, 10*time.Second)
	t.Backend = cmp.Or(t.Backend, t.Job)
	t.DPD = cmp.Or(t.DPD, 40*time.Minute)
	t.Childless = cmp.Or(t.Childless, 10*time.Second)
	t.Replaced = cmp.Or(t.Replaced, 2*time.Minute)
	t.Drain = cmp.Or(t.Drain, 5*time.Second)
	t.Retransmit = cmp.Or(t.Retransmit, exchange.DefaultRetransmit)
	c.FragmentSize = max(cmp.Or(c.FragmentSize, defaultFragmentSize), minFragmentSize)
	c.Shards = min(max(cmp.Or(c.Shards, runtime.GOMAXPROCS(0)), 1), maxShards)
	if len(c.IKE) == 0 {
		c.IKE = suite.DefaultIKE()
	}
	if len(c.ESP) == 0 {
		c.ESP = suite.DefaultESP()
	}
	if len(c.LocalSubnets) == 0 {
		c.LocalSubnets = []netip.Prefix{
			netip.PrefixFrom(netip.IPv4Unspecified(), 0),
			netip.PrefixFrom(netip.IPv6Unspecified(), 0),
		}
	}
	return c
}

// validate reports everything that is missing.
func (c *Config) validate() error {
	var errs []error
	missing := func(absent bool, what string) {
		if absent {
			errs = append(errs, fmt.Errorf("ikev2: configuration: %s", what))
		}
	}
	missing(len(c.Certificates) == 0, "no certificate; the gateway signs its IKE_AUTH with one")
	for i, cert := range c.Certificates {
		missing(len(cert.Chain) == 0 || cert.Key == nil, fmt.Sprintf("certificate %d lacks its chain or its key", i+1))
	}
	missing(c.Backend == nil, "no authentication backend")
	missing(c.Leases == nil, "no address pools")
	missing(c.Plane == nil, "no data plane")
	missing(c.DHCPServer.IsValid() && !c.DHCPServer.Is4(), "the DHCP server's address is no IPv4 address")
	missing(c.Logger == nil, "no logger")
	missing(c.Rand == nil, "no source of random octets")
	missing(c.Now == nil, "no clock")
	missing(c.Send == nil, "no way to send")
	errs = append(errs, c.Rekey.validate())
	return errors.Join(errs...)
}

// settings is a Config made ready. The shards share it and only read it.
type settings struct {
	Config
	certificates     []*identity
	subnets          []message.Selector  // LocalSubnets
	ikeText, espText string              // IKE and ESP as they are written
	without          quirks              // WithoutQuirks
	patient          exchange.Retransmit // of clients with MOBIKE
}

func newSettings(c Config) (*settings, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	s := &settings{Config: c, ikeText: c.IKE.String(), espText: c.ESP.String(), without: setOf(c.WithoutQuirks...), patient: patientSchedule(c.Timers.Retransmit)}
	for _, cert := range c.Certificates {
		id, err := newIdentity(cert)
		if err != nil {
			return nil, err
		}
		s.certificates = append(s.certificates, id)
	}
	for _, p := range c.LocalSubnets {
		s.subnets = append(s.subnets, message.SelectorOf(p))
	}
	return s, nil
}

// isInner tells whether an address is one that clients get inside the tunnel.
func (s *settings) isInner(a netip.Addr) bool {
	return slices.ContainsFunc(s.Inner, func(p netip.Prefix) bool { return p.Contains(a) })
}
