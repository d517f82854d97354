package accounting

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"pgregory.net/rapid"

	"bridgehead/auth"
	"bridgehead/ikev2"
)

var testNAS = NAS{
	Identifier: "vpn.example.org", Address: netip.MustParseAddr("192.0.2.1"), Authentic: rfc2866.AcctAuthentic_Value_Local,
	Station: func(a netip.AddrPort) string { return a.String() },
}

// What stands in each kind of record, by the numbers of the attributes.
func TestAttributes(t *testing.T) {
	s := session("00112233445566ff")
	s.Unclaimed = []netip.Addr{netip.MustParseAddr("10.99.0.8")}
	r := record{Time: time.Unix(1700000000, 0), Lasted: 90 * time.Second, Totals: auth.Totals{BytesIn: 3<<32 + 1, BytesOut: 2, PacketsIn: 4, PacketsOut: 5}, Cause: "session-timeout", Mark: "epoch"}
	const (
		who  = "44=00112233445566ff 50=00112233445566ff 1=alice@example.org 89=cui 32=vpn.example.org 4=192.0.2.1 5=1146447615 61=5 87=ikev2-00112233445566ff 6=2 30=192.0.2.1:4500 31=198.51.100.9:61000 "
		how  = "77=IKEv2 windows aes256-sha256-modp2048 00112233445566ff 45=2 55=1700000000 41=7 8=10.99.0.7 168=2001:db8:99::7 "
		much = "46=90 42=1 52=3 47=4 43=2 53=0 48=5 "
		rest = "25=\x01\x02\x03 25=second"
	)
	for k, want := range map[kind]string{
		kindStart:   "40=1 " + who + how + rest,
		kindInterim: "40=3 " + who + how + much + rest,
		kindStop:    "40=2 " + who + how + much + "8=10.99.0.8 49=5 " + rest,
		kindOn:      "40=7 44=epoch 32=vpn.example.org 4=192.0.2.1 55=1700000000 41=7",
		kindOff:     "40=8 44=epoch 32=vpn.example.org 4=192.0.2.1 55=1700000000 41=7",
	} {
		r.Kind = k
		attrs := testNAS.mark(r, r.Time.Add(7*time.Second))
		if k != kindOn && k != kindOff {
			attrs = testNAS.session(s, r, r.Time.Add(7*time.Second))
		}
		if got := spell(attrs); got != want {
			t.Errorf("%v:\n got %s\nwant %s", k, got, want)
		}
	}
}

// spell writes attributes for a person.
func spell(attrs codec.Attributes) string {
	numbers := []codec.Type{5, 6, 40, 41, 42, 43, 45, 46, 47, 48, 49, 52, 53, 55, 61}
	var words []string
	for _, a := range attrs {
		text := string(a.Attribute)
		switch {
		case slices.Contains(numbers, a.Type):
			n, _ := codec.Integer(a.Attribute)
			text = fmt.Sprint(n)
		case a.Type == rfc2865.NASIPAddress_Type || a.Type == rfc2865.FramedIPAddress_Type || a.Type == 168:
			ip, _ := netip.AddrFromSlice(a.Attribute)
			text = ip.String()
		}
		words = append(words, fmt.Sprintf("%d=%s", a.Type, text))
	}
	return strings.Join(words, " ")
}

// Every cause for which a session or a login ends has a word of RFC 2866, and
// what is not known is the gateway's error.
func TestEveryCauseHasATermination(t *testing.T) {
	for _, c := range append(ikev2.Causes(), auth.CauseAccountingFull, auth.CauseAccountingNotWritten, auth.CauseAccountingUnanswered) {
		if _, ok := terminations[c]; !ok {
			t.Errorf("%s has no Acct-Terminate-Cause", c)
		}
	}
	for c, want := range map[auth.Cause]rfc2866.AcctTerminateCause{
		ikev2.CauseClientDisconnected: userRequest, ikev2.CauseLostCarrier: lostCarrier, ikev2.CauseIdleTimeout: idleTimeout,
		ikev2.CauseSessionTimeout: sessionTimeout, ikev2.CauseOperator: adminReset, ikev2.CauseRADIUS: adminReset,
		ikev2.CauseShutdown: adminReboot, ikev2.CauseDataPlane: nasError, ikev2.CauseAuthMismatch: userError,
		causeCrash: nasReboot, "of tomorrow": nasError,
	} {
		if got := termination(c); got != want {
			t.Errorf("%s is %v, expected %v", c, got, want)
		}
	}
}

