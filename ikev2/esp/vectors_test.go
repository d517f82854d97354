package esp

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"bridgehead/ikev2/suite"
)

// The AEAD vectors are those of RFC 7634 appendix A and of
// draft-mcgrew-gcm-test-01; payloads are whole ciphertexts with their trailers,
// some of them in transport mode.
func TestAEADVectors(t *testing.T) {
	for _, v := range []struct {
		name                   string
		suite                  suite.ESP
		key                    string // with the salt
		header, iv             string
		seq                    uint64
		plain, sealed, icvOnly string
	}{
		{
			name: "RFC 7634 A", suite: suite.ESP{Encr: 28},
			key:    "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3",
			header: "0102030400000005", iv: "1011121314151617", seq: 5,
			plain: "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec10" +
				"0007362708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223" +
				"2425262728292a2b2c2d2e2f303132333435363701020204",
			sealed: "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c6" +
				"14ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3" +
				"cbec163fac469b502773f6fb94e664da9165b82829f641e0",
			icvOnly: "76aaa8266b7fb0f7b11b369907e1ad43",
		},
		{
			name: "GCM case 1, 128 bits, ESN", suite: suite.ESP{Encr: 20, KeyLength: 128, ESN: true},
			key:    "4c80cdefbb5d10da906ac73c3613a6342e443b68",
			header: "0000432100000000", iv: "4956ed7e3b244cfe", seq: 0x87654321_00000000,
			plain: "45000048699a000080114db7c0a80102c0a801010a9bf15638d3010000010000" +
				"00000000045f736970045f756470037369700963796265726369747902646b00" +
				"0021000101020201",
			sealed: "fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34" +
				"cfa2436f14a3f3cf65925bf1f4a13c5d15b21e1884f5ff6247aeabb786b93bce" +
				"61bc17d768fd9732",
			icvOnly: "459018148f6cbe722fd04796562dfdb4",
		},
		{
			name: "GCM case 3, 192 bits", suite: suite.ESP{Encr: 20, KeyLength: 192},
			key:    "feffe9928665731c6d6a8f9467308308feffe9928665731ccafebabe",
			header: "0000a5f80000000a", iv: "facedbaddecaf888", seq: 10,
			plain: "45000028a4ad4000400678800a01038f0a010612802306b8cb712602dd6bb03e" +
				"501016d075680001",
			sealed: "a5b1f8066029aea40e598b8122de02420938b3ab33f828e687b8858b5bfbdbd0" +
				"315b27452144cc77",
			icvOnly: "95457b9652037f5318027b5b4cd7a636",
		},
		{
			name: "GCM case 4, 256 bits", suite: suite.ESP{Encr: 20, KeyLength: 256},
			key:    "abbccddef00112233445566778899aababbccddef00112233445566778899aab11223344",
			header: "4a2cbfe300000002", iv: "0102030405060708", seq: 2,
			plain: "4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee000000000" +
				"7002400020bf0000020405b40101040201020201",
			sealed: "ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763" +
				"748a637985771d347f0545659f14e99def842d8e",
			icvOnly: "b335f4eecfdbf831824b4c4915956c96",
		},
	} {
		t.Run(v.name, func(t *testing.T) {
			tr, g, err := newTransform(SA{Suite: v.suite, EncrKey: unhex(v.key)}, false)
			if err != nil {
				t.Fatal(err)
			}
			packet := join(unhex(v.header), unhex(v.iv), unhex(v.sealed), unhex(v.icvOnly))
			if err := tr.open(packet, v.seq); err != nil {
				t.Fatal(err)
			}
			if got := packet[g.header() : len(packet)-int(g.icv)]; !bytes.Equal(got, unhex(v.plain)) {
				t.Errorf("plaintext %x, want %s", got, v.plain)
			}
		})
	}
}

// RFC 3602 §4 gives ciphertexts without an ICV; the standard library's HMAC
// adds one.
func TestCBCVectors(t *testing.T) {
	integ := counting(32)
	for _, v := range []struct{ name, key, header, iv, plain, sealed string }{
		{
			"case 5", "90d382b410eeba7ad938c46cec1a82bf", "0000432100000001", "e96e8c08ab465763fd098d45dd3ff893",
			"08000ebda70a00008e9c083db95b070008090a0b0c0d0e0f1011121314151617" +
				"18191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637" +
				"0102030405060708090a0b0c0d0e0e01",
			"f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856" +
				"a4699e523a55db080b59ec3a8e4b7e52775b07d1db34ed9c538ab50c551b874a" +
				"a269add047ad2d5913ac19b7cfbad4a6",
		},
		{
			"case 6", "90d382b410eeba7ad938c46cec1a82bf", "0000432100000008", "69d08df7d203329db093fc4924e5bd80",
			"0800b5e8a80a0500a69c083d0b660e0077777777777777777777777701020201",
			"f51995881ec4e0c4488987ce742e8109689bb379d2d750c0d915dca346a89f75",
		},
		{
			"case 7", "0123456789abcdef0123456789abcdef", "0000876500000002", "f4e765244f6407adf13dc1380f673f37",
			"45000054090400004001f988c0a87b03c0a87bc808009f76a90a0100b49c083d" +
				"02a2040008090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223" +
				"2425262728292a2b2c2d2e2f30313233343536370102030405060708090a0a04",
			"773b5241a4c449225e4f3ce5ed611b0c237ca96cf74a93013c1b0ea1a0cf70f8" +
				"e4ecaec78ac53aad7a0f022b859243c647752e94a859352b8a4d4d2decd136e5" +
				"c177f132ad3fbfb2201ac9904c74ee0a109e0ca1e4dfe9d5a100b842f1c22f0d",
		},
		{
			"case 8", "0123456789abcdef0123456789abcdef", "0000876500000005", "85d47224b5f3dd5d2101d4ea8dffab22",
			"45000044090c00004001f990c0a87b03c0a87bc80800d63caa0a0200c69c083d" +
				"a3de0300ffffffffffffffffffffffffffffffffffffffffffffffffffffffff" +
				"ffffffff0102030405060708090a0a04",
			"15b92683819596a8047232cc00f7048fe45318e11f8a0f62ede3c3fc61203bb5" +
				"0f980a08c9843fd3a1b06d5c07ff9639b7eb7dfb3512e5de435e7207ed971ef3" +
				"d2726d9b5ef6affc6d17a0decbb13892",
		},
	} {
		t.Run(v.name, func(t *testing.T) {
			sa := SA{
				Suite:   suite.ESP{Encr: 12, KeyLength: 128, Integ: 12},
				EncrKey: unhex(v.key), IntegKey: integ,
			}
			tr, g, err := newTransform(sa, false)
			if err != nil {
				t.Fatal(err)
			}
			packet := join(unhex(v.header), unhex(v.iv), unhex(v.sealed))
			h := hmac.New(sha256.New, integ)
			h.Write(packet)
			packet = append(packet, h.Sum(nil)[:16]...)
			if err := tr.open(packet, 1); err != nil {
				t.Fatal(err)
			}
			if got := packet[g.header() : len(packet)-int(g.icv)]; !bytes.Equal(got, unhex(v.plain)) {
				t.Errorf("plaintext %x, want %s", got, v.plain)
			}
		})
	}
}
