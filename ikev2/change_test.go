package ikev2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
)

// adjust orders a change and gives what it comes to, once that is known.
func (w *world) adjust(session string, c Change) <-chan error {
	w.Helper()
	done := make(chan error, 1)
	sa := w.gateway.up(session)
	if sa == nil {
		w.Fatalf("no session %s is up", session)
	}
	w.gateway.handle(w.now, sa, Adjust{c, done})
	w.flush()
	return done
}

// mustAdjust orders a change that must be made.
func (w *world) mustAdjust(session string, c Change) {
	w.Helper()
	done := w.adjust(session, c)
	w.run(10*time.Second, func() bool { return len(done) > 0 })
	select {
	case err := <-done:
		if err != nil {
			w.Fatal(err)
		}
	default:
		w.Fatal("the change came to nothing")
	}
}

// TestChangedTimes: limits from the moment of the change on, with the cause of
// the end.
func TestChangedTimes(t *testing.T) {
	for _, c := range []struct {
		name   string
		all    Timers
		grant  auth.Grant
		change Change
		cause  Cause
		after  time.Duration // of the change
	}{
		{"shorter session", Timers{}, auth.Grant{SessionTimeout: 10 * time.Hour}, Change{SessionTimeout: time.Hour}, CauseSessionTimeout, time.Hour},
		{"longer session", Timers{}, auth.Grant{SessionTimeout: time.Hour}, Change{SessionTimeout: 2 * time.Hour}, CauseSessionTimeout, 2 * time.Hour},
		{"a first limit", Timers{}, auth.Grant{}, Change{SessionTimeout: time.Hour}, CauseSessionTimeout, time.Hour},
		{"the gateway's stays", Timers{Session: 90 * time.Minute}, auth.Grant{}, Change{SessionTimeout: 2 * time.Hour}, CauseSessionTimeout, time.Hour},
		{"idle", Timers{}, auth.Grant{}, Change{IdleTimeout: 20 * time.Minute}, CauseIdleTimeout, 20 * time.Minute},
		{"the gateway's idle stays", Timers{Idle: 35 * time.Minute}, auth.Grant{}, Change{IdleTimeout: time.Hour}, CauseIdleTimeout, 35 * time.Minute},
		{"to log in again", Timers{}, auth.Grant{}, Change{Reauthenticate: true}, CauseSessionTimeout, reauthTime},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, func(cfg *Config) { cfg.Timers, cfg.Backend = c.all, granting(c.grant) })
			d := w.newDevice(nil).mustLogin()
			w.run(30*time.Minute, nil)
			w.mustAdjust(w.lastEvent().Session.ID, c.change)
			w.run(c.after-time.Minute, nil)
			if d.closed {
				t.Fatalf("ended early: %s", w.lastEvent().Cause)
			}
			w.run(2*time.Minute, nil)
			if ev := w.lastEvent(); !d.closed || ev.Kind != EventDown || ev.Cause != c.cause {
				t.Errorf("closed %v, last event %+v", d.closed, ev)
			}
		})
	}
}

// TestChangeIsToldToTheClient: AUTH_LIFETIME in a request of its own.
func TestChangeIsToldToTheClient(t *testing.T) {
	for _, c := range []struct {
		name   string
		grant  auth.Grant
		change Change
		want   uint32 // seconds; 0: not told
	}{
		{"now", auth.Grant{}, Change{Reauthenticate: true}, 300},
		{"by the time given", auth.Grant{}, Change{Reauthenticate: true, SessionTimeout: time.Hour}, 3600},
		{"sooner anyway", auth.Grant{SessionTimeout: time.Minute}, Change{Reauthenticate: true}, 59},
		{"another end", auth.Grant{SessionTimeout: time.Hour, Reauthenticate: true}, Change{SessionTimeout: 2 * time.Hour}, 7200},
		{"another end of one that is to end", auth.Grant{SessionTimeout: time.Hour}, Change{SessionTimeout: 2 * time.Hour}, 0},
		{"idleness", auth.Grant{SessionTimeout: time.Hour, Reauthenticate: true}, Change{IdleTimeout: time.Hour}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, func(cfg *Config) { cfg.Backend = granting(c.grant) })
			p := w.newPeer().establish()
			w.mustAdjust(w.lastEvent().Session.ID, c.change)
			w.run(100*time.Millisecond, nil)
			if c.want == 0 {
				if len(p.heard) != 0 {
					t.Errorf("told %v", p.receivedRequest("change", true))
				}
				return
			}
			n := wantNotify(t, "change", p.receivedRequest("change", true), message.AuthLifetime)
			if n == nil || binary.BigEndian.Uint32(n.Data) != c.want {
				t.Errorf("told %+v, want %d seconds", n, c.want)
			}
		})
	}
}

