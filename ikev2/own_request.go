package ikev2

import (
	"time"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
)

// ownRequest is a request of the gateway's own that waits for its turn or for
// its answer.
type ownRequest struct {
	exchange message.ExchangeType
	about    subject
	// build makes the payloads when the request's turn has come; false tells
	// that it has become pointless meanwhile.
	build func(sa *SA, now time.Time) (ps []message.Payload, still bool)
	// answered takes the answer's payloads; nil where all that counts is that
	// one came.
	answered  func(sa *SA, now time.Time, answer []message.Payload, out *Outbox)
	fragments exchange.Reassembler // of the answer
}

// subject is what a request changes, for what the client may ask until it is
// answered (RFC 7296 §2.25).
type subject uint8

const (
	aboutNothing subject = iota
	aboutChild           // creates, rekeys or closes a Child SA; meant as well on the IKE SA that replaces this one
	aboutIKE             // rekeys or closes the IKE SA
)

// informational is a request that says always the same and expects nothing
// but an answer.
func informational(ps ...message.Payload) ownRequest {
	return ownRequest{
		exchange: message.ExchangeInformational,
		build:    func(*SA, time.Time) ([]message.Payload, bool) { return ps, true },
	}
}

// ask sends a request once all asked before were answered: the window is one
// (RFC 7296 §2.3).
func (sa *SA) ask(now time.Time, r ownRequest, out *Outbox) {
	sa.asking = append(sa.asking, r)
	if !sa.requests.Outstanding() {
		sa.askNext(now, out)
	}
}

// asksAbout tells whether a request about s is outstanding.
func (sa *SA) asksAbout(s subject) bool {
	return sa.requests.Outstanding() && sa.asking[0].about == s
}

// askNext sends the first of the waiting requests that is not pointless.
func (sa *SA) askNext(now time.Time, out *Outbox) {
	for len(sa.asking) > 0 {
		if ps, still := sa.asking[0].build(sa, now); still {
			sa.request(now, sa.asking[0].exchange, ps, out)
			return
		}
		sa.asking = sa.asking[1:]
	}
	sa.asking = nil
}

// askLast drops what waits for its turn and asks r as the last request. What
// is outstanding must still be answered, but nobody waits for that answer.
func (sa *SA) askLast(now time.Time, r ownRequest, out *Outbox) {
	if !sa.requests.Outstanding() {
		sa.asking = nil
	} else {
		sa.asking = sa.asking[:1]
		sa.asking[0].answered = nil
	}
	sa.ask(now, r, out)
}

// stopAsking forgets all requests of our own and what they were for.
func (sa *SA) stopAsking() {
	sa.requests.Restart()
	sa.asking = nil
	sa.abandonRekey()
}

// bequeath hands requests about Child SAs that were not sent yet on to the SA
// that has these now.
func (sa *SA) bequeath(now time.Time, next *SA, out *Outbox) {
	waiting := sa.asking
	if sa.requests.Outstanding() {
		waiting = waiting[1:]
	}
	for _, r := range waiting {
		if r.about == aboutChild {
			next.ask(now, r, out)
		}
	}
}

// request puts a request of our own on its way. None may be outstanding.
func (sa *SA) request(now time.Time, x message.ExchangeType, ps []message.Payload, out *Outbox) {
	datagrams, err := sa.seal(x, 0, sa.requests.NextID(), ps)
	if err != nil {
		sa.fail(now, err, out)
		return
	}
	sa.requests.Begin(now, datagrams, sa.schedule(), sa.reg.rand)
	sa.sendRequest(datagrams, out)
}

// receiveResponse takes the answer to the outstanding request, and sends the
// next.
func (sa *SA) receiveResponse(now time.Time, in inbound, out *Outbox) {
	r := sa.asking[0]
	sa.asking = sa.asking[1:]
	if r.answered != nil {
		answer, err := message.ParsePayloads(in.first, in.plaintext)
		if err != nil { // fatal to the IKE SA (RFC 7296 §2.21.3)
			sa.reg.count(DropMalformed)
			if sa.state == StateEstablished {
				sa.close(now, CauseInvalidSyntax, out)
			} else {
				sa.die(out)
			}
			return
		}
		r.answered(sa, now, answer, out)
	}
	if !sa.requests.Outstanding() {
		sa.askNext(now, out)
	}
}

// sendDelete asks the client to forget the IKE SA (RFC 7296 §1.4.1), after
// which there is nothing left of it here either.
func (sa *SA) sendDelete(now time.Time, out *Outbox) {
	r := informational(&message.Delete{Protocol: message.ProtocolIKE})
	r.about = aboutIKE
	r.answered = func(sa *SA, _ time.Time, _ []message.Payload, out *Outbox) { sa.die(out) }
	sa.askLast(now, r, out)
}
