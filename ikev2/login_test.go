package ikev2

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/lease"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

func TestLoginGivesBothEndsTheSameChildSA(t *testing.T) {
	w := newWorld(t, 1, nil)
	d := w.newDevice(nil).mustLogin()
	sameChild(t, w, d)
	if !w.plane.only(t).Path.Encap {
		t.Error("ESP is not encapsulated although a NAT was announced")
	}
	if got := w.plane.only(t).Path.Remote.Port(); got != 4500 {
		t.Errorf("the Child SA goes to port %d, expected 4500", got)
	}
	up := w.events[len(w.events)-1]
	if first := epoch.Add(w.wire.delay); up.Session.Took != up.Time.Sub(first) || !up.Session.Since.Equal(up.Time) {
		t.Errorf("the login took %s, expected from %s to %s", up.Session.Took, first, up.Time)
	}
	if up.Kind != EventUp || up.Session.User != "alice" || up.Session.Client == "windows" || up.Session.ID == "" {
		t.Errorf("event %+v", up)
	}
	if n := w.gateway.halfOpen.total.Load(); n != 0 {
		t.Errorf("%d logins still count as under way", n)
	}
}

// sameChild checks that gateway and client hold the two ends of one Child SA.
func sameChild(t *testing.T, w *world, d *device) {
	t.Helper()
	ours := w.plane.only(t)
	theirs, ok := d.sa.Child()
	if !ok {
		t.Fatal("the client has no Child SA")
	}
	if string(ours.In.EncrKey) != string(theirs.Out.EncrKey) || string(ours.Out.EncrKey) != string(theirs.In.EncrKey) {
		t.Error("the keys differ")
	}
	if ours.In.SPI != theirs.Out.SPI || ours.Out.SPI != theirs.In.SPI || ours.In.Suite != theirs.Out.Suite {
		t.Errorf("SPIs or suites differ: %+v %+v", ours, theirs)
	}
	if len(ours.Remote) != 2 || ours.Remote[0].Start != ours.Remote[0].End {
		t.Errorf("the client's side is %v, expected its two addresses", ours.Remote)
	}
}

func TestLoginByEachClientAndSuite(t *testing.T) {
	profiles := map[string]*initiator.Profile{
		"default": initiator.DefaultProfile(), "windows": initiator.Windows10DH2048(),
		"apple": initiator.Apple(), "android": initiator.Android(),
	}
	certificates := map[string][]Certificate{
		"RSA":           {rsaIdentity()},
		"ECDSA and RSA": {ecdsaIdentity(), rsaIdentity()},
	}
	for name, p := range profiles {
		for certificate, identities := range certificates {
			t.Run(name+" with "+certificate, func(t *testing.T) {
				w := newWorld(t, 1, func(c *Config) { c.Certificates = identities })
				d := w.newDevice(func(c *initiator.Config) { c.Profile = p }).mustLogin()
				sameChild(t, w, d)
				if err := d.command(initiator.RekeyChild{}); err != nil {
					t.Errorf("Child SA rekey: %v", err)
				}
				if err := d.command(initiator.RekeyIKE{}); err != nil {
					t.Errorf("IKE SA rekey: %v", err)
				}
				sameChild(t, w, d)
			})
		}
	}
	for _, s := range []string{
		"aes256-sha256-modp2048", "aes128gcm16-prfsha256-x25519", "aes128-sha1-modp2048", "chacha20poly1305-prfsha512-ecp521",
		"aes256-sha384-modp3072", "aes256gcm16-prfsha384-ecp384",
	} {
		t.Run(s, func(t *testing.T) {
			ike, err := suite.ParseProposals(message.ProtocolIKE, s)
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t, 1, func(c *Config) { c.IKE = ike })
			w.newDevice(nil).mustLogin()
			if got := w.events[len(w.events)-1].Session.IKE; got != s {
				t.Errorf("chosen %s", got)
			}
		})
	}
}

// Over a wire that loses three of ten packets each way every login comes up,
// or ends within the retransmission budget with a reason that has a name.
func TestLoginOverALossyWire(t *testing.T) {
	const seeds = 300
	up, failed := 0, 0
	for seed := range uint64(seeds) {
		w := newWorld(t, seed, nil)
		w.wire.loss, w.wire.duplicate, w.wire.jitter = 0.3, 0.1, 300*time.Millisecond
		d := w.newDevice(nil)
		d.login()
		if d.up {
			up++
			sameChild(t, w, d)
		} else {
			failed++
			var failure initiator.Failure
			if !errors.As(d.err, &failure) {
				t.Errorf("seed %d: the client ended without a name: %v", seed, d.err)
			}
		}
		// The gateway's view: up, or a named silence; and nothing left over.
		w.wire.loss = 1
		w.run(3*time.Hour, nil)
		if named := w.count(EventUp) + w.count(EventSilent) + w.count(EventRefused); named == 0 && w.counter(LoginsBegun) > 0 {
			t.Errorf("seed %d: the gateway has no word for this login", seed)
		}
		w.mustBeEmpty()
	}
	if up < seeds*9/10 {
		t.Errorf("only %d of %d logins came up at 30 %% loss", up, seeds)
	}
	t.Logf("%d logins up, %d ended with a reason", up, failed)
}

