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
	"bridgehead/integration/lab"
)

// patience bounds a login, a rekey, a move, a logout.
const patience = lab.Patience

// stays gives the clients of the table.
func stays() []stay {
	var all []stay
	for _, p := range initiator.Profiles()[1:] {
		all = append(all, stay{client: p.Name, user: p.Name, run: emulated(p)})
	}
	return append(all, strongSwan()...)
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
		if p.Moves() {
			r.cell(t, move, "ok", s.moves(t, m, p, c, before))
		} else {
			c, err = s.reconnects(m, p, c, before)
			if r.cell(t, move, "reconnects, same addresses", err); err != nil {
				return
			}
			defer c.end()
		}
		r.cell(t, logout, "ok", s.leaves(c, st.user))
	}
}

// moves has a client change its outer address within its session.
func (s *scene) moves(t *testing.T, m machine, p *initiator.Profile, c *connection, before session) error {
	from, to := m.uplink.IPv4, m.uplink.IPv4.Next()
	if s.server(p).Is6() {
		from, to = m.uplink.IPv6, m.uplink.IPv6.Next()
	}
	m.has(to)
	err := m.losesNothing(func() error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return c.Session.Move(ctx, to, netip.Addr{})
	})
	if err != nil {
		return err
	}
	m.loses(from)
	return s.stayed(m, to, before)
}

// stayed checks that a session is the same as before at another address, and
// that packets get through.
func (s *scene) stayed(m machine, at netip.Addr, before session) error {
	after, err := s.only(before.User)
	switch peer, parse := netip.ParseAddrPort(after.Peer); {
	case err != nil:
		return err
	case parse != nil || peer.Addr() != at:
		return fmt.Errorf("the gateway has the client at %s, want %s", after.Peer, at)
	case after.ID != before.ID || !slices.Equal(after.Addresses, before.Addresses):
		return fmt.Errorf("the session was %+v and is %+v", before, after)
	}
	return m.pings()
}

// reconnects is what a client does that cannot move: its old address is gone
// before it can say so, and it logs in from the new one.
func (s *scene) reconnects(m machine, p *initiator.Profile, c *connection, before session) (*connection, error) {
	to := m.uplink.IPv4.Next()
	m.has(to)
	m.loses(m.uplink.IPv4)
	c.end()
	if err := <-c.ended; err == nil {
		return nil, errors.New("it could say goodbye from an address that is gone")
	}
	again, err := s.connect(m, p, before.User)
	if err != nil {
		return nil, err
	}
	after, err := s.admitted(before.User, again)
	switch {
	case err != nil:
		return again, err
	case !slices.Equal(after.Addresses, before.Addresses):
		return again, fmt.Errorf("the addresses were %v and are %v", before.Addresses, after.Addresses)
	}
	return again, m.pings()
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

// TestTrafficMakesWindowsRekey has the octets that a connection really carries
// bring about the rekey that is Windows' habit, at fewer than its 200 MiB.
func TestTrafficMakesWindowsRekey(t *testing.T) {
	t.Parallel()
	s := newScene(t, "userspace", []string{"alice"})
	m := s.machine("windows")
	p := initiator.WindowsPolicy()
	p.Habits.RekeyChildOctets = 100 << 10
	c, err := s.connect(m, p, "alice")
	if err != nil {
		t.Fatal(err)
	}
	first := c.Session.Child().ID
	m.Run("ping", "-q", "-c", "60", "-i", "0.01", "-s", "1000", "-w", "15", behind4)
	if err := within(patience, "a rekey", func() (bool, error) { return c.Session.Child().ID != first, nil }); err != nil {
		t.Error(err)
	}
	if err := errors.Join(m.pings(), s.leaves(c, "alice")); err != nil {
		t.Error(err)
	}
}
