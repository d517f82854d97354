package auth

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"unicode/utf16"
	"unicode/utf8"

	//lint:ignore SA1019 RFC 2759 §8.3 wants MD4
	"golang.org/x/crypto/md4"
)

// Account is what a HashStore knows about one user.
type Account struct {
	Hash     NTHash
	Grant    Grant // Name is set, MSK is not
	Disabled bool
	// Barred is why the account may not log in now; nil: it may. It is told only
	// to whoever knows the password. One with ErrorAuthenticationFailed is of an
	// account whose hash can't be had, which no password proves: on the wire it is
	// a wrong password, in the log it has its reason.
	Barred *Refusal
}

// HashStore gives accounts by their exact name. ok is false where there is
// none; an error means that the store could not tell.
type HashStore interface {
	Lookup(ctx context.Context, name string) (a Account, ok bool, err error)
}

// NTHash is the MD4 hash of a password (RFC 2759 §8.3). Whoever has it can
// log in with it, so it never prints itself.
type NTHash [16]byte

// HashPassword is NtPasswordHash of RFC 2759 §8.3 of a password in UTF-8.
// Octets that are not UTF-8 count as the replacement character.
func HashPassword(password []byte) NTHash {
	wide := UTF16(password)
	defer wide.Wipe()
	return md4Of(wide)
}

// UTF16 is a password in UTF-8 as RFC 2759 has it: little-endian UTF-16.
func UTF16(password []byte) Secret {
	wide := make(Secret, 0, 2*len(password))
	for rest := password; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		rest = rest[n:]
		if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
			wide = binary.LittleEndian.AppendUint16(wide, uint16(hi))
			r = lo
		}
		wide = binary.LittleEndian.AppendUint16(wide, uint16(r))
	}
	return wide
}

// HashHash is HashNtPasswordHash of RFC 2759 §8.4.
func (h *NTHash) HashHash() NTHash { return md4Of(h[:]) }

func md4Of(b []byte) (sum NTHash) {
	h := md4.New()
	h.Write(b)
	h.Sum(sum[:0])
	return sum
}

// Format writes a placeholder for every verb.
func (NTHash) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[NT hash]") }

// LogValue keeps the hash out of structured logs.
func (NTHash) LogValue() slog.Value { return slog.StringValue("[NT hash]") }

// MarshalText keeps the hash out of JSON and TOML.
func (NTHash) MarshalText() ([]byte, error) { return []byte("[NT hash]"), nil }

// Wipe overwrites the hash with zeros.
func (h *NTHash) Wipe() { clear(h[:]) }
