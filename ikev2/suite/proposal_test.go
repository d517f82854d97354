package suite_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

const (
	ike = message.ProtocolIKE
	esp = message.ProtocolESP
)

func parse(t testing.TB, p message.Protocol, s string) suite.Proposals {
	t.Helper()
	ps, err := suite.ParseProposals(p, s)
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

func TestParsedProposalsPrintInTheSameNotation(t *testing.T) {
	for _, c := range []struct {
		protocol  message.Protocol
		in, print string
	}{
		{ike, "aes256-sha256-modp2048", "aes256-sha256-modp2048"},
		{ike, "AES256-SHA2_256-MODP2048!", "aes256-sha256-modp2048"},
		{ike, " aes-sha-curve25519 , aes256gcm128-prfsha384-ecp384 ! ", "aes128-sha1-x25519,aes256gcm16-prfsha384-ecp384"},
		{ike, "aes128gcm16-sha256-ecp256", "aes128gcm16-prfsha256-ecp256"}, // beside an AEAD, integrity names the PRF
		{ike, "modp2048-sha1-aes256", "aes256-sha1-modp2048"},
		{ike, "aes256-aes256-sha1-modp2048", "aes256-sha1-modp2048"},
		{ike, "aes256-sha1-prfsha256-modp2048", "aes256-sha1-prfsha256-modp2048"},
		{
			ike, "aes256-aes192-aes128-sha384-sha256-sha1-modp3072-modp2048-modp1536-modp1024!",
			"aes256-aes192-aes128-sha384-sha256-sha1-modp3072-modp2048-modp1536-modp1024",
		},
		{ike, "chacha20poly1305-prfsha512-ecp521-modp6144-modp8192", "chacha20poly1305-prfsha512-ecp521-modp6144-modp8192"},
		{esp, "aes256-aes192-aes128-sha384-sha256-sha1!", "aes256-aes192-aes128-sha384-sha256-sha1"},
		{esp, "aes256gcm16-noesn", "aes256gcm16"},
		{esp, "aes256gcm16-sha256", "aes256gcm16"},
		{esp, "aes256gcm16-esn,aes128-sha1-x25519-none-esn-noesn", "aes256gcm16-esn,aes128-sha1-x25519-none-esn-noesn"},
		{esp, "aes256-sha512-modp4096-modpnone", "aes256-sha512-modp4096-none"},
	} {
		ps, err := suite.ParseProposals(c.protocol, c.in)
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
		} else if got := ps.String(); got != c.print {
			t.Errorf("%q prints as %q, want %q", c.in, got, c.print)
		}
	}
}

func TestWrongProposalsAreRefusedWithPlaceAndRemedy(t *testing.T) {
	for _, c := range []struct {
		protocol message.Protocol
		in, word string
		column   int
		says     string
	}{
		{ike, "", "", 1, "aes256-sha256-modp2048"},
		{ike, "aes256-sha256-modp2048,", "", 24, "empty proposal"},
		{ike, "aes256-sha256-modp2048, aes265-sha1-modp2048", "aes265", 25, "aes256"},
		{ike, "aes256--sha256-modp2048", "", 8, "unknown algorithm"},
		{ike, "3des-sha1-modp2048", "3des", 1, "birthday"},
		{ike, "aes256-md5-modp2048", "md5", 8, "obsolete"},
		{ike, "aes256-sha256-modp768", "modp768", 15, "too short"},
		{ike, "aes256ctr-sha256-modp2048", "aes256ctr", 1, "not implemented"},
		{esp, "null-sha256", "null", 1, "does not encrypt"},
		{ike, "aes256-sha256", "aes256-sha256", 1, "no key exchange group; add one of modp1024"},
		{ike, "aes256-modp2048", "aes256-modp2048", 1, "no integrity"},
		{ike, "aes256gcm16-modp2048", "aes256gcm16-modp2048", 1, "prfsha256"},
		{ike, "sha256-modp2048", "sha256-modp2048", 1, "no encryption"},
		{ike, "aes256-aes256gcm16-sha256-modp2048", "aes256-aes256gcm16-sha256-modp2048", 1, "write two"},
		{ike, "aes256-sha256-modp2048-none", "none", 24, "no meaning for IKE"},
		{ike, "aes256-sha256-modp2048-esn", "esn", 24, "no meaning for IKE"},
		{esp, "aes256-prfsha256", "prfsha256", 8, "no meaning for ESP"},
		{message.ProtocolAH, "sha256", "", 1, "not AH"},
		{ike, strings.Repeat("aes256-sha256-modp2048,", 255) + "aes256-sha256-modp2048", "aes256-sha256-modp2048", 255*23 + 1, "more than 255"},
	} {
		_, err := suite.ParseProposals(c.protocol, c.in)
		var refused *suite.ProposalError
		if !errors.As(err, &refused) {
			t.Errorf("%q: got %v, want a *ProposalError", c.in, err)
			continue
		}
		if refused.Word != c.word || refused.Offset+1 != c.column || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v; want word %q, column %d and %q", c.in, err, c.word, c.column, c.says)
		}
	}
}

