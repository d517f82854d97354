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

// wireWords are the transforms of offers by number, as IANA has them: written
// here again, so that a wrong number in the package shows.
var wireWords = map[string]message.Transform{
	"aes128": {Type: 1, ID: 12, KeyLength: 128}, "aes192": {Type: 1, ID: 12, KeyLength: 192}, "aes256": {Type: 1, ID: 12, KeyLength: 256},
	"aes128gcm16": {Type: 1, ID: 20, KeyLength: 128}, "aes192gcm16": {Type: 1, ID: 20, KeyLength: 192}, "aes256gcm16": {Type: 1, ID: 20, KeyLength: 256},
	"aes128gcm12": {Type: 1, ID: 19, KeyLength: 128}, "aes256gcm12": {Type: 1, ID: 19, KeyLength: 256},
	"aes128gcm8": {Type: 1, ID: 18, KeyLength: 128}, "aes256gcm8": {Type: 1, ID: 18, KeyLength: 256},
	"aes128ctr": {Type: 1, ID: 13, KeyLength: 128}, "aes192ctr": {Type: 1, ID: 13, KeyLength: 192}, "aes256ctr": {Type: 1, ID: 13, KeyLength: 256},
	"camellia128": {Type: 1, ID: 23, KeyLength: 128}, "camellia256": {Type: 1, ID: 23, KeyLength: 256}, "aes128ccm16": {Type: 1, ID: 16, KeyLength: 128},
	"chacha20poly1305": {Type: 1, ID: 28}, "3des": {Type: 1, ID: 3}, "des": {Type: 1, ID: 2}, "null": {Type: 1, ID: 11},
	"aes-no-length": {Type: 1, ID: 12},

	"prfsha1": {Type: 2, ID: 2}, "prfsha256": {Type: 2, ID: 5}, "prfsha384": {Type: 2, ID: 6}, "prfsha512": {Type: 2, ID: 7},
	"prfaesxcbc": {Type: 2, ID: 4}, "prfaescmac": {Type: 2, ID: 8},

	"sha1": {Type: 3, ID: 2}, "sha256": {Type: 3, ID: 12}, "sha384": {Type: 3, ID: 13}, "sha512": {Type: 3, ID: 14},
	"aesxcbc": {Type: 3, ID: 5}, "aescmac": {Type: 3, ID: 8}, "nointeg": {Type: 3, ID: 0},

	"modp1024": {Type: 4, ID: 2}, "modp1536": {Type: 4, ID: 5}, "modp2048": {Type: 4, ID: 14}, "modp3072": {Type: 4, ID: 15},
	"modp4096": {Type: 4, ID: 16}, "modp6144": {Type: 4, ID: 17}, "modp8192": {Type: 4, ID: 18},
	"ecp256": {Type: 4, ID: 19}, "ecp384": {Type: 4, ID: 20}, "ecp521": {Type: 4, ID: 21}, "x25519": {Type: 4, ID: 31},
	"ecp256bp": {Type: 4, ID: 28}, "x448": {Type: 4, ID: 32}, "none": {Type: 4, ID: 0},

	"noesn": {Type: 5, ID: 0}, "esn": {Type: 5, ID: 1},
	"mlkem768-as-additional": {Type: 6, ID: 36},
}

// offer writes a list of proposals as a client sends it, numbered from first.
// Words are separated by spaces; in IKE the PRF follows the integrity words
// where none is named.
func offer(t testing.TB, p message.Protocol, first uint8, list string) []message.Proposal {
	t.Helper()
	var ps []message.Proposal
	for text := range strings.SplitSeq(list, ",") {
		proposal := message.Proposal{Number: first + uint8(len(ps)), Protocol: p}
		if p == esp {
			proposal.SPI = []byte{1, 2, 3, 4}
		}
		named := strings.Contains(text, "prf")
		for word := range strings.FieldsSeq(text) {
			transform, ok := wireWords[word]
			if !ok {
				t.Fatalf("no transform is called %q", word)
			}
			proposal.Transforms = append(proposal.Transforms, transform)
			if p == ike && !named && transform.Type == message.TransformINTEG {
				proposal.Transforms = append(proposal.Transforms, wireWords["prf"+word])
			}
		}
		ps = append(ps, proposal)
	}
	return ps
}

