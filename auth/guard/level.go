package guard

import "time"

// rate is how much a level may hold, and the time in which all of it drains.
type rate struct {
	limit  float64
	window time.Duration
}

// level is how full something is. It drains with time; the zero value is
// empty.
type level struct {
	full float64
	at   time.Time
}

// drain lets run off what the time since the last call takes. A clock that
// was set back takes nothing, and time goes on from there.
func (l *level) drain(now time.Time, r rate) {
	if passed := now.Sub(l.at); passed > 0 {
		l.full = max(0, l.full-r.limit*passed.Seconds()/r.window.Seconds())
	}
	l.at = now
}

// take adds n where that stays within the limit, and tells whether it did. No
// limit takes everything.
func (l *level) take(now time.Time, n float64, r rate) bool {
	l.drain(now, r)
	if r.limit > 0 && l.full+n > r.limit {
		return false
	}
	l.full += n
	return true
}

// lower takes n off, as far as there is so much.
func (l *level) lower(now time.Time, n float64, r rate) {
	l.drain(now, r)
	l.full = max(0, l.full-n)
}
