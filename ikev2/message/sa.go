package message

import "encoding/binary"

// Protocol is a security protocol id (RFC 7296 §3.3.1).
type Protocol uint8

// Security protocols.
const (
	ProtocolNone Protocol = 0
	ProtocolIKE  Protocol = 1
	ProtocolAH   Protocol = 2
	ProtocolESP  Protocol = 3
)

// TransformType is the kind of a transform (RFC 7296 §3.3.2).
type TransformType uint8

// Transform types.
const (
	TransformENCR  TransformType = 1
	TransformPRF   TransformType = 2
	TransformINTEG TransformType = 3
	TransformKE    TransformType = 4
	TransformESN   TransformType = 5
)

// SA is the Security Association payload (RFC 7296 §3.3).
type SA struct{ Proposals []Proposal }

// Proposal is one proposal of an SA payload. Number is kept as received: some
// clients do not start at 1, and the answer must echo it.
type Proposal struct {
	Number     uint8
	Protocol   Protocol
	SPI        []byte
	Transforms []Transform
}

// Transform is one transform of a proposal.
type Transform struct {
	Type       TransformType
	ID         uint16
	KeyLength  uint16      // in bits, from the Key Length attribute; 0 if absent
	Attributes []Attribute // any other attributes, kept as received
}

// Attribute is a transform attribute (RFC 7296 §3.3.5). Value of a TV
// attribute has two octets.
type Attribute struct {
	Short bool // the TV format
	Type  uint16
	Value []byte
}

const (
	proposalHeaderLen  = 8  // RFC 7296 §3.3.1
	transformHeaderLen = 8  // RFC 7296 §3.3.2
	attributeHeaderLen = 4  // RFC 7296 §3.3.5; the whole of a TV attribute
	keyLengthAttribute = 14 // RFC 7296 §3.3.5
	shortAttribute     = 0x8000
	moreProposals      = 2
	moreTransforms     = 3
)

// Type is TypeSA.
func (*SA) Type() PayloadType { return TypeSA }

// AppendBody appends the proposals.
func (p *SA) AppendBody(dst []byte) []byte {
	for i := range p.Proposals {
		more := byte(0)
		if i+1 < len(p.Proposals) {
			more = moreProposals
		}
		dst = p.Proposals[i].append(dst, more)
	}
	return dst
}

func (p *Proposal) append(dst []byte, more byte) []byte {
	start := len(dst)
	dst = append(dst, more, 0, 0, 0, p.Number, byte(p.Protocol), byte(len(p.SPI)), byte(len(p.Transforms)))
	dst = append(dst, p.SPI...)
	for i := range p.Transforms {
		more := byte(0)
		if i+1 < len(p.Transforms) {
			more = moreTransforms
		}
		dst = p.Transforms[i].append(dst, more)
	}
	binary.BigEndian.PutUint16(dst[start+2:], uint16(len(dst)-start))
	return dst
}

func (t *Transform) append(dst []byte, more byte) []byte {
	start := len(dst)
	dst = append(dst, more, 0, 0, 0, byte(t.Type), 0)
	dst = binary.BigEndian.AppendUint16(dst, t.ID)
	if t.KeyLength != 0 {
		dst = binary.BigEndian.AppendUint16(dst, shortAttribute|keyLengthAttribute)
		dst = binary.BigEndian.AppendUint16(dst, t.KeyLength)
	}
	for _, a := range t.Attributes {
		dst = a.append(dst)
	}
	binary.BigEndian.PutUint16(dst[start+2:], uint16(len(dst)-start))
	return dst
}

func (a Attribute) append(dst []byte) []byte {
	if a.Short && len(a.Value) == 2 {
		dst = binary.BigEndian.AppendUint16(dst, shortAttribute|a.Type)
	} else {
		dst = binary.BigEndian.AppendUint16(dst, a.Type&^shortAttribute)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(a.Value)))
	}
	return append(dst, a.Value...)
}

// parseSA counts before it allocates: all transforms of a payload share one
// array.
func parseSA(b body) (Payload, error) {
	proposals, transforms, err := countProposals(b)
	if err != nil {
		return nil, err
	}
	sa := &SA{Proposals: make([]Proposal, 0, proposals)}
	room := make([]Transform, 0, transforms)
	for len(b.octets) > 0 {
		length := int(binary.BigEndian.Uint16(b.octets[2:]))
		p, rest, err := parseProposal(b.upTo(length), room)
		if err != nil {
			return nil, err
		}
		sa.Proposals = append(sa.Proposals, p)
		room = rest
		b = b.from(length)
	}
	return sa, nil
}

