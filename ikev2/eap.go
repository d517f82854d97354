package ikev2

import (
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/message"
)

// minMSK is the shortest master session key that is one: RFC 3748 §7.10 wants
// 64 octets, some methods fill 32 of them.
const minMSK = 32

const eapHeaderLen = 4

// beginEAP opens the conversation with the backend once our signature is
// made.
func (sa *SA) beginEAP(now time.Time, j *signature, out *Outbox) {
	if j.err != nil {
		sa.refuse(now, j.err, out)
		return
	}
	sa.login.auth = j.auth
	sa.prove(provedSignature)
	await(sa, out, &eapStep{job: job{sa}, peer: sa.peerOf(), most: sa.backendTime()}, (*SA).answerIdentity)
}

// answerIdentity answers the first IKE_AUTH request: IDr, our chain and AUTH,
// and the first EAP request (RFC 7296 §2.16). The chain goes out whether it
// was asked for or not: some clients never ask.
//
// A client that says EAP_ONLY_AUTHENTICATION would do without chain and AUTH
// where the EAP method proves the gateway, makes keys and withstands guessing
// (RFC 5998 §4). EAP-MSCHAPv2 does not withstand it: who answers in the
// gateway's place could try passwords on what the client sends. Which method
// comes is not known yet either, before the client has told its name. So both
// are sent always, as the RFC lets the responder choose.
func (sa *SA) answerIdentity(now time.Time, j *eapStep, out *Outbox) {
	l := sa.login
	l.conversation = j.conversation
	if !sa.goesOn(now, j, out) {
		return
	}
	if err := sa.move(StateAwaitEAP); err != nil {
		sa.refuse(now, err, out)
		return
	}
	ps := slices.Concat([]message.Payload{l.idr}, l.identity.certs, []message.Payload{l.auth, &message.EAP{Packet: j.step.Packet}})
	l.auth = nil
	sa.respond(now, ps, out)
}

// relayEAP passes an EAP response to the backend.
func (sa *SA) relayEAP(now time.Time, in inbound, out *Outbox) {
	l := sa.login
	e := message.Find[*message.EAP](in.payloads)
	if e == nil {
		sa.refuse(now, &PeerFault{Cause: CauseOutOfOrder, Err: errors.New("expected an EAP payload (RFC 7296 §2.16)")}, out)
		return
	}
	if l.rounds++; l.rounds > sa.cfg.Limits.EAPRounds {
		sa.refuse(now, &PeerFault{Cause: CauseTooManyRounds, Evidence: []auth.Evidence{{Key: "rounds", Value: strconv.Itoa(l.rounds)}}}, out)
		return
	}
	response := e.Packet
	if response == nil {
		response = []byte{}
	}
	if isEmptyIdentity(response) {
		sa.shows(QuirkD3)
	}
	await(sa, out, &eapStep{job: job{sa}, conversation: l.conversation, response: response, most: sa.backendTime()}, (*SA).answerEAP)
}

// answerEAP sends the backend's next packet. On success the master session
// key is kept for the client's proof; the user is the one the backend
// verified, whatever name the client gave elsewhere.
func (sa *SA) answerEAP(now time.Time, j *eapStep, out *Outbox) {
	if j.err == nil && j.step.Verdict == auth.Accept && fitsVerdict(j.step) {
		sa.acceptEAP(now, j.step, out)
		return
	}
	if j.err == nil && j.step.Delay > 0 {
		sa.hold(now, j)
		return
	}
	if sa.goesOn(now, j, out) {
		sa.respond(now, []message.Payload{&message.EAP{Packet: j.step.Packet}}, out)
	}
}

