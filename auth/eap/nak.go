package eap

import "encoding/binary"

// Method names an authentication method in the expanded type space
// (RFC 3748 §5.7). Vendor 0 is the IETF, whose types are those of Type.
type Method struct {
	Vendor uint32 // SMI enterprise number, 24 bits
	Type   uint32
}

const (
	expandedLen     = 8 // type, vendor, vendor type
	expandedNakType = uint32(TypeNak)
)

// Method is the packet's method: that of the expanded header if the packet
// has one, else its type with vendor 0.
func (p Packet) Method() Method {
	if p.Type == TypeExpanded && len(p.Data) >= expandedLen-1 {
		return parseVendorType(p.Data)
	}
	return Method{Type: uint32(p.Type)}
}

// parseVendorType reads the 3 octets of the vendor and the 4 of its type.
func parseVendorType(b []byte) Method {
	return Method{
		Vendor: uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]),
		Type:   binary.BigEndian.Uint32(b[3:]),
	}
}

func (m Method) append(dst []byte) []byte {
	dst = append(dst, byte(m.Vendor>>16), byte(m.Vendor>>8), byte(m.Vendor))
	return binary.BigEndian.AppendUint32(dst, m.Type)
}

// IsNak reports whether the packet is a legacy or an expanded Nak.
func (p Packet) IsNak() bool {
	if p.Code != CodeResponse {
		return false
	}
	return p.Type == TypeNak || p.Type == TypeExpanded && p.Method() == Method{Type: expandedNakType}
}

// Wanted gives the methods that a Nak asks for, in the peer's order. None
// means that the peer has no alternative: RFC 3748 writes this as the one
// type 0. A packet that is no Nak, or a malformed one, is a *SyntaxError.
func (p Packet) Wanted() ([]Method, error) {
	switch {
	case !p.IsNak():
		return nil, fault(4, "%s of type %s is no Nak", p.Code, p.Type)
	case p.Type == TypeNak:
		return wantedLegacy(p.Data)
	default:
		return wantedExpanded(p.Data[expandedLen-1:])
	}
}

func wantedLegacy(b []byte) ([]Method, error) {
	if len(b) == 0 {
		return nil, fault(5, "Nak without a type")
	}
	wanted := make([]Method, 0, len(b))
	for _, t := range b {
		if t != 0 {
			wanted = append(wanted, Method{Type: uint32(t)})
		}
	}
	return wanted, nil
}

func wantedExpanded(b []byte) ([]Method, error) {
	const start = HeaderLen + expandedLen // of b in the packet
	if len(b) == 0 || len(b)%expandedLen != 0 {
		return nil, fault(start, "expanded Nak with %d octets of methods, expected a multiple of %d", len(b), expandedLen)
	}
	wanted := make([]Method, 0, len(b)/expandedLen)
	for offset := 0; offset < len(b); offset += expandedLen {
		if Type(b[offset]) != TypeExpanded {
			return nil, fault(start+offset, "expanded Nak lists type %d, expected %d", b[offset], TypeExpanded)
		}
		if m := parseVendorType(b[offset+1:]); m != (Method{}) {
			wanted = append(wanted, m)
		}
	}
	return wanted, nil
}

// NewNak is the legacy Nak that asks for the given methods instead, or says
// that there is no alternative if there are none.
func NewNak(identifier uint8, wanted ...Type) Packet {
	data := make([]byte, 0, max(1, len(wanted)))
	for _, t := range wanted {
		data = append(data, byte(t))
	}
	if len(wanted) == 0 {
		data = append(data, 0)
	}
	return Packet{Code: CodeResponse, Identifier: identifier, Type: TypeNak, Data: data}
}

// NewExpandedNak is NewNak for the answer to a Request of an expanded type
// (RFC 3748 §5.3.2).
func NewExpandedNak(identifier uint8, wanted ...Method) Packet {
	data := Method{Type: expandedNakType}.append(nil)
	for _, m := range wanted {
		data = m.append(append(data, byte(TypeExpanded)))
	}
	if len(wanted) == 0 {
		data = Method{}.append(append(data, byte(TypeExpanded)))
	}
	return Packet{Code: CodeResponse, Identifier: identifier, Type: TypeExpanded, Data: data}
}
