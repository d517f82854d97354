package message_test

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"strings"
	"testing"

	"bridgehead/ikev2/message"
)

// chain is the inside of an SK payload.
type chain struct {
	first  message.PayloadType
	octets []byte
}

// hostile are chains of nearly 64 KiB that buy as many structs for as few
// octets as each format allows.
func hostile() map[string]chain {
	const room = 65000
	of := func(kind message.PayloadType, body []byte) chain {
		one := append([]byte{byte(kind), 0, 0, 0}, body...)
		binaryLength(one)
		b := bytes.Repeat(one, max(1, room/len(one)))
		b[len(b)-len(one)] = 0
		return chain{kind, b}
	}
	proposals := func(one []byte) []byte {
		binary.BigEndian.PutUint16(one[2:], uint16(len(one)))
		b := bytes.Repeat(one, room/len(one))
		b[len(b)-len(one)] = 0
		return b
	}
	transforms := append([]byte{2, 0, 0, 0, 1, 1, 0, 255}, bytes.Repeat([]byte{3, 0, 0, 8, 1, 0, 0, 1}, 255)...)
	transforms[len(transforms)-8] = 0
	attributes := append([]byte{2, 0, 0, 0, 1, 1, 0, 1, 0, 0, 0xf0, 8, 1, 0, 0, 1}, bytes.Repeat([]byte{0x80, 1, 0, 0}, 0x3c00)...)
	return map[string]chain{
		"unknown payloads":    of(200, nil),
		"vendor ids":          of(message.TypeVendorID, nil),
		"empty proposals":     of(message.TypeSA, proposals([]byte{2, 0, 0, 8, 1, 1, 0, 0})),
		"transforms":          of(message.TypeSA, proposals(transforms)),
		"attributes":          of(message.TypeSA, proposals(attributes)),
		"SPIs":                of(message.TypeDelete, append([]byte{3, 4, 0x3f, 0}, make([]byte, 4*0x3f00)...)),
		"unknown selectors":   of(message.TypeTSi, append([]byte{255, 0, 0, 0}, bytes.Repeat([]byte{9, 0, 0, 4}, 255)...)),
		"selectors":           of(message.TypeTSi, append([]byte{255, 0, 0, 0}, bytes.Repeat(append([]byte{7, 0, 0, 16}, make([]byte, 12)...), 255)...)),
		"CP attributes":       of(message.TypeCP, append([]byte{1, 0, 0, 0}, make([]byte, 4*0x3f00)...)),
		"no attributes in CP": of(message.TypeCP, []byte{1, 0, 0, 0}),
	}
}

func TestAllocationIsASmallMultipleOfTheInput(t *testing.T) {
	const factor = 25 // an unknown selector, 4 octets, takes a Selector and a RawSelector
	for name, c := range hostile() {
		t.Run(name, func(t *testing.T) {
			const rounds = 20
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var err error
			for range rounds {
				_, err = message.ParsePayloads(c.first, c.octets)
			}
			runtime.ReadMemStats(&after)
			spent := (after.TotalAlloc - before.TotalAlloc) / rounds
			t.Logf("%d octets of input, %d of memory, %.1f times; error %v", len(c.octets), spent, float64(spent)/float64(len(c.octets)), err)
			if spent > uint64(factor*len(c.octets)) {
				t.Errorf("%d octets allocated for %d octets of input, want at most %d times", spent, len(c.octets), factor)
			}
			if err != nil && !strings.Contains(err.Error(), "more than 256 payloads") {
				t.Errorf("input is not as hostile as meant: %v", err)
			}
		})
	}
}

func TestManyPayloadsAreRefused(t *testing.T) {
	ps := make([]message.Payload, 257)
	for i := range ps {
		ps[i] = &message.VendorID{}
	}
	if _, err := message.ParsePayloads(message.TypeVendorID, message.AppendPayloads(nil, ps[:256])); err != nil {
		t.Errorf("256 payloads: %v", err)
	}
	if _, err := message.ParsePayloads(message.TypeVendorID, message.AppendPayloads(nil, ps)); err == nil {
		t.Error("257 payloads parsed")
	}
}