// each repeats a proposal with every word in the place of "*".
func each(pattern, words string) string {
	var texts []string
	for word := range strings.FieldsSeq(words) {
		texts = append(texts, strings.ReplaceAll(pattern, "*", word))
	}
	return strings.Join(texts, ",")
}

var (
	windows10 = each("3des * modp1024", "sha1 sha256 sha384") + "," + each("aes128 * modp1024", "sha1 sha256 sha384") + "," +
		each("aes192 * modp1024", "sha1 sha256 sha384") + "," + each("aes256 * modp1024", "sha1 sha256 sha384")
	windows10Short = each("3des * modp1024", "sha1 sha256 sha384") + "," + each("aes256 * modp1024", "sha1 sha256 sha384")
	windowsGCM     = each("aes128gcm16 * modp1024", "prfsha1 prfsha256 prfsha384") + "," + each("aes256gcm16 * modp1024", "prfsha1 prfsha256 prfsha384")
	windows2048    = each("aes256 * modp2048", "sha1 sha256 sha384")
	androidPRFs    = " prfsha512 prfsha384 prfsha256 prfaesxcbc prfaescmac prfsha1 "
	androidMACs    = " sha512 sha384 sha256 aesxcbc aescmac "
	androidAEAD    = " aes256gcm16 aes256gcm12 aes256gcm8 aes192gcm16 aes128gcm16 aes128gcm12 aes128gcm8 "
	strongswanIKE  = "aes128 aes192 aes256 aes128ctr aes256ctr camellia128 camellia256 3des sha256 sha384 sha512 aesxcbc aescmac sha1 " +
		"prfsha256 prfsha384 prfsha512 prfaesxcbc prfaescmac prfsha1 ecp256 ecp384 ecp521 ecp256bp x25519 x448 modp3072 modp4096 modp6144 modp8192 modp2048"
	strongswanIKEAEAD = "aes128gcm16 aes192gcm16 aes256gcm16 aes128ccm16 chacha20poly1305 prfsha256 prfsha384 prfsha512 prfaesxcbc prfaescmac prfsha1 " +
		"ecp256 ecp384 ecp521 ecp256bp x25519 x448 modp3072 modp4096 modp6144 modp8192 modp2048"
	strongswanApp = "aes256gcm16 aes128gcm16 chacha20poly1305%s,aes256 aes192 aes128 sha384 sha256 sha512 sha1%s"
)

