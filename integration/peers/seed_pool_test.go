package peers

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
)

// seedDevice is one of our clients with an identity of its own, at the
// documented setup.
func (s *seedSite) seedDevice(n int) initiator.Config {
	return initiator.Config{
		Server: seedGateway4, ServerName: gatewayName, Roots: s.root.Pool(), User: seedUser, Password: auth.Secret(seedPassword),
		Identity: &message.ID{Kind: message.IDFQDN, Data: fmt.Appendf(nil, "device%d.example.org", n)},
		IKE:      proposals(message.ProtocolIKE, "aes256-sha256-modp2048"), ESP: proposals(message.ProtocolESP, "aes256-sha256"),
	}
}

// TestSeedPool has a client more than the page's pool has addresses.
func TestSeedPool(t *testing.T) {
	t.Parallel()
	const most = 126 // of 192.0.2.0/25, without its first and last address
	s := newSeedSite(t)
	s.serveSeed(t, "[hooks]\nupdown = \"\"\n[addresses]\nannounce = \"eth0\"\n")
	for _, p := range s.status(t).Pools {
		if p.Family == "IPv4" && p.Size != most || p.Family == "IPv6" && p.Size < 1<<31 {
			t.Errorf("pool %+v", p)
		}
	}
	c := s.newClient(t, "crowd")
	held, leave := context.WithTimeout(t.Context(), time.Minute)
	defer leave()
	all, ended := make(chan initiator.LoadReport, 1), make(chan error, 1)
	go c.Do(func() {
		_, err := initiator.Load(held, initiator.LoadConfig{
			Config: s.seedDevice(0), Each: func(n int, c *initiator.Config) { *c = s.seedDevice(n) },
			N: most + 1, Workers: 4, Hold: true, Held: func(r initiator.LoadReport) { all <- r },
		})
		ended <- err
	})
	select {
	case r := <-all:
		if r.Logins != most || r.Failed != 1 {
			t.Errorf("%d logins and %d failed: %v, first %s", r.Logins, r.Failed, r.Failures, r.Error)
		}
	case err := <-ended:
		t.Fatal(err)
	}
	if r := s.newest(t, "pool-exhausted"); r.User != seedUser || r.Advice == "" {
		t.Errorf("explained as %+v", r)
	}
	leased := make(map[string][]string) // by identity
	for _, in := range s.sessions(t) {
		leased[in.Identity] = in.Addresses
	}
	var want, got []string
	for n := range most {
		want = append(want, fmt.Sprintf("192.0.2.%d", n+1))
	}
	six := netip.MustParsePrefix("2001:db8::/96")
	for _, addresses := range leased {
		got = append(got, addresses[0])
		if a := netip.MustParseAddr(addresses[1]); !six.Contains(a) || a == six.Addr() {
			t.Errorf("leased %s", a)
		}
	}
	s.sameProxies(t, "with the pool full", slices.Concat(slices.Collect(maps.Values(leased))...)...)
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("leased %v, want all from 192.0.2.1 to 192.0.2.126", got)
	}
	leave()
	<-ended
	s.nobodyIn(t)
	s.sameProxies(t, "with everybody gone")
}

// TestSeedUsersKeepTheirLeases has each user come again, in another order.
func TestSeedUsersKeepTheirLeases(t *testing.T) {
	t.Parallel()
	s := newSeedSite(t)
	s.serveSeed(t, "")
	c := s.newClient(t, "client")
	visit := func(n int) {
		t.Helper()
		conf := s.seedDevice(n)
		conf.User, conf.Password = fmt.Sprint("user", n), auth.Secret(fmt.Sprint("password", n))
		var session *initiator.Session
		var err error
		c.Do(func() { session, err = initiator.Dial(t.Context(), conf) })
		if err != nil {
			t.Fatal(err)
		}
		in := s.oneSession(t)
		if want := []string{fmt.Sprint("192.0.2.", n), fmt.Sprint("2001:db8::", n)}; in.User != conf.User || !slices.Equal(in.Addresses, want) {
			t.Errorf("user %d: %+v, want %v", n, in, want)
		}
		if err := session.Close(t.Context()); err != nil {
			t.Error(err)
		}
		s.nobodyIn(t)
	}
	for _, n := range []int{1, 2, 3, 2, 3, 1} {
		visit(n)
	}
}
