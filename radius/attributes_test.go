package radius

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"bridgehead/auth"
)

func TestEveryAttributeHasAnEffectOrAReason(t *testing.T) {
	seen := make(map[attributeKey]string)
	for _, a := range Attributes() {
		k := attributeKey{a.Vendor, a.Type}
		if seen[k] != "" {
			t.Errorf("%s and %s have one number", a.Name, seen[k])
		}
		seen[k] = a.Name
		if (a.Effect == "") == (a.Ignored == "") || a.Effect != "" && a.apply == nil || a.Source == "" {
			t.Errorf("%s has neither effect nor reason to be ignored, or both, or no source", a.Name)
		}
	}
}

// attribute makes one by its name.
func attribute(t testing.TB, name string, value []byte) *codec.AVP {
	t.Helper()
	for _, a := range Attributes() {
		if a.Name != name {
			continue
		}
		if a.Vendor == 0 {
			return &codec.AVP{Type: a.Type, Attribute: value}
		}
		b := binary.BigEndian.AppendUint32(nil, a.Vendor)
		return &codec.AVP{Type: rfc2865.VendorSpecific_Type, Attribute: append(append(b, byte(a.Type), byte(2+len(value))), value...)}
	}
	t.Fatalf("there is no attribute %s", name)
	return nil
}

