//go:build vectors

package vectors

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"bridgehead/auth"
	"bridgehead/auth/eap"
	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// constantsOf gives one file's constants in octets, those written as numbers
// included.
func constantsOf(t *testing.T, name string) func(constant string) []byte {
	t.Helper()
	values, ok := constants(t)[name]
	if !ok {
		t.Fatalf("no file %s", name)
	}
	return func(constant string) []byte {
		t.Helper()
		v, ok := values[constant]
		if !ok {
			t.Fatalf("%s has no constant %s", name, constant)
		}
		if s, ok := strings.CutPrefix(v, "text:"); ok {
			return []byte(s)
		}
		return mustHex(t, v)
	}
}

// aesSHA1 is the suite of most of the constants.
var aesSHA1 = suite.IKE{Encr: suite.EncrAESCBC, KeyLength: 128, Integ: suite.IntegHMACSHA1_96, PRF: suite.PRFHMACSHA1, Group: suite.MODP1024}

func TestConstantsOfKeyDerivation(t *testing.T) {
	for _, name := range []string{"SaRecordTest", "IkeMacPrfTest"} {
		get := constantsOf(t, name)
		ni, nr, shared := get("IKE_NONCE_INIT_HEX_STRING"), get("IKE_NONCE_RESP_HEX_STRING"), get("IKE_SHARED_DH_KEY_HEX_STRING")
		sameOctets(t, "SKEYSEED", aesSHA1.PRF.Sum(slices.Concat(ni, nr), shared), get("IKE_SKEYSEED_HEX_STRING"))
		k := aesSHA1.Derive(shared, ni, nr, message.SPI(get("IKE_INIT_SPI")), message.SPI(get("IKE_RESP_SPI")))
		for constant, key := range map[string]suite.Secret{
			"IKE_SK_D": k.D, "IKE_SK_AUTH_INIT": k.Ai, "IKE_SK_AUTH_RESP": k.Ar, "IKE_SK_ENCR_INIT": k.Ei,
			"IKE_SK_ENCR_RESP": k.Er, "IKE_SK_PRF_INIT": k.Pi, "IKE_SK_PRF_RESP": k.Pr,
		} {
			sameOctets(t, constant, key, get(constant+"_HEX_STRING"))
		}
		c := suite.ESP{Encr: suite.EncrAESCBC, KeyLength: 128, Integ: suite.IntegHMACSHA1_96}.Derive(aesSHA1.PRF, k.D, nil, ni, nr)
		for constant, key := range map[string]suite.Secret{
			"FIRST_CHILD_ENCR_INIT": c.InitiatorEncr, "FIRST_CHILD_AUTH_INIT": c.InitiatorInteg,
			"FIRST_CHILD_ENCR_RESP": c.ResponderEncr, "FIRST_CHILD_AUTH_RESP": c.ResponderInteg,
		} {
			sameOctets(t, constant, key, get(constant+"_HEX_STRING"))
		}
		sameOctets(t, "prf", aesSHA1.PRF.Sum(get("PRF_KEY_HEX_STRING"), get("DATA_TO_SIGN_HEX_STRING")), get("CALCULATED_MAC_HEX_STRING"))
	}
	get := constantsOf(t, "IkeMacPrfTest")
	const prf = suite.PRFHMACSHA256
	nonces := slices.Concat(get("PRF_HMAC256_IKE_NONCE_INIT_HEX_STRING"), get("PRF_HMAC256_IKE_NONCE_RESP_HEX_STRING"))
	sameOctets(t, "SKEYSEED with SHA-256", prf.Sum(nonces, get("PRF_HMAC256_IKE_SHARED_DH_KEY_HEX_STRING")), get("PRF_HMAC256_IKE_SKEYSEED_HEX_STRING"))
	sameOctets(t, "prf with SHA-256", prf.Sum(get("PRF_HMAC256_KEY_HEX_STRING"), get("PRF_HMAC256_DATA_TO_SIGN_HEX_STRING")), get("PRF_HMAC256_CALCULATED_MAC_HEX_STRING"))
}

