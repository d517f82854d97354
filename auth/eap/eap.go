// Package eap is the wire codec of the Extensible Authentication Protocol
// (RFC 3748) and of the EAP-MSCHAPv2 method
// (draft-kamath-pppext-eap-mschapv2-02, RFC 2759): packets as plain structs,
// parsing and encoding. It runs no conversation and knows no secret.
package eap

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// Code is the kind of an EAP packet (RFC 3748 §4).
type Code uint8

// EAP codes.
const (
	CodeRequest  Code = 1
	CodeResponse Code = 2
	CodeSuccess  Code = 3
	CodeFailure  Code = 4
)

var codeNames = map[Code]string{
	CodeRequest: "Request", CodeResponse: "Response", CodeSuccess: "Success", CodeFailure: "Failure",
}

// String is the code's name in RFC 3748.
func (c Code) String() string {
	if name, ok := codeNames[c]; ok {
		return name
	}
	return "code(" + strconv.Itoa(int(c)) + ")"
}

// Type is the method of a Request or Response (RFC 3748 §5).
type Type uint8

// EAP types.
const (
	TypeIdentity     Type = 1
	TypeNotification Type = 2
	TypeNak          Type = 3 // legacy Nak, only in a Response
	TypeMD5          Type = 4
	TypeGTC          Type = 6
	TypeTLS          Type = 13
	TypeTTLS         Type = 21
	TypePEAP         Type = 25
	TypeMSCHAPv2     Type = 26
	TypeExpanded     Type = 254
)

var typeNames = map[Type]string{
	TypeIdentity: "Identity", TypeNotification: "Notification", TypeNak: "Nak", TypeMD5: "MD5-Challenge",
	TypeGTC: "GTC", TypeTLS: "TLS", TypeTTLS: "TTLS", TypePEAP: "PEAP", TypeMSCHAPv2: "MSCHAPv2", TypeExpanded: "Expanded",
}

// String is the type's IANA name, without "EAP-".
func (t Type) String() string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	return "type(" + strconv.Itoa(int(t)) + ")"
}

// HeaderLen is the length of the EAP header, and of a Success or Failure, in
// octets.
const HeaderLen = 4

// Packet is one EAP packet (RFC 3748 §4). Type and Data belong to Requests
// and Responses only.
type Packet struct {
	Code       Code
	Identifier uint8
	Type       Type
	Data       []byte // what follows the type
}

// SyntaxError reports octets that are not a well-formed packet. RFC 3748 §4
// has such packets discarded.
type SyntaxError struct {
	Offset int // of the offending octet, from the start of the EAP packet
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("eap: malformed packet at octet %d: %s", e.Offset, e.Reason)
}

func fault(offset int, format string, args ...any) error {
	return &SyntaxError{Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

// Parse parses one packet that is the whole of b; Data aliases b. RFC 3748
// has octets beyond the length field ignored as link padding, but an IKEv2
// payload has none (RFC 7296 §3.16), nor has RADIUS (RFC 3579 §3.1): the
// length must fit exactly. The error is a *SyntaxError.
func Parse(b []byte) (Packet, error) {
	if len(b) < HeaderLen {
		return Packet{}, fault(len(b), "%d octets, the EAP header has %d", len(b), HeaderLen)
	}
	p := Packet{Code: Code(b[0]), Identifier: b[1]}
	if length := int(binary.BigEndian.Uint16(b[2:])); length != len(b) {
		return Packet{}, fault(2, "length field %d, packet of %d octets", length, len(b))
	}
	switch p.Code {
	case CodeRequest, CodeResponse:
		if len(b) == HeaderLen {
			return Packet{}, fault(HeaderLen, "%s without a type", p.Code)
		}
		p.Type, p.Data = Type(b[4]), b[5:]
	case CodeSuccess, CodeFailure:
		if len(b) > HeaderLen {
			return Packet{}, fault(HeaderLen, "%s of %d octets, expected %d", p.Code, len(b), HeaderLen)
		}
	default:
		return Packet{}, fault(0, "unknown code %d", b[0])
	}
	return p, nil
}

// Append appends the encoded packet. Data must leave the packet's length
// within 16 bits.
func (p Packet) Append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, byte(p.Code), p.Identifier, 0, HeaderLen)
	if p.Code == CodeRequest || p.Code == CodeResponse {
		dst = append(append(dst, byte(p.Type)), p.Data...)
		binary.BigEndian.PutUint16(dst[start+2:], uint16(len(dst)-start))
	}
	return dst
}
