package initiator

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
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
	of      *generation // which is rekeyed
	rival   *generation // what the gateway's rekey of the same made; nil: none
	lowest  []byte      // nonce of that exchange
}

func (*rekeyIKETask) step() Step { return StepRekeyIKE }

// rekeyIKE sends a CREATE_CHILD_SA request with the suite in use (RFC 7296
// §1.3.2).
func (sa *SA) rekeyIKE(now time.Time, out *Outbox) error {
	t := &rekeyIKETask{group: sa.ike.suite.Group, of: sa.ike}
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

// answer moves to the new IKE SA and deletes the old one; or it deletes the
// new one, where the gateway's rekey of the same IKE SA counts (RFC 7296
// §2.8.2).
func (t *rekeyIKETask) answer(sa *SA, now time.Time, r response, out *Outbox) error {
	rival := t.contender()
	if n := refusal(r.payloads); n != nil {
		switch {
		case t.of != sa.ike:
			return nil
		case rival != nil:
			sa.takeOver(now, rival, out)
			return nil
		}
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
	next, nr, err := t.agree(r.payloads)
	if err != nil {
		return err
	}
	out.Notices = append(out.Notices, Bound{next.ownSPI()})
	ps := []message.Payload{&message.Delete{Protocol: message.ProtocolIKE}}
	lost := rival != nil && bytes.Compare(lower(t.nonce, nr), t.lowest) < 0
	if t.of != sa.ike || lost {
		if lost {
			sa.takeOver(now, rival, out)
		}
		next.until = now.Add(replacedStays)
		sa.others = append(sa.others, next)
		return sa.request(now, next, message.ExchangeInformational, ps, forgetTask{of: next}, out)
	}
	if rival != nil { // the gateway is about to delete it
		rival.contends = false
	}
	sa.succeed(now, next)
	return sa.request(now, t.of, message.ExchangeInformational, ps, forgetTask{of: t.of, rekeyed: true}, out)
}

// agree makes the new IKE SA and gives the gateway's nonce.
func (t *rekeyIKETask) agree(ps []message.Payload) (*generation, []byte, error) {
	offer, nonce, ke := message.Find[*message.SA](ps), message.Find[*message.Nonce](ps), message.Find[*message.KE](ps)
	switch {
	case offer == nil:
		return nil, nil, missing(StepRekeyIKE, "SA")
	case nonce == nil:
		return nil, nil, missing(StepRekeyIKE, "Nonce")
	case ke == nil:
		return nil, nil, missing(StepRekeyIKE, "KE")
	}
	choice, err := accept(StepRekeyIKE, message.ProtocolIKE, t.offered, offer)
	if err != nil {
		return nil, nil, err
	}
	if choice.Group() != t.group || ke.Group != uint16(t.group) || len(choice.SPI) != len(message.SPI{}) {
		return nil, nil, &ProtocolError{at{StepRekeyIKE}, fmt.Errorf("ikev2: KE payload of group %s and proposal with %s and SPI %x, expected %s and an SPI of 8 octets",
			suite.Group(ke.Group), choice.Group(), choice.SPI, t.group)}
	}
	shared, err := t.pair.Shared(ke.Data)
	if err != nil {
		return nil, nil, &ProtocolError{at{StepRekeyIKE}, err}
	}
	defer shared.Wipe()
	next, err := t.of.successor(choice, shared, t.nonce, nonce.Data, t.spi, message.SPI(choice.SPI), true)
	if err != nil {
		return nil, nil, &ProtocolError{at{StepRekeyIKE}, err}
	}
	return next, nonce.Data, nil
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

// replacedStays is how long an IKE SA that nobody deletes stays after another
// has replaced it.
const replacedStays = 2 * time.Minute

// succeed puts a new IKE SA in the place of the one in use, whose Child SAs
// it inherits.
func (sa *SA) succeed(now time.Time, next *generation) {
	sa.others = slices.DeleteFunc(sa.others, func(g *generation) bool { return g == next })
	sa.ike.until = now.Add(replacedStays)
	sa.others = append(sa.others, sa.ike)
	next.contends, next.until = false, time.Time{}
	sa.ike = next
	sa.result.IKE = next.suite.String()
}

// takeOver goes on with the IKE SA that the gateway's rekey made while ours was
// under way, which ends with that: should it succeed yet, what it made is ours
// to delete.
func (sa *SA) takeOver(now time.Time, next *generation, out *Outbox) {
	sa.succeed(now, next)
	out.Notices = append(out.Notices, Rekeyed{Step: StepRekeyIKE, ByPeer: true})
	sa.done(nil, out)
}

// rival is what the gateway's rekey made of an IKE SA that we are rekeying; nil
// if there is none that could take over.
func (g *generation) rival() *generation {
	if t, ok := g.task.(*rekeyIKETask); ok {
		return t.contender()
	}
	return nil
}

func (t *rekeyIKETask) contender() *generation {
	if t.rival == nil || !t.rival.contends {
		return nil
	}
	return t.rival
}

// forget ends an IKE SA that is not in use any more.
func (sa *SA) forget(g *generation, out *Outbox) {
	sa.others = slices.DeleteFunc(sa.others, func(o *generation) bool { return o == g })
	g.keys.Wipe()
	g.contends = false
	out.Notices = append(out.Notices, Unbound{g.ownSPI()})
	switch t := g.task.(type) {
	case forgetTask:
		t.end(sa, out)
	case livenessTask: // the gateway lives: it replaced the IKE SA
		sa.done(nil, out)
	case moveTask: // to be told on the IKE SA in use
		sa.tellAgain()
	}
}

// forgetTask waits for the gateway to agree to the deletion of an IKE SA that
// we replaced or that is redundant. A silent gateway changes nothing.
type forgetTask struct {
	of      *generation
	rekeyed bool // the last step of our rekey
}

func (forgetTask) step() Step { return StepRekeyIKE }

func (t forgetTask) answer(sa *SA, _ time.Time, _ response, out *Outbox) error {
	sa.forget(t.of, out)
	t.end(sa, out)
	return nil
}

// end is that of a command too, if the deletion was its last step.
func (t forgetTask) end(sa *SA, out *Outbox) {
	if t.rekeyed {
		out.Notices = append(out.Notices, Rekeyed{Step: StepRekeyIKE})
		sa.done(nil, out)
	}
}
