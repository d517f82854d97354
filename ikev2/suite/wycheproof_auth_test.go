package suite_test

import (
	"crypto/x509"
	"encoding/asn1"
	"testing"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// signatureData is the AUTH data of method 14.
func signatureData(algorithm, signature []byte) []byte {
	return append(append([]byte{byte(len(algorithm))}, algorithm...), signature...)
}

// checkSignatures runs a file's cases through VerifySignature. The algorithm
// is DER in hexadecimal for method 14, "" for the others.
func checkSignatures(t *testing.T, file string, method message.AuthMethod, algorithm string) {
	t.Helper()
	for _, group := range wycheproofGroups(t, file) {
		key, err := x509.ParsePKIXPublicKey(group.PublicKeyDER)
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range group.Tests {
			a := &message.Auth{Method: method, Data: test.Sig}
			if algorithm != "" {
				a.Data = signatureData(octets(t, algorithm), test.Sig)
			}
			checkVerdict(t, test, suite.VerifySignature(key, a, test.Msg))
		}
	}
}

func TestWycheproofSignatures(t *testing.T) {
	const (
		rsaSHA256 = "300d06092a864886f70d01010b0500"
		rsaSHA384 = "300d06092a864886f70d01010c0500"
		rsaSHA512 = "300d06092a864886f70d01010d0500"
	)
	for _, c := range []struct {
		file      string
		method    message.AuthMethod
		algorithm string
	}{
		{"rsa_signature_2048_sha256_test.json", 14, rsaSHA256},
		{"rsa_signature_2048_sha384_test.json", 14, rsaSHA384},
		{"rsa_signature_2048_sha512_test.json", 14, rsaSHA512},
		{"rsa_signature_3072_sha256_test.json", 14, rsaSHA256},
		{"rsa_signature_4096_sha512_test.json", 14, rsaSHA512},
		{"rsa_signature_8192_sha256_test.json", 14, rsaSHA256},
		{"ecdsa_secp256r1_sha256_test.json", 14, "300a06082a8648ce3d040302"},
		{"ecdsa_secp256r1_sha512_test.json", 14, "300a06082a8648ce3d040304"},
		{"ecdsa_secp384r1_sha256_test.json", 14, "300a06082a8648ce3d040302"},
		{"ecdsa_secp384r1_sha384_test.json", 14, "300a06082a8648ce3d040303"},
		{"ecdsa_secp521r1_sha512_test.json", 14, "300a06082a8648ce3d040304"},
		{"ecdsa_secp256r1_sha256_p1363_test.json", 9, ""},
		{"ecdsa_secp384r1_sha384_p1363_test.json", 10, ""},
		{"ecdsa_secp521r1_sha512_p1363_test.json", 11, ""},
		{"ed25519_test.json", 14, "300506032b6570"},
	} {
		t.Run(c.file, func(t *testing.T) { checkSignatures(t, c.file, c.method, c.algorithm) })
	}
}

// The files' keys carry the AlgorithmIdentifier of RSASSA-PSS with its
// parameters, encoded by somebody else.
func TestWycheproofPSS(t *testing.T) {
	for file, accepted := range map[string]bool{
		"rsa_pss_2048_sha256_mgf1_32_params_test.json":       true,
		"rsa_pss_3072_sha256_mgf1_32_params_test.json":       true,
		"rsa_pss_4096_sha512_mgf1_32_params_test.json":       true,
		"rsa_pss_4096_sha512_mgf1_64_params_test.json":       true,
		"rsa_pss_2048_sha1_mgf1_20_params_test.json":         false, // SHA-1
		"rsa_pss_2048_sha256_mgf1_0_params_test.json":        false, // an empty salt
		"rsa_pss_2048_sha512_mgf1sha256_32_params_test.json": false, // two hashes
	} {
		t.Run(file, func(t *testing.T) {
			for _, group := range wycheproofGroups(t, file) {
				key, err := x509.ParsePKCS1PublicKey(group.PublicKeyAsn)
				if err != nil {
					t.Fatal(err)
				}
				var info struct {
					Algorithm asn1.RawValue
					Key       asn1.BitString
				}
				if _, err := asn1.Unmarshal(group.PublicKeyDER, &info); err != nil {
					t.Fatal(err)
				}
				for _, test := range group.Tests {
					if !accepted {
						test.Result = "invalid"
					}
					a := &message.Auth{Method: message.AuthSignature, Data: signatureData(info.Algorithm.FullBytes, test.Sig)}
					checkVerdict(t, test, suite.VerifySignature(key, a, test.Msg))
				}
			}
		})
	}
}
