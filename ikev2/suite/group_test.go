package suite_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"

	"bridgehead/ikev2/suite"
)

var allGroups = []suite.Group{
	suite.X25519, suite.ECP256, suite.ECP384, suite.ECP521, suite.MODP1024, suite.MODP1536,
	suite.MODP2048, suite.MODP3072, suite.MODP4096, suite.MODP6144, suite.MODP8192,
}

// keyFrom makes the key whose private value is given: Generate takes it as it
// comes from its source of randomness.
func keyFrom(t *testing.T, g suite.Group, private []byte) suite.KeyPair {
	t.Helper()
	k, err := g.Generate(bytes.NewReader(private))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeyExchangeVectors(t *testing.T) {
	for _, v := range []struct {
		source                               string
		group                                suite.Group
		privateI, publicI, privateR, publicR string
		shared                               string
	}{
		{
			"RFC 5903 §8.1", suite.ECP256,
			"c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
			"dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c37725811805271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
			"c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53",
			"d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf6356fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
			"d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
		},
		{
			"RFC 5903 §8.2", suite.ECP384,
			"099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b538041e649ee3faef896783ab194",
			"667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6de3ac808acb4bdb4c88732aee95f41aa9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c",
			"41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942e0308312916b8ed2960e4bd55a7448fc",
			"e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d0d1ac43a0336def96fda41d0774a3571dcfbec7aacf3196472169e838430367f66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c",
			"11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5d4a270f59746",
		},
		{
			"RFC 5903 §8.3", suite.ECP521,
			"0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a095aa85a30fe1c2952c6771d937ba9777f5957b2639bab072462f68c27a57382d4a52",
			"0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbee1e3bf42e00b8e380aeae57c2d107564941885942af5a7f4601723c4195d176ced3e017cae20b6641d2eeb695786d8c946146239d099e18e1d5a514c739d7cb4a10ad8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3926f9582",
			"0145ba99a847af43793fdd0e872e7cdfa16be30fdc780f97bccc3f078380201e9c677d600b343757a3bdbf2a3163e4c2f869cca7458aa4a4effc311f5cb151685eb9",
			"00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a219b97c356436adc6e95bb0352f6be64a6c2912d4ef2d0433ced2b6171640012d9460f015c68226383956e3bd066e797b623c27ce0eac2f551a10c2c724d9852077b87220b6536c5c408a1d2aebb8e86d678ae49cb57091f4732296579ab44fcd17f0fc56a",
			"01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04d1427e73ca4baa240a34786859810c06b3c715a3a8cc3151f2bee417996d19f3ddea",
		},
		{
			"RFC 8031 appendix A", suite.X25519,
			"751fb4308655b476b6789b7325f9ea8cddd16a58533ff6d9e60009464a5f9d94",
			"48d5ddd4061257ba166fa3f9bbdb74f1a4e81c089384fa77f790709f0dfbc766",
			"0a54645253290d60ddadd0e030bacd9e5501efdc220755a1e978f1b839a05688",
			"0be7c1f5aad87d7e448662673298a443478b859745179eaf564c79c0ef6eee25",
			"c74950607a12327f3204d94b6825bfb068b7f8319a9e3708ed3d43ce8130c950",
		},
	} {
		t.Run(v.source, func(t *testing.T) {
			i, r := keyFrom(t, v.group, octets(t, v.privateI)), keyFrom(t, v.group, octets(t, v.privateR))
			checkOctets(t, "initiator's public value", i.Public(), octets(t, v.publicI))
			checkOctets(t, "responder's public value", r.Public(), octets(t, v.publicR))
			si, err := i.Shared(r.Public())
			if err != nil {
				t.Fatal(err)
			}
			sr, err := r.Shared(i.Public())
			if err != nil {
				t.Fatal(err)
			}
			checkOctets(t, "initiator's shared secret", si, octets(t, v.shared))
			checkOctets(t, "responder's shared secret", sr, octets(t, v.shared))
		})
	}
}

func TestBothEndsOfEveryGroupAgree(t *testing.T) {
	for _, g := range allGroups {
		i, err := g.Generate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		r, err := g.Generate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if len(i.Public()) != g.PublicLen() || len(r.Public()) != g.PublicLen() {
			t.Errorf("%s: public values of %d and %d octets, want %d", g, len(i.Public()), len(r.Public()), g.PublicLen())
		}
		si, err := i.Shared(r.Public())
		if err != nil {
			t.Fatal(err)
		}
		sr, err := r.Shared(i.Public())
		if err != nil {
			t.Fatal(err)
		}
		checkOctets(t, g.String()+" shared secret", si, sr)
		if bytes.Equal(i.Public(), r.Public()) {
			t.Errorf("%s: two keys are the same", g)
		}
	}
}

func TestInvalidPublicValuesAreRefused(t *testing.T) {
	for _, g := range allGroups {
		k, err := g.Generate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		n := g.PublicLen()
		zero, one, ones := make([]byte, n), make([]byte, n), bytes.Repeat([]byte{0xff}, n)
		one[n-1] = 1
		invalid := map[string][]byte{
			"nothing": {}, "one octet less": k.Public()[1:], "one octet more": append([]byte{0}, k.Public()...), "zero": zero,
		}
		switch g {
		case suite.X25519:
			invalid["a point of order 4"] = append([]byte{1}, make([]byte, n-1)...) // little-endian
		case suite.ECP256, suite.ECP384, suite.ECP521:
			offCurve := bytes.Clone(k.Public())
			offCurve[n-1] ^= 1
			invalid["off the curve"], invalid["out of range"] = offCurve, ones
		default:
			invalid["one"], invalid["out of range"] = one, ones
		}
		for what, public := range invalid {
			var refused *suite.PublicValueError
			if _, err := k.Shared(public); !errors.As(err, &refused) || refused.Group != g {
				t.Errorf("%s: %s: got %v, want a *PublicValueError", g, what, err)
			}
		}
	}
}

func TestGroupThatIsNotImplemented(t *testing.T) {
	var unsupported *suite.UnsupportedError
	if _, err := suite.Group(22).Generate(rand.Reader); !errors.As(err, &unsupported) {
		t.Errorf("got %v, want an *UnsupportedError", err)
	}
	if _, err := suite.ECP256.Generate(bytes.NewReader(make([]byte, 1000))); err == nil {
		t.Error("a source of zeros gave a key")
	}
	for _, g := range allGroups {
		if _, err := g.Generate(bytes.NewReader(make([]byte, 8))); err == nil {
			t.Errorf("%s: a source of 8 octets gave a key", g)
		}
	}
}

func TestWycheproofX25519(t *testing.T) {
	for _, group := range wycheproofGroups(t, "x25519_test.json") {
		for _, test := range group.Tests {
			shared, err := keyFrom(t, suite.X25519, test.Private).Shared(test.Public)
			if zero := make([]byte, 32); bytes.Equal(test.Shared, zero) {
				if err == nil {
					t.Errorf("test %d (%s): shared secret of zeros accepted", test.ID, test.Comment)
				}
				continue
			}
			if err != nil {
				t.Errorf("test %d (%s): %v", test.ID, test.Comment, err)
			}
			checkOctets(t, test.Comment, shared, test.Shared)
		}
	}
}

func TestWycheproofECDH(t *testing.T) {
	for file, g := range map[string]suite.Group{
		"ecdh_secp256r1_ecpoint_test.json": suite.ECP256,
		"ecdh_secp384r1_ecpoint_test.json": suite.ECP384,
		"ecdh_secp521r1_ecpoint_test.json": suite.ECP521,
	} {
		for _, group := range wycheproofGroups(t, file) {
			for _, test := range group.Tests {
				// IKEv2 leaves out the octet that says "uncompressed" and
				// cannot express any other form.
				public, uncompressed := bytes.CutPrefix(test.Public, []byte{4})
				size := g.PublicLen() / 2
				private := append(make([]byte, size), test.Private...)
				shared, err := keyFrom(t, g, private[len(private)-size:]).Shared(public)
				if !uncompressed {
					test.Result = "invalid"
				}
				checkVerdict(t, test, err)
				if err == nil {
					checkOctets(t, test.Comment, shared, test.Shared)
				}
			}
		}
	}
}
