package initiator

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// rekeyChildTask waits for the answer to our rekey of the Child SA.
type rekeyChildTask struct {
	old     *child
	spi     uint32
	nonce   []byte
	offered []message.Proposal
	pair    suite.KeyPair // nil without key exchange
	group   suite.Group
	again   bool   // the gateway asked for another group once
	lowest  []byte // nonce of the gateway's rekey of the same Child SA, come meanwhile; nil: none
}

func (*rekeyChildTask) step() Step { return StepRekeyChild }

// rekeyChild sends a CREATE_CHILD_SA request (RFC 7296 §1.3.3).
func (sa *SA) rekeyChild(now time.Time, withKE bool, out *Outbox) error {
	t := &rekeyChildTask{old: sa.child, group: suite.GroupNone}
	var err error
	if t.spi, err = sa.randomChildSPI(); err != nil {
		return &LocalError{at{StepRekeyChild}, err}
	}
	if t.nonce, err = sa.randomOctets(sa.cfg.Profile.nonceLen()); err != nil {
		return &LocalError{at{StepRekeyChild}, err}
	}
	t.offered = sa.rekeyOffer(withKE, t.spi)
	if withKE {
		if t.group = firstGroup(t.offered); t.group == suite.GroupNone {
			t.group = sa.ike.suite.Group
		}
	}
	return sa.sendRekeyChild(now, t, out)
}

// rekeyOffer is the profile's offer for rekeys, or the suite in use, with the
// IKE SA's group if there is to be a key exchange.
func (sa *SA) rekeyOffer(withKE bool, spi uint32) []message.Proposal {
	octets := binary.BigEndian.AppendUint32(nil, spi)
	if sa.cfg.Profile.RekeyESP != nil {
		return withSPI(sa.cfg.Profile.RekeyESP, octets)
	}
	p := sa.child.esp.In.Suite.Proposal()
	if withKE {
		p.Transforms = append(p.Transforms, group(sa.ike.suite.Group))
	}
	return suite.Proposals{p}.Offer(octets)
}

func (sa *SA) sendRekeyChild(now time.Time, t *rekeyChildTask, out *Outbox) error {
	ps := []message.Payload{
		&message.Notify{Protocol: message.ProtocolESP, SPI: binary.BigEndian.AppendUint32(nil, t.old.esp.In.SPI), Kind: message.RekeySA},
		&message.SA{Proposals: t.offered},
		&message.Nonce{Data: t.nonce},
	}
	if t.group != suite.GroupNone {
		var err error
		if t.pair, err = t.group.Generate(sa.cfg.Rand); err != nil {
			return &LocalError{at{StepRekeyChild}, err}
		}
		ps = append(ps, &message.KE{Group: uint16(t.group), Data: t.pair.Public()})
	}
	ps = append(ps, &message.TS{Selectors: t.old.esp.Local}, &message.TS{Responder: true, Selectors: t.old.esp.Remote})
	return sa.request(now, sa.ike, message.ExchangeCreateChildSA, ps, t, out)
}

// answer installs the new Child SA and has the old one deleted. A refusal
// leaves everything as it was.
func (t *rekeyChildTask) answer(sa *SA, now time.Time, r response, out *Outbox) error {
	if n := refusal(r.payloads); n != nil {
		return t.refused(sa, now, n, out)
	}
	next, nr, err := t.agree(sa, r.payloads)
	if err != nil {
		// The gateway has a Child SA that we cannot use; the IKE SA is of no
		// use either when both ends differ about what it carries.
		return err
	}
	if t.lowest != nil && bytes.Compare(lower(t.nonce, nr), t.lowest) < 0 {
		sa.addRedundant(next, out)
		return sa.deleteChild(now, next, StepRekeyChild, out)
	}
	next.esp.Sending = esp.SendAtOnce
	sa.replace(next, out)
	return sa.deleteChild(now, t.old, StepRekeyChild, out)
}

// refused obeys a refusal. What is wanted has come to be if the gateway has
// rekeyed the Child SA itself (RFC 7296 §2.25.1).
func (t *rekeyChildTask) refused(sa *SA, now time.Time, n *message.Notify, out *Outbox) error {
	switch g, ok := otherGroup(n, t.offered, t.group); {
	case t.lowest != nil:
		sa.done(nil, out)
	case sa.child == nil:
		return &DeletedError{at: at{StepDelete}, ChildOnly: true}
	case ok && !t.again:
		t.group, t.again = g, true
		if err := sa.sendRekeyChild(now, t, out); err != nil {
			sa.done(err, out)
		}
	default:
		sa.done(refusedRekey(StepRekeyChild, message.ProtocolESP, n, t.offered), out)
	}
	return nil
}