// Every client's own list against the defaults. The group is what its first
// message carries.
func TestDefaultsWithEveryClient(t *testing.T) {
	for _, c := range []struct {
		client   string
		protocol message.Protocol
		offered  string
		sent     suite.Group
		want     string // the choice, or what the refusal says after "!"
	}{
		{"Windows 7 to 10", ike, windows10, suite.MODP1024, "!only modp1024 offered for key exchange"},
		{"Windows 10, short list", ike, windows10Short, suite.MODP1024, "!only modp1024 offered for key exchange"},
		{"Windows 11 with GCM", ike, windows10 + "," + windowsGCM, suite.MODP1024, "!only modp1024 offered for key exchange"},
		{"Windows, NegotiateDH2048_AES256=1", ike, windows2048 + "," + windows10, suite.MODP2048, "aes256-sha384-modp2048"},
		{"Windows, NegotiateDH2048_AES256=2", ike, windows2048, suite.MODP2048, "aes256-sha384-modp2048"},
		{"Windows, set by cmdlet", ike, "aes128 sha384 ecp256", suite.ECP256, "aes128-sha384-ecp256"},
		{"Windows, set by cmdlet, GCM", ike, "aes256gcm16 prfsha256 ecp384", suite.ECP384, "aes256gcm16-prfsha256-ecp384"},
		{"iOS 16", ike, "aes256 sha256 modp2048,aes256 sha256 ecp256,aes256 sha256 modp1536,aes128 sha1 modp1024,3des sha1 modp1024", suite.MODP2048, "aes256-sha256-modp2048"},
		{"macOS 13, Apple profile", ike, "aes256 sha256 modp2048", suite.MODP2048, "aes256-sha256-modp2048"},
		{"iOS 17, sending ecp256", ike, "aes256gcm16 prfsha256 ecp256,aes256gcm16 prfsha256 modp2048,aes256 sha256 ecp256,aes256 sha256 modp2048", suite.ECP256, "aes256gcm16-prfsha256-ecp256"},
		{"iOS 17, sending modp2048", ike, "aes256gcm16 prfsha256 ecp256,aes256gcm16 prfsha256 modp2048,aes256 sha256 ecp256,aes256 sha256 modp2048", suite.MODP2048, "aes256gcm16-prfsha256-modp2048"},
		{
			"Android 12", ike, "aes256ctr aes256 aes192ctr aes192 aes128ctr aes128" + androidMACs + androidPRFs + "modp4096 x25519 modp3072 modp2048," +
				"chacha20poly1305" + androidAEAD + androidPRFs + "modp4096 x25519 modp3072 modp2048", suite.MODP4096, "aes256gcm16-prfsha512-x25519",
		},
		{
			"Android 11", ike, "aes256 aes192 aes128 sha512 sha384 sha256 aesxcbc prfsha512 prfsha384 prfsha256 prfaesxcbc prfsha1 modp4096 modp3072 modp2048," +
				androidAEAD + "prfsha512 prfsha384 prfsha256 prfaesxcbc prfsha1 modp4096 modp3072 modp2048", suite.MODP4096, "aes256gcm16-prfsha512-modp2048",
		},
		{"strongSwan", ike, strongswanIKE + "," + strongswanIKEAEAD, suite.ECP256, "aes256gcm16-prfsha512-ecp256"},
		{"something with 3DES only", ike, "3des sha1 modp2048", suite.MODP2048, "!only 3des offered for encryption"},
		{"Windows XP", ike, "3des sha1 modp1024", suite.MODP1024, "!only modp1024 offered for key exchange"},

		{"Windows", esp, "aes256 sha1 noesn,aes128 sha1 noesn,3des sha1 noesn,des sha1 noesn,null sha1 noesn", 0, "aes256-sha1"},
		{"Windows, set by cmdlet, GCM", esp, "aes256gcm16 noesn", 0, "aes256gcm16"},
		{"Windows, set by cmdlet, PFS in a rekey", esp, "aes256gcm16 ecp256 noesn", suite.ECP256, "aes256gcm16-ecp256"},
		{"iOS 16", esp, "aes256 sha256 noesn,aes256 sha256 noesn,aes256 sha256 noesn,aes128 sha1 noesn,3des sha1 noesn", 0, "aes256-sha256"},
		{"iOS 16, rekey", esp, "aes256 sha256 modp2048 noesn,aes256 sha256 noesn", suite.MODP2048, "aes256-sha256-modp2048"},
		{"iOS 17", esp, "aes256gcm16 noesn,aes256gcm16 noesn,aes256 sha256 noesn,aes256 sha256 noesn", 0, "aes256gcm16"},
		{"macOS 13", esp, "aes256 sha256 noesn", 0, "aes256-sha256"},
		{
			"Android", esp, "aes256ctr aes256 aes192ctr aes192 aes128ctr aes128" + androidMACs + "noesn,chacha20poly1305" + androidAEAD + "noesn", 0,
			"aes256gcm16",
		},
		{"strongSwan app", esp, strings.ReplaceAll(strongswanApp, "%s", " noesn"), 0, "aes256gcm16"},
		{
			"strongSwan app, rekey", esp, strings.ReplaceAll(strongswanApp, "%s", " x25519 ecp384 ecp521 modp3072 modp4096 ecp256 modp8192 modp2048 noesn") + "," +
				strings.ReplaceAll(strongswanApp, "%s", " noesn"), suite.X25519, "aes256gcm16-x25519",
		},
		{"strongSwan with both sequence numbers", esp, "aes128gcm16 noesn esn", 0, "aes128gcm16-esn"},
		{"a client that leaves out ESN", esp, "aes256 sha256", 0, "aes256-sha256"},
	} {
		t.Run(c.client+" "+c.protocol.String(), func(t *testing.T) {
			configured := suite.DefaultIKE()
			if c.protocol == esp {
				configured = suite.DefaultESP()
			}
			checkChoice(t, configured, offer(t, c.protocol, 1, c.offered), suite.GatewayOrder, c.sent, c.want)
		})
	}
}

