package ikev2

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// account is how far the account of a session has come.
type account uint8

const (
	accountNone   account = iota
	accountOpen           // its Start is written
	accountClosed         // its end is written, or about to be
)

// openAccount begins the account of a session. Until it has ended the
// addresses stay the session's own.
type openAccount struct {
	job
	of      *session // the shard's
	session auth.Session
	err     error
}

func (*openAccount) pool() pool { return poolAccount }

func (j *openAccount) Run(ctx context.Context, w *works) { j.err = w.accounts.Start(ctx, j.session) }

// opened notes what became of it.
func (j *openAccount) opened() {
	if j.err == nil {
		j.of.account = accountOpen
	}
}

// keepAccount completes the login once the session's account is begun, if one is
// kept: what is announced has an account.
func (sa *SA) keepAccount(now time.Time, choice suite.Choice, child []message.Payload, out *Outbox) {
	if sa.cfg.Accountant == nil {
		sa.completeLogin(now, child, out)
		return
	}
	s := sa.accounted(sa.session, now)
	if choice.Number != 0 {
		s.Suite += "/" + choice.String()
	}
	sa.session.busy++
	await(sa, out, &openAccount{job: job{sa}, of: sa.session, session: s}, func(sa *SA, now time.Time, j *openAccount, out *Outbox) {
		if j.opened(); j.err != nil {
			sa.refuse(now, accountingFault(j.err), out)
			return
		}
		sa.completeLogin(now, child, out)
	})
}

func accountingFault(err error) error {
	var named auth.UnaccountedError
	if errors.As(err, &named) {
		return &GatewayFault{Cause: named.Cause(), Err: err}
	}
	return &GatewayFault{Cause: CauseAccounting, Err: err}
}

// accounted is a session of this SA's client as accounting sees it.
func (sa *SA) accounted(s *session, began time.Time) auth.Session {
	a := auth.Session{
		ID: s.id, User: s.user, Addresses: addressesOf(s.lease), Local: sa.path.local, Remote: sa.path.remote,
		Client: s.client.String(), Suite: sa.suite.String(), Began: began,
	}
	if g := s.given; g != nil {
		a.Class, a.ChargeableUser, a.Interim = g.class, g.chargeableUser, g.interim
		a.Unclaimed = unclaimed(g.addresses, a.Addresses)
	}
	return a
}

// unclaimed are the addresses that a Grant gave and a lease does not hold.
func unclaimed(given, leased []netip.Addr) []netip.Addr {
	var rest []netip.Addr
	for _, a := range given {
		if !slices.Contains(leased, a) {
			rest = append(rest, a)
		}
	}
	return rest
}

// settlement is the end of an account.
type settlement struct {
	session string
	void    *auth.Session // of a login that came to nothing; nil: of a session that was begun
	past    auth.Totals   // what it carried, but for what goes at the same time
	end     auth.End
}

// settlement ends the account of a session, or tells of a login that had
// addresses by its Grant and came to nothing: a backend that lends them must
// hear that they are free. nil: there is nothing to tell.
func (sa *SA) settlement(s *session, end *auth.End) *settlement {
	if sa.cfg.Accountant == nil {
		return nil
	}
	began := s.account == accountOpen
	lent := s.account == accountNone && s.given != nil && len(s.given.addresses) > 0
	s.account = accountClosed
	switch {
	case began:
		return &settlement{session: s.id, past: s.past.totals(), end: *end}
	case lent:
		void := sa.accounted(s, s.begun)
		void.Addresses, void.Unclaimed = nil, s.given.addresses
		return &settlement{session: s.id, void: &void, end: *end}
	}
	return nil
}

// settle tells the accountant, for a job.
func (s *settlement) settle(ctx context.Context, to auth.Accountant, gone []esp.Usage) error {
	if s.void != nil {
		return to.Void(ctx, *s.void, s.end)
	}
	t := s.past
	for _, u := range gone {
		addUsage(&t, u)
	}
	return to.Stop(ctx, s.session, t, s.end)
}

func addUsage(t *auth.Totals, u esp.Usage) {
	t.BytesIn, t.BytesOut = t.BytesIn+u.BytesIn, t.BytesOut+u.BytesOut
	t.PacketsIn, t.PacketsOut = t.PacketsIn+u.PacketsIn, t.PacketsOut+u.PacketsOut
}

// totals are those of what Child SAs carried that are gone.
func (p *past) totals() auth.Totals {
	var t auth.Totals
	for _, u := range p.usage() {
		addUsage(&t, u)
	}
	return t
}

// Totals are what a session has carried, as far as its Usage was read.
func (i *SessionInfo) Totals() auth.Totals {
	var t auth.Totals
	for _, u := range i.Usage {
		addUsage(&t, u)
	}
	return t
}
