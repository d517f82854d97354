package ikev2

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/initiator"
)

// moodyPlane fails now and then where Child SAs are put in.
type moodyPlane struct {
	*fakePlane
	fails func() bool
}

func (p moodyPlane) Install(ctx context.Context, c esp.Child) error {
	if p.fails() {
		return errors.New("no memory")
	}
	return p.fakePlane.Install(ctx, c)
}

func (p moodyPlane) Rekey(ctx context.Context, old esp.ChildID, c esp.Child) error {
	if p.fails() {
		return errors.New("no memory")
	}
	return p.fakePlane.Rekey(ctx, old, c)
}

// chaos is a world in which everything happens at any time.
type chaos struct {
	*world
	r      *rand.Rand
	moving []*device
}

func newChaos(t *testing.T, seed uint64) *chaos {
	c := &chaos{r: rand.New(rand.NewPCG(seed, 11))}
	c.world = newWorld(t, seed, func(cfg *Config) {
		cfg.Plane = moodyPlane{cfg.Plane.(*fakePlane), func() bool { return c.r.IntN(25) == 0 }}
		cfg.Unique = []Unique{UniqueNo, UniqueReplace, UniqueKeep}[c.r.IntN(3)]
		cfg.ForceEncapIPv4 = c.r.IntN(2) == 0
		cfg.Rekey = Rekey{Child: 15 * time.Second, IKE: 40 * time.Second}
		cfg.Timers.DPD, cfg.Timers.Idle = 30*time.Second, time.Duration(c.r.IntN(2))*5*time.Minute
	})
	c.wire.loss, c.wire.duplicate, c.wire.jitter = c.r.Float64()*0.15, 0.1, 200*time.Millisecond
	c.jobTime = func() (wait, back time.Duration) {
		return time.Duration(c.r.IntN(800)) * time.Millisecond, time.Duration(c.r.IntN(800)) * time.Millisecond
	}
	return c
}

// happens has one thing happen.
func (c *chaos) happens() {
	if len(c.moving) == 0 || c.r.IntN(8) == 0 {
		d := c.newRoamer(func(cfg *initiator.Config) {
			cfg.Identity = fqdn([]string{"a.example.org", "b.example.org"}[c.r.IntN(2)])
		}).start()
		c.moving = append(c.moving, d)
		return
	}
	i := c.r.IntN(len(c.moving))
	d := c.moving[i]
	switch c.r.IntN(12) {
	case 0:
		d.roams.homes = nil // gone without a word
		c.moving = slices.Delete(c.moving, i, i+1)
	case 1:
		d.handle(initiator.Delete{})
	case 2:
		c.gateway.disconnect(c.now, CauseOperator, func(sa *SA) bool { return sa.session.id[0]%2 == 0 })
		c.flush()
	case 3:
		for id := range c.plane.children {
			ev := []Event{Lost{id}, Exhausting{id}}[c.r.IntN(2)]
			c.gateway.tellChild(c.now, id, ev)
			c.flush()
			break
		}
	case 4, 5:
		d.move(d.roams.somewhere(c.r))
	case 6, 7:
		d.handle(initiator.RekeyChild{KE: c.r.IntN(2) == 0})
	case 8, 9:
		d.handle(initiator.RekeyIKE{})
	case 10:
		c.packets(d)
	}
}

// Whatever ends a session in whatever it is doing, nothing of it stays: no
// address, no SPI, no Child SA, no job, no deadline.
func TestNothingIsLeftOver(t *testing.T) {
	sessions := 0
	for seed := range uint64(250) {
		c := newChaos(t, seed)
		for range 40 {
			c.happens()
			c.run(time.Duration(c.r.IntN(3000))*time.Millisecond, nil)
		}
		if c.r.IntN(2) == 0 { // the gateway ends
			c.gateway.closing = true
			c.gateway.disconnect(c.now, CauseShutdown, func(*SA) bool { return true })
			c.flush()
		}
		for _, d := range c.moving {
			d.roams.homes = nil
		}
		c.run(30*time.Minute, nil)
		c.gateway.closing = false
		if c.mustBeEmpty(); t.Failed() {
			return
		}
		if up, down := c.count(EventUp), c.count(EventDown); up != down {
			t.Fatalf("seed %d: %d sessions began and %d ended", seed, up, down)
		}
		sessions += c.count(EventUp)
	}
	if sessions < 500 {
		t.Errorf("%d sessions in all: they hardly get under way", sessions)
	}
}
