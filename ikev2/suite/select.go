package suite

import (
	"slices"

	"bridgehead/ikev2/message"
)

// Order says whose preference decides between common choices.
type Order uint8

// Orders of preference.
const (
	GatewayOrder Order = iota // the strongest common choice, by the gateway's order
	ClientOrder               // the first that the client offers
)

// Select is SelectFor for an offer that came with no KE payload.
func Select(configured Proposals, offered []message.Proposal, o Order) (Choice, error) {
	return SelectFor(configured, offered, o, GroupNone)
}

// SelectFirstChild selects for the Child SA of an IKE_AUTH exchange, which
// never has a key exchange of its own (RFC 7296 §1.2): groups on either side
// are passed over. NONE, where offered, is answered.
func SelectFirstChild(configured Proposals, offered []message.Proposal, o Order) (Choice, error) {
	stripped := slices.Clone(offered)
	for i := range stripped {
		stripped[i].Transforms = slices.DeleteFunc(slices.Clone(offered[i].Transforms), func(t message.Transform) bool {
			return t.Type == message.TransformKE && t.ID != uint16(GroupNone)
		})
	}
	return SelectFor(configured.WithoutKE(), stripped, o, GroupNone)
}

// SelectFor selects one transform of each type from an offer that came with a
// KE payload of the group sent, GroupNone without one.
//
// In GatewayOrder a choice with a group weaker than modp2048 is taken only if
// no other is possible. Otherwise the first configured proposal decides that
// has anything in common with any of the offered ones, and within it the
// position of encryption, then group, integrity, PRF and sequence numbers.
// In ClientOrder all that follows the offer's order.
//
// Either way the group sent goes before other common ones, since choosing
// another costs the client a round trip (INVALID_KE_PAYLOAD) and the gateway
// a second IKE_SA_INIT; except groups weaker than modp2048, and modp3072 and
// larger, which cost more than that. The caller compares the chosen group
// with the one sent.
//
// A configured ESP proposal that names no group leaves the key exchange to
// the peer: it accepts the groups of DefaultIKE, and none.
//
// As RFC 7296 §3.3.6 has it, transforms that are unknown, carry unknown
// attributes, or lack their key length are passed over; proposals with an
// unknown transform type, without a needed one, or with an SPI of the wrong
// size are too. The error is a *NoProposalError.
func SelectFor(configured Proposals, offered []message.Proposal, o Order, sent Group) (Choice, error) {
	var best candidate
	found := false
	for i, c := range configured {
		rules := newRules(c, sent)
		for j := range offered {
			if !rules.considers(&offered[j]) {
				continue
			}
			candidate, missing := rules.match(&offered[j], o)
			if missing != 0 {
				continue
			}
			candidate.place(o, i, j)
			if !found || slices.Compare(candidate.score[:], best.score[:]) < 0 {
				best, found = candidate, true
			}
		}
	}
	if !found {
		return Choice{}, newNoProposalError(configured, offered)
	}
	return best.choice, nil
}

// rules are one configured proposal, made ready for matching.
type rules struct {
	protocol message.Protocol
	types    []message.TransformType // those the protocol's proposals may have
	aead     bool
	sent     Group
	ranks    map[transformKey]int // position among the alternatives of a type
}

var (
	typesOfIKE = []message.TransformType{message.TransformENCR, message.TransformINTEG, message.TransformPRF, message.TransformKE}
	typesOfESP = []message.TransformType{message.TransformENCR, message.TransformINTEG, message.TransformKE, message.TransformESN}
)

// freeGroups are the alternatives of an ESP proposal that names no group.
var freeGroups = append(DefaultIKE()[0].of(message.TransformKE), message.Transform{Type: message.TransformKE, ID: uint16(GroupNone)})

func newRules(p Proposal, sent Group) rules {
	r := rules{protocol: p.Protocol, types: typesOfIKE, sent: sent, ranks: make(map[transformKey]int, len(p.Transforms))}
	if p.Protocol == message.ProtocolESP {
		r.types = typesOfESP
	}
	for _, t := range p.alternatives() {
		if _, ok := r.ranks[keyOf(t)]; !ok {
			r.ranks[keyOf(t)] = len(r.ranks)
		}
		r.aead = r.aead || t.Type == message.TransformENCR && isAEAD(t.ID)
	}
	if r.aead {
		r.ranks[transformKey{kind: message.TransformINTEG, id: IntegNone}] = 0
	}
	return r
}

