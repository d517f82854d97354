package ikev2

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
)

// Requests of the client and its answers have message ids of their own: of two
// messages in fragments with the same id neither is taken for a part of the
// other (RFC 7296 §2.2, RFC 7383 §2.6).
func TestFragmentsOfARequestAndAnAnswer(t *testing.T) {
	p := ownRekeyer(t, nil)
	for p.sa().requests.NextID() < p.id {
		sa := p.sa()
		sa.ask(p.now, informational(), &p.gateway.out)
		p.flush()
		p.answers(p.hears("a check for life"))
	}
	q := p.begins(false)
	if q.MessageID != p.id {
		t.Fatalf("the gateway's message id is %d, the client's %d", q.MessageID, p.id)
	}
	const limit = 200
	request := p.seal(message.ExchangeInformational, 0, p.id, []message.Payload{&message.VendorID{Data: make([]byte, 300)}}, limit)
	answer := p.seal(q.Exchange, message.FlagResponse, q.MessageID, p.agreesChild(q, 5), limit)
	if len(request) < 3 || len(answer) < 2 {
		t.Fatalf("%d and %d fragments", len(request), len(answer))
	}
	for i := range max(len(request), len(answer)) {
		for _, fragments := range [][][]byte{answer, request} {
			if i < len(fragments) {
				p.deliver(true, datagram(p, fragments[i]))
			}
		}
	}
	p.id++
	p.answers(p.hears("it has rekeyed"), deleteOf(p.childSPI))
	p.wantChild(0xc0, 0, 1, 5)
	if n := p.counter(DropFragment); n != 0 {
		t.Errorf("%d fragments dropped", n)
	}
}

// Ten rekeys of the IKE SA by turns, so that each end is the original initiator
// every other time; after each one a Child SA rekey by each end, a move, and
// life asked for in both directions.
func TestRekeysByTurns(t *testing.T) {
	w := newWorld(t, 1, func(c *Config) {
		c.Rekey = Rekey{Child: 24 * time.Hour, IKE: 24 * time.Hour}
		c.Timers.DPD = 10 * time.Minute
	})
	d := w.newRoamer(nil).mustLogin()
	rw := &rekeyWorld{world: w, device: d}
	id := w.onlySession().session.id
	must := func(n int, c initiator.Command) {
		t.Helper()
		if err := d.command(c); err != nil {
			t.Fatalf("after %d rekeys: %T: %v", n, c, err)
		}
		w.run(5*time.Second, nil)
	}
	for n := range 10 {
		if ours := n%2 == 0; ours {
			rw.begin(true)
			w.run(10*time.Second, nil)
		} else {
			must(n, initiator.RekeyIKE{})
			w.run(20*time.Second, nil)
		}
		sa := w.onlySession()
		if sa.initiator != (n%2 == 0) || len(w.gateway.reg.sas) != 1 || w.count(EventRekeyed) != 1+4*n {
			t.Fatalf("rekey %d: initiator %v, %d IKE SAs, %d rekeys", n+1, sa.initiator, len(w.gateway.reg.sas), w.count(EventRekeyed))
		}
		must(n, initiator.RekeyChild{KE: true})
		rw.begin(false)
		w.run(10*time.Second, nil)
		must(n, initiator.RekeyChild{})
		d.move(netip.AddrFrom4([4]byte{203, 0, 113, byte(100 + n)}))
		d.leave()
		w.run(2*time.Second, nil)
		d.wantConverged(fmt.Sprintf("rekey %d", n+1))
		must(n, initiator.Liveness{})
		asked := w.onlySession().requests.NextID()
		w.run(11*time.Minute, nil)
		if w.onlySession().requests.NextID() == asked {
			t.Errorf("after rekey %d the gateway asks for life no more", n+1)
		}
	}
	if n := len(w.gateway.clients); n != 1 || w.onlySession().session.id != id {
		t.Errorf("%d clients are indexed, session %s was %s", n, w.onlySession().session.id, id)
	}
	must(10, initiator.Delete{})
	w.run(time.Minute, nil)
	w.mustBeEmpty()
}