// mustBeEmpty checks that nothing is left of any session.
func (w *world) mustBeEmpty() {
	w.Helper()
	g := w.gateway
	if len(g.reg.sas) != 0 || len(g.timers) != 0 || len(g.clients) != 0 || len(g.reg.espSPIs)+len(g.reg.children) != 0 || g.jobs != 0 {
		w.Errorf("seed %d: left over: %d SAs, %d deadlines, %d clients, %d SPIs, %d jobs",
			w.seed, len(g.reg.sas), len(g.timers), len(g.clients), len(g.reg.espSPIs)+len(g.reg.children), g.jobs)
	}
	if n := g.halfOpen.total.Load(); n != 0 {
		w.Errorf("seed %d: %d logins still count as under way", w.seed, n)
	}
	for i := range g.halfOpen.bucket {
		if n := g.halfOpen.bucket[i].Load(); n != 0 {
			w.Errorf("seed %d: %d logins still count for an address", w.seed, n)
		}
	}
	if g.gate.expire(w.now.Add(g.cfg.Timers.HalfOpen)); len(g.gate.inits) != 0 || len(g.gate.expiry) != 0 {
		w.Errorf("seed %d: %d requests are still known", w.seed, len(g.gate.inits))
	}
	if w.plane.conflict != nil {
		w.Errorf("seed %d: %v", w.seed, w.plane.conflict)
	}
	if len(w.plane.children) != 0 {
		w.Errorf("seed %d: %d Child SAs are still installed", w.seed, len(w.plane.children))
	}
	if len(w.works.sessions.byUser) != 0 {
		w.Errorf("seed %d: sessions still count: %v", w.seed, w.works.sessions.byUser)
	}
	for _, u := range g.cfg.Leases.(interface{ Usage() []lease.PoolUsage }).Usage() {
		if u.Held != 0 && u.Pool != "tiny" {
			w.Errorf("seed %d: %d addresses are still held", w.seed, u.Held)
		}
	}
}

// A session's whole life over a bad wire: rekeys, liveness, logout.
func TestSessionOverALossyWire(t *testing.T) {
	for seed := range uint64(60) {
		w := newWorld(t, seed, nil)
		d := w.newDevice(nil).mustLogin()
		w.wire.loss, w.wire.duplicate, w.wire.jitter = 0.2, 0.1, 200*time.Millisecond
		for _, cmd := range []initiator.Command{
			initiator.RekeyChild{}, initiator.RekeyIKE{}, initiator.Liveness{}, initiator.RekeyChild{KE: true}, initiator.RekeyIKE{}, initiator.Delete{},
		} {
			if d.closed {
				break // the loss was too much: the client says so below
			}
			if err := d.command(cmd); err != nil {
				var failure initiator.Failure
				if !errors.As(err, &failure) {
					t.Errorf("seed %d: %T: %v", seed, cmd, err)
				}
			}
		}
		w.wire.loss = 1
		w.run(3*time.Hour, nil)
		w.mustBeEmpty()
		if w.count(EventDown) != 1 {
			t.Errorf("seed %d: %d ends of one session", seed, w.count(EventDown))
		}
	}
}

