package dae

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3576"

	"bridgehead/auth"
	"bridgehead/radius"
)

const (
	headerLen        = 20
	authenticatorLen = 16
	// window is how far an Event-Timestamp may be from our clock (RFC 5176
	// §6.3).
	window = 300 * time.Second
	// tlsSecret stands in the place of a secret over TLS (RFC 6614 §2.3).
	tlsSecret = "radsec"
)

// request is an authentic request.
type request struct {
	code          codec.Code
	id            uint8
	authenticator [authenticatorLen]byte
	attrs         codec.Attributes
	secret        auth.Secret
	dated         time.Time // its Event-Timestamp; zero: none
}

// readRequest takes a packet that came from a client. The error is a discard:
// nothing of it may have an effect or be answered.
func readRequest(now time.Time, b []byte, c *Client, overTLS bool) (*request, error) {
	packet, attrs, err := radius.Whole(b)
	if err != nil {
		return nil, discardMalformed
	}
	q := &request{code: codec.Code(packet[0]), id: packet[1], authenticator: [authenticatorLen]byte(packet[4:headerLen]), attrs: attrs, secret: c.Secret}
	if overTLS {
		q.secret = auth.Secret(tlsSecret)
	}
	if q.code != codec.CodeDisconnectRequest && q.code != codec.CodeCoARequest {
		return nil, discardCode
	}
	if !q.authentic(packet) {
		return nil, discardAuthenticator
	}
	// RFC 5176 §3.4: made with zeros in the place of the Request Authenticator.
	var zero [authenticatorLen]byte
	switch err := radius.VerifyMessageAuthenticator(packet, attrs, zero[:], q.secret, overTLS || c.AllowUnsigned); {
	case errors.Is(err, radius.ErrUnsigned):
		return nil, discardUnsigned
	case err != nil:
		return nil, discardMAC
	}
	if err := q.date(now, overTLS || c.AllowUndated); err != nil {
		return nil, err
	}
	return q, nil
}

// authentic checks the Request Authenticator (RFC 5176 §2.3, as RFC 2866 §3).
func (q *request) authentic(packet []byte) bool {
	var zero [authenticatorLen]byte
	h := md5.New()
	h.Write(packet[:4])
	h.Write(zero[:])
	h.Write(packet[headerLen:])
	h.Write(q.secret)
	return hmac.Equal(h.Sum(nil), q.authenticator[:])
}

// date checks the Event-Timestamp: one that is there must be of now, over TLS
// too (RFC 5176 §6.3).
func (q *request) date(now time.Time, undated bool) error {
	for _, a := range q.attrs {
		if a.Type != rfc2869.EventTimestamp_Type {
			continue
		}
		if len(a.Attribute) != 4 || !q.dated.IsZero() {
			return discardMalformed
		}
		q.dated = time.Unix(int64(binary.BigEndian.Uint32(a.Attribute)), 0)
		if d := now.Sub(q.dated); d > window || d < -window {
			return discardStale
		}
	}
	if q.dated.IsZero() && !undated {
		return discardUndated
	}
	return nil
}

// disconnects tells a Disconnect-Request from a CoA-Request.
func (q *request) disconnects() bool { return q.code == codec.CodeDisconnectRequest }

// answer makes the answer: ACK without a cause, else NAK. Message-Authenticator
// comes first; Proxy-State and State go back as they came (RFC 5176 §3.1, §3.3).
func (q *request) answer(cause ErrorCause) ([]byte, error) {
	p := codec.Packet{Code: q.code + 1, Identifier: q.id, Authenticator: q.authenticator}
	p.Attributes.Add(rfc2869.MessageAuthenticator_Type, make([]byte, md5.Size))
	if cause != 0 {
		p.Code++
		p.Attributes.Add(rfc3576.ErrorCause_Type, codec.NewInteger(uint32(cause)))
	}
	for _, a := range q.attrs {
		if a.Type == rfc2865.ProxyState_Type || a.Type == rfc2865.State_Type {
			p.Attributes = append(p.Attributes, a)
		}
	}
	b, err := p.MarshalBinary()
	if err != nil {
		return nil, err
	}
	radius.SignFirst(b, q.authenticator[:], q.secret)
	h := md5.New()
	h.Write(b)
	h.Write(q.secret)
	copy(b[4:headerLen], h.Sum(nil))
	return b, nil
}
