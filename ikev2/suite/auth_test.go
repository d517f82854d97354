package suite_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"errors"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// testSigners are keys made once for all tests of a run.
var testSigners = sync.OnceValue(func() map[string]crypto.Signer {
	keys := map[string]crypto.Signer{}
	var err error
	must := func(k crypto.Signer, e error) crypto.Signer { err = errors.Join(err, e); return k }
	keys["rsa"] = must(rsa.GenerateKey(rand.Reader, 2048))
	keys["p224"] = must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	keys["p256"] = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	keys["p384"] = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	keys["p521"] = must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	_, private, e := ed25519.GenerateKey(rand.Reader)
	keys["ed25519"] = must(private, e)
	if err != nil {
		panic(err)
	}
	return keys
})

var (
	announcesNothing []suite.HashAlgorithm
	android          = []suite.HashAlgorithm{1, 2, 3, 4}
	everything       = []suite.HashAlgorithm{1, 2, 3, 4, 5}
)

func TestSchemeFollowsWhatThePeerAnnounced(t *testing.T) {
	for _, c := range []struct {
		key       string
		announced []suite.HashAlgorithm
		want      string // "" for a *SchemeError
	}{
		{"rsa", announcesNothing, "1 RSA PKCS#1 v1.5 sha1"}, // Windows, Apple
		{"rsa", android, "14 RSA PKCS#1 v1.5 sha256"},
		{"rsa", everything, "14 RSA PKCS#1 v1.5 sha256"},
		{"rsa", []suite.HashAlgorithm{4}, "14 RSA PKCS#1 v1.5 sha512"},
		{"rsa", []suite.HashAlgorithm{1}, "1 RSA PKCS#1 v1.5 sha1"},
		{"rsa", []suite.HashAlgorithm{5, 99}, "1 RSA PKCS#1 v1.5 sha1"},
		{"p256", announcesNothing, "9 ECDSA sha256"},
		{"p384", announcesNothing, "10 ECDSA sha384"},
		{"p521", announcesNothing, "11 ECDSA sha512"},
		{"p256", everything, "14 ECDSA sha256"},
		{"p384", everything, "14 ECDSA sha384"},
		{"p521", everything, "14 ECDSA sha512"},
		{"p256", []suite.HashAlgorithm{3}, "14 ECDSA sha384"},
		{"p384", []suite.HashAlgorithm{1}, "10 ECDSA sha384"},
		{"p224", everything, ""},
		{"ed25519", everything, "14 Ed25519"},
		{"ed25519", android, ""},
		{"ed25519", announcesNothing, ""},
	} {
		scheme, err := suite.ChooseScheme(testSigners()[c.key].Public(), c.announced)
		var none *suite.SchemeError
		if c.want == "" && !errors.As(err, &none) || c.want != "" && (err != nil || scheme.String() != c.want) {
			t.Errorf("%s with %v: got %q, %v, want %q", c.key, c.announced, scheme, err, c.want)
		}
	}
	if _, err := suite.ChooseScheme("no key", everything); err == nil {
		t.Error("a string is no key")
	}
}

// everyScheme is each scheme with the name of a key for it.
func everyScheme(t testing.TB) map[suite.Scheme]string {
	t.Helper()
	all := map[suite.Scheme]string{}
	for name, key := range testSigners() {
		for _, announced := range [][]suite.HashAlgorithm{announcesNothing, {2}, {3}, {4}, {5}} {
			if scheme, err := suite.ChooseScheme(key.Public(), announced); err == nil {
				all[scheme], all[scheme.WithPSS()] = name, name
			}
		}
	}
	// Methods 1, 9, 10 and 11; three hashes with PKCS #1, PSS and ECDSA; Ed25519.
	if want := 4 + 3*3 + 1; len(all) != want {
		t.Fatalf("%d schemes, want %d", len(all), want)
	}
	return all
}

