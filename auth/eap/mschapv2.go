package eap

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"strconv"
)

// OpCode is the kind of an EAP-MSCHAPv2 packet
// (draft-kamath-pppext-eap-mschapv2-02 §2).
type OpCode uint8

// EAP-MSCHAPv2 op-codes.
const (
	OpChallenge      OpCode = 1
	OpResponse       OpCode = 2
	OpSuccess        OpCode = 3
	OpFailure        OpCode = 4
	OpChangePassword OpCode = 7
)

var opCodeNames = map[OpCode]string{
	OpChallenge: "Challenge", OpResponse: "Response", OpSuccess: "Success", OpFailure: "Failure", OpChangePassword: "Change-Password",
}

// String is the op-code's name in the draft.
func (o OpCode) String() string {
	if name, ok := opCodeNames[o]; ok {
		return name
	}
	return "op-code(" + strconv.Itoa(int(o)) + ")"
}

// MSCHAPv2 is the content of an EAP-MSCHAPv2 packet. The concrete types are
// Challenge, Response, SuccessRequest, SuccessResponse, FailureRequest,
// FailureResponse and ChangePassword, all used as pointers.
type MSCHAPv2 interface {
	// Code is the EAP code the content travels under.
	Code() Code
	// AppendData appends the packet's data: what follows the EAP type.
	AppendData(dst []byte) []byte
}

// NTResponse is the answer to a challenge (RFC 2759 §8.1). A password can be
// guessed from it at leisure, so it prints as its length only.
type NTResponse [24]byte

// Format keeps the octets out of every log and error.
func (NTResponse) Format(f fmt.State, _ rune) { redact(f, 24) }

// MarshalText keeps the octets out of JSON.
func (NTResponse) MarshalText() ([]byte, error) { return []byte(placeholder(24)), nil }

// LogValue keeps the octets out of structured logs.
func (NTResponse) LogValue() slog.Value { return redacted(24) }

// EncryptedPassword is a new password encrypted with the old one's hash
// (RFC 2759 §8.9). It prints as its length only.
type EncryptedPassword [516]byte

// Format keeps the octets out of every log and error.
func (EncryptedPassword) Format(f fmt.State, _ rune) { redact(f, 516) }

// MarshalText keeps the octets out of JSON.
func (EncryptedPassword) MarshalText() ([]byte, error) { return []byte(placeholder(516)), nil }

// LogValue keeps the octets out of structured logs.
func (EncryptedPassword) LogValue() slog.Value { return redacted(516) }

// EncryptedHash is the old password's hash encrypted with the new one's
// (RFC 2759 §8.12). It prints as its length only.
type EncryptedHash [16]byte

// Format keeps the octets out of every log and error.
func (EncryptedHash) Format(f fmt.State, _ rune) { redact(f, 16) }

// MarshalText keeps the octets out of JSON.
func (EncryptedHash) MarshalText() ([]byte, error) { return []byte(placeholder(16)), nil }

// LogValue keeps the octets out of structured logs.
func (EncryptedHash) LogValue() slog.Value { return redacted(16) }

func placeholder(octets int) string { return fmt.Sprintf("[%d octets]", octets) }

func redact(f fmt.State, octets int) { fmt.Fprint(f, placeholder(octets)) }

func redacted(octets int) slog.Value { return slog.StringValue(placeholder(octets)) }

// Format writes the name, whatever the verb: package fmt asks no method below
// a pointer that it shows with a verb that suits none.
func (r Response) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[response of %q]", r.Name) }

// Format writes what the packet is.
func (ChangePassword) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[change of password]") }

// Challenge opens the method: the server's challenge (draft §2.1).
type Challenge struct {
	MSID      uint8 // MS-CHAPv2-ID, mostly the EAP identifier of the first packet
	Challenge [16]byte
	Name      string // the server's name, raw octets
}

// Response answers a Challenge (draft §2.2).
type Response struct {
	MSID          uint8
	PeerChallenge [16]byte
	NTResponse    NTResponse
	Flags         uint8
	Name          string // the user's name as the peer has it, raw octets
}

// SuccessRequest proves to the peer that the server knows the password
// (draft §2.3). Message is for ParseSuccessMessage.
type SuccessRequest struct {
	MSID    uint8
	Message []byte
}