// A session whose IKE SA both ends are rekeying is one session to the operator,
// and ends whole.
func TestDisconnectWhileBothRekey(t *testing.T) {
	p := ownRekeyer(t, nil)
	p.begins(true)
	ask, goOn := p.asksIKE(1, low)
	goOn(p.request(message.ExchangeCreateChildSA, ask...))
	if n := p.gateway.disconnect(p.now, CauseOperator, Selector{All: true}.matches); n != 1 {
		t.Errorf("%d sessions were disconnected", n)
	}
	p.flush()
	p.run(10*time.Minute, nil)
	p.wantNothing()
}

// A clock that jumps, as after the host has slept, ends no session by itself:
// what is due is asked, and asked again, before a client counts as gone.
func TestClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{-26 * time.Hour, -time.Minute, time.Hour, 26 * time.Hour} {
		rw := newRekeyWorld(t, 1, time.Second, Rekey{Child: time.Hour, IKE: 4 * time.Hour}, func(c *Config) { c.Timers.DPD = 10 * time.Minute })
		for range 3 {
			rw.run(20*time.Minute, nil)
			for i := range rw.queue { // what is under way goes on
				rw.queue[i].at = rw.queue[i].at.Add(jump)
			}
			rw.now = rw.now.Add(jump)
		}
		rw.run(2*time.Hour, nil)
		if rw.closed || rw.count(EventDown) != 0 {
			t.Errorf("a jump of %s: the client ended %v (%v), %+v", jump, rw.closed, rw.err, rw.lastEvent())
			continue
		}
		rw.mustPair()
	}
}

// A message belongs to an IKE SA only if its flags say that the client sent it,
// whichever end is the original initiator.
func TestFlagsTellWhoSends(t *testing.T) {
	p := ownRekeyer(t, nil)
	q := p.begins(true)
	agreement, next := p.agreesIKE(q, 5)
	p.answers(q, agreement...)
	for _, p := range []*peer{p, next} {
		sa := p.sa()
		h := message.Header{InitiatorSPI: sa.spii, ResponderSPI: sa.spir, Version: message.Version2, Exchange: message.ExchangeInformational}
		ours, theirs := h, h
		if sa.initiator {
			ours.Flags |= message.FlagInitiator
		} else {
			theirs.Flags |= message.FlagInitiator
		}
		if sa.isFor(ours) || !sa.isFor(theirs) || theirs.ReceiverSPI() != sa.ownSPI() {
			t.Errorf("initiator %v: taken with the gateway's flags %v, with the client's %v, which seek %s", sa.initiator, sa.isFor(ours), sa.isFor(theirs), theirs.ReceiverSPI())
		}
	}
}

// A client that comes again is known by the session it has, also where the
// gateway has rekeyed the IKE SA of that.
func TestClientOfARekeyedSessionComesAgain(t *testing.T) {
	for _, unique := range []Unique{UniqueNo, UniqueReplace, UniqueKeep} {
		rw := newRekeyWorld(t, 1, time.Second, Rekey{IKE: time.Hour}, func(c *Config) { c.Unique = unique })
		rw.begin(true)
		rw.run(10*time.Second, nil)
		if !rw.onlySession().initiator {
			t.Fatal("the gateway has not rekeyed")
		}
		again := rw.newDevice(func(c *initiator.Config) { c.InitialContact = unique == UniqueNo })
		again.login()
		rw.run(10*time.Second, nil)
		if unique == UniqueKeep {
			if again.up || rw.count(EventDown) != 0 {
				t.Errorf("the former session was not kept: the client is up %v, %+v", again.up, rw.lastEvent())
			}
			continue
		}
		if !again.up || rw.count(EventDown) != 1 || rw.onlySession().path.remote.Addr() != again.addr {
			t.Errorf("policy %d: up %v, %d sessions ended", unique, again.up, rw.count(EventDown))
		}
	}
}
