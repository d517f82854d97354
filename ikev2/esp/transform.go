package esp

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"bridgehead/ikev2/suite"
)

// Transform ids (IANA "IKEv2 Transform Type 1" and "Type 3").
const (
	encrAESCBC           = 12
	encrAESGCM16         = 20
	encrChaCha20Poly1305 = 28

	integHMACSHA1      = 2  // HMAC-SHA1-96
	integHMACSHA2_256  = 12 // HMAC-SHA2-256-128
	integHMACSHA2_384  = 13 // HMAC-SHA2-384-192
	integHMACSHA2_512  = 14 // HMAC-SHA2-512-256
	headerLen          = 8  // SPI and sequence number (RFC 4303 §2)
	trailerLen         = 2  // pad length and next header
	aeadIVLen          = 8  // RFC 4106 §3.1, RFC 7634 §2
	aeadSaltLen        = 4  // RFC 4106 §4, RFC 7634 §2
	aeadICVLen         = 16 // RFC 4106 §6, RFC 7634 §2
	aeadAlign          = 4  // RFC 4303 §2.4: ciphertext ends on a 4-octet boundary
	nextHeaderIPv4     = 4
	nextHeaderIPv6     = 41
	nextHeaderNone     = 59
	chachaKeyBits      = 256
	unsupportedMessage = "encryption transform %d with a %d-bit key is not supported in ESP"
)

// geometry is what the transform adds around the inner packet, in octets.
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
	switch sa.Suite.Encr {
	case encrAESGCM16, encrChaCha20Poly1305:
		t, err := newAEAD(sa)
		return t, geometry{iv: aeadIVLen, align: aeadAlign, icv: aeadICVLen}, err
	case encrAESCBC:
		t, err := newCBC(sa, outbound)
		if err != nil {
			return nil, geometry{}, err
		}
		return t, geometry{iv: aes.BlockSize, align: aes.BlockSize, icv: uint8(t.mac.icv)}, nil
	}
	return nil, geometry{}, sa.refuse(unsupportedMessage, sa.Suite.Encr, sa.Suite.KeyLength)
}

func (sa SA) refuse(format string, args ...any) error {
	return &SuiteError{SPI: sa.SPI, Detail: fmt.Sprintf(format, args...)}
}

// aesBlock makes the block cipher of an AES suite from key, which must have the
// length that was negotiated.
func (sa SA) aesBlock(key suite.Secret) (cipher.Block, error) {
	switch sa.Suite.KeyLength {
	case 128, 192, 256:
	default:
		return nil, sa.refuse(unsupportedMessage, sa.Suite.Encr, sa.Suite.KeyLength)
	}
	if want := int(sa.Suite.KeyLength / 8); len(key) != want {
		return nil, sa.refuse("encryption key of %d octets, expected %d", len(key), want)
	}
	return aes.NewCipher(key)
}

func (sa SA) cipherAEAD() (cipher.AEAD, error) {
	if len(sa.EncrKey) < aeadSaltLen {
		return nil, sa.refuse("encryption key of %d octets has no room for the salt", len(sa.EncrKey))
	}
	key := sa.EncrKey[:len(sa.EncrKey)-aeadSaltLen]
	if sa.Suite.Encr == encrChaCha20Poly1305 {
		if sa.Suite.KeyLength != 0 && sa.Suite.KeyLength != chachaKeyBits {
			return nil, sa.refuse(unsupportedMessage, sa.Suite.Encr, sa.Suite.KeyLength)
		}
		if len(key) != chacha20poly1305.KeySize {
			return nil, sa.refuse("encryption key of %d octets, expected %d", len(key), chacha20poly1305.KeySize)
		}
		return chacha20poly1305.New(key)
	}
	block, err := sa.aesBlock(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
