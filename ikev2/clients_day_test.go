package ikev2

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// everyClient is what a gateway takes that serves all emulated clients.
func everyClient(t *testing.T) func(*Config) {
	return func(c *Config) {
		var err error
		c.IKE, err = suite.ParseProposals(message.ProtocolIKE, "aes256-aes128-sha256-sha384-sha1-x25519-ecp256-modp2048-modp1024")
		if err != nil {
			t.Fatal(err)
		}
		c.ESP, err = suite.ParseProposals(message.ProtocolESP, "aes256gcm16-aes128gcm16-ecp256-x25519, aes256gcm16-aes128gcm16, aes256-sha256-modp2048, aes256-sha256-sha1")
		if err != nil {
			t.Fatal(err)
		}
		c.Limits.HalfOpenPerAddress = 100
	}
}

// TestADayOfEachClient leaves each emulated client alone for a day, over a
// wire that loses one packet in fifty. It carries traffic now and then; what
// it does besides is habit. It keeps its session and its addresses, rekeys as
// often as its habits say, and leaves nothing behind.
func TestADayOfEachClient(t *testing.T) {
	for i, p := range initiator.Profiles()[1:] {
		t.Run(p.Name, func(t *testing.T) {
			w := newWorld(t, uint64(i)+1, everyClient(t))
			w.wire.loss = 0.02
			d := w.newDevice(func(c *initiator.Config) {
				c.Profile, c.User, c.Password = p, "alice", auth.Secret("wonderland")
			})
			d.mustLogin()
			before, begun := w.plane.only(t).Remote, w.now
			busy := d.traffic()
			for !d.closed && w.now.Sub(begun) < 24*time.Hour {
				busy(100 << 20)
				w.run(time.Hour, func() bool { return d.closed })
			}
			if d.closed {
				t.Fatalf("the session ended after %s: %v; gateway: %s", w.now.Sub(begun), d.err, describeRefusals(w.refusals()))
			}
			t.Logf("rekeys in a day: %d of the Child SA, %d of the IKE SA", d.rekeyed(initiator.StepRekeyChild), d.rekeyed(initiator.StepRekeyIKE))
			checkRekeys(t, "IKE SA", d.rekeyed(initiator.StepRekeyIKE), 24*time.Hour, p.Habits.RekeyIKE, p.Habits.Jitter)
			if p.Habits.RekeyChildOctets > 0 {
				// 24 times 100 MiB, and a rekey at each 200.
				if got := d.rekeyed(initiator.StepRekeyChild); got != 12 {
					t.Errorf("%d rekeys of the Child SA in 2,400 MiB, want 12", got)
				}
			} else {
				checkRekeys(t, "Child SA", d.rekeyed(initiator.StepRekeyChild), 24*time.Hour, p.Habits.RekeyChild, p.Habits.Jitter)
			}
			sameChild(t, w, d)
			if after := w.plane.only(t).Remote; !slices.Equal(before, after) {
				t.Errorf("the client's selectors were %v and are %v", before, after)
			}
			if err := d.command(initiator.Delete{}); err != nil {
				t.Errorf("logout: %v", err)
			}
			w.run(time.Minute, nil)
			w.mustBeEmpty()
		})
	}
}

