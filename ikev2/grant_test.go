package ikev2

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/lease"
	"bridgehead/ikev2/message"
)

// fakeLimiter remembers what it was told, and what was in the data plane by
// then.
type fakeLimiter struct {
	plane  *fakePlane
	mu     sync.Mutex // a responder's jobs run side by side
	limits map[string]string
	calls  int
	bare   int // sessions that had a Child SA before limits, or after them
	fail   error
}

func (l *fakeLimiter) Limit(_ context.Context, session string, inner []netip.Addr, limits *esp.Limits) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if _, known := l.limits[session]; !known && l.installed(session) {
		l.bare++
	}
	if l.fail == nil {
		l.limits[session] = fmt.Sprintf("%v %v %d/%d", inner, limits.Filter, limits.RateUp, limits.RateDown)
	}
	return l.fail
}

func (l *fakeLimiter) Unlimit(_ context.Context, session string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.limits[session]; known && l.installed(session) {
		l.bare++
	}
	delete(l.limits, session)
	return nil
}

func (l *fakeLimiter) installed(session string) bool {
	l.plane.mu.Lock()
	defer l.plane.mu.Unlock()
	for _, c := range l.plane.children {
		if c.Session == session {
			return true
		}
	}
	return false
}

// limited puts a fakeLimiter beside the world's data plane.
func limited(into **fakeLimiter, g auth.Grant) func(*Config) {
	return func(cfg *Config) {
		*into = &fakeLimiter{plane: cfg.Plane.(*fakePlane), limits: make(map[string]string)}
		cfg.Limiter, cfg.Backend = *into, granting(g)
	}
}

func filter(t testing.TB, rules ...string) []auth.FilterRule {
	t.Helper()
	f, err := auth.ParseFilter(rules)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestGrantReachesTheClient: what the Grant says counts, the rest is configured.
func TestGrantReachesTheClient(t *testing.T) {
	addr := netip.MustParseAddr
	pool := func(name string, ranges ...string) lease.PoolConfig {
		p := lease.PoolConfig{Name: name}
		for _, s := range ranges {
			r, err := lease.ParseRange(s)
			if err != nil {
				t.Fatal(err)
			}
			p.Ranges = append(p.Ranges, r)
		}
		return p
	}
	for _, c := range []struct {
		name       string
		grant      auth.Grant
		v4, v6     string
		dns        []netip.Addr
		reachesAll bool
	}{
		{"nothing", auth.Grant{}, "192.0.2.1", "2001:db8::1", []netip.Addr{addr("192.0.2.200"), addr("2001:db8::53")}, true},
		{"pool", auth.Grant{Pool: "staff"}, "198.51.100.1", "2001:db8:5::1", []netip.Addr{addr("192.0.2.200"), addr("2001:db8::53")}, true},
		{"pool of IPv6", auth.Grant{Pool6: "staff"}, "192.0.2.1", "2001:db8:5::1", []netip.Addr{addr("192.0.2.200"), addr("2001:db8::53")}, true},
		{"both pools", auth.Grant{Pool: "staff", Pool6: "main"}, "198.51.100.1", "2001:db8::1", []netip.Addr{addr("192.0.2.200"), addr("2001:db8::53")}, true},
		{"address", auth.Grant{Addresses: []netip.Addr{addr("192.0.2.77")}}, "192.0.2.77", "2001:db8::1", []netip.Addr{addr("192.0.2.200"), addr("2001:db8::53")}, true},
		{"address before pool", auth.Grant{Pool: "staff", Addresses: []netip.Addr{addr("2001:db8::77")}}, "198.51.100.1", "2001:db8::77", []netip.Addr{addr("192.0.2.200"), addr("2001:db8::53")}, true},
		{"addresses of no pool", auth.Grant{Addresses: []netip.Addr{addr("203.0.113.9"), addr("2001:db8:9::9")}}, "203.0.113.9", "2001:db8:9::9", []netip.Addr{addr("192.0.2.200"), addr("2001:db8::53")}, true},
		{"name servers", auth.Grant{DNS: []netip.Addr{addr("10.0.0.53")}}, "192.0.2.1", "2001:db8::1", []netip.Addr{addr("10.0.0.53")}, true},
		{"routes", auth.Grant{Routes: prefixes("10.0.0.0/8", "2001:db8:a::/48")}, "192.0.2.1", "2001:db8::1", []netip.Addr{addr("192.0.2.200"), addr("2001:db8::53")}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, func(cfg *Config) {
				pools, err := lease.NewPools([]lease.PoolConfig{
					pool("main", "192.0.2.0/24", "2001:db8::/96"), pool("staff", "198.51.100.0/24", "2001:db8:5::/96"),
				}, lease.NewMemory())
				if err != nil {
					t.Fatal(err)
				}
				cfg.Leases, cfg.Backend = pools, granting(c.grant)
			})
			d := w.newDevice(nil).mustLogin()
			got := d.sa.Result().Config
			want := fmt.Sprintf("[%s/32 %s/128]", c.v4, c.v6)
			if fmt.Sprint(got.Addresses) != want || !slices.Equal(got.DNS, c.dns) {
				t.Errorf("the client has %v and asks %v, want %s and %v", got.Addresses, got.DNS, want, c.dns)
			}
			reaches := describeSelectors(w.plane.only(t).Local)
			if all := describeSelectors(everything()); (reaches == all) != c.reachesAll || !c.reachesAll && reaches != "10.0.0.0-10.255.255.255 2001:db8:a::-2001:db8:a:ffff:ffff:ffff:ffff:ffff" {
				t.Errorf("it reaches %s", reaches)
			}
			if err := d.command(initiator.Delete{}); err != nil {
				t.Fatal(err)
			}
			w.run(time.Hour, nil)
			w.mustBeEmpty()
		})
	}
}

