package ikev2

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/lease"
)

// unreliable is everything a gateway depends on, failing at random.
type unreliable struct {
	rand   *rand.Rand
	rate   float64
	opened int // conversations
	closed int
	auth.Backend
	leases Leases
}

var errChance = errors.New("failed by chance")

func (u *unreliable) fails() bool { return u.rand.Float64() < u.rate }

func (u *unreliable) Begin(ctx context.Context, p auth.Peer) (auth.Conversation, error) {
	if u.fails() {
		return nil, errChance
	}
	c, err := u.Backend.Begin(ctx, p)
	u.opened++
	return &counted{c, u, false}, err
}

// counted is a Conversation that must be closed once.
type counted struct {
	auth.Conversation
	u    *unreliable
	over bool
}

func (c *counted) Next(ctx context.Context, response []byte) (auth.Step, error) {
	if c.over {
		return auth.Step{}, errors.New("asked after its end")
	}
	if c.u.fails() {
		return auth.Step{}, errChance
	}
	return c.Conversation.Next(ctx, response)
}

func (c *counted) Close() {
	c.u.closed++
	if c.over {
		c.u.closed += 1000
	}
	c.over = true
	c.Conversation.Close()
}

func (u *unreliable) Acquire(ctx context.Context, now time.Time, r lease.Request) (lease.Lease, error) {
	if u.fails() {
		return lease.Lease{}, errChance
	}
	return u.leases.Acquire(ctx, now, r)
}

func (u *unreliable) Release(ctx context.Context, now time.Time, holder string) error {
	return u.leases.Release(ctx, now, holder)
}

func (u *unreliable) Usage() []lease.PoolUsage { return u.leases.(*lease.Pools).Usage() }

// unreliablePlane is a data plane that may fail to install; what it has it removes.
type unreliablePlane struct {
	esp.DataPlane
	u *unreliable
}

func (p unreliablePlane) Install(ctx context.Context, c esp.Child) error {
	if p.u.fails() {
		return errChance
	}
	return p.DataPlane.Install(ctx, c)
}

func (p unreliablePlane) Rekey(ctx context.Context, old esp.ChildID, c esp.Child) error {
	if p.u.fails() {
		return errChance
	}
	return p.DataPlane.Rekey(ctx, old, c)
}

// disorder is a world of few addresses where jobs take their time, the wire
// loses, and whatever the gateway leans on fails now and then.
func disorder(t *testing.T, seed uint64, change func(*Config)) (*world, *unreliable) {
	t.Helper()
	u := &unreliable{rand: rand.New(rand.NewPCG(seed, 2)), rate: 0.04}
	w := newWorld(t, seed, func(c *Config) {
		r, err := lease.ParseRange("192.0.2.1-192.0.2.4")
		if err != nil {
			t.Fatal(err)
		}
		pools, err := lease.NewPools([]lease.PoolConfig{{Name: "main", Ranges: []lease.Range{r}}}, lease.NewMemory())
		if err != nil {
			t.Fatal(err)
		}
		u.Backend, u.leases = c.Backend, pools
		c.Backend, c.Leases, c.Plane = u, u, unreliablePlane{c.Plane, u}
		c.Timers.DPD = 20 * time.Second
		if change != nil {
			change(c)
		}
	})
	w.wire.loss, w.wire.duplicate, w.wire.jitter = 0.1, 0.1, 300*time.Millisecond
	w.jobTime = func() (wait, back time.Duration) {
		spread := []time.Duration{time.Millisecond, 50 * time.Millisecond, 3 * time.Second}[w.rand.IntN(3)]
		return 1 + time.Duration(w.rand.Int64N(int64(spread))), time.Duration(w.rand.Int64N(int64(spread)))
	}
	return w, u
}

// act lets one thing happen that nobody planned.
func (w *world) act() {
	var up []*device
	for _, d := range w.clients {
		if d.up && !d.closed {
			up = append(up, d)
		}
	}
	if len(up) == 0 || w.rand.IntN(4) == 0 {
		if len(w.clients) < 40 {
			w.newDevice(func(c *initiator.Config) {
				c.Identity, c.InitialContact = fqdn([]string{"phone", "laptop"}[w.rand.IntN(2)]), w.rand.IntN(2) == 0
				if w.rand.IntN(3) == 0 {
					c.User, c.Password = "bob", auth.Secret("builder")
				}
				if w.rand.IntN(8) == 0 {
					c.RemoteSelectors = selectors("172.31.0.0/16") // bob may not go there
				}
			}).start()
		}
		return
	}
	d := up[w.rand.IntN(len(up))]
	switch w.rand.IntN(9) {
	case 0, 1:
		d.handle(initiator.RekeyChild{KE: w.rand.IntN(2) == 0})
	case 2, 3:
		d.handle(initiator.RekeyIKE{})
	case 4:
		d.handle(initiator.Liveness{})
	case 5:
		d.handle(initiator.Delete{})
	case 6: // leaves without a word
		d.addr = netip.Addr{}
	case 7:
		w.gateway.disconnect(w.now, CauseOperator, func(*SA) bool { return w.rand.IntN(3) == 0 })
	case 8: // its NAT gives it another address
		for _, sa := range w.gateway.reg.sas {
			sa.nat.client = true
		}
		d.addr = netip.AddrFrom4([4]byte{198, 51, 101, byte(w.rand.IntN(250))})
	}
	w.flush()
}

// mustAgree checks that the data plane sends to where the clients are, but
// for those of which it is just being told.
func (w *world) mustAgree() {
	w.Helper()
	for _, sa := range w.gateway.reg.sas {
		for _, c := range sa.children {
			if got, there := w.plane.children[c.id]; !sa.moving && (!there || got.Path != sa.espPath()) {
				w.Errorf("seed %d: a Child SA sends to %v, its client is at %v", w.seed, got.Path.Remote, sa.path.remote)
			}
		}
	}
}

// Logins, rekeys, moves, deletions, crashes, operators, slow jobs and faults
// in any order: when all is over nothing is left, whatever began has ended
// with an event, and no address was in two hands.
func TestDisorderLeavesNothingBehind(t *testing.T) {
	for seed := range uint64(120) {
		w, u := disorder(t, seed, nil)
		for range 60 {
			w.act()
			w.run(time.Duration(w.rand.Int64N(int64([]time.Duration{50 * time.Millisecond, 5 * time.Second, 2 * time.Minute}[w.rand.IntN(3)]))), nil)
			w.mustAgree()
		}
		w.mustLeaveNothing(u)
	}
}

// mustLeaveNothing lets all clients fall silent and checks that of no session
// anything is left, and that whatever began has ended.
func (w *world) mustLeaveNothing(u *unreliable) {
	w.Helper()
	w.wire.loss = 1
	w.run(30*time.Minute, nil)
	w.mustBeEmpty()
	if u.opened != u.closed {
		w.Errorf("seed %d: %d conversations opened, %d closed", w.seed, u.opened, u.closed)
	}
	if w.count(EventUp) != w.count(EventDown) {
		w.Errorf("seed %d: %d sessions up, %d down", w.seed, w.count(EventUp), w.count(EventDown))
	}
	if n := w.counter(DropRefusedMove); n != 0 {
		w.Errorf("seed %d: %d refused moves", w.seed, n)
	}
}
