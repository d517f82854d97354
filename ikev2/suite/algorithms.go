package suite

import (
	"strconv"

	"bridgehead/ikev2/message"
)

// Encryption algorithms (transform type 1).
const (
	EncrAESCBC           uint16 = 12 // RFC 3602
	EncrAESGCM16         uint16 = 20 // RFC 4106, RFC 5282
	EncrChaCha20Poly1305 uint16 = 28 // RFC 7634
)

// Integrity algorithms (transform type 3). IntegNone goes with an AEAD.
const (
	IntegNone            uint16 = 0
	IntegHMACSHA1_96     uint16 = 2  // RFC 2404
	IntegHMACSHA2_256128 uint16 = 12 // RFC 4868
	IntegHMACSHA2_384192 uint16 = 13 // RFC 4868
	IntegHMACSHA2_512256 uint16 = 14 // RFC 4868
)

// Pseudo-random functions (transform type 2).
const (
	PRFHMACSHA1   PRF = 2 // RFC 2104
	PRFHMACSHA256 PRF = 5 // RFC 4868
	PRFHMACSHA384 PRF = 6 // RFC 4868
	PRFHMACSHA512 PRF = 7 // RFC 4868
)

// Key exchange methods (transform type 4). GroupNone is no key exchange.
const (
	GroupNone Group = 0
	MODP1024  Group = 2  // RFC 7296 appendix B.2
	MODP1536  Group = 5  // RFC 3526
	MODP2048  Group = 14 // RFC 3526
	MODP3072  Group = 15 // RFC 3526
	MODP4096  Group = 16 // RFC 3526
	MODP6144  Group = 17 // RFC 3526
	MODP8192  Group = 18 // RFC 3526
	ECP256    Group = 19 // RFC 5903
	ECP384    Group = 20 // RFC 5903
	ECP521    Group = 21 // RFC 5903
	X25519    Group = 31 // RFC 8031
)

// Sequence numbers of ESP (transform type 5).
const (
	ESNNo  uint16 = 0 // 32-bit sequence numbers
	ESNYes uint16 = 1 // extended, 64-bit (RFC 4304)
)

// algorithm is one transform with its name in strongSwan's notation. Those
// not supported are known by name so that an offer can be printed and a
// configuration refused with a reason.
type algorithm struct {
	transform message.Transform
	names     []string // the first is printed
	supported bool
	reason    string // why it is not supported
}

func encr(id, bits uint16, names ...string) algorithm {
	return algorithm{message.Transform{Type: message.TransformENCR, ID: id, KeyLength: bits}, names, true, ""}
}

func integ(id uint16, names ...string) algorithm {
	return algorithm{message.Transform{Type: message.TransformINTEG, ID: id}, names, true, ""}
}

func prf(id PRF, names ...string) algorithm {
	return algorithm{message.Transform{Type: message.TransformPRF, ID: uint16(id)}, names, true, ""}
}

func ke(id Group, names ...string) algorithm {
	return algorithm{message.Transform{Type: message.TransformKE, ID: uint16(id)}, names, true, ""}
}

func esn(id uint16, name string) algorithm {
	return algorithm{message.Transform{Type: message.TransformESN, ID: id}, []string{name}, true, ""}
}

// unsupported marks an algorithm that is known by name only.
func (a algorithm) unsupported(reason string) algorithm {
	a.supported, a.reason = false, reason
	return a
}

// Reasons against an algorithm, for the operator.
const (
	tooShort   = "its key is too short"
	smallBlock = "its 64-bit block is open to birthday attacks"
	noSecrecy  = "it does not encrypt"
	obsolete   = "it is obsolete"
	uncommon   = "it is not implemented"
)

