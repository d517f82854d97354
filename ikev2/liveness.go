package ikev2

import (
	"time"

	"bridgehead/auth"
)

// watch is what an established SA keeps an eye on.
type watch struct {
	heard   time.Time     // the last authentic message or packet of the client known of
	end     time.Time     // of the session by the user's limit; zero: none
	idle    time.Duration // how long no traffic may flow; zero: any time
	active  time.Time     // when traffic was last known to flow
	packets uint64        // all that flowed by then
	reading bool          // the data plane is being asked
}

// packetsReserve is how many packet numbers must be left in a Child SA; one
// with fewer ends before they wrap (RFC 4303 §3.3.3).
const packetsReserve = 1 << 20

func newWatch(now time.Time, cfg *settings, g *auth.Grant) watch {
	w := watch{heard: now, active: now, idle: g.IdleTimeout}
	if g.SessionTimeout > 0 {
		w.end = now.Add(g.SessionTimeout)
	}
	return w
}

// watchDeadline is when there is something to look after; zero if never.
func (sa *SA) watchDeadline() time.Time {
	if sa.state != StateEstablished || !sa.expires.IsZero() {
		return time.Time{}
	}
	w := &sa.watch
	next := w.end
	earlier := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	if w.reading {
		return next
	}
	if w.idle > 0 {
		earlier(w.active.Add(w.idle))
	}
	if sa.cfg.Timers.DPD > 0 && !sa.requests.Outstanding() {
		earlier(w.heard.Add(sa.cfg.Timers.DPD))
	}
	return next
}

// due does what the time asks for.
func (sa *SA) due(now time.Time, out *Outbox) {
	sa.observeFragments()
	sa.fragments.Expire(now)
	again, gaveUp := sa.requests.Due(now, sa.cfg.Timers.Retransmit, sa.reg.rand)
	if gaveUp {
		sa.release(now, CauseLostCarrier, out)
		sa.die(out)
		return
	}
	send(again, sa.path, out)
	switch {
	case !sa.expires.IsZero() && !now.Before(sa.expires):
		sa.expire(now, out)
	case sa.state == StateEstablished:
		sa.lookAfter(now, out)
	}
}

// expire ends a state whose time is over.
func (sa *SA) expire(now time.Time, out *Outbox) {
	switch {
	case sa.state.halfOpen():
		sa.fallSilent(now, out)
	case sa.state == StateEstablished: // left without a Child SA
		sa.expires = time.Time{}
		sa.close(now, CauseNoChildAsked, out)
	default:
		sa.die(out)
	}
}

// lookAfter ends a session whose time is over and asks the data plane for
// signs of life before it bothers the client.
func (sa *SA) lookAfter(now time.Time, out *Outbox) {
	w := &sa.watch
	if !w.end.IsZero() && !now.Before(w.end) {
		sa.close(now, CauseSessionTimeout, out)
		return
	}
	if next := sa.watchDeadline(); !next.IsZero() && !now.Before(next) {
		w.reading = true
		out.Jobs = append(out.Jobs, &readUsage{job: job{sa}, ids: sa.childIDs()})
	}
}

// usageRead looks at what flowed: traffic counts as a sign of life.
func (sa *SA) usageRead(now time.Time, j *readUsage, out *Outbox) {
	w := &sa.watch
	w.reading = false
	if sa.state != StateEstablished {
		return
	}
	sa.noteFailed(out, "reading the traffic counters failed", j.err)
	var packets uint64
	for _, u := range j.usage {
		packets += u.PacketsIn + u.PacketsOut
		if u.LastIn.After(w.heard) {
			w.heard = u.LastIn
		}
		if u.OutboundRemaining < packetsReserve {
			sa.close(now, CausePacketsExhausted, out)
			return
		}
	}
	if packets != w.packets {
		w.packets, w.active = packets, now
	}
	switch {
	case w.idle > 0 && !now.Before(w.active.Add(w.idle)):
		sa.close(now, CauseIdleTimeout, out)
	case sa.cfg.Timers.DPD > 0 && !now.Before(w.heard.Add(sa.cfg.Timers.DPD)) && !sa.requests.Outstanding():
		sa.request(now, nil, out)
	}
}

// close ends an established SA: its traffic stops now, the client is told
// once it has answered what was asked before.
func (sa *SA) close(now time.Time, cause Cause, out *Outbox) {
	if err := sa.move(StateClosing); err != nil {
		sa.fail(now, err, out)
		return
	}
	sa.release(now, cause, out)
	sa.work = work{}
	sa.deleting = true
	if !sa.requests.Outstanding() {
		sa.sendDelete(now, out)
	}
}

// disconnect obeys the operator, the gateway's own end, or a newer login of
// the same client, which said that this session is gone: then there is
// nobody to tell (RFC 7296 §2.4).
func (sa *SA) disconnect(now time.Time, cause Cause, out *Outbox) {
	switch {
	case sa.state == StateEstablished && cause != CauseReplaced:
		sa.close(now, cause, out)
	case sa.state == StateClosing:
	default:
		sa.release(now, cause, out)
		sa.die(out)
	}
}
