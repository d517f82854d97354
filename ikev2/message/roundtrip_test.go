package message_test

import (
	"bytes"
	"testing"

	"bridgehead/ikev2/message"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestEncodedMessageParsesToTheSameMessageAndOctets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := whole.Draw(t, "message")
		prefix := octets(0, 3).Draw(t, "prefix")
		wire := m.Append(bytes.Clone(prefix))
		if !bytes.HasPrefix(wire, prefix) {
			t.Fatal("Append changed what was there before")
		}
		wire = wire[len(prefix):]
		got, err := message.Parse(wire)
		if err != nil {
			t.Fatalf("Parse(%x): %v", wire, err)
		}
		want := *m
		want.Header.NextPayload = message.FirstType(m.Payloads)
		want.Header.Length = uint32(len(wire))
		if d := cmp.Diff(&want, got, same); d != "" {
			t.Fatalf("parsed message differs (-sent +parsed):\n%s", d)
		}
		if again := got.Append(nil); !bytes.Equal(again, wire) {
			t.Fatalf("encoded again\n%x, was\n%x", again, wire)
		}
	})
}

func TestEveryPayloadSurvivesTheInsideOfSK(t *testing.T) {
	for name, generate := range payloads {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			ps := []message.Payload{generate(t), generate(t)}
			wire := message.AppendPayloads(nil, ps)
			got, err := message.ParsePayloads(message.FirstType(ps), wire)
			if err != nil {
				t.Fatalf("ParsePayloads(%x): %v", wire, err)
			}
			if d := cmp.Diff(ps, got, same); d != "" {
				t.Fatalf("parsed payloads differ (-sent +parsed):\n%s", d)
			}
		}))
	}
}

// Any octet string that parses must parse to the same thing once encoded,
// and must not change any more.
func checkStable(t rapid.TB, in []byte) {
	t.Helper()
	m, err := message.Parse(in)
	if err != nil {
		return
	}
	out := m.Append(nil)
	if len(out) != len(in) {
		t.Fatalf("%d octets encoded to %d:\n%x\n%x", len(in), len(out), in, out)
	}
	again := mustParse(t, out)
	if d := cmp.Diff(m, again, same); d != "" {
		t.Fatalf("encoding changed the message (-first +second):\n%s", d)
	}
	if twice := again.Append(nil); !bytes.Equal(twice, out) {
		t.Fatalf("encoding is not stable:\n%x\n%x", out, twice)
	}
}

func TestWhatParsesIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wire := whole.Draw(t, "message").Append(nil)
		for range rapid.IntRange(1, 4).Draw(t, "flips") {
			wire[rapid.IntRange(0, len(wire)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "octet")
		}
		checkStable(t, wire)
	})
}

// What real clients send although a strict reader might stumble over it.
func TestOddClientsAreUnderstood(t *testing.T) {
	proposal := message.Proposal{Number: 3, Protocol: message.ProtocolESP, SPI: []byte{1, 2, 3, 4}, Transforms: []message.Transform{
		{Type: message.TransformENCR, ID: 20, KeyLength: 256}, {Type: message.TransformESN},
	}}
	nonce := &message.Nonce{Data: make([]byte, 16)}
	for name, ps := range map[string][]message.Payload{
		"first proposal has number 3":   {&message.SA{Proposals: []message.Proposal{proposal}}, nonce},
		"equal proposals repeated":      {&message.SA{Proposals: []message.Proposal{proposal, proposal, proposal}}, nonce},
		"SA after notifications":        {&message.Notify{Kind: message.Cookie, Data: []byte{1}}, nonce, &message.SA{Proposals: []message.Proposal{proposal}}},
		"CP in a rekey":                 {&message.SA{Proposals: []message.Proposal{proposal}}, nonce, &message.CP{Kind: message.CPRequest, Attributes: []message.CPAttribute{{Type: message.InternalIP4Address}}}},
		"Microsoft's and 3GPP's CP":     {&message.CP{Kind: message.CPRequest, Attributes: []message.CPAttribute{{Type: message.InternalIP4Server}, {Type: 20}, {Type: 21, Value: make([]byte, 16)}}}},
		"former IPv6 address as a wish": {&message.CP{Kind: message.CPRequest, Attributes: []message.CPAttribute{{Type: message.InternalIP6Address, Value: make([]byte, 17)}}}},
		"selector of Fibre Channel":     {&message.TS{Selectors: []message.Selector{{Raw: &message.RawSelector{Kind: 9, Protocol: 1, Body: make([]byte, 12)}}}}},
		"payload type of later RFCs":    {&message.Unknown{Kind: 54, Body: []byte{1}}, nonce},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := message.ParsePayloads(message.FirstType(ps), message.AppendPayloads(nil, ps))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(ps, got, same); d != "" {
				t.Errorf("(-sent +parsed):\n%s", d)
			}
		})
	}
}

