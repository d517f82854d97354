package ikev2

import (
	"time"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// rekeyIKE replaces the IKE SA (RFC 7296 §1.3.2, §2.18). The new one inherits
// the Child SAs and the session; the client deletes the old one.
func (sa *SA) rekeyIKE(now time.Time, x *childExchange, out *Outbox) {
	if x.ke == nil {
		sa.refuseExchange(now, syntaxFault("IKE SA rekey without KE payload (RFC 7296 §1.3.2)"), out)
		return
	}
	var err error
	x.choice, err = suite.SelectFor(sa.cfg.IKE, x.child.sa.Proposals, sa.order(), x.group())
	if err != nil {
		sa.refuseExchange(now, proposalFault(CauseNoIKEProposal, sa.cfg.IKE, x.child.sa.Proposals, err), out)
		return
	}
	if len(x.choice.SPI) != len(message.SPI{}) || message.SPI(x.choice.SPI).IsZero() {
		sa.refuseExchange(now, syntaxFault("IKE SA rekey without the new initiator SPI (RFC 7296 §3.3.1)"), out)
		return
	}
	if g := x.choice.Group(); g != x.group() {
		sa.respond(now, []message.Payload{invalidKE(g)}, out)
		return
	}
	await(sa, out, &keyExchange{job: job{sa}, group: x.choice.Group(), peer: x.ke.Data}, func(sa *SA, now time.Time, j *keyExchange, out *Outbox) {
		sa.answerRekeyIKE(now, x, j, out)
	})
}

func (sa *SA) answerRekeyIKE(now time.Time, x *childExchange, j *keyExchange, out *Outbox) {
	if j.err != nil {
		sa.refuseExchange(now, j.err, out)
		return
	}
	spir, err := sa.reg.ikeSPI()
	if err != nil {
		sa.refuseExchange(now, err, out)
		return
	}
	next := &SA{spii: message.SPI(x.choice.SPI), spir: spir}
	err = sa.succeed(next, x.choice, j.shared, x.ni, x.nr)
	j.shared.Wipe()
	if err != nil {
		sa.refuseExchange(now, err, out)
		return
	}
	sa.respond(now, []message.Payload{
		&message.SA{Proposals: []message.Proposal{x.choice.Answer(next.spir[:])}},
		&message.Nonce{Data: x.nr},
		&message.KE{Group: uint16(x.choice.Group()), Data: j.public},
	}, out)
	if sa.rekeysIKE() {
		sa.own.rival = &rival{lowest: lower(x.ni, x.nr), ike: next}
		next.contend(now, sa)
		out.Successors = append(out.Successors, next)
		return
	}
	sa.handOver(now, next, out)
	next.awaitProof(now)
}

// succeed fills in the SA with the new keys, whose SPIs and role are given. It
// is established by inheritance from this one, which went the whole way.
func (sa *SA) succeed(next *SA, c suite.Choice, shared suite.Secret, ni, nr []byte) error {
	algorithms, err := c.IKE()
	if err != nil {
		return &GatewayFault{Cause: CauseInternal, Err: err}
	}
	next.cfg, next.reg, next.timer, next.suite = sa.cfg, sa.reg, -1, algorithms
	next.path, next.asker, next.nat, next.fragmentation = sa.path, sa.path, sa.nat, sa.fragmentation
	next.session = sa.session.shell()
	keys := algorithms.DeriveRekey(sa.suite.PRF, sa.d, shared, ni, nr, next.spii, next.spir)
	if err := next.protect(keys); err != nil {
		return err
	}
	if sa.state == StateEstablished || sa.state == StateReplaced {
		next.prove(provedInheritance)
	}
	return next.move(StateEstablished)
}

// handOver gives the session and the Child SAs to the SA that replaces this
// one (RFC 7296 §2.18). Requests about Child SAs that wait for their turn go
// with them.
func (sa *SA) handOver(now time.Time, next *SA, out *Outbox) {
	if err := sa.move(StateReplaced); err != nil {
		next.die(out)
		sa.fail(now, err, out)
		return
	}
	next.former, next.expires = nil, time.Time{}
	next.path, next.asker, next.nat = sa.path, sa.path, sa.nat
	next.mobike, next.mobility, sa.mobility = sa.mobike, sa.mobility, nil
	next.children, sa.children = sa.children, nil
	for _, c := range next.children {
		next.reg.children[c.id] = next
	}
	next.watch, next.moving, sa.heir = sa.watch, sa.moving, next
	next.session, sa.session = sa.session, sa.session.shell()
	next.watch.rekey = next.lifetime(now, next.cfg.Rekey.IKE)
	next.watch.pause, next.watch.failures = time.Time{}, 0
	if r := sa.own; r != nil && r.child != 0 {
		next.own, sa.own = r, nil
	}
	sa.bequeath(now, next, out)
	if sa.asksAbout(aboutIKE) { // our own rekey, which the client may have answered
		sa.asking = sa.asking[:1]
	} else {
		sa.stopAsking()
	}
	sa.expires = now.Add(sa.cfg.Timers.Replaced)
	out.Successors = append(out.Successors, next)
	detail := "IKE SA " + next.suite.String()
	if next.initiator {
		detail += begunHere
	}
	next.rekeyed(now, detail, out)
	next.resumeCheck(now, out)
}
