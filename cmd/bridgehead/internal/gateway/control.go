package gateway

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"bridgehead/cmd/bridgehead/internal/admin"
	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/ikev2"
)

var _ admin.Gateway = (*Gateway)(nil)

// Status implements admin.Gateway.
func (g *Gateway) Status(ctx context.Context) (admin.Status, error) {
	now, c := time.Now(), g.config.Load()
	s := admin.Status{
		Name: c.Server.Name, Version: g.options.Version, Started: g.started, Uptime: now.Sub(g.started),
		Listen: g.Listening(), Backend: c.Auth.Name(), Plane: g.plane.String(),
		Pools: []admin.Pool{}, Warnings: append([]string{}, g.cautions...),
	}
	sessions, err := g.responder.Sessions(ctx)
	if err != nil {
		return s, err
	}
	s.Sessions, s.HalfOpen = len(sessions), g.responder.HalfOpen()
	counters := g.responder.Counters()
	s.Logins = admin.Logins{
		Accepted: counters[ikev2.LoginsComplete.String()], Refused: counters[ikev2.LoginsRefused.String()],
		Silent: counters[ikev2.LoginsSilent.String()],
	}
	s.Accounting = g.describeAccounts(now)
	for _, p := range g.pools.Usage() {
		s.Pools = append(s.Pools, admin.Pool{Name: p.Pool, Family: p.Family.String(), Size: p.Size, InUse: uint64(p.Held)})
		if p.Alert {
			s.Warnings = append(s.Warnings, fmt.Sprintf("the %s pool %s is nearly used up: %d of %d; enlarge %s",
				p.Family, p.Pool, p.Held, p.Size, config.NamedPool{Name: p.Pool}.Setting()))
		}
	}
	servers, silent := serversOf(g.authorities.current.Load(), now)
	s.RADIUS, s.Warnings = servers, append(s.Warnings, silent...)
	s.Warnings = append(s.Warnings, expiring(g.leaves(), now)...)
	return s, nil
}

// soon is how long before its end a certificate is warned of.
const soon = 14 * 24 * time.Hour

// expiring warns of certificates that end soon.
func expiring(leaves []*x509.Certificate, now time.Time) []string {
	var list []string
	for _, x := range leaves {
		if left := x.NotAfter.Sub(now); left < soon {
			list = append(list, fmt.Sprintf("the certificate of %s ends %s; renew it and say `bridgehead reload`", x.Subject, x.NotAfter.Format(time.DateOnly)))
		}
	}
	return list
}

// Sessions implements admin.Gateway.
func (g *Gateway) Sessions(ctx context.Context) ([]admin.Session, error) {
	infos, err := g.responder.Sessions(ctx)
	list := make([]admin.Session, 0, len(infos))
	for _, i := range infos {
		list = append(list, sessionOf(i))
	}
	return list, err
}

// Disconnect implements admin.Gateway.
func (g *Gateway) Disconnect(ctx context.Context, which admin.Selector) (admin.Disconnected, error) {
	n, err := g.responder.Disconnect(ctx, ikev2.Selector{All: which.All, ID: which.Session, User: which.User})
	return admin.Disconnected{Sessions: n}, err
}

// leaves are the gateway's own certificates.
func (g *Gateway) leaves() []*x509.Certificate {
	var list []*x509.Certificate
	for _, id := range g.identities.Load().list {
		list = append(list, id.Chain[0])
	}
	return list
}