func TestRefusalsAreNamed(t *testing.T) {
	esp := func(s string) suite.Proposals {
		ps, err := suite.ParseProposals(message.ProtocolESP, s)
		if err != nil {
			t.Fatal(err)
		}
		return ps
	}
	for _, c := range []struct {
		name    string
		gateway func(*Config)
		client  func(*initiator.Config)
		cause   Cause
		verdict initiator.Verdict
	}{
		{"wrong password", nil, func(c *initiator.Config) { c.Password = auth.Secret("looking-glass") }, "wrong-password", initiator.VerdictCredentials},
		{"unknown user", nil, func(c *initiator.Config) { c.User = "mallory" }, "unknown-user", initiator.VerdictCredentials},
		{"foreign authority", nil, func(c *initiator.Config) { c.Roots = foreignRoots() }, CauseClientRefusedServer, initiator.VerdictCertificate},
		{"no IKE proposal", func(c *Config) { c.IKE, _ = suite.ParseProposals(message.ProtocolIKE, "aes192-sha512-modp8192") }, nil, CauseNoIKEProposal, initiator.VerdictNoProposal},
		{"no ESP proposal", func(c *Config) { c.ESP = esp("aes192-sha512-noesn") }, func(c *initiator.Config) { c.ESP = esp("aes256gcm16-noesn") }, CauseNoESPProposal, initiator.VerdictNoProposal},
		{"no address asked", nil, func(c *initiator.Config) { c.NoIPv4, c.NoIPv6, c.NoDNS = true, true, true }, CauseNoAddressAsked, initiator.VerdictNoAddress},
		{"full pool", func(c *Config) { c.Leases = fullPool(t) }, nil, CausePoolExhausted, initiator.VerdictNoAddress},
		{"unknown pool", func(c *Config) { c.Backend = granting(auth.Grant{Pool: "staff"}) }, nil, CauseUnknownPool, initiator.VerdictNoAddress},
		{"fixed address in use", func(c *Config) {
			c.Leases = fullPool(t)
			c.Backend = granting(auth.Grant{Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}})
		}, nil, CauseFixedAddressInUse, initiator.VerdictNoAddress},
		{"no traffic in common", func(c *Config) { c.LocalSubnets = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} },
			func(c *initiator.Config) {
				c.RemoteSelectors = []message.Selector{message.SelectorOf(netip.MustParsePrefix("172.16.0.0/12"))}
			}, CauseTSUnacceptable, initiator.VerdictTraffic},
		{"data plane out of order", func(c *Config) { c.Plane.(*fakePlane).fail = errors.New("no device") }, nil, CauseDataPlane, initiator.VerdictRefused},
		{"backend out of order", func(c *Config) { c.Backend = failingBackend{} }, nil, CauseAuthUnavailable, initiator.VerdictRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, c.gateway)
			d := w.newDevice(c.client)
			d.login()
			w.run(10*time.Second, nil)
			rs := w.refusals()
			if len(rs) != 1 || rs[0].Cause != c.cause {
				t.Fatalf("refusals %s, expected one with cause %s", describeRefusals(rs), c.cause)
			}
			if rs[0].Text == "" || rs[0].Advice == "" || !rs[0].Peer.IsValid() {
				t.Errorf("refusal %+v lacks text, advice or peer", rs[0])
			}
			var failure initiator.Failure
			if !errors.As(d.err, &failure) || failure.Verdict() != c.verdict {
				t.Errorf("the client ends with %v, expected verdict %s", d.err, c.verdict)
			}
			if w.count(EventUp) != 0 {
				t.Error("a session came up")
			}
			w.run(time.Hour, nil)
			w.mustBeEmpty()
		})
	}
}

func TestRefusalEvidenceHoldsBothProposals(t *testing.T) {
	w := newWorld(t, 1, func(c *Config) { c.IKE, _ = suite.ParseProposals(message.ProtocolIKE, "aes192-sha512-modp8192") })
	w.newDevice(nil).login()
	got := fmt.Sprint(w.refusals()[0].Evidence)
	for _, want := range []string{"offered", "configured", "aes192-sha512-modp8192", "x25519"} {
		if !strings.Contains(got, want) {
			t.Errorf("evidence %s lacks %q", got, want)
		}
	}
}

// bob may have one session: his second login is refused, and possible again
// once the first is gone.
func TestSessionsOfOneUserAreCounted(t *testing.T) {
	w := newWorld(t, 1, nil)
	bob := func(c *initiator.Config) { c.User, c.Password = "bob", auth.Secret("builder") }
	first := w.newDevice(bob).mustLogin()
	second := w.newDevice(bob)
	if second.login(); second.up {
		t.Fatal("the second session came up")
	}
	if rs := w.refusals(); len(rs) != 1 || rs[0].Cause != CauseTooManySessions || rs[0].User != "bob" {
		t.Errorf("refusals %s", describeRefusals(rs))
	}
	if err := first.command(initiator.Delete{}); err != nil {
		t.Fatal(err)
	}
	w.newDevice(bob).mustLogin()
}

