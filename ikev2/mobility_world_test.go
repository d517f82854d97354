package ikev2

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/initiator"
)

// roams is where a device with MOBIKE is.
type roams struct {
	homes []netip.Addr                  // its own addresses, all of which work
	nats  map[netip.Addr]netip.AddrPort // what a NAT makes of some of them
	at    netip.Addr                    // the one in use
}

// leaves gives where a datagram seems to come from that leaves the device from
// an address of its own; zero: it does not leave.
func (c *device) leaves(from netip.AddrPort) netip.AddrPort {
	switch {
	case c.roams == nil && !c.addr.IsValid():
		return netip.AddrPort{}
	case c.roams == nil:
		return netip.AddrPortFrom(c.addr, from.Port())
	case !slices.Contains(c.roams.homes, from.Addr()):
		return netip.AddrPort{}
	}
	if mapped, behind := c.roams.nats[from.Addr()]; behind {
		return netip.AddrPortFrom(mapped.Addr(), mapped.Port()+from.Port())
	}
	return from
}

// hears tells whether what is sent to an address reaches the device.
func (c *device) hears(to netip.AddrPort) bool {
	if c.roams == nil {
		return c.addr == to.Addr()
	}
	return slices.ContainsFunc(c.roams.homes, func(a netip.Addr) bool {
		return c.leaves(netip.AddrPortFrom(a, 500)) == to || c.leaves(netip.AddrPortFrom(a, 4500)) == to
	})
}

// newRoamer puts a client with MOBIKE into the world.
func (w *world) newRoamer(change func(*initiator.Config)) *device {
	w.Helper()
	d := w.newDevice(func(c *initiator.Config) {
		c.MOBIKE = true
		if change != nil {
			change(c)
		}
	})
	d.roams = &roams{homes: []netip.Addr{d.addr}, nats: make(map[netip.Addr]netip.AddrPort), at: d.addr}
	return d
}

// move has the device use another address, which it has from now on.
func (c *device) move(to netip.Addr) {
	if !slices.Contains(c.roams.homes, to) {
		c.roams.homes = append(c.roams.homes, to)
	}
	c.roams.at = to
	c.handle(initiator.Move{Local: to})
}

// leave takes all addresses from the device but the one in use.
func (c *device) leave() { c.roams.homes = []netip.Addr{c.roams.at} }

// packets has the data plane see a packet of the device's, and the gateway
// hear of it if it came from elsewhere.
func (w *world) packets(c *device) {
	for _, child := range w.plane.children {
		mine, up := c.sa.Child()
		if !up || mine.Out.SPI != child.In.SPI {
			continue
		}
		from := c.leaves(mine.Path.Local)
		u := w.plane.usage[child.ID]
		u.PacketsIn, u.LastIn = u.PacketsIn+1, w.now
		w.plane.usage[child.ID] = u
		if from.IsValid() && mine.Path.Encap && (!child.Path.Encap || from != child.Path.Remote) {
			w.gateway.tellChild(w.now, child.ID, Rebound{child.ID, from})
			w.flush()
		}
	}
}

// newestSA gives the one SA that is established.
func (w *world) newestSA() *SA {
	w.Helper()
	var found *SA
	for _, sa := range w.gateway.reg.sas {
		if sa.state == StateEstablished {
			if found != nil {
				w.Fatal("two SAs are established")
			}
			found = sa
		}
	}
	if found == nil {
		w.Fatalf("seed %d: no SA is established", w.seed)
	}
	return found
}

// agrees tells whether the gateway has the client's Child SA and sends by it.
func (c *device) agrees() bool {
	mine, up := c.sa.Child()
	for _, child := range c.w.plane.children {
		if up && child.In.SPI == mine.Out.SPI && child.Path.Remote == c.leaves(mine.Path.Local) {
			return true
		}
	}
	return !up
}