func TestSignaturesVerifyAndForgeriesDoNot(t *testing.T) {
	signed := []byte("message, nonce and MAC")
	for scheme, name := range everyScheme(t) {
		key := testSigners()[name]
		a, err := scheme.Sign(rand.Reader, key, signed)
		if err != nil {
			t.Fatalf("%s: %v", scheme, err)
		}
		if a.Method != scheme.Method() {
			t.Errorf("%s: AUTH of method %s", scheme, a.Method)
		}
		if err := suite.VerifySignature(key.Public(), a, signed); err != nil {
			t.Errorf("%s: %v", scheme, err)
		}
		refused := func(what string, pub crypto.PublicKey, method message.AuthMethod, data, signed []byte) {
			var wrong *suite.SignatureError
			if err := suite.VerifySignature(pub, &message.Auth{Method: method, Data: data}, signed); !errors.As(err, &wrong) {
				t.Errorf("%s: %s: got %v, want a *SignatureError", scheme, what, err)
			}
		}
		refused("other octets", key.Public(), a.Method, a.Data, append(bytes.Clone(signed), 0))
		for i := range a.Data {
			forged := bytes.Clone(a.Data)
			forged[i] ^= 1 << (i % 8)
			refused("flipped bit", key.Public(), a.Method, forged, signed)
		}
		for _, n := range []int{0, 1, 10, len(a.Data) - 1} {
			refused("cut", key.Public(), a.Method, a.Data[:n], signed)
		}
		for _, method := range []message.AuthMethod{0, 1, 2, 9, 10, 11, 12, 13, 14} {
			if method != a.Method {
				refused("under method "+method.String(), key.Public(), method, a.Data, signed)
			}
		}
		for other, key := range testSigners() {
			if other != name {
				refused("another key", key.Public(), a.Method, a.Data, signed)
			}
		}
		refused("no key", nil, a.Method, a.Data, signed)
	}
}

func TestSchemeSignsWithItsOwnKindOfKeyAlone(t *testing.T) {
	family := map[string]string{"rsa": "RSA", "p224": "ECDSA", "p256": "ECDSA", "p384": "ECDSA", "p521": "ECDSA", "ed25519": "Ed25519"}
	for scheme, right := range everyScheme(t) {
		for name, key := range testSigners() {
			_, err := scheme.Sign(rand.Reader, key, []byte("x"))
			if name == right && err != nil || family[name] != family[right] && err == nil {
				t.Errorf("%s with %s: %v", scheme, name, err)
			}
			if name == "p224" && err == nil {
				t.Errorf("%s signs with P-224", scheme)
			}
			// Methods 9 to 11 are bound to a curve (RFC 4754 §3).
			if old := scheme.Method(); 9 <= old && old <= 11 && name != right && err == nil {
				t.Errorf("%s signs with %s", scheme, name)
			}
		}
	}
	if _, err := (suite.Scheme{}).Sign(rand.Reader, testSigners()["rsa"], nil); err == nil {
		t.Error("the zero scheme signs")
	}
}

