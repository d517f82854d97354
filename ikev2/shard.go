package ikev2

import (
	"slices"
	"time"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/transport"
)

// shard is the owner of some of the SAs: it finds them, keeps their
// deadlines, and lets new ones in. It has no goroutine of its own; whoever
// calls it does so from one at a time, and empties out.
type shard struct {
	cfg      *settings
	reg      *registrar
	gate     *gate
	halfOpen *halfOpenCount
	timers   deadlines
	clients  map[clientID][]*SA // sessions by client, for INITIAL_CONTACT
	jobs     int                // started and not finished
	closing  bool               // no new logins
	drained  bool               // no more waiting for clients
	out      Outbox
}

func newShard(cfg *settings, index uint8, h *halfOpenCount) *shard {
	reg := newRegistrar(index, cfg.Rand)
	return &shard{cfg: cfg, reg: reg, gate: newGate(cfg, reg, h), halfOpen: h, clients: make(map[clientID][]*SA)}
}

// receive takes a datagram and keeps its Data.
func (s *shard) receive(now time.Time, d transport.Datagram) {
	h, err := message.ParseHeader(d.Data)
	switch {
	case err != nil:
		s.reg.count(DropMalformed)
	case h.MajorVersion() != 2:
		s.gate.refuseVersion(h, d, &s.out)
	case h.ResponderSPI.IsZero() && h.Exchange == message.ExchangeSAInit && !s.closing:
		s.receiveInit(now, d)
	default:
		sa := s.reg.sas[h.ReceiverSPI()]
		if sa == nil {
			// INVALID_IKE_SPI would be allowed (RFC 7296 §1.5), but it is not
			// protected: no client may end its SA over it, and to everybody
			// else it tells which SPIs are in use.
			s.reg.count(DropUnknownSPI)
			return
		}
		s.handle(now, sa, Received{d})
	}
}

// receiveInit takes the first message of a login, or a copy of it.
func (s *shard) receiveInit(now time.Time, d transport.Datagram) {
	before := len(s.out.Jobs)
	s.gate.receiveInit(now, d, &s.out)
	s.jobs += len(s.out.Jobs) - before
	s.settleSuccessors()
}

// finish gives a job back to its SA, or to the one that has replaced it by now.
func (s *shard) finish(now time.Time, j Job) {
	s.jobs--
	sa := j.owner()
	for sa.heir != nil && !sa.awaits(j) {
		sa = sa.heir
	}
	s.handle(now, sa, Finished{j})
}

// due tells the SAs whose deadline has come, each about once: whatever else
// waits for the shard has its turn before the next round.
func (s *shard) due(now time.Time) {
	for range len(s.timers) {
		next := s.timers.next()
		if next.IsZero() || now.Before(next) {
			return
		}
		s.handle(now, s.timers[0].sa, TimerDue{})
	}
}

// deadline is when due has something to do; zero if never.
func (s *shard) deadline() time.Time { return s.timers.next() }

// disconnect ends the SAs that fit and tells how many sessions these were.
func (s *shard) disconnect(now time.Time, cause Cause, fits func(*SA) bool) int {
	var picked []*SA
	n := 0
	for _, sa := range s.reg.sas {
		if (sa.state.halfOpen() || sa.state == StateEstablished) && fits(sa) {
			picked = append(picked, sa)
			if sa.former == nil { // else the session is still that one's
				n++
			}
		}
	}
	for _, sa := range picked {
		s.handle(now, sa, Disconnect{cause})
	}
	return n
}

// supersede ends former sessions of a client, and takes the jobs that free what
// they held out of the Outbox for the caller to run.
func (s *shard) supersede(now time.Time, by superseding) []Job {
	var jobs []Job
	for _, sa := range slices.Clone(s.clients[by.client]) {
		if !slices.Contains(by.former, sa.session.id) {
			continue
		}
		before := len(s.out.Jobs)
		s.handle(now, sa, Disconnect{by.cause})
		jobs = append(jobs, s.out.Jobs[before:]...)
		s.out.Jobs = s.out.Jobs[:before]
	}
	return jobs
}

// sessions describes the sessions that are up.
func (s *shard) sessions() []SessionInfo { return s.find(func(*SA) bool { return true }) }

// idle tells whether nothing is left that a graceful end waits for.
func (s *shard) idle() bool {
	if s.jobs > 0 || s.drained {
		return s.jobs == 0
	}
	for _, sa := range s.reg.sas {
		if sa.state == StateEstablished || sa.state == StateClosing {
			return false
		}
	}
	return true
}

// handle gives an event to an SA and settles what changed.
func (s *shard) handle(now time.Time, sa *SA, ev Event) {
	before := len(s.out.Jobs)
	sa.Handle(now, ev, &s.out)
	s.jobs += len(s.out.Jobs) - before
	s.settle(sa)
	s.settleSuccessors()
	if last := sa.last(); last != sa {
		s.settle(last) // what a client says to the SA it replaced may be about it
	}
}

// settleSuccessors takes in the SAs that came to be.
func (s *shard) settleSuccessors() {
	for _, sa := range s.out.Successors {
		s.reg.sas[sa.ownSPI()] = sa
		s.settle(sa)
	}
	clear(s.out.Successors)
	s.out.Successors = s.out.Successors[:0]
}

// settle brings the shard's own notes about an SA up to date.
func (s *shard) settle(sa *SA) {
	s.timers.set(sa, sa.Deadline())
	s.settleEntry(sa)
	if sa.state == StateDead && s.reg.sas[sa.ownSPI()] == sa {
		delete(s.reg.sas, sa.ownSPI())
	}
	s.index(sa)
}

// settleEntry ends what a login is known by: its request once that is not half
// open, and its count once it is established or nothing is left of it.
func (s *shard) settleEntry(sa *SA) {
	e := sa.entry
	if e == nil || sa.state.halfOpen() {
		return
	}
	if e.key != (initKey{}) {
		s.gate.forget(sa)
		e.key = initKey{}
	}
	if sa.state == StateEstablished || sa.state == StateDead {
		s.halfOpen.leave(e.counted)
		sa.entry = nil
	}
}

// index keeps the sessions findable by client, from the claim of their lease on.
func (s *shard) index(sa *SA) {
	known := sa.session.claimed && (sa.state == StateAwaitProof || sa.state == StateEstablished)
	switch none := (clientID{}); {
	case known && sa.indexed == none:
		sa.indexed = sa.session.clientID()
		s.clients[sa.indexed] = append(s.clients[sa.indexed], sa)
	case !known && sa.indexed != none:
		rest := slices.DeleteFunc(s.clients[sa.indexed], func(o *SA) bool { return o == sa })
		s.clients[sa.indexed] = rest
		if len(rest) == 0 {
			delete(s.clients, sa.indexed)
		}
		sa.indexed = none
	}
}