// However much a session has, its records are packets that can be sent.
func TestRecordsAreAlwaysPackets(t *testing.T) {
	text := rapid.StringN(0, 600, -1)
	some := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 0, 40)
	rapid.Check(t, func(t *rapid.T) {
		s := auth.Session{
			ID: text.Draw(t, "id"), User: text.Draw(t, "user"), Client: text.Draw(t, "client"), Suite: text.Draw(t, "suite"),
			Class: some.Draw(t, "class"), ChargeableUser: rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "cui"),
			Addresses: []netip.Addr{{}, netip.MustParseAddr("::ffff:10.0.0.1")},
		}
		r := record{
			Kind: rapid.SampledFrom([]kind{kindStart, kindInterim, kindStop}).Draw(t, "kind"),
			Time: time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "at"), 0), Lasted: time.Duration(rapid.Int64().Draw(t, "lasted")),
		}
		p := codec.Packet{Code: codec.CodeAccountingRequest, Attributes: testNAS.session(s, r, time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "now"), 0))}
		b, err := p.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := codec.ParseAttributes(b[20:]); err != nil {
			t.Fatal(err)
		}
	})
}

// What is written down is read back, and keys stand in the order of records.
func TestRecordsOnDisk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`[a-z0-9]{1,253}`).Draw(t, "id")
		n := rapid.Uint32Range(0, 1<<32-2).Draw(t, "number")
		key := recordKey(id, n)
		if got, m, err := readRecordKey(key); got != id || m != n || err != nil {
			t.Fatalf("%q %d %v", got, m, err)
		}
		if bytes.Compare(key, recordKey(id, n+1)) >= 0 || bytes.HasPrefix(recordKey(id+"x", n), append([]byte(id), 0)) {
			t.Fatalf("the order of %q, %d", id, n)
		}
		want := record{Kind: kindInterim, Time: time.Unix(rapid.Int64Range(0, 1<<35).Draw(t, "at"), 0).UTC(), Lasted: time.Duration(rapid.Int64Range(0, 1<<60).Draw(t, "lasted")), Totals: auth.Totals{BytesIn: rapid.Uint64().Draw(t, "in")}}
		if got, err := parse[record](encode(want)); err != nil || got != want {
			t.Fatalf("%+v %v", got, err)
		}
	})
}

// FuzzRecords reads anything as what may stand in the file: it is refused, or
// makes a packet that can be sent.
func FuzzRecords(f *testing.F) {
	f.Add(recordKey("0123", 7), encode(entry{1, session("0123")}), encode(record{Kind: kindStop, Time: time.Unix(1, 0), Cause: "x"}))
	f.Add(markKey(3, kindOn), []byte(`{"Session":{"ID":"a","Class":["AAAA"],"Addresses":["10.0.0.1"]}}`), []byte(`{"Kind":3,"Lasted":-1}`))
	f.Add([]byte("\x00"), []byte(`{}`), []byte(`{"Kind":1,"Time":"9999-12-31T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, key, session, rec []byte) {
		if id, n, err := readRecordKey(key); err == nil && !bytes.Equal(recordKey(id, n), key) {
			t.Errorf("%q is read as %q, %d", key, id, n)
		}
		if e, k, err := readMarkKey(key); err == nil && !bytes.Equal(markKey(e, k), key) {
			t.Errorf("%q is read as %d, %v", key, e, k)
		}
		if n, err := parse[note](rec); err == nil && n.Lasted < 0 {
			t.Errorf("%+v", n)
		}
		e, err := parse[entry](session)
		if err != nil {
			return
		}
		r, err := parse[record](rec)
		if err != nil {
			return
		}
		for _, attrs := range []codec.Attributes{testNAS.session(e.Session, r, time.Unix(1700000000, 0)), testNAS.mark(r, time.Unix(0, 0))} {
			p := codec.Packet{Code: codec.CodeAccountingRequest, Attributes: attrs}
			if _, err := p.MarshalBinary(); err != nil {
				t.Errorf("%s %s: %v", session, rec, err)
			}
		}
	})
}

// A session is not much on disk.
func TestSizeOnDisk(t *testing.T) {
	b, err := json.Marshal(entry{1, session("0123456789abcdef")})
	if err != nil {
		t.Fatal(err)
	}
	whole := cost(b) + cost(encode(record{Kind: kindStart, Time: time.Now()})) + stopCost
	if whole > 1500 {
		t.Errorf("%d octets, while the configuration's advice says about 1,500", whole)
	}
	t.Logf("a session takes %d octets of the spool", whole)
}