// Method 1 is plain PKCS #1 v1.5 with SHA-1, method 14 begins with the
// AlgorithmIdentifier of RFC 7427 appendix A.
func TestWireFormOfSignatures(t *testing.T) {
	key := testSigners()["rsa"].(*rsa.PrivateKey)
	signed := []byte("message, nonce and MAC")
	old, err := suite.ChooseScheme(key.Public(), nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := old.Sign(rand.Reader, key, signed)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha1.Sum(signed)
	if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA1, digest[:], a.Data); err != nil {
		t.Error(err)
	}
	ecKey := testSigners()["p521"].(*ecdsa.PrivateKey)
	raw, err := suite.ChooseScheme(ecKey.Public(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if a, err = raw.Sign(rand.Reader, ecKey, signed); err != nil {
		t.Fatal(err)
	}
	hash := crypto.SHA512.New()
	hash.Write(signed)
	if len(a.Data) != 132 || !ecdsa.Verify(&ecKey.PublicKey, hash.Sum(nil), new(big.Int).SetBytes(a.Data[:66]), new(big.Int).SetBytes(a.Data[66:])) {
		t.Errorf("method 11 signs with %d octets, want r and s of 66 each", len(a.Data))
	}
	for want, scheme := range identifiers {
		found := false
		for s, name := range everyScheme(t) {
			if s.String() == scheme {
				a, err := s.Sign(rand.Reader, testSigners()[name], signed)
				found = err == nil && bytes.HasPrefix(a.Data, append([]byte{byte(len(want) / 2)}, octets(t, want)...))
			}
		}
		if !found {
			t.Errorf("no signature by %q begins with %s", scheme, want)
		}
	}
}

// identifiers are from RFC 7427 appendix A and RFC 8420 appendix A.
var identifiers = map[string]string{
	"300d06092a864886f70d01010b0500": "14 RSA PKCS#1 v1.5 sha256",
	"300d06092a864886f70d01010c0500": "14 RSA PKCS#1 v1.5 sha384",
	"300d06092a864886f70d01010d0500": "14 RSA PKCS#1 v1.5 sha512",
	"300a06082a8648ce3d040302":       "14 ECDSA sha256",
	"300a06082a8648ce3d040303":       "14 ECDSA sha384",
	"300a06082a8648ce3d040304":       "14 ECDSA sha512",
	"300506032b6570":                 "14 Ed25519",
	"304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120": "14 RSA-PSS sha256",
}

func TestAlgorithmIdentifiersAreReadStrictly(t *testing.T) {
	const (
		sha256   = "300d06096086480165030402010500"
		sha512   = "300d06096086480165030402030500"
		pss      = "06092a864886f70d01010a"
		mgf1     = "06092a864886f70d010108"
		hash256  = "a00f" + sha256
		mask256  = "a11c301a" + mgf1 + sha256
		salt32   = "a203020120"
		unknown  = "not accepted"
		notDER   = "not valid DER"
		accepted = "the signature is wrong"
	)
	key := testSigners()["rsa"].Public()
	for der, want := range map[string]string{
		"300d06092a864886f70d01010b0500":                   accepted,
		"300b06092a864886f70d01010b":                       accepted, // RFC 4055 §5: NULL may be absent
		"300d06092a864886f70d0101050500":                   unknown,  // SHA-1
		"300d06092a864886f70d01010e0500":                   unknown,  // SHA-224
		"":                                                 notDER,
		"3000":                                             notDER,
		"300e06092a864886f70d01010b050000":                 notDER,
		"300d06092a864886f70d01010b050000":                 notDER,
		"300e06092a864886f70d01010b05010000":               notDER,
		"30810d06092a864886f70d01010b0500":                 notDER,
		"308006092a864886f70d01010b05000000":               notDER,
		"310d06092a864886f70d01010b0500":                   notDER,
		"300f06092a864886f70d01010b05000500":               notDER,
		"300d06092a864886f70d01010b0400":                   notDER,
		"3041" + pss + "3034" + hash256 + mask256 + salt32: accepted,
		"303d" + pss + "3030a00d300b0609608648016503040201a11a3018" + mgf1 + "300b0609608648016503040201" + salt32: accepted,
		"3046" + pss + "3039" + hash256 + mask256 + salt32 + "a303020101":                                          accepted,
		"3046" + pss + "3039" + hash256 + mask256 + salt32 + "a303020102":                                          unknown,
		"3041" + pss + "3034" + "a00f" + sha512 + mask256 + salt32:                                                 unknown,
		"3041" + pss + "3034" + hash256 + mask256 + "a203020100":                                                   unknown, // an empty salt
		"3041" + pss + "3034" + hash256 + mask256 + "a2030201ff":                                                   notDER,
		"3041" + pss + "3034" + hash256 + mask256 + "a202020120":                                                   notDER,
		"3041" + pss + "3034" + mask256 + hash256 + salt32:                                                         notDER,
		"300d" + pss + "3000":           unknown, // all defaults: SHA-1
		"300b" + pss:                    notDER,
		"301e" + pss + "3011" + hash256: unknown,
	} {
		data := append([]byte{byte(len(der) / 2)}, octets(t, der)...)
		err := suite.VerifySignature(key, &message.Auth{Method: message.AuthSignature, Data: append(data, make([]byte, 256)...)}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", der, err, want)
		}
	}
}

func TestHashAlgorithmsOfTheNotification(t *testing.T) {
	data := suite.AppendHashAlgorithms([]byte{9}, suite.SupportedHashes()...)
	checkOctets(t, "notification", data, []byte{9, 0, 2, 0, 3, 0, 4, 0, 5})
	got := suite.ParseHashAlgorithms([]byte{0, 2, 1, 0, 7})
	if !slices.Equal(got, []suite.HashAlgorithm{suite.HashSHA2256, 256}) {
		t.Errorf("got %v", got)
	}
	if suite.ParseHashAlgorithms(nil) == nil {
		t.Error("an empty notification counts as none")
	}
}

func TestSignedOctetsAndSharedKeyAuth(t *testing.T) {
	const p = suite.PRFHMACSHA256
	signed := suite.SignedOctets(p, []byte("message"), []byte("nonce"), suite.Secret("SK_p"), []byte("ID"))
	checkOctets(t, "signed octets", signed, append([]byte("messagenonce"), sum(p, []byte("SK_p"), []byte("ID"))...))
	want := sum(p, sum(p, []byte("MSK"), []byte("Key Pad for IKEv2")), signed)
	checkOctets(t, "AUTH data", p.SharedKeyAuth(suite.Secret("MSK"), signed), want)
}

func FuzzVerifySignature(f *testing.F) {
	for der := range identifiers {
		f.Add(uint8(14), append([]byte{byte(len(der) / 2)}, octets(f, der)...), []byte("signed"))
	}
	f.Add(uint8(1), make([]byte, 256), []byte("signed"))
	f.Add(uint8(9), make([]byte, 64), []byte("signed"))
	f.Fuzz(func(t *testing.T, method uint8, data, signed []byte) {
		for name, key := range testSigners() {
			if err := suite.VerifySignature(key.Public(), &message.Auth{Method: message.AuthMethod(method), Data: data}, signed); err == nil {
				t.Fatalf("%s: a forgery verifies", name)
			}
		}
	})
}
