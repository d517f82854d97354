package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"bridgehead/auth"
	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/cmd/bridgehead/internal/pki"
	"bridgehead/ikev2"
	"bridgehead/radius/dae"
)

// dynamic takes requests of dynamic authorization (RFC 5176).
type dynamic struct {
	server    *dae.Server
	sockets   []*dae.Socket
	listeners []net.Listener
	tls       atomic.Pointer[tls.Config]
}

// daePlan is what a configuration says of dynamic authorization, with the
// secrets and certificates that it names.
type daePlan struct {
	config dae.Config
	tls    *tls.Config // nil: not over TLS
}

// readDAE reads what a configuration says of dynamic authorization. The error
// is the first thing that keeps it from being used.
func readDAE(c *config.Config) (*daePlan, error) {
	plan, problems := planDAE(c)
	if _, err := config.Judge(problems); err != nil {
		return nil, err
	}
	return plan, nil
}

// checkDAE reads what dynamic authorization needs.
func checkDAE(c *config.Config) []config.Problem {
	_, problems := planDAE(c)
	return problems
}

// planDAE is readDAE with all that is wrong.
func planDAE(c *config.Config) (*daePlan, []config.Problem) {
	plan := &daePlan{config: dae.Config{Identity: dae.Identity{Identifier: nasIdentifier(c), Owns: ownAddress}}}
	var problems []config.Problem
	for _, d := range c.DAE.Clients {
		client := dae.Client{
			Name: d.Name, Addresses: d.Addresses, TLSNames: d.TLSNames, AllowUnsigned: d.Unsigned, AllowUndated: d.Undated,
			Many: d.Many, NoDisconnect: d.NoDisconnect, NoChange: d.NoChange,
		}
		if d.Secret != "" {
			files := partnerFiles{config: c, setting: d.Setting, digest: sha256.New()}
			client.Secret = files.secret(d.Secret)
			problems = append(problems, files.problems...)
		}
		plan.config.Clients = append(plan.config.Clients, client)
	}
	if len(c.DAE.TLS.Listen) > 0 {
		var more []config.Problem
		plan.tls, more = daeTLS(c)
		problems = append(problems, more...)
	}
	return plan, problems
}

// daeTLS reads our certificate for clients, which is by default the one for
// users, and whose clients' certificates to take.
func daeTLS(c *config.Config) (*tls.Config, []config.Problem) {
	t := c.DAE.TLS
	files := partnerFiles{config: c, setting: func(key string) string { return "dae.tls." + key }, digest: sha256.New()}
	out := &tls.Config{MinVersion: tls.VersionTLS12, ClientCAs: files.authority("ca", t.CA)}
	if t.Certificate == "" {
		pair, err := ownCertificate(c)
		if err != nil {
			files.fault("certificate", err.Error(), "expected the certificate of [server] to be of use, or another one here")
		}
		out.Certificates = []tls.Certificate{pair}
	} else if pair, ok := files.certificate("certificate", t.Certificate, t.Key); ok {
		out.Certificates = []tls.Certificate{pair}
	}
	return out, files.problems
}

// ownCertificate is the first that users see, with its chain.
func ownCertificate(c *config.Config) (tls.Certificate, error) {
	id, _, err := pki.Load(identityFiles(c, 0), c.Server.Name, time.Now())
	if err != nil {
		return tls.Certificate{}, err
	}
	pair := tls.Certificate{PrivateKey: id.Key, Leaf: id.Chain[0]}
	for _, x := range id.Chain {
		pair.Certificate = append(pair.Certificate, x.Raw)
	}
	return pair, nil
}

// ownAddress tells whether an address is this host's: that a server knows the
// gateway by.
func ownAddress(a netip.Addr) bool {
	list, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(list, func(own net.Addr) bool {
		p, ok := own.(*net.IPNet)
		is, valid := netip.AddrFromSlice(p.IP)
		return ok && valid && is.Unmap() == a
	})
}

// openDAE opens the sockets of dynamic authorization, if it is on.
func (g *Gateway) openDAE(context.Context) error {
	c := g.config.Load()
	if !c.DAE.Used() {
		return nil
	}
	plan, err := readDAE(c)
	if err != nil {
		return err
	}
	d := new(dynamic)
	if d.server, err = dae.NewServer(daeSessions{g.responder}, plan.config, dae.Options{Log: g.logger}); err != nil {
		return err
	}
	d.tls.Store(plan.tls)
	g.onClose(d.close)
	for _, a := range c.DAE.Listen {
		socket, err := dae.Listen(a)
		if err != nil {
			return fmt.Errorf("%w; choose another port with dae.listen", err)
		}
		d.sockets = append(d.sockets, socket)
	}
	for _, a := range c.DAE.TLS.Listen {
		l, err := listenTCP(a)
		if err != nil {
			return fmt.Errorf("dynamic authorization over TLS on %s: %w; choose another port with dae.tls.listen", a, err)
		}
		d.listeners = append(d.listeners, l)
	}
	g.dynamic = d
	return nil
}

