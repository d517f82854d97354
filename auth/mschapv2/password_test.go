package mschapv2

import (
	"bytes"
	"crypto/des"
	"crypto/rc4"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"bridgehead/auth"
	"bridgehead/auth/eap"
)

// counting is padding that anybody can make again.
func counting() io.Reader {
	b := make([]byte, maxNewPassword)
	for i := range b {
		b[i] = byte(7*i + 1)
	}
	return bytes.NewReader(b)
}

// RFC 2759 has no example of a change of password. These octets were made with
// OpenSSL's MD4, RC4 and DES-ECB from the passwords and the padding.
func TestPasswordChangeVectors(t *testing.T) {
	old, changed := auth.HashPassword([]byte("clientPass")), auth.HashPassword([]byte("MyNewPw"))
	block, err := EncryptPassword([]byte("MyNewPw"), &old, counting())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(block[:])
	hash := EncryptHash(&old, &changed)
	for _, tt := range []struct {
		what string
		got  []byte
		want string
	}{
		{"beginning of the encrypted password", block[:16], "93eac4f9aedddb26114cbcc6356d548a"},
		{"end of the encrypted password", block[496:], "54ba5fdf23ec7a7f6c18b87fd1458c58bc343a7c"},
		{"SHA-256 of the encrypted password", sum[:], "3e2ee62c91ae1b73bd37d8bd454749b532302ca4f90b77a4e9642c4e548e1d60"},
		{"encrypted hash", hash[:], "d25af15484e57c2ceca72ca11bb65cb3"},
	} {
		if got := hex.EncodeToString(tt.got); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.what, got, tt.want)
		}
	}
}

// decrypt is what a server does with a change: it gives the new password's hash
// if the old one's proves true (RFC 2759 §8.9 and §8.12 backwards).
func decrypt(c auth.PasswordChange, old auth.NTHash) (auth.NTHash, error) {
	cipher, err := rc4.NewCipher(old[:])
	if err != nil {
		return auth.NTHash{}, err
	}
	block := c.EncryptedPassword
	cipher.XORKeyStream(block[:], block[:])
	n := binary.LittleEndian.Uint32(block[maxNewPassword:])
	if n > maxNewPassword {
		return auth.NTHash{}, errors.New("the old password is wrong")
	}
	var units []rune
	for wide := block[maxNewPassword-n : maxNewPassword]; len(wide) > 1; wide = wide[2:] {
		units = append(units, rune(binary.LittleEndian.Uint16(wide)))
	}
	changed := auth.HashPassword([]byte(string(units)))
	for i := range 2 {
		key := desKey([7]byte(changed[7*i:]))
		d, err := des.NewCipher(key[:])
		if err != nil {
			return auth.NTHash{}, err
		}
		var half [8]byte
		d.Decrypt(half[:], c.EncryptedHash[8*i:])
		if !bytes.Equal(half[:], old[8*i:8*i+8]) {
			return auth.NTHash{}, errors.New("the new hash does not fit the old one")
		}
	}
	return changed, nil
}

func TestAnyNewPasswordReachesTheServer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old := auth.HashPassword([]byte(rapid.String().Draw(t, "old")))
		password := []byte(rapid.StringMatching(`[ -~äöüß€]{0,256}`).Draw(t, "new"))
		block, err := EncryptPassword(password, &old, seeded(9))
		if err != nil {
			t.Fatal(err)
		}
		want := auth.HashPassword(password)
		got, err := decrypt(auth.PasswordChange{EncryptedPassword: block, EncryptedHash: EncryptHash(&old, &want)}, old)
		if err != nil || got != want {
			t.Fatalf("the server got another password: %v", err)
		}
	})
}

func TestNewPasswordsThatCanNotBeSent(t *testing.T) {
	var old auth.NTHash
	if b, err := EncryptPassword([]byte(strings.Repeat("x", 257)), &old, seeded(1)); err == nil || b != (eap.EncryptedPassword{}) || !strings.Contains(err.Error(), "257") {
		t.Errorf("257 characters: %v", err)
	}
	if _, err := EncryptPassword([]byte(strings.Repeat("x", 256)), &old, strings.NewReader("")); err != nil {
		t.Errorf("256 characters need no padding: %v", err)
	}
	if b, err := EncryptPassword([]byte("short"), &old, strings.NewReader("few")); !errors.Is(err, io.ErrUnexpectedEOF) || b != (eap.EncryptedPassword{}) {
		t.Errorf("without randomness: %v", err)
	}
}
