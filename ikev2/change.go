package ikev2

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
)

// Change is what a session that is up gets in the place of what its Grant said
// (RFC 5176). Zero fields leave things as they are.
type Change struct {
	SessionTimeout  time.Duration // from now; the gateway's own limit stays
	IdleTimeout     time.Duration // from now; the gateway's own limit stays
	InterimInterval time.Duration
	Filter          *[]auth.FilterRule // none in it: everything passes
	RateUp          *uint64            // bits a second from the client; 0: no limit
	RateDown        *uint64            // bits a second to the client; 0: no limit
	// Reauthenticate tells the client the end of its session, which is in five
	// minutes unless SessionTimeout says otherwise, so that it logs in anew
	// before (RFC 4478). A client that does not know AUTH_LIFETIME is
	// disconnected then.
	Reauthenticate bool
}

// reauthTime is what a client has to log in anew, where nothing else is said.
const reauthTime = 5 * time.Minute

// ErrNoSession reports a session id of which no session is up.
var ErrNoSession = errors.New("ikev2: no session of that id is up")

// Change changes a session, all or nothing, and returns once the data plane
// obeys. The error is ErrNoSession, a *GatewayFault, ErrEnded or ctx's; in the
// last case the change may still be made.
func (r *Responder) Change(ctx context.Context, sessionID string, c Change) error {
	done := make(chan error, 1)
	found, err := ask(ctx, r, func(now time.Time, s *shard) bool {
		sa := s.up(sessionID)
		if sa != nil {
			s.handle(now, sa, Adjust{c, done})
		}
		return sa != nil
	})
	if err != nil {
		return err
	}
	for _, f := range found {
		if !f {
			continue
		}
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-r.ended:
			return ErrEnded
		}
	}
	return ErrNoSession
}

// up gives the SA of the session of that id, nil if none is up.
func (s *shard) up(session string) *SA {
	for _, sa := range s.reg.sas {
		if sa.state == StateEstablished && sa.session.isUp && sa.session.id == session {
			return sa
		}
	}
	return nil
}

// limits tells whether the data plane has to hear of the change.
func (c *Change) limits() bool { return c.Filter != nil || c.RateUp != nil || c.RateDown != nil }

// apply gives the limits as changed; nil: none.
func (c *Change) apply(l *esp.Limits) *esp.Limits {
	next := new(esp.Limits)
	if l != nil {
		*next = *l
	}
	if c.Filter != nil {
		next.Filter = *c.Filter
	}
	if c.RateUp != nil {
		next.RateUp = *c.RateUp
	}
	if c.RateDown != nil {
		next.RateDown = *c.RateDown
	}
	if next.IsZero() {
		return nil
	}
	return next
}

// changeLimits tells the data plane the limits of a session that is up. Of two
// such jobs the later must win, so each begins when the one before has ended.
type changeLimits struct {
	job
	of     *session // the shard's
	order  Adjust
	limits *esp.Limits // as changed, for the session
	told   *esp.Limits // the same for the data plane
	err    error
}

func (*changeLimits) pool() pool { return poolHost }

func (j *changeLimits) Run(ctx context.Context, w *works) {
	j.err = w.limit(ctx, j.of.id, j.of.lease, j.told)
}

// adjust changes the session, once the data plane has obeyed where it is
// concerned.
func (sa *SA) adjust(now time.Time, order Adjust, out *Outbox) {
	s := sa.session
	if !order.Change.limits() {
		sa.adjustTimes(now, order, out)
		return
	}
	g := s.ownGiven()
	if g.changing = append(g.changing, order); len(g.changing) == 1 {
		sa.beginChange(out)
	}
}

// beginChange starts the first of the changes that wait. Until it has ended the
// session's addresses stay its own.
func (sa *SA) beginChange(out *Outbox) {
	s := sa.session
	order := s.given.changing[0]
	s.busy++
	next := order.Change.apply(s.given.limits)
	out.Jobs = append(out.Jobs, &changeLimits{job: job{sa}, of: s, order: order, limits: next, told: sa.informed(next)})
}

// limitsChanged ends a change that the data plane was told of, and begins the
// next.
func (sa *SA) limitsChanged(now time.Time, j *changeLimits, out *Outbox) {
	s := j.of
	g := s.given
	g.changing = g.changing[1:]
	if s.ended {
		for _, order := range append([]Adjust{j.order}, g.changing...) {
			order.told(ErrNoSession)
		}
		g.changing = nil
		return
	}
	if j.err == nil {
		g.limits = j.limits
		sa.adjustTimes(now, j.order, out)
	} else {
		sa.noteFailed(out, "changing a session's limits failed", j.err)
		j.order.told(j.err)
	}
	if len(g.changing) > 0 {
		sa.beginChange(out)
	} else {
		g.changing = nil
	}
}

// adjustTimes changes what only the gateway itself needs to know.
func (sa *SA) adjustTimes(now time.Time, order Adjust, out *Outbox) {
	c, w := order.Change, &sa.watch
	if c.InterimInterval > 0 {
		sa.session.ownGiven().interim = c.InterimInterval
	}
	if c.IdleTimeout > 0 {
		w.idle, w.active = shorter(c.IdleTimeout, sa.cfg.Timers.Idle), now
	}
	announce := c.Reauthenticate
	switch {
	case c.SessionTimeout > 0:
		w.end = sa.cfg.latestEnd(sa.session.begun, now.Add(c.SessionTimeout))
		announce = announce || sa.session.reauthenticates()
	case c.Reauthenticate && (w.end.IsZero() || w.end.After(now.Add(reauthTime))):
		w.end = now.Add(reauthTime)
	}
	if c.Reauthenticate {
		sa.session.ownGiven().reauthenticate = true
	}
	if announce {
		sa.ask(now, informational(authLifetime(now, w.end)), out)
	}
	order.told(nil)
}

// latestEnd is end, unless the gateway lets no session that began then last so
// long.
func (s *settings) latestEnd(begun, end time.Time) time.Time {
	if most := begun.Add(s.Timers.Session); s.Timers.Session > 0 && most.Before(end) {
		return most
	}
	return end
}

// authLifetime tells the client in how many seconds the session ends (RFC 4478
// §3).
func authLifetime(now, end time.Time) *message.Notify {
	left := max(end.Sub(now)/time.Second, 0)
	return status(message.AuthLifetime, binary.BigEndian.AppendUint32(nil, uint32(min(left, 1<<32-1))))
}
