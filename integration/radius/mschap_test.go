package radius_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/auth/eap"
	"bridgehead/auth/mschapv2"
	"bridgehead/integration/lab"
	"bridgehead/radius"
)

// newPassScene is a FreeRADIUS whose mschap module judges, with users in each
// state that it knows.
func newPassScene(t testing.TB) *scene {
	t.Helper()
	s := &scene{t: t, lab: lab.New(t), secret: random(t), password: random(t)}
	s.authority = lab.NewCA(t, "RADIUS test CA", lab.ECDSA256)
	s.server = s.authority.NewServer(lab.RSA2048, time.Hour, "radius.example.org", "127.0.0.1")
	hash := auth.HashPassword([]byte(s.password))
	s.radius = s.lab.StartFreeRADIUS(lab.FreeRADIUSConfig{
		Secret: s.secret, Server: s.server, Authority: s.authority,
		Users: strings.NewReplacer("PASSWORD", s.password, "HASH", hex.EncodeToString(hash[:])).Replace(`
alice	NT-Password := 0xHASH
	Framed-IP-Address = 10.99.0.10,
	Session-Timeout = 3600,
	Class = 0x616c696365
bob	Cleartext-Password := "PASSWORD"
	User-Name = "robert"
dave	NT-Password := 0xHASH
	Session-Timeout = 0
dora	NT-Password := 0xHASH, SMB-Account-CTRL-TEXT := "[UD]"
erin	NT-Password := 0xHASH, Expiration := "01 Jan 2020"
leo	NT-Password := 0xHASH, SMB-Account-CTRL-TEXT := "[UL]"
old	NT-Password := 0xHASH, SMB-Account-CTRL-TEXT := "[Ue]"
pat	Tmp-String-0 := "domain", NT-Password := 0xHASH
paula	Tmp-String-0 := "domain", NT-Password := 0xHASH
peter	Tmp-String-0 := "domain", NT-Password := 0xHASH
`),
	})
	return s
}

