package message_test

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"unicode"

	"bridgehead/ikev2/message"

	"pgregory.net/rapid"
)

func TestNames(t *testing.T) {
	for _, c := range []struct {
		value fmt.Stringer
		want  string
	}{
		{message.TypeSKF, "SKF"}, {message.NoNextPayload, "none"}, {message.PayloadType(49), "payload(49)"},
		{message.ExchangeSAInit, "IKE_SA_INIT"}, {message.ExchangeType(243), "exchange(243)"},
		{message.InvalidKEPayload, "INVALID_KE_PAYLOAD"}, {message.IKEv2FragmentationSupported, "IKEV2_FRAGMENTATION_SUPPORTED"},
		{message.MSStatus, "MICROSOFT_STATUS"}, {message.NotifyType(40000), "notify(40000)"},
		{message.IDFQDN, "ID_FQDN"}, {message.IDKind(99), "identity(99)"},
		{message.AuthSignature, "Digital Signature"}, {message.AuthMethod(200), "method(200)"},
		{message.ProtocolESP, "ESP"}, {message.Protocol(9), "protocol(9)"},
		{message.TransformESN, "ESN"}, {message.TransformType(9), "transform(9)"},
		{message.InternalDNSDomain, "INTERNAL_DNS_DOMAIN"}, {message.CPAttributeType(9), "attribute(9)"},
		{message.SPI{0xde, 0xad, 7: 1}, "dead000000000001"},
	} {
		if got := c.value.String(); got != c.want {
			t.Errorf("%#v: got %q, want %q", c.value, got, c.want)
		}
	}
	if !message.TemporaryFailure.IsError() || message.InitialContact.IsError() || !message.MSStatus.IsError() {
		t.Error("IsError: wrong side of 16384")
	}
}

func TestHeaderBits(t *testing.T) {
	h := message.Header{Version: 0x21, Flags: message.FlagResponse | message.FlagInitiator, InitiatorSPI: message.SPI{7: 2}}
	if h.MajorVersion() != 2 || !h.IsResponse() || !h.FromInitiator() {
		t.Errorf("%+v: wrong version or flags", h)
	}
	if (message.Header{Flags: message.FlagVersion}).IsResponse() || (message.Header{Flags: message.FlagResponse}).FromInitiator() {
		t.Error("flags are mixed up")
	}
	if h.InitiatorSPI.Uint64() != 2 || h.InitiatorSPI.IsZero() || !h.ResponderSPI.IsZero() {
		t.Error("SPI helpers are wrong")
	}
}

func TestIdentitiesAsText(t *testing.T) {
	dn, err := asn1.Marshal(pkix.Name{CommonName: "gate\r\nway", Organization: []string{"Example, Ltd"}, Country: []string{"DE"}}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kind message.IDKind
		data string
		want string
	}{
		{message.IDFQDN, "vpn.example.org", "vpn.example.org"},
		{message.IDFQDN, "a\nb\x00\x1b[2J", `a\x0ab\x00\x1b[2J`},
		{message.IDRFC822Addr, "jürgen@example.org", "jürgen@example.org"},
		{message.IDRFC822Addr, "a\xff\u202eb", `a\xff\xe2\x80\xaeb`},
		{message.IDIPv4Addr, "\x0a\x00\x00\x01", "10.0.0.1"},
		{message.IDIPv4Addr, "\x0a", "ID_IPV4_ADDR:0a"},
		{message.IDIPv6Addr, "\x0a\x00\x00\x01", "ID_IPV6_ADDR:0a000001"},
		{message.IDIPv6Addr, "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01", "2001:db8::1"},
		{message.IDDERASN1DN, string(dn), `CN=gate\x0d\x0away,O=Example\, Ltd,C=DE`},
		{message.IDDERASN1DN, string(dn) + "x", "ID_DER_ASN1_DN:" + fmt.Sprintf("%x", string(dn)+"x")},
		{message.IDKeyID, "group1", "group1"},
		{message.IDKeyID, "\x01\x02", "ID_KEY_ID:0102"},
		{message.IDKeyID, "", "ID_KEY_ID:"},
		{message.IDKind(77), "x", "identity(77):78"},
	} {
		id := &message.ID{Kind: c.kind, Data: []byte(c.data)}
		if got := id.String(); got != c.want {
			t.Errorf("%s %q: got %s, want %s", c.kind, c.data, got, c.want)
		}
	}
}

func TestIdentitiesNeverCarryControlCharacters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := payloads["ID"](t).(*message.ID)
		id.Kind = message.IDKind(rapid.Uint8Range(0, 12).Draw(t, "kind"))
		if s := id.String(); strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q", s)
		}
	})
}

func TestConfigurationValues(t *testing.T) {
	v4, v6 := netip.MustParsePrefix("192.0.2.1/25"), netip.MustParsePrefix("2001:db8::1/128")
	for _, c := range []struct {
		attribute message.CPAttribute
		value     string
		addr      netip.Addr
		prefix    netip.Prefix
	}{
		{message.AddrAttribute(message.InternalIP4Address, v4.Addr()), "c0000201", v4.Addr(), netip.Prefix{}},
		{message.AddrAttribute(message.InternalIP6DNS, v6.Addr()), "20010db8000000000000000000000001", v6.Addr(), netip.Prefix{}},
		{message.PrefixAttribute(message.InternalIP4Subnet, v4), "c0000201ffffff80", netip.Addr{}, v4},
		{message.PrefixAttribute(message.InternalIP6Address, v6), "20010db800000000000000000000000180", v6.Addr(), v6},
		{message.PrefixAttribute(message.InternalIP4Subnet, netip.MustParsePrefix("0.0.0.0/0")), "0000000000000000", netip.Addr{}, netip.MustParsePrefix("0.0.0.0/0")},
	} {
		if want := hexed(t, c.value); !bytes.Equal(c.attribute.Value, want) {
			t.Errorf("%s: value %x, want %x", c.attribute.Type, c.attribute.Value, want)
		}
		if got, ok := c.attribute.Addr(); got != c.addr || ok != c.addr.IsValid() {
			t.Errorf("%x: address %v, %t, want %v", c.attribute.Value, got, ok, c.addr)
		}
		if got, ok := c.attribute.Prefix(); ok != c.prefix.IsValid() || ok && got != c.prefix {
			t.Errorf("%x: prefix %v, %t, want %v", c.attribute.Value, got, ok, c.prefix)
		}
	}
	for _, bad := range []string{"c0000201ff00ff00", "20010db800000000000000000000000181", "", "c00002"} {
		if p, ok := (message.CPAttribute{Value: hexed(t, bad)}).Prefix(); ok {
			t.Errorf("%s: prefix %v, want none", bad, p)
		}
	}
}

func TestSplitDNSValues(t *testing.T) {
	if name, ok := message.DomainAttribute("corp.example.org").Domain(); name != "corp.example.org" || !ok {
		t.Errorf("domain: %q, %t", name, ok)
	}
	for _, bad := range []message.CPAttribute{message.DomainAttribute("example.org\x00"), message.DomainAttribute("a b"), {Type: message.InternalIP4DNS}} {
		if name, ok := bad.Domain(); ok {
			t.Errorf("domain of %v: %q", bad, name)
		}
	}
}
