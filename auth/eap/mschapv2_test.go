package eap_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"bridgehead/auth/eap"

	"bridgehead/integration/secrecy"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// content draws the content of any EAP-MSCHAPv2 packet.
var content = rapid.Custom(func(t *rapid.T) eap.MSCHAPv2 {
	msid := rapid.Byte().Draw(t, "msid")
	array := func(n int) []byte { return octets(n, n).Draw(t, "octets") }
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		return &eap.Challenge{MSID: msid, Challenge: [16]byte(array(16)), Name: string(octets(0, 30).Draw(t, "name"))}
	case 1:
		return &eap.Response{
			MSID: msid, PeerChallenge: [16]byte(array(16)), NTResponse: [24]byte(array(24)),
			Flags: rapid.Byte().Draw(t, "flags"), Name: string(octets(0, 30).Draw(t, "name")),
		}
	case 2:
		return &eap.SuccessRequest{MSID: msid, Message: octets(0, 60).Draw(t, "message")}
	case 3:
		return &eap.SuccessResponse{}
	case 4:
		return &eap.FailureRequest{MSID: msid, Message: octets(0, 60).Draw(t, "message")}
	case 5:
		return &eap.FailureResponse{}
	}
	return &eap.ChangePassword{
		MSID: msid, EncryptedPassword: [516]byte(array(516)), EncryptedHash: [16]byte(array(16)),
		PeerChallenge: [16]byte(array(16)), NTResponse: [24]byte(array(24)), Flags: rapid.Uint16().Draw(t, "flags"),
	}
})

func TestMSCHAPv2SurvivesTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := content.Draw(t, "content")
		wire := eap.NewMSCHAPv2(rapid.Byte().Draw(t, "identifier"), m).Append(nil)
		p, err := eap.Parse(wire)
		if err != nil {
			t.Fatal(err)
		}
		got, err := eap.ParseMSCHAPv2(p)
		if err != nil {
			t.Fatalf("%x: %v", wire, err)
		}
		if d := cmp.Diff(m, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("parsed packet differs (-sent +parsed):\n%s", d)
		}
	})
}

// Octets made by hand after draft-kamath-pppext-eap-mschapv2-02 §2, with the
// challenges and the response of RFC 2759 §9.2.
var mschapv2Packets = []struct {
	name string
	wire string
	want eap.MSCHAPv2
}{
	{
		"Challenge", "01 11 001e 1a 01 11 0019 10 5b5d7c7d7b3f2f3e3c2c602132262628 53525631",
		&eap.Challenge{MSID: 17, Challenge: [16]byte([]byte("[]|}{?/><,`!2&&(")), Name: "SRV1"},
	},
	{
		"Response", "02 11 003f 1a 02 42 003a 31 21402324255e262a28295f2b3a337c7e 0000000000000000 82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df 00 55736572",
		&eap.Response{MSID: 66, PeerChallenge: [16]byte([]byte("!@#$%^&*()_+:3|~")), NTResponse: rfc2759Response, Name: "User"},
	},
	{
		"Response with flags and without a name", "02 11 003b 1a 02 42 0036 31 21402324255e262a28295f2b3a337c7e 0000000000000000 82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df 05",
		&eap.Response{MSID: 66, PeerChallenge: [16]byte([]byte("!@#$%^&*()_+:3|~")), NTResponse: rfc2759Response, Flags: 5},
	},
	{"SuccessRequest", "01 12 000d 1a 03 42 0008 533d3031", &eap.SuccessRequest{MSID: 66, Message: []byte("S=01")}},
	{"SuccessResponse", "02 12 0006 1a 03", &eap.SuccessResponse{}},
	{"FailureRequest", "01 12 000e 1a 04 42 0009 453d363931", &eap.FailureRequest{MSID: 66, Message: []byte("E=691")}},
	{"FailureResponse", "02 12 0006 1a 04", &eap.FailureResponse{}},
	{
		"ChangePassword",
		"02 13 024f 1a 07 43 024a" + strings.Repeat("aa", 516) + strings.Repeat("bb", 16) + strings.Repeat("cc", 16) + strings.Repeat("00", 8) + strings.Repeat("dd", 24) + "0000",
		&eap.ChangePassword{
			MSID: 67, EncryptedPassword: [516]byte(bytes.Repeat([]byte{0xaa}, 516)), EncryptedHash: [16]byte(bytes.Repeat([]byte{0xbb}, 16)),
			PeerChallenge: [16]byte(bytes.Repeat([]byte{0xcc}, 16)), NTResponse: [24]byte(bytes.Repeat([]byte{0xdd}, 24)),
		},
	},
}

var rfc2759Response = eap.NTResponse{
	0x82, 0x30, 0x9e, 0xcd, 0x8d, 0x70, 0x8b, 0x5e, 0xa0, 0x8f, 0xaa, 0x39,
	0x81, 0xcd, 0x83, 0x54, 0x42, 0x33, 0x11, 0x4a, 0x3d, 0x85, 0xd6, 0xdf,
}

