package eap

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

const (
	failureVersion              = 3  // of MS-CHAP-V2 in V=
	authenticatorResponseDigits = 40 // of S=
)

// SuccessMessage is the text of a SuccessRequest (RFC 2759 §5).
type SuccessMessage struct {
	AuthenticatorResponse [20]byte
	Text                  string // for the user; raw octets
}

// String is the message in the form S=<40 hex digits> M=<text>.
func (m SuccessMessage) String() string {
	return fmt.Sprintf("S=%X M=%s", m.AuthenticatorResponse, m.Text)
}

// ParseSuccessMessage parses a SuccessRequest's message by its keys: S must
// be there, M may be missing, and NULs at the end are dropped, since
// responders that write C strings leave one. The error is a *SyntaxError.
func ParseSuccessMessage(b []byte) (SuccessMessage, error) {
	fields, text, err := splitMessage(b)
	if err != nil {
		return SuccessMessage{}, err
	}
	m := SuccessMessage{Text: text}
	s, ok := fields["S"]
	if !ok {
		return m, fault(msHeaderOffset+msHeaderLen, "success message without S=")
	}
	if len(s) != authenticatorResponseDigits {
		return m, fault(msHeaderOffset+msHeaderLen, "S= has %d digits, expected %d", len(s), authenticatorResponseDigits)
	}
	if _, err := hex.Decode(m.AuthenticatorResponse[:], []byte(s)); err != nil {
		return m, fault(msHeaderOffset+msHeaderLen, "S= is not hexadecimal")
	}
	return m, nil
}

// FailureMessage is the text of a FailureRequest (RFC 2759 §6).
type FailureMessage struct {
	Error     int    // E=, a Windows error code such as 691
	Retry     bool   // R=1: the peer may answer Challenge
	Challenge []byte // C=, 16 octets; nil if there is none
	Version   int    // V=, 3 for MS-CHAP-V2; 0 if there is none
	Text      string // M=, for the user; raw octets
}

// String is the message in the form E=691 R=1 C=<32 hex digits> V=3 M=<text>,
// without C= if there is no challenge. A Version of 0 is written as 3.
func (m FailureMessage) String() string {
	var b strings.Builder
	retry, version := 0, m.Version
	if m.Retry {
		retry = 1
	}
	if version == 0 {
		version = failureVersion
	}
	fmt.Fprintf(&b, "E=%d R=%d", m.Error, retry)
	if m.Challenge != nil {
		fmt.Fprintf(&b, " C=%X", m.Challenge)
	}
	fmt.Fprintf(&b, " V=%d M=%s", version, m.Text)
	return b.String()
}

// ParseFailureMessage parses a FailureRequest's message by its keys: E must
// be there, the others may be missing, and NULs at the end are dropped. The
// error is a *SyntaxError.
func ParseFailureMessage(b []byte) (FailureMessage, error) {
	fields, text, err := splitMessage(b)
	if err != nil {
		return FailureMessage{}, err
	}
	m := FailureMessage{Retry: fields["R"] == "1", Text: text}
	if m.Error, err = strconv.Atoi(fields["E"]); err != nil || m.Error < 0 {
		return m, fault(msHeaderOffset+msHeaderLen, "failure message without a number at E=")
	}
	if c, ok := fields["C"]; ok {
		if m.Challenge, err = hex.DecodeString(c); err != nil || len(m.Challenge) != challengeLen {
			return m, fault(msHeaderOffset+msHeaderLen, "C= is not %d hexadecimal octets", challengeLen)
		}
	}
	if v, ok := fields["V"]; ok {
		if m.Version, err = strconv.Atoi(v); err != nil || m.Version < 0 {
			return m, fault(msHeaderOffset+msHeaderLen, "V= is not a number")
		}
	}
	return m, nil
}

// splitMessage splits a message into its one-letter fields and the text
// after M=, which runs to the end, blanks included. Unknown fields do no
// harm; one that comes twice makes the message ambiguous.
func splitMessage(b []byte) (fields map[string]string, text string, err error) {
	rest := string(bytes.TrimRight(b, "\x00"))
	fields = make(map[string]string)
	for rest != "" {
		if after, ok := strings.CutPrefix(rest, "M="); ok {
			return fields, after, nil
		}
		word, after, _ := strings.Cut(rest, " ")
		if key, value, ok := strings.Cut(word, "="); ok {
			if _, twice := fields[key]; twice {
				return nil, "", fault(msHeaderOffset+msHeaderLen, "message with %q twice", key+"=")
			}
			fields[key] = value
		}
		rest = after
	}
	return fields, "", nil
}