// wantConverged checks that both ends agree on where the Child SAs run.
func (c *device) wantConverged(why string) {
	w := c.w
	w.Helper()
	w.run(10*time.Second, c.agrees) // not in the middle of a rekey
	mine, up := c.sa.Child()
	if !up || c.closed {
		w.Fatalf("seed %d: %s: the client is gone: %v", w.seed, why, c.err)
	}
	want := esp.Path{Local: mine.Path.Remote, Remote: c.leaves(mine.Path.Local), Encap: mine.Path.Encap}
	if mine.Path.Local.Addr() != c.roams.at {
		w.Errorf("seed %d: %s: the client's Child SA runs from %s, it is at %s", w.seed, why, mine.Path.Local, c.roams.at)
	}
	found := false
	for _, child := range w.plane.children {
		found = found || child.In.SPI == mine.Out.SPI
		if child.Path != want {
			w.Errorf("seed %d: %s: the gateway sends %s, expected %s", w.seed, why, child.Path, want)
		}
	}
	if sa := w.newestSA(); !found || sa.mobility != nil && sa.mobility.settled != nil || sa.path.remote != want.Remote {
		w.Errorf("seed %d: %s: Child SA found %v, gateway's path %s", w.seed, why, found, sa.path.remote)
	}
}

// Our own two ends: over each family, a NAT coming and going; then the Child
// SA is rekeyed, the IKE SA, life is asked for, and the client leaves.
func TestRoaming(t *testing.T) {
	for _, force := range []bool{true, false} {
		w := newWorld(t, 1, func(c *Config) {
			c.ForceEncapIPv4, c.Timers.DPD = force, 10*time.Minute
			c.Addresses = []netip.Addr{gatewayV4, gatewayV6}
		})
		d := w.newRoamer(nil).mustLogin()
		session, lease := w.newestSA().session.id, w.newestSA().session.lease
		v6, natted, v4 := netip.MustParseAddr("2001:db8:77::5"), netip.MustParseAddr("192.168.9.9"), netip.MustParseAddr("203.0.113.50")
		d.roams.nats[natted] = netip.MustParseAddrPort("203.0.113.200:20000")
		for i, to := range []netip.Addr{v6, natted, v4, v6, v4, natted} {
			why := fmt.Sprintf("force %v, move %d to %s", force, i+1, to)
			d.move(to)
			d.leave()
			w.run(2*time.Second, nil)
			d.wantConverged(why)
			if w.count(EventMoved) != i+1 {
				t.Errorf("%s: %d moves reported", why, w.count(EventMoved))
			}
			for _, c := range []initiator.Command{initiator.RekeyChild{KE: i%2 == 0}, initiator.RekeyIKE{}, initiator.Liveness{}} {
				if err := d.command(c); err != nil {
					t.Fatalf("%s: %T: %v", why, c, err)
				}
			}
			w.run(time.Second, nil)
			d.wantConverged(why + ", and rekeys")
			w.run(11*time.Minute, nil) // the gateway asks for life
			d.wantConverged(why + ", and silence")
		}
		// The NAT forgets the mapping; packets tell.
		d.roams.nats[natted] = netip.MustParseAddrPort("203.0.113.201:30000")
		w.packets(d)
		w.run(2*time.Second, nil)
		d.wantConverged("another mapping")
		if sa := w.newestSA(); sa.session.id != session || !reflect.DeepEqual(sa.session.lease, lease) || w.count(EventUp) != 1 || w.count(EventDown) != 0 {
			t.Errorf("session %s with %v, was %s with %v", sa.session.id, sa.session.lease, session, lease)
		}
		d.command(initiator.Delete{})
		w.run(2*time.Minute, nil)
		w.mustBeEmpty()
	}
}

// A move of which the gateway never heard: the update, sent from an address
// that does not work, is sent again from the next one.
func TestUpdateLostAndSentAgain(t *testing.T) {
	w := newWorld(t, 1, func(c *Config) { c.Addresses = []netip.Addr{gatewayV4, gatewayV6} })
	d := w.newRoamer(nil).mustLogin()
	dead := netip.MustParseAddr("203.0.113.60")
	d.move(dead)
	d.roams.homes = nil
	w.run(5*time.Second, nil)
	d.move(netip.MustParseAddr("2001:db8:77::6"))
	if !w.run(3*time.Second, func() bool { return len(d.done) == 2 }) {
		t.Fatal("the moves did not end")
	}
	for _, err := range d.done {
		if err != nil {
			t.Error(err)
		}
	}
	w.run(time.Second, nil)
	d.wantConverged("sent again")
}

