package radius

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"
	"pgregory.net/rapid"

	"bridgehead/auth"
	"bridgehead/integration/secrecy"
)

func question(t testing.TB, code codec.Code) request {
	t.Helper()
	q, err := encode(code, 7, [16]byte{1, 2, 3}, codec.Attributes{avp(rfc2865.UserName_Type, "alice")}, auth.Secret(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestRequestsAreSignedFirst(t *testing.T) {
	for _, code := range []codec.Code{codec.CodeAccessRequest, codec.CodeStatusServer} {
		if q := question(t, code); !authentic(q) {
			t.Errorf("%s: %x is not signed by its first attribute", code, q)
		}
	}
}

func TestOnlyAuthenticRepliesCount(t *testing.T) {
	access, status := question(t, codec.CodeAccessRequest), question(t, codec.CodeStatusServer)
	other := bytes.Clone(access)
	other[5]++ // another request's authenticator
	eap := avp(rfc2869.EAPMessage_Type, "\x03\x01\x00\x04")
	flip := func(b []byte, at int) []byte { b = bytes.Clone(b); b[at] ^= 0x40; return b }
	good := reply(access, codec.CodeAccessAccept, signed, eap)
	for name, tc := range map[string]struct {
		packet   []byte
		question request
		lax      bool
		want     error
	}{
		"accept":                         {packet: good},
		"reject":                         {packet: reply(access, codec.CodeAccessReject, signed)},
		"challenge":                      {packet: reply(access, codec.CodeAccessChallenge, signed, eap)},
		"padded":                         {packet: append(bytes.Clone(good), 0, 0, 0)},
		"many Proxy-State":               {packet: reply(access, codec.CodeAccessAccept, signed, avp(33, "a"), avp(33, "b"), avp(33, "c"), avp(33, ""))},
		"unsigned accept":                {packet: reply(access, codec.CodeAccessAccept, unsigned), want: errUnsigned},
		"unsigned reject":                {packet: reply(access, codec.CodeAccessReject, unsigned), want: errUnsigned},
		"unsigned where allowed":         {packet: reply(access, codec.CodeAccessReject, unsigned), lax: true},
		"unsigned EAP where allowed":     {packet: reply(access, codec.CodeAccessAccept, unsigned, eap), lax: true, want: errUnsigned},
		"wrong MAC where none is needed": {packet: reply(access, codec.CodeAccessReject, wrongMAC), lax: true, want: errMAC},
		"wrong MAC":                      {packet: reply(access, codec.CodeAccessAccept, wrongMAC, eap), want: errMAC},
		"two MACs":                       {packet: reply(access, codec.CodeAccessAccept, twoMACs), want: errMAC},
		"a MAC of three octets":          {packet: reply(access, codec.CodeAccessAccept, shortMAC), want: errMAC},
		"wrong authenticator":            {packet: reply(access, codec.CodeAccessAccept, wrongAuthenticator), want: errAuthenticator},
		"an attribute changed":           {packet: flip(good, headerLen+3), want: errAuthenticator},
		"the code changed":               {packet: flip(reply(access, codec.CodeAccessReject, signed), 0), want: errUnexpected},
		"right for another request":      {packet: reply(other, codec.CodeAccessAccept, signed, eap), want: errAuthenticator},
		"another identifier":             {packet: flip(good, 1), want: errUnexpected},
		"accounting's answer":            {packet: reply(access, codec.CodeAccountingResponse, signed), want: errUnexpected},
		"status: unsigned accept":        {packet: reply(status, codec.CodeAccessAccept, unsigned), question: status},
		"status: accounting's answer":    {packet: reply(status, codec.CodeAccountingResponse, unsigned), question: status},
		"status: reject":                 {packet: reply(status, codec.CodeAccessReject, signed), question: status, want: errUnexpected},
		"status: wrong MAC":              {packet: reply(status, codec.CodeAccessAccept, wrongMAC), question: status, want: errMAC},
		"empty":                          {packet: nil, want: errMalformed},
		"cut in the header":              {packet: good[:19], want: errMalformed},
		"cut in an attribute":            {packet: good[:len(good)-1], want: errMalformed},
		"a length below the header's":    {packet: func() []byte { b := bytes.Clone(good); b[2], b[3] = 0, 19; return b }(), want: errMalformed},
		"an attribute of length 0":       {packet: func() []byte { b := bytes.Clone(good); b[headerLen+1] = 0; return b }(), want: errMalformed},
		"an attribute of length 1":       {packet: func() []byte { b := bytes.Clone(good); b[headerLen+1] = 1; return b }(), want: errMalformed},
		"an attribute beyond the packet": {packet: func() []byte { b := bytes.Clone(good); b[headerLen+1] = 255; return b }(), want: errMalformed},
	} {
		if tc.question == nil {
			tc.question = access
		}
		_, _, err := verify(tc.packet, tc.question, auth.Secret(testSecret), tc.lax)
		if !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
			t.Errorf("%s: %v, expected %v", name, err, tc.want)
		}
	}
	if _, _, err := verify(good, access, auth.Secret("another secret"), false); !errors.Is(err, errAuthenticator) {
		t.Errorf("another secret: %v", err)
	}
}

func TestLongValuesSurviveSplitting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "value")
		attrs := split(codec.Attributes{avp(1, "before")}, rfc2869.EAPMessage_Type, value)
		got, ok := join(attrs, rfc2869.EAPMessage_Type)
		if !ok || !bytes.Equal(got, value) {
			t.Fatalf("%d octets became %d", len(value), len(got))
		}
	})
}

