package ikev2

import (
	"crypto/hmac"
	"net/netip"
	"slices"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
)

// The client says, or its packets show, that it is elsewhere. IKE messages go
// there at once and ESP packets are taken from there, whatever their outer
// addresses are. The Child SAs go on sending to where the client was until it
// has shown that it receives what is sent to the new address: anybody who can
// log in could turn a stream of packets on a victim otherwise. That is a round
// trip, by an INFORMATIONAL request whose cookie the client cannot guess (RFC
// 4555 §3.7). A client without MOBIKE is asked for life there, which stops who
// relays its packets; one that forges its own source address knows the answer
// before it is asked, and by RFC 7296 §2.23 would not even be asked. Addresses
// proved a short while ago need no other proof.
//
// Should the answer not come, the request goes to both places. What is
// answered from the old one alone after some tries was no move.

const (
	// mostUnproven is how many requests go to an address that is not proven,
	// sent ever more rarely, unless something more comes from there.
	mostUnproven = 8
	// enoughTries is how many of them must be lost before an answer from where
	// the client was counts for its being there.
	enoughTries = 4
	// provenFor is how long an address that the client has left stays proven,
	// and mostProven how many of them.
	provenFor  = 10 * time.Minute
	mostProven = 4
	// patience is how long a client with MOBIKE gets to answer: it is for it to
	// find out that a path is broken and to find another, which takes its time
	// (RFC 4555 §3.11).
	patience = 5 * time.Minute
	// triesAlone is how often a request is sent before it goes to the client's
	// additional addresses too.
	triesAlone = 3
)

// location is a path with the NATs on it.
type location struct {
	path
	nat natSituation
}

func (l location) esp() esp.Path {
	return esp.Path{Local: l.local, Remote: l.remote, Encap: l.nat.encap()}
}

func (l location) String() string {
	if l.nat.encap() {
		return l.remote.String() + " in UDP"
	}
	return l.remote.String()
}

// mobility is what an SA knows of its client's ways. Most have none: it comes
// to be when it is needed.
type mobility struct {
	settled    *location    // where the Child SAs send while the SA's path is being checked; nil: to that
	check      *pathCheck   // waits for its turn or its answer; nil: none
	unproven   int          // requests sent to the path being checked
	answered   path         // where the last answer came from
	moved      time.Time    // when the Child SAs last moved
	rebound    time.Time    // when ESP packets last had the SA move
	proven     []provenPath // the latest last
	additional []netip.Addr // where else the client may be (RFC 4555 §3.6)
}

type provenPath struct {
	path
	at time.Time
}

// roaming is the SA's mobility, made if there is none.
func (sa *SA) roaming() *mobility {
	if sa.mobility == nil {
		sa.mobility = new(mobility)
	}
	return sa.mobility
}

func (m *mobility) prove(now time.Time, p path) {
	m.proven = slices.DeleteFunc(m.proven, func(o provenPath) bool { return o.path == p })
	if len(m.proven) == mostProven {
		m.proven = slices.Delete(m.proven, 0, 1)
	}
	m.proven = append(m.proven, provenPath{p, now})
}

func (m *mobility) knows(now time.Time, p path) bool {
	return slices.ContainsFunc(m.proven, func(o provenPath) bool { return o.path == p && now.Before(o.at.Add(provenFor)) })
}

// espPath is the path of the Child SAs.
func (sa *SA) espPath() esp.Path {
	if m := sa.mobility; m != nil && m.settled != nil {
		return m.settled.esp()
	}
	return location{sa.path, sa.nat}.esp()
}

// relocate has IKE messages go to where the client is now, and has the Child
// SAs follow as soon as that is proven.
func (sa *SA) relocate(now time.Time, to location, out *Outbox) {
	m := sa.roaming()
	if m.settled == nil {
		m.settled = &location{sa.path, sa.nat}
	}
	if sa.path != to.path {
		m.unproven = 0
	}
	sa.path, sa.nat = to.path, to.nat
	sa.watch.heard = now
	if to.path == m.settled.path || m.knows(now, to.path) {
		sa.settle(now, out)
		sa.askAgain(now, out)
		return
	}
	sa.askAgain(now, out)
	if m.check == nil {
		sa.checkPath(now, out)
	}
}

// expected answers the announcement of a move once the Child SAs receive what
// the client may send as soon as it has the answer, at another address of the
// gateway.
func (sa *SA) expected(now time.Time, to *location, reply func(time.Time, *Outbox), out *Outbox) {
	ids := sa.childIDs()
	if to == nil || len(ids) == 0 || to.local.Addr() == sa.espPath().Local.Addr() {
		reply(now, out)
		return
	}
	await(sa, out, &expectChildren{job: job{sa}, ids: ids, path: to.esp()}, func(sa *SA, now time.Time, j *expectChildren, out *Outbox) {
		sa.noteFailed(out, "receiving where a client moves to failed", j.err) // its packets are lost until it has moved
		reply(now, out)
	})
}

// askAgain sends what is outstanding to where the client is now, with all the
// time for its answer.
func (sa *SA) askAgain(now time.Time, out *Outbox) {
	if sa.requests.Outstanding() {
		sa.sendRequest(sa.requests.Again(now, sa.schedule(), sa.reg.rand), out)
	}
}

// heardThere takes note of a request from where the client is now. Should the
// check of that have been given up, it begins anew.
func (sa *SA) heardThere(now time.Time, out *Outbox) {
	if m := sa.mobility; m != nil && m.settled != nil && m.unproven >= mostUnproven {
		m.unproven = 0
		sa.askAgain(now, out)
	}
}