func TestDescribeNamesWhatIsNotSupported(t *testing.T) {
	offer := []message.Proposal{
		{Protocol: ike, Transforms: []message.Transform{
			{Type: message.TransformENCR, ID: 3},
			{Type: message.TransformENCR, ID: 12, KeyLength: 100},
			{Type: message.TransformENCR, ID: 12},
			{Type: message.TransformENCR, ID: 999},
			{Type: message.TransformPRF, ID: 2},
			{Type: message.TransformINTEG, ID: 2},
			{Type: message.TransformKE, ID: 2},
			{Type: 9, ID: 5},
		}},
		{Protocol: esp, Transforms: []message.Transform{
			{Type: message.TransformENCR, ID: 20, KeyLength: 256},
			{Type: message.TransformINTEG, ID: 0},
			{Type: message.TransformKE, ID: 0},
			{Type: message.TransformESN, ID: 1, Attributes: []message.Attribute{{Type: 7}}},
		}},
		{Protocol: esp},
	}
	const want = "3des-ENCR:12/100-ENCR:12-ENCR:999-sha1-modp1024-transform(9):5,aes256gcm16-none-ESN:1,(empty)"
	if got := suite.Describe(offer); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	long := message.Proposal{Protocol: ike, Transforms: slices.Repeat([]message.Transform{{Type: 99, ID: 1}}, 255)}
	if got := suite.Describe(slices.Repeat([]message.Proposal{long}, 200)); len(got) > 50000 || !strings.HasSuffix(got, ",…168 more") {
		t.Errorf("an offer of 51000 transforms prints as %d octets", len(got))
	}
}

func TestDefaultsAreStrong(t *testing.T) {
	text := suite.DefaultIKE().String() + "," + suite.DefaultESP().String()
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == '-' || r == ',' }) {
		if slices.Contains([]string{"modp1024", "modp1536", "3des", "md5"}, word) {
			t.Errorf("the defaults contain %s", word)
		}
	}
	// Printing and parsing is how an operator gets at them.
	if diff := cmp.Diff(suite.DefaultIKE(), parse(t, ike, suite.DefaultIKE().String())); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(suite.DefaultESP(), parse(t, esp, suite.DefaultESP().String())); diff != "" {
		t.Error(diff)
	}
}

// drawProposals draws a configured list in the notation.
func drawProposals(t *rapid.T, p message.Protocol) suite.Proposals {
	word := func(words string, least int) []string {
		all := strings.Fields(words)
		return rapid.SliceOfNDistinct(rapid.SampledFrom(all), least, len(all), rapid.ID).Draw(t, "words")
	}
	var texts []string
	for range rapid.IntRange(1, 4).Draw(t, "proposals") {
		var words []string
		if rapid.Bool().Draw(t, "aead") {
			words = word("aes128gcm16 aes192gcm16 aes256gcm16 chacha20poly1305", 1)
			if p == ike {
				words = append(words, word("prfsha1 prfsha256 prfsha384 prfsha512", 1)...)
			}
		} else {
			words = append(word("aes128 aes192 aes256", 1), word("sha1 sha256 sha384 sha512", 1)...)
			if p == ike {
				words = append(words, word("prfsha1 prfsha256 prfsha384 prfsha512", 0)...)
			}
		}
		if p == ike {
			words = append(words, word("modp1024 modp2048 modp3072 ecp256 ecp384 x25519", 1)...)
		} else {
			words = append(words, word("modp1024 modp2048 ecp256 x25519 none", 0)...)
			words = append(words, word("esn noesn", 0)...)
		}
		texts = append(texts, strings.Join(words, "-"))
	}
	ps, err := suite.ParseProposals(p, strings.Join(texts, ","))
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

func TestPrintedProposalsParseToTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom([]message.Protocol{ike, esp}).Draw(t, "protocol")
		ps := drawProposals(t, p)
		again, err := suite.ParseProposals(p, ps.String())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(ps, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzParseProposals(f *testing.F) {
	for _, s := range []string{"aes256-sha256-modp2048!", " aes-sha,,", "aes256gcm16-esn-none", "3des", "-", suite.DefaultIKE().String()} {
		f.Add(true, s)
		f.Add(false, s)
	}
	f.Fuzz(func(t *testing.T, isIKE bool, s string) {
		p := esp
		if isIKE {
			p = ike
		}
		ps, err := suite.ParseProposals(p, s)
		if err != nil {
			var refused *suite.ProposalError
			if !errors.As(err, &refused) || refused.Offset < 0 || refused.Offset > len(s) {
				t.Fatalf("error %#v of an input of %d octets", err, len(s))
			}
			return
		}
		again, err := suite.ParseProposals(p, ps.String())
		if err != nil {
			t.Fatalf("%q prints as %q: %v", s, ps.String(), err)
		}
		if diff := cmp.Diff(ps, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
