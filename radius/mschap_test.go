package radius

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/vendors/microsoft"
	"pgregory.net/rapid"

	"bridgehead/auth"
)

const proofText = "\x07S=0102030405060708090A0B0C0D0E0F1011121314"

func microsoftAVP(kind uint8, value string) *codec.AVP {
	var a codec.Attributes
	addVendor(&a, vendorMicrosoft, kind, []byte(value))
	return a[0]
}

func asked() auth.MSCHAPv2Response {
	r := auth.MSCHAPv2Response{Name: `CORP\alice`, Ident: 7, Peer: auth.Peer{
		Session: "session", Client: "windows",
		Remote: netip.MustParseAddrPort("192.0.2.77:4500"), Local: netip.MustParseAddrPort("192.0.2.1:4500"),
	}}
	copy(r.AuthenticatorChallenge[:], "authenticator---")
	copy(r.PeerChallenge[:], "peer------------")
	copy(r.NTResponse[:], "response----------------")
	return r
}

func changeOf() auth.PasswordChange {
	c := auth.PasswordChange{Response: asked(), Flags: 0x0102}
	copy(c.EncryptedHash[:], "hash------------")
	for i := range c.EncryptedPassword {
		c.EncryptedPassword[i] = byte(i)
	}
	return c
}

func newTestVerifier(t *testing.T, c VerifierConfig) *Verifier {
	t.Helper()
	v, err := NewVerifier(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// judge has the servers of the wires judge an answer within 10 s.
func judge(t *testing.T, ws ...*wire) (auth.Keys, error) {
	t.Helper()
	g := newTestGroup(t, nil, ws...)
	defer g.Close()
	return newTestVerifier(t, VerifierConfig{Group: g}).Verify(within(t, 10*time.Second), asked())
}

// onlyRequest is the packet of the one Access-Request that a server got.
func onlyRequest(t *testing.T, w *wire) *codec.Packet {
	t.Helper()
	list := requests(w.packets(), codec.CodeAccessRequest)
	if len(list) != 1 || !authentic(list[0]) {
		t.Fatalf("%d requests, the first %x", len(list), list)
	}
	p, err := codec.Parse(list[0], []byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhatIsAskedForAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answer: script(accept(microsoftAVP(msCHAP2Success, proofText)))}
		g := newTestGroup(t, nil, w)
		defer g.Close()
		v := newTestVerifier(t, VerifierConfig{Group: g, NASIdentifier: "vpn", StationPort: true})
		if _, err := v.Verify(within(t, time.Second), asked()); err != nil {
			t.Fatal(err)
		}
		p := onlyRequest(t, w)
		for what, got := range map[string][2]string{
			"User-Name":          {rfc2865.UserName_GetString(p), `CORP\alice`},
			"NAS-Identifier":     {rfc2865.NASIdentifier_GetString(p), "vpn"},
			"Calling-Station-Id": {rfc2865.CallingStationID_GetString(p), "192.0.2.77:4500"},
			"MS-CHAP-Challenge":  {string(microsoft.MSCHAPChallenge_Get(p)), "authenticator---"},
			// RFC 2548 §2.3.2: Ident, Flags, Peer-Challenge, Reserved, Response.
			"MS-CHAP2-Response": {string(microsoft.MSCHAP2Response_Get(p)), "\x07\x00peer------------" + strings.Repeat("\x00", 8) + "response----------------"},
			"EAP-Message":       {string(p.Get(79)), ""},
			"Framed-MTU":        {string(p.Get(rfc2865.FramedMTU_Type)), ""},
		} {
			if got[0] != got[1] {
				t.Errorf("%s is %q, want %q", what, got[0], got[1])
			}
		}
	})
}

func TestWhatIsAskedForAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answer: script(accept(microsoftAVP(msCHAP2Success, proofText)))}
		g := newTestGroup(t, nil, w)
		defer g.Close()
		c := changeOf()
		if _, err := newTestVerifier(t, VerifierConfig{Group: g}).ChangePassword(within(t, time.Second), c); err != nil {
			t.Fatal(err)
		}
		p := onlyRequest(t, w)
		// RFC 2548 §2.3.4: Code, Ident, Encrypted-Hash, Peer-Challenge,
		// Reserved, NT-Response, Flags.
		want := "\x07\x07hash------------peer------------" + strings.Repeat("\x00", 8) + "response----------------\x01\x02"
		if got := string(microsoft.MSCHAP2CPW_Get(p)); got != want || len(got) != 68 {
			t.Errorf("MS-CHAP2-CPW %q, want %q", got, want)
		}
		parts, err := microsoft.MSCHAPNTEncPW_Gets(p)
		if err != nil || len(parts) != 3 {
			t.Fatalf("%d parts, %v", len(parts), err)
		}
		var whole []byte
		for i, part := range parts { // RFC 2548 §2.2: Code, Ident, Sequence-Number
			if !bytes.Equal(part[:4], []byte{6, 7, 0, byte(i + 1)}) {
				t.Errorf("part %d begins with %x", i, part[:4])
			}
			whole = append(whole, part[4:]...)
		}
		if !bytes.Equal(whole, c.EncryptedPassword[:]) || len(parts[0]) != 4+243 || len(microsoft.MSCHAP2Response_Get(p)) != 0 {
			t.Error("the encrypted password is not whole, or an answer stands beside it")
		}
		if string(microsoft.MSCHAPChallenge_Get(p)) != "authenticator---" {
			t.Error("the challenge is missing")
		}
	})
}

func TestAnAcceptIsOneOnlyWithProofAndKeys(t *testing.T) {
	success := microsoftAVP(msCHAP2Success, proofText)
	odd := func(text string) func([]byte) []byte { return accept(microsoftAVP(msCHAP2Success, text)) }
	for name, tc := range map[string]struct {
		answer func([]byte) []byte
		cause  auth.Cause // empty: in
		name   string
	}{
		"all there":             {answer: accept(success), name: `CORP\alice`},
		"the server's own name": {answer: accept(success, avp(rfc2865.UserName_Type, "alice@corp")), name: "alice@corp"},
		"a name that disturbs":  {answer: accept(success, avp(rfc2865.UserName_Type, "alice\x1b[2J")), name: `CORP\alice`},
		"digits in lower case":  {answer: odd(strings.ToLower(proofText)[:1] + "S=" + strings.ToLower(proofText[3:])), name: `CORP\alice`},
		"no proof":              {answer: accept(), cause: auth.CauseNoMSCHAPSuccess},
		"two proofs":            {answer: accept(success, success), cause: auth.CauseNoMSCHAPSuccess},
		"an empty proof":        {answer: odd(""), cause: auth.CauseNoMSCHAPSuccess},
		"a short proof":         {answer: odd(proofText[:42]), cause: auth.CauseNoMSCHAPSuccess},
		"a long proof":          {answer: odd(proofText + " M=OK"), cause: auth.CauseNoMSCHAPSuccess},
		"a proof without S=":    {answer: odd("\x07T=" + proofText[3:]), cause: auth.CauseNoMSCHAPSuccess},
		"a proof of no digits":  {answer: odd(proofText[:42] + "G"), cause: auth.CauseNoMSCHAPSuccess},
		"no keys":               {answer: func(q []byte) []byte { return reply(q, codec.CodeAccessAccept, signed, success) }, cause: CauseNoKey},
		"half the keys": {answer: func(q []byte) []byte {
			return reply(q, codec.CodeAccessAccept, signed, success, key(q, msMPPESendKey, sendKey))
		}, cause: CauseNoKey},
		"a limit of three octets": {answer: accept(success, avp(rfc2865.SessionTimeout_Type, "abc")), cause: CauseBadAttribute},
		"a challenge":             {answer: challenge(avp(rfc2865.State_Type, "s")), cause: auth.CauseChallengeWithoutEAP},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				keys, err := judge(t, &wire{answer: script(tc.answer)})
				if tc.cause != "" {
					var outage *auth.OutageError
					if !errors.As(err, &outage) || outage.Reason.Cause != tc.cause || outage.Reason.Evidence[0].Value != "s0" || keys.Grant.MSK != nil {
						t.Fatalf("%v, %v", keys, err)
					}
					return
				}
				if err != nil || keys.Grant.Name != tc.name || string(keys.Grant.MSK) != receiveKey+sendKey+strings.Repeat("\x00", 16) || keys.AuthenticatorResponse[0] != 1 || keys.AuthenticatorResponse[19] != 0x14 {
					t.Fatalf("%v, proof %x, %v", keys, keys.AuthenticatorResponse, err)
				}
			})
		})
	}
}