// checkChoice selects and compares with the choice in strongSwan's notation,
// or with what the refusal says where want begins with "!".
func checkChoice(t *testing.T, configured suite.Proposals, offered []message.Proposal, o suite.Order, sent suite.Group, want string) {
	t.Helper()
	choice, err := suite.SelectFor(configured, offered, o, sent)
	if says, refusal := strings.CutPrefix(want, "!"); refusal {
		var refused *suite.NoProposalError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), says) {
			t.Fatalf("got %v, %v; want a refusal that says %q", choice, err, says)
		}
		return
	}
	if err != nil || choice.String() != want {
		t.Fatalf("got %s, %v; want %s", choice, err, want)
	}
	if choice.Protocol == ike {
		_, err = choice.IKE()
	} else {
		_, err = choice.ESP()
	}
	if err != nil {
		t.Error(err)
	}
	answered, err := suite.Answered(offered, []message.Proposal{choice.Answer(choice.SPI)})
	if err != nil {
		t.Errorf("the answer is not one of the offer: %v", err)
	}
	if diff := cmp.Diff(choice, answered); diff != "" {
		t.Error(diff)
	}
}

const seedIKE = "aes256-aes192-aes128-sha384-sha256-sha1-modp3072-modp2048-modp1536-modp1024!"

func TestSelectionRules(t *testing.T) {
	for _, c := range []struct {
		rule       string
		protocol   message.Protocol
		configured string
		offered    string
		order      suite.Order
		sent       suite.Group
		want       string
	}{
		{"the strongest common, 3DES first in the offer", ike, seedIKE, windows10, suite.GatewayOrder, suite.MODP1024, "aes256-sha384-modp1024"},
		{"the client's order on demand", ike, seedIKE, windows10, suite.ClientOrder, suite.MODP1024, "aes128-sha1-modp1024"},
		{
			"a weak group only if there is no other", ike, seedIKE, "aes256 sha384 modp1024,aes256 sha1 modp2048,aes128 sha384 modp2048",
			suite.GatewayOrder, suite.MODP1024, "aes256-sha1-modp2048",
		},
		{
			"a weak group loses even against the first configured proposal", ike, "aes256-sha256-modp1024,aes128-sha1-modp2048", "aes256 sha256 modp1024,aes128 sha1 modp2048",
			suite.GatewayOrder, 0, "aes128-sha1-modp2048",
		},
		{"the group the client has sent", ike, "aes256-sha256-x25519-ecp256-modp2048", "aes256 sha256 x25519 modp2048", suite.GatewayOrder, suite.MODP2048, "aes256-sha256-modp2048"},
		{"the gateway's group where none was sent", ike, "aes256-sha256-x25519-ecp256-modp2048", "aes256 sha256 modp2048 x25519", suite.GatewayOrder, 0, "aes256-sha256-x25519"},
		{"not a weak group that was sent", ike, "aes256-sha256-modp2048-modp1024", "aes256 sha256 modp1024 modp2048", suite.GatewayOrder, suite.MODP1024, "aes256-sha256-modp2048"},
		{"not a dear group that was sent", ike, "aes256-sha256-modp2048-modp4096", "aes256 sha256 modp4096 modp2048", suite.GatewayOrder, suite.MODP4096, "aes256-sha256-modp2048"},
		{"a dear group where it is the only one", ike, "aes256-sha256-modp2048-modp4096", "aes256 sha256 modp4096", suite.GatewayOrder, suite.MODP4096, "aes256-sha256-modp4096"},
		{"encryption goes before a group that was sent", ike, "aes256-aes128-sha256-ecp256-modp2048", "aes128 sha256 ecp256,aes256 sha256 modp2048", suite.GatewayOrder, suite.ECP256, "aes256-sha256-modp2048"},
		{"configured proposals in their order", ike, "aes128-sha256-ecp256,aes256-sha256-ecp256", "aes256 sha256 ecp256,aes128 sha256 ecp256", suite.GatewayOrder, 0, "aes128-sha256-ecp256"},
		{"offered proposals in their order", ike, "aes128-sha256-ecp256,aes256-sha256-ecp256", "aes256 sha256 ecp256,aes128 sha256 ecp256", suite.ClientOrder, 0, "aes256-sha256-ecp256"},
		{"transforms in the client's order", ike, "aes256-aes128-sha512-sha256-x25519-ecp256", "aes128 aes256 sha256 sha512 ecp256 x25519", suite.ClientOrder, 0, "aes128-sha256-ecp256"},

		{"AEAD out of a mixture", ike, "aes256gcm16-prfsha256-ecp256", "aes256 aes256gcm16 sha256 prfsha256 ecp256", suite.GatewayOrder, 0, "aes256gcm16-prfsha256-ecp256"},
		{"CBC out of a mixture", ike, "aes256-sha256-ecp256", "aes256gcm16 aes256 sha256 prfsha256 ecp256", suite.GatewayOrder, 0, "aes256-sha256-ecp256"},
		{"the client's order within a mixture", ike, "aes256gcm16-prfsha256-ecp256,aes256-sha256-ecp256", "aes256 aes256gcm16 sha256 prfsha256 ecp256", suite.ClientOrder, 0, "aes256-sha256-ecp256"},
		{"no integrity beside an AEAD, spelled out", ike, "aes256gcm16-prfsha256-ecp256", "aes256gcm16 nointeg prfsha256 ecp256", suite.GatewayOrder, 0, "aes256gcm16-prfsha256-ecp256"},
		{"CBC needs integrity", esp, "aes256-sha256", "aes256 nointeg noesn", suite.GatewayOrder, 0, "!integrity"},
		{"CBC needs integrity in the offer", esp, "aes256-sha256", "aes256 noesn", suite.GatewayOrder, 0, "!no integrity offered, accepted sha256"},

		{"a missing key length", ike, "aes256-aes128-sha256-ecp256", "aes-no-length sha256 ecp256", suite.GatewayOrder, 0, "!only ENCR:12 offered for encryption"},
		{"an unknown transform beside a known one", ike, "aes256-sha256-ecp256", "camellia256 aes256 aesxcbc sha256 prfaesxcbc prfsha256 x448 ecp256", suite.GatewayOrder, 0, "aes256-sha256-ecp256"},
		{"an unknown transform type", ike, "aes256-sha256-ecp256", "aes256 sha256 ecp256 mlkem768-as-additional,aes256 sha256 ecp256", suite.GatewayOrder, 0, "aes256-sha256-ecp256"},
		{"nothing but an unknown transform type", ike, "aes256-sha256-ecp256", "aes256 sha256 ecp256 mlkem768-as-additional", suite.GatewayOrder, 0, "!nothing usable in the offer"},
		{"a combination that is not offered", ike, "aes256-sha256-ecp256", "aes256 sha1 ecp256,aes128 sha256 ecp256", suite.GatewayOrder, 0, "!in this combination"},

		{"no ESN offered and ESN needed", esp, "aes256gcm16-esn", "aes256gcm16", suite.GatewayOrder, 0, "!sequence numbers"},
		{"ESN offered only, none configured", esp, "aes256gcm16", "aes256gcm16 esn", suite.GatewayOrder, 0, "!only esn offered for sequence numbers"},
		{"no group beside groups", esp, "aes256gcm16-x25519-none", "aes256gcm16 x25519 none noesn", suite.GatewayOrder, 0, "aes256gcm16-none"},
		{"the group sent, not none", esp, "aes256gcm16-none-x25519", "aes256gcm16 none x25519 noesn", suite.GatewayOrder, suite.X25519, "aes256gcm16-x25519"},
		{"key exchange demanded", esp, "aes256gcm16-x25519", "aes256gcm16 noesn", suite.GatewayOrder, 0, "!no key exchange offered, accepted x25519"},
		{"key exchange demanded, none offered", esp, "aes256gcm16-x25519", "aes256gcm16 none noesn", suite.GatewayOrder, 0, "!only none offered for key exchange"},
		{"a weak group in a rekey", esp, "aes256gcm16", "aes256gcm16 modp1024 noesn", suite.GatewayOrder, suite.MODP1024, "!only modp1024 offered for key exchange"},
		{"the proposal without key exchange, none sent", esp, "aes256gcm16", "aes256gcm16 x25519 noesn,aes256gcm16 noesn", suite.GatewayOrder, 0, "aes256gcm16"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			checkChoice(t, parse(t, c.protocol, c.configured), offer(t, c.protocol, 1, c.offered), c.order, c.sent, c.want)
		})
	}
}

