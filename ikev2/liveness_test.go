package ikev2

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
)

// receivedRequest reads a request of the gateway and answers it.
func (p *peer) receivedRequest(why string, answer bool) []message.Payload {
	p.Helper()
	if len(p.heard) == 0 {
		p.Fatalf("%s: the gateway sent nothing", why)
	}
	d := p.heard[0]
	m := p.parse(d)
	ps := p.open([][]byte{d}, 0, m.Header.MessageID)
	p.heard = nil
	if answer {
		p.raw(p.seal(m.Header.Exchange, message.FlagResponse, m.Header.MessageID, nil, 0)[0])
	}
	return ps
}

func (w *world) lastEvent() SessionEvent {
	w.Helper()
	if len(w.events) == 0 {
		w.Fatal("no event")
	}
	return w.events[len(w.events)-1]
}

func TestDeadPeerDetection(t *testing.T) {
	w := newWorld(t, 1, func(c *Config) { c.Timers.DPD = 10 * time.Minute })
	p := w.newPeer().establish()
	child := w.plane.only(t).ID
	w.run(10*time.Minute-2*time.Second, nil)
	if len(p.heard) != 0 {
		t.Fatal("asked before it was time")
	}
	// Traffic counts as a sign of life.
	w.plane.usage[child] = esp.Usage{PacketsIn: 1, LastIn: w.now}
	w.run(9*time.Minute, nil)
	if len(p.heard) != 0 {
		t.Fatal("asked although traffic flowed")
	}
	w.run(2*time.Minute, nil)
	if ps := p.receivedRequest("silence", true); len(ps) != 0 {
		t.Errorf("liveness carries %s", describe(ps))
	}
	w.run(9*time.Minute, nil)
	if len(p.heard) != 0 {
		t.Error("asked again although the client answered")
	}
	w.run(time.Hour, nil)
	if n := len(p.heard); n != 1+w.gateway.cfg.Timers.Retransmit.Tries {
		t.Errorf("the unanswered request was sent %d times", n)
	}
	if ev := w.lastEvent(); ev.Kind != EventDown || ev.Cause != CauseLostCarrier || len(ev.Session.Usage) != 1 {
		t.Errorf("last event %+v", ev)
	}
	w.mustBeEmpty()
}

