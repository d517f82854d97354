package inetsum

import (
	"encoding/hex"
	"testing"

	"pgregory.net/rapid"
)

// TestKnown holds the example of RFC 1071 §3 and an IPv4 header.
func TestKnown(t *testing.T) {
	for text, want := range map[string]uint16{
		"0001f203f4f5f6f7": ^uint16(0xddf2),
		"4500003c1c4640004006" + "0000" + "ac100a63ac100a0c": 0xb1e6,
		"4500003c1c4640004006" + "b1e6" + "ac100a63ac100a0c": 0,
		"01": ^uint16(0x0100),
		"":   0xffff,
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := Of(0, b); got != want {
			t.Errorf("%s: %04x, want %04x", text, got, want)
		}
	}
}

// TestParts: a packet's checksum is that of its parts.
func TestParts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 3000).Draw(rt, "packet")
		at := rapid.IntRange(0, len(b)/2).Draw(rt, "cut") * 2
		if whole, parts := Of(0, b), Of(Add(0, b[:at]), b[at:]); whole != parts {
			rt.Errorf("%04x as a whole, %04x in two parts", whole, parts)
		}
	})
}
