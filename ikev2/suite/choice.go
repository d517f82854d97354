package suite

import (
	"fmt"

	"bridgehead/ikev2/message"
)

// Choice is one transform of each type, selected from an offer. A Transform
// is zero where the offer has none of its type.
type Choice struct {
	Number   uint8 // of the proposal in the offer
	Protocol message.Protocol
	SPI      []byte // the proposal's, of the offering side
	Encr     message.Transform
	PRF      message.Transform
	Integ    message.Transform
	KE       message.Transform
	ESN      message.Transform
}

// transforms are those that the answer carries: what was offered of NONE is
// answered as NONE, what was not offered is left out.
func (c Choice) transforms() []message.Transform {
	ts := make([]message.Transform, 0, 5)
	for _, t := range []message.Transform{c.Encr, c.PRF, c.Integ, c.KE, c.ESN} {
		if t.Type != 0 {
			ts = append(ts, t)
		}
	}
	return ts
}

// Answer is the proposal of the answering SA payload: the offer's number and
// the chosen transforms as they were offered, with the answerer's own SPI.
func (c Choice) Answer(spi []byte) message.Proposal {
	return message.Proposal{Number: c.Number, Protocol: c.Protocol, SPI: spi, Transforms: c.transforms()}
}

// String is the choice in strongSwan's notation.
func (c Choice) String() string { return notation(c.Protocol, c.transforms()) }

// Group is the chosen key exchange; GroupNone without one.
func (c Choice) Group() Group { return Group(c.KE.ID) }

// IKE is the choice as the algorithms of an IKE SA. The error is an
// *UnsupportedError.
func (c Choice) IKE() (IKE, error) {
	if c.Protocol != message.ProtocolIKE {
		return IKE{}, fmt.Errorf("suite: a proposal for %s is no proposal for IKE", c.Protocol)
	}
	s := IKE{Encr: c.Encr.ID, KeyLength: c.Encr.KeyLength, Integ: c.Integ.ID, PRF: PRF(c.PRF.ID), Group: Group(c.KE.ID)}
	return s, s.Check()
}

// ESP is the choice as the algorithms of a Child SA; the group of its key
// exchange is Group. The error is an *UnsupportedError.
func (c Choice) ESP() (ESP, error) {
	if c.Protocol != message.ProtocolESP {
		return ESP{}, fmt.Errorf("suite: a proposal for %s is no proposal for ESP", c.Protocol)
	}
	s := ESP{Encr: c.Encr.ID, KeyLength: c.Encr.KeyLength, Integ: c.Integ.ID, ESN: c.ESN.ID == ESNYes}
	return s, s.Check()
}