var algorithms = []algorithm{
	encr(EncrAESCBC, 128, "aes128", "aes"),
	encr(EncrAESCBC, 192, "aes192"),
	encr(EncrAESCBC, 256, "aes256"),
	encr(EncrAESGCM16, 128, "aes128gcm16", "aes128gcm128", "aes128gcm"),
	encr(EncrAESGCM16, 192, "aes192gcm16", "aes192gcm128", "aes192gcm"),
	encr(EncrAESGCM16, 256, "aes256gcm16", "aes256gcm128", "aes256gcm"),
	encr(EncrChaCha20Poly1305, 0, "chacha20poly1305", "chacha20poly1305compat"),

	integ(IntegHMACSHA1_96, "sha1", "sha"),
	integ(IntegHMACSHA2_256128, "sha256", "sha2_256"),
	integ(IntegHMACSHA2_384192, "sha384", "sha2_384"),
	integ(IntegHMACSHA2_512256, "sha512", "sha2_512"),

	prf(PRFHMACSHA1, "prfsha1"),
	prf(PRFHMACSHA256, "prfsha256"),
	prf(PRFHMACSHA384, "prfsha384"),
	prf(PRFHMACSHA512, "prfsha512"),

	ke(MODP1024, "modp1024"),
	ke(MODP1536, "modp1536"),
	ke(MODP2048, "modp2048"),
	ke(MODP3072, "modp3072"),
	ke(MODP4096, "modp4096"),
	ke(MODP6144, "modp6144"),
	ke(MODP8192, "modp8192"),
	ke(ECP256, "ecp256"),
	ke(ECP384, "ecp384"),
	ke(ECP521, "ecp521"),
	ke(X25519, "x25519", "curve25519"),
	ke(GroupNone, "none", "modpnone"),

	esn(ESNYes, "esn"),
	esn(ESNNo, "noesn"),

	encr(2, 0, "des").unsupported(tooShort),
	encr(3, 0, "3des").unsupported(smallBlock),
	encr(6, 0, "cast128").unsupported(smallBlock),
	encr(7, 128, "blowfish128", "blowfish").unsupported(smallBlock),
	encr(7, 192, "blowfish192").unsupported(smallBlock),
	encr(7, 256, "blowfish256").unsupported(smallBlock),
	encr(11, 0, "null").unsupported(noSecrecy),
	encr(13, 128, "aes128ctr").unsupported(uncommon),
	encr(13, 192, "aes192ctr").unsupported(uncommon),
	encr(13, 256, "aes256ctr").unsupported(uncommon),
	encr(14, 128, "aes128ccm8").unsupported(uncommon),
	encr(14, 192, "aes192ccm8").unsupported(uncommon),
	encr(14, 256, "aes256ccm8").unsupported(uncommon),
	encr(15, 128, "aes128ccm12").unsupported(uncommon),
	encr(15, 192, "aes192ccm12").unsupported(uncommon),
	encr(15, 256, "aes256ccm12").unsupported(uncommon),
	encr(16, 128, "aes128ccm16").unsupported(uncommon),
	encr(16, 192, "aes192ccm16").unsupported(uncommon),
	encr(16, 256, "aes256ccm16").unsupported(uncommon),
	encr(18, 128, "aes128gcm8").unsupported(uncommon),
	encr(18, 192, "aes192gcm8").unsupported(uncommon),
	encr(18, 256, "aes256gcm8").unsupported(uncommon),
	encr(19, 128, "aes128gcm12").unsupported(uncommon),
	encr(19, 192, "aes192gcm12").unsupported(uncommon),
	encr(19, 256, "aes256gcm12").unsupported(uncommon),
	encr(21, 128, "aes128gmac").unsupported(noSecrecy),
	encr(21, 192, "aes192gmac").unsupported(noSecrecy),
	encr(21, 256, "aes256gmac").unsupported(noSecrecy),
	encr(23, 128, "camellia128", "camellia").unsupported(uncommon),
	encr(23, 192, "camellia192").unsupported(uncommon),
	encr(23, 256, "camellia256").unsupported(uncommon),

	integ(1, "md5").unsupported(obsolete),
	integ(5, "aesxcbc").unsupported(uncommon),
	integ(7, "sha1_160").unsupported(uncommon),
	integ(8, "aescmac").unsupported(uncommon),

	prf(1, "prfmd5").unsupported(obsolete),
	prf(4, "prfaesxcbc").unsupported(uncommon),
	prf(8, "prfaescmac").unsupported(uncommon),

	ke(1, "modp768").unsupported(tooShort),
	ke(22, "modp1024s160").unsupported(tooShort),
	ke(23, "modp2048s224").unsupported(obsolete),
	ke(24, "modp2048s256").unsupported(obsolete),
	ke(25, "ecp192").unsupported(tooShort),
	ke(26, "ecp224").unsupported(uncommon),
	ke(27, "ecp224bp").unsupported(uncommon),
	ke(28, "ecp256bp").unsupported(uncommon),
	ke(29, "ecp384bp").unsupported(uncommon),
	ke(30, "ecp512bp").unsupported(uncommon),
	ke(32, "x448", "curve448").unsupported(uncommon),
	ke(35, "mlkem512").unsupported(uncommon),
	ke(36, "mlkem768").unsupported(uncommon),
	ke(37, "mlkem1024").unsupported(uncommon),
}

// transformKey identifies a transform by all that a selection compares.
type transformKey struct {
	kind     message.TransformType
	id, bits uint16
}

func keyOf(t message.Transform) transformKey { return transformKey{t.Type, t.ID, t.KeyLength} }

// byWord and byTransform index algorithms by each name and by the transform.
var byWord, byTransform = func() (map[string]algorithm, map[transformKey]algorithm) {
	words, transforms := map[string]algorithm{}, map[transformKey]algorithm{}
	for _, a := range algorithms {
		for _, name := range a.names {
			words[name] = a
		}
		transforms[keyOf(a.transform)] = a
	}
	return words, transforms
}()

// name is the transform's word, or type:id and, where one is given, the key
// length: for what this package does not know.
func name(t message.Transform) string {
	if a, ok := byTransform[keyOf(t)]; ok && len(t.Attributes) == 0 {
		return a.names[0]
	}
	s := t.Type.String() + ":" + strconv.Itoa(int(t.ID))
	if t.KeyLength != 0 {
		s += "/" + strconv.Itoa(int(t.KeyLength))
	}
	return s
}

// isAEAD reports whether an encryption algorithm authenticates as well. IDs
// this package does not implement count, so that an offer prints right.
func isAEAD(encr uint16) bool {
	return 14 <= encr && encr <= 21 && encr != 17 || encr == EncrChaCha20Poly1305
}

// impliedPRF is the PRF that strongSwan's notation takes from an integrity
// word when no PRF is named; false where there is none.
func impliedPRF(integ uint16) (PRF, bool) {
	switch integ {
	case 1:
		return 1, true
	case IntegHMACSHA1_96, 7:
		return PRFHMACSHA1, true
	case 5:
		return 4, true
	case 8:
		return 8, true
	case IntegHMACSHA2_256128:
		return PRFHMACSHA256, true
	case IntegHMACSHA2_384192:
		return PRFHMACSHA384, true
	case IntegHMACSHA2_512256:
		return PRFHMACSHA512, true
	}
	return 0, false
}
