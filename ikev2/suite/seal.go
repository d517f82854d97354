package suite

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"
)

const (
	aeadIVLen  = 8  // RFC 5282 §3.1, RFC 7634 §2
	aeadTagLen = 16 // of all AEADs here
	aeadSalt   = 4
)

// KeyError reports a key that has not the length its algorithm needs: our own
// fault, never the peer's.
type KeyError struct {
	Key       string // "encryption" or "integrity"
	Got, Want int    // octets, salt included
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("suite: %s key of %d octets, expected %d", e.Key, e.Got, e.Want)
}

// ErrExhausted reports that a Sealer has used up its initialization vectors.
// The SA must be replaced.
var ErrExhausted = errors.New("suite: initialization vectors used up: the IKE SA must be rekeyed")

// Sealer protects the messages that one end of an IKE SA sends (RFC 7296
// §3.14, RFC 5282). It is for one goroutine. Making a second Sealer from the
// same keys repeats the initialization vectors of an AEAD and so breaks it.
type Sealer struct {
	encr    uint16
	key     Secret      // without salt
	aead    cipher.AEAD // nil with CBC, and at rest
	counter uint64      // the last AEAD initialization vector used
	nonce   [aeadSalt + aeadIVLen]byte
	cbc     *cbcSealer // nil with an AEAD
}

// cbcSealer is AES-CBC with HMAC, encrypt-then-MAC.
type cbcSealer struct {
	mode cbcMode // nil at rest
	mac  checksum
}

// cbcMode is what crypto/cipher's CBC modes are: another message takes a new
// initialization vector, no new allocation.
type cbcMode interface {
	cipher.BlockMode
	SetIV([]byte)
}

// checkKeys refuses algorithms that are not implemented and keys of the wrong
// length.
func (s IKE) checkKeys(encr, integ Secret) error {
	if err := checkProtection(s.Encr, s.KeyLength, s.Integ); err != nil {
		return err
	}
	if len(encr) != s.KeyLen() {
		return &KeyError{"encryption", len(encr), s.KeyLen()}
	}
	if len(integ) != s.IntegKeyLen() {
		return &KeyError{"integrity", len(integ), s.IntegKeyLen()}
	}
	return nil
}

// newAEAD takes the key without its salt.
func newAEAD(encr uint16, key []byte) (cipher.AEAD, error) {
	if encr == EncrChaCha20Poly1305 {
		return chacha20poly1305.New(key)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// newCBC makes one direction of AES-CBC; maker is cipher.NewCBCEncrypter or
// cipher.NewCBCDecrypter.
func newCBC(key []byte, maker func(cipher.Block, []byte) cipher.BlockMode) (cbcMode, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	mode, ok := maker(block, make([]byte, aes.BlockSize)).(cbcMode)
	if !ok {
		return nil, errors.New("suite: crypto/cipher's CBC mode has no SetIV")
	}
	return mode, nil
}

// NewSealer makes the Sealer of one direction from SK_e and SK_a, which it copies:
// they may be wiped. The error is a *KeyError or an *UnsupportedError.
func (s IKE) NewSealer(encr, integ Secret) (*Sealer, error) {
	if err := s.checkKeys(encr, integ); err != nil {
		return nil, err
	}
	if !isAEAD(s.Encr) {
		return &Sealer{encr: s.Encr, key: slices.Clone(encr), cbc: &cbcSealer{mac: newChecksum(s.Integ, integ)}}, nil
	}
	key, salt := encr[:len(encr)-aeadSalt], encr[len(encr)-aeadSalt:]
	sealer := &Sealer{encr: s.Encr, key: slices.Clone(key)}
	copy(sealer.nonce[:], salt)
	return sealer, nil
}

// Rest lets go of the expanded key, three quarters of a kilobyte with AES-GCM,
// until the next message: an established IKE SA is silent most of its life.
func (s *Sealer) Rest() {
	s.aead = nil
	if s.cbc != nil {
		s.cbc.mode = nil
	}
}

// wake expands the key if it is at rest.
func (s *Sealer) wake() (err error) {
	switch {
	case s.cbc == nil && s.aead == nil:
		s.aead, err = newAEAD(s.encr, s.key)
	case s.cbc != nil && s.cbc.mode == nil:
		s.cbc.mode, err = newCBC(s.key, cipher.NewCBCEncrypter)
	}
	return err
}

// paddedLen is the length of plaintext, padding and pad length octet.
func paddedLen(plaintext int) int {
	return (plaintext/aes.BlockSize + 1) * aes.BlockSize
}

// Len is the number of octets that Seal appends for a plaintext of so many.
func (s *Sealer) Len(plaintext int) int {
	if s.cbc == nil {
		return aeadIVLen + plaintext + 1 + aeadTagLen
	}
	return aes.BlockSize + paddedLen(plaintext) + s.cbc.mac.icvLen
}

// MaxPlaintext is the largest plaintext for which Len gives at most body
// octets; negative if there is none.
func (s *Sealer) MaxPlaintext(body int) int {
	if s.cbc == nil {
		return body - aeadIVLen - 1 - aeadTagLen
	}
	body -= aes.BlockSize + s.cbc.mac.icvLen
	if body < 0 {
		return -1
	}
	return body/aes.BlockSize*aes.BlockSize - 1
}

// Seal appends initialization vector, ciphertext and checksum to msg: the IKE
// header, the generic header of the SK or SKF payload and the fragment
// fields, with the lengths they have when Len(len(plaintext)) octets follow.
// The plaintext must not overlap msg. Initialization vectors of AES-CBC come
// from rand, those of an AEAD are counted.
func (s *Sealer) Seal(msg, plaintext []byte, rand io.Reader) ([]byte, error) {
	if err := s.wake(); err != nil {
		return nil, err
	}
	msg = slices.Grow(msg, s.Len(len(plaintext)))
	if s.cbc == nil {
		return s.sealAEAD(msg, plaintext)
	}
	return s.cbc.seal(msg, plaintext, rand)
}

// sealAEAD authenticates all of msg as associated data (RFC 5282 §5.1) and
// needs no padding but the pad length octet.
func (s *Sealer) sealAEAD(msg, plaintext []byte) ([]byte, error) {
	if s.counter == math.MaxUint64 {
		return nil, ErrExhausted
	}
	s.counter++
	header := len(msg)
	msg = binary.BigEndian.AppendUint64(msg, s.counter)
	copy(s.nonce[aeadSalt:], msg[header:])
	body := len(msg)
	msg = append(append(msg, plaintext...), 0)
	return s.aead.Seal(msg[:body], s.nonce[:], msg[body:], msg[:header]), nil
}

func (c *cbcSealer) seal(msg, plaintext []byte, rand io.Reader) ([]byte, error) {
	start := len(msg)
	body := start + aes.BlockSize
	msg = msg[:body]
	if _, err := io.ReadFull(rand, msg[start:]); err != nil {
		return nil, fmt.Errorf("suite: initialization vector: %w", err)
	}
	c.mode.SetIV(msg[start:])
	msg = append(msg, plaintext...)
	padding := paddedLen(len(plaintext)) - len(plaintext) - 1
	for range padding {
		msg = append(msg, 0)
	}
	msg = append(msg, byte(padding))
	c.mode.CryptBlocks(msg[body:], msg[body:])
	return c.mac.append(msg), nil
}
