//go:build vectors

package vectors

import (
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"bridgehead/auth"
	"bridgehead/auth/eap"
	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// bodyOffset is where the SK or SKF body begins in a message that holds
// nothing else.
func bodyOffset(t testing.TB, m *message.Message) int {
	t.Helper()
	switch m.Payloads[len(m.Payloads)-1].(type) {
	case *message.SK:
		return message.HeaderLen + 4
	case *message.SKF:
		return message.HeaderLen + 8
	}
	t.Fatal("the message is not encrypted")
	return 0
}

// open decrypts a message, and wants every single octet of it to count: one
// bit flipped anywhere must be found.
func open(t *testing.T, s suite.IKE, encr, integ, msg []byte) []byte {
	t.Helper()
	opener, err := s.NewOpener(encr, integ)
	if err != nil {
		t.Fatal(err)
	}
	off := bodyOffset(t, checkMessage(t, msg))
	plain, err := opener.Open(nil, msg, off)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	for i := range msg {
		damaged := slices.Clone(msg)
		damaged[i] ^= 1 << (i % 8)
		var integrity *suite.IntegrityError
		if _, err := opener.Open(nil, damaged, off); !errors.As(err, &integrity) {
			t.Fatalf("%s: a bit of octet %d of %d was flipped: error %v, want an *IntegrityError", s, i, len(msg), err)
		}
	}
	return plain
}

func ikeSuite(k *derivedKeys) suite.IKE {
	return suite.IKE{
		Encr: k.Transforms["1"][0], KeyLength: k.Transforms["1"][1],
		Integ: k.Transforms["3"][0], PRF: suite.PRF(k.Transforms["2"][0]), Group: suite.Group(k.Transforms["4"][0]),
	}
}

// ikeSA is one IKE SA of the exchanges, as far as its messages have come.
type ikeSA struct {
	x       *exchanges
	keys    *derivedKeys
	suite   suite.IKE
	init    []byte // the IKE_SA_INIT response as sent
	nonce   []byte // Nr
	idBody  []byte // IDr as sent
	pieces  []byte // fragments so far
	counted map[string]int
}

func TestExchangesOpenAndAuthenticate(t *testing.T) {
	x := loadExchanges(t)
	counts := make(map[string]int)
	for _, name := range slices.Sorted(maps.Keys(x.Tests)) {
		t.Run(name, func(t *testing.T) {
			var sa *ikeSA
			for _, r := range x.Tests[name] {
				if r.Keys != nil {
					sa = begin(t, &x, r, counts)
					continue
				}
				if sa.suite.Check() != nil {
					counts["messages of refused suites"]++
					continue
				}
				sa.message(t, r)
			}
		})
	}
	t.Log(counts)
	same(t, "counts", counts, map[string]int{
		"IKE SAs with their keys recomputed": 9,
		"IKE SAs refused for INTEG 8":        3, // AES-CMAC
		"IKE SAs refused for INTEG 5":        1, // AES-XCBC
		"messages opened":                    28,
		"messages of refused suites":         12,
		"AUTH by pre-shared key":             7,
		"AUTH by Digital Signature":          2,
		"AUTH by MSK":                        1,
	})
}

// begin recomputes the shared secret and all keys of an IKE SA.
func begin(t *testing.T, x *exchanges, r reply, counts map[string]int) *ikeSA {
	t.Helper()
	m := checkMessage(t, r.Message)
	k, ke := r.Keys, message.Find[*message.KE](m.Payloads)
	sa := &ikeSA{x: x, keys: k, suite: ikeSuite(k), init: r.Message, nonce: message.Find[*message.Nonce](m.Payloads).Data, counted: counts}
	private, public := x.Initiator.Private2, x.Initiator.Public2
	if ke.Group == 14 {
		private, public = x.Initiator.Private14, x.Initiator.Public14
	}
	checkMODP(t, suite.Group(ke.Group), private, public, ke.Data, k.SharedSecret)
	if err := sa.suite.Check(); err != nil {
		var unsupported *suite.UnsupportedError
		if !errors.As(err, &unsupported) {
			t.Fatal(err)
		}
		counts[fmt.Sprintf("IKE SAs refused for %s %d", unsupported.Transform.Type, unsupported.Transform.ID)]++
		return sa
	}
	spii, spir := message.SPI(x.Initiator.SPI), m.Header.ResponderSPI
	sameOctets(t, "SKEYSEED", sa.suite.PRF.Sum(slices.Concat(x.Initiator.Nonce, sa.nonce), k.SharedSecret), k.Seed)
	got := sa.suite.Derive(suite.Secret(k.SharedSecret), x.Initiator.Nonce, sa.nonce, spii, spir)
	for _, key := range []struct {
		name string
		got  suite.Secret
		want octets
	}{{"SK_d", got.D, k.D}, {"SK_ai", got.Ai, k.Ai}, {"SK_ar", got.Ar, k.Ar}, {"SK_ei", got.Ei, k.Ei}, {"SK_er", got.Er, k.Er}, {"SK_pi", got.Pi, k.Pi}, {"SK_pr", got.Pr, k.Pr}} {
		sameOctets(t, key.name, key.got, key.want)
	}
	counts["IKE SAs with their keys recomputed"]++
	return sa
}

// message opens one message of the responder and checks the AUTH in it.
func (sa *ikeSA) message(t *testing.T, r reply) {
	t.Helper()
	plain := open(t, sa.suite, sa.keys.Er, sa.keys.Ar, r.Message)
	sameOctets(t, r.Name+": plaintext", plain, r.Plaintext)
	sa.counted["messages opened"]++
	if len(r.Fragment) > 0 {
		sa.pieces = append(sa.pieces, plain...)
		if r.Fragment[0] < r.Fragment[1] {
			return
		}
		plain, r.First = sa.pieces, uint8(message.TypeIDr)
	}
	ps := checkPayloads(t, message.PayloadType(r.First), plain)
	if id := message.FindID(ps, true); id != nil {
		sa.idBody = id.AppendBody(nil)
	}
	if a := message.Find[*message.Auth](ps); a != nil {
		sa.authenticate(t, a, message.Find[*message.Cert](ps))
	}
}

func (sa *ikeSA) authenticate(t *testing.T, a *message.Auth, cert *message.Cert) {
	t.Helper()
	signed := suite.SignedOctets(sa.suite.PRF, sa.init, sa.x.Initiator.Nonce, suite.Secret(sa.keys.Pr), sa.idBody)
	if a.Method != message.AuthSharedKey {
		leaf, err := x509.ParseCertificate(cert.Data)
		if err != nil {
			t.Fatal(err)
		}
		if err := suite.VerifySignature(leaf.PublicKey, a, signed); err != nil {
			t.Error(err)
		}
		signed[0] ^= 1
		if suite.VerifySignature(leaf.PublicKey, a, signed) == nil {
			t.Error("the signature of other octets was accepted")
		}
		sa.counted["AUTH by "+a.Method.String()]++
		return
	}
	for name, secret := range map[string]suite.Secret{"pre-shared key": suite.Secret(sa.x.Credentials.PSK), "MSK": suite.Secret(sa.x.EAP.MSK)} {
		if slices.Equal(sa.suite.PRF.SharedKeyAuth(secret, signed), a.Data) {
			sa.counted["AUTH by "+name]++
			return
		}
	}
	t.Errorf("AUTH %x is neither of the pre-shared key nor of the MSK", a.Data)
}

func TestEAPConversationOfTheExchanges(t *testing.T) {
	x := loadExchanges(t)
	client := mschapv2.NewClient(x.Credentials.User, []byte(x.Credentials.Password), strings.NewReader(string(x.Initiator.PeerChall)))
	var answers []string
	for _, r := range x.Tests["IkeSessionMschapV2Test"] {
		if r.Keys != nil || r.Fragment != nil || r.First != uint8(message.TypeEAP) {
			continue
		}
		request := message.Find[*message.EAP](checkPayloads(t, message.TypeEAP, r.Plaintext)).Packet
		response, err := client.Respond(request)
		if err != nil {
			t.Fatalf("%s: %v", r.Name, err)
		}
		if response == nil {
			continue
		}
		p, err := eap.Parse(response)
		if err != nil {
			t.Fatal(err)
		}
		m, err := eap.ParseMSCHAPv2(p)
		if err != nil {
			t.Fatal(err)
		}
		if m, ok := m.(*eap.Response); ok {
			sameOctets(t, "NT-Response", m.NTResponse[:], x.EAP.NTResponse)
		}
		answers = append(answers, eap.OpCode(p.Data[0]).String())
	}
	same(t, "answers", answers, []string{"Response", "Success"})
	same(t, "MSK", client.MSK(), auth.Secret(x.EAP.MSK))
}
