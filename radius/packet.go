package radius

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"errors"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2869"

	"bridgehead/auth"
)

const (
	headerLen        = 20
	authenticatorLen = 16
	// macLen is the length of a whole Message-Authenticator attribute.
	macLen = 2 + md5.Size
	// maxValue is what one attribute holds at most.
	maxValue = 253
)

// Why a datagram is discarded (RFC 2865 §3, RFC 3579 §3.2). It is counted
// under this name.
var (
	errMalformed     = errors.New("not a well-formed RADIUS packet")
	errUnexpected    = errors.New("a reply that nothing waits for")
	errAuthenticator = errors.New("the Response Authenticator is wrong: the secrets differ, or the reply is forged")
	errMAC           = errors.New("the Message-Authenticator is wrong: the secrets differ, or the reply is forged")
	errUnsigned      = errors.New("no Message-Authenticator")
)

// request is an encoded request.
type request []byte

func (r request) code() codec.Code      { return codec.Code(r[0]) }
func (r request) authenticator() []byte { return r[4:headerLen] }

// encode makes an Access-Request or a Status-Server. Message-Authenticator is
// the first attribute, so that nothing an attacker chooses stands before it
// (against CVE-2024-3596).
func encode(code codec.Code, id uint8, authenticator [authenticatorLen]byte, attrs codec.Attributes, secret auth.Secret) (request, error) {
	mac := &codec.AVP{Type: rfc2869.MessageAuthenticator_Type, Attribute: make([]byte, md5.Size)}
	p := codec.Packet{Code: code, Identifier: id, Authenticator: authenticator,
		Attributes: append(codec.Attributes{mac}, attrs...)}
	b, err := p.MarshalBinary()
	if err != nil {
		return nil, err
	}
	sum := messageAuthenticator(b, authenticator[:], headerLen+2, secret)
	copy(b[headerLen+2:], sum)
	return b, nil
}

// messageAuthenticator is the HMAC of RFC 3579 §3.2 over a packet: with the
// request's authenticator in its header, and with zeros for its own 16 octets
// at offset at.
func messageAuthenticator(packet, authenticator []byte, at int, secret auth.Secret) []byte {
	var zero [md5.Size]byte
	h := hmac.New(md5.New, secret)
	h.Write(packet[:4])
	h.Write(authenticator)
	h.Write(packet[headerLen:at])
	h.Write(zero[:])
	h.Write(packet[at+md5.Size:])
	return h.Sum(nil)
}

// whole gives the packet that a datagram begins with: octets beyond the length
// field are padding (RFC 2865 §3). Its attributes' lengths fit.
func whole(b []byte) ([]byte, codec.Attributes, error) {
	if len(b) < headerLen {
		return nil, nil, errMalformed
	}
	length := int(binary.BigEndian.Uint16(b[2:]))
	if length < headerLen || length > codec.MaxPacketLength || length > len(b) {
		return nil, nil, errMalformed
	}
	attrs, err := codec.ParseAttributes(b[headerLen:length])
	if err != nil {
		return nil, nil, errMalformed
	}
	return b[:length], attrs, nil
}

// verify gives the attributes of b if it is an authentic answer to q. unsigned
// lets an answer without EAP do without a Message-Authenticator; others than
// Access-Request may be answered so by anybody, since the answer grants nothing.
func verify(b []byte, q request, secret auth.Secret, unsigned bool) (codec.Code, codec.Attributes, error) {
	b, attrs, err := whole(b)
	if err != nil {
		return 0, nil, err
	}
	code := codec.Code(b[0])
	if b[1] != q[1] || !answers(code, q.code()) {
		return 0, nil, errUnexpected
	}
	h := md5.New()
	h.Write(b[:4])
	h.Write(q.authenticator())
	h.Write(b[headerLen:])
	h.Write(secret)
	if !hmac.Equal(h.Sum(nil), b[4:headerLen]) {
		return 0, nil, errAuthenticator
	}
	unsigned = unsigned || q.code() != codec.CodeAccessRequest
	if err := verifyMAC(b, attrs, q.authenticator(), secret, unsigned); err != nil {
		return 0, nil, err
	}
	return code, attrs, nil
}

// verifyMAC checks the Message-Authenticator wherever it stands. RFC 3579
// §3.2: at most one; beside an EAP-Message there is always one.
func verifyMAC(b []byte, attrs codec.Attributes, authenticator []byte, secret auth.Secret, unsigned bool) error {
	at, found := headerLen, 0
	for _, a := range attrs {
		switch a.Type {
		case rfc2869.EAPMessage_Type:
			unsigned = false
		case rfc2869.MessageAuthenticator_Type:
			if found != 0 || len(a.Attribute) != md5.Size {
				return errMAC
			}
			found = at + 2
		}
		at += 2 + len(a.Attribute)
	}
	if found == 0 {
		if unsigned {
			return nil
		}
		return errUnsigned
	}
	if !hmac.Equal(messageAuthenticator(b, authenticator, found, secret), b[found:found+md5.Size]) {
		return errMAC
	}
	return nil
}

// answers tells whether a reply's code can answer a request's. RFC 5997 §3:
// Status-Server is answered as the port's ordinary requests are.
func answers(reply, request codec.Code) bool {
	switch reply {
	case codec.CodeAccessAccept:
		return request != codec.CodeAccountingRequest
	case codec.CodeAccessReject, codec.CodeAccessChallenge:
		return request == codec.CodeAccessRequest
	case codec.CodeAccountingResponse:
		return request != codec.CodeAccessRequest
	}
	return false
}

// split cuts a long value into attributes of one type (RFC 3579 §3.1).
func split(attrs codec.Attributes, t codec.Type, value []byte) codec.Attributes {
	for len(value) > maxValue {
		attrs.Add(t, codec.Attribute(value[:maxValue]))
		value = value[maxValue:]
	}
	attrs.Add(t, codec.Attribute(value))
	return attrs
}

// join is the reverse of split; ok is false where there is no such attribute.
func join(attrs codec.Attributes, t codec.Type) (value []byte, ok bool) {
	for _, a := range attrs {
		if a.Type == t {
			value, ok = append(value, a.Attribute...), true
		}
	}
	return value, ok
}
