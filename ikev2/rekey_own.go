package ikev2

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"slices"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// rekeying is a rekey that the gateway began: of a Child SA or of the IKE SA.
type rekeying struct {
	child   esp.ChildID // what is replaced; zero: the IKE SA
	group   suite.Group // of the key exchange; GroupNone without one
	other   bool        // the client has asked for another group once
	pair    suite.KeyPair
	ni      []byte
	espSPI  uint32      // ours of the new Child SA; zero until it is asked for
	ikeSPI  message.SPI // ours of the new IKE SA
	offered []message.Proposal

	asked    bool // sent: what the client begins from now on may be the same
	answered bool
	over     bool   // the client has deleted the old IKE SA meanwhile
	rival    *rival // the client's rekey of the same SA; nil: none

	job  Job // that it waits for, and what follows
	then func(sa *SA, now time.Time, out *Outbox)
	// parked is what follows once the client's request under way is answered:
	// that may be a rekey of the same SA.
	parked func(sa *SA, now time.Time, out *Outbox)
}

// begunHere ends the words on a rekey of ours.
const begunHere = ", begun by the gateway"

// rival is a rekey of the client's, answered while ours of the same SA was
// under way (RFC 7296 §2.8.1, §2.8.2).
type rival struct {
	lowest []byte      // of its nonces
	child  esp.ChildID // that it made
	ike    *SA         // that it made
}

// loses tells whether our exchange has the lowest of the four nonces. What it
// made is then redundant, and ours to close.
func (r *rekeying) loses(nr []byte) bool {
	return r.rival != nil && bytes.Compare(lower(r.ni, nr), r.rival.lowest) < 0
}

// lower is the lower of two nonces, by their first octet that differs.
func lower(a, b []byte) []byte {
	if bytes.Compare(a, b) < 0 {
		return a
	}
	return b
}

// awaitOwn starts a job of the rekey; then is the step that follows it, on the
// SA that has the rekey by then.
func awaitOwn[J Job](r *rekeying, out *Outbox, j J, then func(*SA, time.Time, J, *Outbox)) {
	r.job, r.then = j, func(sa *SA, now time.Time, out *Outbox) { then(sa, now, j, out) }
	out.Jobs = append(out.Jobs, j)
}

// awaits tells whether a step waits for the job.
func (sa *SA) awaits(j Job) bool {
	return sa.work.job == j || sa.own != nil && sa.own.job == j
}

// prepare makes the key pair, where there is to be one, and asks.
func (r *rekeying) prepare(sa *SA, now time.Time, out *Outbox) {
	if r.group == suite.GroupNone {
		r.ask(sa, now, out)
		return
	}
	awaitOwn(r, out, &keyExchange{job: job{sa}, group: r.group}, func(sa *SA, now time.Time, j *keyExchange, out *Outbox) {
		if j.err != nil {
			sa.rekeyFailed(now, "making a key pair failed", j.err, out)
			return
		}
		r.pair = j.pair
		r.ask(sa, now, out)
	})
}

func (r *rekeying) ask(sa *SA, now time.Time, out *Outbox) {
	q := ownRequest{exchange: message.ExchangeCreateChildSA, about: aboutIKE, build: r.buildIKE}
	use := r.useIKE
	if r.child != 0 {
		q.about, q.build, use = aboutChild, r.buildChild, r.useChild
	}
	q.answered = func(sa *SA, now time.Time, answer []message.Payload, out *Outbox) {
		if sa.own != r {
			return
		}
		r.answered = true
		proceed := func(sa *SA, now time.Time, out *Outbox) { r.take(sa, now, answer, use, out) }
		if sa.work.job != nil {
			r.parked = proceed
			return
		}
		proceed(sa, now, out)
	}
	sa.ask(now, q, out)
}

// resumeRekey goes on with a rekey that waited for a request of the client's
// to be answered.
func (sa *SA) resumeRekey(now time.Time, out *Outbox) {
	if r := sa.own; r != nil && r.parked != nil && sa.work.job == nil {
		parked := r.parked
		r.parked = nil
		parked(sa, now, out)
	}
}

// proposal is what is offered: the suite in use and nothing else, which every
// client takes that took it before.
func (r *rekeying) offer(p suite.Proposal, spi []byte) {
	p.Transforms = slices.DeleteFunc(slices.Clone(p.Transforms), func(t message.Transform) bool { return t.Type == message.TransformKE })
	if r.group != suite.GroupNone {
		p.Transforms = append(p.Transforms, message.Transform{Type: message.TransformKE, ID: uint16(r.group)})
	}
	r.offered = suite.Proposals{p}.Offer(spi)
}

// payloads are those of both kinds of requests: SA, Ni and KEi.
func (r *rekeying) payloads() []message.Payload {
	ps := []message.Payload{&message.SA{Proposals: r.offered}, &message.Nonce{Data: r.ni}}
	if r.pair != nil {
		ps = append(ps, &message.KE{Group: uint16(r.group), Data: r.pair.Public()})
	}
	return ps
}

// agreement is what the client's answer to a rekey of ours settles.
type agreement struct {
	choice   suite.Choice
	nr       []byte
	ke       *message.KE // nil without key exchange
	tsi, tsr *message.TS // of a Child SA
}

// take reads the answer and, where there was a key exchange, ends it; use
// makes the new SA.
func (r *rekeying) take(sa *SA, now time.Time, answer []message.Payload, use func(*SA, time.Time, *agreement, suite.Secret, *Outbox), out *Outbox) {
	if n := refusalIn(answer); n != nil {
		r.refused(sa, now, n, out)
		return
	}
	a, err := r.read(answer)
	if err != nil {
		r.unusable(sa, now, err, out)
		return
	}
	if r.pair == nil {
		use(sa, now, a, nil, out)
		return
	}
	awaitOwn(r, out, &keyExchange{job: job{sa}, group: r.group, pair: r.pair, peer: a.ke.Data},
		func(sa *SA, now time.Time, j *keyExchange, out *Outbox) {
			if j.err != nil {
				r.unusable(sa, now, j.err, out)
				return
			}
			use(sa, now, a, j.shared, out)
			j.shared.Wipe()
		})
}

