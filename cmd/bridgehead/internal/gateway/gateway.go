package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bridgehead/auth/guard"
	"bridgehead/cmd/bridgehead/internal/admin"
	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/ikev2"
	"bridgehead/ikev2/hostnet"
	"bridgehead/ikev2/lease"
	"bridgehead/ikev2/transport"
	"bridgehead/ikev2/xfrm"
	"bridgehead/radius/accounting"
)

// Options of New.
type Options struct {
	Logger  *slog.Logger
	Level   *slog.LevelVar // of Logger, for a reload; nil: it stays
	Version string
	// File is read again by a reload; empty: only the users are.
	File string
	// Adjust changes what was read, such as by the command line; may be nil.
	Adjust func(*config.Config)
}

// Gateway is a gateway that runs, or is about to.
type Gateway struct {
	options Options
	logger  *slog.Logger
	started time.Time
	journal *admin.Journal
	metrics *metrics

	reloading  sync.Mutex // one reload at a time
	config     atomic.Pointer[config.Config]
	identities atomic.Pointer[identities]

	authorities authorities  // who decides
	guard       *guard.Guard // against guessing
	users       *userFile    // nil: the backend is another one
	store       *lease.Bolt
	pools       *lease.Pools
	transport   *transport.Transport
	choice      planeChoice
	plane       dataPlane
	limits      *hostnet.Limiter   // nil: the data plane limits users itself, or nothing does
	host        func() error       // puts the host's network back, once
	restored    []string           // what a crash had left on the host
	cautions    []string           // what on the host may keep traffic from flowing
	announcer   *hostnet.Announcer // nil: clients are not announced
	routes      *hostnet.HostRoutes
	script      *hostnet.Script   // nil: no program hears of sessions
	informs     *informs          // nil: DHCPINFORM is not answered
	accounts    *accounting.Spool // nil: no account is kept
	responder   *ikev2.Responder
	dynamic     *dynamic // nil: nobody ends or changes sessions over RADIUS
	admin       *admin.Server

	closers []func() error // what New opened, undone in reverse
}

// New opens everything a gateway needs, in an order in which each step can
// still fail without harm: files, state, sockets, the data plane, and at last
// the host's own network. When a step fails, those before it are undone, and
// the error says in one line what to do.
func New(ctx context.Context, c *config.Config, o Options) (*Gateway, error) {
	g := &Gateway{options: o, logger: o.Logger, started: time.Now(), journal: admin.NewJournal(), guard: newGuard()}
	g.config.Store(c)
	outliveReaders()
	registry := prometheus.NewRegistry()
	g.metrics = newMetrics(registry, o.Version)
	for _, step := range []func(ctx context.Context) error{
		func(context.Context) error { return forbidCoreDumps() },
		g.openIdentities, g.openAuthority, g.openLeases, g.choosePlane,
		func(context.Context) error { return g.openInforms(g.choice.kernel) }, g.openTransport, g.openPlane,
		g.openAnnouncer, g.openScript, g.openAccounting, g.makeResponder, g.openDAE,
		func(context.Context) error { return g.listenAdmin(registry) },
		g.prepareHost,
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, g.Close())
		}
	}
	registry.MustRegister(&collector{sources{
		sessions: g.responder.Sessions, counters: g.responder.Counters, halfOpen: g.responder.HalfOpen, pools: g.pools.Usage,
		transport: g.transport.Stats, drops: g.plane.drops, carried: g.plane.carried, certificates: g.leaves,
	}})
	registry.MustRegister(g.informs, serverCollector{&g.authorities}, accountCollector{g.accounts}, g.dynamic)
	g.metrics.reloaded(g.started, nil)
	return g, nil
}

// Close undoes New. Run does it, too.
func (g *Gateway) Close() error {
	var err error
	for i := len(g.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, g.closers[i]())
	}
	g.closers = nil
	return err
}

func (g *Gateway) onClose(f func() error) { g.closers = append(g.closers, f) }

