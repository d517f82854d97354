package ikev2

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/initiator"
)

// rekeyWorld is a world whose gateway rekeys as told, with one client logged
// in, and a packet each way every so often, of which what is lost is counted.
type rekeyWorld struct {
	*world
	*device
	gatewayPlane *flowPlane
	lost         int
}

func newRekeyWorld(t testing.TB, seed uint64, every time.Duration, r Rekey, change func(*Config)) *rekeyWorld {
	t.Helper()
	rw := &rekeyWorld{}
	w := newWorld(t, seed, func(c *Config) {
		rw.gatewayPlane = newFlowPlane(c.Plane, c.Now)
		c.Plane, c.Rekey = rw.gatewayPlane, r
		if change != nil {
			change(c)
		}
	})
	rw.world = w
	rw.device = w.newDevice(func(c *initiator.Config) { c.Plane = newFakePlane() })
	rw.device.plane = newFlowPlane(newFakePlane(), w.gateway.cfg.Now)
	rw.mustLogin()
	w.traffic(rw.gatewayPlane, rw.device, every, &rw.lost)
	return rw
}

// onlySession gives the SA that has the session.
func (w *world) onlySession() *SA {
	w.Helper()
	var found *SA
	for _, sa := range w.gateway.reg.sas {
		if sa.state == StateEstablished && sa.session.isUp {
			if found != nil {
				w.Fatalf("seed %d: more than one SA has a session", w.seed)
			}
			found = sa
		}
	}
	if found == nil {
		w.Fatalf("seed %d: no SA has a session", w.seed)
	}
	return found
}

// mustPair checks that both ends have one Child SA and the same: SPIs, suite,
// selectors and keys, and the same IKE SA, on which the client gets an answer.
func (rw *rekeyWorld) mustPair() {
	rw.Helper()
	sa := rw.onlySession()
	if len(sa.children) != 1 || sa.children[0].stage != inUse || sa.own != nil {
		rw.Fatalf("seed %d: the gateway has Child SAs %+v and is rekeying %+v", rw.seed, sa.children, sa.own)
	}
	if len(rw.gateway.reg.sas) != 1 {
		rw.Errorf("seed %d: the gateway has %d IKE SAs", rw.seed, len(rw.gateway.reg.sas))
	}
	theirs := rw.device.plane.flows[""]
	if len(theirs) != 1 || len(rw.world.plane.children) != 1 {
		rw.Fatalf("seed %d: %d and %d Child SAs", rw.seed, len(rw.world.plane.children), len(theirs))
	}
	a, b := rw.world.plane.only(rw), theirs[0].Child
	same := func(x, y esp.SA) bool {
		return x.SPI == y.SPI && x.Suite == y.Suite && bytes.Equal(x.EncrKey, y.EncrKey) && bytes.Equal(x.IntegKey, y.IntegKey)
	}
	if !same(a.In, b.Out) || !same(a.Out, b.In) {
		rw.Errorf("seed %d: the ends differ: SPIs %08x %08x, %08x %08x", rw.seed, a.In.SPI, b.Out.SPI, a.Out.SPI, b.In.SPI)
	}
	if describeSelectors(a.Local) != describeSelectors(b.Remote) || describeSelectors(a.Remote) != describeSelectors(b.Local) {
		rw.Errorf("seed %d: selectors differ: %v %v, %v %v", rw.seed, a.Local, b.Remote, a.Remote, b.Local)
	}
	if err := rw.command(initiator.Liveness{}); err != nil {
		rw.Errorf("seed %d: afterwards: %v", rw.seed, err)
	}
}

// mustEnd logs out and checks that nothing is left and that nothing was lost.
func (rw *rekeyWorld) mustEnd() {
	rw.Helper()
	if err := rw.command(initiator.Delete{}); err != nil {
		rw.Errorf("seed %d: logging out: %v", rw.seed, err)
	}
	rw.run(time.Minute, nil)
	rw.mustBeEmpty()
	if rw.lost != 0 {
		rw.Errorf("seed %d: %d packets lost", rw.seed, rw.lost)
	}
	if n := rw.counter(DropRefusedMove); n != 0 {
		rw.Errorf("seed %d: %d refused moves", rw.seed, n)
	}
}