// settle has the Child SAs follow the client.
func (sa *SA) settle(now time.Time, out *Outbox) {
	m := sa.mobility
	from, to := *m.settled, location{sa.path, sa.nat}
	m.settled = nil
	m.prove(now, from.path)
	m.prove(now, to.path)
	if from.esp() == to.esp() {
		return
	}
	m.moved = now
	sa.moveChildren(out)
	sa.publishMove(now, from, to, out)
}

// goBack takes the move back: the client answers where it was, not where it
// seemed to be.
func (sa *SA) goBack(out *Outbox) {
	m := sa.mobility
	tried := location{sa.path, sa.nat}
	sa.path, sa.nat, m.settled = m.settled.path, m.settled.nat, nil
	sa.notePathLost(out, tried)
}

// resumeCheck checks the path anew after an IKE SA rekey, which forgets the
// old SA's requests.
func (sa *SA) resumeCheck(now time.Time, out *Outbox) {
	if m := sa.mobility; m != nil {
		if m.check = nil; m.settled != nil {
			sa.checkPath(now, out)
		}
	}
}

// pathCheck is a return routability check (RFC 4555 §3.7).
type pathCheck struct {
	cookie  []byte // nil if the client knows none
	to      path   // where it was sent first
	strayed bool   // it was sent elsewhere too: its answer tells not which way it took
}

// checkPath asks for a check of the path, wherever that leads when its turn
// has come.
func (sa *SA) checkPath(now time.Time, out *Outbox) {
	c := new(pathCheck)
	sa.mobility.check = c
	sa.ask(now, ownRequest{exchange: message.ExchangeInformational, build: c.build, answered: c.answered}, out)
}

// cookieLen is the length of our cookies.
const cookieLen = 24

func (c *pathCheck) build(sa *SA, now time.Time) ([]message.Payload, bool) {
	m := sa.mobility
	if m.settled == nil { // the client is back where it was
		m.check = nil
		return nil, false
	}
	c.to, c.strayed = sa.path, false
	if !sa.mobike {
		return nil, true
	}
	var err error
	if c.cookie, err = sa.reg.octets(cookieLen); err != nil {
		m.check = nil
		return nil, false
	}
	return []message.Payload{status(message.Cookie2, c.cookie)}, true
}

func (c *pathCheck) answered(sa *SA, now time.Time, answer []message.Payload, out *Outbox) {
	m := sa.mobility
	m.check = nil
	if sa.state != StateEstablished {
		return
	}
	if c.cookie != nil {
		if n := message.FindNotify(answer, message.Cookie2); n == nil || !hmac.Equal(n.Data, c.cookie) {
			sa.close(now, CauseReturnRoutability, out)
			return
		}
	}
	switch {
	case m.settled == nil: // it has gone back meanwhile
	case c.to == sa.path && !c.strayed:
		sa.settle(now, out)
	case m.answered == sa.path: // it is there, as an answer that came no other way will show
		m.unproven = 0
		sa.checkPath(now, out)
	case m.unproven < enoughTries:
		sa.checkPath(now, out)
	default:
		sa.goBack(out)
	}
}

// sendRequest sends a request of ours to where the client is. While that is
// not proven few go there, and repetitions also to where the client was. One
// that has fallen silent may be found elsewhere, and then decides itself where
// to go (RFC 4555 §3.5).
func (sa *SA) sendRequest(datagrams [][]byte, out *Outbox) {
	m := sa.mobility
	switch {
	case len(datagrams) == 0:
	case m == nil || m.settled == nil:
		sa.sendBy(datagrams, sa.path, out)
		if n := sa.requests.Sent() - triesAlone; n > 0 {
			sa.sendElsewhere(datagrams, n, out)
		}
	default:
		if m.unproven < mostUnproven {
			m.unproven++
			sa.sendBy(datagrams, sa.path, out)
			if sa.requests.Sent() == 1 {
				return
			}
		}
		sa.sendBy(datagrams, m.settled.path, out)
	}
}

// sendBy sends a request by one path, which may be another than that of a
// check under way.
func (sa *SA) sendBy(datagrams [][]byte, p path, out *Outbox) {
	if m := sa.mobility; m != nil && m.check != nil && m.check.to != p {
		m.check.strayed = true // if it waits for its turn yet, that will begin anew
	}
	send(datagrams, p, out)
}

// sendElsewhere sends to one of the places where a silent client may be, to each
// in its turn: where its last request came from, which its NAT may have given
// it without its knowing, and its additional addresses. Our own address is
// known for one family.
func (sa *SA) sendElsewhere(datagrams [][]byte, turn int, out *Outbox) {
	var usable []path
	if sa.asker != sa.path && sa.acceptable(location{sa.asker, sa.nat}) {
		usable = append(usable, sa.asker)
	}
	if m := sa.mobility; m != nil {
		for _, a := range m.additional {
			if a.Is4() == sa.path.local.Addr().Is4() && a != sa.path.remote.Addr() {
				usable = append(usable, path{sa.path.local, netip.AddrPortFrom(a, sa.path.remote.Port())})
			}
		}
	}
	if len(usable) > 0 {
		sa.sendBy(datagrams, usable[turn%len(usable)], out)
	}
}

// schedule is by which our requests are sent again: where the client may move
// it has patience.
func (sa *SA) schedule() exchange.Retransmit {
	if sa.mobike && sa.state == StateEstablished {
		return sa.cfg.patient
	}
	return sa.cfg.Timers.Retransmit
}

// patientSchedule is t with as many tries more as the patience takes.
func patientSchedule(t exchange.Retransmit) exchange.Retransmit {
	for t.Budget() < patience && t.Tries < maxTries {
		t.Tries++
	}
	return t
}

const maxTries = 100
