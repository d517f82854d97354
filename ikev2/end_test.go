package ikev2

import (
	"context"
	"errors"
	"testing"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
)

// gatedPlane takes a Child SA out once it is let.
type gatedPlane struct {
	*fakePlane
	asked chan esp.ChildID
	let   chan error
}

func (p *gatedPlane) Remove(ctx context.Context, id esp.ChildID) error {
	p.asked <- id
	if err := <-p.let; err != nil {
		return err
	}
	return p.fakePlane.Remove(ctx, id)
}

// ending is a call of End under way.
type ending struct {
	ended chan struct{}
	n     int
	err   error
}

func (u *running) startEnd(ctx context.Context, ids ...string) *ending {
	e := &ending{ended: make(chan struct{})}
	go func() {
		defer close(e.ended)
		e.n, e.err = u.End(ctx, CauseRADIUS, ids...)
	}()
	return e
}

func (e *ending) wait(t *testing.T) *ending {
	t.Helper()
	select {
	case <-e.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the end was not reported")
	}
	return e
}

func (u *running) mustFind(t *testing.T, sel Selector, n int) []SessionInfo {
	t.Helper()
	infos, err := u.Find(t.Context(), sel)
	if err != nil || len(infos) != n {
		t.Fatalf("%d sessions, %v; expected %d", len(infos), err, n)
	}
	return infos
}

func TestEndReturnsWhenNothingIsLeft(t *testing.T) {
	p := &gatedPlane{asked: make(chan esp.ChildID, 8), let: make(chan error)}
	u := run(t, func(c *Config) { p.fakePlane = c.Plane.(*fakePlane); c.Plane = p })
	u.dial(t, 3)
	infos := u.mustFind(t, Selector{User: "alice"}, 3)
	one := u.startEnd(t.Context(), infos[0].ID)
	<-p.asked
	select {
	case <-one.ended:
		t.Fatal("returned while the Child SA is in the data plane")
	default:
	}
	if held := u.leases.Usage()[0].Held; held != 3 {
		t.Errorf("%d leases are held while the Child SA is in the data plane", held)
	}
	p.let <- nil
	if one.wait(t); one.n != 1 || one.err != nil {
		t.Errorf("ended %d, %v", one.n, one.err)
	}
	if held := u.leases.Usage()[0].Held; held != 2 {
		t.Errorf("%d leases are held after the end", held)
	}
	u.mustFind(t, Selector{ID: infos[0].ID}, 0)
	if n, err := u.End(t.Context(), CauseRADIUS, infos[0].ID, "nobody's"); n != 0 || err != nil {
		t.Errorf("ended %d again, %v", n, err)
	}

	t.Run("what stays in the data plane is told", func(t *testing.T) {
		two := u.startEnd(t.Context(), infos[1].ID)
		broken := errors.New("the data plane is broken")
		<-p.asked
		p.let <- broken
		if two.wait(t); !errors.Is(two.err, broken) {
			t.Errorf("ended with %v", two.err)
		}
	})
	t.Run("a caller may leave", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		three := u.startEnd(ctx, infos[2].ID)
		<-p.asked
		cancel()
		if three.wait(t); !errors.Is(three.err, context.Canceled) {
			t.Errorf("ended with %v", three.err)
		}
		p.let <- nil
	})
	u.end()
	if n, err := u.End(t.Context(), CauseRADIUS, infos[2].ID); n != 0 || !errors.Is(err, ErrEnded) {
		t.Errorf("after the gateway's end: %d, %v", n, err)
	}
	if n := u.events.count(EventDown, CauseRADIUS); n != 3 {
		t.Errorf("%d sessions ended for this cause", n)
	}
}

// The client's own DELETE of its Child SA is under way when the session is
// ended: what still may use the address goes first.
func TestEndWaitsForTheLeaseThatIsOwed(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.newPeer().establish()
	w.jobTime = func() (time.Duration, time.Duration) { return time.Minute, 0 }
	d := &message.Delete{Protocol: message.ProtocolESP, SPISize: 4, SPIs: [][]byte{p.childSPI}}
	p.deliver(true, datagram(p, p.seal(message.ExchangeInformational, 0, p.id, []message.Payload{d}, 0)[0]))
	w.run(time.Second, nil)
	w.jobTime = func() (time.Duration, time.Duration) { return time.Millisecond, 0 }
	gone := make(chan error, 1)
	if n := w.gateway.end(w.now, CauseRADIUS, []string{p.sa().session.id}, gone); n != 1 {
		t.Fatalf("%d sessions", n)
	}
	w.flush()
	w.run(10*time.Second, nil)
	if w.count(EventDown) != 1 || len(gone) != 0 {
		t.Fatalf("%d sessions ended, %d reported while the Child SA is there", w.count(EventDown), len(gone))
	}
	w.run(5*time.Minute, nil)
	if len(gone) != 1 {
		t.Fatal("the end was not reported")
	}
	if err := <-gone; err != nil {
		t.Error(err)
	}
	w.mustBeEmpty()
}
