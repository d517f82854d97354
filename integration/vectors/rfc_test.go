//go:build vectors

package vectors

import (
	"slices"
	"strings"
	"testing"

	"bridgehead/auth"
	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// rfcVectors gives the examples of the RFCs by name; values that are no
// octets are left as they are.
func rfcVectors(t testing.TB) map[string]map[string]any {
	t.Helper()
	var doc struct{ Vectors map[string]map[string]any }
	load(t, "rfc/rfc-vectors.json", &doc)
	return doc.Vectors
}

// rfcVector gives one example's values in octets.
func rfcVector(t testing.TB, name string) func(field string) []byte {
	t.Helper()
	v, ok := rfcVectors(t)[name]
	if !ok {
		t.Fatalf("no example %s", name)
	}
	return func(field string) []byte {
		t.Helper()
		s, ok := v[field].(string)
		if !ok {
			t.Fatalf("%s has no octets %s", name, field)
		}
		return mustHex(t, s)
	}
}

func TestMSCHAPv2Example(t *testing.T) {
	get, keys := rfcVector(t, "rfc2759_9.2"), rfcVector(t, "rfc3079_3.5.3")
	words := rfcVectors(t)["rfc2759_9.2"]
	hash := auth.HashPassword([]byte(words["password"].(string)))
	hashHash := hash.HashHash()
	challenge := mschapv2.ChallengeHash([16]byte(get("peer_challenge")), [16]byte(get("authenticator_challenge")), words["username"].(string))
	response := mschapv2.ChallengeResponse(challenge, &hash)
	proof := mschapv2.AuthenticatorResponse(&hashHash, response, challenge)
	sameOctets(t, "PasswordHash", hash[:], get("password_hash"))
	sameOctets(t, "PasswordHashHash", hashHash[:], get("password_hash_hash"))
	sameOctets(t, "Challenge", challenge[:], get("challenge"))
	sameOctets(t, "NT-Response", response[:], get("nt_response"))
	sameOctets(t, "AuthenticatorResponse", proof[:], mustHex(t, strings.TrimPrefix(words["authenticator_response"].(string), "S=")))
	msk := mschapv2.MSK(&hashHash, response)
	sameOctets(t, "MasterSendKey", msk[16:32], keys("send_start_key_128"))
}

func TestECPExamples(t *testing.T) {
	for name, g := range map[string]suite.Group{"rfc5903_8_group19": suite.ECP256, "rfc5903_8_group20": suite.ECP384, "rfc5903_8_group21": suite.ECP521} {
		get := rfcVector(t, name)
		gi, gr := slices.Concat(get("gix"), get("giy")), slices.Concat(get("grx"), get("gry"))
		checkExchange(t, g, get("i"), gi, gr, get("shared_secret"))
		checkExchange(t, g, get("r"), gr, gi, get("shared_secret"))
		for field, public := range map[string][]byte{"kei_payload": gi, "ker_payload": gr} {
			ke := message.Find[*message.KE](checkPayloads(t, message.TypeKE, get(field)))
			same(t, name+": group", suite.Group(ke.Group), g)
			sameOctets(t, name+": "+field, ke.Data, public)
		}
	}
}

func TestCurve25519Example(t *testing.T) {
	get := rfcVector(t, "rfc8031_A")
	checkExchange(t, suite.X25519, get("random_i"), get("pub_i"), get("pub_r"), get("shared_secret"))
	checkExchange(t, suite.X25519, get("random_r"), get("pub_r"), get("pub_i"), get("shared_secret"))
}

func TestChaCha20ESPExample(t *testing.T) {
	get := rfcVector(t, "rfc7634_A_esp")
	in, err := esp.NewInbound(esp.SA{SPI: 0x01020304, Suite: suite.ESP{Encr: suite.EncrChaCha20Poly1305}, EncrKey: get("keymat")})
	if err != nil {
		t.Fatal(err)
	}
	inner, next, err := in.Open(slices.Concat(get("aad"), get("iv"), get("ciphertext"), get("tag")))
	if err != nil {
		t.Fatal(err)
	}
	sameOctets(t, "inner packet", inner, get("source_packet"))
	same(t, "next header", next, uint8(4))
}

func TestChaCha20IKEExample(t *testing.T) {
	get := rfcVector(t, "rfc7634_B_ike")
	msg := get("message")
	plain := open(t, chacha, get("keymat"), nil, msg)
	sameOctets(t, "payloads", plain, get("inner_payloads"))
	n := message.Find[*message.Notify](checkPayloads(t, message.Find[*message.SK](checkMessage(t, msg).Payloads).First, plain))
	same(t, "notification", n.Kind, message.SetWindowSize)
}

func TestAESCBCExamples(t *testing.T) {
	for _, name := range []string{"rfc3602_4_case5", "rfc3602_4_case6", "rfc3602_4_case7", "rfc3602_4_case8"} {
		get := rfcVector(t, name)
		sameOctets(t, name, cbc(t, get("key"), get("iv"), get("ciphertext")), get("plaintext_with_trailer"))
	}
}

func TestEveryRFCExampleIsReplayed(t *testing.T) {
	same(t, "examples", len(rfcVectors(t)), 12)
}