func TestConstantsOfProtection(t *testing.T) {
	sk, body, info := constantsOf(t, "IkeSkPayloadTest"), constantsOf(t, "IkeEncryptedPayloadBodyTest"), constantsOf(t, "IkeMessageTest")
	encr, integ := sk("ENCR_KEY_FROM_INIT_TO_RESP"), sk("INTE_KEY_FROM_INIT_TO_RESP")
	for _, c := range []struct {
		name        string
		suite       suite.IKE
		encr, integ []byte
		msg, plain  []byte
	}{
		{"IKE_AUTH request", aesSHA1, encr, integ, sk("IKE_AUTH_INIT_REQUEST_HEX_STRING"), sk("IKE_AUTH_INIT_REQUEST_DECRYPTED_BODY_HEX_STRING")},
		{"empty INFORMATIONAL", aesSHA1, encr, integ, info("IKE_EMPTY_INFO_MSG_HEX_STRING"), nil},
		{"AES-GCM", gcm(32), body("AES_GCM_MSG_ENCR_KEY"), nil, body("AES_GCM_MSG_HEX_STRING"), body("AES_GCM_MSG_DECRYPTED_BODY_HEX_STRING")},
		{"AES-GCM fragment", gcm(32), body("AES_GCM_FRAG_ENCR_KEY"), nil, body("AES_GCM_FRAG_HEX_STRING"), body("AES_GCM_FRAG_DECRYPTED_BODY_HEX_STRING")},
	} {
		sameOctets(t, c.name, open(t, c.suite, c.encr, c.integ, c.msg), c.plain)
	}
	get := constantsOf(t, "IkeCombinedModeCipherTest")
	plain := get("CHACHA_POLY_UNENCRYPTED_DATA")
	sameOctets(t, "ChaCha20-Poly1305", aead(t, chacha, get("CHACHA_POLY_KEY"), get("CHACHA_POLY_ADDITIONAL_AUTH_DATA"), get("CHACHA_POLY_IV"), get("CHACHA_POLY_ENCRYPTED_DATA_WITH_CHECKSUM"), len(plain)), plain)
	plain = get("UNENCRYPTED_PADDED_DATA")
	sameOctets(t, "AES-GCM", aead(t, gcm(32), get("KEY"), get("ADDITIONAL_AUTH_DATA"), get("IV"), get("ENCRYPTED_PADDED_DATA_WITH_CHECKSUM"), len(plain)), plain)
}

func TestConstantsOfKeyExchange(t *testing.T) {
	get := constantsOf(t, "IkeKePayloadTest")
	private, peer := get("LOCAL_PRIVATE_KEY_1024_X_VALUE"), get("REMOTE_PUBLIC_KEY_1024")
	checkMODP(t, suite.MODP1024, private, modpPower(t, []byte{2}, private, 128), peer, get("EXPECTED_SHARED_KEY_1024"))
}

func TestConstantsOfSharedKeyAuth(t *testing.T) {
	get := constantsOf(t, "IkeAuthPskPayloadTest")
	signed := suite.SignedOctets(aesSHA1.PRF, get("PSK_IKE_INIT_REQUEST_HEX_STRING"), get("PSK_NONCE_RESP_HEX_STRING"), get("PSK_SKP_HEX_STRING"), get("PSK_ID_INITIATOR_PAYLOAD_HEX_STRING"))
	sameOctets(t, "signed octets", signed, constantsOf(t, "IkeAuthPayloadTest")("PSK_INIT_SIGNED_OCTETS"))
	sameOctets(t, "AUTH data", aesSHA1.PRF.SharedKeyAuth(get("PSK_HEX_STRING"), signed), get("PSK_AUTH_PAYLOAD_SIGNATURE_HEX_STRING"))
}

func TestConstantsOfMSCHAPv2(t *testing.T) {
	get := constantsOf(t, "EapMsChapV2Test")
	client := mschapv2.NewClient(string(get("USERNAME")), get("PASSWORD"), bytes.NewReader(get("PEER_CHALLENGE")))
	response, err := client.Respond(get("EAP_MSCHAP_V2_CHALLENGE_REQUEST"))
	if err != nil {
		t.Fatal(err)
	}
	sameOctets(t, "response", response, get("EAP_MSCHAP_V2_CHALLENGE_RESPONSE"))
	p, err := eap.Parse(response)
	if err != nil {
		t.Fatal(err)
	}
	m, err := eap.ParseMSCHAPv2(p)
	if err != nil {
		t.Fatal(err)
	}
	hash := auth.HashPassword(get("PASSWORD"))
	hashHash := hash.HashHash()
	sameOctets(t, "MSK", mschapv2.MSK(&hashHash, m.(*eap.Response).NTResponse), get("MSK"))
}
