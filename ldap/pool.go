package ldap

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	client "github.com/go-ldap/ldap/v3"

	"bridgehead/auth"
)

// How often servers are looked at in the background, and what is left idle that
// long is tried.
const probeInterval = 15 * time.Second

// server is one of the directory's servers. Its fields are guarded by the
// pool's mutex.
type server struct {
	Endpoint
	rank  int // less is preferred
	down  bool
	since time.Time
	done  Figures
}

// Figures are what a server has done.
type Figures struct {
	URL       string
	Up        bool
	Since     time.Time // of Up
	Idle      int       // connections that wait for a login
	Searches  uint64
	Failures  uint64 // searches and connections that failed
	Connected uint64 // connections made
}

// pool holds connections to servers, at most as many as it has slots.
type pool struct {
	slots chan struct{}

	mu      sync.Mutex
	servers []*server
	idle    []*conn // the last one is taken first
	closed  bool
}

// acquire gives a connection to the best server that is well. fresh is false
// for one that was idle, which the server may have dropped.
func (d *Directory) acquire(ctx context.Context) (c *conn, fresh bool, err error) {
	select {
	case d.pool.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, false, &stepError{auth.CauseLDAPTimeout, "all servers", errors.New("all connections are in use")}
	}
	if c := d.pool.take(); c != nil {
		return c, false, nil
	}
	c, err = d.connect(ctx)
	if err != nil {
		<-d.pool.slots
	}
	return c, true, err
}

// take gives an idle connection, or nil.
func (p *pool) take() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		c := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if !c.IsClosing() {
			return c
		}
	}
	return nil
}

// connect tries the servers that are well, then, if none is, all.
func (d *Directory) connect(ctx context.Context) (*conn, error) {
	well, ill := d.pool.order()
	if len(well) == 0 {
		well = ill
	}
	var failed error = &stepError{auth.CauseLDAPUnreachable, "all servers", errors.New("no server is known")}
	for _, s := range well {
		c, err := d.dial(ctx, s)
		if err == nil {
			d.mark(s, nil)
			return c, nil
		}
		failed = err
		if ctx.Err() != nil {
			break // the login's time is over, which is not the server's fault
		}
		d.mark(s, err)
	}
	return nil, failed
}

// order gives the servers that are well and the others, best first.
func (p *pool) order() (well, ill []*server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil
	}
	for _, s := range p.servers {
		if s.down {
			ill = append(ill, s)
		} else {
			well = append(well, s)
		}
	}
	return well, ill
}

// mark notes that a server was reached, or what it failed with. What is idle at
// one that failed, or at one less preferred than one that is well again, is
// closed.
func (d *Directory) mark(s *server, err error) {
	d.pool.mu.Lock()
	var drop []*conn
	changed := s.down != (err != nil)
	if err == nil {
		s.done.Connected++
	} else {
		s.done.Failures++
	}
	if changed {
		s.down, s.since = err != nil, d.config.Now()
		d.pool.idle = slices.DeleteFunc(d.pool.idle, func(c *conn) bool {
			lost := err != nil && c.server == s || err == nil && c.server.rank > s.rank
			if lost {
				drop = append(drop, c)
			}
			return lost
		})
	}
	d.pool.mu.Unlock()
	for _, c := range drop {
		c.discard()
	}
	switch {
	case changed && err != nil:
		d.config.Log.Warn("an LDAP server failed, logins go to the others", slog.String("server", s.URL), slog.Any("error", err))
	case changed:
		d.config.Log.Info("an LDAP server is well again", slog.String("server", s.URL))
	}
}

// release gives a connection back, or discards it.
func (d *Directory) release(c *conn, good bool) {
	if c.cut != nil && !c.cut() {
		good = false // it was closed meanwhile
	}
	d.pool.mu.Lock()
	good = good && !d.pool.closed && !c.server.down && !c.IsClosing()
	if good {
		c.used = d.config.Now()
		d.pool.idle = append(d.pool.idle, c)
	}
	d.pool.mu.Unlock()
	if !good {
		c.discard()
	}
	<-d.pool.slots
}

// run looks after the servers until ctx ends: those that failed are tried
// again, idle connections are used, names of the domain are resolved.
func (d *Directory) run(ctx context.Context) {
	tick := time.NewTicker(d.probeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.refresh(ctx)
			d.probe(ctx)
		}
	}
}

// probe tries servers that failed, and connections that were idle for long.
func (d *Directory) probe(ctx context.Context) {
	_, ill := d.pool.order()
	for _, s := range ill {
		if c, err := d.dial(ctx, s); err == nil {
			d.mark(s, nil)
			c.discard()
		}
	}
	d.pool.mu.Lock()
	old := d.config.Now().Add(-d.probeEvery)
	var stale []*conn
	d.pool.idle = slices.DeleteFunc(d.pool.idle, func(c *conn) bool {
		if c.used.Before(old) {
			stale = append(stale, c)
			return true
		}
		return false
	})
	d.pool.mu.Unlock()
	for _, c := range stale {
		d.try(ctx, c)
	}
}

// try asks for the server's own entry over a connection that was idle.
func (d *Directory) try(ctx context.Context, c *conn) {
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	select {
	case d.pool.slots <- struct{}{}:
	case <-ctx.Done():
		c.discard()
		return
	}
	c.watch(ctx)
	_, err := c.Search(rootRequest("1.1"))
	d.release(c, err == nil)
}

// rootRequest asks for the root DSE (RFC 4512 §5.1).
func rootRequest(attrs ...string) *client.SearchRequest {
	return client.NewSearchRequest("", client.ScopeBaseObject, client.NeverDerefAliases, 1, 0, false, "(objectClass=*)", attrs, nil)
}

// refresh takes over what DNS says of the domain's servers; where it says
// nothing, all stays.
func (d *Directory) refresh(ctx context.Context) {
	if d.config.Domain == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, d.config.ConnectTimeout)
	defer cancel()
	var found []Endpoint
	for _, kind := range []struct {
		service string
		secure  bool
	}{{"ldaps", true}, {"ldap", false}} {
		_, records, err := d.config.Resolve.LookupSRV(ctx, kind.service, "tcp", d.config.Domain)
		if err != nil {
			continue // there is no such service, or no name server: the next round tries again
		}
		for _, r := range records {
			host := r.Target
			if n := len(host); n > 1 && host[n-1] == '.' {
				host = host[:n-1]
			}
			address := net.JoinHostPort(host, strconv.Itoa(int(r.Port)))
			found = append(found, Endpoint{URL: kind.service + "://" + address, Network: "tcp", Address: address, Host: host, Immediate: kind.secure})
		}
		if len(found) > 0 {
			break
		}
	}
	if len(found) > 0 {
		d.pool.adopt(append(slices.Clone(d.endpoints), found...), d.config.Now())
	}
}

// adopt replaces the list of servers; those known keep their state.
func (p *pool) adopt(list []Endpoint, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	former := p.servers
	p.servers = nil
	for rank, e := range list {
		i := slices.IndexFunc(former, func(s *server) bool { return s.Endpoint == e })
		s := &server{Endpoint: e, since: now}
		if i >= 0 {
			s = former[i]
		}
		s.rank = rank
		p.servers = append(p.servers, s)
	}
}
