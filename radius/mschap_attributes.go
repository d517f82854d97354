package radius

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	codec "layeh.com/radius"

	"bridgehead/auth"
	"bridgehead/auth/eap"
)

// Microsoft's attributes for MS-CHAPv2 (RFC 2548 §2.1 and §2.3).
const (
	msCHAPError     = 2
	msCHAPNTEncPW   = 6
	msCHAPChallenge = 11
	msCHAP2Response = 25
	msCHAP2Success  = 26
	msCHAP2CPW      = 27

	// encPWPart is how much of the encrypted password one MS-CHAP-NT-Enc-PW
	// carries (RFC 2548 §2.2).
	encPWPart = 243
	// codeEncPW and codeCPW stand in the attributes' Code field.
	codeEncPW, codeCPW = 6, 7

	successPrefix = "S="
	mschapMethod  = "MS-CHAPv2" // in the evidence
)

var reserved [8]byte

// responseAttributes carry a client's answer (RFC 2548 §2.3.2).
func responseAttributes(r auth.MSCHAPv2Response) codec.Attributes {
	var a codec.Attributes
	addVendor(&a, vendorMicrosoft, msCHAPChallenge, r.AuthenticatorChallenge[:])
	addVendor(&a, vendorMicrosoft, msCHAP2Response, []byte{r.Ident, 0}, r.PeerChallenge[:], reserved[:], r.NTResponse[:])
	return a
}

// changeAttributes carry a new password (RFC 2548 §2.3.4 and §2.2).
func changeAttributes(c auth.PasswordChange) codec.Attributes {
	var a codec.Attributes
	r := c.Response
	addVendor(&a, vendorMicrosoft, msCHAPChallenge, r.AuthenticatorChallenge[:])
	addVendor(&a, vendorMicrosoft, msCHAP2CPW, []byte{codeCPW, r.Ident}, c.EncryptedHash[:], r.PeerChallenge[:],
		reserved[:], r.NTResponse[:], []byte{byte(c.Flags >> 8), byte(c.Flags)})
	for i, rest := 1, c.EncryptedPassword[:]; len(rest) > 0; i++ {
		n := min(len(rest), encPWPart)
		addVendor(&a, vendorMicrosoft, msCHAPNTEncPW, []byte{codeEncPW, r.Ident, byte(i >> 8), byte(i)}, rest[:n])
		rest = rest[n:]
	}
	return a
}

// successOf is the server's proof in MS-CHAP2-Success (RFC 2548 §2.3.3): an
// identifier, "S=" and 40 hexadecimal digits.
func successOf(attrs codec.Attributes) (proof [20]byte, err error) {
	values := ofVendor(attrs, vendorMicrosoft, msCHAP2Success)
	if len(values) != 1 {
		return proof, fmt.Errorf("MS-CHAP2-Success stands %d times, expected once", len(values))
	}
	value := values[0]
	if want := 1 + len(successPrefix) + hex.EncodedLen(len(proof)); len(value) != want {
		return proof, fmt.Errorf("MS-CHAP2-Success has %d octets, expected %d", len(value), want)
	}
	digits, ok := strings.CutPrefix(string(value[1:]), successPrefix)
	if !ok {
		return proof, errors.New("MS-CHAP2-Success does not say S=")
	}
	if _, err := hex.Decode(proof[:], []byte(digits)); err != nil {
		return proof, errors.New("MS-CHAP2-Success is not hexadecimal")
	}
	return proof, nil
}

// refusalOf reads the MS-CHAP-Error of an Access-Reject (RFC 2548 §2.1.5): an
// identifier and the text of RFC 2759 §6. Where there is none, or the error
// says that it can't be read, the refusal is a plain and final one.
func refusalOf(attrs codec.Attributes) (*auth.Refusal, error) {
	plain := &auth.Refusal{Code: auth.ErrorAuthenticationFailed}
	values := ofVendor(attrs, vendorMicrosoft, msCHAPError)
	if len(values) == 0 {
		return plain, nil
	}
	if len(values[0]) == 0 {
		return plain, errors.New("an empty MS-CHAP-Error")
	}
	f, err := eap.ParseFailureMessage(values[0][1:])
	if err != nil {
		return plain, fmt.Errorf("MS-CHAP-Error: %w", err)
	}
	if f.Error == 0 {
		return plain, errors.New("MS-CHAP-Error says E=0")
	}
	r := &auth.Refusal{Code: f.Error, Retry: f.Retry, Message: printable(f.Text)}
	if f.Challenge != nil {
		r.Challenge = (*[16]byte)(f.Challenge)
	}
	return r, nil
}
