package ikev2

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"bridgehead/ikev2/esp"
)

// Rekey says when the gateway itself replaces keys, not waiting for the client
// to do it. The zero value never does: a Child SA that runs out of packet
// numbers then ends its session. What is known to break a client is left out
// (quirks W1 and A3).
type Rekey struct {
	Child        time.Duration // of a Child SA's age; zero: never by time
	ChildBytes   uint64        // of inner octets in one direction; zero: never by octets
	ChildPackets uint64        // of packets in one direction; zero: never by packets
	IKE          time.Duration // of an IKE SA's age; zero: never
	// Jitter is the fraction of a lifetime by which each one is made shorter
	// at random, at most, so that sessions that began together do not all rekey
	// together. Zero: 0.1; negative: none.
	Jitter float64
}

// minRekey is the least lifetime by time: shorter ones rekey without end.
const minRekey = time.Second

func (r Rekey) withDefaults() Rekey {
	r.Jitter = max(0, cmp.Or(r.Jitter, 0.1))
	return r
}

func (r Rekey) validate() error {
	var errs []error
	for _, l := range []struct {
		name string
		d    time.Duration
	}{{"Child SA", r.Child}, {"IKE SA", r.IKE}} {
		if l.d < 0 || l.d > 0 && l.d < minRekey {
			errs = append(errs, fmt.Errorf("ikev2: configuration: rekeying a %s after %v; take at least %v, or 0 for never", l.name, l.d, minRekey))
		}
	}
	if r.Jitter > 0.5 {
		errs = append(errs, fmt.Errorf("ikev2: configuration: lifetimes shortened by up to %v of them; take at most 0.5", r.Jitter))
	}
	return errors.Join(errs...)
}

// on tells whether the gateway starts any rekeys.
func (r Rekey) on() bool { return r.Child > 0 || r.ChildBytes > 0 || r.ChildPackets > 0 || r.IKE > 0 }

// used is how much of its limits a Child SA has used up: 1 is all.
func (r Rekey) used(u *esp.Usage) float64 {
	var share float64
	if r.ChildBytes > 0 {
		share = float64(max(u.BytesIn, u.BytesOut)) / float64(r.ChildBytes)
	}
	if r.ChildPackets > 0 {
		share = max(share, float64(max(u.PacketsIn, u.PacketsOut))/float64(r.ChildPackets))
	}
	return share
}

// Between two looks at what a Child SA has carried lies at most usagePace, and
// at the rate seen last half the time that its limits leave.
const (
	leastPace = time.Second
	usagePace = time.Minute
)

// paceUsage plans the next look at what flowed, where that may call for a rekey.
func (w *watch) paceUsage(now time.Time, r *Rekey, used float64) {
	if r.ChildBytes == 0 && r.ChildPackets == 0 {
		return
	}
	pace := 2 * max(w.pace, leastPace)
	if more := used - w.used; more > 0 {
		pace = time.Duration(float64(max(w.pace, leastPace)) * max(0, 1-used) / (2 * more))
	}
	w.used, w.pace = used, min(max(pace, leastPace), usagePace)
	if next := now.Add(w.pace); next.Before(w.numbers) {
		w.numbers = next
	}
}

// numbersLow is how many packet numbers an outbound SA has left when it is
// rekeyed, well before packetsReserve ends its session.
const numbersLow = 1 << 28

// rekeyIfUsedUp makes the rekey of a Child SA due that has carried what it may.
func (sa *SA) rekeyIfUsedUp(now time.Time, c *child, u *esp.Usage) {
	r := &sa.cfg.Rekey
	if r.on() && sa.startsChildRekey() && (r.used(u) >= 1 || u.OutboundRemaining < numbersLow) {
		c.due = now
	}
}

// childDue is when a Child SA made now is to be rekeyed; zero: not by time.
func (sa *SA) childDue(now time.Time) time.Time { return sa.lifetime(now, sa.cfg.Rekey.Child) }

// lifetime is the end of one that begins now, shortened at random; zero for no
// lifetime, and for a client whose own clock is to decide.
func (sa *SA) lifetime(now time.Time, d time.Duration) time.Time {
	if d == 0 || !sa.rekeysByTime() {
		return time.Time{}
	}
	return now.Add(d - time.Duration(sa.chance()*sa.cfg.Rekey.Jitter*float64(d)))
}

// chance is a random number from 0 up to 1.
func (sa *SA) chance() float64 {
	b, err := sa.reg.octets(4)
	if err != nil { // what needs randomness in earnest will fail by itself
		return 0
	}
	return float64(binary.BigEndian.Uint32(b)) / (1 << 32)
}

// Pauses between a rekey of ours that failed and the next try.
const (
	firstPause   = 5 * time.Second
	longestPause = 10 * time.Minute
)

// rekeyDeadline is when the gateway rekeys something; zero if never. One rekey
// is under way at a time.
func (sa *SA) rekeyDeadline() time.Time {
	if sa.own != nil || sa.state != StateEstablished || !sa.session.isUp || !sa.cfg.Rekey.on() {
		return time.Time{}
	}
	next := sa.watch.rekey
	for i := range sa.children {
		c := &sa.children[i]
		if c.stage == inUse && !c.due.IsZero() && (next.IsZero() || c.due.Before(next)) {
			next = c.due
		}
	}
	if !next.IsZero() && next.Before(sa.watch.pause) {
		return sa.watch.pause
	}
	return next
}

// rekeyWhatIsDue begins the rekey that has been due longest, if it is time.
func (sa *SA) rekeyWhatIsDue(now time.Time, out *Outbox) {
	if next := sa.rekeyDeadline(); next.IsZero() || now.Before(next) {
		return
	}
	var oldest *child
	for i := range sa.children {
		c := &sa.children[i]
		switch {
		case c.stage != inUse || c.due.IsZero():
		case !sa.startsChildRekey():
			c.due = time.Time{}
		case oldest == nil || c.due.Before(oldest.due):
			oldest = c
		}
	}
	w := &sa.watch
	switch {
	case oldest != nil && !now.Before(oldest.due) && (w.rekey.IsZero() || !w.rekey.Before(oldest.due)):
		oldest.due = time.Time{}
		sa.beginChildRekey(now, oldest, out)
	case !w.rekey.IsZero() && !now.Before(w.rekey):
		if w.rekey = (time.Time{}); sa.startsIKERekey() {
			sa.beginIKERekey(now, out)
		}
	}
}

// awaitProof puts rekeys of ours off, for a while, until the client shows by
// its next request that it has the SA that our answer made: what it does not
// know yet it could not rekey.
func (sa *SA) awaitProof(now time.Time) {
	w := &sa.watch
	w.unsure = true
	if until := now.Add(sa.cfg.Timers.Replaced); w.pause.Before(until) {
		w.pause = until
	}
}

// proven takes note of the client's next request.
func (w *watch) proven() {
	if w.unsure {
		w.unsure, w.pause = false, time.Time{}
	}
}

// pauseRekeys puts the next rekey of ours off, the longer the more of them
// have failed.
func (sa *SA) pauseRekeys(now time.Time) {
	w := &sa.watch
	pause := min(firstPause<<min(w.failures, 7), longestPause)
	w.failures = min(w.failures+1, 7)
	w.pause = now.Add(pause - time.Duration(sa.chance()*float64(pause)/4))
}