// SuccessResponse accepts the server's proof; it is a bare op-code
// (draft §2.4).
type SuccessResponse struct{}

// FailureRequest refuses a Response (draft §2.5). Message is for
// ParseFailureMessage.
type FailureRequest struct {
	MSID    uint8
	Message []byte
}

// FailureResponse acknowledges the refusal; it is a bare op-code
// (draft §2.6).
type FailureResponse struct{}

// ChangePassword answers a FailureRequest with E=648 (draft §2.7, RFC 2759
// §7).
type ChangePassword struct {
	MSID              uint8
	EncryptedPassword EncryptedPassword
	EncryptedHash     EncryptedHash
	PeerChallenge     [16]byte
	NTResponse        NTResponse
	Flags             uint16
}

const (
	msHeaderLen       = 4               // op-code, MS-CHAPv2-ID, MS-Length
	challengeLen      = 16              // Value-Size of a Challenge
	responseLen       = 16 + 8 + 24 + 1 // Value-Size of a Response
	changePasswordLen = 516 + 16 + 16 + 8 + 24 + 2
	msHeaderOffset    = HeaderLen + 1 // of the data in the EAP packet
)

// NewMSCHAPv2 wraps m in the EAP packet it travels in.
func NewMSCHAPv2(identifier uint8, m MSCHAPv2) Packet {
	return Packet{Code: m.Code(), Identifier: identifier, Type: TypeMSCHAPv2, Data: m.AppendData(nil)}
}

// ParseMSCHAPv2 parses the data of an EAP-MSCHAPv2 Request or Response; byte
// slices alias p.Data. MS-Length must name exactly the octets there are, and
// each op-code must travel in its own direction; a Success or Failure
// Response counts by its op-code alone, whatever follows it. The error is a
// *SyntaxError.
func ParseMSCHAPv2(p Packet) (MSCHAPv2, error) {
	if p.Type != TypeMSCHAPv2 {
		return nil, fault(HeaderLen, "type %s, expected %s", p.Type, TypeMSCHAPv2)
	}
	if len(p.Data) == 0 {
		return nil, fault(msHeaderOffset, "no op-code")
	}
	op := OpCode(p.Data[0])
	if p.Code == CodeResponse {
		switch op {
		case OpSuccess:
			return &SuccessResponse{}, nil
		case OpFailure:
			return &FailureResponse{}, nil
		}
	}
	if len(p.Data) < msHeaderLen {
		return nil, fault(msHeaderOffset, "%s of %d octets, its header has %d", op, len(p.Data), msHeaderLen)
	}
	if length := int(binary.BigEndian.Uint16(p.Data[2:])); length != len(p.Data) {
		return nil, fault(msHeaderOffset+2, "MS-Length %d, %d octets are there", length, len(p.Data))
	}
	msid, data := p.Data[1], p.Data[msHeaderLen:]
	switch {
	case p.Code == CodeRequest && op == OpChallenge:
		return parseChallenge(msid, data)
	case p.Code == CodeRequest && op == OpSuccess:
		return &SuccessRequest{MSID: msid, Message: data}, nil
	case p.Code == CodeRequest && op == OpFailure:
		return &FailureRequest{MSID: msid, Message: data}, nil
	case p.Code == CodeResponse && op == OpResponse:
		return parseResponse(msid, data)
	case p.Code == CodeResponse && op == OpChangePassword:
		return parseChangePassword(msid, data)
	}
	return nil, fault(msHeaderOffset, "%s in a %s", op, p.Code)
}

// valueOf checks the Value-Size octet and splits the value from the name
// that follows it.
func valueOf(data []byte, size int) (value []byte, name string, err error) {
	const offset = msHeaderOffset + msHeaderLen
	if len(data) < 1+size {
		return nil, "", fault(offset, "%d octets, expected at least %d", len(data), 1+size)
	}
	if int(data[0]) != size {
		return nil, "", fault(offset, "Value-Size %d, expected %d", data[0], size)
	}
	return data[1 : 1+size], string(data[1+size:]), nil
}

func parseChallenge(msid uint8, data []byte) (MSCHAPv2, error) {
	value, name, err := valueOf(data, challengeLen)
	if err != nil {
		return nil, err
	}
	return &Challenge{MSID: msid, Challenge: [16]byte(value), Name: name}, nil
}

