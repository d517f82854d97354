package suite

import (
	"encoding/binary"
	"strconv"
)

// SignedOctets are what an AUTH payload signs (RFC 7296 §2.15): the signer's
// first message as it went over the wire, the other side's nonce, and a MAC
// under the signer's SK_p over the body of its ID payload, as it went over
// the wire too.
func SignedOctets(prf PRF, realMessage, nonce []byte, skp Secret, idBody []byte) []byte {
	mac := prf.Sum(skp, idBody)
	octets := make([]byte, 0, len(realMessage)+len(nonce)+len(mac))
	return append(append(append(octets, realMessage...), nonce...), mac...)
}

// keyPad is the constant of RFC 7296 §2.15, without a final zero.
var keyPad = []byte("Key Pad for IKEv2")

// SharedKeyAuth is the AUTH data of the shared key method over SignedOctets,
// for a pre-shared key or the MSK of an EAP method (RFC 7296 §2.15, §2.16).
// Compare what a peer sent in constant time.
func (p PRF) SharedKeyAuth(secret Secret, octets []byte) []byte {
	key := p.Sum(secret, keyPad)
	defer clear(key)
	return p.Sum(key, octets)
}

// HashAlgorithm is a hash of the SIGNATURE_HASH_ALGORITHMS notification
// (RFC 7427 §4).
type HashAlgorithm uint16

// Hash algorithms. HashIdentity stands for signature algorithms that take the
// octets unhashed (RFC 8420).
const (
	HashSHA1     HashAlgorithm = 1
	HashSHA2256  HashAlgorithm = 2
	HashSHA2384  HashAlgorithm = 3
	HashSHA2512  HashAlgorithm = 4
	HashIdentity HashAlgorithm = 5
)

var hashNames = map[HashAlgorithm]string{
	HashSHA1: "sha1", HashSHA2256: "sha256", HashSHA2384: "sha384", HashSHA2512: "sha512", HashIdentity: "identity",
}

// String is the hash's name in lower case, or its number.
func (h HashAlgorithm) String() string {
	if s, ok := hashNames[h]; ok {
		return s
	}
	return "hash:" + strconv.Itoa(int(h))
}

// SupportedHashes are the algorithms that VerifySignature accepts with RFC
// 7427: what to announce. SHA-1 is not among them (RFC 8247 §3.2.1).
func SupportedHashes() []HashAlgorithm {
	return []HashAlgorithm{HashSHA2256, HashSHA2384, HashSHA2512, HashIdentity}
}

// ParseHashAlgorithms reads a SIGNATURE_HASH_ALGORITHMS notification, unknown
// algorithms included. The result is not nil: the peer speaks RFC 7427. An
// odd last octet is ignored.
func ParseHashAlgorithms(notifyData []byte) []HashAlgorithm {
	hs := make([]HashAlgorithm, 0, len(notifyData)/2)
	for ; len(notifyData) >= 2; notifyData = notifyData[2:] {
		hs = append(hs, HashAlgorithm(binary.BigEndian.Uint16(notifyData)))
	}
	return hs
}

// AppendHashAlgorithms appends the data of a SIGNATURE_HASH_ALGORITHMS
// notification.
func AppendHashAlgorithms(dst []byte, hs ...HashAlgorithm) []byte {
	for _, h := range hs {
		dst = binary.BigEndian.AppendUint16(dst, uint16(h))
	}
	return dst
}