// newEnding gives the backend that ends EAP-MSCHAPv2 and has FreeRADIUS judge.
func newEnding(t testing.TB, servers ...radius.ServerConfig) (auth.Backend, *radius.Group) {
	t.Helper()
	g, err := radius.NewGroup("all", servers, radius.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	v, err := radius.NewVerifier(radius.VerifierConfig{Group: g, NASIdentifier: "vpn.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	return mschapv2.NewBackend(v, mschapv2.Options{}), g
}

// run plays a whole EAP conversation: the server's last step, and the client
// with what it made of it.
func run(t *testing.T, b auth.Backend, user, password, changed string) (auth.Step, *mschapv2.Client, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	peer := testPeer()
	conv, err := b.Begin(ctx, peer)
	if err != nil {
		t.Fatal(err)
	}
	defer conv.Close()
	client := mschapv2.NewClient(user, []byte(password), rand.Reader)
	if changed != "" {
		client.NewPassword = auth.Secret(changed)
	}
	var response []byte
	for range 12 {
		step, err := conv.Next(ctx, response)
		if err != nil {
			t.Fatalf("Next: %v", err)
		}
		var failed error
		response, failed = client.Respond(step.Packet)
		if step.Verdict != auth.Continue {
			return step, client, failed
		}
		if response == nil {
			t.Fatalf("the client has no answer: %v", failed)
		}
	}
	t.Fatal("twelve rounds without an end")
	return auth.Step{}, nil, nil
}

func TestFreeRADIUSJudgesWithoutEAP(t *testing.T) {
	s := newPassScene(t)
	b, g := newEnding(t, s.config())
	for name, tc := range map[string]struct {
		user, password string
		verdict        auth.Verdict
		granted        string
		cause          auth.Cause
		code           int
		retry          bool
	}{
		"right password":                    {user: "alice", password: s.password, verdict: auth.Accept, granted: "alice"},
		"realm":                             {user: "alice@example.org", password: s.password, verdict: auth.Accept, granted: "alice@example.org"},
		"domain":                            {user: `CORP\alice`, password: s.password, verdict: auth.Accept, granted: `CORP\alice`},
		"the server's own name":             {user: "bob", password: s.password, verdict: auth.Accept, granted: "robert"},
		"wrong password":                    {user: "alice", password: "wrong", verdict: auth.Reject, cause: radius.CauseRefused, code: 691, retry: true},
		"unknown user":                      {user: "mallory", password: "any", verdict: auth.Reject, cause: radius.CauseRefused, code: 691, retry: true},
		"disabled":                          {user: "dora", password: s.password, verdict: auth.Reject, cause: radius.CauseRefused, code: 691},
		"locked out":                        {user: "leo", password: s.password, verdict: auth.Reject, cause: auth.CauseAccountDisabled, code: 647},
		"account expired":                   {user: "erin", password: s.password, verdict: auth.Reject, cause: radius.CauseRefused, code: 691},
		"password expired, a domain says":   {user: "pat", password: s.password, verdict: auth.Reject, cause: auth.CausePasswordExpired, code: 648},
		"password expired, FreeRADIUS says": {user: "old", password: s.password, verdict: auth.Reject, cause: auth.CausePasswordExpired, code: 648},
		"expired, a wrong password":         {user: "pat", password: "wrong", verdict: auth.Reject, cause: radius.CauseRefused, code: 691, retry: true},
		"a limit without sense":             {user: "dave", password: s.password, verdict: auth.Unavailable, cause: radius.CauseBadAttribute},
	} {
		t.Run(name, func(t *testing.T) {
			step, client, err := run(t, b, tc.user, tc.password, "")
			if step.Verdict != tc.verdict || step.Reason.Cause != tc.cause || client.Done() != (tc.verdict == auth.Accept) {
				t.Fatalf("verdict %d, %+v, the client: %v", step.Verdict, step.Reason, err)
			}
			if tc.verdict == auth.Accept {
				if step.Grant.Name != tc.granted || !bytes.Equal(step.Grant.MSK, client.MSK()) || len(client.MSK()) != 64 {
					t.Errorf("granted to %q, expected %q; keys of %d octets", step.Grant.Name, tc.granted, len(client.MSK()))
				}
				return
			}
			var failed *mschapv2.FailedError
			if !errors.As(err, &failed) || failed.Code != tc.code || failed.Retry != tc.retry {
				t.Errorf("the client heard %+v", failed)
			}
		})
	}
	if f := g.Figures()[0]; f.State != radius.Alive || f.Discarded() != 0 || f.Timeouts != 0 {
		t.Errorf("figures %+v", f)
	}
	for _, attribute := range []string{`NAS-Identifier = "vpn.example.org"`, `Calling-Station-Id = "192.0.2.77"`, `Acct-Session-Id = "test-session"`, "MS-CHAP2-Response = 0x"} {
		if !strings.Contains(s.radius.Log(), attribute) {
			t.Errorf("FreeRADIUS did not get %s", attribute)
		}
	}
	if strings.Contains(s.radius.Log(), "EAP-Message = ") {
		t.Error("FreeRADIUS saw EAP")
	}
}

func TestWhatFreeRADIUSGrantsWithoutEAP(t *testing.T) {
	s := newPassScene(t)
	b, _ := newEnding(t, s.config())
	step, _, err := run(t, b, "alice", s.password, "")
	if step.Verdict != auth.Accept {
		t.Fatalf("verdict %d, %+v, the client: %v", step.Verdict, step.Reason, err)
	}
	g := step.Grant
	if len(g.Addresses) != 1 || g.Addresses[0].String() != "10.99.0.10" || g.SessionTimeout != time.Hour || !slices.EqualFunc(g.Class, []string{"alice"}, func(b []byte, s string) bool { return string(b) == s }) {
		t.Errorf("%+v", g)
	}
}

// TestAChangeReachesFreeRADIUS changes an expired password: through the
// gateway's own end of EAP and MS-CHAP2-CPW, and, as a yardstick for the
// client, through FreeRADIUS's own EAP. Behind both, OpenSSL reads it.
func TestAChangeReachesFreeRADIUS(t *testing.T) {
	s := newPassScene(t)
	ending, g := newEnding(t, s.config())
	through, _ := newBackend(t, radius.BackendConfig{}, s.config())
	changed := "Überaus neu: " + random(t)
	for _, tc := range []struct {
		user    string
		backend auth.Backend
	}{{"pat", ending}, {"peter", through}} {
		step, client, err := run(t, tc.backend, tc.user, s.password, changed)
		if step.Verdict != auth.Accept || !client.Done() || !bytes.Equal(step.Grant.MSK, client.MSK()) {
			t.Fatalf("%s: verdict %d, %+v, the client: %v", tc.user, step.Verdict, step.Reason, err)
		}
		for _, b := range []auth.Backend{ending, through} {
			if step, _, err := run(t, b, tc.user, changed, ""); step.Verdict != auth.Accept {
				t.Errorf("%s, the new password: verdict %d, %+v, the client: %v", tc.user, step.Verdict, step.Reason, err)
			}
			if step, _, _ := run(t, b, tc.user, s.password, ""); step.Verdict != auth.Reject || step.Reason.Cause != radius.CauseRefused {
				t.Errorf("%s, the old password: verdict %d, %+v", tc.user, step.Verdict, step.Reason)
			}
		}
	}
	for _, user := range []string{"paula", "old"} { // refused by the domain, and not set up
		step, _, err := run(t, ending, user, s.password, changed)
		var failed *mschapv2.FailedError
		if step.Verdict != auth.Reject || step.Reason.Cause != auth.CausePasswordNotChanged || !errors.As(err, &failed) || failed.Code != auth.ErrorChangingPassword {
			t.Errorf("%s: verdict %d, %+v, the client: %v", user, step.Verdict, step.Reason, err)
		}
	}
	if f := g.Figures()[0]; f.Discarded() != 0 || f.Timeouts != 0 {
		t.Errorf("figures %+v", f)
	}
}

// TestARetryIsOverFreeRADIUSsChallenge: a wrong password and then the right one
// in one conversation, as Windows does it.
func TestARetryIsOverFreeRADIUSsChallenge(t *testing.T) {
	s := newPassScene(t)
	b, _ := newEnding(t, s.config())
	conv, err := b.Begin(t.Context(), testPeer())
	if err != nil {
		t.Fatal(err)
	}
	defer conv.Close()
	client := mschapv2.NewClient("alice", []byte("wrong"), rand.Reader)
	var step auth.Step
	next := func(response []byte) eap.MSCHAPv2 {
		t.Helper()
		if step, err = conv.Next(t.Context(), response); err != nil {
			t.Fatal(err)
		}
		p, err := eap.Parse(step.Packet)
		if err != nil || p.Type != eap.TypeMSCHAPv2 {
			return nil
		}
		m, err := eap.ParseMSCHAPv2(p)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	next(nil)
	var failure eap.MSCHAPv2
	for range 2 {
		response, err := client.Respond(step.Packet)
		if err != nil {
			t.Fatal(err)
		}
		failure = next(response)
	}
	f, ok := failure.(*eap.FailureRequest)
	if !ok {
		t.Fatalf("%T after a wrong password", failure)
	}
	message, err := eap.ParseFailureMessage(f.Message)
	if err != nil || !message.Retry || message.Text != "Authentication failed" && message.Text != "Authentication rejected" {
		t.Fatalf("%+v, %v", message, err)
	}
	if !strings.Contains(s.radius.Log(), "C="+hex.EncodeToString(message.Challenge)) {
		t.Errorf("the challenge %x is not FreeRADIUS's", message.Challenge)
	}
	hash := auth.HashPassword([]byte(s.password))
	r := eap.Response{MSID: f.MSID + 1, Name: "alice"}
	r.NTResponse = mschapv2.ChallengeResponse(mschapv2.ChallengeHash(r.PeerChallenge, [16]byte(message.Challenge), "alice"), &hash)
	if _, ok := next(eap.NewMSCHAPv2(step.Packet[1], &r).Append(nil)).(*eap.SuccessRequest); !ok {
		t.Fatalf("verdict %d, %+v after the right password", step.Verdict, step.Reason)
	}
	if next(eap.NewMSCHAPv2(step.Packet[1], &eap.SuccessResponse{}).Append(nil)); step.Verdict != auth.Accept {
		t.Errorf("verdict %d, %+v", step.Verdict, step.Reason)
	}
}
