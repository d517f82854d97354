package suite

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"slices"
)

// IntegrityError reports an Encrypted payload that its checksum does not
// confirm: a forgery, damage, or other keys. The message must be dropped.
type IntegrityError struct {
	Octets int // of the payload's body
}

func (e *IntegrityError) Error() string {
	return fmt.Sprintf("ikev2: integrity check of an encrypted payload of %d octets failed", e.Octets)
}

// PaddingError reports a pad length that exceeds the authenticated plaintext
// (RFC 7296 §3.14): the peer's fault, not a forgery.
type PaddingError struct{ PadLength, Available int }

func (e *PaddingError) Error() string {
	return fmt.Sprintf("ikev2: encrypted payload with %d octets of padding, %d are there", e.PadLength, e.Available)
}

// Opener verifies and decrypts the messages that one end of an IKE SA receives
// (RFC 7296 §3.14, RFC 5282). It is for one goroutine.
type Opener struct {
	encr  uint16
	key   Secret      // without salt
	aead  cipher.AEAD // nil with CBC, and at rest
	nonce [aeadSalt + aeadIVLen]byte
	cbc   *cbcOpener // nil with an AEAD
}

type cbcOpener struct {
	mode cbcMode // nil at rest
	mac  checksum
}

// NewOpener makes the Opener of one direction from SK_e and SK_a, which it copies:
// they may be wiped. The error is a *KeyError or an *UnsupportedError.
func (s IKE) NewOpener(encr, integ Secret) (*Opener, error) {
	if err := s.checkKeys(encr, integ); err != nil {
		return nil, err
	}
	if !isAEAD(s.Encr) {
		return &Opener{encr: s.Encr, key: slices.Clone(encr), cbc: &cbcOpener{mac: newChecksum(s.Integ, integ)}}, nil
	}
	key, salt := encr[:len(encr)-aeadSalt], encr[len(encr)-aeadSalt:]
	opener := &Opener{encr: s.Encr, key: slices.Clone(key)}
	copy(opener.nonce[:], salt)
	return opener, nil
}

// Rest lets go of the expanded key until the next message.
func (o *Opener) Rest() {
	o.aead = nil
	if o.cbc != nil {
		o.cbc.mode = nil
	}
}

// wake expands the key if it is at rest.
func (o *Opener) wake() (err error) {
	switch {
	case o.cbc == nil && o.aead == nil:
		o.aead, err = newAEAD(o.encr, o.key)
	case o.cbc != nil && o.cbc.mode == nil:
		o.cbc.mode, err = newCBC(o.key, cipher.NewCBCDecrypter)
	}
	return err
}

// Open verifies msg, a whole message whose SK or SKF body (the initialization
// vector, for SKF after the fragment fields) begins at octet off, then appends
// the plaintext without its padding to dst, which must not overlap msg. The
// error is an *IntegrityError, or a *PaddingError for an authentic message.
func (o *Opener) Open(dst, msg []byte, off int) ([]byte, error) {
	if off < 0 || off > len(msg) {
		return nil, &IntegrityError{}
	}
	if err := o.wake(); err != nil {
		return nil, err
	}
	start := len(dst)
	var err error
	if o.cbc == nil {
		dst, err = o.openAEAD(dst, msg, off)
	} else {
		dst, err = o.cbc.open(dst, msg, off)
	}
	if err != nil {
		return nil, err
	}
	end := len(dst) - 1
	padding := int(dst[end])
	if padding > end-start {
		return nil, &PaddingError{padding, end - start}
	}
	return dst[:end-padding], nil
}

func (o *Opener) openAEAD(dst, msg []byte, off int) ([]byte, error) {
	body := msg[off:]
	if len(body) < aeadIVLen+1+aeadTagLen {
		return nil, &IntegrityError{len(body)}
	}
	copy(o.nonce[aeadSalt:], body)
	dst, err := o.aead.Open(dst, o.nonce[:], body[aeadIVLen:], msg[:off])
	if err != nil {
		return nil, &IntegrityError{len(body)}
	}
	return dst, nil
}

// open verifies before it decrypts, so that a forgery learns nothing from the
// padding.
func (c *cbcOpener) open(dst, msg []byte, off int) ([]byte, error) {
	body := len(msg) - off
	ciphertext := body - aes.BlockSize - c.mac.icvLen
	if ciphertext < aes.BlockSize || ciphertext%aes.BlockSize != 0 || !c.mac.verify(msg) {
		return nil, &IntegrityError{body}
	}
	iv := msg[off : off+aes.BlockSize]
	src := msg[off+aes.BlockSize : off+aes.BlockSize+ciphertext]
	start := len(dst)
	dst = slices.Grow(dst, ciphertext)[:start+ciphertext]
	c.mode.SetIV(iv)
	c.mode.CryptBlocks(dst[start:], src)
	return dst, nil
}
