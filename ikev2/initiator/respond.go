package initiator

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// receiveRequest answers a request of the gateway. Before the login is
// complete it changes nothing and is not answered.
func (sa *SA) receiveRequest(now time.Time, g *generation, h message.Header, ps []message.Payload, bad error, out *Outbox) error {
	if sa.state < stateEstablished {
		sa.dropped = errors.New("ikev2: a request of the gateway before the login was complete")
		return nil
	}
	switch g.responses.Classify(h.MessageID) {
	case exchange.Fresh:
	case exchange.Repeated:
		sa.send(g.responses.Last(), out)
		return nil
	default:
		return nil
	}
	g.responses.Begin()
	if g.contends && !endsIKE(ps) { // to the gateway it is the one that counts
		sa.takeOver(now, g, out)
	}
	answer, then := sa.actOn(now, g, h, ps, bad, out)
	datagrams, err := g.protection.Seal(g.header(h.Exchange, h.MessageID, true), answer, sa.fragmentLimit(), sa.cfg.Rand)
	if err != nil {
		return err
	}
	g.responses.Answer(datagrams)
	sa.send(datagrams, out)
	if then != nil {
		return then()
	}
	return nil
}

// actOn acts on a request and gives the answer's payloads, and what is to be
// done once it has been sent.
func (sa *SA) actOn(now time.Time, g *generation, h message.Header, ps []message.Payload, bad error, out *Outbox) (answer []message.Payload, then func() error) {
	if bad != nil {
		return notification(message.InvalidSyntax, nil), nil
	}
	if kind, ok := message.UnsupportedCritical(ps); ok {
		return notification(message.UnsupportedCriticalPayload, []byte{byte(kind)}), nil
	}
	switch h.Exchange {
	case message.ExchangeInformational:
		return sa.informed(now, g, ps, out)
	case message.ExchangeCreateChildSA:
		if g != sa.ike {
			return notification(message.TemporaryFailure, nil), nil
		}
		return sa.createChild(now, ps, out)
	}
	return notification(message.InvalidSyntax, nil), nil
}

func notification(kind message.NotifyType, data []byte) []message.Payload {
	return []message.Payload{&message.Notify{Kind: kind, Data: data}}
}

// informed answers an INFORMATIONAL request (RFC 7296 §1.4): liveness checks
// and notifications with nothing, a return routability check with its cookie,
// deletions with the deletion of our half.
func (sa *SA) informed(now time.Time, g *generation, ps []message.Payload, out *Outbox) (answer []message.Payload, then func() error) {
	var gone [][]byte
	for d := range message.All[*message.Delete](ps) {
		switch {
		case d.Protocol == message.ProtocolIKE && (g != sa.ike || g.rival() != nil):
			return nil, func() error {
				if g == sa.ike { // it did not see our rekey (RFC 7296 §2.8.2)
					sa.takeOver(now, g.rival(), out)
				}
				sa.forget(g, out)
				return nil
			}
		case d.Protocol == message.ProtocolIKE:
			return nil, func() error { return &DeletedError{at: at{sa.step()}} }
		case d.Protocol == message.ProtocolESP && d.SPISize == 4:
			for _, spi := range d.SPIs {
				if ours, ok := sa.deleted(binary.BigEndian.Uint32(spi), out); ok {
					gone = append(gone, binary.BigEndian.AppendUint32(nil, ours))
				}
			}
		}
	}
	sa.noteMobility(ps)
	if n := message.FindNotify(ps, message.Cookie2); n != nil { // RFC 4555 §3.7
		answer = append(answer, n)
	}
	if gone != nil {
		answer = append(answer, &message.Delete{Protocol: message.ProtocolESP, SPISize: 4, SPIs: gone})
	}
	if sa.child == nil && !sa.rekeysChild() {
		then = func() error { return &DeletedError{at: at{StepDelete}, ChildOnly: true} }
	}
	return answer, then
}

// deleted removes the Child SA that the gateway's inbound SPI names and gives
// our inbound SPI (RFC 7296 §1.4.1). One that we are deleting ourselves needs
// no answer.
func (sa *SA) deleted(spi uint32, out *Outbox) (ours uint32, ok bool) {
	deleting, _ := sa.ike.task.(deleteChildTask)
	if sa.child != nil && sa.child.esp.Out.SPI == spi {
		c := sa.child
		sa.child = nil
		if n := len(sa.retired); n > 0 && sa.retired[n-1] != deleting.old { // it stays with what that replaced
			sa.child, sa.retired = sa.retired[n-1], sa.retired[:n-1]
		}
		sa.remove(c, out)
		return c.esp.In.SPI, true
	}
	i := slices.IndexFunc(sa.retired, func(c *child) bool { return c.esp.Out.SPI == spi })
	if i < 0 {
		return 0, false
	}
	c := sa.retired[i]
	sa.remove(c, out)
	return c.esp.In.SPI, c != deleting.old
}