// TestRefusalsAreTheServers: FreeRADIUS sends 691, 647, 648 and 709 (see
// integration/radius); here stand the codes that it has no way to send, and
// errors that nobody should.
func TestRefusalsAreTheServers(t *testing.T) {
	c := "00112233445566778899AABBCCDDEEFF"
	var given [16]byte
	if _, err := hex.Decode(given[:], []byte(c)); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		text  string // of MS-CHAP-Error, without its identifier
		bare  bool   // no such attribute
		want  auth.Refusal
		cause auth.Cause
		odd   bool // the evidence tells that it can't be read
	}{
		"hours":             {text: "E=646 R=0 C=" + c + " V=3 M=not at night", want: auth.Refusal{Code: 646, Challenge: &given, Message: "not at night"}, cause: auth.CauseLogonHours},
		"disabled":          {text: "E=647 R=0 V=3", want: auth.Refusal{Code: 647}, cause: auth.CauseAccountDisabled},
		"expired, retry":    {text: "E=648 R=1 C=" + c + " V=3 M=old", want: auth.Refusal{Code: 648, Retry: true, Challenge: &given, Message: "old"}, cause: auth.CausePasswordExpired},
		"no dial-in":        {text: "E=649 R=0 C=" + c + " V=3 M=", want: auth.Refusal{Code: 649, Challenge: &given}, cause: auth.CauseNoDialinPermission},
		"wrong":             {text: "E=691 R=1 C=" + c + " V=3 M=no", want: auth.Refusal{Code: 691, Retry: true, Challenge: &given, Message: "no"}, cause: CauseRefused},
		"not changed":       {text: "E=709 R=0 M=too short", want: auth.Refusal{Code: 709, Message: "too short"}, cause: auth.CausePasswordNotChanged},
		"an unknown code":   {text: "E=4711 R=1", want: auth.Refusal{Code: 4711, Retry: true}, cause: CauseRefused},
		"a text that bites": {text: "E=647 R=0 M=\x1b[2Jbye", want: auth.Refusal{Code: 647, Message: "�[2Jbye"}, cause: auth.CauseAccountDisabled},
		"no error":          {bare: true, want: auth.Refusal{Code: 691}, cause: CauseRefused},
		"no code":           {text: "R=1 V=3", want: auth.Refusal{Code: 691}, cause: CauseRefused, odd: true},
		"code 0":            {text: "E=0 R=1", want: auth.Refusal{Code: 691}, cause: CauseRefused, odd: true},
		"a negative code":   {text: "E=-648 R=1", want: auth.Refusal{Code: 691}, cause: CauseRefused, odd: true},
		"half a challenge":  {text: "E=691 R=1 C=0011", want: auth.Refusal{Code: 691}, cause: CauseRefused, odd: true},
		"two codes":         {text: "E=691 E=648 R=1", want: auth.Refusal{Code: 691}, cause: CauseRefused, odd: true},
		"nothing at all":    {text: "", want: auth.Refusal{Code: 691}, cause: CauseRefused, odd: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				attrs := []*codec.AVP{avp(rfc2865.ReplyMessage_Type, "go away")}
				if !tc.bare {
					attrs = append(attrs, microsoftAVP(msCHAPError, "\x07"+tc.text))
				}
				keys, err := judge(t, &wire{answer: script(func(q []byte) []byte { return reply(q, codec.CodeAccessReject, signed, attrs...) })})
				var r *auth.Refusal
				if !errors.As(err, &r) || keys.Grant.MSK != nil {
					t.Fatalf("%v, %v", keys, err)
				}
				sameChallenge := (r.Challenge == nil) == (tc.want.Challenge == nil) && (r.Challenge == nil || *r.Challenge == *tc.want.Challenge)
				if r.Code != tc.want.Code || r.Retry != tc.want.Retry || r.Message != tc.want.Message || !sameChallenge || r.Reason.Cause != tc.cause {
					t.Errorf("%+v, want %+v", r, tc.want)
				}
				seen := map[string]string{}
				for _, e := range r.Reason.Evidence {
					seen[e.Key] = e.Value
				}
				if seen["server"] != "s0" || seen["method"] != mschapMethod || seen["reply message"] != "go away" || (seen["problem"] != "") != tc.odd {
					t.Errorf("evidence %+v", r.Reason.Evidence)
				}
			})
		})
	}
}