func TestAnswerEchoesNumberAndTransforms(t *testing.T) {
	offered := offer(t, esp, 3, "aes256 sha256 none noesn,aes256 sha256 none noesn") // macOS rekeys under an old number
	choice, err := suite.Select(parse(t, esp, "aes256-sha256"), offered, suite.GatewayOrder)
	if err != nil {
		t.Fatal(err)
	}
	want := message.Proposal{Number: 3, Protocol: esp, SPI: []byte{9, 9, 9, 9}, Transforms: offered[0].Transforms}
	if diff := cmp.Diff(want, choice.Answer([]byte{9, 9, 9, 9})); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(choice.SPI, offered[0].SPI) {
		t.Errorf("SPI %x, want the offer's", choice.SPI)
	}
}

func TestProposalsThatAreNotConsidered(t *testing.T) {
	configured := parse(t, esp, "aes256-sha256")
	for what, change := range map[string]func(*message.Proposal){
		"another protocol": func(p *message.Proposal) { p.Protocol = message.ProtocolAH },
		"no SPI":           func(p *message.Proposal) { p.SPI = nil },
		"an SPI of 8":      func(p *message.Proposal) { p.SPI = make([]byte, 8) },
		"unknown attribute": func(p *message.Proposal) {
			p.Transforms[0].Attributes = []message.Attribute{{Type: 9, Value: []byte{1}}}
		},
		"no transforms": func(p *message.Proposal) { p.Transforms = nil },
		"a PRF for ESP": func(p *message.Proposal) { p.Transforms = append(p.Transforms, wireWords["prfsha1"]) },
	} {
		offered := offer(t, esp, 1, "aes256 sha256 noesn")
		change(&offered[0])
		var refused *suite.NoProposalError
		if choice, err := suite.Select(configured, offered, suite.GatewayOrder); !errors.As(err, &refused) || err.Error() == "" {
			t.Errorf("%s: got %v, %v, want a refusal", what, choice, err)
		}
	}
	if _, err := suite.Select(configured, nil, suite.GatewayOrder); err == nil || err.Error() == "" {
		t.Error("an empty offer was accepted")
	}
	if _, err := suite.Select(nil, offer(t, esp, 1, "aes256 sha256"), suite.GatewayOrder); err == nil || err.Error() == "" {
		t.Error("nothing configured accepts an offer")
	}
}

