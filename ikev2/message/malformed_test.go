package message_test

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"bridgehead/ikev2/message"
)

func hexed(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// binaryLength makes the generic header of a single payload name the whole.
func binaryLength(payload []byte) { binary.BigEndian.PutUint16(payload[2:], uint16(len(payload))) }

// malformed are chains of one payload type that must be refused, with the
// octet the error has to name.
var malformed = []struct {
	name   string
	first  message.PayloadType
	wire   string
	offset int
}{
	{"generic header cut short", message.TypeNonce, "00 00 00", 0},
	{"chain ends although it names another payload", message.TypeVendorID, "2b 00 0005 aa", 5},
	{"payload length below its header", message.TypeVendorID, "00 00 0003", 2},
	{"payload length zero", message.TypeVendorID, "2b 00 0000 2b 00 0004", 2},
	{"payload length beyond the end", message.TypeVendorID, "00 00 0006 aa", 2},
	{"octets after the last payload", message.TypeVendorID, "00 00 0004 aa", 4},
	{"SK inside SK", message.TypeSK, "00 00 0005 aa", 0},
	{"SKF inside SK", message.TypeSKF, "00 00 0009 0001 0001 aa", 0},

	{"SA without proposals", message.TypeSA, "00 00 0004", 4},
	{"proposal header cut short", message.TypeSA, "00 00 0008 00000008", 4},
	{"proposal length below its header", message.TypeSA, "00 00 000c 00000007 01010000", 6},
	{"proposal length beyond the end", message.TypeSA, "00 00 000c 00000009 01010000", 6},
	{"more proposals marked, none follows", message.TypeSA, "00 00 000c 02000008 01010000", 4},
	{"last proposal followed by another", message.TypeSA, "00 00 0014 00000008 01010000 00000008 02010000", 4},
	{"proposal marked 1", message.TypeSA, "00 00 0014 01000008 01010000 00000008 02010000", 4},
	{"SPI longer than its proposal", message.TypeSA, "00 00 0010 0000000c 01030500 aabbccdd", 10},
	{"255 transforms in no octets", message.TypeSA, "00 00 000c 00000008 010100ff", 10},
	{"one transform fewer than there are", message.TypeSA, "00 00 001c 00000018 01010001 03000008 01000001 00000008 02000001", 12},
	{"transforms after the last", message.TypeSA, "00 00 001c 00000018 01010001 00000008 01000001 00000008 02000001", 20},
	{"last transform in the middle", message.TypeSA, "00 00 001c 00000018 01010002 00000008 01000001 00000008 02000001", 12},
	{"transform marked 2", message.TypeSA, "00 00 001c 00000018 01010002 02000008 01000001 00000008 02000001", 12},
	{"transform length below its header", message.TypeSA, "00 00 0014 00000010 01010001 00000007 01000001", 14},
	{"transform length beyond its proposal", message.TypeSA, "00 00 0014 00000010 01010001 00000009 01000001", 14},
	{"attributes take the next transform's octets", message.TypeSA, "00 00 0020 0000001c 01010002 03000010 01000001 00000000 00000000 00000000", 28},
	{"attribute cut short", message.TypeSA, "00 00 0017 00000013 01010001 0000000b 01000001 800e00", 20},
	{"TLV attribute beyond its transform", message.TypeSA, "00 00 0018 00000014 01010001 0000000c 01000001 000e0001", 22},

	{"KE without a group", message.TypeKE, "00 00 0007 001300", 4},
	{"ID cut short", message.TypeIDi, "00 00 0007 010000", 4},
	{"CERT without an encoding", message.TypeCert, "00 00 0004", 4},
	{"CERTREQ without an encoding", message.TypeCertReq, "00 00 0004", 4},
	{"AUTH cut short", message.TypeAuth, "00 00 0007 020000", 4},
	{"nonce of 15 octets", message.TypeNonce, "00 00 0013 000102030405060708090a0b0c0d0e", 4},
	{"nonce of 257 octets", message.TypeNonce, "00 00 0105" + strings.Repeat("00", 257), 4},
	{"notify cut short", message.TypeNotify, "00 00 0007 000040", 4},
	{"notify SPI beyond the end", message.TypeNotify, "00 00 000b 0304 4009 aabbcc", 5},

	{"delete cut short", message.TypeDelete, "00 00 0007 030400", 4},
	{"delete with fewer SPIs than counted", message.TypeDelete, "00 00 000c 03040002 aabbccdd", 6},
	{"delete with more SPIs than counted", message.TypeDelete, "00 00 0010 03040001 aabbccdd eeff0011", 6},
	{"delete counting 65535 SPIs of no octets", message.TypeDelete, "00 00 0008 0100ffff", 5},
	{"delete with SPIs of one octet", message.TypeDelete, "00 00 000a 03010002 aabb", 5},

	{"TS cut short", message.TypeTSi, "00 00 0007 010000", 4},
	{"TS with more selectors than octets", message.TypeTSr, "00 00 0008 01000000", 4},
	{"TS with one selector fewer than there are", message.TypeTSi, "00 00 000c 00000000 09000004", 8},
	{"selector length below its header", message.TypeTSi, "00 00 000c 01000000 09000003", 10},
	{"selector length beyond the end", message.TypeTSi, "00 00 000c 01000000 09000005", 10},
	{"second selector is missing its header", message.TypeTSi, "00 00 0010 02000000 09000008 00000000", 16},
	{"IPv4 selector of IPv6 length", message.TypeTSi, "00 00 0030 01000000 07000028 0000ffff" + strings.Repeat("00", 32), 10},
	{"IPv6 selector of IPv4 length", message.TypeTSi, "00 00 0018 01000000 08000010 0000ffff 00000000 ffffffff", 10},
	{"address range reversed", message.TypeTSi, "00 00 0018 01000000 07000010 0000ffff 0a000002 0a000001", 16},
	{"port range reversed", message.TypeTSi, "00 00 0018 01000000 07000010 00020001 0a000001 0a000002", 12},

	{"CP cut short", message.TypeCP, "00 00 0007 010000", 4},
	{"CP attribute cut short", message.TypeCP, "00 00 000b 01000000 000100", 8},
	{"CP attribute beyond the end", message.TypeCP, "00 00 000c 01000000 00010001", 10},
}

func TestMalformedPayloadsAreRefusedByPlace(t *testing.T) {
	for _, c := range malformed {
		t.Run(c.name, func(t *testing.T) {
			ps, err := message.ParsePayloads(c.first, hexed(t, c.wire))
			var syntax *message.SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("got %v and error %v, want a *SyntaxError", ps, err)
			}
			if syntax.Offset != c.offset {
				t.Errorf("%v: want octet %d", err, c.offset)
			}
		})
	}
}

