package esp

import (
	"errors"
	"fmt"
)

// Reasons why an inbound packet is dropped. Open and Policy return them as they
// are, so that a data plane counts by comparing.
var (
	ErrShort       = errors.New("esp: packet is shorter than its transform needs (RFC 4303 §2)")
	ErrAlignment   = errors.New("esp: ciphertext is not a whole number of cipher blocks (RFC 4303 §2.4)")
	ErrSPI         = errors.New("esp: packet carries another SA's SPI")
	ErrReplayed    = errors.New("esp: sequence number was received before (RFC 4303 §3.4.3)")
	ErrTooOld      = errors.New("esp: sequence number lies before the replay window (RFC 4303 §3.4.3)")
	ErrIntegrity   = errors.New("esp: integrity check value does not match (RFC 4303 §3.4.4)")
	ErrPadding     = errors.New("esp: padding is not 1, 2, 3, … or exceeds the packet (RFC 4303 §2.4)")
	ErrNextHeader  = errors.New("esp: next header is neither IPv4 nor IPv6, as tunnel mode needs (RFC 4303 §2.6)")
	ErrDummy       = errors.New("esp: dummy packet, next header 59, dropped silently (RFC 4303 §2.6)")
	ErrInnerPacket = errors.New("esp: inner packet is not a whole IP packet of the version announced")
	ErrSelector    = errors.New("esp: inner addresses, protocol or ports are outside the traffic selectors (RFC 4301 §5.2)")
)

// Reasons why an outbound packet is not sealed.
var (
	ErrSequenceExhausted = errors.New("esp: sequence numbers of the SA are used up; rekey it (RFC 4303 §3.3.3)")
	ErrBuffer            = errors.New("esp: buffer has not the headroom or tailroom that the transform needs")
)

// ErrSPIInUse is what a data plane's refusal of a Child SA wraps when it cannot
// tell the outbound SPI, which is the peer's choice, from one that another peer
// behind the same address has chosen. The peer may choose another.
var ErrSPIInUse = errors.New("esp: the peer's SPI is in use by another peer at the same address")

// SuiteError refuses an SA whose algorithms or key lengths do not fit together.
// It is this end's fault: negotiation never chooses such a combination.
type SuiteError struct {
	SPI uint32
	Err error // a *suite.UnsupportedError or a *KeyLengthError
}

// Error names the SPI and the mismatch.
func (e *SuiteError) Error() string { return fmt.Sprintf("esp: SA %08x: %v", e.SPI, e.Err) }

// Unwrap gives the mismatch.
func (e *SuiteError) Unwrap() error { return e.Err }

// KeyLengthError reports key material that is not as long as the suite needs,
// in octets and with an AEAD's salt.
type KeyLengthError struct {
	Key       string // "encryption" or "integrity"
	Len, Want int
}

// Error gives both lengths.
func (e *KeyLengthError) Error() string {
	return fmt.Sprintf("%s key of %d octets, expected %d", e.Key, e.Len, e.Want)
}
