package radius

import (
	"bytes"
	"encoding/hex"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3162"

	"bridgehead/auth/eap"
)

func TestAttributesInWords(t *testing.T) {
	eapPacket := eap.Packet{Code: eap.CodeResponse, Identifier: 7, Type: eap.TypeIdentity, Data: bytes.Repeat([]byte("a"), 300)}.Append(nil)
	attrs := codec.Attributes{
		avp(rfc2865.UserName_Type, "al\x1bice"),
		avp(rfc2865.UserPassword_Type, "0123456789abcdef"),
		avp(rfc2865.ServiceType_Type, "\x00\x00\x00\x02"),
		avp(rfc2865.NASPortType_Type, "\x00\x00\x01\x00"),
		avp(rfc2865.SessionTimeout_Type, "\x00\x00\x0e\x10"),
		avp(rfc2865.SessionTimeout_Type, "\x0e\x10"),
		avp(rfc2865.FramedIPAddress_Type, "\xc0\x00\x02\x07"),
		avp(rfc3162.FramedIPv6Prefix_Type, "\x00\x40\x20\x01\x0d\xb8"),
		avp(rfc2865.Class_Type, "staff"), avp(rfc2865.Class_Type, "\x00\xff"),
		avp(rfc2865.State_Type, "opaque"), avp(240, "not known"),
		avp(rfc2865.VendorSpecific_Type, "\x00\x00\x01\x37\x10\x04ab\x1c\x06\xc0\x00\x02\x35\x63\x03z"),
		avp(rfc2865.VendorSpecific_Type, "\x00\x00\x01"),
	}
	attrs = split(attrs, rfc2869.EAPMessage_Type, eapPacket)
	want := []NamedValue{
		{"User-Name", `"al�ice"`}, {"User-Password", "[16 octets]"}, {"Service-Type", "Framed-User"}, {"NAS-Port-Type", "256"},
		{"Session-Timeout", "3600"}, {"Session-Timeout", "[2 octets]"}, {"Framed-IP-Address", "192.0.2.7"}, {"Framed-IPv6-Prefix", "2001:db8::/64"},
		{"Class", `"staff"`}, {"Class", "0x00ff"}, {"State", "[6 octets]"}, {"Attribute-240", "[9 octets]"},
		{"MS-MPPE-Send-Key", "[2 octets]"}, {"MS-Primary-DNS-Server", "192.0.2.53"}, {"Vendor-311-Attribute-99", "[1 octets]"},
		{"Vendor-Specific", "[3 octets]"},
		{"EAP-Message", "EAP-Response Identity, identifier 7, 305 octets"},
	}
	if d := cmp.Diff(want, describe(attrs)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	for _, a := range attributes {
		k, ok := names[a.Type]
		if a.Vendor != 0 {
			k, ok = vendorNames[attributeKey{a.Vendor, a.Type}]
		}
		if !ok || k.name != a.Name {
			t.Errorf("%s is described as %q", a.Name, k.name)
		}
	}
}

// FuzzDescribe has any octets put into words: no value that may be a secret
// gets through.
func FuzzDescribe(f *testing.F) {
	f.Add([]byte("\x02\x12passwordpassword\x1a\x0e\x00\x00\x01\x37\x11\x08secret\x4f\x06\x01\x02\x00\x05"))
	f.Fuzz(func(t *testing.T, b []byte) {
		attrs, err := codec.ParseAttributes(b)
		if err != nil {
			return
		}
		for _, a := range attrs {
			if k := names[a.Type]; a.Type == rfc2865.VendorSpecific_Type || k.form != asLength || len(a.Attribute) < 12 {
				continue
			}
			for _, v := range describe(codec.Attributes{a}) {
				if strings.Contains(v.Value, string(a.Attribute)) || strings.Contains(v.Value, hex.EncodeToString(a.Attribute)) {
					t.Errorf("%s = %s shows %q", v.Name, v.Value, a.Attribute)
				}
			}
		}
	})
}

func TestPacketsAreObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			mu   sync.Mutex
			hops []Hop
		)
		first := true
		w := &wire{answer: func(q []byte) [][]byte {
			if codec.Code(q[0]) == codec.CodeStatusServer || first {
				first = first && codec.Code(q[0]) == codec.CodeStatusServer
				return nil
			}
			return [][]byte{reply(q, codec.CodeAccessReject, unsigned), reply(q, codec.CodeAccessReject, signed)}
		}}
		s := newTestServer(t, w, noStatus)
		s.options.Observe = func(h Hop) { mu.Lock(); hops = append(hops, h); mu.Unlock() }
		defer s.Close()
		if _, err := s.Exchange(within(t, 20e9), someone()); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		var got []string
		for _, h := range hops {
			got = append(got, strings.Join([]string{[]string{"sent", "received", "discarded"}[h.Direction], h.Code, strings.Repeat("again ", max(h.Try-1, 0))}, " "))
			if h.Server != "one" || h.Time.IsZero() || len(h.Attributes) == 0 && h.Direction == Sent {
				t.Errorf("%+v", h)
			}
		}
		if d := cmp.Diff([]string{"sent Access-Request ", "sent Access-Request again ", "discarded Access-Reject ", "received Access-Reject "}, got); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
		if last := hops[len(hops)-1]; hops[2].Error == nil || last.RoundTrip == 0 {
			t.Errorf("%+v", hops)
		}
	})
}
