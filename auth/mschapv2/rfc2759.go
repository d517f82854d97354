package mschapv2

import (
	"crypto/des"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"math/bits"
	"strings"

	"bridgehead/auth"
)

// bare is the user's name without "DOMAIN\". The challenge hash covers this
// part alone (RFC 2759 §4).
func bare(name string) string {
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
	h.Write([]byte(bare(name)))
	var sum [sha1.Size]byte
	return [8]byte(h.Sum(sum[:0]))
}

// ChallengeResponse is RFC 2759 §8.5.
func ChallengeResponse(challenge [8]byte, h *auth.NTHash) (response [24]byte) {
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
func AuthenticatorResponse(hashHash *auth.NTHash, ntResponse [24]byte, challenge [8]byte) (response [20]byte) {
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
