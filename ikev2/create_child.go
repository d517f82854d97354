package ikev2

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// receiveCreateChild answers CREATE_CHILD_SA: a Child SA replaced or added,
// or the IKE SA replaced (RFC 7296 §1.3). A configuration payload, as
// MikroTik sends one, is passed over.
func (sa *SA) receiveCreateChild(now time.Time, in inbound, out *Outbox) {
	// Closing, replaced already (RFC 7296 §2.25), or about to be deleted since
	// the login gave no Child SA: what came of that would be in no books.
	ends := sa.state != StateEstablished || !sa.session.isUp
	if !ends && !sa.session.budget.take(now, rationSession) {
		sa.reg.count(ExchangesRationed)
		ends = true
	}
	if ends {
		sa.respond(now, []message.Payload{status(message.TemporaryFailure, nil)}, out)
		return
	}
	x, err := sa.readExchange(in)
	if err != nil {
		sa.refuseExchange(now, err, out)
		return
	}
	if err := sa.judgeRekey(x, in.payloads); err != nil {
		sa.refuseExchange(now, err, out)
		return
	}
	rekey := message.FindNotify(in.payloads, message.RekeySA)
	forIKE := rekey == nil && len(x.child.sa.Proposals) > 0 && x.child.sa.Proposals[0].Protocol == message.ProtocolIKE
	switch {
	case sa.collides(forIKE):
		sa.respond(now, []message.Payload{status(message.TemporaryFailure, nil)}, out)
	case rekey != nil:
		sa.rekeyChild(now, x, rekey, out)
	case forIKE:
		sa.rekeyIKE(now, x, out)
	default:
		sa.addChild(now, x, 0, out)
	}
}

// collides tells whether the client's request has to wait for what we have
// begun (RFC 7296 §2.25): an IKE SA rekey for what we do to Child SAs, and the
// other way round. Two rekeys of one SA may meet until ours was answered: then
// the client is late, the SA is about to be deleted.
func (sa *SA) collides(forIKE bool) bool {
	r := sa.own
	switch {
	case forIKE && sa.asksAbout(aboutChild):
		return true
	case r == nil || !r.asked:
		return false
	case r.child == 0:
		return !forIKE || r.answered
	}
	return forIKE
}

// childExchange is a CREATE_CHILD_SA request under way.
type childExchange struct {
	child  childRequest
	ke     *message.KE // nil without
	ni, nr []byte
	choice suite.Choice
	public []byte // our KE data, nil without
	old    esp.ChildID
}

func (sa *SA) readExchange(in inbound) (*childExchange, error) {
	x := &childExchange{child: readChildRequest(in.payloads), ke: message.Find[*message.KE](in.payloads)}
	nonce := message.Find[*message.Nonce](in.payloads)
	if x.child.sa == nil || nonce == nil {
		return nil, syntaxFault("CREATE_CHILD_SA without SA or Nonce payload (RFC 7296 §1.3)")
	}
	x.ni = nonce.Data
	var err error
	x.nr, err = sa.reg.octets(nonceLen)
	return x, err
}

// group is that of the KE payload, none without one.
func (x *childExchange) group() suite.Group {
	if x.ke == nil {
		return suite.GroupNone
	}
	return suite.Group(x.ke.Group)
}

// rekeyChild replaces the Child SA that the notification names by the
// client's inbound SPI (RFC 7296 §1.3.3).
func (sa *SA) rekeyChild(now time.Time, x *childExchange, rekey *message.Notify, out *Outbox) {
	i := sa.childByOutSPI(rekey.SPI)
	if r := sa.own; i < 0 && r != nil && r.asked {
		// What the client made of our request, perhaps, whose answer is not here.
		sa.respond(now, []message.Payload{status(message.TemporaryFailure, nil)}, out)
		return
	}
	if i < 0 || rekey.Protocol != message.ProtocolESP {
		sa.respond(now, []message.Payload{
			&message.Notify{Protocol: rekey.Protocol, SPI: rekey.SPI, Kind: message.ChildSANotFound},
		}, out)
		return
	}
	if r := sa.own; sa.children[i].stage != inUse || r != nil && r.answered && r.child == sa.children[i].id {
		sa.respond(now, []message.Payload{status(message.TemporaryFailure, nil)}, out)
		return
	}
	sa.addChild(now, x, sa.children[i].id, out)
}