// countProposals checks the proposals' own headers and counts proposals and
// transforms, no more than the octets can hold.
func countProposals(b body) (proposals, transforms int, err error) {
	for more := byte(moreProposals); more != 0; proposals++ {
		if err := b.atLeast(proposalHeaderLen); err != nil {
			return 0, 0, err
		}
		more = b.octets[0]
		length := int(binary.BigEndian.Uint16(b.octets[2:]))
		if length < proposalHeaderLen || length > len(b.octets) {
			return 0, 0, b.fault(2, "proposal length field %d, %d octets are left", length, len(b.octets))
		}
		switch last := length == len(b.octets); {
		case more != 0 && more != moreProposals:
			return 0, 0, b.fault(0, "proposal marked %d, expected 0 (last) or %d (more)", more, moreProposals)
		case last != (more == 0):
			return 0, 0, b.fault(0, "proposal marked %d, but %d octets follow it", more, len(b.octets)-length)
		}
		spi, count := int(b.octets[6]), int(b.octets[7])
		if spi+count*transformHeaderLen > length-proposalHeaderLen {
			return 0, 0, b.fault(6, "SPI of %d octets and %d transforms in a proposal of %d octets", spi, count, length)
		}
		transforms += count
		b = b.from(length)
	}
	return proposals, transforms, nil
}

// parseProposal parses the proposal that is the whole of b, its transforms
// into the free part of room, and gives back what is still free.
func parseProposal(b body, room []Transform) (Proposal, []Transform, error) {
	spiEnd, count := proposalHeaderLen+int(b.octets[6]), int(b.octets[7])
	p := Proposal{
		Number:   b.octets[4],
		Protocol: Protocol(b.octets[5]),
		SPI:      b.octets[proposalHeaderLen:spiEnd:spiEnd],
	}
	b = b.from(spiEnd)
	for i := range count {
		if err := b.atLeast(transformHeaderLen); err != nil {
			return p, nil, err
		}
		more, length := b.octets[0], int(binary.BigEndian.Uint16(b.octets[2:]))
		if length < transformHeaderLen || length > len(b.octets) {
			return p, nil, b.fault(2, "transform length field %d, %d octets are left", length, len(b.octets))
		}
		if last := i+1 == count; more != 0 && more != moreTransforms || last != (more == 0) {
			return p, nil, b.fault(0, "transform %d of %d marked %d, expected 0 (last) or %d (more)", i+1, count, more, moreTransforms)
		}
		t, err := parseTransform(b.upTo(length))
		if err != nil {
			return p, nil, err
		}
		room = append(room, t)
		b = b.from(length)
	}
	if len(b.octets) > 0 {
		return p, nil, b.fault(0, "%d octets after the last transform", len(b.octets))
	}
	p.Transforms = room[:count:count]
	return p, room[count:], nil
}

func parseTransform(b body) (Transform, error) {
	t := Transform{Type: TransformType(b.octets[4]), ID: binary.BigEndian.Uint16(b.octets[6:])}
	b = b.from(transformHeaderLen)
	for len(b.octets) > 0 {
		if err := b.atLeast(attributeHeaderLen); err != nil {
			return t, err
		}
		kind := binary.BigEndian.Uint16(b.octets)
		a := Attribute{Short: kind&shortAttribute != 0, Type: kind &^ shortAttribute}
		end := attributeHeaderLen
		if a.Short {
			a.Value = b.octets[2:4:4]
		} else {
			end += int(binary.BigEndian.Uint16(b.octets[2:]))
			if end > len(b.octets) {
				return t, b.fault(2, "attribute length field %d, %d octets are left", end-attributeHeaderLen, len(b.octets)-attributeHeaderLen)
			}
			a.Value = b.octets[attributeHeaderLen:end:end]
		}
		// A second Key Length, or one of zero, is no length to choose by: it
		// stays among the attributes nobody knows.
		if a.Short && a.Type == keyLengthAttribute && t.KeyLength == 0 && binary.BigEndian.Uint16(a.Value) != 0 {
			t.KeyLength = binary.BigEndian.Uint16(a.Value)
		} else {
			if t.Attributes == nil {
				t.Attributes = make([]Attribute, 0, len(b.octets)/attributeHeaderLen)
			}
			t.Attributes = append(t.Attributes, a)
		}
		b = b.from(end)
	}
	return t, nil
}
