package clients

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/initiator"
)

// patience bounds a login, a rekey, a move, a logout.
const patience = 20 * time.Second

// stays gives the clients of the table.
func stays() []stay {
	var all []stay
	for _, p := range initiator.Profiles()[1:] {
		all = append(all, stay{client: p.Name, user: p.Name, run: emulated(p)})
	}
	return all
}

// connection is an emulated client that carries traffic.
type connection struct {
	initiator.Interface
	end   context.CancelFunc
	ended chan error
}

// typed is how the user's name is typed at a client.
func typed(p *initiator.Profile, user string) string {
	if strings.HasPrefix(p.Name, "windows") {
		return `CORP\` + user
	}
	return user
}

// server is the gateway's address that a client uses: Android goes over IPv6,
// where it keeps to port 500 and bare ESP.
func (s *scene) server(p *initiator.Profile) netip.Addr {
	if p.Name == "android" {
		return s.outside.IPv6
	}
	return s.outside.IPv4
}

// connect logs a client in with a TUN device of its own and routes to the
// network behind the gateway.
func (s *scene) connect(m machine, p *initiator.Profile, user string) (*connection, error) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &connection{end: cancel, ended: make(chan error, 1)}
	up := make(chan initiator.Interface, 1)
	go m.Do(func() {
		c.ended <- initiator.Connect(ctx, initiator.ConnectConfig{
			Config: initiator.Config{
				Server: s.server(p).String(), ServerName: gatewayName, Roots: s.root.Pool(),
				User: typed(p, user), Password: auth.Secret(password), Profile: p,
			},
			Device: "tun0",
			Up: func(i initiator.Interface) (func() error, error) {
				err := m.route(i)
				up <- i
				return func() error { return nil }, err // the routes go with the device
			},
		})
	})
	select {
	case c.Interface = <-up:
		return c, nil
	case err := <-c.ended:
		cancel()
		return nil, fmt.Errorf("ended with %w", err)
	case <-time.After(patience):
		cancel()
		return nil, fmt.Errorf("no login within %s: %w", patience, <-c.ended)
	}
}

// route gives the device its addresses, and the network behind the gateway to
// the device.
func (m machine) route(i initiator.Interface) error {
	commands := [][]string{{"link", "set", i.Device, "mtu", fmt.Sprint(i.MTU), "up"}}
	for _, p := range i.Addresses {
		add := []string{"addr", "add", netip.PrefixFrom(p.Addr(), p.Addr().BitLen()).String(), "dev", i.Device}
		if p.Addr().Is6() {
			add = append(add, "nodad")
		}
		commands = append(commands, add)
	}
	commands = append(commands, []string{"route", "add", "10.99.0.0/24", "dev", i.Device}, []string{"-6", "route", "add", "fd00:99::/64", "dev", i.Device})
	for _, args := range commands {
		if out, err := m.Try("ip", args...); err != nil {
			return fmt.Errorf("ip %v: %w\n%s", args, err, out)
		}
	}
	return nil
}

// emulated is the stay of one of our emulations.
func emulated(p *initiator.Profile) func(*testing.T, *scene, stay, *row) {
	return func(t *testing.T, s *scene, st stay, r *row) {
		m := s.machine(strings.ReplaceAll(st.client, "windows10-policy", "wp"))
		c, err := s.connect(m, p, st.user)
		var before session
		if err == nil {
			before, err = s.admitted(st.user, c)
		}
		if r.cell(t, login, "ok", err); err != nil {
			return
		}
		defer c.end()
		r.cell(t, bothFamilies, "ok", m.pings())
		ke, how := p.RekeysWithKE(), "ok"
		if ke {
			how = "ok, with KE"
		}
		r.cell(t, childRekey, how, m.losesNothing(func() error {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			return c.Session.RekeyChild(ctx, ke)
		}))
		r.cell(t, ikeRekey, "ok", m.losesNothing(func() error {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			return c.Session.RekeyIKE(ctx)
		}))
		r.cell(t, move, "-", nil)
		if after, err := s.only(st.user); err != nil || after.ID != before.ID || !slices.Equal(after.Addresses, before.Addresses) {
			t.Errorf("%s: the session was %+v and is %+v, %v", st.client, before, after, err)
		}
		r.cell(t, logout, "ok", s.leaves(c, st.user))
	}
}

// admitted checks what the gateway says of a client that has logged in.
func (s *scene) admitted(user string, c *connection) (session, error) {
	in, err := s.only(user)
	if err != nil {
		return in, err
	}
	var given []string
	for _, p := range c.Addresses {
		given = append(given, p.Addr().String())
	}
	slices.Sort(given)
	if told := slices.Sorted(slices.Values(in.Addresses)); len(given) != 2 || !slices.Equal(given, told) {
		return in, fmt.Errorf("the client has the addresses %v, the gateway says %v; two are expected", given, told)
	}
	if v6 := slices.ContainsFunc(c.Addresses, func(p netip.Prefix) bool { return p.Addr().Is6() && p.Bits() == 128 }); !v6 {
		return in, fmt.Errorf("no IPv6 address of 128 bits in %v", c.Addresses)
	}
	if !slices.Contains(c.DNS, netip.MustParseAddr("10.99.0.53")) || !slices.Contains(c.DNS, netip.MustParseAddr("fd00:99::53")) {
		return in, fmt.Errorf("name servers %v, want one of each family", c.DNS)
	}
	return in, nil
}

// leaves logs out and checks that the gateway knows at once.
func (s *scene) leaves(c *connection, user string) error {
	c.end()
	select {
	case err := <-c.ended:
		if err != nil {
			return err
		}
	case <-time.After(patience):
		return errors.New("the client has not ended")
	}
	if list, err := s.sessions(user); err != nil || len(list) > 0 {
		return fmt.Errorf("after its DELETE the gateway has %+v, %v", list, err)
	}
	return nil
}