func TestNormalisation(t *testing.T) {
	for _, c := range []struct {
		name      string
		first     message.PayloadType
		wire      string
		canonical string
	}{
		{"critical bit of a known payload", message.TypeVendorID, "00 80 0006 abcd", "00 00 0006 abcd"},
		{"reserved bits of the generic header", message.TypeVendorID, "00 7f 0006 abcd", "00 00 0006 abcd"},
		{"reserved octets of KE", message.TypeKE, "00 00 000a 0013 ffff abcd", "00 00 000a 0013 0000 abcd"},
		{"reserved octets of ID", message.TypeIDi, "00 00 0009 02 ffffff 61", "00 00 0009 02 000000 61"},
		{"reserved bit of a CP attribute", message.TypeCP, "00 00 000c 01 000000 8003 0000", "00 00 000c 01 000000 0003 0000"},
		{
			"Key Length after another attribute", message.TypeSA,
			"00 00 0020  00 00 001c 01 01 00 01  00 00 0014 01 00 000c  0005 0004 01020304 800e 0080",
			"00 00 0020  00 00 001c 01 01 00 01  00 00 0014 01 00 000c  800e 0080 0005 0004 01020304",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			wire := hexed(t, c.wire)
			// Lengths in the table are for reading; the encoder's word counts.
			binaryLength(wire)
			ps, err := message.ParsePayloads(c.first, wire)
			if err != nil {
				t.Fatal(err)
			}
			canonical := hexed(t, c.canonical)
			binaryLength(canonical)
			if got := message.AppendPayloads(nil, ps); !bytes.Equal(got, canonical) {
				t.Errorf("got\n%x, want\n%x", got, canonical)
			}
		})
	}
}

func TestKeyLengthIsTheFirstUsableOne(t *testing.T) {
	sa := func(attributes string) message.Transform {
		t.Helper()
		wire := append(hexed(t, "00000000 00000000 01010001 00000000 0100000c"), hexed(t, attributes)...)
		wire[3], wire[7], wire[15] = byte(len(wire)), byte(len(wire)-4), byte(len(wire)-12)
		ps, err := message.ParsePayloads(message.TypeSA, wire)
		if err != nil {
			t.Fatal(err)
		}
		return message.Find[*message.SA](ps).Proposals[0].Transforms[0]
	}
	for _, c := range []struct {
		attributes string
		length     uint16
		others     int
	}{
		{"", 0, 0},
		{"800e0100", 256, 0},
		{"800e0100 800e0080", 256, 1},
		{"800e0000", 0, 1},
		{"800e0000 800e0080", 128, 1},
		{"000e0002 0100", 0, 1}, // TLV where the RFC has TV
		{"80110001", 0, 1},
	} {
		tr := sa(c.attributes)
		if tr.KeyLength != c.length || len(tr.Attributes) != c.others {
			t.Errorf("%s: Key Length %d and %d other attributes, want %d and %d", c.attributes, tr.KeyLength, len(tr.Attributes), c.length, c.others)
		}
	}
}

func TestHeaderOfProtectedMessages(t *testing.T) {
	h := message.Header{InitiatorSPI: message.SPI{1}, ResponderSPI: message.SPI{2}, Version: message.Version2, Exchange: message.ExchangeAuth, MessageID: 1}
	ciphertext := bytes.Repeat([]byte{0xcc}, 40)
	for _, p := range []message.Payload{
		&message.SK{First: message.TypeIDi, Body: ciphertext},
		&message.SKF{First: message.TypeIDi, Number: 2, Total: 3, Body: ciphertext},
	} {
		var got []byte
		switch p := p.(type) {
		case *message.SK:
			got = h.AppendSK([]byte{}, p.First, len(p.Body))
		case *message.SKF:
			got = h.AppendSKF([]byte{}, p.First, p.Number, p.Total, len(p.Body))
		}
		want := (&message.Message{Header: h, Payloads: []message.Payload{p}}).Append(nil)
		if got = append(got, ciphertext...); !bytes.Equal(got, want) {
			t.Errorf("%s: got\n%x, want\n%x", p.Type(), got, want)
		}
	}
}

func TestFind(t *testing.T) {
	first, second := &message.Notify{Kind: message.Cookie}, &message.Notify{Kind: message.MOBIKESupported}
	idi, idr := &message.ID{}, &message.ID{Responder: true}
	tsi, tsr := &message.TS{}, &message.TS{Responder: true}
	ps := []message.Payload{&message.Unknown{Kind: 49}, first, idr, idi, tsr, tsi, second, &message.Unknown{Kind: 200, Critical: true}}
	if message.Find[*message.SA](ps) != nil || message.Find[*message.Notify](ps) != first {
		t.Error("Find: wrong payload")
	}
	if message.FindNotify(ps, message.MOBIKESupported) != second || message.FindNotify(ps, message.RekeySA) != nil {
		t.Error("FindNotify: wrong notification")
	}
	if message.FindID(ps, false) != idi || message.FindID(ps, true) != idr || message.FindID(nil, true) != nil {
		t.Error("FindID: wrong identity")
	}
	if message.FindTS(ps, false) != tsi || message.FindTS(ps, true) != tsr || message.FindTS(nil, true) != nil {
		t.Error("FindTS: wrong selectors")
	}
	if kind, ok := message.UnsupportedCritical(ps); kind != 200 || !ok {
		t.Errorf("UnsupportedCritical: %d, %t", kind, ok)
	}
	if kind, ok := message.UnsupportedCritical(ps[:7]); kind != 0 || ok {
		t.Errorf("UnsupportedCritical without one: %d, %t", kind, ok)
	}
}