func TestErrorsNameThePayloadAndTheOctetOfTheInput(t *testing.T) {
	m := &message.Message{Header: message.Header{Version: message.Version2}, Payloads: []message.Payload{
		&message.VendorID{Data: []byte("abc")}, &message.Nonce{Data: make([]byte, 15)},
	}}
	_, err := message.Parse(m.Append(nil))
	const want = "ikev2: malformed Nonce payload at octet 39: 15 octets, expected 16 to 256"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestMalformedMessages(t *testing.T) {
	valid := (&message.Message{Header: message.Header{Version: message.Version2}, Payloads: []message.Payload{&message.VendorID{Data: make([]byte, 8)}}}).Append(nil)
	sk := (&message.Message{Header: message.Header{Version: message.Version2}, Payloads: []message.Payload{&message.SK{First: message.TypeIDi, Body: make([]byte, 8)}}}).Append(nil)
	skf := func(number, total uint16) []byte {
		return message.Header{Version: message.Version2}.AppendSKF(nil, message.TypeIDi, number, total, 0)
	}
	with := func(b []byte, at int, value byte) []byte {
		b = append([]byte(nil), b...)
		b[at] = value
		return b
	}
	for _, c := range []struct {
		name    string
		wire    []byte
		payload message.PayloadType
		offset  int
	}{
		{"empty", nil, 0, 0},
		{"header cut short", valid[:27], 0, 27},
		{"length field below the header", with(valid, 27, 27), 0, 24},
		{"length field too small", with(valid, 27, byte(len(valid)-1)), 0, 24},
		{"length field too large", with(valid, 27, byte(len(valid)+1)), 0, 24},
		{"octets but no payload named", with(valid, 16, 0), 0, 28},
		{"SK is not the last", with(sk, 31, 11), message.TypeSK, 30},
		{"SK is longer than the message", with(sk, 31, 13), message.TypeSK, 30},
		{"fragment fields cut short", with(with(skf(1, 1)[:35], 31, 7), 27, 35), message.TypeSKF, 32},
		{"fragment 0 of 1", skf(0, 1), message.TypeSKF, 32},
		{"fragment 0 of 0", skf(0, 0), message.TypeSKF, 32},
		{"fragment 3 of 2", skf(3, 2), message.TypeSKF, 32},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := message.Parse(c.wire)
			var syntax *message.SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("error %v, want a *SyntaxError", err)
			}
			if syntax.Payload != c.payload || syntax.Offset != c.offset {
				t.Errorf("%v: want payload %s, octet %d", err, c.payload, c.offset)
			}
		})
	}
	var version *message.VersionError
	if _, err := message.Parse(with(valid, 17, 0x10)); !errors.As(err, &version) || version.Version != 0x10 {
		t.Errorf("IKEv1: error %v, want a *VersionError", err)
	} else if want := "ikev2: message of IKE version 1.0, expected 2.x"; err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := message.Parse(with(valid, 17, 0x2f)); err != nil {
		t.Errorf("minor version 15: %v, want it ignored (RFC 7296 §2.5)", err)
	}
}

func TestTruncationIsAlwaysRefused(t *testing.T) {
	wire := windowsInit().Append(nil)
	for n := range wire {
		cut := append([]byte(nil), wire[:n]...)
		if n >= message.HeaderLen {
			binary.BigEndian.PutUint32(cut[24:], uint32(n))
		}
		if m, err := message.Parse(cut); err == nil {
			t.Fatalf("first %d of %d octets parsed to %d payloads", n, len(wire), len(m.Payloads))
		}
	}
}
