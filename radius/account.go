package radius

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"slices"

	codec "layeh.com/radius"

	"bridgehead/auth"
)

// ErrNoAccounting tells that no server of a group takes accounting.
var ErrNoAccounting = errors.New("radius: no server of the group takes accounting; give one its accounting address")

// Account sends an Accounting-Request to the servers of the group, one after
// the other, until one answers: it has the record then. Each call is a request
// of its own, with its own identifier and authenticator (RFC 2866 §3). attrs
// must hold no Message-Authenticator. Where none answers, the error holds every
// *SilentError.
func (g *Group) Account(ctx context.Context, attrs codec.Attributes) error {
	if !g.TakesAccounting() {
		return ErrNoAccounting
	}
	var tried []*Server
	var errs []error
	for {
		s := pick(g.accounting, tried, g.rand)
		if s == nil {
			return errors.Join(errs...)
		}
		tried = append(tried, s)
		_, err := s.conduct(ctx, newFlight(codec.CodeAccountingRequest, attrs), len(tried) < len(g.accounting), 0)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
		if !errors.As(err, new(*SilentError)) || ctx.Err() != nil {
			return errors.Join(errs...)
		}
	}
}

// TakesAccounting tells whether a server of the group does.
func (g *Group) TakesAccounting() bool { return len(g.accounting) > 0 }

// AccountingFigures gives the figures of the servers that take accounting where
// it goes another way than the rest.
func (g *Group) AccountingFigures() []Figures {
	var list []Figures
	for _, s := range g.servers {
		if s.account != nil && s.account != s {
			list = append(list, s.account.Figures())
		}
	}
	return list
}

// books is the configuration of the way that accounting goes where it is not
// the same as for the rest; nil: it is, or there is none.
func (c *ServerConfig) books() (*ServerConfig, error) {
	if c.Accounting == "" || c.Accounting == c.Address {
		return nil, nil
	}
	b := *c
	b.Name, b.Address, b.Accounting = c.Name+" (accounting)", c.Accounting, ""
	if err := b.complete(); err != nil {
		return nil, err
	}
	return &b, nil
}

// encodeAccounting makes an Accounting-Request. Its authenticator is a checksum
// over the packet with zeros in its place, and the secret (RFC 2866 §3).
func encodeAccounting(id uint8, attrs codec.Attributes, secret auth.Secret) (request, error) {
	p := codec.Packet{Code: codec.CodeAccountingRequest, Identifier: id, Attributes: attrs}
	b, err := p.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encode an Accounting-Request: %w", err)
	}
	h := md5.New()
	h.Write(b)
	h.Write(secret)
	h.Sum(b[4:4])
	return b, nil
}

// Answering tells whether a server that takes accounting is known to be alive.
func (g *Group) Answering() bool {
	return slices.ContainsFunc(g.accounting, func(s *Server) bool { return s.Figures().State == Alive })
}