// listenTCP listens on one address, or on all of its family.
func listenTCP(a netip.AddrPort) (net.Listener, error) {
	network := "tcp6"
	if a.Addr().Is4() {
		network = "tcp4"
	}
	return net.ListenTCP(network, net.TCPAddrFromAddrPort(a))
}

// close closes what is not closed yet.
func (d *dynamic) close() error {
	var err error
	closed := func(e error) {
		if !errors.Is(e, net.ErrClosed) {
			err = errors.Join(err, e)
		}
	}
	for _, s := range d.sockets {
		closed(s.Close())
	}
	for _, l := range d.listeners {
		closed(l.Close())
	}
	return err
}

// take uses what a reload has read.
func (d *dynamic) take(plan *daePlan) error {
	if d == nil {
		return nil
	}
	if plan.tls != nil {
		d.tls.Store(plan.tls)
	}
	return d.server.Configure(plan.config)
}

// start takes requests until ctx ends.
func (d *dynamic) start(ctx context.Context, p *parts, logger *slog.Logger) {
	if d == nil {
		return
	}
	for _, s := range d.sockets {
		logger.Info("dynamic authorization over UDP", slog.String("listen", s.Addr().String()))
		p.start(ctx, "dynamic authorization", func(ctx context.Context) error { return d.server.ServeUDP(ctx, s) })
	}
	for _, l := range d.listeners {
		logger.Info("dynamic authorization over TLS", slog.String("listen", l.Addr().String()))
		p.start(ctx, "dynamic authorization over TLS", func(ctx context.Context) error { return d.server.ServeTLS(ctx, l, d.tls.Load) })
	}
}

// daeSessions are the sessions as dynamic authorization sees them.
type daeSessions struct{ responder *ikev2.Responder }

// Candidates implements dae.Gateway. The attribute that is true of the fewest
// sessions is looked for.
func (s daeSessions) Candidates(ctx context.Context, q dae.Query) ([]dae.Session, error) {
	sel := ikev2.Selector{All: true}
	switch {
	case q.ID != "":
		sel = ikev2.Selector{ID: q.ID}
	case q.MultiID != "":
		sel = ikev2.Selector{ID: q.MultiID} // one login is one session
	case q.IPv4.IsValid():
		sel = ikev2.Selector{Address: q.IPv4}
	case q.IPv6.IsValid():
		sel = ikev2.Selector{Address: q.IPv6}
	case q.User != "":
		sel = ikev2.Selector{User: q.User}
	}
	infos, err := s.responder.Find(ctx, sel)
	sessions := make([]dae.Session, 0, len(infos))
	for _, i := range infos {
		sessions = append(sessions, dae.Session{
			ID: i.ID, MultiID: i.ID, User: i.User, Remote: i.Remote, Local: i.Local, From: i.From, IPv4: i.IPv4, IPv6: i.IPv6,
			Port: auth.Port(i.ID), Class: i.Class, ChargeableUser: i.ChargeableUser,
		})
	}
	return sessions, err
}

// Disconnect implements dae.Gateway.
func (s daeSessions) Disconnect(ctx context.Context, ids []string) error {
	n, err := s.responder.End(ctx, ikev2.CauseRADIUS, ids...)
	if err == nil && n == 0 {
		return &dae.Failure{Cause: dae.SessionNotFound, Err: ikev2.ErrNoSession}
	}
	return err
}

// Change implements dae.Gateway.
func (s daeSessions) Change(ctx context.Context, ids []string, c dae.Change) error {
	changed := 0
	for _, id := range ids {
		err := s.responder.Change(ctx, id, ikev2.Change{
			SessionTimeout: c.SessionTimeout, IdleTimeout: c.IdleTimeout, InterimInterval: c.InterimInterval,
			Filter: c.Filter, RateUp: c.RateUp, RateDown: c.RateDown, Reauthenticate: c.Reauthenticate,
		})
		switch {
		case errors.Is(err, ikev2.ErrNoSession): // it ended meanwhile
		case err != nil:
			return err
		default:
			changed++
		}
	}
	if changed == 0 {
		return &dae.Failure{Cause: dae.SessionNotFound, Err: ikev2.ErrNoSession}
	}
	return nil
}
