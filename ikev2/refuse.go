package ikev2

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/message"
)

// refuse ends a login: the client gets the cause's notification, or the EAP
// packet that says so, the operator gets the whole of it. The SA stays a
// while to repeat this answer, so that a lost packet does not turn a wrong
// password into a timeout. Before there are keys there is no answer, but the
// SA stays too: a public value that is not valid costs as much as a good one,
// and must count as a login under way as long.
func (sa *SA) refuse(now time.Time, err error, out *Outbox) {
	cause, evidence := faultOf(err)
	sa.report(now, EventRefused, cause, evidence, out)
	if sa.protection == nil {
		sa.linger(now, out)
		return
	}
	sa.respond(now, sa.refusalAnswer(cause, err), out)
	sa.release(now, cause, out)
	sa.linger(now, out)
}

// refusalAnswer is what the client is told.
func (sa *SA) refusalAnswer(cause Cause, err error) []message.Payload {
	var fault *PeerFault
	switch {
	case !errors.As(err, &fault):
		return []message.Payload{status(notifyFor(cause), nil)}
	case fault.outage: // an EAP-Failure would have the user type the password again
		return []message.Payload{status(message.TemporaryFailure, nil)}
	case fault.answer == nil || sa.state == StateAwaitAuth: // there is no EAP yet
		return []message.Payload{status(notifyFor(cause), fault.data)}
	}
	answer := []message.Payload{&message.EAP{Packet: fault.answer}}
	if code, ok := win32Codes[cause]; ok && sa.quirk(QuirkW9) {
		answer = append(answer, status(message.MSStatus, binary.BigEndian.AppendUint32(nil, code)))
	}
	return answer
}

// report publishes why a login, or a later exchange, was refused or fell
// silent.
func (sa *SA) report(now time.Time, kind EventKind, cause Cause, evidence []auth.Evidence, out *Outbox) {
	r := newRefusal(now, cause, evidence)
	r.Session, r.Client = sa.session.id, sa.session.client.String()
	r.Peer, r.Local, r.Quirks = sa.path.remote, sa.path.local, sa.session.quirks.list()
	r.Silent = kind == EventSilent
	r.User = sa.session.user
	if r.User == "" && sa.login != nil {
		r.User = sa.login.claimed
	}
	if sa.session.idi.Kind != 0 {
		r.Identity = sa.session.idi.String()
	}
	switch {
	case r.Silent:
		sa.reg.count(LoginsSilent)
		r.Likely = sa.likely(cause)
	case sa.login != nil:
		sa.reg.count(LoginsRefused)
	default:
		sa.reg.count(ExchangesRefused)
	}
	out.Events = append(out.Events, SessionEvent{Kind: kind, Time: now, Session: sa.info(), Cause: cause, Refusal: r})
}

// linger keeps the SA only to repeat its last answer.
func (sa *SA) linger(now time.Time, out *Outbox) {
	if err := sa.move(StateRefused); err != nil {
		sa.die(out)
		return
	}
	sa.dropLogin()
	sa.work = work{}
	sa.stopAsking()
	sa.fragments = nil
	sa.expires = now.Add(sa.cfg.Timers.Linger)
}

// fail ends the SA at once for a fault of ours.
func (sa *SA) fail(now time.Time, err error, out *Outbox) {
	cause, evidence := faultOf(err)
	if sa.login != nil {
		sa.report(now, EventRefused, cause, evidence, out)
	} else {
		sa.note(out, slog.LevelError, "session failed", slog.Any("error", err))
	}
	sa.release(now, cause, out)
	sa.die(out)
}

// release takes back all that the SA holds outside of itself, once. A session
// that was up ends with an event when that is done.
func (sa *SA) release(now time.Time, cause Cause, out *Outbox) {
	t := &teardown{job: job{sa}, children: sa.childIDs()}
	s := sa.session
	if s.isUp && !s.ended {
		s.ended = true
		t.report = &SessionEvent{Kind: EventDown, Time: now, Session: sa.info(), Cause: cause}
	}
	for _, c := range sa.children {
		sa.reg.forgetChild(c)
	}
	sa.children = nil
	if s.given == nil && sa.login != nil && sa.login.grant != nil {
		s.given = newGiven(sa.login.grant)
	}
	end := &auth.End{Cause: cause, Time: now}
	switch {
	case s.leased && s.busy == 0:
		t.user, t.holder = s.user, s.id
		t.account = sa.settlement(s, end)
	case s.leased: // a Child SA may still be using the address
		s.owes, s.end = true, end
	case s.busy == 0:
		t.account = sa.settlement(s, end)
	}
	s.leased = false
	if len(t.children) > 0 {
		s.busy++
		t.of = s
	}
	if sa.login != nil {
		if _, inUse := sa.work.job.(*eapStep); !inUse { // else finished closes it
			t.conversation = sa.login.conversation
		}
		sa.login.conversation = nil
	}
	if len(t.children) > 0 || t.holder != "" || t.conversation != nil || t.report != nil || t.account != nil {
		out.Jobs = append(out.Jobs, t)
	}
}

// tornDown publishes the end of a session with what it carried.
func (sa *SA) tornDown(j *teardown, out *Outbox) {
	sa.noteFailed(out, "taking a session back failed", j.err)
	if j.of != nil {
		j.of.carried(j.usage)
	}
	if j.report != nil {
		j.report.Session.Usage = sa.session.past.usage()
		out.Events = append(out.Events, *j.report)
	}
	sa.goneWith(j)
}

// die leaves nothing but the shard's reference, which it drops.
func (sa *SA) die(out *Outbox) {
	if err := sa.move(StateDead); err != nil {
		sa.note(out, slog.LevelError, "refused move", slog.Any("error", err))
	}
	sa.dropLogin()
	sa.d.Wipe()
	sa.work, sa.expires = work{}, time.Time{}
	sa.stopAsking()
	sa.fragments = nil
}
