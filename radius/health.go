package radius

import "time"

// Health is how a server is watched. Zero values mean 30 s and 3 s.
type Health struct {
	// Interval is the time between two questions whether a dead server lives
	// again, and over TLS between two signs of life (RFC 3539 §3.4.1: Tw).
	Interval time.Duration
	// Probe is how long a Status-Server may stay unanswered.
	Probe time.Duration
}

// revivals is how many answers to Status-Server in a row bring a dead server
// back (RFC 3539 §3.4.1).
const revivals = 3

func (h Health) withDefaults() Health {
	if h.Interval <= 0 {
		h.Interval = 30 * time.Second
	}
	if h.Probe <= 0 {
		h.Probe = 3 * time.Second
	}
	return h
}

// State is what is believed of a server.
type State uint8

// States of a server.
const (
	Unproven State = iota // it has not been heard yet
	Alive
	Suspect // a request stays unanswered, and nothing else is heard
	Dead
)

var stateNames = [...]string{"unproven", "alive", "suspect", "dead"}

// String is the state in one word.
func (s State) String() string { return stateNames[s] }

// watch is what is known of one server. It reads no clock.
type watch struct {
	Health
	status bool // Status-Server is answered
	keep   bool // signs of life are wanted though all is well: over TLS

	state  State
	heard  time.Time // the last authentic answer; zero: none
	since  time.Time // of the state
	next   time.Time // of the next probe, or without Status-Server of the next trial; zero: none
	streak int       // probes answered since the server died
}

func newWatch(now time.Time, h Health, status, keep bool) *watch {
	w := &watch{Health: h.withDefaults(), status: status, keep: keep, since: now}
	if status {
		w.next = now
	}
	return w
}

func (w *watch) become(now time.Time, s State) {
	if w.state != s {
		w.state, w.since = s, now
	}
}

// answered takes an authentic answer to an ordinary request: the server does
// its work.
func (w *watch) answered(now time.Time) {
	w.heard, w.streak = now, 0
	w.become(now, Alive)
	w.next = time.Time{}
	if w.keep && w.status {
		w.next = now.Add(w.Interval)
	}
}

// probed takes the outcome of a Status-Server.
func (w *watch) probed(now time.Time, ok bool) {
	if !ok {
		if !w.heardSince(now.Add(-w.Probe)) {
			w.failed(now)
		}
		return
	}
	if w.streak++; w.state != Dead || w.streak >= revivals {
		w.answered(now)
		return
	}
	w.heard, w.next = now, now.Add(w.Probe)
}

func (w *watch) heardSince(t time.Time) bool { return !w.heard.IsZero() && w.heard.After(t) }

// silent takes that a request that was sent then is still unanswered. A server
// that answers others meanwhile is only slow with this one.
func (w *watch) silent(now, sent time.Time) {
	if !w.status || w.state == Dead || w.state == Suspect || w.heardSince(sent) {
		return
	}
	w.become(now, Suspect)
	w.next = now
}

// gaveUp takes that a request that began then was never answered. Where
// Status-Server can tell, it shall: a server that waits for its user's phone
// is slow, not dead.
func (w *watch) gaveUp(now, began time.Time) {
	if !w.status && !w.heardSince(began) {
		w.failed(now)
	}
}

// failed takes that the server can't be reached.
func (w *watch) failed(now time.Time) {
	w.become(now, Dead)
	w.streak, w.next = 0, now.Add(w.Interval)
}

// usable tells whether the server may be given a login while another one could
// take it. One that is dead and has no Status-Server gets one each interval, to
// find out.
func (w *watch) usable(now time.Time) bool {
	if w.state < Suspect {
		return true
	}
	if w.status || now.Before(w.next) {
		return false
	}
	w.next = now.Add(w.Interval)
	return true
}

// probeAt is when to send a Status-Server; zero: not before something happens.
func (w *watch) probeAt() time.Time {
	if !w.status {
		return time.Time{}
	}
	return w.next
}