// TestChangedLimits: one after the other, all or nothing, and what is not
// changed stays.
func TestChangedLimits(t *testing.T) {
	var l *fakeLimiter
	w := newWorld(t, 1, limited(&l, auth.Grant{RateUp: 1000}))
	d := w.newDevice(nil).mustLogin()
	id := w.lastEvent().Session.ID
	rate := func(n uint64) *uint64 { return &n }
	rules := filter(t, "deny out tcp from any 25 to any")
	none := []auth.FilterRule(nil)
	const inner = "[192.0.2.1 2001:db8::1] "
	check := func(when, want string) {
		t.Helper()
		if got := l.limits[id]; got != want {
			t.Errorf("%s: limits %q, want %q", when, got, want)
		}
	}
	w.mustAdjust(id, Change{Filter: &rules, RateDown: rate(2000), InterimInterval: time.Minute})
	check("more", inner+"[deny out tcp from any 25 to any] 1000/2000")
	if i := w.gateway.up(id).info(); i.InterimInterval != time.Minute || i.Limits.RateDown != 2000 {
		t.Errorf("session %+v", i)
	}
	if err := d.command(initiator.RekeyIKE{}); err != nil {
		t.Fatal(err)
	}
	first, second := w.adjust(id, Change{RateDown: rate(3000)}), w.adjust(id, Change{Filter: &none})
	w.run(time.Second, nil)
	if len(first) != 1 || len(second) != 1 || <-first != nil || <-second != nil {
		t.Fatal("two changes at once failed")
	}
	check("two at once", inner+"[] 1000/3000")

	l.fail = errors.New("no nftables")
	refused := w.adjust(id, Change{RateUp: rate(5), SessionTimeout: time.Minute})
	w.run(time.Second, nil)
	var fault *GatewayFault
	if err := <-refused; !errors.As(err, &fault) || fault.Cause != CauseLimits {
		t.Errorf("the change that failed: %v", err)
	}
	l.fail = nil
	check("failed", inner+"[] 1000/3000")
	w.run(10*time.Minute, nil)
	if d.closed {
		t.Fatal("half of a change that failed was made")
	}

	w.mustAdjust(id, Change{RateUp: rate(0), RateDown: rate(0)})
	if len(l.limits) != 0 || w.gateway.up(id).info().Limits != nil {
		t.Errorf("all lifted: %v", l.limits)
	}
	w.mustAdjust(id, Change{RateUp: rate(7)})
	check("limited again", inner+"[] 7/0")
}

// TestChangeOfASessionThatEnds leaves nothing behind, and whoever waits hears.
func TestChangeOfASessionThatEnds(t *testing.T) {
	var l *fakeLimiter
	w := newWorld(t, 1, limited(&l, auth.Grant{}))
	w.jobTime = func() (time.Duration, time.Duration) { return 10 * time.Millisecond, 10 * time.Millisecond }
	w.newDevice(nil).mustLogin()
	id := w.lastEvent().Session.ID
	up := uint64(1000)
	first, second := w.adjust(id, Change{RateUp: &up}), w.adjust(id, Change{RateDown: &up})
	w.gateway.disconnect(w.now, CauseOperator, Selector{ID: id}.matches)
	w.flush()
	w.run(time.Hour, nil)
	for i, done := range []<-chan error{first, second} {
		if len(done) != 1 {
			t.Fatalf("change %d came to nothing", i)
		}
		if err := <-done; !errors.Is(err, ErrNoSession) {
			t.Errorf("change %d: %v", i, err)
		}
	}
	if len(l.limits) != 0 {
		t.Errorf("left over: %v", l.limits)
	}
	w.mustBeEmpty()
}

// limitingPlane is a data plane that limits by itself.
type limitingPlane struct {
	*fakePlane
	*fakeLimiter
}

// TestResponderChange finds the session on whichever shard it is.
func TestResponderChange(t *testing.T) {
	l := &fakeLimiter{limits: make(map[string]string)}
	u := run(t, func(cfg *Config) {
		l.plane = cfg.Plane.(*fakePlane)
		cfg.Plane = limitingPlane{l.plane, l}
	})
	u.dial(t, 4)
	sessions, err := u.Sessions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range sessions {
		up := uint64(1000 + i)
		if err := u.Change(t.Context(), s.ID, Change{RateUp: &up, IdleTimeout: time.Hour}); err != nil {
			t.Errorf("session %d: %v", i, err)
		}
	}
	if err := u.Change(t.Context(), "none", Change{IdleTimeout: time.Hour}); !errors.Is(err, ErrNoSession) {
		t.Errorf("no session: %v", err)
	}
	after, err := u.Sessions(t.Context())
	if err != nil || len(after) != len(sessions) {
		t.Fatal(len(after), err)
	}
	for _, s := range after {
		i := slices.IndexFunc(sessions, func(before SessionInfo) bool { return before.ID == s.ID })
		want := &esp.Limits{RateUp: uint64(1000 + i)}
		if fmt.Sprint(s.Limits) != fmt.Sprint(want) || s.IdleTimeout != time.Hour || l.limits[s.ID] == "" {
			t.Errorf("session %d has limits %v and may be idle for %s", i, s.Limits, s.IdleTimeout)
		}
	}
	u.end()
	if err := u.Change(t.Context(), sessions[0].ID, Change{}); !errors.Is(err, ErrEnded) {
		t.Errorf("after the end: %v", err)
	}
}