func (r *rekeying) read(answer []message.Payload) (*agreement, error) {
	offer, nonce := message.Find[*message.SA](answer), message.Find[*message.Nonce](answer)
	a := &agreement{ke: message.Find[*message.KE](answer), tsi: message.FindTS(answer, false), tsr: message.FindTS(answer, true)}
	if offer == nil || nonce == nil || r.child != 0 && (a.tsi == nil || a.tsr == nil) {
		return nil, syntaxFault("answer to a rekey without SA, Nonce or TS payload (RFC 7296 §1.3)")
	}
	a.nr = nonce.Data
	var err error
	if a.choice, err = suite.Answered(r.offered, offer.Proposals); err != nil {
		return nil, &PeerFault{Cause: CauseInvalidSyntax, Err: err}
	}
	if r.pair != nil && (a.ke == nil || a.ke.Group != uint16(r.group) || a.choice.Group() != r.group) {
		return nil, syntaxFault("answer to a rekey without the key exchange offered (RFC 7296 §1.3)")
	}
	return a, nil
}

// refusalIn is the first error notification, nil if there is none.
func refusalIn(ps []message.Payload) *message.Notify {
	for n := range message.All[*message.Notify](ps) {
		if n.Kind.IsError() {
			return n
		}
	}
	return nil
}

// refused obeys the client's refusal: it wants another group, or has the Child
// SA no more, or not now, or not at all (RFC 7296 §2.25, §3.10.1).
func (r *rekeying) refused(sa *SA, now time.Time, n *message.Notify, out *Outbox) {
	if g, ok := r.otherGroup(sa, n); ok {
		r.release(sa)
		r.group, r.other, r.pair, r.asked, r.answered = g, true, nil, false, false
		r.prepare(sa, now, out)
		return
	}
	if n.Kind == message.ChildSANotFound && r.child != 0 {
		r.notFound(sa, now, out)
		return
	}
	sa.rekeyFailed(now, "client refused a rekey", refusedBy(n.Kind), out)
}

// refusedBy is a refusal as an error.
type refusedBy message.NotifyType

func (e refusedBy) Error() string { return "refused with " + message.NotifyType(e).String() }

// otherGroup is the group that INVALID_KE_PAYLOAD asks for, where it is one
// that is configured.
func (r *rekeying) otherGroup(sa *SA, n *message.Notify) (suite.Group, bool) {
	if n.Kind != message.InvalidKEPayload || len(n.Data) != 2 || r.other || r.pair == nil {
		return 0, false
	}
	g := suite.Group(binary.BigEndian.Uint16(n.Data))
	configured := sa.cfg.IKE
	if r.child != 0 {
		configured = sa.cfg.ESP
	}
	return g, g != r.group && slices.ContainsFunc(configured, func(p suite.Proposal) bool { return hasGroup(p, g) })
}

// hasGroup tells whether a proposal holds a group.
func hasGroup(p suite.Proposal, g suite.Group) bool {
	return slices.ContainsFunc(p.Transforms, func(t message.Transform) bool {
		return t.Type == message.TransformKE && t.ID == uint16(g)
	})
}

// unusable gives up an exchange that the client has completed, but not so that
// it can be used. The client has the new SA, and is told to delete it where
// that is possible.
func (r *rekeying) unusable(sa *SA, now time.Time, err error, out *Outbox) {
	if spi := r.espSPI; spi != 0 {
		sa.deleteSPI(now, spi, out)
	}
	sa.rekeyFailed(now, "client answered a rekey as it must not", err, out)
}

// rekeyFailed ends our rekey; the SA that was to be replaced stays in use and
// the next try comes after a pause. Where the client has rekeyed the IKE SA at
// the same time that counts.
func (sa *SA) rekeyFailed(now time.Time, why string, err error, out *Outbox) {
	r, next := sa.own, sa.own.rivalIKE(sa)
	sa.note(out, slog.LevelWarn, why, slog.String("what", r.what()), slog.Any("error", err))
	sa.putOffRekey(now)
	sa.pauseRekeys(now)
	if next != nil {
		sa.handOver(now, next, out)
	}
	if r.over {
		sa.release(now, CauseClientDisconnected, out)
		sa.linger(now, out)
	}
}

func (r *rekeying) what() string {
	if r.child == 0 {
		return "IKE SA"
	}
	return "Child SA"
}

// putOffRekey ends our rekey, which remains due.
func (sa *SA) putOffRekey(now time.Time) {
	if i := sa.childByID(sa.own.child); i >= 0 {
		sa.children[i].due = now
	} else if sa.own.child == 0 {
		sa.watch.rekey = now
	}
	sa.abandonRekey()
}

// abandonRekey forgets our rekey. A job of it that is under way is undone when
// it comes back.
func (sa *SA) abandonRekey() {
	r := sa.own
	if r == nil {
		return
	}
	sa.own = nil
	r.release(sa)
	if next := r.rivalIKE(sa); next != nil {
		next.former = nil
	}
}

// release makes the SPI of a Child SA that did not come to be free again.
func (r *rekeying) release(sa *SA) {
	if _, installing := r.job.(*installChild); r.espSPI != 0 && !installing {
		sa.reg.releaseSPI(r.espSPI)
	}
	r.espSPI = 0
}
