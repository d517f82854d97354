package message

import "fmt"

// SyntaxError reports octets that are not a well-formed message. It answers
// to INVALID_SYNTAX (RFC 7296 §3.10.1).
type SyntaxError struct {
	Payload PayloadType // being parsed; NoNextPayload for the IKE header and the chain itself
	Offset  int         // of the offending octet, from the start of the parser's input
	Reason  string
}

func (e *SyntaxError) Error() string {
	where := "message"
	if e.Payload != NoNextPayload {
		where = e.Payload.String() + " payload"
	}
	return fmt.Sprintf("ikev2: malformed %s at octet %d: %s", where, e.Offset, e.Reason)
}

// VersionError reports a major version other than 2. It answers to
// INVALID_MAJOR_VERSION (RFC 7296 §2.5).
type VersionError struct {
	Version uint8 // the header's whole version octet
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("ikev2: message of IKE version %d.%d, expected 2.x", e.Version>>4, e.Version&0x0f)
}

// body is the part of the input that is being parsed, with what an error has
// to say about its place.
type body struct {
	payload PayloadType
	offset  int // of octets[0] in the parser's input
	octets  []byte
}

// from is the rest of b from octet n on; n must be within b.
func (b body) from(n int) body {
	return body{b.payload, b.offset + n, b.octets[n:]}
}

// upTo is the first n octets of b; n must be within b.
func (b body) upTo(n int) body {
	return body{b.payload, b.offset, b.octets[:n:n]}
}

// fault is a SyntaxError at octet n of b.
func (b body) fault(n int, format string, args ...any) error {
	return &SyntaxError{Payload: b.payload, Offset: b.offset + n, Reason: fmt.Sprintf(format, args...)}
}

// atLeast refuses a body shorter than its fixed fields.
func (b body) atLeast(n int) error {
	if len(b.octets) < n {
		return b.fault(0, "%d octets, expected at least %d", len(b.octets), n)
	}
	return nil
}
