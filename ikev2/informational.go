package ikev2

import (
	"encoding/binary"
	"time"

	"bridgehead/auth"
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
	var answer []message.Payload
	if sa.state == StateEstablished {
		answer = sa.deleteChildren(in.payloads, out)
	}
	sa.respond(now, answer, out)
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

// deleteChildren removes the Child SAs that the client deletes, named by its
// inbound SPIs, and answers with ours (RFC 7296 §1.4.1).
func (sa *SA) deleteChildren(ps []message.Payload, out *Outbox) []message.Payload {
	answer := &message.Delete{Protocol: message.ProtocolESP, SPISize: 4}
	for d := range message.All[*message.Delete](ps) {
		if d.Protocol != message.ProtocolESP {
			continue
		}
		for _, spi := range d.SPIs {
			if i := sa.childByOutSPI(spi); i >= 0 {
				answer.SPIs = append(answer.SPIs, binary.BigEndian.AppendUint32(nil, sa.children[i].in))
				sa.removeChild(i, out)
			}
		}
	}
	if len(answer.SPIs) == 0 {
		return nil
	}
	return []message.Payload{answer}
}
