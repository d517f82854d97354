package ikev2

import (
	"encoding/binary"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
)

// receiveInformational answers INFORMATIONAL: liveness, which is empty,
// DELETE, and notifications (RFC 7296 §1.4).
func (sa *SA) receiveInformational(now time.Time, in inbound, out *Outbox) {
	sa.noteStatus(now, message.FindNotify(in.payloads, message.MSStatus), out)
	if cause := farewell(in.payloads); cause != "" {
		sa.bidFarewell(now, in, cause, out)
		return
	}
	more, moves, err := sa.mobilityAnswer(now, in)
	if err != nil {
		sa.refuseExchange(now, err, out)
		return
	}
	var answer []message.Payload
	var gone []esp.ChildID
	if sa.state == StateEstablished {
		answer, gone = sa.deleteChildren(in.payloads)
	}
	reply := func(now time.Time, out *Outbox) {
		sa.respond(now, append(answer, more...), out)
		if last := sa.last(); moves != nil && last.state == StateEstablished {
			last.relocate(now, *moves, out)
		}
	}
	if len(gone) == 0 {
		sa.expected(now, moves, reply, out)
		return
	}
	// Once it has the answer the client takes nothing more on these.
	sa.session.busy++
	await(sa, out, &teardown{job: job{sa}, of: sa.session, children: gone}, func(sa *SA, now time.Time, j *teardown, out *Outbox) {
		sa.tornDown(j, out)
		reply(now, out)
	})
}

// farewell tells whether a message ends the IKE SA, and why: by DELETE, or
// because the client does not accept our AUTH (RFC 7296 §2.21.2).
func farewell(ps []message.Payload) Cause {
	if message.FindNotify(ps, message.AuthenticationFailed) != nil {
		return CauseClientRefusedServer
	}
	for d := range message.All[*message.Delete](ps) {
		if d.Protocol == message.ProtocolIKE {
			return CauseClientDisconnected
		}
	}
	return ""
}

// bidFarewell answers the message that ends the SA and takes all back. Of an
// unfinished login it is worth a report.
func (sa *SA) bidFarewell(now time.Time, in inbound, cause Cause, out *Outbox) {
	sa.respond(now, nil, out)
	if sa.ceded(now, out) {
		return
	}
	if sa.state.halfOpen() {
		var evidence []auth.Evidence
		cause, evidence = sa.whyLeft(cause)
		sa.report(now, EventRefused, cause, evidence, out)
	}
	sa.release(now, cause, out)
	sa.linger(now, out)
}

// whyLeft is the cause behind the farewell of an unfinished login. Clients say
// AUTHENTICATION_FAILED for whatever made them stop: after a refused password,
// where they could try again, it is that; once they answered EAP they had
// accepted our AUTH, which came with the first EAP request.
func (sa *SA) whyLeft(said Cause) (Cause, []auth.Evidence) {
	l := sa.login
	switch {
	case l.refused.Cause != "":
		return l.refused.Cause, l.refused.Evidence
	case said == CauseClientDisconnected, l.rounds > 0:
		return CauseClientGaveUp, sa.certificateEvidence()
	}
	return said, sa.certificateEvidence()
}

// deleteChildren forgets the Child SAs that the client deletes, named by its
// inbound SPIs, and gives ours for the answer (RFC 7296 §1.4.1), but for those
// that we are deleting ourselves, and what is to be taken out of the data plane.
func (sa *SA) deleteChildren(ps []message.Payload) (answer []message.Payload, gone []esp.ChildID) {
	ours := &message.Delete{Protocol: message.ProtocolESP, SPISize: 4}
	for d := range message.All[*message.Delete](ps) {
		if d.Protocol != message.ProtocolESP {
			continue
		}
		for _, spi := range d.SPIs {
			i := sa.childByOutSPI(spi)
			if i < 0 {
				continue
			}
			c := sa.children[i]
			if c.stage != deleting {
				ours.SPIs = append(ours.SPIs, binary.BigEndian.AppendUint32(nil, c.in))
			}
			gone = append(gone, c.id)
			sa.forgetChild(i)
		}
	}
	if len(ours.SPIs) > 0 {
		answer = []message.Payload{ours}
	}
	return answer, gone
}