func TestRefusalTellsBothSidesAndTheRemedy(t *testing.T) {
	_, err := suite.SelectFor(suite.DefaultIKE(), offer(t, ike, 1, windows10), suite.GatewayOrder, suite.MODP1024)
	var refused *suite.NoProposalError
	if !errors.As(err, &refused) {
		t.Fatal(err)
	}
	want := []suite.Missing{{
		Type: message.TransformKE, Offered: []string{"modp1024"}, Anywhere: true, Settable: true,
		Accepted: []string{"x25519", "ecp256", "modp2048", "ecp384", "ecp521", "modp3072"},
	}}
	if diff := cmp.Diff(want, refused.Missing); diff != "" {
		t.Error(diff)
	}
	if got := suite.Describe(refused.Offered); !strings.HasPrefix(got, "3des-sha1-modp1024,3des-sha256-modp1024") {
		t.Errorf("the offer reads %s", got)
	}
	if !strings.Contains(err.Error(), "add modp1024 to the gateway's proposals") {
		t.Errorf("no remedy in %q", err)
	}
	_, err = suite.Select(suite.DefaultIKE(), offer(t, ike, 1, "3des sha1 modp2048"), suite.GatewayOrder)
	if err == nil || strings.Contains(err.Error(), "gateway's proposals") {
		t.Errorf("3des cannot be configured, but the advice is %v", err)
	}
}

func TestFirstChildHasNoKeyExchange(t *testing.T) {
	for offered, answered := range map[string]string{
		"aes256 sha256 modp2048 noesn":      "aes256 sha256 noesn",
		"aes256 sha256 modp2048 none noesn": "aes256 sha256 none noesn",
		"aes256 sha256 noesn":               "aes256 sha256 noesn",
		"aes256 sha256":                     "aes256 sha256",
	} {
		choice, err := suite.SelectFirstChild(parse(t, esp, "aes256-sha256-modp3072"), offer(t, esp, 1, offered), suite.GatewayOrder)
		if err != nil {
			t.Fatalf("%s: %v", offered, err)
		}
		if diff := cmp.Diff(offer(t, esp, 1, answered)[0], choice.Answer([]byte{1, 2, 3, 4})); diff != "" {
			t.Errorf("%s: %s", offered, diff)
		}
	}
}