func TestRetransmissionFollowsRFC5080(t *testing.T) {
	r := Retransmission{}.withDefaults()
	rapid.Check(t, func(t *rapid.T) {
		random := seeded(rapid.Byte().Draw(t, "seed"))
		wait := time.Duration(0)
		for i, middle := range []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 16 * time.Second} {
			before := wait
			wait = r.after(wait, random)
			low, high := middle*9/10, middle*11/10
			if before > 0 && 2*before <= r.Most {
				low, high = 2*before-before/10, 2*before+before/10
			}
			if wait < low || wait > high {
				t.Fatalf("wait %d is %s after %s, expected %s to %s", i, wait, before, low, high)
			}
		}
	})
}

func TestVendorAttributes(t *testing.T) {
	for name, tc := range map[string]struct {
		value string
		want  []vendorAttribute
		ok    bool
	}{
		"one":               {"\x00\x00\x01\x37\x10\x04ab", []vendorAttribute{{311, 16, []byte("ab")}}, true},
		"two":               {"\x00\x00\x01\x37\x10\x04ab\x11\x03c", []vendorAttribute{{311, 16, []byte("ab")}, {311, 17, []byte("c")}}, true},
		"empty value":       {"\x00\x00\x01\x37\x10\x02", []vendorAttribute{{311, 16, []byte{}}}, true},
		"no attribute":      {"\x00\x00\x01\x37", nil, false},
		"length 0":          {"\x00\x00\x01\x37\x10\x00ab", nil, false},
		"length 1":          {"\x00\x00\x01\x37\x10\x01ab", nil, false},
		"beyond the end":    {"\x00\x00\x01\x37\x10\x05ab", nil, false},
		"one octet is left": {"\x00\x00\x01\x37\x10\x04ab\x11", nil, false},
	} {
		got, err := vendorAttributes([]byte(tc.value))
		if (err == nil) != tc.ok || !cmp.Equal(got, tc.want, cmp.AllowUnexported(vendorAttribute{})) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestSecretsNeverPrint(t *testing.T) {
	w := &wire{answer: silence}
	s := newTestServer(t, w, nil)
	defer s.Close()
	secret := []byte(testSecret)
	r := Reply{secret: secret, Attributes: codec.Attributes{avp(1, testSecret)}}
	secrecy.Check(t, secret, s.config, &s.config, s, r, &r)
}

func FuzzVerify(f *testing.F) {
	q := question(f, codec.CodeAccessRequest)
	f.Add(reply(q, codec.CodeAccessAccept, signed, avp(79, "\x03\x01\x00\x04"))[headerLen:], true)
	f.Add([]byte{80, 0}, false)
	f.Add([]byte{26, 255, 0, 0}, true)
	f.Fuzz(func(t *testing.T, body []byte, sealed bool) {
		// The Response Authenticator is made right, so that what lies behind it
		// is reached; the Message-Authenticator can't be guessed.
		b := append(bytes.Clone(q[:headerLen]), body...)
		b[0], b[2], b[3] = byte(codec.CodeAccessAccept), byte(len(b)>>8), byte(len(b))
		if sealed {
			seal(b)
		}
		code, attrs, err := verify(b, q, auth.Secret(testSecret), true)
		if err != nil {
			return
		}
		if code != codec.CodeAccessAccept {
			t.Fatalf("code %v", code)
		}
		n := headerLen
		for _, a := range attrs {
			n += 2 + len(a.Attribute)
		}
		if n != len(b) {
			t.Fatalf("%d octets of attributes from a packet of %d", n, len(b))
		}
	})
}

func FuzzAttributes(f *testing.F) {
	f.Add([]byte{27, 6, 0, 0, 14, 16, 8, 6, 10, 0, 0, 1})
	f.Add([]byte("\x5c\x1bpermit in ip from any to any\x5c\x04 x\x1a\x0e\x00\x00\x3a\x8c\x08\x081M/2M 5\x0b\x1abridgehead:rate-up=10M"))
	f.Add([]byte("\x16\x0d192.0.2.0/24\x1a\x0c\x00\x00\x01\x37\x1c\x06\x0a\x00\x00\x35"))
	f.Fuzz(func(t *testing.T, b []byte) {
		attrs, err := codec.ParseAttributes(b)
		if err != nil {
			return
		}
		var g auth.Grant
		_ = fill(&g, attrs)
		if g.SessionTimeout < 0 || g.IdleTimeout < 0 || g.MaxSessions < 0 {
			t.Fatalf("a negative limit: %+v", g)
		}
		for _, a := range g.Addresses {
			if !a.IsValid() || a.IsUnspecified() {
				t.Fatalf("address %v", a)
			}
		}
		for _, p := range g.Routes {
			if !p.IsValid() || p != p.Masked() {
				t.Fatalf("route %v", p)
			}
		}
		r := &Reply{Attributes: attrs, question: make(request, headerLen), secret: auth.Secret(testSecret)}
		if key, err := msk(r); err == nil && len(key) != mskLen {
			t.Fatalf("a key of %d octets", len(key))
		}
		_, _, _ = packetOf(r)
		_, _ = nameOf(r)
	})
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte("\x02\x01\x00\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00rest"))
	f.Add([]byte("\x02\x01\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		buf := make([]byte, codec.MaxPacketLength)
		r := bytes.NewReader(b)
		for {
			n, err := readFrame(r, buf)
			if err != nil {
				return
			}
			if n < headerLen || n > codec.MaxPacketLength {
				t.Fatalf("a frame of %d octets", n)
			}
		}
	})
}