func TestAnEmptyErrorIsAPlainRefusal(t *testing.T) {
	if r, err := refusalOf(codec.Attributes{microsoftAVP(msCHAPError, "")}); err == nil || r.Code != auth.ErrorAuthenticationFailed || r.Retry {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestAnOutageIsNoWrongPassword(t *testing.T) {
	for name, tc := range map[string]struct {
		answer func([]byte) [][]byte
		cause  auth.Cause
	}{
		"dead":   {silence, auth.CauseBackendUnavailable},
		"slow":   {onlyStatus, auth.CauseBackendTimeout},
		"forged": {func(q []byte) [][]byte { return append(onlyStatus(q), reply(q, codec.CodeAccessAccept, wrongMAC)) }, CauseNotAuthentic},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, err := judge(t, &wire{answer: tc.answer})
				var outage *auth.OutageError
				if !errors.As(err, &outage) || outage.Reason.Cause != tc.cause || outage.Reason.Evidence[0].Value != "s0" {
					t.Errorf("%v", err)
				}
			})
		})
	}
	t.Run("the caller leaves", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newTestGroup(t, nil, &wire{answer: silence})
			defer g.Close()
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			if _, err := newTestVerifier(t, VerifierConfig{Group: g}).Verify(ctx, asked()); !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
		})
	})
	t.Run("its time is up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newTestGroup(t, nil, &wire{answer: onlyStatus})
			defer g.Close()
			began := time.Now()
			_, err := newTestVerifier(t, VerifierConfig{Group: g, StepTime: 4 * time.Second}).Verify(t.Context(), asked())
			var outage *auth.OutageError
			if !errors.As(err, &outage) || outage.Reason.Cause != auth.CauseBackendTimeout || time.Since(began) != 4*time.Second {
				t.Errorf("after %s: %v", time.Since(began), err)
			}
		})
	})
}