// parseResponse ignores the 8 reserved octets; RFC 2759 §4 wants zeros, but
// no verifier reads them.
func parseResponse(msid uint8, data []byte) (MSCHAPv2, error) {
	value, name, err := valueOf(data, responseLen)
	if err != nil {
		return nil, err
	}
	return &Response{
		MSID:          msid,
		PeerChallenge: [16]byte(value),
		NTResponse:    NTResponse(value[24:48]),
		Flags:         value[48],
		Name:          name,
	}, nil
}

func parseChangePassword(msid uint8, data []byte) (MSCHAPv2, error) {
	if len(data) != changePasswordLen {
		return nil, fault(msHeaderOffset+msHeaderLen, "%d octets, expected %d", len(data), changePasswordLen)
	}
	return &ChangePassword{
		MSID:              msid,
		EncryptedPassword: EncryptedPassword(data[:516]),
		EncryptedHash:     EncryptedHash(data[516:532]),
		PeerChallenge:     [16]byte(data[532:548]),
		NTResponse:        NTResponse(data[556:580]),
		Flags:             binary.BigEndian.Uint16(data[580:]),
	}, nil
}

func appendMSHeader(dst []byte, op OpCode, msid uint8, dataLen int) []byte {
	return binary.BigEndian.AppendUint16(append(dst, byte(op), msid), uint16(msHeaderLen+dataLen))
}

// Code is CodeRequest.
func (*Challenge) Code() Code { return CodeRequest }

// AppendData appends op-code 1 and the challenge.
func (c *Challenge) AppendData(dst []byte) []byte {
	dst = appendMSHeader(dst, OpChallenge, c.MSID, 1+challengeLen+len(c.Name))
	dst = append(append(dst, challengeLen), c.Challenge[:]...)
	return append(dst, c.Name...)
}

// Code is CodeResponse.
func (*Response) Code() Code { return CodeResponse }

// AppendData appends op-code 2 and the answer.
func (r *Response) AppendData(dst []byte) []byte {
	dst = appendMSHeader(dst, OpResponse, r.MSID, 1+responseLen+len(r.Name))
	dst = append(append(dst, responseLen), r.PeerChallenge[:]...)
	dst = append(dst, make([]byte, 8)...)
	dst = append(append(dst, r.NTResponse[:]...), r.Flags)
	return append(dst, r.Name...)
}

// Code is CodeRequest.
func (*SuccessRequest) Code() Code { return CodeRequest }

// AppendData appends op-code 3 and the message.
func (s *SuccessRequest) AppendData(dst []byte) []byte {
	return append(appendMSHeader(dst, OpSuccess, s.MSID, len(s.Message)), s.Message...)
}

// Code is CodeResponse.
func (*SuccessResponse) Code() Code { return CodeResponse }

// AppendData appends op-code 3 and nothing else.
func (*SuccessResponse) AppendData(dst []byte) []byte { return append(dst, byte(OpSuccess)) }

// Code is CodeRequest.
func (*FailureRequest) Code() Code { return CodeRequest }

// AppendData appends op-code 4 and the message.
func (f *FailureRequest) AppendData(dst []byte) []byte {
	return append(appendMSHeader(dst, OpFailure, f.MSID, len(f.Message)), f.Message...)
}

// Code is CodeResponse.
func (*FailureResponse) Code() Code { return CodeResponse }

// AppendData appends op-code 4 and nothing else.
func (*FailureResponse) AppendData(dst []byte) []byte { return append(dst, byte(OpFailure)) }

// Code is CodeResponse.
func (*ChangePassword) Code() Code { return CodeResponse }

// AppendData appends op-code 7 and the new password's proof.
func (c *ChangePassword) AppendData(dst []byte) []byte {
	dst = appendMSHeader(dst, OpChangePassword, c.MSID, changePasswordLen)
	dst = append(dst, c.EncryptedPassword[:]...)
	dst = append(dst, c.EncryptedHash[:]...)
	dst = append(dst, c.PeerChallenge[:]...)
	dst = append(dst, make([]byte, 8)...)
	dst = append(dst, c.NTResponse[:]...)
	return binary.BigEndian.AppendUint16(dst, c.Flags)
}
