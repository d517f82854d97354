package message

import "encoding/binary"

const (
	genericHeaderLen = 4    // RFC 7296 §3.2
	criticalBit      = 0x80 // of the generic header's second octet
)

// maxPayloads bounds a chain. Real ones have some tens, certificates and
// vendor ids included; without the bound, 4 octets would buy a struct.
const maxPayloads = 256

// Parse parses one whole message: the header and the payloads that are not
// encrypted. An SK or SKF payload ends the chain and stays closed; what its
// generic header names as next is its First. The payloads alias b.
//
// Order, duplicates, unknown payloads, attributes and selectors are kept, so
// that Append gives the same octets back, with these normalised: reserved
// bits and fields and the critical bit of the modelled payloads become zero
// (a receiver ignores both, RFC 7296 §2.5), and a transform's Key Length
// comes first among its attributes.
//
// The error is a *SyntaxError or, for a major version other than 2, a
// *VersionError. Unknown critical payloads are for UnsupportedCritical.
func Parse(b []byte) (*Message, error) {
	h, err := ParseHeader(b)
	if err != nil {
		return nil, err
	}
	if h.MajorVersion() != 2 {
		return nil, &VersionError{Version: h.Version}
	}
	if uint64(h.Length) != uint64(len(b)) {
		return nil, body{}.fault(24, "length field %d, datagram of %d octets", h.Length, len(b))
	}
	ps, err := parseChain(h.NextPayload, body{offset: HeaderLen, octets: b[HeaderLen:]}, true)
	if err != nil {
		return nil, err
	}
	return &Message{Header: h, Payloads: ps}, nil
}

// ParsePayloads parses the inside of an SK payload, or of joined fragments:
// a chain whose first payload is of type first and which ends with b. SK and
// SKF have no place in it. The payloads alias b; what is kept is as in Parse.
// The error is a *SyntaxError with offsets into b.
func ParsePayloads(first PayloadType, b []byte) ([]Payload, error) {
	return parseChain(first, body{octets: b}, false)
}

func parseChain(first PayloadType, chain body, outer bool) ([]Payload, error) {
	ps := make([]Payload, 0, min(len(chain.octets)/genericHeaderLen, 12))
	next := first
	for next != NoNextPayload {
		chain.payload = next
		if len(ps) == maxPayloads {
			return nil, chain.fault(0, "more than %d payloads", maxPayloads)
		}
		if err := chain.atLeast(genericHeaderLen); err != nil {
			return nil, err
		}
		length := int(binary.BigEndian.Uint16(chain.octets[2:]))
		if length < genericHeaderLen || length > len(chain.octets) {
			return nil, chain.fault(2, "length field %d, %d octets are left", length, len(chain.octets))
		}
		following, critical := PayloadType(chain.octets[0]), chain.octets[1]&criticalBit != 0
		if isEncrypted(next) {
			if !outer {
				return nil, chain.fault(0, "not allowed inside an encrypted payload")
			}
			if length != len(chain.octets) {
				return nil, chain.fault(2, "length field %d, but it must be the last payload and %d octets are left", length, len(chain.octets))
			}
		}
		p, err := parseBody(chain.upTo(length).from(genericHeaderLen), following, critical)
		if err != nil {
			return nil, err
		}
		ps = append(ps, p)
		chain = chain.from(length)
		if isEncrypted(next) {
			break
		}
		next = following
	}
	if len(chain.octets) > 0 {
		chain.payload = NoNextPayload
		return nil, chain.fault(0, "%d octets after the last payload", len(chain.octets))
	}
	return ps, nil
}

func isEncrypted(t PayloadType) bool { return t == TypeSK || t == TypeSKF }

// parseBody parses a payload's body; following and critical are from its
// generic header.
func parseBody(b body, following PayloadType, critical bool) (Payload, error) {
	switch b.payload {
	case TypeSA:
		return parseSA(b)
	case TypeKE:
		return parseKE(b)
	case TypeIDi, TypeIDr:
		return parseID(b)
	case TypeCert:
		return parseCert(b)
	case TypeCertReq:
		return parseCertReq(b)
	case TypeAuth:
		return parseAuth(b)
	case TypeNonce:
		return parseNonce(b)
	case TypeNotify:
		return parseNotify(b)
	case TypeDelete:
		return parseDelete(b)
	case TypeVendorID:
		return &VendorID{Data: b.octets}, nil
	case TypeTSi, TypeTSr:
		return parseTS(b)
	case TypeSK:
		return &SK{First: following, Body: b.octets}, nil
	case TypeSKF:
		return parseSKF(b, following)
	case TypeCP:
		return parseCP(b)
	case TypeEAP:
		return &EAP{Packet: b.octets}, nil
	}
	return &Unknown{Kind: b.payload, Critical: critical, Body: b.octets}, nil
}

// FirstType is the type of the first payload, which the preceding header has
// to name; NoNextPayload if there is none.
func FirstType(ps []Payload) PayloadType {
	if len(ps) == 0 {
		return NoNextPayload
	}
	return ps[0].Type()
}

// AppendPayloads appends the payloads in their order, each with its generic
// header. A body of more than 65531 octets, or a list of more members than
// its one-octet count holds, has no encoding; the receiver refuses it.
func AppendPayloads(dst []byte, ps []Payload) []byte {
	for i, p := range ps {
		following, flags := FirstType(ps[i+1:]), byte(0)
		switch p := p.(type) {
		case *SK:
			following = p.First
		case *SKF:
			following = p.First
		case *Unknown:
			if p.Critical {
				flags = criticalBit
			}
		}
		start := len(dst)
		dst = p.AppendBody(append(dst, byte(following), flags, 0, 0))
		binary.BigEndian.PutUint16(dst[start+2:], uint16(len(dst)-start))
	}
	return dst
}

// Append appends the whole message. The header's NextPayload and Length are
// computed, whatever m.Header says; the other fields are as they stand.
func (m *Message) Append(dst []byte) []byte {
	start := len(dst)
	h := m.Header
	h.NextPayload = FirstType(m.Payloads)
	dst = AppendPayloads(h.Append(dst), m.Payloads)
	binary.BigEndian.PutUint32(dst[start+24:], uint32(len(dst)-start))
	return dst
}

// AppendSK appends the header and the generic header of an SK payload whose
// body of bodyLen octets the caller is about to append. These octets are the
// associated data of the protection (RFC 7296 §3.14, RFC 5282 §5.1).
func (h Header) AppendSK(dst []byte, first PayloadType, bodyLen int) []byte {
	h.NextPayload = TypeSK
	h.Length = uint32(HeaderLen + genericHeaderLen + bodyLen)
	dst = append(h.Append(dst), byte(first), 0)
	return binary.BigEndian.AppendUint16(dst, uint16(genericHeaderLen+bodyLen))
}

// AppendSKF is AppendSK for one fragment (RFC 7383 §2.5): it appends the
// header, the generic header and the fragment number and total.
func (h Header) AppendSKF(dst []byte, first PayloadType, number, total uint16, bodyLen int) []byte {
	h.NextPayload = TypeSKF
	h.Length = uint32(HeaderLen + genericHeaderLen + fragmentFieldsLen + bodyLen)
	dst = append(h.Append(dst), byte(first), 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(genericHeaderLen+fragmentFieldsLen+bodyLen))
	dst = binary.BigEndian.AppendUint16(dst, number)
	return binary.BigEndian.AppendUint16(dst, total)
}