func TestMSCHAPv2Packets(t *testing.T) {
	for _, c := range mschapv2Packets {
		t.Run(c.name, func(t *testing.T) {
			wire := hexed(t, c.wire)
			p, err := eap.Parse(wire)
			if err != nil {
				t.Fatal(err)
			}
			got, err := eap.ParseMSCHAPv2(p)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("parsed (-want +got):\n%s", d)
			}
			if out := eap.NewMSCHAPv2(p.Identifier, got).Append(nil); !bytes.Equal(out, wire) {
				t.Errorf("encoded to\n%x, want\n%x", out, wire)
			}
		})
	}
}

func TestResponsesCountByTheirOpCodeAlone(t *testing.T) {
	for data, want := range map[string]eap.MSCHAPv2{"03420004": &eap.SuccessResponse{}, "04000000": &eap.FailureResponse{}} {
		got, err := eap.ParseMSCHAPv2(eap.Packet{Code: eap.CodeResponse, Type: eap.TypeMSCHAPv2, Data: hexed(t, data)})
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: %T, error %v, want %T", data, got, err, want)
		}
	}
}

func TestMalformedMSCHAPv2(t *testing.T) {
	for _, c := range []struct {
		name   string
		code   eap.Code
		typ    eap.Type
		data   string
		offset int
	}{
		{"another type", eap.CodeRequest, eap.TypeMD5, "01 00 0004", 4},
		{"no op-code", eap.CodeRequest, eap.TypeMSCHAPv2, "", 5},
		{"header cut short", eap.CodeRequest, eap.TypeMSCHAPv2, "01 00 00", 5},
		{"SuccessRequest as a bare op-code", eap.CodeRequest, eap.TypeMSCHAPv2, "03", 5},
		{"MS-Length too small", eap.CodeRequest, eap.TypeMSCHAPv2, "03 00 0004 53", 7},
		{"MS-Length too large", eap.CodeRequest, eap.TypeMSCHAPv2, "03 00 0006 53", 7},
		{"Challenge in a Response", eap.CodeResponse, eap.TypeMSCHAPv2, "01 00 0015 10" + strings.Repeat("00", 16), 5},
		{"Response in a Request", eap.CodeRequest, eap.TypeMSCHAPv2, "02 00 0036 31" + strings.Repeat("00", 49), 5},
		{"Change-Password in a Request", eap.CodeRequest, eap.TypeMSCHAPv2, "07 00 024a" + strings.Repeat("00", 582), 5},
		{"op-code 5", eap.CodeRequest, eap.TypeMSCHAPv2, "05 00 0004", 5},
		{"in a Success", eap.CodeSuccess, eap.TypeMSCHAPv2, "03 00 0004", 5},
		{"Challenge without Value-Size", eap.CodeRequest, eap.TypeMSCHAPv2, "01 00 0004", 9},
		{"Challenge of 15 octets", eap.CodeRequest, eap.TypeMSCHAPv2, "01 00 0014 0f" + strings.Repeat("00", 15), 9},
		{"Value-Size 8", eap.CodeRequest, eap.TypeMSCHAPv2, "01 00 0015 08" + strings.Repeat("00", 16), 9},
		{"Response of 48 octets", eap.CodeResponse, eap.TypeMSCHAPv2, "02 00 0035 31" + strings.Repeat("00", 48), 9},
		{"Response with Value-Size 50", eap.CodeResponse, eap.TypeMSCHAPv2, "02 00 0037 32" + strings.Repeat("00", 50), 9},
		{"Change-Password cut short", eap.CodeResponse, eap.TypeMSCHAPv2, "07 00 0249" + strings.Repeat("00", 581), 9},
		{"Change-Password too long", eap.CodeResponse, eap.TypeMSCHAPv2, "07 00 024b" + strings.Repeat("00", 583), 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := eap.ParseMSCHAPv2(eap.Packet{Code: c.code, Type: c.typ, Data: hexed(t, c.data)})
			wantSyntaxError(t, err, c.offset)
		})
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	secret := bytes.Repeat([]byte("sesame, "), 65)
	r := &eap.Response{NTResponse: [24]byte(secret), Name: "alice"}
	p := &eap.ChangePassword{EncryptedPassword: [516]byte(secret)}
	h := &eap.ChangePassword{EncryptedHash: [16]byte(secret), NTResponse: [24]byte(secret)}
	secrecy.Check(t, secret, r, *r, r.NTResponse, &r.NTResponse, p, *p, p.EncryptedPassword, h, *h, h.EncryptedHash, &h.EncryptedHash)
	if text := fmt.Sprint(r, p.EncryptedPassword); text != `[response of "alice"] [516 octets]` {
		t.Errorf("nothing useful printed: %s", text)
	}
}

func BenchmarkParseResponse(b *testing.B) {
	wire := hexed(b, mschapv2Packets[1].wire)
	b.ReportAllocs()
	for b.Loop() {
		p, err := eap.Parse(wire)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := eap.ParseMSCHAPv2(p); err != nil {
			b.Fatal(err)
		}
	}
}