// The gateway's own limits hold for every session, and a user's where they are
// shorter.
func TestLimitsOfAllSessions(t *testing.T) {
	for _, c := range []struct {
		name  string
		all   Timers
		grant auth.Grant
		cause Cause
		after time.Duration
	}{
		{"age of all", Timers{Session: 2 * time.Hour}, auth.Grant{}, CauseSessionTimeout, 2 * time.Hour},
		{"the user's age is shorter", Timers{Session: 2 * time.Hour}, auth.Grant{SessionTimeout: time.Hour}, CauseSessionTimeout, time.Hour},
		{"the user's age is longer", Timers{Session: time.Hour}, auth.Grant{SessionTimeout: 2 * time.Hour}, CauseSessionTimeout, time.Hour},
		{"idleness of all", Timers{Idle: 30 * time.Minute}, auth.Grant{}, CauseIdleTimeout, 30 * time.Minute},
		{"the user's idleness is shorter", Timers{Idle: 30 * time.Minute}, auth.Grant{IdleTimeout: 10 * time.Minute}, CauseIdleTimeout, 10 * time.Minute},
		{"the user's idleness is longer", Timers{Idle: 10 * time.Minute}, auth.Grant{IdleTimeout: 30 * time.Minute}, CauseIdleTimeout, 10 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, func(cfg *Config) { cfg.Timers, cfg.Backend = c.all, granting(c.grant) })
			d := w.newDevice(nil).mustLogin()
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

func TestSessionAndIdleTimeout(t *testing.T) {
	bob := func(c *initiator.Config) { c.User, c.Password = "bob", auth.Secret("builder") }
	t.Run("idle", func(t *testing.T) {
		w := newWorld(t, 1, nil)
		d := w.newDevice(bob).mustLogin()
		id := w.plane.only(t).ID
		for i := range 5 {
			w.plane.usage[id] = esp.Usage{PacketsOut: uint64(i + 1)}
			w.run(9*time.Minute, nil)
		}
		if d.closed {
			t.Fatal("ended although traffic flowed")
		}
		w.run(21*time.Minute, func() bool { return d.closed })
		w.run(time.Minute, nil)
		if ev := w.lastEvent(); !d.closed || ev.Cause != CauseSessionTimeout && ev.Cause != CauseIdleTimeout {
			t.Errorf("last event %+v", ev)
		}
		w.mustBeEmpty()
	})
	t.Run("session", func(t *testing.T) {
		w := newWorld(t, 1, nil)
		d := w.newDevice(bob).mustLogin()
		id := w.plane.only(t).ID
		w.run(30*time.Second, nil)
		for i := 0; !d.closed && i < 100; i++ {
			w.plane.usage[id] = esp.Usage{PacketsOut: uint64(i + 1)}
			w.run(time.Minute, nil)
		}
		if ev := w.lastEvent(); ev.Cause != CauseSessionTimeout || w.now.Sub(epoch) < time.Hour || w.now.Sub(epoch) > 62*time.Minute {
			t.Errorf("last event %+v after %s", ev, w.now.Sub(epoch))
		}
		w.run(time.Minute, nil)
		w.mustBeEmpty()
	})
	t.Run("packet numbers", func(t *testing.T) {
		// 2^19 packets a second, IKE messages all the time, no dead peer
		// detection: noticed before the numbers end, by few looks.
		w := newWorld(t, 1, func(c *Config) { c.Timers.DPD = -1 })
		d := w.newDevice(nil).mustLogin()
		id := w.plane.only(t).ID
		left := uint64(freshNumbers)
		for range 20000 {
			if d.closed || left < 1<<19 {
				break
			}
			left -= 1 << 19
			w.plane.usage[id] = esp.Usage{OutboundRemaining: left, LastIn: w.now, PacketsOut: freshNumbers - left}
			w.run(time.Second, nil)
		}
		w.run(time.Minute, nil)
		if ev := w.lastEvent(); ev.Cause != CausePacketsExhausted || left < 1<<19 {
			t.Errorf("%d packet numbers left, last event %+v", left, ev)
		}
		if w.plane.reads > 60 {
			t.Errorf("looked %d times", w.plane.reads)
		}
	})
	t.Run("packet numbers of a Child SA no longer in use", func(t *testing.T) {
		w := newWorld(t, 1, nil)
		p := w.newPeer().establish()
		w.plane.usage[w.plane.only(t).ID] = esp.Usage{OutboundRemaining: 1000}
		old := p.childSPI
		p.childSPI = []byte{0xc0, 0, 0, 2}
		p.request(message.ExchangeCreateChildSA, p.childMessage(old)...)
		w.run(39*time.Minute, nil)
		p.wantState("rekeyed in time", StateEstablished)
	})
	t.Run("counters that cannot be read", func(t *testing.T) {
		w := newWorld(t, 1, nil)
		d := w.newDevice(bob).mustLogin()
		w.plane.blind = errors.New("no counters")
		w.run(30*time.Minute, nil)
		if d.closed {
			t.Error("taken for idle")
		}
	})
}

// The operator's word stops the traffic at once; the client is told until it
// answers or is given up.
func TestDisconnect(t *testing.T) {
	for _, answers := range []bool{true, false} {
		w := newWorld(t, 1, nil)
		p := w.newPeer().establish()
		if n := w.gateway.disconnect(w.now, CauseOperator, Selector{User: "nobody"}.matches); n != 0 {
			t.Errorf("%d sessions of nobody", n)
		}
		if n := w.gateway.disconnect(w.now, CauseOperator, Selector{User: "alice"}.matches); n != 1 {
			t.Errorf("%d sessions disconnected", n)
		}
		w.flush()
		w.run(500*time.Millisecond, nil)
		if len(w.plane.children) != 0 {
			t.Error("the Child SA is still installed")
		}
		ps := p.receivedRequest("disconnect", answers)
		if d := message.Find[*message.Delete](ps); d == nil || d.Protocol != message.ProtocolIKE {
			t.Errorf("the gateway sent %s", describe(ps))
		}
		w.run(3*time.Minute, nil)
		if again := len(p.heard); again > 0 == answers {
			t.Errorf("answered %v, sent again %d times", answers, again)
		}
		if w.count(EventDown) != 1 || w.lastEvent().Cause != CauseOperator {
			t.Errorf("last event %+v", w.lastEvent())
		}
		w.mustBeEmpty()
	}
}

// A DELETE of ours waits for the liveness check under way, and one of the
// client's crosses ours.
func TestDeleteWaitsAndCrosses(t *testing.T) {
	w := newWorld(t, 1, func(c *Config) { c.Timers.DPD = time.Minute })
	p := w.newPeer().establish()
	w.run(time.Minute, nil)
	w.gateway.disconnect(w.now, CauseOperator, Selector{All: true}.matches)
	w.flush()
	w.run(100*time.Millisecond, nil)
	if len(p.heard) != 1 {
		t.Fatalf("%d requests are outstanding", len(p.heard))
	}
	m := p.parse(p.heard[0])
	answers := p.raw(p.seal(m.Header.Exchange, message.FlagResponse, m.Header.MessageID, nil, 0)[0])
	if len(answers) != 1 || message.Find[*message.Delete](p.open(answers, 0, m.Header.MessageID+1)) == nil {
		t.Fatal("no DELETE followed")
	}
	if answer := p.request(message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolIKE}); answer == nil {
		t.Error("the client's own DELETE was not answered")
	}
	w.run(time.Minute, nil)
	w.mustBeEmpty()
}

// A client behind a NAT is followed to its new address by a fresh authentic
// request, and by nothing else.
func TestClientBehindNATMoves(t *testing.T) {
	for _, nat := range []bool{true, false} {
		w := newWorld(t, 1, nil)
		p := w.newPeer().init()
		p.sa().nat.client = nat
		p.throughEAP().prove()
		p.echo = faithful
		repeated := p.seal(message.ExchangeInformational, 0, p.id, nil, 0)[0]
		p.raw(repeated)
		p.id++
		home := p.from
		p.from = netip.MustParseAddrPort("198.51.100.99:31000")
		if answers := p.raw(repeated); len(answers) != 1 {
			t.Error("a repeated request was not answered where it came from")
		}
		bad := p.seal(message.ExchangeInformational, 0, p.id, nil, 0)[0]
		bad[40] ^= 1
		p.raw(bad)
		if p.sa().path.remote != home || w.plane.moves != 0 {
			t.Error("moved by a repeated or forged message")
		}
		if answer := p.request(message.ExchangeInformational); answer == nil {
			t.Error("liveness from the new address was not answered there")
		}
		if moved := p.sa().path.remote == p.from; moved != nat || (w.plane.moves == 1) != nat {
			t.Errorf("behind NAT %v: moved %v, data plane %d times", nat, moved, w.plane.moves)
		}
	}
}