// addChild makes a Child SA, in the place of old unless that is zero. With a
// KE payload the new keys do not depend on the old ones alone.
func (sa *SA) addChild(now time.Time, x *childExchange, old esp.ChildID, out *Outbox) {
	x.old = old
	if x.child.tsi == nil || x.child.tsr == nil {
		sa.refuseExchange(now, &PeerFault{Cause: CauseNoChildAsked}, out)
		return
	}
	if len(sa.children) >= sa.cfg.Limits.Children {
		sa.refuseExchange(now, &PeerFault{Cause: CauseTooManyChildren, Evidence: []auth.Evidence{
			{Key: "allowed", Value: fmt.Sprint(sa.cfg.Limits.Children)},
		}}, out)
		return
	}
	var err error
	x.choice, err = suite.SelectFor(sa.cfg.ESP, x.child.sa.Proposals, sa.order(), x.group())
	if err != nil {
		sa.refuseExchange(now, proposalFault(CauseNoESPProposal, sa.cfg.ESP, x.child.sa.Proposals, err), out)
		return
	}
	switch g := x.choice.Group(); g {
	case suite.GroupNone:
		sa.installNext(now, x, nil, out)
	case x.group():
		await(sa, out, &keyExchange{job: job{sa}, group: g, peer: x.ke.Data}, func(sa *SA, now time.Time, j *keyExchange, out *Outbox) {
			if j.err != nil {
				sa.refuseExchange(now, j.err, out)
				return
			}
			x.public = j.public
			sa.installNext(now, x, j.shared, out)
			j.shared.Wipe()
		})
	default:
		sa.respond(now, []message.Payload{invalidKE(g)}, out)
	}
}

// installNext puts the new Child SA into the data plane.
func (sa *SA) installNext(now time.Time, x *childExchange, shared suite.Secret, out *Outbox) {
	c, err := sa.newChild(x.choice, x.child, shared, x.ni, x.nr)
	if err != nil {
		sa.refuseExchange(now, err, out)
		return
	}
	sa.install(c, x.old, out, func(sa *SA, now time.Time, j *installChild, out *Outbox) {
		sa.answerChild(now, x, j, out)
	})
}

// answerChild answers with SA, Nr, KEr, TSi and TSr. A replaced Child SA goes
// on receiving until the client deletes it (RFC 7296 §2.8).
func (sa *SA) answerChild(now time.Time, x *childExchange, j *installChild, out *Outbox) {
	if j.err != nil {
		sa.reg.releaseSPI(j.child.In.SPI)
		sa.refuseExchange(now, j.err, out)
		return
	}
	sa.replaced(x.old)
	if r := sa.own; r != nil && r.asked && r.child != 0 && r.child == x.old {
		r.rival = &rival{lowest: lower(x.ni, x.nr), child: j.child.ID}
	}
	sa.adopt(now, &j.child, x.choice.Group(), out)
	sa.awaitProof(now)
	sap, tsi, tsr := childPayloads(&j.child, x.choice)
	ps := []message.Payload{sap, &message.Nonce{Data: x.nr}}
	if x.public != nil {
		ps = append(ps, &message.KE{Group: uint16(x.choice.Group()), Data: x.public})
	}
	sa.respond(now, append(ps, tsi, tsr), out)
	what := "further Child SA"
	if x.old != 0 {
		what = "Child SA"
	}
	sa.rekeyed(now, what+" "+x.choice.String(), out)
}

// rekeyed publishes that something was replaced or added.
func (sa *SA) rekeyed(now time.Time, detail string, out *Outbox) {
	out.Events = append(out.Events, SessionEvent{Kind: EventRekeyed, Time: now, Session: sa.info(), Detail: detail})
}

// refuseExchange answers a request of an established SA with its cause's
// notification. The SA stays as it is, but for a request that is not well
// formed: that is fatal to it at both ends without a DELETE (RFC 7296
// §2.21.3).
func (sa *SA) refuseExchange(now time.Time, err error, out *Outbox) {
	cause, evidence := faultOf(err)
	kind := notifyFor(cause)
	sa.report(now, EventRefused, cause, evidence, out)
	sa.respond(now, []message.Payload{status(kind, nil)}, out)
	if kind == message.InvalidSyntax {
		sa.linger(now, out)
		sa.release(now, cause, out)
	}
}

// noteStatus logs the Win32 code with which Windows says what it did not
// like ([MS-IKEE] 2.2.7).
func (sa *SA) noteStatus(now time.Time, n *message.Notify, out *Outbox) {
	if n != nil && len(n.Data) == 4 && sa.shows(QuirkW4) && sa.session.budget.take(now, rationSession) {
		code := binary.BigEndian.Uint32(n.Data)
		sa.note(out, slog.LevelWarn, "client reports a Windows error", slog.Uint64("code", uint64(code)), slog.String("meaning", win32Meaning(code)))
	}
}