func (g *Gateway) openIdentities(context.Context) error {
	ids, err := loadIdentities(g.config.Load())
	g.identities.Store(ids)
	return err
}

func (g *Gateway) openUsers(context.Context) error {
	users, err := openUsers(g.config.Load(), g.logger)
	g.users = users
	return err
}

// stateFile is where leases are kept, below paths.state.
const stateFile = "leases.db"

func (g *Gateway) openLeases(context.Context) error {
	c := g.config.Load()
	if err := os.MkdirAll(c.Paths.State, 0o700); err != nil {
		return fmt.Errorf("state folder: %w; run as root, or move it with paths.state", err)
	}
	store, err := lease.OpenBolt(filepath.Join(c.Paths.State, stateFile))
	if err != nil {
		return err
	}
	g.store = store
	g.onClose(store.Close)
	var pools []lease.PoolConfig
	for _, named := range c.AllPools() {
		p := lease.PoolConfig{Name: named.Name}
		for _, a := range named.Addresses {
			p.Ranges = append(p.Ranges, a.Range)
		}
		pools = append(pools, p)
	}
	if g.pools, err = lease.NewPools(pools, store); err != nil {
		return err
	}
	if g.users == nil {
		return nil
	}
	g.users.reserveIn(func(fixed []netip.Addr) error { return g.pools.Reserve(context.Background(), fixed) })
	return nil
}

func (g *Gateway) openTransport(context.Context) error {
	c := g.config.Load()
	t := transport.Config{Addresses: c.Server.Listen, IKEPort: c.Server.IKEPort, NATTPort: c.Server.NATTPort}
	if g.choice.kernel {
		t.Decapsulate, t.Readers = xfrm.EnableUDPEncap, 1 // for what is left, IKE, one is plenty
	} else {
		t.RawESP = true // clients without NAT may send plain ESP
	}
	opened, err := transport.Listen(t)
	if err != nil {
		return err
	}
	g.transport = opened
	g.onClose(opened.Close)
	return nil
}

func (g *Gateway) listenAdmin(registry *prometheus.Registry) error {
	s, err := admin.Listen(admin.Config{
		Socket: g.config.Load().Paths.Control, Gateway: g, Journal: g.journal, Metrics: registry, Logger: g.logger,
	})
	if err != nil {
		return err
	}
	g.admin = s
	g.onClose(s.Close)
	return nil
}

func (g *Gateway) makeResponder(context.Context) error {
	r, err := ikev2.NewResponder(g.responderConfig(g.config.Load(), g.identities.Load()))
	g.responder = r
	return err
}

// responderConfig says to the responder what a configuration says.
func (g *Gateway) responderConfig(c *config.Config, ids *identities) ikev2.Config {
	dpd := c.IKE.DPD
	if dpd == 0 {
		dpd = -1 // never
	}
	r := ikev2.Config{
		Certificates: ids.list,
		IKE:          c.IKE.Proposals, ESP: c.ESP.Proposals, Order: c.IKE.Order,
		Backend: g.guarded(&metered{&g.authorities, c.Auth.Name(), g.metrics, time.Now}),
		Leases:  g.leases(), Inner: poolPrefixes(c), Plane: g.plane, Limiter: g.limiter(),
		LocalSubnets: c.Addresses.Subnets, DNS: c.Addresses.DNS, Domains: c.Addresses.Domains, DHCPServer: g.informs.address(),
		Limits: ikev2.Limits{
			HalfOpen: c.IKE.HalfOpenTotal, HalfOpenPerAddress: c.IKE.HalfOpenPerAddress, CookieThreshold: c.IKE.CookieThreshold,
		},
		Timers: ikev2.Timers{DPD: dpd, HalfOpen: c.IKE.LoginTimeout, Backend: backendTime(c)}, FragmentSize: c.IKE.FragmentSize,
		Logger: g.logger, Rand: rand.Reader, Now: time.Now,
		Sink: g.sink(), Accountant: g.accountant(),
		Send: g.send,
	}
	applyPolicies(&r, c, !g.choice.kernel)
	return r
}

