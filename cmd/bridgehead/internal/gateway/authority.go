package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"bridgehead/auth"
	"bridgehead/auth/secrets"
	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/ldap"
	"bridgehead/radius"
)

// authority is who decides who may come in: the backend of one configuration
// with what it holds open. Logins that began with it end with it, whatever
// takes its place meanwhile; the last one of them closes it.
type authority struct {
	backend auth.Backend
	mark    string          // of all that it was made from
	groups  []*radius.Group // of RADIUS servers; none with the file alone
	realms  map[string]*radius.Group
	others  *radius.Group // of the users of no such realm; may be nil
	// directory is of LDAP servers; nil: not in use.
	directory *ldap.Directory

	mu      sync.Mutex
	logins  int
	retired bool
	closed  sync.WaitGroup // holds its closing
}

// enter counts a login in; false where another authority has taken over.
func (a *authority) enter() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.retired {
		return false
	}
	a.logins++
	return true
}

func (a *authority) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.logins--; a.logins == 0 && a.retired {
		a.close()
	}
}

// retire lets nobody new in.
func (a *authority) retire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.retired {
		return
	}
	if a.retired = true; a.logins == 0 {
		a.close()
	}
}

// close closes the servers, which waits for their goroutines.
func (a *authority) close() {
	for _, g := range a.groups {
		a.closed.Go(g.Close)
	}
	if a.directory != nil {
		a.closed.Go(a.directory.Close)
	}
}

// authorities is the one in force. It is an auth.Backend.
type authorities struct{ current atomic.Pointer[authority] }

// Begin implements auth.Backend.
func (s *authorities) Begin(ctx context.Context, peer auth.Peer) (auth.Conversation, error) {
	a, err := s.hold()
	if err != nil {
		return nil, err
	}
	c, err := a.backend.Begin(ctx, peer)
	if err != nil {
		a.leave()
		return nil, err
	}
	return &login{Conversation: c, authority: a}, nil
}

// hold gives the authority in force, which stays open until leave.
func (s *authorities) hold() (*authority, error) {
	a := s.current.Load()
	for !a.enter() {
		next := s.current.Load()
		if next == a {
			return nil, errors.New("the gateway is stopping")
		}
		a = next
	}
	return a, nil
}

// exchange puts an authority in force; nothing changes where it is already.
func (s *authorities) exchange(next *authority) {
	if former := s.current.Swap(next); former != nil && former != next {
		former.retire()
	}
}

// login is a conversation with the authority that it holds.
type login struct {
	auth.Conversation
	authority *authority
	over      bool
}

// Close implements auth.Conversation.
func (l *login) Close() {
	if l.over {
		return
	}
	l.over = true
	l.Conversation.Close()
	l.authority.leave()
}

// openAuthority opens who decides. It is closed with the gateway, logins or
// none.
func (g *Gateway) openAuthority(ctx context.Context) error {
	if g.config.Load().Auth.Uses(config.BackendFile) {
		if err := g.openUsers(ctx); err != nil {
			return err
		}
	}
	a, err := g.newAuthority(g.config.Load())
	if err != nil {
		return err
	}
	g.authorities.exchange(a)
	g.onClose(func() error {
		last := g.authorities.current.Load()
		last.retire()
		for _, group := range last.groups {
			group.Close()
		}
		if last.directory != nil {
			last.directory.Close()
		}
		last.closed.Wait()
		return nil
	})
	return nil
}

// newAuthority makes the authority of a configuration, which is the one in
// force where it would be made from the same.
func (g *Gateway) newAuthority(c *config.Config) (*authority, error) {
	plan, err := readRADIUS(c)
	if err != nil {
		return nil, err
	}
	plan.mark += directoryMark(c)
	if a := g.authorities.current.Load(); a != nil && a.mark == plan.mark {
		return a, nil
	}
	m := &members{log: g.logger, broken: g.brokenGlass}
	if g.users != nil {
		m.users = g.users
	}
	return plan.open(c, m, radius.Options{Log: g.logger.With(slog.String("backend", config.BackendRADIUS))})
}

// brokenGlass notes that somebody came in by an account that is kept for an
// outage.
func (g *Gateway) brokenGlass(user, session string) {
	g.metrics.breakGlass.Inc()
	g.logger.Warn("a break-glass account was used", slog.String("user", user), slog.String("session", session))
}

// sameBackends tells whether two configurations use the same ones, in whatever
// order.
func sameBackends(a, b *config.Config) bool {
	for _, name := range []string{config.BackendFile, config.BackendLDAP, config.BackendRADIUS} {
		if a.Auth.Uses(name) != b.Auth.Uses(name) {
			return false
		}
	}
	return true
}

// taking is who would decide after a reload, until keep.
type taking struct {
	g     *Gateway
	next  *authority
	users *secrets.File // nil: there is no file
	fresh bool          // next is not the one in force
	kept  bool
}

// takeOver opens who would decide by another configuration.
func (g *Gateway) takeOver(next *config.Config) (*taking, error) {
	t := &taking{g: g, next: g.authorities.current.Load()}
	merged := merge(g.config.Load(), next)
	var err error
	if g.users != nil {
		if t.users, err = g.users.open(merged); err != nil {
			return t, err
		}
	}
	former := t.next
	t.next, err = g.newAuthority(merged)
	t.fresh = t.next != former
	return t, err
}

// changed tells what is new, for a person.
func (t *taking) changed() []string {
	var list []string
	if t.users != nil {
		list = append(list, fmt.Sprintf("users (%d)", t.users.Len()))
	}
	switch {
	case t.fresh && len(t.next.groups) > 0:
		list = append(list, "RADIUS servers")
	case t.fresh:
		list = append(list, "backends")
	}
	return list
}

// keep puts it in force.
func (t *taking) keep() {
	t.kept = true
	if t.users != nil {
		t.g.users.exchange(t.users)
	}
	t.g.authorities.exchange(t.next)
}

// drop closes what was opened in vain.
func (t *taking) drop() {
	if t.fresh && !t.kept {
		t.next.retire()
		t.next.closed.Wait()
	}
}

// radiusPatience bounds a call of the RADIUS backend, which keeps to its own
// shorter time.
const radiusPatience = time.Hour

// backendTime is how long one call of the backend may take; zero: what any job
// may.
func backendTime(c *config.Config) time.Duration {
	if c.Auth.Uses(config.BackendRADIUS) {
		return radiusPatience
	}
	return 0
}