// lower is the lower of two nonces, by their first octet that differs (RFC
// 7296 §2.8.1).
func lower(a, b []byte) []byte {
	if bytes.Compare(a, b) < 0 {
		return a
	}
	return b
}

// agree makes the new Child SA and gives the gateway's nonce.
func (t *rekeyChildTask) agree(sa *SA, ps []message.Payload) (*child, []byte, error) {
	offer, nonce, ke := message.Find[*message.SA](ps), message.Find[*message.Nonce](ps), message.Find[*message.KE](ps)
	tsi, tsr := message.FindTS(ps, false), message.FindTS(ps, true)
	switch {
	case offer == nil:
		return nil, nil, missing(StepRekeyChild, "SA")
	case nonce == nil:
		return nil, nil, missing(StepRekeyChild, "Nonce")
	}
	choice, err := accept(StepRekeyChild, message.ProtocolESP, t.offered, offer)
	if err != nil {
		return nil, nil, err
	}
	if err := checkSelectors(StepRekeyChild, tsi, tsr, t.old.esp.Local, t.old.esp.Remote); err != nil {
		return nil, nil, err
	}
	shared, err := t.exchanged(choice, ke)
	if err != nil {
		return nil, nil, &ProtocolError{at{StepRekeyChild}, err}
	}
	defer shared.Wipe()
	next, err := sa.newChild(agreement{
		choice: choice, spiIn: t.spi, shared: shared, ni: t.nonce, nr: nonce.Data, byUs: true,
		tsi: cloneSelectors(tsi), tsr: cloneSelectors(tsr), generation: sa.ike,
	})
	if err != nil {
		return nil, nil, &ProtocolError{at{StepRekeyChild}, err}
	}
	return next, nonce.Data, nil
}

// exchanged is the shared secret of the key exchange, nil if there was none:
// proposal and payloads must agree on whether there was.
func (t *rekeyChildTask) exchanged(choice suite.Choice, ke *message.KE) (suite.Secret, error) {
	chosen := choice.Group()
	if chosen == suite.GroupNone {
		return nil, nil
	}
	if t.pair == nil || chosen != t.group || ke == nil || ke.Group != uint16(t.group) {
		return nil, fmt.Errorf("ikev2: it chose the group %s, a KE payload of %s in request and answer is expected then", chosen, t.group)
	}
	return t.pair.Shared(ke.Data)
}

// otherGroup is the group that INVALID_KE_PAYLOAD asks for, if we offered it.
func otherGroup(n *message.Notify, offered []message.Proposal, sent suite.Group) (suite.Group, bool) {
	if n.Kind != message.InvalidKEPayload || len(n.Data) != 2 {
		return 0, false
	}
	g := suite.Group(binary.BigEndian.Uint16(n.Data))
	return g, g != sent && (g == suite.GroupNone || hasGroup(offered, g, false))
}

// refusedRekey is the Failure behind an error notification of a rekey.
func refusedRekey(s Step, p message.Protocol, n *message.Notify, offered []message.Proposal) error {
	if n.Kind == message.NoProposalChosen {
		return &NoProposalError{at: at{s}, Protocol: p, Offered: suite.Describe(offered)}
	}
	return &RefusedError{at{s}, n.Kind, bytes.Clone(n.Data)}
}

// deleteChildTask waits for the gateway to agree to the deletion of a Child
// SA that we replaced.
type deleteChildTask struct {
	old *child
	of  Step
}

func (t deleteChildTask) step() Step { return t.of }

func (sa *SA) deleteChild(now time.Time, old *child, of Step, out *Outbox) error {
	spi := binary.BigEndian.AppendUint32(nil, old.esp.In.SPI)
	ps := []message.Payload{&message.Delete{Protocol: message.ProtocolESP, SPISize: 4, SPIs: [][]byte{spi}}}
	return sa.request(now, sa.ike, message.ExchangeInformational, ps, deleteChildTask{old, of}, out)
}

func (t deleteChildTask) answer(sa *SA, _ time.Time, _ response, out *Outbox) error {
	if slices.Contains(sa.retired, t.old) {
		sa.remove(t.old, out)
	}
	out.Notices = append(out.Notices, Rekeyed{Step: StepRekeyChild})
	sa.done(nil, out)
	return nil
}