// send puts the responder's datagrams on the wire. A datagram that could not
// be sent is like one that was lost.
func (g *Gateway) send(ds []transport.Datagram) {
	if err := g.transport.SendIKE(ds); err != nil {
		g.logger.Debug("not sent", slog.Any("error", err))
	}
}

// Journal tells what happens.
func (g *Gateway) Journal() *admin.Journal { return g.journal }

// Cautions tell what on the host may keep traffic from flowing.
func (g *Gateway) Cautions() []string { return g.cautions }

// Restored tells what a gateway that crashed had left on the host; it is
// undone.
func (g *Gateway) Restored() []string { return g.restored }

// Listening lists where clients are served, for a person.
func (g *Gateway) Listening() []string {
	where := "all addresses"
	if l := g.config.Load().Server.Listen; len(l) > 0 {
		where = addresses(l)
	}
	return []string{fmt.Sprintf("%s, UDP ports %d and %d", where, g.transport.IKEPort(), g.transport.NATTPort())}
}

// networkJournal is where changes to the host's network are noted, below
// paths.state, so that a crash leaves nothing behind for good.
const networkJournal = "network.journal"

// prepareHost makes the host's network fit: routes of the pools, forwarding,
// masquerading.
func (g *Gateway) prepareHost(context.Context) error {
	c := g.config.Load()
	host, restored, err := hostnet.Open(filepath.Join(c.Paths.State, networkJournal))
	if err != nil {
		return err
	}
	g.undone(restored)
	g.host = sync.OnceValue(host.Close)
	g.onClose(g.host)
	facts, err := hostnet.Inspect()
	if err != nil {
		return err
	}
	tunnelDevice := g.plane.Name()
	if g.choice.kernel {
		tunnelDevice = "" // no packet passes by it
	}
	for _, drop := range facts.ForwardDrops {
		g.caution(fmt.Sprintf("the firewall drops forwarded packets (table %s %s, chain %s); let clients through with: %s",
			drop.Family, drop.Table, drop.Chain, strings.Join(drop.Remedy(tunnelDevice), "; ")))
	}
	clamp := true
	if err := hostnet.NoTables(); err != nil && !c.NAT.Masquerade {
		clamp = false
		g.caution(fmt.Sprintf("clients' TCP connections are not fitted to the tunnel, %v", err))
	}
	err = host.ApplyGateway(hostnet.Gateway{
		Device: g.plane.Name(), MTU: g.plane.MTU(), KernelESP: g.choice.kernel, Pools: poolPrefixes(c), Forward: c.DataPlane.Forward,
		ProxyNDP: c.DataPlane.Forward && c.Hooks.UpDown != "",
		Table:    g.tableName(), Masquerade: c.NAT.Masquerade, ClampMSS: clamp, Limits: g.limits != nil,
	})
	if err != nil {
		return err
	}
	for _, what := range host.Changes() {
		g.logger.Debug("host: " + what)
	}
	return nil
}

// caution notes what on the host may keep traffic from flowing.
func (g *Gateway) caution(text string) {
	g.cautions = append(g.cautions, text)
	g.logger.Warn(text)
}

// undone notes what a gateway that crashed had left on the host.
func (g *Gateway) undone(restored []string) {
	if len(restored) == 0 {
		return
	}
	g.restored = append(g.restored, restored...)
	g.logger.Warn("undone after a crash: " + strings.Join(restored, "; "))
}

// poolPrefixes are the networks of the clients, as routes and rules need them.
func poolPrefixes(c *config.Config) []netip.Prefix {
	var list []netip.Prefix
	for _, named := range c.AllPools() {
		for _, p := range named.Addresses {
			list = append(list, p.Prefixes()...)
		}
	}
	return list
}