// endsIKE tells whether a request deletes its IKE SA.
func endsIKE(ps []message.Payload) bool {
	for d := range message.All[*message.Delete](ps) {
		if d.Protocol == message.ProtocolIKE {
			return true
		}
	}
	return false
}

// collides tells whether the gateway's request has to wait for what we have
// begun (RFC 7296 §2.25). Two rekeys of one SA may meet.
func (sa *SA) collides(forIKE bool) bool {
	switch sa.ike.task.(type) {
	case deleteTask:
		return true
	case *rekeyIKETask:
		return !forIKE
	case *rekeyChildTask, deleteChildTask:
		return forIKE
	}
	return false
}

// createChild answers a CREATE_CHILD_SA request: rekeys are taken, further
// Child SAs are not.
func (sa *SA) createChild(now time.Time, ps []message.Payload, out *Outbox) (answer []message.Payload, then func() error) {
	offer, nonce := message.Find[*message.SA](ps), message.Find[*message.Nonce](ps)
	if offer == nil || nonce == nil || len(offer.Proposals) == 0 {
		return notification(message.InvalidSyntax, nil), nil
	}
	forIKE := offer.Proposals[0].Protocol == message.ProtocolIKE
	if sa.collides(forIKE) {
		return notification(message.TemporaryFailure, nil), nil
	}
	if refused := sa.cfg.Profile.Demands.onServerRekey(sa, offer, message.Find[*message.KE](ps)); refused != nil {
		return refused, nil
	}
	if forIKE {
		return sa.answerRekeyIKE(now, offer, nonce, ps, out), nil
	}
	rekey := message.FindNotify(ps, message.RekeySA)
	switch {
	case rekey == nil:
		return notification(message.NoAdditionalSAs, nil), nil
	case sa.isRetired(rekey), !sa.has(rekey) && sa.rekeysChild(): // what the gateway made of our request, perhaps
		return notification(message.TemporaryFailure, nil), nil
	case !sa.has(rekey):
		return []message.Payload{&message.Notify{Protocol: rekey.Protocol, SPI: rekey.SPI, Kind: message.ChildSANotFound}}, nil
	}
	return sa.answerRekeyChild(offer, nonce, ps, out), nil
}

// has tells whether a rekey is of the Child SA in use.
func (sa *SA) has(rekey *message.Notify) bool {
	return sa.child != nil && rekey.Protocol == message.ProtocolESP && len(rekey.SPI) == 4 &&
		binary.BigEndian.Uint32(rekey.SPI) == sa.child.esp.Out.SPI
}

// rekeysChild tells whether a rekey of ours of the Child SA is under way.
func (sa *SA) rekeysChild() bool {
	_, rekeying := sa.ike.task.(*rekeyChildTask)
	return rekeying
}

// isRetired tells whether a rekey is of a Child SA that has been replaced.
func (sa *SA) isRetired(rekey *message.Notify) bool {
	return rekey.Protocol == message.ProtocolESP && len(rekey.SPI) == 4 && slices.ContainsFunc(sa.retired, func(c *child) bool {
		return c.esp.Out.SPI == binary.BigEndian.Uint32(rekey.SPI)
	})
}

// keyExchange answers a KE payload of the gateway: our public value and the
// shared secret, or the notification that refuses it.
func (sa *SA) keyExchange(chosen suite.Group, ke *message.KE) (public *message.KE, shared suite.Secret, refused []message.Payload) {
	if ke == nil || ke.Group != uint16(chosen) {
		return nil, nil, notification(message.InvalidKEPayload, binary.BigEndian.AppendUint16(nil, uint16(chosen)))
	}
	pair, err := chosen.Generate(sa.cfg.Rand)
	if err == nil {
		shared, err = pair.Shared(ke.Data)
	}
	if err != nil {
		return nil, nil, notification(message.InvalidSyntax, nil)
	}
	return &message.KE{Group: uint16(chosen), Data: pair.Public()}, shared, nil
}