// TestFixedAddressOfAnother: a fixed address of no pool is one session's alone.
func TestFixedAddressOfAnother(t *testing.T) {
	fixed := []netip.Addr{netip.MustParseAddr("203.0.113.9")}
	w := newWorld(t, 1, func(cfg *Config) {
		both := userFile{}
		for _, name := range []string{"alice", "bob"} {
			both[name] = auth.Account{Hash: users[name].Hash, Grant: auth.Grant{Name: name, Addresses: fixed}}
		}
		cfg.Backend = mschapv2.NewBackend(mschapv2.NewHashVerifier(both), mschapv2.Options{})
	})
	alice := w.newDevice(nil).mustLogin()
	bob := func(c *initiator.Config) { c.User, c.Password = "bob", auth.Secret("builder") }
	w.newDevice(bob).login()
	w.run(10*time.Second, nil)
	if rs := w.refusals(); len(rs) != 1 || rs[0].Cause != CauseFixedAddressInUse || rs[0].User != "bob" {
		t.Fatalf("refusals %s", describeRefusals(rs))
	}
	if err := alice.command(initiator.Delete{}); err != nil {
		t.Fatal(err)
	}
	if d := w.newDevice(bob).mustLogin(); d.sa.Result().Config.Addresses[0].Addr() != fixed[0] {
		t.Errorf("bob has %v", d.sa.Result().Config.Addresses)
	}
}

// TestLimitsLastAsLongAsTheSession: they are there before its first Child SA,
// through rekeys, and until its address may be another's.
func TestLimitsLastAsLongAsTheSession(t *testing.T) {
	var l *fakeLimiter
	w := newWorld(t, 1, limited(&l, auth.Grant{
		Filter: filter(t, "permit in ip from assigned to 10.0.0.0/8"), RateUp: 1000, RateDown: 2000,
	}))
	d := w.newDevice(nil).mustLogin()
	session := w.lastEvent().Session
	const want = "[192.0.2.1 2001:db8::1] [permit in ip from 192.0.2.1 to 10.0.0.0/8] 1000/2000"
	check := func(when string) {
		t.Helper()
		if got := l.limits[session.ID]; got != want || l.calls != 1 || len(l.limits) != 1 {
			t.Errorf("%s: limits %q after %d calls, want %q after one", when, got, l.calls, want)
		}
	}
	check("login")
	if got := session.Limits; got == nil || fmt.Sprint(got.Filter) != "[permit in ip from assigned to 10.0.0.0/8]" || got.RateUp != 1000 || got.RateDown != 2000 {
		t.Errorf("the session's limits are %+v", got)
	}
	for _, cmd := range []initiator.Command{initiator.RekeyChild{}, initiator.RekeyIKE{}, initiator.RekeyChild{}} {
		if err := d.command(cmd); err != nil {
			t.Fatal(err)
		}
		check(fmt.Sprintf("%T", cmd))
	}
	if err := d.command(initiator.Delete{}); err != nil {
		t.Fatal(err)
	}
	w.run(time.Hour, nil)
	if len(l.limits) != 0 || l.bare != 0 {
		t.Errorf("left over: %v; %d times without limits", l.limits, l.bare)
	}
	w.mustBeEmpty()
}

// TestDHCPINFORMPassesTheFilter of a Windows that is to learn its routes, and of
// nobody else.
func TestDHCPINFORMPassesTheFilter(t *testing.T) {
	for _, c := range []struct {
		name    string
		profile *initiator.Profile
		rules   []string
		want    string
	}{
		{"Windows", initiator.Windows10DH2048(), []string{"permit in ip from any to 10.0.0.0/8", "deny out tcp from any to any"},
			"[permit in udp from any 68 to 255.255.255.255 67 permit out udp from 192.0.2.53 67 to any 68 permit out udp from 192.0.0.8 67 to any 68 permit in ip from any to 10.0.0.0/8 deny out tcp from any to any]"},
		{"Windows, one direction", initiator.Windows10DH2048(), []string{"permit in ip from any to 10.0.0.0/8"},
			"[permit in udp from any 68 to 255.255.255.255 67 permit in ip from any to 10.0.0.0/8]"},
		{"Android", initiator.Android(), []string{"permit in ip from any to 10.0.0.0/8"}, "[permit in ip from any to 10.0.0.0/8]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var l *fakeLimiter
			w := newWorld(t, 1, func(cfg *Config) {
				limited(&l, auth.Grant{Filter: filter(t, c.rules...)})(cfg)
				cfg.DHCPServer, cfg.LocalSubnets = netip.MustParseAddr("192.0.2.53"), prefixes("10.0.0.0/8")
			})
			w.newDevice(func(cfg *initiator.Config) { cfg.Profile = c.profile }).mustLogin()
			s := w.lastEvent().Session
			if got := l.limits[s.ID]; !strings.Contains(got, c.want) {
				t.Errorf("limits %s, want %s", got, c.want)
			}
			if len(s.Limits.Filter) != len(c.rules) {
				t.Errorf("the session's own filter is %v", s.Limits.Filter)
			}
		})
	}
}

