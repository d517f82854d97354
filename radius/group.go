package radius

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	codec "layeh.com/radius"
)

// Group is several servers that know the same users.
type Group struct {
	Name    string
	servers []*Server // by priority
	// accounting are those that take it, by priority.
	accounting []*Server
	rand       io.Reader
}

// NewGroup makes a group, with a Server for each entry.
func NewGroup(name string, servers []ServerConfig, o Options) (*Group, error) {
	if len(servers) == 0 {
		return nil, &ConfigError{Server: name, Fault: "the group has no server; give it one at least"}
	}
	g := &Group{Name: name, rand: o.withDefaults().Rand}
	for _, c := range servers {
		s, err := NewServer(c, o)
		if err != nil {
			g.Close()
			return nil, err
		}
		g.servers = append(g.servers, s)
	}
	g.sort()
	for _, s := range g.servers {
		if s.account != nil {
			g.accounting = append(g.accounting, s.account)
		}
	}
	return g, nil
}

func (g *Group) sort() {
	slices.SortStableFunc(g.servers, func(a, b *Server) int { return cmp.Compare(a.config.Priority, b.config.Priority) })
}

// Close closes the servers.
func (g *Group) Close() {
	for _, s := range g.servers {
		s.Close()
	}
}

// Figures gives the figures of every server, in the order in which they are
// asked.
func (g *Group) Figures() []Figures {
	list := make([]Figures, len(g.servers))
	for i, s := range g.servers {
		list[i] = s.Figures()
	}
	return list
}

// pick chooses the server for a login that has not tried those given. A dead
// one comes last: it may have come back. nil: all were tried.
func (g *Group) pick(tried []*Server) *Server { return pick(g.servers, tried, g.rand) }

func pick(servers, tried []*Server, rand io.Reader) *Server {
	var left, best []*Server
	for _, s := range servers {
		if !slices.Contains(tried, s) {
			left = append(left, s)
		}
	}
	for _, s := range left {
		if len(best) > 0 && best[0].config.Priority != s.config.Priority {
			break
		}
		if s.usable() {
			best = append(best, s)
		}
	}
	switch {
	case len(best) > 0:
		return byWeight(best, rand)
	case len(left) > 0:
		return left[0]
	}
	return nil
}

// byWeight draws a server, each as likely as its share of the weights.
func byWeight(list []*Server, rand io.Reader) *Server {
	total := 0
	for _, s := range list {
		total += s.config.Weight
	}
	var b [8]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return list[0]
	}
	draw := binary.BigEndian.Uint64(b[:])
	if total == 0 {
		return list[draw%uint64(len(list))]
	}
	rest := int(draw % uint64(total))
	for _, s := range list {
		if rest -= s.config.Weight; rest < 0 {
			return s
		}
	}
	return list[0]
}

// begin asks the servers of the group, one after the other, until one answers:
// a request without State may go to any of them. The error holds every
// *SilentError.
func (g *Group) begin(ctx context.Context, attrs codec.Attributes) (*Server, *Reply, error) {
	var tried []*Server
	var errs []error
	began := g.servers[0].options.Now()
	for {
		s := g.pick(tried)
		if s == nil {
			return nil, nil, errors.Join(errs...)
		}
		tried = append(tried, s)
		reply, err := s.conduct(ctx, newFlight(codec.CodeAccessRequest, attrs), g.others(tried), s.options.Now().Sub(began))
		if err == nil {
			return s, reply, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil || errors.Is(err, ErrClosed) {
			return s, nil, errors.Join(errs...)
		}
		var silent *SilentError
		if !errors.As(err, &silent) {
			return s, nil, fmt.Errorf("radius server %s: %w", s.Name(), err)
		}
	}
}

// others tells whether a server is left that was not tried.
func (g *Group) others(tried []*Server) bool { return len(tried) < len(g.servers) }