// TestADayOfRekeysByTheGateway leaves each emulated client alone for a day with
// a gateway that rekeys Child SAs every hour and IKE SAs every four, beside
// what the client does by habit. No session is lost, and what is known to break
// a client is not begun: a Child SA rekey towards Windows behind a NAT, an IKE
// SA rekey towards it with another group than modp2048, any rekey by time
// towards Apple.
func TestADayOfRekeysByTheGateway(t *testing.T) {
	for i, p := range initiator.Profiles() {
		for _, behind := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s behind a NAT %v", p.Name, behind), func(t *testing.T) {
				w := newWorld(t, uint64(i)+1, func(c *Config) {
					everyClient(t)(c)
					c.Rekey, c.ForceEncapIPv4 = Rekey{Child: time.Hour, IKE: 4 * time.Hour}, false
				})
				w.wire.loss = 0.02
				d := w.newDevice(func(c *initiator.Config) {
					c.Profile, c.User, c.Password, c.ForceEncap = p, "alice", auth.Secret("wonderland"), behind
				})
				d.mustLogin()
				if sa := w.onlySession(); sa.nat.client != (behind || sa.quirk(QuirkS2)) {
					t.Fatalf("the gateway sees a NAT: %v", sa.nat.client)
				}
				busy := d.traffic()
				for begun := w.now; !d.closed && w.now.Sub(begun) < 24*time.Hour; {
					busy(10 << 20)
					w.run(time.Hour, func() bool { return d.closed })
				}
				if d.closed || w.count(EventUp) != 1 || w.count(EventDown) != 0 {
					t.Fatalf("the session ended: %v; gateway: %s, last event %+v", d.err, describeRefusals(w.refusals()), w.lastEvent())
				}
				ofIKE, ofChild := w.begunHere()
				sa := w.onlySession()
				windows, apple := sa.quirk(QuirkW1), sa.quirk(QuirkA3)
				check := func(what string, begun int, may bool, habit, ours time.Duration) {
					t.Helper()
					// A client that rekeys more often by itself leaves nothing to do.
					if begun > 0 && !may || begun == 0 && may && (habit == 0 || habit > 2*ours) {
						t.Errorf("%d rekeys of the %s were begun", begun, what)
					}
				}
				check("IKE SA", ofIKE, !apple && (!windows || sa.suite.Group == suite.MODP2048), p.Habits.RekeyIKE, 4*time.Hour)
				check("Child SA", ofChild, !apple && !(windows && behind), p.Habits.RekeyChild, time.Hour)
				t.Logf("begun by the gateway: %d of the IKE SA, %d of the Child SA; by the client: %d, %d",
					ofIKE, ofChild, d.rekeyed(initiator.StepRekeyIKE), d.rekeyed(initiator.StepRekeyChild))
				sameChild(t, w, d)
				if err := d.command(initiator.Delete{}); err != nil {
					t.Errorf("logout: %v", err)
				}
				w.run(time.Minute, nil)
				w.mustBeEmpty()
			})
		}
	}
}

// begunHere counts the rekeys that the gateway began.
func (w *world) begunHere() (ofIKE, ofChild int) {
	for _, ev := range w.events {
		switch {
		case ev.Kind != EventRekeyed || !strings.HasSuffix(ev.Detail, begunHere):
		case strings.HasPrefix(ev.Detail, "IKE SA"):
			ofIKE++
		default:
			ofChild++
		}
	}
	return ofIKE, ofChild
}

// traffic tells the client of octets that its Child SA carries, whichever that
// is at the time.
func (c *device) traffic() (busy func(octets uint64)) {
	var id esp.ChildID
	var sum uint64
	return func(octets uint64) {
		if child, _ := c.sa.Child(); child.ID != id {
			id, sum = child.ID, 0
		}
		sum += octets
		c.handle(initiator.Traffic{Child: id, Octets: sum, Heard: c.w.now})
	}
}

// rekeyed counts the client's own rekeys.
func (c *device) rekeyed(what initiator.Step) (n int) {
	for _, r := range c.rekeys {
		if r.Step == what && !r.ByPeer {
			n++
		}
	}
	return n
}

// checkRekeys compares a number of rekeys with a habit. Each takes its time
// from the end of the one before, which lost packets delay by a minute at
// most.
func checkRekeys(t *testing.T, what string, got int, day, every time.Duration, jitter float64) {
	t.Helper()
	if every == 0 {
		if got != 0 {
			t.Errorf("%d rekeys of the %s, want none", got, what)
		}
		return
	}
	least := int(day / (every + time.Minute))
	most := int(float64(day) / (float64(every) * (1 - jitter)))
	if got < least || got > most {
		t.Errorf("%d rekeys of the %s, want %d to %d", got, what, least, most)
	}
}
