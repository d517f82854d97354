package xfrm

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/suite"
)

// parts is a message cut up: the order of attributes means nothing.
type parts struct {
	Kind, Flags uint16
	Fixed       string
	Attributes  map[uint16]string
}

func cut(t *testing.T, b []byte, fixed int) parts {
	t.Helper()
	if int(binary.NativeEndian.Uint32(b)) != len(b) {
		t.Fatalf("a message of %d octets says it has %d", len(b), binary.NativeEndian.Uint32(b))
	}
	p := parts{
		Kind: binary.NativeEndian.Uint16(b[4:]), Flags: binary.NativeEndian.Uint16(b[6:]),
		Attributes: map[uint16]string{},
	}
	b = b[unix.NLMSG_HDRLEN:]
	p.Fixed = hex.EncodeToString(b[:fixed])
	for b = b[fixed:]; len(b) > 0; {
		n, kind := binary.NativeEndian.Uint16(b), binary.NativeEndian.Uint16(b[2:])
		if _, ok := p.Attributes[kind]; ok || int(n) > len(b) {
			t.Fatalf("attribute %d is there twice or cut short", kind)
		}
		p.Attributes[kind] = hex.EncodeToString(b[4:n])
		b = b[min((int(n)+3)&^3, len(b)):]
	}
	return p
}

// golden reads what iproute2 sent for the command in the file's first line.
func golden(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".hex")
	if err != nil {
		t.Fatal(err)
	}
	_, digits, _ := strings.Cut(string(text), "\n")
	b, err := hex.DecodeString(strings.ReplaceAll(digits, "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func counting(n int) suite.Secret {
	b := make(suite.Secret, n)
	for i := range b {
		b[i] = byte(i + 1)
	}
	return b
}

func testState(t *testing.T, s suite.ESP, here, there string, encap bool) *state {
	t.Helper()
	a, err := algorithmsOf(&esp.SA{Suite: s, EncrKey: counting(s.KeyLen() + s.SaltLen()), IntegKey: counting(s.IntegKeyLen())})
	if err != nil {
		t.Fatal(err)
	}
	return &state{
		id: stateID{netip.MustParseAddr(here), 0x0a0b0c0d}, source: netip.MustParseAddr(there), reqid: 0x42480002,
		encap: encap, sourcePort: 4501, destinationPort: 4500,
		algorithms: a, esn: s.ESN, inbound: true, softLimit: unlimited,
	}
}

// TestMessagesAreThoseOfIproute2 compares with what the reference tool sends.
// This package adds the interval of mapping reports, which that tool cannot.
func TestMessagesAreThoseOfIproute2(t *testing.T) {
	gcm := testState(t, suite.ESP{Encr: suite.EncrAESGCM16, KeyLength: 128, ESN: true}, "192.0.2.1", "192.0.2.9", true)
	chacha := testState(t, suite.ESP{Encr: suite.EncrChaCha20Poly1305}, "2001:db8::1", "2001:db8::9", true)
	cbc := testState(t, suite.ESP{Encr: suite.EncrAESCBC, KeyLength: 128, Integ: suite.IntegHMACSHA2_256128}, "2001:db8::1", "2001:db8::9", false)
	cbc.ifID = 5
	out := policyKey{directionOut, selector{
		source: netip.MustParsePrefix("10.0.0.0/8"), destination: netip.MustParsePrefix("10.91.0.1/32"),
		protocol: unix.IPPROTO_UDP, destinationPort: portMask{5000, 0xffff},
	}}
	forward := policyKey{directionForward, selector{
		source: netip.MustParsePrefix("fd91::1/128"), destination: netip.MustParsePrefix("fd90::/64"),
	}}
	for _, tc := range []struct {
		file  string
		fixed int
		made  request
		extra map[uint16]string // attributes that only this package sends
	}{
		{"state-gcm-esn-udp", nl.SizeofXfrmUsersaInfo, newState(gcm, false), map[uint16]string{nl.XFRMA_MTIMER_THRESH: "0a000000"}},
		{"state-chacha-udp-ipv6", nl.SizeofXfrmUsersaInfo, newState(chacha, false), map[uint16]string{nl.XFRMA_MTIMER_THRESH: "0a000000"}},
		{"state-cbc-ipv6", nl.SizeofXfrmUsersaInfo, newState(cbc, false), nil},
		{"policy-out", nl.SizeofXfrmUserpolicyInfo, newPolicy(out, template{
			reqid: 0x42480003, source: netip.MustParseAddr("192.0.2.1"), destination: netip.MustParseAddr("192.0.2.9"),
		}, DefaultPriority, 5, false), nil},
		{"policy-forward", nl.SizeofXfrmUserpolicyInfo, newPolicy(forward, template{
			reqid: 0x42480002, source: netip.IPv6Unspecified(), destination: netip.IPv6Unspecified(),
		}, DefaultPriority, 0, false), nil},
		{"policy-delete", nl.SizeofXfrmUserpolicyId, deletePolicy(forward, 0), nil},
	} {
		t.Run(tc.file, func(t *testing.T) {
			want := cut(t, golden(t, tc.file), tc.fixed)
			for kind, value := range tc.extra {
				want.Attributes[kind] = value
			}
			want.Flags |= unix.NLM_F_ACK
			got := cut(t, appendMessage(nil, tc.made, unix.NLM_F_REQUEST|unix.NLM_F_ACK, 1), tc.fixed)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("- iproute2, + made here\n%s", diff)
			}
		})
	}
}

func TestOutputMarkIsForOutbound(t *testing.T) {
	s := testState(t, suite.ESP{Encr: suite.EncrChaCha20Poly1305}, "192.0.2.1", "192.0.2.9", false)
	s.mark = 7
	for _, inbound := range []bool{true, false} {
		s.inbound = inbound
		body := newState(s, false).body[nl.SizeofXfrmUsersaInfo:]
		if marked := attribute(body, nl.XFRMA_SET_MARK) != nil; marked == inbound {
			t.Errorf("inbound %v: mark set: %v", inbound, marked)
		}
	}
}
