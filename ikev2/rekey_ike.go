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
	next, err := sa.successor(x, j.shared)
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
	if err := sa.move(StateReplaced); err != nil {
		next.die(out)
		sa.fail(now, err, out)
		return
	}
	next.children, sa.children = sa.children, nil
	for _, c := range next.children {
		next.reg.children[c.id] = next
	}
	next.watch, next.moving, sa.heir = sa.watch, sa.moving, next
	next.session, sa.session = sa.session, &session{id: sa.session.id, client: sa.session.client}
	sa.stopAsking()
	sa.expires = now.Add(sa.cfg.Timers.Replaced)
	out.Successors = append(out.Successors, next)
	next.rekeyed(now, "IKE SA "+next.suite.String(), out)
}

// successor makes the SA with the new keys. It is established by inheritance
// from this one, which went the whole way.
func (sa *SA) successor(x *childExchange, shared suite.Secret) (*SA, error) {
	algorithms, err := x.choice.IKE()
	if err != nil {
		return nil, &GatewayFault{Cause: CauseInternal, Err: err}
	}
	spir, err := sa.reg.ikeSPI()
	if err != nil {
		return nil, err
	}
	next := &SA{
		cfg: sa.cfg, reg: sa.reg, spii: message.SPI(x.choice.SPI), spir: spir,
		path: sa.path, asker: sa.path, nat: sa.nat, suite: algorithms, fragmentation: sa.fragmentation,
		session: sa.session, timer: -1,
	}
	keys := algorithms.DeriveRekey(sa.suite.PRF, sa.d, shared, x.ni, x.nr, next.spii, next.spir)
	if err := next.protect(keys); err != nil {
		return nil, err
	}
	if sa.state == StateEstablished {
		next.prove(provedInheritance)
	}
	return next, next.move(StateEstablished)
}
