package ikev2

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/lease"
	"bridgehead/ikev2/message"
)

// ledger is an Accountant that says what is wrong with what it is told.
type ledger struct {
	testing.TB
	fail   func() error // of Start
	held   func() int   // addresses; nil: nobody knows
	open   map[string]auth.Session
	ended  map[string]settled
	voided map[string]auth.Session
}

type settled struct {
	auth.Totals
	auth.End
}

func newLedger(t testing.TB) *ledger {
	return &ledger{TB: t, open: map[string]auth.Session{}, ended: map[string]settled{}, voided: map[string]auth.Session{}}
}

func (l *ledger) Start(_ context.Context, s auth.Session) error {
	if l.fail != nil {
		if err := l.fail(); err != nil {
			return err
		}
	}
	if _, twice := l.open[s.ID]; twice || l.ended[s.ID].Cause != "" || s.User == "" || len(s.Addresses) == 0 {
		l.Errorf("Start of %+v", s)
	}
	for _, o := range l.open {
		if slices.ContainsFunc(o.Addresses, func(a netip.Addr) bool { return slices.Contains(s.Addresses, a) }) {
			l.Errorf("sessions %s and %s have an address in common", o.ID, s.ID)
		}
	}
	l.open[s.ID] = s
	return nil
}

func (l *ledger) Stop(_ context.Context, id string, t auth.Totals, end auth.End) error {
	if s, there := l.open[id]; !there || end.Cause == "" || end.Time.Before(s.Began) {
		l.Errorf("Stop of %s: %+v, open: %v", id, end, there)
	}
	if l.held != nil && l.held() == 0 {
		l.Errorf("Stop of %s after its addresses are given back", id)
	}
	delete(l.open, id)
	l.ended[id] = settled{t, end}
	return nil
}

func (l *ledger) Void(_ context.Context, s auth.Session, end auth.End) error {
	if _, twice := l.voided[s.ID]; twice || len(s.Unclaimed) == 0 || len(s.Addresses) != 0 || end.Cause == "" {
		l.Errorf("Void of %+v, %+v", s, end)
	}
	l.voided[s.ID] = s
	return nil
}

// Whatever happens, every session that was announced had its account before,
// every account ends once, and no address is in two accounts at a time.
func TestAccountsAreWholeInDisorder(t *testing.T) {
	announced := 0
	for seed := range uint64(60) {
		l := newLedger(t)
		w, u := disorder(t, seed, func(c *Config) { c.Accountant = l })
		l.fail = func() error {
			if u.fails() {
				return errChance
			}
			return nil
		}
		for range 60 {
			w.act()
			w.run(time.Duration(w.rand.Int64N(int64([]time.Duration{50 * time.Millisecond, 5 * time.Second, 2 * time.Minute}[w.rand.IntN(3)]))), nil)
		}
		w.mustLeaveNothing(u)
		for id := range l.open {
			t.Errorf("seed %d: session %s has no Stop", seed, id)
		}
		for _, e := range w.events {
			if _, kept := l.ended[e.Session.ID]; e.Kind == EventUp && !kept {
				t.Errorf("seed %d: session %s was announced and has no account", seed, e.Session.ID)
			}
		}
		announced += w.count(EventUp)
	}
	if announced < 200 {
		t.Errorf("only %d sessions came up", announced)
	}
}

// accounted is a world with a ledger, whose alice is lent addresses.
func accountedWorld(t *testing.T, lent ...string) (*world, *ledger) {
	t.Helper()
	grant := auth.Grant{Name: "alice@campus", Class: [][]byte{[]byte("c1"), []byte("c2")}, ChargeableUser: []byte("cui"), InterimInterval: 5 * time.Minute}
	for _, a := range lent {
		grant.Addresses = append(grant.Addresses, netip.MustParseAddr(a))
	}
	l := newLedger(t)
	w := newWorld(t, 1, nil)
	w.works.accounts, w.gateway.cfg.Accountant = l, l
	w.works.backend = mschapv2.NewBackend(mschapv2.NewHashVerifier(userFile{
		"alice": {Hash: auth.HashPassword([]byte("wonderland")), Grant: grant},
	}), mschapv2.Options{Rand: w.octets})
	return w, l
}

// toTheLast is a plane that counts to the end: one packet of an octet comes to
// each Child SA just before that.
type toTheLast struct{ *fakePlane }

func (p toTheLast) Finish(ctx context.Context, id esp.ChildID) (esp.Usage, error) {
	u := p.usage[id]
	u.ID, u.PacketsIn, u.BytesIn = id, u.PacketsIn+1, u.BytesIn+1
	return u, p.Remove(ctx, id)
}