// alternatives are p's transforms, and the free groups where p leaves the key
// exchange to the peer.
func (p Proposal) alternatives() []message.Transform {
	if p.Protocol == message.ProtocolESP && len(p.of(message.TransformKE)) == 0 {
		return append(slices.Clone(p.Transforms), freeGroups...)
	}
	return p.Transforms
}

// candidate is a possible choice. Of two, the one with the lesser score wins.
type candidate struct {
	choice Choice
	ranks  [message.TransformESN + 1]int // by transform type
	score  [8]int
}

// place computes the score of a candidate from the i-th configured and the
// j-th offered proposal.
func (c *candidate) place(o Order, i, j int) {
	weak, first, last := 0, j, i
	if o == GatewayOrder {
		first, last = i, j
		if c.choice.Group().weak() {
			weak = 1
		}
	}
	r := c.ranks
	c.score = [...]int{weak, first, r[message.TransformENCR], r[message.TransformKE],
		r[message.TransformINTEG], r[message.TransformPRF], r[message.TransformESN], last}
}

// considers reports whether an offered proposal is one whose transforms are to
// be looked at.
func (r *rules) considers(p *message.Proposal) bool {
	return p.Protocol == r.protocol && spiFits(p) &&
		!slices.ContainsFunc(p.Transforms, func(t message.Transform) bool { return !slices.Contains(r.types, t.Type) })
}

// typeSet is a set of transform types, 1<<type for each.
type typeSet uint8

func (s typeSet) has(kind message.TransformType) bool { return s&(1<<kind) != 0 }

// match selects the best of each type from one offered proposal that r
// considers. Missing are the types for which nothing fits.
func (r *rules) match(p *message.Proposal, o Order) (c candidate, missing typeSet) {
	c.choice = Choice{Number: p.Number, Protocol: p.Protocol, SPI: p.SPI}
	var offered typeSet
	for position, t := range p.Transforms {
		offered |= 1 << t.Type
		rank, ok := r.rank(t, position, o)
		have := c.choice.slot(t.Type)
		if ok && (have.Type == 0 || rank < c.ranks[t.Type]) {
			*have, c.ranks[t.Type] = t, rank
		}
	}
	for _, kind := range r.types {
		if c.choice.slot(kind).Type != 0 {
			continue
		}
		// A type that is left out stands for its transform 0: no integrity,
		// no key exchange, 32-bit sequence numbers. An AEAD takes the place
		// of integrity even where the offer mixes it with AES-CBC.
		rank, ok := r.rank(message.Transform{Type: kind}, 0, o)
		if !ok || offered.has(kind) && kind != message.TransformINTEG {
			missing |= 1 << kind
		}
		c.ranks[kind] = rank
	}
	return c, missing
}

// sentFirst is the rank of the group that the client has already sent.
const sentFirst = -1

// rank is the preference for one offered transform, the lowest first; false
// if it is not acceptable.
func (r *rules) rank(t message.Transform, position int, o Order) (int, bool) {
	rank, ok := r.ranks[keyOf(t)]
	if !ok || len(t.Attributes) > 0 {
		return 0, false
	}
	if t.Type == message.TransformKE && Group(t.ID) == r.sent && !r.sent.weak() && !r.sent.dear() {
		return sentFirst, true
	}
	if o == ClientOrder {
		return position, true
	}
	return rank, true
}

// slot is the choice's place for a transform type.
func (c *Choice) slot(kind message.TransformType) *message.Transform {
	switch kind {
	case message.TransformENCR:
		return &c.Encr
	case message.TransformPRF:
		return &c.PRF
	case message.TransformINTEG:
		return &c.Integ
	case message.TransformKE:
		return &c.KE
	default:
		return &c.ESN
	}
}

// spiFits checks the SPI's size (RFC 7296 §3.3.1): IKE SPIs are there only in
// a rekey.
func spiFits(p *message.Proposal) bool {
	if p.Protocol == message.ProtocolESP {
		return len(p.SPI) == 4
	}
	return len(p.SPI) == 0 || len(p.SPI) == 8
}
