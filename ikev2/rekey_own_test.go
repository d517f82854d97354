package ikev2

import (
	"bytes"
	"testing"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/initiator"
)

// rekeyWorld is a world whose gateway rekeys as told, with one client logged
// in, and traffic of which what is lost is counted.
type rekeyWorld struct {
	*world
	*device
	gatewayPlane *flowPlane
	lost         int
}

func newRekeyWorld(t testing.TB, seed uint64, r Rekey, change func(*Config)) *rekeyWorld {
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
	w.traffic(rw.gatewayPlane, rw.device, 7*time.Millisecond, &rw.lost)
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
	rw := newRekeyWorld(t, 1, Rekey{Child: 10 * time.Second, IKE: 35 * time.Second}, nil)
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
