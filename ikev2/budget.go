package ikev2

import "time"

// ration is how much of something others may make us do: so much at once, and
// so much a second from then on.
type ration struct{ burst, perSecond float64 }

var (
	// rationStrangers is of reports about senders that nothing is known of: a
	// flood of them must not fill the log.
	rationStrangers = ration{burst: 50, perSecond: 5}
	// rationSession is of what one client makes us do beyond answering:
	// CREATE_CHILD_SA exchanges, each with a key exchange perhaps and an IKE
	// SA that stays for Timers.Replaced, and lines in the log. Real clients
	// need a few an hour.
	rationSession = ration{burst: 32, perSecond: 1}
)

// budget is what is left of a ration. The zero value is the whole.
type budget struct {
	left float64
	last time.Time
}

// take spends one; false: none is left.
func (b *budget) take(now time.Time, r ration) bool {
	if b.last.IsZero() {
		b.left = r.burst
	} else {
		b.left = min(r.burst, b.left+max(0, now.Sub(b.last).Seconds())*r.perSecond)
	}
	b.last = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}
