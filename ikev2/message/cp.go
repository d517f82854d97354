package message

import "encoding/binary"

// CPKind is the kind of a Configuration payload (RFC 7296 §3.15).
type CPKind uint8

// Configuration payload kinds.
const (
	CPRequest CPKind = 1
	CPReply   CPKind = 2
	CPSet     CPKind = 3
	CPAck     CPKind = 4
)

// CP is the Configuration payload (RFC 7296 §3.15).
type CP struct {
	Kind       CPKind
	Attributes []CPAttribute
}

// CPAttribute is one configuration attribute; Value is kept as received,
// whatever its length, since clients send wishes and odd lengths.
type CPAttribute struct {
	Type  CPAttributeType
	Value []byte
}

// CPAttributeType names a configuration attribute (RFC 7296 §3.15.1).
type CPAttributeType uint16

// Configuration attributes.
const (
	InternalIP4Address  CPAttributeType = 1
	InternalIP4Netmask  CPAttributeType = 2
	InternalIP4DNS      CPAttributeType = 3
	InternalIP4NBNS     CPAttributeType = 4
	InternalIP4DHCP     CPAttributeType = 6
	ApplicationVersion  CPAttributeType = 7
	InternalIP6Address  CPAttributeType = 8
	InternalIP6DNS      CPAttributeType = 10
	InternalIP6DHCP     CPAttributeType = 12
	InternalIP4Subnet   CPAttributeType = 13
	SupportedAttributes CPAttributeType = 14
	InternalIP6Subnet   CPAttributeType = 15
	InternalDNSDomain   CPAttributeType = 25    // RFC 8598
	InternalDNSSECTA    CPAttributeType = 26    // RFC 8598
	InternalIP4Server   CPAttributeType = 23456 // [MS-IKEE] 2.2.11
	InternalIP6Server   CPAttributeType = 23457 // [MS-IKEE] 2.2.11
)

const (
	cpAttributeHeaderLen = 4
	cpReservedBit        = 0x8000 // of the type field, ignored on receipt
)

// Type is TypeCP.
func (*CP) Type() PayloadType { return TypeCP }

// AppendBody appends the kind and the attributes.
func (p *CP) AppendBody(dst []byte) []byte {
	dst = append(dst, byte(p.Kind), 0, 0, 0)
	for _, a := range p.Attributes {
		dst = binary.BigEndian.AppendUint16(dst, uint16(a.Type)&^cpReservedBit)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(a.Value)))
		dst = append(dst, a.Value...)
	}
	return dst
}

func parseCP(b body) (Payload, error) {
	if err := b.atLeast(4); err != nil {
		return nil, err
	}
	p := &CP{Kind: CPKind(b.octets[0])}
	b = b.from(4)
	count, err := countCPAttributes(b)
	if err != nil {
		return nil, err
	}
	p.Attributes = make([]CPAttribute, count)
	for i := range p.Attributes {
		end := cpAttributeHeaderLen + int(binary.BigEndian.Uint16(b.octets[2:]))
		p.Attributes[i] = CPAttribute{
			Type:  CPAttributeType(binary.BigEndian.Uint16(b.octets) &^ cpReservedBit),
			Value: b.octets[cpAttributeHeaderLen:end:end],
		}
		b = b.from(end)
	}
	return p, nil
}

func countCPAttributes(b body) (int, error) {
	count := 0
	for ; len(b.octets) > 0; count++ {
		if err := b.atLeast(cpAttributeHeaderLen); err != nil {
			return 0, err
		}
		length := int(binary.BigEndian.Uint16(b.octets[2:]))
		if length > len(b.octets)-cpAttributeHeaderLen {
			return 0, b.fault(2, "attribute length field %d, %d octets are left", length, len(b.octets)-cpAttributeHeaderLen)
		}
		b = b.from(cpAttributeHeaderLen + length)
	}
	return count, nil
}
