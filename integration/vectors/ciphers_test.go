//go:build vectors

package vectors

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"bridgehead/auth"
	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// decrypt opens a ciphertext that was not made for an SK payload: its last
// octet need not be a pad length, so the plaintext is taken from the buffer.
func decrypt(t testing.TB, s suite.IKE, encr, integ, msg []byte, off, plaintext int) []byte {
	t.Helper()
	opener, err := s.NewOpener(encr, integ)
	if err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 0, len(msg)+plaintext)
	var padding *suite.PaddingError
	if _, err := opener.Open(buffer, msg, off); err != nil && !errors.As(err, &padding) {
		t.Fatal(err)
	}
	return buffer[:plaintext]
}

// aead decrypts with an AEAD and wants the tag to count.
func aead(t *testing.T, s suite.IKE, key, aad, iv, ciphertext []byte, plaintext int) []byte {
	t.Helper()
	msg := slices.Concat(aad, iv, ciphertext)
	plain := decrypt(t, s, key, nil, msg, len(aad), plaintext)
	opener, err := s.NewOpener(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	msg[len(msg)-1] ^= 1
	var integrity *suite.IntegrityError
	if _, err := opener.Open(nil, msg, len(aad)); !errors.As(err, &integrity) {
		t.Errorf("damaged tag: error %v, want an *IntegrityError", err)
	}
	return plain
}

// cbc decrypts with AES-CBC. The suite opens no ciphertext without a
// checksum, so one is made.
func cbc(t testing.TB, key, iv, ciphertext []byte) []byte {
	t.Helper()
	s := suite.IKE{Encr: suite.EncrAESCBC, KeyLength: uint16(len(key) * 8), Integ: suite.IntegHMACSHA2_256128, PRF: suite.PRFHMACSHA256, Group: suite.X25519}
	integ := make([]byte, 32)
	msg := slices.Concat(iv, ciphertext)
	msg = append(msg, s.PRF.Sum(integ, msg)[:16]...)
	return decrypt(t, s, key, integ, msg, 0, len(ciphertext))
}

func gcm(keyOctets int) suite.IKE {
	return suite.IKE{Encr: suite.EncrAESGCM16, KeyLength: uint16(keyOctets * 8), PRF: suite.PRFHMACSHA256, Group: suite.X25519}
}

var chacha = suite.IKE{Encr: suite.EncrChaCha20Poly1305, PRF: suite.PRFHMACSHA256, Group: suite.X25519}

// algorithmVector has the fields of all kinds of vectors.
type algorithmVector struct {
	Name   string
	Alg    string
	Method string
	PRF    string `json:"arg.prf"`

	Key, Salt, Out    octets
	IV, Plain, Cipher octets
	AData             octets `json:"adata"`
	Seed, Shared      octets
	Initiator         octets `json:"pub_i"`
	Responder         octets `json:"pub_r"`
	Data, MAC, Hash   octets
}

var prfs = map[string]suite.PRF{
	"HMAC_SHA1": suite.PRFHMACSHA1, "HMAC_SHA2_256": suite.PRFHMACSHA256, "HMAC_SHA2_384": suite.PRFHMACSHA384, "HMAC_SHA2_512": suite.PRFHMACSHA512,
}

var keyExchanges = map[string]suite.Group{
	"MODP_1024_BIT": suite.MODP1024, "MODP_1536_BIT": suite.MODP1536, "MODP_2048_BIT": suite.MODP2048, "MODP_3072_BIT": suite.MODP3072,
	"MODP_4096_BIT": suite.MODP4096, "MODP_6144_BIT": suite.MODP6144, "MODP_8192_BIT": suite.MODP8192,
	"ECP_256_BIT": suite.ECP256, "ECP_384_BIT": suite.ECP384, "ECP_521_BIT": suite.ECP521, "CURVE_25519": suite.X25519,
}

func TestAlgorithmVectors(t *testing.T) {
	var doc struct{ Vectors map[string][]algorithmVector }
	load(t, "strongswan/crypto-vectors.json", &doc)
	done, left := make(map[string]int), make(map[string]int)
	for _, file := range slices.Sorted(maps.Keys(doc.Vectors)) {
		for _, v := range doc.Vectors[file] {
			t.Run(v.Name, func(t *testing.T) {
				algorithm := v.Alg + v.Method
				if v.check(t) {
					done[algorithm]++
				} else {
					left[algorithm]++
				}
			})
		}
	}
	t.Log("not implemented by design, or out of an SK payload's bounds: ", left)
	same(t, "checked", done, map[string]int{
		"AUTH_HMAC_SHA1_96":      2,
		"AUTH_HMAC_SHA2_256_128": 3,
		"AUTH_HMAC_SHA2_384_192": 3,
		"AUTH_HMAC_SHA2_512_256": 3,
		"CURVE_25519":            2,
		"ECP_256_BIT":            1,
		"ECP_384_BIT":            1,
		"ECP_521_BIT":            1,
		"ENCR_AES_CBC":           6,
		"ENCR_AES_GCM_ICV16":     12,
		"ENCR_CHACHA20_POLY1305": 4,
		"ENCR_DES":               2,
		"ENCR_DES_ECB":           2,
		"HASH_MD4":               5,
		"KDF_PRF":                6,
		"KDF_PRF_PLUS":           7,
		"MODP_1024_BIT":          1,
		"MODP_1536_BIT":          1,
		"MODP_2048_BIT":          1,
		"MODP_3072_BIT":          1,
		"MODP_4096_BIT":          1,
		"MODP_6144_BIT":          1,
		"MODP_8192_BIT":          1,
		"PRF_HMAC_SHA1":          6,
		"PRF_HMAC_SHA2_256":      5,
		"PRF_HMAC_SHA2_384":      5,
		"PRF_HMAC_SHA2_512":      5,
	})
	same(t, "not checked", left, map[string]int{
		"AUTH_AES_CMAC_96":   4,
		"AUTH_AES_XCBC_96":   5,
		"AUTH_HMAC_SHA1_128": 2,
		"AUTH_HMAC_SHA1_160": 2,
		"ECP_192_BIT":        1,
		"ECP_224_BIT":        1,
		"ENCR_AES_CTR":       9,
		"ENCR_AES_GCM_ICV12": 3,
		"ENCR_AES_GCM_ICV16": 3,
		"ENCR_AES_GCM_ICV8":  3,
		"HASH_MD4":           2,
		"ML_KEM_1024":        4,
		"ML_KEM_512":         4,
		"ML_KEM_768":         4,
		"MODP_768_BIT":       1,
		"PRF_AES128_CMAC":    7,
		"PRF_AES128_XCBC":    7,
	})
}

// check replays one vector; false if the suite does not have the algorithm.
func (v *algorithmVector) check(t *testing.T) bool {
	t.Helper()
	name, isPRF := strings.CutPrefix(v.Alg, "PRF_")
	switch {
	case v.Alg == "KDF_PRF":
		sameOctets(t, "prf", prfs[strings.TrimPrefix(v.PRF, "PRF_")].Sum(v.Salt, v.Key), v.Out) // the salt is Ni | Nr
	case v.Alg == "KDF_PRF_PLUS":
		sameOctets(t, "prf+", prfs[strings.TrimPrefix(v.PRF, "PRF_")].Plus(v.Key, v.Salt, len(v.Out)), v.Out)
	case isPRF && prfs[name] != 0:
		sameOctets(t, "prf", prfs[name].Sum(v.Key, v.Seed), v.Out)
	case strings.HasPrefix(v.Alg, "AUTH_HMAC_SHA"):
		return v.checkHMAC(t)
	case v.Alg == "ENCR_AES_GCM_ICV16" && len(v.Plain) > 0:
		sameOctets(t, "plaintext", aead(t, gcm(len(v.Key)-4), v.Key, v.AData, v.IV, v.Cipher, len(v.Plain)), v.Plain)
	case v.Alg == "ENCR_CHACHA20_POLY1305":
		sameOctets(t, "plaintext", aead(t, chacha, v.Key, v.AData, v.IV, v.Cipher, len(v.Plain)), v.Plain)
	case v.Alg == "ENCR_AES_CBC":
		sameOctets(t, "plaintext", cbc(t, v.Key, v.IV, v.Cipher), v.Plain)
	case strings.HasPrefix(v.Method, "MODP") && keyExchanges[v.Method] != 0:
		half := len(v.Seed) / 2
		checkMODP(t, keyExchanges[v.Method], v.Seed[:half], v.Initiator, v.Responder, v.Shared)
		checkMODP(t, keyExchanges[v.Method], v.Seed[half:], v.Responder, v.Initiator, v.Shared)
	case keyExchanges[v.Method] != 0:
		v.checkCurve(t)
	case v.Alg == "HASH_MD4":
		return v.checkMD4(t)
	case v.Alg == "ENCR_DES_ECB", v.Alg == "ENCR_DES": // the second is CBC, of one block
		v.checkDES(t)
	default:
		return false
	}
	return true
}

// checkHMAC checks the truncated forms that the suite has by its PRFs, which
// are the same HMACs.
func (v *algorithmVector) checkHMAC(t *testing.T) bool {
	h, ok := map[string]struct {
		prf    suite.PRF
		octets int
	}{
		"AUTH_HMAC_SHA1_96": {suite.PRFHMACSHA1, 12}, "AUTH_HMAC_SHA2_256_128": {suite.PRFHMACSHA256, 16},
		"AUTH_HMAC_SHA2_384_192": {suite.PRFHMACSHA384, 24}, "AUTH_HMAC_SHA2_512_256": {suite.PRFHMACSHA512, 32},
	}[v.Alg]
	if ok {
		sameOctets(t, "checksum", h.prf.Sum(v.Key, v.Data)[:h.octets], v.MAC[:h.octets])
	}
	return ok
}

func (v *algorithmVector) checkCurve(t *testing.T) {
	t.Helper()
	half := len(v.Seed) / 2
	for _, side := range []struct{ private, public, peer octets }{
		{v.Seed[:half], v.Initiator, v.Responder}, {v.Seed[half:], v.Responder, v.Initiator},
	} {
		checkExchange(t, keyExchanges[v.Method], side.private, side.public, side.peer, v.Shared)
	}
}

func checkExchange(t *testing.T, g suite.Group, private, public, peer, shared []byte) {
	t.Helper()
	key, err := g.Generate(bytes.NewReader(private))
	if err != nil {
		t.Fatal(err)
	}
	sameOctets(t, "public value", key.Public(), public)
	got, err := key.Shared(peer)
	if err != nil {
		t.Fatal(err)
	}
	sameOctets(t, "shared secret", got, shared)
}

// checkMD4 reads the data as UTF-16, since the product hashes passwords only;
// false where it is none.
func (v *algorithmVector) checkMD4(t *testing.T) bool {
	if len(v.Data)%2 != 0 {
		return false
	}
	units := make([]uint16, len(v.Data)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(v.Data[2*i:])
	}
	hash := auth.HashPassword([]byte(string(utf16.Decode(units))))
	sameOctets(t, "hash", hash[:], v.Hash)
	return true
}

// checkDES uses that the first 8 octets of a challenge response are the
// challenge under the hash's first 7 (RFC 2759 §8.5), which are the DES key
// without its parity bits.
func (v *algorithmVector) checkDES(t *testing.T) {
	var key uint64
	for _, b := range v.Key {
		key = key<<7 | uint64(b>>1)
	}
	var hash auth.NTHash
	copy(hash[:7], binary.BigEndian.AppendUint64(nil, key)[1:])
	challenge := [8]byte(v.Plain)
	subtle.XORBytes(challenge[:], challenge[:], v.IV)
	response := mschapv2.ChallengeResponse(challenge, &hash)
	sameOctets(t, "ciphertext", response[:8], v.Cipher)
}

// What is left out above must be what the suite refuses.
func TestRefusedAlgorithms(t *testing.T) {
	base := suite.IKE{Encr: suite.EncrAESCBC, KeyLength: 128, Integ: suite.IntegHMACSHA2_256128, PRF: suite.PRFHMACSHA256, Group: suite.X25519}
	if err := base.Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(s *suite.IKE){
		"3DES":         func(s *suite.IKE) { s.Encr, s.KeyLength = 3, 0 },
		"AES-CTR":      func(s *suite.IKE) { s.Encr = 13 },
		"AES-CCM-8":    func(s *suite.IKE) { s.Encr, s.Integ = 14, suite.IntegNone },
		"AES-CCM-12":   func(s *suite.IKE) { s.Encr, s.Integ = 15, suite.IntegNone },
		"AES-CCM-16":   func(s *suite.IKE) { s.Encr, s.Integ = 16, suite.IntegNone },
		"AES-GCM-8":    func(s *suite.IKE) { s.Encr, s.Integ = 18, suite.IntegNone },
		"AES-GCM-12":   func(s *suite.IKE) { s.Encr, s.Integ = 19, suite.IntegNone },
		"NULL":         func(s *suite.IKE) { s.Encr, s.KeyLength = 11, 0 },
		"AES-XCBC-96":  func(s *suite.IKE) { s.Integ = 5 },
		"SHA1-160":     func(s *suite.IKE) { s.Integ = 7 },
		"AES-CMAC-96":  func(s *suite.IKE) { s.Integ = 8 },
		"PRF HMAC-MD5": func(s *suite.IKE) { s.PRF = 1 },
		"PRF AES-XCBC": func(s *suite.IKE) { s.PRF = 4 },
		"PRF AES-CMAC": func(s *suite.IKE) { s.PRF = 8 },
		"MODP-768":     func(s *suite.IKE) { s.Group = 1 },
		"ECP-192":      func(s *suite.IKE) { s.Group = 25 },
		"ECP-224":      func(s *suite.IKE) { s.Group = 26 },
		"ML-KEM-768":   func(s *suite.IKE) { s.Group = 36 },
	} {
		s := base
		change(&s)
		var unsupported *suite.UnsupportedError
		if err := s.Check(); !errors.As(err, &unsupported) {
			t.Errorf("%s: error %v, want an *UnsupportedError", name, err)
		}
	}
}

// text is octets written as text, or as hexadecimal digits after 0x.
func text(t testing.TB, s string) []byte {
	t.Helper()
	if strings.HasPrefix(s, "0x") {
		return mustHex(t, s)
	}
	return []byte(s)
}

// unchecked is what the descriptions of vectors that are left out name.
var unchecked = regexp.MustCompile("AES-CTR|AES-XCBC|MD5_HMAC|Camellia|empty string|$")

func TestMoreAlgorithmVectors(t *testing.T) {
	var doc struct {
		Vectors map[string][]map[string]string
	}
	load(t, "libreswan/crypto-vectors.json", &doc)
	done, left := make(map[string]int), make(map[string]int)
	for file, vectors := range doc.Vectors {
		kind := strings.TrimSuffix(strings.TrimPrefix(file, "ike_alg_"), "_test_vectors.c")
		for _, v := range vectors {
			get := func(name string) []byte { return text(t, v[name]) }
			switch {
			case kind == "encrypt_cbc" && strings.Contains(v["description"], "AES-CBC"):
				sameOctets(t, v["description"], cbc(t, get("key"), get("iv"), get("ciphertext")), get("plaintext"))
			case kind == "encrypt_gcm" && v["plaintext"] != "":
				iv, key := get("salted_iv"), get("key")
				plain := aead(t, gcm(len(key)), slices.Concat(key, iv[:4]), get("aad"), iv[4:], slices.Concat(get("ciphertext"), get("tag")), len(get("plaintext")))
				sameOctets(t, v["description"], plain, get("plaintext"))
			case v["dkm"] != "":
				kind = "CAVP"
				checkCAVP(t, get)
			default:
				left[unchecked.FindString(v["description"])]++
				continue
			}
			done[kind]++
		}
	}
	t.Log("not implemented by design, or out of an SK payload's bounds: ", left)
	same(t, "checked", done, map[string]int{
		"CAVP":        1,
		"encrypt_cbc": 4,
		"encrypt_gcm": 3,
	})
	same(t, "not checked", left, map[string]int{
		"AES-CTR":      9,
		"AES-XCBC":     10,
		"Camellia":     4,
		"MD5_HMAC":     3,
		"empty string": 1,
	})
}

// checkCAVP replays the key derivation of NIST's IKEv2 validation set: the
// keys of an IKE SA, of a Child SA without and with key exchange, and the
// SKEYSEED of a rekey.
func checkCAVP(t *testing.T, get func(name string) []byte) {
	t.Helper()
	var result struct {
		Child octets `json:"derivedKeyingMaterialChild"`
		DH    octets `json:"derivedKeyingMaterialDh"`
	}
	load(t, "libreswan/acvp-ikev2-sha1-result.json", &result)
	const prf = suite.PRFHMACSHA1
	ni, nr, spii, spir := get("ni"), get("nr"), get("spii"), get("spir")
	dkm := get("dkm")
	same(t, "SKEYSEED", prf.Sum(slices.Concat(ni, nr), get("gir")), get("skeyseed"))
	sameOctets(t, "DKM", prf.Plus(get("skeyseed"), slices.Concat(ni, nr, spii, spir), len(dkm)), dkm)
	d := suite.Secret(dkm[:prf.Len()])
	sameOctets(t, "DKM (Child SA)", prf.Plus(d, slices.Concat(ni, nr), len(result.Child)), result.Child)
	sameOctets(t, "DKM (Child SA D-H)", prf.Plus(d, slices.Concat(get("gir_new"), ni, nr), len(result.DH)), result.DH)
	same(t, "SKEYSEED (Rekey)", prf.Sum(d, get("gir_new"), ni, nr), get("skeyseed_rekey"))

	// The same by the suite's own functions.
	s := suite.IKE{Encr: suite.EncrAESCBC, KeyLength: 128, Integ: suite.IntegHMACSHA1_96, PRF: prf, Group: suite.MODP2048}
	keys := s.Derive(get("gir"), ni, nr, message.SPI(spii), message.SPI(spir))
	sameOctets(t, "keys of the IKE SA", slices.Concat(keys.D, keys.Ai, keys.Ar, keys.Ei, keys.Er, keys.Pi, keys.Pr), dkm)
	esp := suite.ESP{Encr: suite.EncrAESCBC, KeyLength: 128, Integ: suite.IntegHMACSHA1_96}
	for shared, material := range map[string]octets{"": result.Child, string(get("gir_new")): result.DH} {
		c := esp.Derive(prf, d, suite.Secret(shared), ni, nr)
		got := slices.Concat([]byte(c.InitiatorEncr), c.InitiatorInteg, c.ResponderEncr, c.ResponderInteg)
		sameOctets(t, "keys of a Child SA", got, material[:len(got)])
	}
	rekeyed := s.DeriveRekey(prf, d, get("gir_new"), ni, nr, message.SPI(spii), message.SPI(spir))
	sameOctets(t, "SK_d of a rekeyed IKE SA", rekeyed.D, prf.Plus(get("skeyseed_rekey"), slices.Concat(ni, nr, spii, spir), prf.Len()))
}
