package ikev2

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
)

// again logs in as alice for the second time, from another address, saying by
// INITIAL_CONTACT that her former session is gone or not.
func (w *world) again(idi *message.ID, contact bool) *peer {
	w.Helper()
	w.peers = nil
	p := w.newPeer()
	p.spii[0], p.childSPI, p.idi = 0xaa, []byte{0xc0, 0, 0, 7}, idi
	p.from = netip.MustParseAddrPort("198.51.100.9:500")
	p.eap = mschapv2.NewClient("alice", []byte("wonderland"), w.octets)
	if contact {
		p.asks = append(p.asks, status(message.InitialContact, nil))
	}
	return p.init().throughEAP()
}

// What becomes of a client's former session, by policy: it ends with a cause,
// or it stays and the new one is refused, or both stay.
func TestUniqueness(t *testing.T) {
	const refused = "refused"
	for _, c := range []struct {
		policy  Unique
		other   bool // the second login is another device's
		contact bool
		want    string // the cause of the former session's end; "": both stay
	}{
		{UniqueNo, false, false, ""},
		{UniqueNo, false, true, string(CauseReplaced)},
		{UniqueNo, true, true, ""},
		{UniqueReplace, false, false, string(CauseSuperseded)},
		{UniqueReplace, false, true, string(CauseReplaced)},
		{UniqueReplace, true, false, ""},
		{UniqueKeep, false, false, refused},
		{UniqueKeep, false, true, string(CauseReplaced)},
		{UniqueKeep, true, false, ""},
		{UniqueNever, false, false, ""},
		{UniqueNever, false, true, ""},
	} {
		t.Run(fmt.Sprintf("policy %d, other device %v, INITIAL_CONTACT %v", c.policy, c.other, c.contact), func(t *testing.T) {
			w := newWorld(t, 1, func(cfg *Config) { cfg.Unique = c.policy })
			first := w.newPeer().establish()
			idi := first.idi
			if c.other {
				idi = fqdn("another")
			}
			second := w.again(idi, c.contact)
			answer := second.prove()
			if c.want == refused {
				wantNotify(t, "kept", answer, message.AuthenticationFailed)
				r := w.refusals()[0]
				if r.Cause != CauseSessionKept || r.User != "alice" || !strings.Contains(describeRefusals(w.refusals()), "not asked") {
					t.Errorf("refused by %s: %v", r.Cause, r.Evidence)
				}
				first.wantState("the session kept", StateEstablished)
				return
			}
			if message.FindTS(answer, false) == nil {
				t.Fatalf("the second login is answered with %s", describe(answer))
			}
			var ended []string
			for _, ev := range w.events {
				if ev.Kind == EventDown {
					ended = append(ended, string(ev.Cause))
				}
			}
			if got := strings.Join(ended, " "); got != c.want || len(w.plane.children) != 2-len(ended) {
				t.Errorf("former sessions ended by %q, expected %q; %d Child SAs", got, c.want, len(w.plane.children))
			}
		})
	}
}

// A session that a policy ends is told so, for it may live; one that its own
// client gave up is not.
func TestASupersededClientIsTold(t *testing.T) {
	for contact, want := range map[bool]State{false: StateClosing, true: StateDead} {
		w := newWorld(t, 1, func(cfg *Config) { cfg.Unique = UniqueReplace })
		sa := w.newPeer().establish().sa()
		w.again(fqdn("alice.example.org"), contact).prove()
		if sa.State() != want {
			t.Errorf("INITIAL_CONTACT %v: the former SA is %s, expected %s", contact, sa.State(), want)
		}
	}
}

// A kept session that has ended is in nobody's way.
func TestKeptSessionsMayComeBack(t *testing.T) {
	w := newWorld(t, 1, func(cfg *Config) { cfg.Unique = UniqueKeep })
	p := w.newPeer().establish()
	p.request(message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolIKE})
	if message.FindTS(w.again(p.idi, false).prove(), false) == nil {
		t.Errorf("refused: %s", describeRefusals(w.refusals()))
	}
}

// Of two logins of one client at once one stands in the end, whichever job of
// the two is quicker; nothing is left of the other.
func TestOfTwoLoginsAtOnceOneStands(t *testing.T) {
	for _, policy := range []Unique{UniqueReplace, UniqueKeep} {
		atOnce := 0
		for seed := range uint64(60) {
			w := newWorld(t, seed, func(c *Config) { c.Unique = policy })
			w.jobTime = func() (wait, back time.Duration) {
				return time.Duration(w.rand.IntN(30)) * time.Millisecond, time.Duration(w.rand.IntN(30)) * time.Millisecond
			}
			same := func(c *initiator.Config) { c.Identity = fqdn("alice.example.org") }
			for _, d := range []*device{w.newDevice(same), w.newDevice(same)} {
				d.start()
			}
			w.run(10*time.Second, nil)
			if infos := w.gateway.sessions(); len(infos) != 1 || len(w.plane.children) != 1 || len(w.works.sessions.byUser["alice"]) != 1 {
				t.Errorf("policy %d, seed %d: %d sessions, %d Child SAs, %d counted, expected one each",
					policy, seed, len(infos), len(w.plane.children), len(w.works.sessions.byUser["alice"]))
			}
			atOnce += len(w.refusals())
			w.gateway.disconnect(w.now, CauseOperator, func(*SA) bool { return true })
			w.flush()
			w.run(time.Hour, nil)
			w.mustBeEmpty()
			if n := len(w.works.sessions.byUser); n != 0 {
				t.Errorf("policy %d, seed %d: still counted", policy, seed)
			}
		}
		if atOnce == 0 {
			t.Errorf("policy %d: no login met another", policy)
		}
	}
}
