package mschapv2

import (
	"crypto/des"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	//lint:ignore SA1019 RFC 2759 §8.3 wants MD4
	"golang.org/x/crypto/md4"
)

// NTHash is the MD4 hash of a password (RFC 2759 §8.3). Whoever has it can
// log in with it, so it never prints itself.
type NTHash [16]byte

// Format writes a placeholder for every verb.
func (NTHash) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[NT hash]") }

// LogValue keeps the hash out of structured logs.
func (NTHash) LogValue() slog.Value { return slog.StringValue("[NT hash]") }

// MarshalText keeps the hash out of JSON and TOML.
func (NTHash) MarshalText() ([]byte, error) { return []byte("[NT hash]"), nil }

// Wipe overwrites the hash with zeros.
func (h *NTHash) Wipe() { clear(h[:]) }

// HashPassword is NtPasswordHash of RFC 2759 §8.3 of a password in UTF-8.
// Octets that are not UTF-8 count as the replacement character.
func HashPassword(password []byte) NTHash {
	wide := make([]byte, 0, 2*len(password))
	for rest := password; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		rest = rest[n:]
		if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
			wide = binary.LittleEndian.AppendUint16(wide, uint16(hi))
			r = lo
		}
		wide = binary.LittleEndian.AppendUint16(wide, uint16(r))
	}
	defer clear(wide)
	return md4Of(wide)
}

func md4Of(b []byte) (sum NTHash) {
	h := md4.New()
	h.Write(b)
	h.Sum(sum[:0])
	return sum
}

// HashHash is HashNtPasswordHash of RFC 2759 §8.4.
func (h *NTHash) HashHash() NTHash { return md4Of(h[:]) }

// Bare is the user's name without "DOMAIN\". The challenge hash covers this
// part alone (RFC 2759 §4).
func Bare(name string) string {
	if i := strings.IndexByte(name, '\\'); i >= 0 {
		return name[i+1:]
	}
	return name
}

// ChallengeHash is RFC 2759 §8.2. name may carry a domain, which does not
// count.
func ChallengeHash(peer, authenticator [16]byte, name string) [8]byte {
	h := sha1.New()
	h.Write(peer[:])
	h.Write(authenticator[:])
	h.Write([]byte(Bare(name)))
	var sum [sha1.Size]byte
	return [8]byte(h.Sum(sum[:0]))
}

// ChallengeResponse is RFC 2759 §8.5.
func ChallengeResponse(challenge [8]byte, h *NTHash) (response [24]byte) {
	var padded [21]byte
	copy(padded[:], h[:])
	defer clear(padded[:])
	for i := range 3 {
		key := desKey([7]byte(padded[7*i:]))
		block, err := des.NewCipher(key[:])
		clear(key[:])
		if err != nil { // only for a key of a wrong length
			return [24]byte{}
		}
		block.Encrypt(response[8*i:], challenge[:])
	}
	return response
}

// desKey spreads 56 bits over 8 octets with odd parity (RFC 2759 §8.6).
func desKey(k [7]byte) (key [8]byte) {
	var wide [8]byte
	copy(wide[1:], k[:])
	v := binary.BigEndian.Uint64(wide[:])
	for i := range key {
		b := byte(v>>(49-7*i)) << 1
		key[i] = b | byte(bits.OnesCount8(b)+1)&1
	}
	return key
}

var (
	signingMagic = []byte("Magic server to client signing constant")
	padMagic     = []byte("Pad to make it do more than one iteration")
)

// AuthenticatorResponse is GenerateAuthenticatorResponse of RFC 2759 §8.7,
// from the hash of the hash.
func AuthenticatorResponse(hashHash *NTHash, ntResponse [24]byte, challenge [8]byte) (response [20]byte) {
	h := sha1.New()
	h.Write(hashHash[:])
	h.Write(ntResponse[:])
	h.Write(signingMagic)
	var digest [sha1.Size]byte
	h.Sum(digest[:0])
	h.Reset()
	h.Write(digest[:])
	h.Write(challenge[:])
	h.Write(padMagic)
	h.Sum(response[:0])
	return response
}

// equal compares in constant time.
func equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
