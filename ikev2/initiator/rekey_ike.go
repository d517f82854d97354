package initiator

import (
	"errors"
	"fmt"
	"time"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// rekeyIKETask waits for the answer to our rekey of the IKE SA.
type rekeyIKETask struct {
	spi     message.SPI
	nonce   []byte
	offered []message.Proposal
	pair    suite.KeyPair
	group   suite.Group
	again   bool
}

func (*rekeyIKETask) step() Step { return StepRekeyIKE }

// rekeyIKE sends a CREATE_CHILD_SA request with the suite in use (RFC 7296
// §1.3.2).
func (sa *SA) rekeyIKE(now time.Time, out *Outbox) error {
	t := &rekeyIKETask{group: sa.ike.suite.Group}
	var err error
	if t.spi, err = sa.randomSPI(); err != nil {
		return &LocalError{at{StepRekeyIKE}, err}
	}
	if t.nonce, err = sa.randomOctets(sa.cfg.Profile.nonceLen()); err != nil {
		return &LocalError{at{StepRekeyIKE}, err}
	}
	t.offered = suite.Proposals{sa.ike.suite.Proposal()}.Offer(t.spi[:])
	if sa.cfg.Profile.KeepNumber {
		t.offered[0].Number = sa.ike.number
	}
	return sa.sendRekeyIKE(now, t, out)
}

func (sa *SA) sendRekeyIKE(now time.Time, t *rekeyIKETask, out *Outbox) error {
	var err error
	if t.pair, err = t.group.Generate(sa.cfg.Rand); err != nil {
		return &LocalError{at{StepRekeyIKE}, err}
	}
	ps := []message.Payload{
		&message.SA{Proposals: t.offered},
		&message.Nonce{Data: t.nonce},
		&message.KE{Group: uint16(t.group), Data: t.pair.Public()},
	}
	return sa.request(now, sa.ike, message.ExchangeCreateChildSA, ps, t, out)
}

// answer moves to the new IKE SA and deletes the old one.
func (t *rekeyIKETask) answer(sa *SA, now time.Time, r response, out *Outbox) error {
	if n := refusal(r.payloads); n != nil {
		if g, ok := otherGroup(n, t.offered, t.group); ok && !t.again {
			t.group, t.again = g, true
			if err := sa.sendRekeyIKE(now, t, out); err != nil {
				sa.done(err, out)
			}
			return nil
		}
		sa.done(refusedRekey(StepRekeyIKE, message.ProtocolIKE, n, t.offered), out)
		return nil
	}
	next, err := t.agree(sa, r.payloads)
	if err != nil {
		return err
	}
	sa.succeed(next, out)
	ps := []message.Payload{&message.Delete{Protocol: message.ProtocolIKE}}
	return sa.request(now, sa.old, message.ExchangeInformational, ps, forgetTask{}, out)
}

func (t *rekeyIKETask) agree(sa *SA, ps []message.Payload) (*generation, error) {
	offer, nonce, ke := message.Find[*message.SA](ps), message.Find[*message.Nonce](ps), message.Find[*message.KE](ps)
	switch {
	case offer == nil:
		return nil, missing(StepRekeyIKE, "SA")
	case nonce == nil:
		return nil, missing(StepRekeyIKE, "Nonce")
	case ke == nil:
		return nil, missing(StepRekeyIKE, "KE")
	}
	choice, err := accept(StepRekeyIKE, message.ProtocolIKE, t.offered, offer)
	if err != nil {
		return nil, err
	}
	if choice.Group() != t.group || ke.Group != uint16(t.group) || len(choice.SPI) != len(message.SPI{}) {
		return nil, &ProtocolError{at{StepRekeyIKE}, fmt.Errorf("ikev2: KE payload of group %s and proposal with %s and SPI %x, expected %s and an SPI of 8 octets",
			suite.Group(ke.Group), choice.Group(), choice.SPI, t.group)}
	}
	shared, err := t.pair.Shared(ke.Data)
	if err != nil {
		return nil, &ProtocolError{at{StepRekeyIKE}, err}
	}
	defer shared.Wipe()
	next, err := sa.ike.successor(choice, shared, t.nonce, nonce.Data, t.spi, message.SPI(choice.SPI), true)
	if err != nil {
		return nil, &ProtocolError{at{StepRekeyIKE}, err}
	}
	return next, nil
}

// successor is the IKE SA that replaces g (RFC 7296 §2.18). Its message ids
// begin at 0.
func (g *generation) successor(choice suite.Choice, shared suite.Secret, ni, nr []byte, spii, spir message.SPI, initiator bool) (*generation, error) {
	algorithms, err := choice.IKE()
	if err != nil {
		return nil, err
	}
	if spii.IsZero() || spir.IsZero() {
		return nil, errors.New("ikev2: the new IKE SA has an SPI of zero")
	}
	keys := algorithms.DeriveRekey(g.suite.PRF, g.keys.D, shared, ni, nr, spii, spir)
	protection, err := exchange.NewProtection(algorithms, keys, initiator)
	if err != nil {
		return nil, err
	}
	return &generation{number: g.number, spii: spii, spir: spir, initiator: initiator, suite: algorithms, keys: keys, protection: protection}, nil
}

// succeed puts a new IKE SA in the place of the one in use, whose Child SAs
// it inherits.
func (sa *SA) succeed(next *generation, out *Outbox) {
	sa.forgetOld(out)
	sa.old, sa.ike = sa.ike, next
	sa.result.IKE = next.suite.String()
	out.Notices = append(out.Notices, Bound{next.ownSPI()})
}

// forgetOld ends the IKE SA that was replaced.
func (sa *SA) forgetOld(out *Outbox) {
	if sa.old == nil {
		return
	}
	t := sa.old.task
	sa.old.keys.Wipe()
	out.Notices = append(out.Notices, Unbound{sa.old.ownSPI()})
	sa.old = nil
	if _, ours := t.(forgetTask); ours {
		out.Notices = append(out.Notices, Rekeyed{Step: StepRekeyIKE})
	}
	if t != nil {
		sa.done(nil, out)
	}
}

// forgetTask waits for the gateway to agree to the deletion of an IKE SA that
// we replaced. A silent gateway changes nothing: the new one stands.
type forgetTask struct{}

func (forgetTask) step() Step { return StepRekeyIKE }

func (forgetTask) answer(sa *SA, now time.Time, _ response, out *Outbox) error {
	sa.old.task = forgetTask{}
	sa.forgetOld(out)
	return nil
}
