package suite

import (
	"slices"
	"strings"

	"bridgehead/ikev2/message"
)

// Ability is what a kind of client can be set to offer.
type Ability struct {
	// IKE has all combinations; a later list counts only where no earlier one
	// has anything in common with the gateway.
	IKE []Proposals
	ESP Proposals // without groups
	PFS Proposals // the same with the groups for rekeys of a Child SA
}

// NewAbility makes an Ability of a program's own constants, lists of proposals;
// pfs are the groups that may follow those of esp. It panics on a mistake.
func NewAbility(ike []string, esp, pfs string) Ability {
	a := Ability{
		ESP: mustParse(message.ProtocolESP, esp),
		PFS: mustParse(message.ProtocolESP, strings.ReplaceAll(esp, ",", "-"+pfs+",")+"-"+pfs),
	}
	for _, list := range ike {
		a.IKE = append(a.IKE, mustParse(message.ProtocolIKE, list))
	}
	return a
}

// Choose takes the strongest suites, by the gateway's order, that such a client
// can be set to. Rekeys of a Child SA get a key exchange of their own where
// esp names a group for them; forChild has no group otherwise. The error is a
// *NoProposalError.
func (a Ability) Choose(ike, esp Proposals) (forIKE, forChild Choice, err error) {
	for _, known := range a.IKE {
		if forIKE, err = Select(ike, known.Offer(nil), GatewayOrder); err == nil {
			break
		}
	}
	if err != nil {
		return Choice{}, Choice{}, err
	}
	spi := make([]byte, 4) // without one, an ESP proposal is none
	if slices.ContainsFunc(esp, Proposal.namesGroup) {
		if forChild, err = Select(esp, a.PFS.Offer(spi), GatewayOrder); err == nil {
			return forIKE, forChild, nil
		}
	}
	forChild, err = Select(esp, a.ESP.Offer(spi), GatewayOrder)
	return forIKE, forChild, err
}

// namesGroup tells whether a proposal asks for a key exchange.
func (p Proposal) namesGroup() bool {
	return slices.ContainsFunc(p.Transforms, func(t message.Transform) bool {
		return t.Type == message.TransformKE && Group(t.ID) != GroupNone
	})
}
