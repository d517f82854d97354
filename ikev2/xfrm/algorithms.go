package xfrm

import (
	"encoding/binary"

	"github.com/vishvananda/netlink/nl"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/suite"
)

// algorithms are a state's ciphers as the kernel names them, with their keys.
type algorithms struct {
	suite                 suite.ESP
	encryption, integrity string // the names in the kernel; integrity is empty for an AEAD
	encrKey, integKey     suite.Secret
	icv                   int // bits
}

var ciphers = map[uint16]string{
	suite.EncrAESCBC:           "cbc(aes)",
	suite.EncrAESGCM16:         "rfc4106(gcm(aes))",
	suite.EncrChaCha20Poly1305: "rfc7539esp(chacha20,poly1305)",
}

var macs = map[uint16]string{
	suite.IntegHMACSHA1_96:     "hmac(sha1)",
	suite.IntegHMACSHA2_256128: "hmac(sha256)",
	suite.IntegHMACSHA2_384192: "hmac(sha384)",
	suite.IntegHMACSHA2_512256: "hmac(sha512)",
}

const aeadICV = 128 // bits (RFC 4106 §6, RFC 7634 §2)

// algorithmsOf refuses, as *esp.SuiteError, what does not fit together.
func algorithmsOf(sa *esp.SA) (algorithms, error) {
	refuse := func(err error) (algorithms, error) { return algorithms{}, &esp.SuiteError{SPI: sa.SPI, Err: err} }
	s := sa.Suite
	if err := s.Check(); err != nil {
		return refuse(err)
	}
	if want := s.KeyLen() + s.SaltLen(); len(sa.EncrKey) != want {
		return refuse(&esp.KeyLengthError{Key: "encryption", Len: len(sa.EncrKey), Want: want})
	}
	if want := s.IntegKeyLen(); len(sa.IntegKey) != want {
		return refuse(&esp.KeyLengthError{Key: "integrity", Len: len(sa.IntegKey), Want: want})
	}
	a := algorithms{
		suite: s, encryption: ciphers[s.Encr], integrity: macs[s.Integ],
		encrKey: sa.EncrKey, integKey: sa.IntegKey, icv: 8 * s.IntegICVLen(),
	}
	if s.AEAD() {
		a.icv = aeadICV
	}
	return a, nil
}

// append appends the attributes.
func (a *algorithms) append(b []byte) []byte {
	if a.suite.AEAD() {
		return a.appendOne(b, nl.XFRMA_ALG_AEAD, a.encryption, a.encrKey, a.icv)
	}
	b = a.appendOne(b, nl.XFRMA_ALG_CRYPT, a.encryption, a.encrKey, 0)
	return a.appendOne(b, nl.XFRMA_ALG_AUTH_TRUNC, a.integrity, a.integKey, a.icv)
}

// appendOne appends struct xfrm_algo, or with icv not 0 the like struct
// xfrm_algo_auth or xfrm_algo_aead, without a copy of the key elsewhere.
func (a *algorithms) appendOne(b []byte, kind int, name string, key suite.Secret, icv int) []byte {
	n := 64 + 4 + len(key)
	if icv != 0 {
		n += 4
	}
	b = binary.NativeEndian.AppendUint16(b, uint16(4+n))
	b = binary.NativeEndian.AppendUint16(b, uint16(kind))
	b = append(b, name...)
	b = append(b, make([]byte, 64-len(name))...)
	b = binary.NativeEndian.AppendUint32(b, uint32(8*len(key)))
	if icv != 0 {
		b = binary.NativeEndian.AppendUint32(b, uint32(icv))
	}
	b = append(b, key...)
	return append(b, make([]byte, -n&3)...)
}
