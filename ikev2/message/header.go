package message

import (
	"encoding/binary"
	"encoding/hex"
)

// SPI is an IKE SA's Security Parameter Index (RFC 7296 §3.1).
type SPI [8]byte

// IsZero reports whether s is the zero SPI, which stands for the responder's
// in the first message of an IKE_SA_INIT exchange.
func (s SPI) IsZero() bool { return s == SPI{} }

// String is s in lower-case hexadecimal, 16 digits.
func (s SPI) String() string { return hex.EncodeToString(s[:]) }

// Uint64 is s as a number in network byte order.
func (s SPI) Uint64() uint64 { return binary.BigEndian.Uint64(s[:]) }

// ExchangeType is the exchange a message belongs to (RFC 7296 §3.1).
type ExchangeType uint8

// Exchange types.
const (
	ExchangeSAInit        ExchangeType = 34
	ExchangeAuth          ExchangeType = 35
	ExchangeCreateChildSA ExchangeType = 36
	ExchangeInformational ExchangeType = 37
	ExchangeSessionResume ExchangeType = 38 // RFC 5723
	ExchangeIntermediate  ExchangeType = 43 // RFC 9242
)

// Flags are the header's flag bits (RFC 7296 §3.1).
type Flags uint8

// Header flags.
const (
	FlagInitiator Flags = 0x08 // sent by the original initiator of the IKE SA
	FlagVersion   Flags = 0x10 // the sender can speak a higher major version
	FlagResponse  Flags = 0x20
)

// HeaderLen is the length of the IKE header in octets.
const HeaderLen = 28

// Version2 is the header's version octet of IKEv2: major 2, minor 0.
const Version2 = 0x20

// Header is the IKE header (RFC 7296 §3.1).
type Header struct {
	InitiatorSPI SPI
	ResponderSPI SPI
	NextPayload  PayloadType
	Version      uint8 // major version in the high nibble, minor in the low
	Exchange     ExchangeType
	Flags        Flags
	MessageID    uint32
	Length       uint32 // of the whole message, header included, in octets
}

// ParseHeader parses the IKE header at the start of b. It checks neither the
// version nor the length field: a caller needs the SPIs and the message id to
// answer both faults. The error is a *SyntaxError.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderLen {
		return Header{}, body{octets: b}.fault(len(b), "%d octets, the IKE header has %d", len(b), HeaderLen)
	}
	return Header{
		InitiatorSPI: SPI(b[0:8]),
		ResponderSPI: SPI(b[8:16]),
		NextPayload:  PayloadType(b[16]),
		Version:      b[17],
		Exchange:     ExchangeType(b[18]),
		Flags:        Flags(b[19]),
		MessageID:    binary.BigEndian.Uint32(b[20:24]),
		Length:       binary.BigEndian.Uint32(b[24:28]),
	}, nil
}

// Append appends the header's 28 octets with every field as it stands.
func (h Header) Append(dst []byte) []byte {
	dst = append(dst, h.InitiatorSPI[:]...)
	dst = append(dst, h.ResponderSPI[:]...)
	dst = append(dst, byte(h.NextPayload), h.Version, byte(h.Exchange), byte(h.Flags))
	dst = binary.BigEndian.AppendUint32(dst, h.MessageID)
	return binary.BigEndian.AppendUint32(dst, h.Length)
}

// MajorVersion is the major version number, 2 for IKEv2.
func (h Header) MajorVersion() uint8 { return h.Version >> 4 }

// IsResponse reports whether the message answers a request.
func (h Header) IsResponse() bool { return h.Flags&FlagResponse != 0 }

// FromInitiator reports whether the original initiator of the IKE SA sent
// the message.
func (h Header) FromInitiator() bool { return h.Flags&FlagInitiator != 0 }

// ReceiverSPI is the SPI of the end that a message is for: the initiator's if
// the original responder sent it, else the responder's, which is zero in the
// first message of an IKE SA.
func (h Header) ReceiverSPI() SPI {
	if h.FromInitiator() {
		return h.ResponderSPI
	}
	return h.InitiatorSPI
}