func integer(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// octets is a prefix as RADIUS writes it.
func octets(prefix string) []byte {
	p := netip.MustParsePrefix(prefix)
	return append([]byte{0, byte(p.Bits())}, p.Addr().AsSlice()...)
}

// given is attributes and what they come to.
type given struct {
	name  string
	value []byte
}

func addresses(list ...string) (as []netip.Addr) {
	for _, s := range list {
		as = append(as, netip.MustParseAddr(s))
	}
	return as
}

func rules(t testing.TB, list ...string) []auth.FilterRule {
	t.Helper()
	f, err := auth.ParseFilter(list)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestAttributesToGrant has a row at least for each attribute with an effect,
// and the others show that they have none.
func TestAttributesToGrant(t *testing.T) {
	tests := []struct {
		attrs []given
		want  auth.Grant
		err   string
	}{
		{attrs: []given{{"Framed-IP-Address", []byte{10, 1, 2, 3}}}, want: auth.Grant{Addresses: addresses("10.1.2.3")}},
		{attrs: []given{{"Framed-IP-Address", integer(0xFFFFFFFE)}}},
		{attrs: []given{{"Framed-IP-Address", integer(0xFFFFFFFF)}}},
		{attrs: []given{{"Framed-IP-Address", integer(0xE0000001)}}, err: "no address for a host"},
		{attrs: []given{{"Framed-IP-Address", []byte{10, 1, 2}}}, err: "3 octets, expected 4"},
		{attrs: []given{{"Framed-IPv6-Address", octets("2001:db8::7/128")[2:]}}, want: auth.Grant{Addresses: addresses("2001:db8::7")}},
		{attrs: []given{{"Framed-IPv6-Prefix", octets("2001:db8::7/128")}}, want: auth.Grant{Addresses: addresses("2001:db8::7")}},
		{attrs: []given{{"Framed-IPv6-Prefix", octets("2001:db8:1::/64")}}, err: "without Framed-Interface-Id"},
		{attrs: []given{{"Framed-IPv6-Prefix", octets("2001:db8::/56")}}, err: "56 bits"},
		{attrs: []given{{"Framed-IPv6-Prefix", []byte{0, 129}}}, err: "129 bits"},
		{attrs: []given{{"Framed-IPv6-Prefix", octets("2001:db8:1::/64")}, {"Framed-Interface-Id", []byte{0, 0, 0, 0, 0, 0, 0, 7}}}, want: auth.Grant{Addresses: addresses("2001:db8:1::7")}},
		{attrs: []given{{"Framed-Interface-Id", []byte{0, 0, 0, 0, 0, 0, 0, 7}}}},
		{attrs: []given{{"Framed-Pool", []byte("staff")}, {"Framed-Pool", []byte("others")}}, want: auth.Grant{Pool: "staff"}},
		{attrs: []given{{"Framed-IPv6-Pool", []byte("six")}}, want: auth.Grant{Pool6: "six"}},
		{attrs: []given{{"Stateful-IPv6-Address-Pool", []byte("six")}}, want: auth.Grant{Pool6: "six"}},
		{attrs: []given{{"Framed-Pool", []byte{0xFF}}}, err: "UTF-8"},
		{attrs: []given{{"Framed-Route", []byte("192.0.2.0/24 0.0.0.0 1")}, {"Framed-Route", []byte("198.51.100.9")}, {"Framed-IPv6-Route", []byte("2001:db8::/32 :: 1")}},
			want: auth.Grant{Routes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.9/32"), netip.MustParsePrefix("2001:db8::/32")}}},
		{attrs: []given{{"Framed-Route", []byte("everywhere")}}, err: "no prefix"},
		{attrs: []given{{"Route-IPv6-Information", octets("2001:db8:a::1/48")}}, want: auth.Grant{Routes: []netip.Prefix{netip.MustParsePrefix("2001:db8:a::/48")}}},
		{attrs: []given{{"MS-Primary-DNS-Server", []byte{10, 0, 0, 53}}, {"MS-Secondary-DNS-Server", []byte{10, 0, 1, 53}}, {"DNS-Server-IPv6-Address", octets("2001:db8::53/128")[2:]}},
			want: auth.Grant{DNS: addresses("10.0.0.53", "10.0.1.53", "2001:db8::53")}},
		{attrs: []given{{"Class", []byte{1}}, {"Class", []byte{2, 0}}}, want: auth.Grant{Class: [][]byte{{1}, {2, 0}}}},
		{attrs: []given{{"Chargeable-User-Identity", []byte("cui")}}, want: auth.Grant{ChargeableUser: []byte("cui")}},
		{attrs: []given{{"Chargeable-User-Identity", []byte{0}}}},
		{attrs: []given{{"Session-Timeout", integer(3600)}}, want: auth.Grant{SessionTimeout: time.Hour}},
		{attrs: []given{{"Session-Timeout", integer(0)}}, err: "0 seconds"},
		{attrs: []given{{"Idle-Timeout", integer(600)}}, want: auth.Grant{IdleTimeout: 10 * time.Minute}},
		{attrs: []given{{"Termination-Action", integer(1)}}, want: auth.Grant{Reauthenticate: true}},
		{attrs: []given{{"Termination-Action", integer(0)}}},
		{attrs: []given{{"Termination-Action", integer(2)}}, err: "expected 0 (Default) or 1"},
		{attrs: []given{{"Port-Limit", integer(2)}}, want: auth.Grant{MaxSessions: 2}},
		{attrs: []given{{"Port-Limit", integer(0)}}, err: "0 sessions"},
		{attrs: []given{{"Acct-Interim-Interval", integer(300)}}, want: auth.Grant{InterimInterval: 5 * time.Minute}},
		{attrs: []given{{"Acct-Interim-Interval", integer(5)}}, want: auth.Grant{InterimInterval: time.Minute}},
		{attrs: []given{{"Acct-Interim-Interval", integer(0)}}},
		{attrs: []given{{"Filter-Id", []byte("staff")}, {"Filter-Id", []byte("bridgehead:rate-up=10M")}, {"Filter-Id", []byte("bridgehead:rate-down=500k")}},
			want: auth.Grant{Group: "staff", RateUp: 10_000_000, RateDown: 500_000}},
		{attrs: []given{{"Filter-Id", []byte("bridgehead:rate-sideways=1")}}, err: "no setting"},
		{attrs: []given{{"Filter-Id", []byte("bridgehead:rate-up=fast")}}, err: "no rate"},
		{attrs: []given{{"Filter-Id", []byte("bridgehead:rate-up=-1")}}, err: "no rate"},
		{attrs: []given{{"Tunnel-Private-Group-Id", []byte("\x01guests")}}, want: auth.Grant{Group: "guests"}},
		{attrs: []given{{"Tunnel-Private-Group-Id", []byte("guests")}, {"Filter-Id", []byte("staff")}}, want: auth.Grant{Group: "staff"}},
		{attrs: []given{{"WISPr-Bandwidth-Max-Up", integer(1_000_000)}, {"WISPr-Bandwidth-Max-Down", integer(8_000_000)}}, want: auth.Grant{RateUp: 1_000_000, RateDown: 8_000_000}},
		{attrs: []given{{"WISPr-Bandwidth-Max-Up", integer(0)}}},
		{attrs: []given{{"WISPr-Bandwidth-Max-Up", integer(0)[:3]}}, err: "3 octets, expected 4"},
		{attrs: []given{{"Mikrotik-Rate-Limit", []byte("1M/8M 2M/16M 1M/8M 10/10 5")}, {"WISPr-Bandwidth-Max-Up", integer(999_000)}}, want: auth.Grant{RateUp: 999_000, RateDown: 8_000_000}},
		{attrs: []given{{"Mikrotik-Rate-Limit", []byte("2M")}}, want: auth.Grant{RateUp: 2_000_000, RateDown: 2_000_000}},
		{attrs: []given{{"Mikrotik-Rate-Limit", []byte("auto")}}, err: "no rate"},
		{attrs: []given{{"NAS-Filter-Rule", []byte("permit in ip from any to 192.0.2.0/24\x00deny out tcp from any 25 to any\x00")}},
			want: auth.Grant{Filter: rules(t, "permit in ip from any to 192.0.2.0/24", "deny out tcp from any 25 to any")}},
		{attrs: []given{{"NAS-Filter-Rule", []byte("permit in ip from any to 192.")}, {"NAS-Filter-Rule", []byte("0.2.0/24")}},
			want: auth.Grant{Filter: rules(t, "permit in ip from any to 192.0.2.0/24")}},
		{attrs: []given{{"NAS-Filter-Rule", []byte("permit in ip from any to 192.0.2.0/24")}, {"NAS-Filter-Rule", []byte("deny in ip from any to any")}},
			want: auth.Grant{Filter: rules(t, "permit in ip from any to 192.0.2.0/24", "deny in ip from any to any")}},
		{attrs: []given{{"NAS-Filter-Rule", []byte("permit in ip from any to any frag")}}, err: `"frag"`},
		{attrs: []given{{"NAS-Filter-Rule", []byte("permit in ip from any to any")}, {"NAS-Filter-Rule", []byte("or so")}}, err: "no address"},
		{attrs: []given{{"Reply-Message", []byte("wel\x1bcome")}, {"Delegated-IPv6-Prefix", octets("2001:db8::/56")}, {"Delegated-IPv6-Prefix-Pool", []byte("p")}},
			want: auth.Grant{Remarks: []auth.Evidence{{Key: "reply message", Value: "wel�come"}, {Key: "delegated prefix, not used", Value: "2001:db8::/56"}, {Key: "delegated pool, not used", Value: "p"}}}},
	}
	shown := map[string]bool{"User-Name": true} // by TestMSCHAPv2IsAcceptedWithAllThatFreeRADIUSGives
	for _, tt := range tests {
		var attrs codec.Attributes
		var names []string
		for _, a := range tt.attrs {
			attrs = append(attrs, attribute(t, a.name, a.value))
			names = append(names, a.name)
			shown[a.name] = shown[a.name] || tt.err == ""
		}
		var g auth.Grant
		err := fill(&g, attrs)
		switch {
		case tt.err != "":
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v %q: %v, expected to hear %q", names, tt.attrs[0].value, err, tt.err)
			}
		case err != nil:
			t.Errorf("%v: %v", names, err)
		default:
			if diff := cmp.Diff(tt.want, g, cmp.AllowUnexported(netip.Addr{}, netip.Prefix{}), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%v: %s", names, diff)
			}
		}
	}
	for _, a := range Attributes() {
		switch {
		case a.Effect != "" && !shown[a.Name]:
			t.Errorf("%s has an effect that no row shows", a.Name)
		case a.Ignored != "" && a.apply == nil:
			var g auth.Grant
			if err := fill(&g, codec.Attributes{attribute(t, a.Name, []byte("anything"))}); err != nil || !cmp.Equal(g, auth.Grant{}, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})) {
				t.Errorf("%s is ignored, but gives %+v, %v", a.Name, g, err)
			}
		}
	}
}

// TestLongFilter cuts rules at 253 octets, as RFC 4849 has it.
func TestLongFilter(t *testing.T) {
	var texts []string
	for range 20 {
		texts = append(texts, "permit in tcp from any to 192.0.2.0/24 80,443", "deny in ip from any to 192.0.2.0/24")
	}
	all := strings.Join(texts, "\x00")
	var attrs codec.Attributes
	for len(all) > 0 {
		n := min(len(all), 253)
		attrs = append(attrs, attribute(t, "NAS-Filter-Rule", []byte(all[:n])))
		all = all[n:]
	}
	var g auth.Grant
	if err := fill(&g, attrs); err != nil || len(g.Filter) != len(texts) {
		t.Errorf("%d rules, %v, want %d", len(g.Filter), err, len(texts))
	}
}

// TestVendorsAttributesThatLie are an error where they might limit something.
func TestVendorsAttributesThatLie(t *testing.T) {
	for _, tt := range []struct {
		vendor  uint32
		refused bool
	}{{vendorMicrosoft, true}, {vendorWISPr, true}, {vendorMikrotik, true}, {9, false}} {
		lying := append(binary.BigEndian.AppendUint32(nil, tt.vendor), 7, 200, 1)
		err := fill(new(auth.Grant), codec.Attributes{{Type: rfc2865.VendorSpecific_Type, Attribute: lying}})
		if (err != nil) != tt.refused {
			t.Errorf("vendor %d: %v", tt.vendor, err)
		}
	}
}