// Where alice has the two sessions that she may have, one of them gives way to a
// third: the oldest, or the newest.
func TestSessionsThatGiveWay(t *testing.T) {
	for full, gone := range map[auth.WhenFull]int{auth.EndOldest: 0, auth.EndNewest: 1} {
		w := newWorld(t, 1, func(cfg *Config) { cfg.Backend = granting(auth.Grant{MaxSessions: 2, WhenFull: full}) })
		for range 3 {
			w.newDevice(nil).mustLogin()
		}
		var up, ended []string
		for _, ev := range w.events {
			switch ev.Kind {
			case EventUp:
				up = append(up, ev.Session.ID)
			case EventDown:
				ended = append(ended, ev.Session.ID+" "+string(ev.Cause))
			}
		}
		want := up[gone] + " " + string(CauseGaveWay)
		if len(ended) != 1 || ended[0] != want || len(w.plane.children) != 2 {
			t.Errorf("when full %d: ended %v, expected %s; %d Child SAs", full, ended, want, len(w.plane.children))
		}
		w.newDevice(nil).mustLogin()
		if len(w.plane.children) != 2 {
			t.Errorf("when full %d: %d Child SAs after a fourth login", full, len(w.plane.children))
		}
	}
}

// failingBackend cannot be asked.
type failingBackend struct{}

func (failingBackend) Begin(context.Context, auth.Peer) (auth.Conversation, error) {
	return nil, errors.New("no server answers")
}

// granting knows alice alone and grants her g.
func granting(g auth.Grant) auth.Backend {
	g.Name = "alice"
	alice := userFile{"alice": {Hash: users["alice"].Hash, Grant: g}}
	return mschapv2.NewBackend(mschapv2.NewHashVerifier(alice), mschapv2.Options{Rand: rand.NewChaCha8([32]byte{})})
}

// fullPool has one address, which somebody holds.
func fullPool(t *testing.T) *lease.Pools {
	t.Helper()
	r, err := lease.ParseRange("192.0.2.1-192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	p, err := lease.NewPools([]lease.PoolConfig{{Name: "tiny", Ranges: []lease.Range{r}}}, lease.NewMemory())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Acquire(context.Background(), epoch, lease.Request{Holder: "somebody", WantIPv4: true}); err != nil {
		t.Fatal(err)
	}
	return p
}

// Windows in its factory state offers modp1024 and 3DES first. It is refused
// with a word about that; where the group is allowed it gets the strongest
// of its proposals, by our order.
func TestWindowsInItsFactoryState(t *testing.T) {
	windows := func(c *initiator.Config) { c.Profile = initiator.Windows7() }
	w := newWorld(t, 1, nil)
	w.newDevice(windows).login()
	rs := w.refusals()
	if len(rs) != 1 || rs[0].Cause != CauseNoIKEProposal || rs[0].Client != "windows" || !strings.Contains(fmt.Sprint(rs[0].Evidence), "only modp1024") {
		t.Errorf("refusals %s", describeRefusals(rs))
	}
	const seed = "aes256-aes192-aes128-sha384-sha256-sha1-modp3072-modp2048-modp1536-modp1024!"
	ike, err := suite.ParseProposals(message.ProtocolIKE, seed)
	if err != nil {
		t.Fatal(err)
	}
	for order, want := range map[suite.Order]string{suite.GatewayOrder: "aes256-sha384-modp1024", suite.ClientOrder: "aes128-sha1-modp1024"} {
		w := newWorld(t, 1, func(c *Config) { c.IKE, c.Order = ike, order })
		d := w.newDevice(windows).mustLogin()
		if got := w.lastEvent().Session.IKE; got != want {
			t.Errorf("order %d: chosen %s, expected %s", order, got, want)
		}
		sameChild(t, w, d)
	}
	w = newWorld(t, 1, func(c *Config) { c.IKE = ike })
	w.newDevice(func(c *initiator.Config) { c.Profile, c.Password = initiator.Windows10(), auth.Secret("looking-glass") }).login()
	w.run(2*time.Minute, nil)
	if rs := w.refusals(); len(rs) != 1 || rs[0].Cause != auth.CauseWrongPassword || rs[0].User != "alice" {
		t.Errorf("refusals %s", describeRefusals(rs))
	}
}

// The log tells what was received, configured and chosen, for IKE and ESP,
// each line under the session's id.
func TestProposalsAreLogged(t *testing.T) {
	var notes []Note
	w := newWorld(t, 1, nil)
	w.notes = &notes
	w.newDevice(nil).mustLogin()
	id := w.lastEvent().Session.ID
	seen := make(map[string]int)
	for _, n := range notes {
		if n.Session != id {
			t.Errorf("%q is logged under session %q, expected %q", n.Text, n.Session, id)
		}
		seen[n.Text]++
	}
	for _, line := range []string{"received proposals", "configured proposals", "chosen proposal"} {
		if seen[line] != 2 {
			t.Errorf("%q is logged %d times, expected for IKE and ESP", line, seen[line])
		}
	}
}