func (sa *SA) acceptEAP(now time.Time, step auth.Step, out *Outbox) {
	l := sa.login
	sa.prove(provedEAP)
	if step.Grant == nil || step.Grant.Name == "" || len(step.Grant.MSK) < minMSK {
		sa.refuse(now, &PeerFault{Cause: CauseNoMSK, answer: eapFailure(l.lastEAP)}, out)
		return
	}
	l.grant = step.Grant
	sa.session.user = step.Grant.Name
	sa.prove(provedMSK)
	if err := sa.move(StateAwaitProof); err != nil {
		sa.refuse(now, err, out)
		return
	}
	attrs := []slog.Attr{slog.String("user", sa.session.user)}
	for _, r := range step.Grant.Remarks {
		attrs = append(attrs, slog.String(r.Key, r.Value))
	}
	sa.note(out, slog.LevelInfo, "user accepted", attrs...)
	success := step.Packet
	if success == nil {
		success = []byte{eapSuccess, l.lastEAP, 0, eapHeaderLen}
	}
	sa.respond(now, []message.Payload{&message.EAP{Packet: success}}, out)
}

// goesOn tells whether a step continues the conversation; else it refuses the
// login. An outage is told apart from a refusal: the password may be right.
func (sa *SA) goesOn(now time.Time, j *eapStep, out *Outbox) bool {
	l := sa.login
	if name := j.step.Identity; name != "" {
		l.claimed = name[:min(len(name), maxIdentity)]
	}
	if len(j.step.Packet) > 1 {
		l.lastEAP = j.step.Packet[1]
	}
	failure := j.step.Packet
	if len(failure) == 0 {
		failure = eapFailure(l.lastEAP)
	}
	cause, evidence := j.step.Reason.Cause, j.step.Reason.Evidence
	switch {
	case j.err != nil:
		sa.refuse(now, &PeerFault{Cause: CauseAuthUnavailable, Err: j.err, outage: true}, out)
	case !fitsVerdict(j.step):
		sa.refuse(now, &PeerFault{Cause: CauseAuthUnavailable, Err: errVerdict, outage: true}, out)
	case j.step.Verdict == auth.Continue && len(j.step.Packet) >= eapHeaderLen:
		l.refused = j.step.Reason
		if cause != "" {
			sa.note(out, slog.LevelWarn, "answer not accepted, the client may try again",
				slog.String("user", l.claimed), slog.String("cause", string(cause)))
		}
		return true
	case j.step.Verdict == auth.Reject:
		sa.refuse(now, &PeerFault{Cause: orCause(cause, CauseAuthRejected), Evidence: evidence, answer: failure}, out)
	case j.step.Verdict == auth.Unavailable:
		sa.refuse(now, &PeerFault{Cause: orCause(cause, CauseAuthUnavailable), Evidence: evidence, outage: true}, out)
	default: // Accept before the client said anything, or nothing to relay
		sa.refuse(now, &GatewayFault{Cause: CauseNoMSK, Err: errors.New("the backend gave no EAP packet to relay")}, out)
	}
	return false
}

// Codes of EAP packets (RFC 3748 §4).
const (
	eapRequest = 1
	eapSuccess = 3
	eapFailed  = 4
)

var errVerdict = errors.New("the backend's EAP packet does not say what its verdict does")

// isEmptyIdentity tells an EAP-Response/Identity that holds no name (RFC 3748
// §5.1).
func isEmptyIdentity(p []byte) bool {
	const response, identity = 2, 1
	return len(p) == eapHeaderLen+1 && p[0] == response && p[4] == identity
}

// fitsVerdict tells whether a packet may be relayed with its verdict: no
// client hears of success before its backend accepted it, nor after it did not.
func fitsVerdict(s auth.Step) bool {
	if len(s.Packet) == 0 {
		return true
	}
	switch s.Verdict {
	case auth.Continue:
		return s.Packet[0] == eapRequest
	case auth.Accept:
		return s.Packet[0] == eapSuccess
	}
	return s.Packet[0] == eapFailed
}

func orCause(c, otherwise Cause) Cause {
	if c == "" {
		return otherwise
	}
	return c
}

// eapFailure is an EAP-Failure (RFC 3748 §4.2).
func eapFailure(identifier uint8) []byte { return []byte{eapFailed, identifier, 0, eapHeaderLen} }
