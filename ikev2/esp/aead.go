package esp

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"sync"

	"golang.org/x/crypto/chacha20poly1305"

	"bridgehead/ikev2/suite"
)

// aeadTransform is AES-GCM-16 (RFC 4106) or ChaCha20-Poly1305 (RFC 7634).
type aeadTransform struct {
	aead cipher.AEAD
	salt [aeadSaltLen]byte
	esn  bool
}

// aeadScratch holds the inputs that are not contiguous in the packet. They pass
// through an interface, so on the stack they would be allocated per packet.
type aeadScratch struct {
	nonce [aeadSaltLen + aeadIVLen]byte
	aad   [headerLen + 4]byte
}

var aeadScratches = sync.Pool{New: func() any { return new(aeadScratch) }}

func newAEAD(sa SA) (*aeadTransform, error) {
	aead, err := newAEADCipher(sa)
	if err != nil {
		return nil, err
	}
	t := &aeadTransform{aead: aead, esn: sa.Suite.ESN}
	copy(t.salt[:], sa.salt())
	return t, nil
}

func newAEADCipher(sa SA) (cipher.AEAD, error) {
	if sa.Suite.Encr == suite.EncrChaCha20Poly1305 {
		return chacha20poly1305.New(sa.key())
	}
	block, err := aes.NewCipher(sa.key())
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal uses the sequence number as IV: it never repeats under a key, and RFC
// 4106 §3.1 and RFC 7634 §2 ask for no more.
func (t *aeadTransform) seal(packet []byte, seq uint64) {
	const body = headerLen + aeadIVLen
	binary.BigEndian.PutUint64(packet[headerLen:], seq)
	s := aeadScratches.Get().(*aeadScratch)
	nonce, aad := t.inputs(s, packet, seq)
	t.aead.Seal(packet[body:body], nonce, packet[body:len(packet)-aeadICVLen], aad)
	aeadScratches.Put(s)
}

func (t *aeadTransform) open(packet []byte, seq uint64) error {
	const body = headerLen + aeadIVLen
	s := aeadScratches.Get().(*aeadScratch)
	nonce, aad := t.inputs(s, packet, seq)
	_, err := t.aead.Open(packet[body:body], nonce, packet[body:], aad)
	aeadScratches.Put(s)
	if err != nil {
		return ErrIntegrity
	}
	return nil
}

// inputs gives the nonce, salt and IV, and the additional data, which with ESN
// holds all 64 bits of the sequence number (RFC 4106 §5, RFC 7634 §2.1).
func (t *aeadTransform) inputs(s *aeadScratch, packet []byte, seq uint64) (nonce, aad []byte) {
	copy(s.nonce[:], t.salt[:])
	copy(s.nonce[aeadSaltLen:], packet[headerLen:headerLen+aeadIVLen])
	copy(s.aad[:4], packet)
	if t.esn {
		binary.BigEndian.PutUint64(s.aad[4:], seq)
		return s.nonce[:], s.aad[:]
	}
	binary.BigEndian.PutUint32(s.aad[4:], uint32(seq))
	return s.nonce[:], s.aad[:headerLen]
}