// TestOnlyAnswersGoToTheNextServer: a second server would find the password
// wrong that the first one, unheard, has changed.
func TestOnlyAnswersGoToTheNextServer(t *testing.T) {
	good := microsoftAVP(msCHAP2Success, proofText)
	synctest.Test(t, func(t *testing.T) {
		first, second := &wire{answer: silence}, &wire{answer: script(accept(good))}
		if _, err := judge(t, first, second); err != nil {
			t.Errorf("an answer: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		first, second := &wire{answer: silence}, &wire{answer: script(accept(good))}
		g := newTestGroup(t, nil, first, second)
		defer g.Close()
		_, err := newTestVerifier(t, VerifierConfig{Group: g}).ChangePassword(within(t, 10*time.Second), changeOf())
		var outage *auth.OutageError
		if n := len(requests(second.packets(), codec.CodeAccessRequest)); !errors.As(err, &outage) || n != 0 {
			t.Errorf("a change: %v, %d requests to the second server", err, n)
		}
	})
}

func TestNamesAndRealmsOfAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		server int // whom to ask; -1: nobody
	}{
		"alice":                         {0},
		"alice@branch.example":          {1},
		"alice@BRANCH.example":          {1},
		"":                              {-1},
		strings.Repeat("a", maxValue):   {0},
		strings.Repeat("a", maxValue+1): {-1},
	} {
		synctest.Test(t, func(t *testing.T) {
			ws := []*wire{{answer: script(accept(microsoftAVP(msCHAP2Success, proofText)))}, {answer: script(accept(microsoftAVP(msCHAP2Success, proofText)))}}
			main, branch := newTestGroup(t, nil, ws[0]), newTestGroup(t, nil, ws[1])
			defer main.Close()
			defer branch.Close()
			r := asked()
			r.Name = name
			_, err := newTestVerifier(t, VerifierConfig{Group: main, Realms: map[string]*Group{"branch.example": branch}}).Verify(within(t, time.Second), r)
			for i, w := range ws {
				if n := len(requests(w.packets(), codec.CodeAccessRequest)); (n == 1) != (i == tc.server) {
					t.Errorf("%.40q: server %d was asked %d times", name, i, n)
				}
			}
			var refusal *auth.Refusal
			if refused := errors.As(err, &refusal) && refusal.Reason.Cause == auth.CauseEAPMalformed; refused != (tc.server < 0) {
				t.Errorf("%.40q: %v", name, err)
			}
		})
	}
}

func TestAVerifierNeedsServers(t *testing.T) {
	var wrong *ConfigError
	if _, err := NewVerifier(VerifierConfig{}); !errors.As(err, &wrong) {
		t.Errorf("%v", err)
	}
}

func TestAnyProofSurvivesTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := [20]byte(rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "proof"))
		ident := rapid.Byte().Draw(t, "ident")
		var attrs codec.Attributes
		addVendor(&attrs, vendorMicrosoft, msCHAP2Success, []byte{ident}, []byte("S="+strings.ToUpper(hex.EncodeToString(want[:]))))
		if got, err := successOf(attrs); err != nil || got != want {
			t.Fatalf("%x, %v, want %x", got, err, want)
		}
	})
}

// FuzzMSCHAP reads any attributes as a server's proof and as its refusal.
func FuzzMSCHAP(f *testing.F) {
	for _, kind := range []uint8{msCHAPError, msCHAP2Success} {
		for _, text := range []string{"", "\x07", proofText, "\x07E=691 R=1 C=00112233445566778899AABBCCDDEEFF V=3 M=no", "\x07E=648 R=0 M="} {
			var p codec.Attributes
			addVendor(&p, vendorMicrosoft, kind, []byte(text))
			f.Add(append([]byte{26, byte(2 + len(p[0].Attribute))}, p[0].Attribute...))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		attrs, err := codec.ParseAttributes(b)
		if err != nil {
			return
		}
		if proof, err := successOf(attrs); err == nil {
			values := ofVendor(attrs, vendorMicrosoft, msCHAP2Success)
			if len(values) != 1 || !strings.EqualFold(string(values[0][1:]), "S="+hex.EncodeToString(proof[:])) {
				t.Fatalf("%x was read as %x", b, proof)
			}
		}
		r, err := refusalOf(attrs)
		if r == nil || r.Code <= 0 || err != nil && (r.Retry || r.Challenge != nil || r.Code != auth.ErrorAuthenticationFailed) || r.Message != printable(r.Message) {
			t.Fatalf("%x was read as %+v, %v", b, r, err)
		}
	})
}
