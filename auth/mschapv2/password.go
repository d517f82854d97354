package mschapv2

import (
	"crypto/des"
	"crypto/rc4"
	"encoding/binary"
	"fmt"
	"io"

	"bridgehead/auth"
	"bridgehead/auth/eap"
)

// maxNewPassword is the longest new password (RFC 2759 §8.9), in octets of
// UTF-16.
const maxNewPassword = 512

// EncryptPassword is NewPasswordEncryptedWithOldNtPasswordHash of RFC 2759
// §8.9, of a password in UTF-8 with at most 256 UTF-16 units. rand fills what
// the password leaves of its block.
func EncryptPassword(password []byte, old *auth.NTHash, rand io.Reader) (eap.EncryptedPassword, error) {
	wide := auth.UTF16(password)
	defer wide.Wipe()
	if len(wide) > maxNewPassword {
		return eap.EncryptedPassword{}, fmt.Errorf("a new password of %d UTF-16 units, expected at most %d: choose a shorter one", len(wide)/2, maxNewPassword/2)
	}
	var block eap.EncryptedPassword
	padding := block[:maxNewPassword-len(wide)]
	if _, err := io.ReadFull(rand, padding); err != nil {
		return eap.EncryptedPassword{}, fmt.Errorf("fill up the new password: %w", err)
	}
	copy(block[len(padding):], wide)
	binary.LittleEndian.PutUint32(block[maxNewPassword:], uint32(len(wide)))
	c, err := rc4.NewCipher(old[:])
	if err != nil { // only for a key of a wrong length
		clear(block[:])
		return eap.EncryptedPassword{}, err
	}
	c.XORKeyStream(block[:], block[:])
	return block, nil
}

// EncryptHash is OldNtPasswordHashEncryptedWithNewNtPasswordHash of RFC 2759
// §8.12.
func EncryptHash(old, changed *auth.NTHash) (h eap.EncryptedHash) {
	for i := range 2 {
		key := desKey([7]byte(changed[7*i:]))
		block, err := des.NewCipher(key[:])
		clear(key[:])
		if err != nil { // only for a key of a wrong length
			return eap.EncryptedHash{}
		}
		block.Encrypt(h[8*i:], old[8*i:])
	}
	return h
}