// A refused move leaves both ends where they were.
func TestRefusedMoveAtTheClient(t *testing.T) {
	w := newWorld(t, 1, nil)
	d := w.newRoamer(nil).mustLogin()
	home := d.roams.at
	inner := w.newestSA().session.lease.IPv4
	d.roams.homes = append(d.roams.homes, inner)
	var refused *initiator.RefusedError
	err := d.command(initiator.Move{Local: inner})
	if !errors.As(err, &refused) {
		t.Fatalf("moving to the inner address: %v", err)
	}
	d.roams.at = home
	w.run(5*time.Second, nil)
	d.wantConverged("refused")
	for _, m := range []initiator.Move{{}, {Local: netip.MustParseAddr("2001:db8::1")}, {Local: home, Remote: gatewayV6}} {
		var local *initiator.LocalError
		if err := d.command(m); !errors.As(err, &local) {
			t.Errorf("%+v: %v", m, err)
		}
	}
	d.wantConverged("not possible")
	if err := d.command(initiator.Liveness{}); err != nil {
		t.Error(err)
	}
}

// Two hundred worlds with loss, copies and disorder, in which the client moves
// at any time, whatever else is under way: in the end both ends agree, and
// nothing is left over.
func TestRandomRoaming(t *testing.T) {
	for seed := range uint64(200) {
		roam(t, seed)
	}
}

func roam(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	w := newWorld(t, seed, func(c *Config) {
		c.ForceEncapIPv4, c.Timers.DPD = r.IntN(2) == 0, 30*time.Second
		if r.IntN(2) == 0 { // the gateway rekeys, too
			c.Rekey = Rekey{Child: 20 * time.Second, IKE: 45 * time.Second}
		}
		c.Addresses = []netip.Addr{gatewayV4, gatewayV6}
	})
	d := w.newRoamer(nil).mustLogin()
	w.wire.loss, w.wire.duplicate, w.wire.jitter = r.Float64()*0.1, r.Float64()*0.2, time.Duration(r.IntN(300))*time.Millisecond
	w.jobTime = func() (time.Duration, time.Duration) {
		return time.Duration(r.IntN(500)) * time.Millisecond, time.Duration(r.IntN(500)) * time.Millisecond
	}
	for range 12 {
		before := len(d.done)
		wait := time.Duration(r.IntN(5000)) * time.Millisecond
		switch r.IntN(8) {
		case 0:
			d.handle(initiator.RekeyChild{KE: r.IntN(2) == 0})
		case 1:
			d.handle(initiator.RekeyIKE{})
		case 2:
			wait = time.Minute
		case 3: // the NAT gives another port
			for a, m := range d.roams.nats {
				d.roams.nats[a] = netip.AddrPortFrom(m.Addr(), uint16(20000+r.IntN(20000)))
			}
		default:
			to := d.roams.somewhere(r)
			d.move(to)
			if r.IntN(2) == 0 {
				d.leave()
			}
		}
		for end := w.now.Add(wait); w.now.Before(end); w.packets(d) {
			w.run(500*time.Millisecond, nil)
		}
		if r.IntN(3) == 0 {
			w.run(2*time.Minute, func() bool { return len(d.done) > before })
		}
	}
	w.wire = wire{delay: 10 * time.Millisecond}
	d.handle(initiator.Liveness{}) // a request shows a NAT mapping that no packet does while a rekey's answer is lost
	for range 3 * 60 {
		w.packets(d)
		w.run(time.Second, nil)
	}
	d.wantConverged("in the end")
	if w.count(EventDown) != 0 || w.plane.conflict != nil {
		t.Errorf("seed %d: last event %+v, %v", seed, w.lastEvent(), w.plane.conflict)
	}
	if err := d.command(initiator.Delete{}); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	w.run(10*time.Minute, nil)
	w.mustBeEmpty()
}

// somewhere is an address to move to, perhaps behind a NAT.
func (r *roams) somewhere(rand *rand.Rand) netip.Addr {
	n := byte(2 + rand.IntN(200)) // 1 is the gateway
	switch rand.IntN(4) {
	case 0:
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0x77, 15: n})
	case 1:
		a := netip.AddrFrom4([4]byte{192, 168, 9, n})
		r.nats[a] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, n}), uint16(20000+rand.IntN(20000)))
		return a
	case 2:
		return r.homes[rand.IntN(len(r.homes))]
	}
	return netip.AddrFrom4([4]byte{198, 51, 101, n})
}
