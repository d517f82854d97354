package suite

import (
	"fmt"

	"bridgehead/ikev2/message"
)

// IKE is the set of algorithms of one IKE SA. It is comparable.
type IKE struct {
	Encr      uint16 // EncrAESCBC, EncrAESGCM16 or EncrChaCha20Poly1305
	KeyLength uint16 // of Encr in bits; 0 for ChaCha20-Poly1305, whose key has 256
	Integ     uint16 // IntegNone with an AEAD
	PRF       PRF
	Group     Group
}

// ESP is the set of algorithms of one Child SA. It is comparable.
type ESP struct {
	Encr      uint16 // EncrAESCBC, EncrAESGCM16 or EncrChaCha20Poly1305
	KeyLength uint16 // of Encr in bits; 0 for ChaCha20-Poly1305, whose key has 256
	Integ     uint16 // IntegNone with an AEAD
	ESN       bool   // 64-bit sequence numbers
}

// UnsupportedError reports an algorithm this package does not implement.
type UnsupportedError struct{ Transform message.Transform }

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("suite: %s algorithm %s is not implemented", e.Transform.Type, name(e.Transform))
}

// encrKeyLen is the length of the key in octets, without salt; 0 for what is
// not implemented.
func encrKeyLen(encr, bits uint16) int {
	switch encr {
	case EncrAESCBC, EncrAESGCM16:
		if bits == 128 || bits == 192 || bits == 256 {
			return int(bits) / 8
		}
	case EncrChaCha20Poly1305:
		if bits == 0 {
			return 32
		}
	}
	return 0
}

// saltLen is the length of the salt that an AEAD takes from the key material
// after the key (RFC 4106 §8.1, RFC 7634 §2).
func saltLen(encr uint16) int {
	if isAEAD(encr) {
		return aeadSalt
	}
	return 0
}

// integrity is what is to know of an integrity algorithm, in octets.
type integrity struct {
	hash           hashID
	keyLen, icvLen int
}

var integrities = map[uint16]integrity{
	IntegHMACSHA1_96:     {sha1Hash, 20, 12},
	IntegHMACSHA2_256128: {sha256Hash, 32, 16},
	IntegHMACSHA2_384192: {sha384Hash, 48, 24},
	IntegHMACSHA2_512256: {sha512Hash, 64, 32},
}

// checkProtection refuses an encryption and an integrity algorithm that do
// not exist or do not go together (RFC 7296 §3.3).
func checkProtection(encr, bits, integ uint16) error {
	if encrKeyLen(encr, bits) == 0 {
		return &UnsupportedError{message.Transform{Type: message.TransformENCR, ID: encr, KeyLength: bits}}
	}
	if _, ok := integrities[integ]; ok == isAEAD(encr) {
		return &UnsupportedError{message.Transform{Type: message.TransformINTEG, ID: integ}}
	}
	return nil
}

// Check reports, as *UnsupportedError, what of s is not implemented or does
// not go together.
func (s IKE) Check() error {
	if err := checkProtection(s.Encr, s.KeyLength, s.Integ); err != nil {
		return err
	}
	if s.PRF.Len() == 0 {
		return &UnsupportedError{message.Transform{Type: message.TransformPRF, ID: uint16(s.PRF)}}
	}
	if s.Group.PublicLen() == 0 {
		return &UnsupportedError{message.Transform{Type: message.TransformKE, ID: uint16(s.Group)}}
	}
	return nil
}

// KeyLen is the length of SK_ei and SK_er in octets, salt included.
func (s IKE) KeyLen() int { return encrKeyLen(s.Encr, s.KeyLength) + saltLen(s.Encr) }

// IntegKeyLen is the length of SK_ai and SK_ar in octets; 0 with an AEAD.
func (s IKE) IntegKeyLen() int { return integrities[s.Integ].keyLen }

// Proposal is s as the only choice of a proposal: what a rekey offers.
func (s IKE) Proposal() Proposal {
	p := Proposal{Protocol: message.ProtocolIKE}
	p.Transforms = append(p.Transforms, message.Transform{Type: message.TransformENCR, ID: s.Encr, KeyLength: s.KeyLength})
	p.Transforms = append(p.Transforms, message.Transform{Type: message.TransformPRF, ID: uint16(s.PRF)})
	if s.Integ != IntegNone {
		p.Transforms = append(p.Transforms, message.Transform{Type: message.TransformINTEG, ID: s.Integ})
	}
	p.Transforms = append(p.Transforms, message.Transform{Type: message.TransformKE, ID: uint16(s.Group)})
	return p
}

// String is s in strongSwan's notation.
func (s IKE) String() string { return s.Proposal().String() }

// Check reports, as *UnsupportedError, what of s is not implemented or does
// not go together.
func (s ESP) Check() error { return checkProtection(s.Encr, s.KeyLength, s.Integ) }

// KeyLen is the length of the encryption key in octets, without the salt.
func (s ESP) KeyLen() int { return encrKeyLen(s.Encr, s.KeyLength) }

// SaltLen is the length in octets of the salt that follows the encryption
// key; 0 unless Encr is an AEAD.
func (s ESP) SaltLen() int { return saltLen(s.Encr) }

// IntegKeyLen is the length of the integrity key in octets; 0 with an AEAD.
func (s ESP) IntegKeyLen() int { return integrities[s.Integ].keyLen }

// IntegICVLen is the length of the integrity check value in octets; 0 with an
// AEAD.
func (s ESP) IntegICVLen() int { return integrities[s.Integ].icvLen }

// AEAD reports whether Encr authenticates as well, so that there is no Integ.
func (s ESP) AEAD() bool { return isAEAD(s.Encr) }

// Proposal is s as the only choice of a proposal without key exchange: what a
// rekey offers.
func (s ESP) Proposal() Proposal {
	p := Proposal{Protocol: message.ProtocolESP}
	p.Transforms = append(p.Transforms, message.Transform{Type: message.TransformENCR, ID: s.Encr, KeyLength: s.KeyLength})
	if s.Integ != IntegNone {
		p.Transforms = append(p.Transforms, message.Transform{Type: message.TransformINTEG, ID: s.Integ})
	}
	id := ESNNo
	if s.ESN {
		id = ESNYes
	}
	p.Transforms = append(p.Transforms, message.Transform{Type: message.TransformESN, ID: id})
	return p
}

// String is s in strongSwan's notation.
func (s ESP) String() string { return s.Proposal().String() }