// answerRekeyIKE takes the gateway's rekey of the IKE SA; it deletes the old
// one itself.
func (sa *SA) answerRekeyIKE(now time.Time, offer *message.SA, nonce *message.Nonce, ps []message.Payload, out *Outbox) []message.Payload {
	ke := message.Find[*message.KE](ps)
	var sent suite.Group
	if ke != nil {
		sent = suite.Group(ke.Group)
	}
	choice, err := suite.SelectFor(suite.Proposals{sa.ike.suite.Proposal()}, offer.Proposals, suite.GatewayOrder, sent)
	if err != nil || len(choice.SPI) != len(message.SPI{}) {
		return notification(message.NoProposalChosen, nil)
	}
	public, shared, refused := sa.keyExchange(choice.Group(), ke)
	if refused != nil {
		return refused
	}
	defer shared.Wipe()
	spi, err := sa.randomSPI()
	if err != nil {
		return notification(message.TemporaryFailure, nil)
	}
	ours, err := sa.randomOctets(sa.cfg.Profile.nonceLen())
	if err != nil {
		return notification(message.TemporaryFailure, nil)
	}
	next, err := sa.ike.successor(choice, shared, nonce.Data, ours, message.SPI(choice.SPI), spi, false)
	if err != nil {
		return notification(message.NoProposalChosen, nil)
	}
	out.Notices = append(out.Notices, Bound{next.ownSPI()})
	if t, rekeying := sa.ike.task.(*rekeyIKETask); rekeying {
		t.rival, t.lowest = next, lower(nonce.Data, ours)
		next.contends, next.until = true, now.Add(replacedStays)
		sa.others = append(sa.others, next)
	} else {
		sa.succeed(now, next)
		out.Notices = append(out.Notices, Rekeyed{Step: StepRekeyIKE, ByPeer: true})
	}
	return []message.Payload{&message.SA{Proposals: []message.Proposal{choice.Answer(spi[:])}}, &message.Nonce{Data: ours}, public}
}

// answerRekeyChild takes the gateway's rekey of the Child SA; it deletes the
// old one itself.
func (sa *SA) answerRekeyChild(offer *message.SA, nonce *message.Nonce, ps []message.Payload, out *Outbox) []message.Payload {
	ke, tsi, tsr := message.Find[*message.KE](ps), message.FindTS(ps, false), message.FindTS(ps, true)
	if tsi == nil || tsr == nil {
		return notification(message.InvalidSyntax, nil)
	}
	remote, okI := narrow(tsi.Selectors, sa.child.esp.Remote)
	local, okR := narrow(tsr.Selectors, sa.child.esp.Local)
	if !okI || !okR {
		return notification(message.TSUnacceptable, nil)
	}
	var sent suite.Group
	if ke != nil {
		sent = suite.Group(ke.Group)
	}
	choice, err := suite.SelectFor(suite.Proposals{sa.child.esp.In.Suite.Proposal()}, offer.Proposals, suite.GatewayOrder, sent)
	if err != nil {
		return notification(message.NoProposalChosen, nil)
	}
	var public *message.KE
	var shared suite.Secret
	if g := choice.Group(); g != suite.GroupNone {
		var refused []message.Payload
		if public, shared, refused = sa.keyExchange(g, ke); refused != nil {
			return refused
		}
		defer shared.Wipe()
	}
	spi, err := sa.randomChildSPI()
	if err != nil {
		return notification(message.TemporaryFailure, nil)
	}
	ours, err := sa.randomOctets(sa.cfg.Profile.nonceLen())
	if err != nil {
		return notification(message.TemporaryFailure, nil)
	}
	next, err := sa.newChild(agreement{
		choice: choice, spiIn: spi, shared: shared, ni: nonce.Data, nr: ours,
		tsi: remote, tsr: local, generation: sa.ike,
	})
	if err != nil {
		return notification(message.NoProposalChosen, nil)
	}
	if t, rekeying := sa.ike.task.(*rekeyChildTask); rekeying && t.old == sa.child {
		t.lowest = lower(nonce.Data, ours)
	}
	sa.replace(next, out)
	out.Notices = append(out.Notices, Rekeyed{Step: StepRekeyChild, ByPeer: true})
	answer := []message.Payload{
		&message.SA{Proposals: []message.Proposal{choice.Answer(binary.BigEndian.AppendUint32(nil, spi))}},
		&message.Nonce{Data: ours},
	}
	if public != nil {
		answer = append(answer, public)
	}
	return append(answer, &message.TS{Selectors: remote}, &message.TS{Responder: true, Selectors: local})
}

// narrow gives the selectors of a rekeyed Child SA: what the gateway asks for
// if that is no more than is in use, else what is in use if it asks for no
// less (RFC 7296 §2.9.2).
func narrow(asked, inUse []message.Selector) ([]message.Selector, bool) {
	if within(asked, inUse) {
		return slices.Clone(asked), true
	}
	return inUse, within(inUse, asked)
}
