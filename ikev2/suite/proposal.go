package suite

import (
	"slices"
	"strconv"
	"strings"

	"bridgehead/ikev2/message"
)

// Proposals is what one side accepts or offers, in its order of preference.
type Proposals []Proposal

// Proposal holds the alternatives for each transform type, in order of
// preference. All combinations are meant (RFC 7296 §3.3); encryption is either
// all AEAD or all not.
type Proposal struct {
	Protocol   message.Protocol
	Transforms []message.Transform
}

// of gives the proposal's transforms of one type.
func (p Proposal) of(kind message.TransformType) []message.Transform {
	return ofType(p.Transforms, kind)
}

func ofType(ts []message.Transform, kind message.TransformType) []message.Transform {
	var found []message.Transform
	for _, t := range ts {
		if t.Type == kind {
			found = append(found, t)
		}
	}
	return found
}

// WithoutKE is ps without key exchange: what an IKE_AUTH exchange offers for
// the first Child SA (RFC 7296 §1.2).
func (ps Proposals) WithoutKE() Proposals {
	without := make(Proposals, len(ps))
	for i, p := range ps {
		without[i] = Proposal{p.Protocol, slices.DeleteFunc(slices.Clone(p.Transforms), func(t message.Transform) bool {
			return t.Type == message.TransformKE
		})}
	}
	return without
}

// Offer is ps as the proposals of an SA payload, numbered from 1, each with
// spi: empty for the first IKE SA, 8 octets for another, 4 for ESP.
func (ps Proposals) Offer(spi []byte) []message.Proposal {
	offer := make([]message.Proposal, len(ps))
	for i, p := range ps {
		offer[i] = message.Proposal{Number: uint8(i + 1), Protocol: p.Protocol, SPI: spi, Transforms: p.Transforms}
	}
	return offer
}

// String is ps in strongSwan's notation, which ParseProposals reads.
func (ps Proposals) String() string {
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = p.String()
	}
	return strings.Join(texts, ",")
}

// String is p in strongSwan's notation.
func (p Proposal) String() string { return notation(p.Protocol, p.Transforms) }

// Limits on what Describe prints of an offer, which the peer chose.
const (
	maxDescribed           = 32
	maxDescribedTransforms = 64
)

// Describe is an offer in the notation of ParseProposals. What has no word
// prints as type:id, an offer of uncommon length is cut.
func Describe(offered []message.Proposal) string {
	var b strings.Builder
	for i, p := range offered {
		if i > 0 {
			b.WriteByte(',')
		}
		if i == maxDescribed {
			b.WriteString("…" + strconv.Itoa(len(offered)-i) + " more")
			break
		}
		if cut := len(p.Transforms) - maxDescribedTransforms; cut > 0 {
			b.WriteString(notation(p.Protocol, p.Transforms[:maxDescribedTransforms]) + "-…" + strconv.Itoa(cut) + " more")
			continue
		}
		b.WriteString(notation(p.Protocol, p.Transforms))
	}
	return b.String()
}

// notation writes transforms by type, leaving out what the notation implies:
// the PRF that integrity names, integrity beside an AEAD, and 32-bit sequence
// numbers.
func notation(protocol message.Protocol, ts []message.Transform) string {
	var words []string
	add := func(ts []message.Transform) {
		for _, t := range ts {
			words = append(words, name(t))
		}
	}
	encr, integ, prf := ofType(ts, message.TransformENCR), ofType(ts, message.TransformINTEG), ofType(ts, message.TransformPRF)
	integ = slices.DeleteFunc(integ, func(t message.Transform) bool { return t.ID == IntegNone })
	add(encr)
	add(integ)
	if protocol != message.ProtocolIKE || !slices.EqualFunc(prf, impliedPRFs(integ), sameTransform) {
		add(prf)
	}
	add(ofType(ts, message.TransformKE))
	if esn := ofType(ts, message.TransformESN); len(esn) > 1 || len(esn) == 1 && esn[0].ID != ESNNo {
		add(esn)
	}
	for _, t := range ts {
		if t.Type == 0 || t.Type > message.TransformESN {
			words = append(words, name(t))
		}
	}
	if len(words) == 0 {
		return "(empty)"
	}
	return strings.Join(words, "-")
}

func sameTransform(a, b message.Transform) bool { return keyOf(a) == keyOf(b) }

// impliedPRFs are the PRFs that the notation takes from integrity words.
func impliedPRFs(integ []message.Transform) []message.Transform {
	var implied []message.Transform
	for _, t := range integ {
		if p, ok := impliedPRF(t.ID); ok {
			implied = append(implied, message.Transform{Type: message.TransformPRF, ID: uint16(p)})
		}
	}
	return implied
}
