package initiator

import (
	"errors"
	"fmt"
	"time"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
)

// receive takes one datagram. What is not authentic or out of place is
// dropped and remembered, in case nothing better comes.
func (sa *SA) receive(now time.Time, data []byte, out *Outbox) error {
	m, err := message.Parse(data)
	if err != nil {
		sa.dropped = err
		return nil
	}
	if sa.state == stateInit {
		return sa.receiveInit(now, m, data, out)
	}
	g := sa.generationOf(m.Header)
	if g == nil {
		sa.dropped = fmt.Errorf("ikev2: %s message for SPIs %s/%s, which are not ours", m.Header.Exchange, m.Header.InitiatorSPI, m.Header.ResponderSPI)
		return nil
	}
	first, plaintext, err := g.protection.Open(m, data)
	if err != nil {
		sa.dropped = err
		return nil
	}
	sa.diary.heard, g.heard = now, true
	if f := exchange.FragmentOf(m); f != nil {
		joiner := &g.inRequests
		if m.Header.IsResponse() {
			joiner = &g.inResponses
		}
		first, plaintext, err = joiner.Add(now, m.Header.MessageID, f, plaintext)
		if err != nil || plaintext == nil {
			sa.dropped = err
			return nil
		}
	}
	ps, err := message.ParsePayloads(first, plaintext)
	if m.Header.IsResponse() {
		return sa.receiveResponse(now, g, response{header: m.Header, payloads: ps, first: first, plaintext: plaintext}, err, out)
	}
	return sa.receiveRequest(now, g, m.Header, ps, err, out)
}

// generationOf finds the IKE SA of a message from the gateway; nil if there
// is none, or if the flags claim that we sent it.
func (sa *SA) generationOf(h message.Header) *generation {
	for _, g := range sa.generations() {
		if g.spii == h.InitiatorSPI && g.spir == h.ResponderSPI && h.FromInitiator() != g.initiator {
			return g
		}
	}
	return nil
}

// receiveResponse gives an answer to the task that waits for it. An answer
// that cannot be read ends the SA: it is authentic, so there will be no
// better one (RFC 7296 §2.21.2).
func (sa *SA) receiveResponse(now time.Time, g *generation, r response, bad error, out *Outbox) error {
	if g.task == nil || !g.requests.Answered(r.header.MessageID) {
		return nil
	}
	t := g.task
	g.task = nil
	g.inResponses = exchange.Reassembler{}
	if bad != nil {
		return &ProtocolError{at{t.step()}, bad}
	}
	if kind, ok := message.UnsupportedCritical(r.payloads); ok {
		return &ProtocolError{at{t.step()}, fmt.Errorf("ikev2: it holds a critical payload of type %d that this client does not know", kind)}
	}
	sa.dropped = nil
	return t.answer(sa, now, r, out)
}

// refusal is the first error notification, nil if there is none.
func refusal(ps []message.Payload) *message.Notify {
	for n := range message.All[*message.Notify](ps) {
		if n.Kind.IsError() {
			return n
		}
	}
	return nil
}

// missing reports a payload that an answer must have.
func missing(s Step, what string) error {
	return &ProtocolError{at{s}, errors.New("ikev2: it lacks the payload " + what)}
}

// tick retransmits, gives up, and keeps NAT mappings alive.
func (sa *SA) tick(now time.Time, out *Outbox) error {
	if sa.state == stateInit {
		return sa.tickInit(now, out)
	}
	for _, g := range sa.generations() {
		g.inRequests.Expire(now)
		again, gaveUp := g.requests.Due(now, sa.cfg.Retransmit, sa.cfg.Rand)
		switch {
		case g != sa.ike && (gaveUp || !now.Before(g.until)):
			sa.forget(g, out)
		case gaveUp && g.rival() != nil: // the gateway goes on there
			sa.takeOver(now, g.rival(), out)
			sa.forget(g, out)
		case gaveUp:
			return sa.overdue(now, g)
		case again != nil:
			sa.send(again, out)
		}
	}
	if sa.keepsAlive() && !now.Before(sa.keepNext) {
		sa.keepNext = now.Add(sa.cfg.KeepAlive)
		out.KeepAlive = true
	}
	return nil
}

// unanswered is the error of the request that waits for its answer; nil if
// none does.
func (sa *SA) unanswered(now time.Time) error {
	switch l := sa.login; {
	case sa.state == stateInit && l.requests.Outstanding():
		return sa.timeout(StepInit, now, l.firstSent, l.requests.Sent(), nil, 0)
	case sa.state != stateInit && sa.ike != nil && sa.ike.requests.Outstanding():
		return sa.overdue(now, sa.ike)
	}
	return nil
}

// overdue is the error of an IKE SA's request that was not answered in time.
func (sa *SA) overdue(now time.Time, g *generation) error {
	if t, ok := g.task.(eapTask); ok && t.refused != nil {
		return t.refused
	}
	missing, total := g.inResponses.Missing()
	return sa.timeout(g.task.step(), now, g.firstSent, g.requests.Sent(), missing, total)
}

func (sa *SA) timeout(s Step, now, first time.Time, sent int, missing []int, total int) error {
	_, remote := sa.path()
	return &TimeoutError{
		at: at{s}, Remote: remote.String(), Sent: sent, Waited: now.Sub(first),
		Answers: sa.ike != nil, Missing: missing, Total: total, Undone: sa.dropped, Unsent: sa.unsent,
	}
}

// keepsAlive reports whether NAT keepalives are due from this end (RFC 3948
// §4: only the end behind the NAT sends them).
func (sa *SA) keepsAlive() bool {
	return sa.state == stateEstablished && sa.natLocal && sa.cfg.KeepAlive > 0
}

// deadline is the earliest of the deadlines.
func (sa *SA) deadline() time.Time {
	var first time.Time
	earliest := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if sa.state == stateInit {
		earliest(sa.login.requests.Deadline())
	}
	for _, g := range sa.generations() {
		earliest(g.requests.Deadline())
		earliest(g.inRequests.Deadline())
		earliest(g.until)
	}
	if sa.keepsAlive() {
		earliest(sa.keepNext)
	}
	sa.diary.deadlines(sa, earliest)
	return first
}