func TestAnswersOutsideTheOfferAreRefused(t *testing.T) {
	offered := offer(t, ike, 1, "aes256 sha256 ecp256 x25519,aes256gcm16 prfsha256 ecp256")
	good := offer(t, ike, 1, "aes256 sha256 ecp256")
	if _, err := suite.Answered(offered, good); err != nil {
		t.Fatal(err)
	}
	for what, answer := range map[string][]message.Proposal{
		"none":                nil,
		"two":                 append(slices.Clone(good), good...),
		"another number":      offer(t, ike, 3, "aes256 sha256 ecp256"),
		"another protocol":    {{Number: 1, Protocol: esp, Transforms: good[0].Transforms}},
		"an SPI":              {{Number: 1, Protocol: ike, SPI: make([]byte, 8), Transforms: good[0].Transforms}},
		"another key length":  offer(t, ike, 1, "aes128 sha256 ecp256"),
		"two groups":          offer(t, ike, 1, "aes256 sha256 ecp256 x25519"),
		"no group":            offer(t, ike, 1, "aes256 sha256"),
		"no integrity":        offer(t, ike, 1, "aes256 prfsha256 ecp256"),
		"another's transform": offer(t, ike, 2, "aes256 prfsha256 ecp256"),
	} {
		var refused *suite.AnswerError
		if choice, err := suite.Answered(offered, answer); !errors.As(err, &refused) {
			t.Errorf("%s: got %v, %v, want an *AnswerError", what, choice, err)
		}
	}
}

// Whatever is chosen was offered and configured, and the initiator agrees.
func TestChoicesAreCommonToBothSides(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom([]message.Protocol{ike, esp}).Draw(t, "protocol")
		configured, offering := drawProposals(t, p), drawProposals(t, p)
		var spi []byte
		if p == esp {
			spi = []byte{0, 0, 1, 0}
		}
		offered := offering.Offer(spi)
		order := rapid.SampledFrom([]suite.Order{suite.GatewayOrder, suite.ClientOrder}).Draw(t, "order")
		sent := rapid.SampledFrom([]suite.Group{0, suite.MODP1024, suite.ECP256, suite.X25519, suite.MODP3072}).Draw(t, "sent")
		choice, err := suite.SelectFor(configured, offered, order, sent)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("a refusal without words")
			}
			return
		}
		answered, err := suite.Answered(offered, []message.Proposal{choice.Answer(spi)})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(choice, answered); diff != "" {
			t.Fatal(diff)
		}
		// The other way round the choice alone is what is offered.
		again, err := suite.SelectFor(configured, []message.Proposal{choice.Answer(spi)}, order, sent)
		if err != nil || again.String() != choice.String() {
			t.Fatalf("%s alone gives %s, %v", choice, again, err)
		}
	})
}

func FuzzSelect(f *testing.F) {
	for _, list := range []string{windows10, strongswanIKE, "aes256 aes256gcm16 sha256 nointeg prfsha256 ecp256 none"} {
		f.Add((&message.SA{Proposals: offer(f, ike, 1, list)}).AppendBody(nil), uint8(0), uint16(19))
		f.Add((&message.SA{Proposals: offer(f, esp, 9, "aes256 sha256 esn noesn none")}).AppendBody(nil), uint8(1), uint16(0))
	}
	f.Fuzz(func(t *testing.T, body []byte, order uint8, sent uint16) {
		if len(body) > 65000 {
			return
		}
		chain := message.AppendPayloads(nil, []message.Payload{&message.Unknown{Kind: message.TypeSA, Body: body}})
		payloads, err := message.ParsePayloads(message.TypeSA, chain)
		if err != nil {
			return
		}
		offered := payloads[0].(*message.SA).Proposals
		for _, configured := range []suite.Proposals{suite.DefaultIKE(), suite.DefaultESP()} {
			choice, err := suite.SelectFor(configured, offered, suite.Order(order%2), suite.Group(sent))
			if err != nil {
				_ = err.Error()
				continue
			}
			if choice.Protocol == ike {
				_, err = choice.IKE()
			} else {
				_, err = choice.ESP()
			}
			if err != nil {
				t.Fatalf("chose %s of %s: %v", choice, suite.Describe(offered), err)
			}
		}
		if _, err := suite.SelectFirstChild(suite.DefaultESP(), offered, suite.Order(order%2)); err != nil {
			_ = err.Error()
		}
	})
}
