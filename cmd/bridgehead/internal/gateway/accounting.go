package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"

	"bridgehead/auth"
	"bridgehead/cmd/bridgehead/internal/admin"
	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/radius"
	"bridgehead/radius/accounting"
)

// accountsFile is where accounting waits to be sent, below paths.state.
const accountsFile = "accounting.db"

// openAccounting opens the spool of accounting where the configuration wants
// any.
func (g *Gateway) openAccounting(context.Context) error {
	c := g.config.Load()
	if c.Accounting.Backend != config.AccountingRADIUS {
		return nil
	}
	full := accounting.DropInterims
	if c.Accounting.WhenFull == config.FullRefuseLogins {
		full = accounting.RefuseLogins
	}
	authentic := rfc2866.AcctAuthentic_Value_Local
	if c.Auth.Name() == config.BackendRADIUS {
		authentic = rfc2866.AcctAuthentic_Value_RADIUS
	}
	spool, err := accounting.Open(accounting.Config{
		Path: filepath.Join(c.Paths.State, accountsFile), Sender: bookkeepers{&g.authorities},
		NAS: accounting.NAS{
			Identifier: nasIdentifier(c), Address: nasAddress(c), Authentic: authentic,
			Station: func(a netip.AddrPort) string { return radius.Station(a, c.Auth.RADIUS.StationPort) },
		},
		Interim: c.Accounting.Interim, Usage: g.progress, Limit: int64(c.Accounting.SpoolLimit), WhenFull: full, Required: c.Accounting.Required,
		Log: g.logger.With(slog.String("part", "accounting")), Notice: g.noticeAccounting,
	})
	if err != nil {
		return err
	}
	g.accounts = spool
	g.onClose(spool.Close)
	return nil
}

// nasAddress is the gateway's address where it has one of its own.
func nasAddress(c *config.Config) netip.Addr {
	for _, a := range c.Server.Listen {
		if a.Is4() {
			return a
		}
	}
	return cmp.Or(append(slices.Clone(c.Server.Listen), netip.Addr{})...)
}

// accountant is who keeps account; nil: nobody does.
func (g *Gateway) accountant() auth.Accountant {
	if g.accounts == nil {
		return nil
	}
	return g.accounts
}

// progress tells what sessions carry.
func (g *Gateway) progress(ctx context.Context) (map[string]accounting.Progress, error) {
	sessions, err := g.responder.Sessions(ctx)
	if err != nil {
		return nil, err
	}
	all := make(map[string]accounting.Progress, len(sessions))
	for _, s := range sessions {
		all[s.ID] = accounting.Progress{Totals: s.Totals(), Interim: s.InterimInterval}
	}
	return all, nil
}

// noticeAccounting tells of trouble with accounting, and of its end.
func (g *Gateway) noticeAccounting(text string) {
	g.journal.Publish(admin.Event{Kind: admin.KindNotice, Time: time.Now(), Text: text})
}

// closeAccounts sends what is left, in half of the time that is left: what no
// server takes is sent by the next start.
func (g *Gateway) closeAccounts(ending context.Context) {
	if g.accounts == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ending, shutdownTime/2)
	defer cancel()
	if err := g.accounts.Shut(ctx); err != nil {
		g.logger.Error("accounting", slog.Any("error", err))
	}
}

// describeAccounts is accounting in one line; empty: there is none.
func (g *Gateway) describeAccounts(now time.Time) string {
	if g.accounts == nil {
		return ""
	}
	f := g.accounts.Figures()
	text := fmt.Sprintf("%d sessions open; all that is known is reported", f.Open)
	if f.Waiting > 0 {
		text = fmt.Sprintf("%d sessions open; the records of %d wait for a server, the oldest for %s; %d of %d octets",
			f.Open, f.Waiting, max(now.Sub(f.Oldest), 0).Round(time.Second), f.Octets, f.Limit)
	}
	if f.Unsaved > 0 {
		text += "; the disk does not take them"
	}
	if n := f.DroppedSessions; n > 0 {
		text += fmt.Sprintf("; %d sessions were not reported", n)
	}
	return text
}

// bookkeepers are the servers that take accounting, as configured at the moment.
type bookkeepers struct{ *authorities }

// Account implements accounting.Sender. What is about no user goes to all.
func (b bookkeepers) Account(ctx context.Context, attrs codec.Attributes) error {
	a, err := b.hold()
	if err != nil {
		return err
	}
	defer a.leave()
	user := attrs.Get(rfc2865.UserName_Type)
	if user != nil {
		return a.keeperOf(string(user)).Account(ctx, attrs)
	}
	for _, g := range a.groups {
		err = errors.Join(err, g.Account(ctx, attrs))
	}
	return err
}

// Answering implements accounting.Sender.
func (b bookkeepers) Answering() bool {
	return slices.ContainsFunc(b.current.Load().groups, (*radius.Group).Answering)
}

// keeperOf chooses the servers for a user's accounting: those that decide about
// the user, or the first.
func (a *authority) keeperOf(name string) *radius.Group {
	if g, ok := a.realms[strings.ToLower(auth.SplitName(name).Realm)]; ok {
		return g
	}
	return cmp.Or(a.others, a.groups[0])
}