// TestLimitsThatCannotBeKept: a user who is to be limited does not come in
// without, and nothing is left.
func TestLimitsThatCannotBeKept(t *testing.T) {
	rate := auth.Grant{RateDown: 1}
	var failing *fakeLimiter
	for _, c := range []struct {
		name   string
		change func(*Config)
		says   string
	}{
		{"nothing limits", func(cfg *Config) { cfg.Backend = granting(rate) }, "nothing on this gateway"},
		{"the limiter fails", func(cfg *Config) {
			limited(&failing, rate)(cfg)
			failing.fail = errors.New("no nftables")
		}, "no nftables"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, c.change)
			w.newDevice(nil).login()
			w.run(10*time.Second, nil)
			rs := w.refusals()
			if len(rs) != 1 || rs[0].Cause != CauseLimits || !strings.Contains(fmt.Sprint(rs[0].Evidence), c.says) || len(w.plane.children) != 0 {
				t.Errorf("refusals %s, %d Child SAs", describeRefusals(rs), len(w.plane.children))
			}
			w.run(time.Hour, nil)
			w.mustBeEmpty()
		})
	}
}

// TestClientIsToldItsEnd: AUTH_LIFETIME says in the last answer of the login
// when the client must have logged in again, if it may do so (RFC 4478 §3).
func TestClientIsToldItsEnd(t *testing.T) {
	for _, c := range []struct {
		name  string
		grant auth.Grant
		all   time.Duration
		want  uint32 // 0: not told
	}{
		{"to log in again", auth.Grant{SessionTimeout: time.Hour, Reauthenticate: true}, 0, 3600},
		{"to end", auth.Grant{SessionTimeout: time.Hour}, 0, 0},
		{"without an end", auth.Grant{Reauthenticate: true}, 0, 0},
		{"the gateway's own end", auth.Grant{SessionTimeout: time.Hour, Reauthenticate: true}, 30 * time.Minute, 1800},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, func(cfg *Config) { cfg.Backend, cfg.Timers.Session = granting(c.grant), c.all })
			n := message.FindNotify(w.newPeer().init().throughEAP().prove(), message.AuthLifetime)
			if c.want == 0 {
				if n != nil {
					t.Errorf("told %x", n.Data)
				}
				return
			}
			if n == nil || len(n.Data) != 4 || binary.BigEndian.Uint32(n.Data) != c.want {
				t.Errorf("told %+v, want %d seconds", n, c.want)
			}
		})
	}
}

// TestRemarksAreLogged: what the backend said beside stands under the session.
func TestRemarksAreLogged(t *testing.T) {
	w := newWorld(t, 1, func(cfg *Config) {
		cfg.Backend = granting(auth.Grant{Remarks: []auth.Evidence{{Key: "reply message", Value: "welcome"}}})
	})
	w.notes = new([]Note)
	w.newDevice(nil).mustLogin()
	i := slices.IndexFunc(*w.notes, func(n Note) bool { return n.Text == "user accepted" })
	if i < 0 || fmt.Sprint((*w.notes)[i].Attrs) != "[user=alice reply message=welcome]" || (*w.notes)[i].Session != w.lastEvent().Session.ID {
		t.Errorf("notes %v", *w.notes)
	}
}

// TestAccountingSeesTheGrant: what only accounting needs stands in the session.
func TestAccountingSeesTheGrant(t *testing.T) {
	w := newWorld(t, 1, func(cfg *Config) {
		cfg.Backend = granting(auth.Grant{
			Class: [][]byte{{1, 2}, {3}}, ChargeableUser: []byte("cui"), InterimInterval: 5 * time.Minute, Group: "staff",
			SessionTimeout: time.Hour, IdleTimeout: time.Minute,
		})
	})
	w.newDevice(nil).mustLogin()
	up := w.lastEvent()
	i := up.Session
	if up.Kind != EventUp || fmt.Sprint(i.Class) != "[[1 2] [3]]" || string(i.ChargeableUser) != "cui" || i.InterimInterval != 5*time.Minute || i.Group != "staff" ||
		!i.Ends.Equal(i.Since.Add(time.Hour)) || i.IdleTimeout != time.Minute {
		t.Errorf("session %+v", i)
	}
	w.run(2*time.Minute, nil)
	if down := w.lastEvent(); down.Kind != EventDown || fmt.Sprint(down.Session.Class) != "[[1 2] [3]]" || string(down.Session.ChargeableUser) != "cui" {
		t.Errorf("at the end %+v", down.Session)
	}
}
