package eap_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"bridgehead/auth/eap"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func hexed(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func octets(low, high int) *rapid.Generator[[]byte] { return rapid.SliceOfN(rapid.Byte(), low, high) }

var packet = rapid.Custom(func(t *rapid.T) eap.Packet {
	p := eap.Packet{Code: eap.Code(rapid.IntRange(1, 4).Draw(t, "code")), Identifier: rapid.Byte().Draw(t, "identifier")}
	if p.Code == eap.CodeRequest || p.Code == eap.CodeResponse {
		p.Type = eap.Type(rapid.Byte().Draw(t, "type"))
		p.Data = octets(0, 60).Draw(t, "data")
	}
	return p
})

func TestPacketsSurviveTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := packet.Draw(t, "packet")
		prefix := octets(0, 3).Draw(t, "prefix")
		wire := p.Append(bytes.Clone(prefix))[len(prefix):]
		got, err := eap.Parse(wire)
		if err != nil {
			t.Fatalf("Parse(%x): %v", wire, err)
		}
		if d := cmp.Diff(p, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("parsed packet differs (-sent +parsed):\n%s", d)
		}
	})
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		wire string
		want eap.Packet
	}{
		{"01 00 0005 01", eap.Packet{Code: eap.CodeRequest, Type: eap.TypeIdentity}},
		{"02 00 0005 01", eap.Packet{Code: eap.CodeResponse, Type: eap.TypeIdentity}}, // Android's empty identity
		{"02 07 0009 01 75736572", eap.Packet{Code: eap.CodeResponse, Identifier: 7, Type: eap.TypeIdentity, Data: []byte("user")}},
		{"03 01 0004", eap.Packet{Code: eap.CodeSuccess, Identifier: 1}},
		{"04 ff 0004", eap.Packet{Code: eap.CodeFailure, Identifier: 255}},
	} {
		got, err := eap.Parse(hexed(t, c.wire))
		if err != nil {
			t.Errorf("%s: %v", c.wire, err)
		}
		if d := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.wire, d)
		}
		if out := got.Append(nil); !bytes.Equal(out, hexed(t, c.wire)) {
			t.Errorf("%s encoded to %x", c.wire, out)
		}
	}
}

func wantSyntaxError(t *testing.T, err error, offset int) {
	t.Helper()
	var syntax *eap.SyntaxError
	if !errors.As(err, &syntax) {
		t.Fatalf("error %v, want a *SyntaxError", err)
	}
	if syntax.Offset != offset {
		t.Errorf("%v: want octet %d", err, offset)
	}
}

func TestMalformedPackets(t *testing.T) {
	for _, c := range []struct {
		name   string
		wire   string
		offset int
	}{
		{"empty", "", 0},
		{"header cut short", "01 00 00", 3},
		{"length field too small", "01 00 0004 01", 2},
		{"length field too large", "01 00 0006 01", 2},
		{"length field zero", "01 00 0000 01", 2},
		{"Request without a type", "01 00 0004", 4},
		{"Response without a type", "02 00 0004", 4},
		{"Success with data", "03 00 0005 01", 4},
		{"Failure with data", "04 00 0005 01", 4},
		{"code 0", "00 00 0004", 0},
		{"Initiate of RFC 6696", "05 00 0005 01", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := eap.Parse(hexed(t, c.wire))
			wantSyntaxError(t, err, c.offset)
		})
	}
}

func TestErrorsNameTheOctet(t *testing.T) {
	_, err := eap.Parse(hexed(t, "01 00 0006 01"))
	const want = "eap: malformed packet at octet 2: length field 6, packet of 5 octets"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestNaksNameTheWantedMethods(t *testing.T) {
	ietf := func(t eap.Type) eap.Method { return eap.Method{Type: uint32(t)} }
	for _, c := range []struct {
		name string
		nak  eap.Packet
		wire string
		want []eap.Method
	}{
		{"MSCHAPv2", eap.NewNak(16, eap.TypeMSCHAPv2), "02 10 0006 03 1a", []eap.Method{ietf(eap.TypeMSCHAPv2)}},
		{"two", eap.NewNak(1, eap.TypePEAP, eap.TypeTLS), "02 01 0007 03 190d", []eap.Method{ietf(eap.TypePEAP), ietf(eap.TypeTLS)}},
		{"no alternative", eap.NewNak(1), "02 01 0006 03 00", nil},
		{"no alternative, expanded", eap.NewExpandedNak(1), "02 01 0014 fe 000000 00000003 fe 000000 00000000", nil},
		{
			"expanded", eap.NewExpandedNak(2, ietf(eap.TypeTTLS), eap.Method{Vendor: 0x00372a, Type: 1}),
			"02 02 001c fe 000000 00000003 fe 000000 00000015 fe 00372a 00000001",
			[]eap.Method{ietf(eap.TypeTTLS), {Vendor: 14122, Type: 1}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			wire := c.nak.Append(nil)
			if !bytes.Equal(wire, hexed(t, c.wire)) {
				t.Errorf("encoded to %x, want %s", wire, c.wire)
			}
			p, err := eap.Parse(wire)
			if err != nil || !p.IsNak() {
				t.Fatalf("%+v, error %v: no Nak", p, err)
			}
			if got, err := p.Wanted(); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("wants %v, error %v, want %v", got, err, c.want)
			}
		})
	}
}

