package exchange

import (
	"errors"
	"fmt"
	"io"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

const (
	skOverhead  = message.HeaderLen + 4     // IKE header, generic header
	skfOverhead = message.HeaderLen + 4 + 4 // and fragment number and total
)

// ErrUnprotected reports a message without an SK or SKF payload where one is
// required.
var ErrUnprotected = errors.New("ikev2: message is not protected, expected an SK or SKF payload (RFC 7296 §3.14)")

// LimitError reports a message size limit too small for even one octet of
// content in each fragment.
type LimitError struct {
	Limit    int // octets of an IKE message
	Overhead int // octets that header and protection take of it
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("ikev2: message limit of %d octets leaves no room beside %d octets of protection; raise the fragment size", e.Limit, e.Overhead)
}

// Protection is one IKE SA's keys in use. It is for one goroutine at a time.
type Protection struct {
	sealer *suite.Sealer
	opener *suite.Opener
}

// NewProtection makes the protection of an IKE SA from its keys. initiator
// tells that this end is the SA's original initiator, which seals with SK_ei
// and SK_ai.
func NewProtection(s suite.IKE, k suite.IKEKeys, initiator bool) (*Protection, error) {
	sealEncr, sealInteg, openEncr, openInteg := k.Er, k.Ar, k.Ei, k.Ai
	if initiator {
		sealEncr, sealInteg, openEncr, openInteg = openEncr, openInteg, sealEncr, sealInteg
	}
	sealer, err := s.NewSealer(sealEncr, sealInteg)
	if err != nil {
		return nil, fmt.Errorf("ikev2: protecting messages: %w", err)
	}
	opener, err := s.NewOpener(openEncr, openInteg)
	if err != nil {
		return nil, fmt.Errorf("ikev2: opening messages: %w", err)
	}
	return &Protection{sealer: sealer, opener: opener}, nil
}

// Rest lets go of what can be made again from the keys when the next message
// comes, which for an established IKE SA may take hours.
func (p *Protection) Rest() {
	p.sealer.Rest()
	p.opener.Rest()
}

// Seal encodes and protects one message. h gives SPIs, exchange, flags and
// message id. A message of more than limit octets is split into fragments of
// at most that (RFC 7383 §2.5); 0 never fragments. rand provides IVs where
// the cipher needs random ones.
func (p *Protection) Seal(h message.Header, ps []message.Payload, limit int, rand io.Reader) ([][]byte, error) {
	plaintext := message.AppendPayloads(nil, ps)
	first := message.FirstType(ps)
	whole := p.sealer.Len(len(plaintext))
	if limit == 0 || skOverhead+whole <= limit {
		b := h.AppendSK(make([]byte, 0, skOverhead+whole), first, whole)
		b, err := p.sealer.Seal(b, plaintext, rand)
		if err != nil {
			return nil, fmt.Errorf("ikev2: protecting a message: %w", err)
		}
		return [][]byte{b}, nil
	}
	return p.sealFragments(h, first, plaintext, limit, rand)
}

func (p *Protection) sealFragments(h message.Header, first message.PayloadType, plaintext []byte, limit int, rand io.Reader) ([][]byte, error) {
	size := p.sealer.MaxPlaintext(limit - skfOverhead)
	if size <= 0 {
		return nil, &LimitError{Limit: limit, Overhead: skfOverhead + p.sealer.Len(0)}
	}
	total := (len(plaintext) + size - 1) / size
	out := make([][]byte, 0, total)
	for number := 1; number <= total; number++ {
		part := plaintext[:min(size, len(plaintext))]
		plaintext = plaintext[len(part):]
		n := p.sealer.Len(len(part))
		b := h.AppendSKF(make([]byte, 0, skfOverhead+n), first, uint16(number), uint16(total), n)
		b, err := p.sealer.Seal(b, part, rand)
		if err != nil {
			return nil, fmt.Errorf("ikev2: protecting fragment %d of %d: %w", number, total, err)
		}
		out = append(out, b)
		first = message.NoNextPayload
	}
	return out, nil
}

// Open verifies and decrypts the SK or SKF payload that ends m; raw is the
// whole message as received. The plaintext of an SKF is one fragment's part,
// for a Reassembler. Nothing of m may be trusted before Open succeeds. The
// error is ErrUnprotected or a *suite.IntegrityError.
func (p *Protection) Open(m *message.Message, raw []byte) (first message.PayloadType, plaintext []byte, err error) {
	var body []byte
	switch last := lastPayload(m).(type) {
	case *message.SK:
		first, body = last.First, last.Body
	case *message.SKF:
		first, body = last.First, last.Body
	default:
		return 0, nil, ErrUnprotected
	}
	plaintext, err = p.opener.Open(nil, raw, len(raw)-len(body))
	if err != nil {
		return 0, nil, err
	}
	return first, plaintext, nil
}

// FragmentOf gives the SKF payload that ends m, nil if m is no fragment.
func FragmentOf(m *message.Message) *message.SKF {
	skf, _ := lastPayload(m).(*message.SKF)
	return skf
}

func lastPayload(m *message.Message) message.Payload {
	if len(m.Payloads) == 0 {
		return nil
	}
	return m.Payloads[len(m.Payloads)-1]
}

// PayloadBody gives the body of the first payload of type t in an opened
// message, as it stood on the wire, reserved octets included: the AUTH
// payload covers those of the ID payloads (RFC 7296 §2.15). first and
// plaintext are what Open or Add gave; nil if there is none.
func PayloadBody(first message.PayloadType, plaintext []byte, t message.PayloadType) []byte {
	for first != message.NoNextPayload && len(plaintext) >= 4 {
		length := int(plaintext[2])<<8 | int(plaintext[3])
		if length < 4 || length > len(plaintext) {
			return nil
		}
		if first == t {
			return plaintext[4:length]
		}
		first, plaintext = message.PayloadType(plaintext[0]), plaintext[length:]
	}
	return nil
}