// What a session carried on all its Child SAs, in whatever order they went, and
// over all its IKE SAs, stands in its Stop.
func TestAccountOfASession(t *testing.T) {
	w, l := accountedWorld(t)
	p := w.mobile()
	if len(l.open) != 1 {
		t.Fatalf("%d accounts are open", len(l.open))
	}
	id := w.gateway.sessions()[0].ID
	s := l.open[id]
	if s.User != "alice@campus" || fmt.Sprint(s.Class) != fmt.Sprint([][]byte{[]byte("c1"), []byte("c2")}) || string(s.ChargeableUser) != "cui" ||
		s.Interim != 5*time.Minute || len(s.Addresses) != 2 || s.Local != p.to || s.Remote != p.from || s.Suite == "" || s.Began.IsZero() {
		t.Errorf("the account is %+v", s)
	}
	l.held = func() (n int) {
		for _, u := range w.works.leases.(interface{ Usage() []lease.PoolUsage }).Usage() {
			n += u.Held
		}
		return n
	}
	carry := func() {
		w.plane.usage[w.plane.only(t).ID] = esp.Usage{BytesIn: 1 << 33, BytesOut: 10, PacketsIn: 3, PacketsOut: 1}
	}
	carry()
	w.works.plane = toTheLast{w.plane}
	p.goTo(awayV4).request(message.ExchangeInformational, status(message.UpdateSAAddresses, nil))
	for n := range byte(3) {
		old := p.childSPI
		p.childSPI = []byte{0xc0, 0, 0, 2 + n}
		p.request(message.ExchangeCreateChildSA, p.childMessage(old)...)
		p.request(message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolESP, SPISize: 4, SPIs: [][]byte{old}})
		carry()
	}
	ask, goOn := p.asksIKE(1, 0x11)
	next := goOn(p.request(message.ExchangeCreateChildSA, ask...))
	w.run(20*time.Minute, nil)
	next.request(message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolIKE})
	w.run(time.Minute, nil)
	want := auth.Totals{BytesIn: 4<<33 + 4, BytesOut: 40, PacketsIn: 12 + 4, PacketsOut: 4}
	if e := l.ended[id]; e.Totals != want || e.Cause != CauseClientDisconnected || e.Time.Sub(s.Began) < 20*time.Minute {
		t.Errorf("the account ended with %+v, expected %+v", e, want)
	}
	if len(l.open) != 0 || len(l.ended) != 1 || len(l.voided) != 0 {
		t.Errorf("open %v, ended %v, voided %v", l.open, l.ended, l.voided)
	}
}

// The last answer of a login waits for the account. A client that leaves
// meanwhile leaves no open account, and its address stays its own until that is
// closed.
func TestLoginWaitsForItsAccount(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		w, l := accountedWorld(t)
		p := w.newPeer().init().throughEAP()
		p.deliver(true, datagram(p, p.seal(message.ExchangeAuth, 0, p.id, []message.Payload{p.proof()}, 0)[0]))
		pending := func() bool { _, waits := p.sa().work.job.(*openAccount); return waits }
		if !w.run(time.Minute, pending) || w.count(EventUp) != 0 || p.sa().State() != StateAwaitProof || len(l.open) != 0 {
			t.Fatal("the session is up before its account")
		}
		if leaves {
			w.gateway.disconnect(w.now, CauseOperator, Selector{All: true}.matches)
			w.flush()
		}
		w.run(time.Second, nil)
		if up := w.count(EventUp) == 1; up == leaves || len(l.open) == 1 == leaves || len(l.ended) == 1 != leaves {
			t.Errorf("leaves: %v; %d up, %d accounts open, %d ended", leaves, w.count(EventUp), len(l.open), len(l.ended))
		}
		if leaves {
			w.mustBeEmpty()
		}
	}
}

// full is a fault that names its cause.
type full struct{ error }

func (full) Cause() auth.Cause { return auth.CauseAccountingFull }

// Without an account there is no session, and the cause is told.
func TestLoginWithoutAccountIsRefused(t *testing.T) {
	for want, err := range map[Cause]error{CauseAccounting: errors.New("no"), auth.CauseAccountingFull: full{errors.New("full")}} {
		w, l := accountedWorld(t)
		l.fail = func() error { return err }
		answer := w.newPeer().init().throughEAP().prove()
		if message.Find[*message.Auth](answer) != nil {
			t.Errorf("the client got %s", describe(answer))
		}
		if rs := w.refusals(); len(rs) != 1 || rs[0].Cause != want || rs[0].Advice == "" {
			t.Errorf("refusals %s, expected %s", describeRefusals(rs), want)
		}
		w.run(time.Hour, nil)
		w.mustBeEmpty()
	}
}

// Addresses that a backend lent are told free: with the Stop where the client
// did not take them, or by a Stop alone where the login came to nothing.
func TestLentAddressesAreToldFree(t *testing.T) {
	lent := []string{"192.0.2.77", "2001:db8::77"}
	for name, c := range map[string]struct {
		login     func(p *peer)
		unclaimed []string // of a session
		voided    bool
	}{
		"both are taken": {func(p *peer) { p.establish() }, nil, false},
		"only IPv4 is asked for": {func(p *peer) {
			p.asks = []message.Payload{configRequest(message.InternalIP4Address)}
			p.establish()
		}, lent[1:], false},
		"the client's AUTH is wrong":  {func(p *peer) { p.init().throughEAP().request(message.ExchangeAuth, p.proofOver(make([]byte, 64))) }, nil, true},
		"the client leaves after EAP": {func(p *peer) { p.init().throughEAP() }, nil, true},
		"no address is asked for": {func(p *peer) {
			p.asks = nil
			p.init().throughEAP().prove()
		}, nil, true},
		"the data plane fails": {func(p *peer) {
			p.plane.fail = errors.New("no")
			p.init().throughEAP().prove()
		}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			w, l := accountedWorld(t, lent...)
			c.login(w.newPeer())
			for _, s := range l.open {
				if fmt.Sprint(s.Unclaimed) != fmt.Sprint(c.unclaimed) {
					t.Errorf("unclaimed %v, expected %v", s.Unclaimed, c.unclaimed)
				}
			}
			if sessions := len(l.open); (sessions == 0) != c.voided {
				t.Errorf("%d accounts are open", sessions)
			}
			w.gateway.disconnect(w.now, CauseOperator, Selector{All: true}.matches)
			w.flush()
			w.run(time.Hour, nil)
			w.mustBeEmpty()
			if len(l.open) != 0 || (len(l.voided) == 1) != c.voided {
				t.Errorf("open %v, voided %v", l.open, l.voided)
			}
			for _, s := range l.voided {
				if fmt.Sprint(s.Unclaimed) != fmt.Sprint(lent) || s.User != "alice@campus" || len(s.Class) != 2 {
					t.Errorf("voided %+v", s)
				}
			}
		})
	}
}
