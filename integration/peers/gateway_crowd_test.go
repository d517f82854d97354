package peers

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"bridgehead/integration/lab"
)

// newClientBehind makes a machine in a home network behind a NAT.
func (s *site) newClientBehind(t *testing.T, nat *lab.Namespace, n int) *client {
	t.Helper()
	c := &client{Namespace: s.Namespace(fmt.Sprint("home", n))}
	s.Link(nat, []string{fmt.Sprintf("192.168.%d.1/24", n)}, c.Namespace, []string{fmt.Sprintf("192.168.%d.2/24", n)})
	c.Run("ip", "route", "add", "default", "via", fmt.Sprintf("192.168.%d.1", n))
	return c
}

// TestFourClientsAtOnce has two users with two machines each, one pair of
// machines behind one NAT.
func TestFourClientsAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve(t, "")
	nat := s.Namespace("nat")
	outer := s.internet.Join(nat)
	nat.Masquerade(outer.Link)
	server := s.outside.IPv4.String()
	clients := []*client{s.newClient(t, "alice1"), s.newClient(t, "bob1"), s.newClientBehind(t, nat, 1), s.newClientBehind(t, nat, 2)}
	// alice's machines carry names of their own, as phones do; bob's both his,
	// and neither claims to be the only one.
	s.swanctl(t, clients[0], connection{server: server, id: "laptop.alice.example"}.String())
	s.swanctl(t, clients[2], connection{server: server, id: "phone.alice.example"}.String())
	for _, n := range []int{1, 3} {
		s.swanctl(t, clients[n], connection{server: server, user: "bob", password: "battery staple", more: "unique = never"}.String())
	}
	each := func(do func(n int, c *client)) {
		var all sync.WaitGroup
		for n, c := range clients {
			all.Go(func() { do(n, c) })
		}
		all.Wait()
	}
	each(func(n int, c *client) {
		if out, err := c.charon.TrySwanctl("--initiate", "--child", "home", "--timeout", "10"); err != nil {
			t.Errorf("client %d: %v\n%s", n, err, out)
		}
	})
	leased, ofUser, behindNAT := make(map[string]string), make(map[string]int), 0
	for _, in := range s.sessions(t) {
		ofUser[in.User]++
		if strings.HasPrefix(in.Peer, outer.IPv4.String()+":") {
			behindNAT++
		}
		for _, a := range in.Addresses {
			leased[a] = in.ID
		}
	}
	if !maps.Equal(ofUser, map[string]int{user: 2, "bob": 2}) || len(leased) != 8 || behindNAT != 2 {
		t.Fatalf("sessions %v, %d behind the NAT, addresses %v", ofUser, behindNAT, leased)
	}
	all := slices.Collect(maps.Keys(leased))
	var mu sync.Mutex
	seen := make(map[string]int)
	each(func(n int, c *client) {
		four, six := c.visits(t, fmt.Sprint("client ", n), behind4, all...), c.visits(t, fmt.Sprint("client ", n), behind6, all...)
		mu.Lock()
		defer mu.Unlock()
		seen[four]++
		seen[six]++
		if leased[four] != leased[six] {
			t.Errorf("client %d is seen under %s and %s, which are of different sessions", n, four, six)
		}
	})
	if len(seen) != 8 {
		t.Errorf("the host inside saw %v, want eight addresses once each", seen)
	}
	each(func(n int, c *client) {
		if out, err := c.charon.TrySwanctl("--terminate", "--ike", "home"); err != nil {
			t.Errorf("client %d: %v\n%s", n, err, out)
		}
	})
	s.nobodyIn(t)
}

// TestInitialContactReplacesTheLostSession shows a machine that lost its
// session without a word, as by a crash, and comes again from elsewhere.
func TestInitialContactReplacesTheLostSession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve(t, "")
	before, after := s.newClient(t, "before"), s.newClient(t, "after")
	for _, c := range []*client{before, after} {
		s.swanctl(t, c, connection{server: s.outside.IPv4.String(), id: "laptop.alice.example"}.String())
	}
	before.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
	first := s.oneSession(t)
	after.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
	var second session
	lab.Eventually(t, lab.Patience, "the end of the lost session", func() bool {
		list := s.sessions(t)
		if len(list) == 1 {
			second = list[0]
		}
		return len(list) == 1 && list[0].ID != first.ID
	})
	after.reaches(t, "after the second login", second.Addresses)
	if !slices.ContainsFunc(s.events(t), func(e event) bool { return e.Kind == "down" && e.Cause == "replaced-by-new-login" }) {
		t.Errorf("events %+v", s.events(t))
	}
}

// TestFullPool has three clients for two addresses.
func TestFullPool(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve(t, "", "192.0.2.10-192.0.2.11", "2001:db8::10-2001:db8::11")
	c := s.newClient(t, "client")
	var connections []string
	for _, name := range []string{"one", "two", "three"} {
		connections = append(connections, connection{
			name: name, id: name + ".alice.example", server: s.outside.IPv4.String(), more: "unique = never",
		}.String())
	}
	s.swanctl(t, c, connections...)
	c.charon.Swanctl("--initiate", "--child", "one", "--timeout", "60")
	c.charon.Swanctl("--initiate", "--child", "two", "--timeout", "60")
	out, err := c.charon.TrySwanctl("--initiate", "--child", "three", "--timeout", "10")
	if err == nil || !strings.Contains(out, "INTERNAL_ADDRESS_FAILURE") {
		t.Errorf("the third client is not told INTERNAL_ADDRESS_FAILURE, error %v:\n%s", err, out)
	}
	if r := s.newest(t, "pool-exhausted"); r.User != user || len(r.Evidence) == 0 || r.Advice == "" {
		t.Errorf("explained as %+v", r)
	}
	if now := s.status(t); now.Sessions != 2 || now.Pools[0].InUse != 2 || now.Pools[1].InUse != 2 {
		t.Errorf("%+v", now)
	}
	_, _ = c.charon.TrySwanctl("--terminate", "--ike", "three") // strongSwan may keep the IKE SA
	c.charon.Swanctl("--terminate", "--ike", "one")
	c.charon.Swanctl("--initiate", "--child", "three", "--timeout", "60")
	if now := s.status(t); now.Sessions != 2 || now.Pools[0].InUse != 2 {
		t.Errorf("after one left and the third came: %+v", now)
	}
}
