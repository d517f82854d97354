package esp

import (
	"crypto/aes"

	"bridgehead/ikev2/suite"
)

// Lengths in octets.
const (
	headerLen   = 8  // SPI and sequence number (RFC 4303 §2)
	trailerLen  = 2  // pad length and next header
	aeadIVLen   = 8  // RFC 4106 §3.1, RFC 7634 §2
	aeadSaltLen = 4  // RFC 4106 §4, RFC 7634 §2
	aeadICVLen  = 16 // RFC 4106 §6, RFC 7634 §2
	aeadAlign   = 4  // the ciphertext ends on such a boundary (RFC 4303 §2.4)
)

// Next headers that tunnel mode knows (RFC 4303 §2.6).
const (
	nextHeaderIPv4 = 4
	nextHeaderIPv6 = 41
	nextHeaderNone = 59
)

// geometry is what a transform adds around the inner packet, in octets.
type geometry struct {
	iv, align, icv uint8
}

func (g geometry) header() int { return headerLen + int(g.iv) }

// padding is the number of padding octets for n octets of payload.
func (g geometry) padding(n int) int {
	align := int(g.align)
	return (align - (n+trailerLen)%align) % align
}

// A transform protects whole packets in place. seq is the full sequence number,
// of which the packet carries the low 32 bits. Both methods may be called from
// several goroutines at once.
type transform interface {
	// seal writes IV and ICV and encrypts what lies between.
	seal(packet []byte, seq uint64)
	// open checks the ICV and decrypts; ErrIntegrity if it does not match.
	open(packet []byte, seq uint64) error
}

// newTransform builds the algorithms of sa. Only an outbound SA makes IVs.
func newTransform(sa SA, outbound bool) (transform, geometry, error) {
	if err := sa.check(); err != nil {
		return nil, geometry{}, err
	}
	if sa.Suite.AEAD() {
		t, err := newAEAD(sa)
		return t, geometry{iv: aeadIVLen, align: aeadAlign, icv: aeadICVLen}, err
	}
	t, err := newCBC(sa, outbound)
	return t, geometry{iv: aes.BlockSize, align: aes.BlockSize, icv: uint8(sa.Suite.IntegICVLen())}, err
}

// check refuses algorithms and keys that do not fit together, so that nothing
// behind it can fail.
func (sa SA) check() error {
	s := sa.Suite
	if err := s.Check(); err != nil {
		return &SuiteError{SPI: sa.SPI, Err: err}
	}
	if want := s.KeyLen() + s.SaltLen(); len(sa.EncrKey) != want {
		return &SuiteError{SPI: sa.SPI, Err: &KeyLengthError{"encryption", len(sa.EncrKey), want}}
	}
	if want := s.IntegKeyLen(); len(sa.IntegKey) != want {
		return &SuiteError{SPI: sa.SPI, Err: &KeyLengthError{"integrity", len(sa.IntegKey), want}}
	}
	return nil
}

// key is the encryption key without the salt.
func (sa SA) key() suite.Secret { return sa.EncrKey[:sa.Suite.KeyLen()] }

// salt follows the key of an AEAD.
func (sa SA) salt() suite.Secret { return sa.EncrKey[sa.Suite.KeyLen():] }