func TestMalformedNaks(t *testing.T) {
	for _, c := range []struct {
		name   string
		wire   string
		offset int
	}{
		{"a Request", "01 00 0006 03 1a", 4},
		{"a Response of another type", "02 00 0006 01 1a", 4},
		{"expanded, another vendor's type 3", "02 00 0014 fe 000137 00000003 fe 000000 00000000", 4},
		{"expanded header cut short", "02 00 000b fe 000000 000000", 4},
		{"no type", "02 00 0005 03", 5},
		{"expanded without a method", "02 00 000c fe 000000 00000003", 12},
		{"expanded method cut short", "02 00 0013 fe 000000 00000003 fe 000000 000000", 12},
		{"legacy type in an expanded Nak", "02 00 001c fe 000000 00000003 fe 000000 00000015 1a 000000 00000000", 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := eap.Parse(hexed(t, c.wire))
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Wanted()
			wantSyntaxError(t, err, c.offset)
		})
	}
}

func TestMethod(t *testing.T) {
	p := eap.Packet{Code: eap.CodeRequest, Type: eap.TypeExpanded, Data: hexed(t, "000009 0000000d aa")}
	if got := p.Method(); got != (eap.Method{Vendor: 9, Type: 13}) {
		t.Errorf("expanded: %+v", got)
	}
	p = eap.Packet{Code: eap.CodeRequest, Type: eap.TypeTLS}
	if got := p.Method(); got != (eap.Method{Type: 13}) {
		t.Errorf("legacy: %+v", got)
	}
}

func TestNames(t *testing.T) {
	for _, c := range [][2]string{
		{eap.CodeSuccess.String(), "Success"}, {eap.Code(9).String(), "code(9)"},
		{eap.TypeMSCHAPv2.String(), "MSCHAPv2"}, {eap.Type(77).String(), "type(77)"},
		{eap.OpChangePassword.String(), "Change-Password"}, {eap.OpCode(9).String(), "op-code(9)"},
	} {
		if c[0] != c[1] {
			t.Errorf("got %s, want %s", c[0], c[1])
		}
	}
}

func FuzzParse(f *testing.F) {
	for seed := range 20 {
		f.Add(packet.Example(seed).Append(nil))
		f.Add(eap.NewMSCHAPv2(1, content.Example(seed)).Append(nil))
	}
	f.Add(eap.NewNak(1, eap.TypeTLS).Append(nil))
	f.Add(eap.NewExpandedNak(1, eap.Method{Vendor: 9}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := eap.Parse(b)
		if err != nil {
			checkError(t, err, len(b))
			return
		}
		if out := p.Append(nil); !bytes.Equal(out, b) {
			t.Errorf("%x encoded to %x", b, out)
		}
		p.Method()
		if _, err := p.Wanted(); err != nil {
			checkError(t, err, len(b))
		}
		m, err := eap.ParseMSCHAPv2(p)
		if err != nil {
			checkError(t, err, len(b))
			return
		}
		again, err := eap.ParseMSCHAPv2(eap.NewMSCHAPv2(p.Identifier, m))
		if err != nil {
			t.Fatalf("%x: own encoding is refused: %v", b, err)
		}
		if d := cmp.Diff(m, again, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("encoding changed the packet (-first +second):\n%s", d)
		}
	})
}

func checkError(t *testing.T, err error, inputLen int) {
	t.Helper()
	var syntax *eap.SyntaxError
	if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > inputLen || syntax.Reason == "" {
		t.Errorf("input of %d octets: %#v", inputLen, err)
	}
}
