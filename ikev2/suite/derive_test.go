package suite_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

var hashOf = map[suite.PRF]func() hash.Hash{
	suite.PRFHMACSHA1: sha1.New, suite.PRFHMACSHA256: sha256.New, suite.PRFHMACSHA384: sha512.New384, suite.PRFHMACSHA512: sha512.New,
}

// sum is the PRF by crypto/hmac.
func sum(p suite.PRF, key []byte, parts ...[]byte) []byte {
	h := hmac.New(hashOf[p], key)
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

func TestPRFVectors(t *testing.T) {
	const (
		jefe    = "4a656665"
		nothing = "7768617420646f2079612077616e7420666f72206e6f7468696e673f"
		hiThere = "4869205468657265"
	)
	for _, v := range []struct {
		source    string
		prf       suite.PRF
		key, data string
		want      string
	}{
		{"RFC 2202 §3 case 1", suite.PRFHMACSHA1, strings.Repeat("0b", 20), hiThere, "b617318655057264e28bc0b6fb378c8ef146be00"},
		{"RFC 2202 §3 case 2", suite.PRFHMACSHA1, jefe, nothing, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
		{"RFC 2202 §3 case 6", suite.PRFHMACSHA1, strings.Repeat("aa", 80), "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579204669727374", "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
		{"RFC 4231 §4.2", suite.PRFHMACSHA256, strings.Repeat("0b", 20), hiThere, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{"RFC 4231 §4.3", suite.PRFHMACSHA256, jefe, nothing, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{"RFC 4231 §4.3", suite.PRFHMACSHA384, jefe, nothing, "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649"},
		{"RFC 4231 §4.3", suite.PRFHMACSHA512, jefe, nothing, "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
		{"RFC 4231 §4.7", suite.PRFHMACSHA256, strings.Repeat("aa", 131), "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579204669727374", "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
	} {
		checkOctets(t, v.source+" "+v.prf.String(), v.prf.Sum(octets(t, v.key), octets(t, v.data)), octets(t, v.want))
	}
}

func TestPRFAgreesWithCryptoHMAC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom([]suite.PRF{suite.PRFHMACSHA1, suite.PRFHMACSHA256, suite.PRFHMACSHA384, suite.PRFHMACSHA512}).Draw(t, "prf")
		key := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "key")
		parts := rapid.SliceOf(rapid.SliceOf(rapid.Byte())).Draw(t, "parts")
		if got, want := p.Sum(key, parts...), sum(p, key, parts...); !bytes.Equal(got, want) || len(got) != p.Len() {
			t.Fatalf("%x, want %x", got, want)
		}
		seed := bytes.Join(parts, nil)
		n := rapid.IntRange(0, 255*p.Len()).Draw(t, "length")
		var want, last []byte
		for i := 1; len(want) < n; i++ {
			last = sum(p, key, last, seed, []byte{byte(i)})
			want = append(want, last...)
		}
		if got := p.Plus(key, seed, n); !bytes.Equal(got, want[:n]) {
			t.Fatalf("prf+ gives %x, want %x", []byte(got), want[:n])
		}
	})
	if got := suite.PRFHMACSHA1.Plus(nil, nil, 255*20+1); got != nil {
		t.Errorf("prf+ gave %d octets, more than its counter allows", len(got))
	}
	if suite.PRF(1).Sum(nil) != nil || suite.PRF(1).Plus(nil, nil, 1) != nil || suite.PRF(1).Len() != 0 {
		t.Error("a PRF that is not implemented gave octets")
	}
}

func ikeSuites(t testing.TB) []suite.IKE {
	var all []suite.IKE
	for _, text := range strings.Fields("aes128-sha1-modp2048 aes192-sha256-ecp256 aes256-sha384-prfsha512-x25519 aes256-sha512-x25519 " +
		"aes128gcm16-prfsha1-x25519 aes192gcm16-prfsha256-x25519 aes256gcm16-prfsha384-x25519 chacha20poly1305-prfsha512-x25519") {
		choice, err := suite.Select(parse(t, ike, text), parse(t, ike, text).Offer(nil), suite.GatewayOrder)
		if err != nil {
			t.Fatal(err)
		}
		s, err := choice.IKE()
		if err != nil {
			t.Fatal(err)
		}
		if s.String() != text {
			t.Fatalf("%s became %s", text, s)
		}
		all = append(all, s)
	}
	return all
}

func join(secrets ...suite.Secret) []byte {
	var all []byte
	for _, s := range secrets {
		all = append(all, s...)
	}
	return all
}

func TestIKEKeysFollowTheirFormulas(t *testing.T) {
	shared, ni, nr := []byte("shared"), []byte("initiator's nonce"), []byte("responder's nonce")
	spii, spir := message.SPI{1}, message.SPI{2}
	for _, s := range ikeSuites(t) {
		seed := bytes.Join([][]byte{ni, nr, spii[:], spir[:]}, nil)
		k := s.Derive(shared, ni, nr, spii, spir)
		got := join(k.D, k.Ai, k.Ar, k.Ei, k.Er, k.Pi, k.Pr)
		want := s.PRF.Plus(sum(s.PRF, append(append([]byte{}, ni...), nr...), shared), seed, len(got))
		checkOctets(t, s.String()+" keys", got, want)
		for _, l := range [][2]int{
			{len(k.D), s.PRF.Len()}, {len(k.Pi), s.PRF.Len()}, {len(k.Pr), s.PRF.Len()},
			{len(k.Ai), s.IntegKeyLen()}, {len(k.Ar), s.IntegKeyLen()}, {len(k.Ei), s.KeyLen()}, {len(k.Er), s.KeyLen()},
		} {
			if l[0] != l[1] {
				t.Errorf("%s: key of %d octets, want %d", s, l[0], l[1])
			}
		}
		r := s.DeriveRekey(suite.PRFHMACSHA256, k.D, shared, ni, nr, spii, spir)
		want = s.PRF.Plus(sum(suite.PRFHMACSHA256, k.D, shared, ni, nr), seed, len(got))
		checkOctets(t, s.String()+" rekeyed", join(r.D, r.Ai, r.Ar, r.Ei, r.Er, r.Pi, r.Pr), want)
		r.Wipe()
		checkOctets(t, "wiped", join(r.D, r.Ai, r.Ar, r.Ei, r.Er, r.Pi, r.Pr), make([]byte, len(got)))
	}
}

func TestChildKeysFollowTheirFormula(t *testing.T) {
	d, ni, nr := suite.Secret("SK_d"), []byte("initiator's nonce"), []byte("responder's nonce")
	for _, c := range []struct {
		suite       suite.ESP
		encr, integ int // octets
	}{
		{suite.ESP{Encr: suite.EncrAESCBC, KeyLength: 128, Integ: suite.IntegHMACSHA1_96}, 16, 20},
		{suite.ESP{Encr: suite.EncrAESCBC, KeyLength: 256, Integ: suite.IntegHMACSHA2_512256, ESN: true}, 32, 64},
		{suite.ESP{Encr: suite.EncrAESGCM16, KeyLength: 192}, 28, 0},
		{suite.ESP{Encr: suite.EncrChaCha20Poly1305}, 36, 0},
	} {
		for _, shared := range []suite.Secret{nil, suite.Secret("shared")} {
			k := c.suite.Derive(suite.PRFHMACSHA256, d, shared, ni, nr)
			if len(k.InitiatorEncr) != c.encr || len(k.ResponderInteg) != c.integ {
				t.Errorf("%s: keys of %d and %d octets, want %d and %d", c.suite, len(k.InitiatorEncr), len(k.ResponderInteg), c.encr, c.integ)
			}
			got := join(k.InitiatorEncr, k.InitiatorInteg, k.ResponderEncr, k.ResponderInteg)
			want := suite.PRFHMACSHA256.Plus(d, bytes.Join([][]byte{shared, ni, nr}, nil), len(got))
			checkOctets(t, c.suite.String(), got, want)
			k.Wipe()
			checkOctets(t, "wiped", join(k.InitiatorEncr, k.InitiatorInteg, k.ResponderEncr, k.ResponderInteg), make([]byte, len(got)))
		}
	}
}

func TestSuitesOfferThemselvesInARekey(t *testing.T) {
	for _, s := range ikeSuites(t) {
		ps := suite.Proposals{s.Proposal()}
		choice, err := suite.SelectFor(ps, ps.Offer(make([]byte, 8)), suite.GatewayOrder, s.Group)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := choice.IKE(); err != nil || again != s {
			t.Errorf("%s became %s, %v", s, again, err)
		}
	}
	for _, s := range []suite.ESP{
		{Encr: suite.EncrAESCBC, KeyLength: 256, Integ: suite.IntegHMACSHA2_256128, ESN: true},
		{Encr: suite.EncrChaCha20Poly1305},
	} {
		ps := suite.Proposals{s.Proposal()}
		choice, err := suite.Select(ps, ps.Offer(make([]byte, 4)), suite.GatewayOrder)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := choice.ESP(); err != nil || again != s {
			t.Errorf("%s became %s, %v", s, again, err)
		}
	}
}