func TestGatewayRekeysByTime(t *testing.T) {
	rw := newRekeyWorld(t, 1, 3*time.Millisecond, Rekey{Child: 10 * time.Second, IKE: 35 * time.Second}, nil)
	rw.run(3*time.Minute, nil)
	if n := rw.count(EventRekeyed); n < 18+5 || n > 20+6 {
		t.Errorf("%d rekeys in 3 minutes", n)
	}
	rw.mustPair()
	if !rw.onlySession().initiator {
		t.Error("after its own rekey the gateway is not the original initiator")
	}
	rw.mustEnd()
}

// begin has the gateway start a rekey now: of the Child SA in use or the IKE SA.
func (rw *rekeyWorld) begin(ofIKE bool) {
	for _, sa := range rw.gateway.reg.sas {
		if sa.state != StateEstablished || !sa.session.isUp || sa.own != nil {
			continue
		}
		if !sa.watch.unsure {
			sa.watch.pause = time.Time{}
		}
		if ofIKE {
			sa.watch.rekey = rw.now
		}
		for i := range sa.children {
			if !ofIKE {
				sa.children[i].due = rw.now
			}
		}
		rw.gateway.settle(sa)
	}
}

// Both ends rekey whatever they like whenever they like, over a wire that
// loses, repeats and reorders IKE messages. Afterwards there is one Child SA,
// the same at both ends, or the session ended with a cause; and of the traffic,
// which the wire does not touch, nothing is lost.
func TestBothEndsRekeyAtRandom(t *testing.T) {
	const seeds = 400
	ended, rekeyed := 0, 0
	for seed := range uint64(seeds) {
		rw := newRekeyWorld(t, seed, 97*time.Millisecond, Rekey{Child: time.Hour, IKE: 3 * time.Hour}, nil)
		rw.gatewayPlane.grace, rw.device.plane.grace = time.Hour, time.Hour
		rw.wire.loss, rw.wire.duplicate, rw.wire.jitter = []float64{0.08, 0.3}[seed%2], 0.1, 300*time.Millisecond
		rw.jobTime = func() (wait, back time.Duration) {
			return 1 + time.Duration(rw.rand.Int64N(int64(100*time.Millisecond))), time.Duration(rw.rand.Int64N(int64(20 * time.Millisecond)))
		}
		for range 30 {
			switch rw.rand.IntN(4) {
			case 0:
				rw.begin(false)
			case 1:
				rw.begin(true)
			case 2:
				rw.handle(initiator.RekeyChild{KE: rw.rand.IntN(2) == 0})
			case 3:
				rw.handle(initiator.RekeyIKE{})
			}
			rw.run(time.Duration(rw.rand.Int64N(int64([]time.Duration{20 * time.Millisecond, time.Second, 20 * time.Second}[rw.rand.IntN(3)]))), nil)
		}
		rw.wire.loss = 0
		rw.run(7*time.Minute, nil)
		rekeyed += rw.count(EventRekeyed)
		if rw.closed || rw.count(EventDown) > 0 {
			ended++
			if rw.run(5*time.Minute, nil); !rw.closed {
				rw.handle(initiator.Liveness{})
				rw.run(5*time.Minute, nil)
			}
			rw.mustBeEmpty()
			var silence *initiator.TimeoutError // after six tries in vain
			if ev := rw.lastEvent(); seed%2 == 0 || !errors.As(rw.err, &silence) || ev.Kind != EventDown || ev.Cause != CauseLostCarrier {
				t.Errorf("seed %d: the client ended %t (%v), the gateway's last event is %+v", seed, rw.closed, rw.err, ev)
			}
			continue
		}
		rw.mustPair()
		rw.mustEnd()
		if t.Failed() {
			return
		}
	}
	t.Logf("%d rekeys in %d worlds, %d of which ended early", rekeyed, seeds, ended)
}
