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
	numbers time.Time     // when to see whether packet numbers run out
	reading bool          // the data plane is being asked

	rekey    time.Time     // when the gateway rekeys the IKE SA; zero: never
	pause    time.Time     // before that it rekeys nothing
	unsure   bool          // whether the client has the answer that made the latest SA
	failures int           // rekeys that failed one after the other
	used     float64       // of a Child SA's limits, by the last look
	pace     time.Duration // between two looks at that
}

// Packet numbers must not wrap (RFC 4303 §3.3.3). A session whose Child SA has
// fewer than packetsReserve left ends; until then they are looked at before so
// many packets can have gone out at packetsPerSecond, some 40 Gbit/s, which is
// every 17 minutes where little flows.
const (
	packetsReserve   = 1 << 22
	packetsPerSecond = 1 << 22
	freshNumbers     = 1 << 32         // of a new Child SA without extended sequence numbers
	numbersInterval  = 4 * time.Second // the least; 2^20 packets a second then use the reserve
)

// nextNumbers is when to look again at a Child SA with so many packet numbers
// left.
func nextNumbers(now time.Time, remaining uint64) time.Time {
	usable := min(remaining, freshNumbers) - min(remaining, packetsReserve)
	return now.Add(max(numbersInterval, time.Duration(usable/packetsPerSecond)*time.Second))
}

func newWatch(now time.Time, cfg *settings, g *auth.Grant) watch {
	w := watch{heard: now, active: now, idle: shorter(g.IdleTimeout, cfg.Timers.Idle), numbers: nextNumbers(now, freshNumbers)}
	if most := shorter(g.SessionTimeout, cfg.Timers.Session); most > 0 {
		w.end = now.Add(most)
	}
	return w
}

// shorter is the shorter of two limits, of which zero is none.
func shorter(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
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
	earlier(w.numbers)
	if sa.dpd() > 0 && !sa.requests.Outstanding() {
		earlier(w.heard.Add(sa.dpd()))
	}
	return next
}

// due does what the time asks for.
func (sa *SA) due(now time.Time, out *Outbox) {
	sa.observeFragments()
	sa.fragments.Expire(now)
	again, gaveUp := sa.requests.Due(now, sa.schedule(), sa.reg.rand)
	if gaveUp {
		if r := sa.own; r != nil {
			if next := r.rivalIKE(sa); next != nil { // the client goes on there
				sa.handOver(now, next, out)
			}
		}
		sa.release(now, CauseLostCarrier, out)
		sa.die(out)
		return
	}
	sa.sendRequest(again, out)
	switch {
	case !sa.expires.IsZero() && !now.Before(sa.expires):
		sa.expire(now, out)
	case sa.answerIsDue(now):
		sa.letGo(now, out)
	case sa.state == StateEstablished:
		sa.rekeyWhatIsDue(now, out)
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
	var used float64
	remaining := uint64(freshNumbers)
	for _, u := range j.usage {
		packets += u.PacketsIn + u.PacketsOut
		if u.LastIn.After(w.heard) {
			w.heard = u.LastIn
		}
		if i := sa.childByID(u.ID); i >= 0 && sa.children[i].stage == inUse {
			remaining = min(remaining, u.OutboundRemaining)
			used = max(used, sa.cfg.Rekey.used(&u))
			sa.rekeyIfUsedUp(now, &sa.children[i], &u)
		}
	}
	w.numbers = nextNumbers(now, remaining)
	if j.err != nil || packets != w.packets {
		w.packets, w.active = packets, now // what cannot be read may well flow
	}
	w.paceUsage(now, &sa.cfg.Rekey, used)
	switch {
	case remaining < packetsReserve:
		sa.close(now, CausePacketsExhausted, out)
	case w.idle > 0 && !now.Before(w.active.Add(w.idle)):
		sa.close(now, CauseIdleTimeout, out)
	case sa.dpd() > 0 && !now.Before(w.heard.Add(sa.dpd())) && !sa.requests.Outstanding():
		sa.ask(now, informational(), out)
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
	sa.abandonRekey()
	sa.sendDelete(now, out)
}

// disconnect obeys the operator, the gateway's own end, or a newer login of
// the same client, which said that this session is gone: then there is
// nobody to tell (RFC 7296 §2.4). A login that is not up yet is refused for the
// sake of a newer one.
func (sa *SA) disconnect(now time.Time, cause Cause, out *Outbox) {
	switch {
	case sa.state.halfOpen() && (cause == CauseReplaced || cause == CauseSuperseded || cause == CauseGaveWay):
		sa.refuse(now, &PeerFault{Cause: cause}, out)
	case sa.state == StateEstablished && cause != CauseReplaced:
		sa.close(now, cause, out)
	case sa.state == StateClosing:
	default:
		sa.release(now, cause, out)
		sa.die(out)
	}
}
