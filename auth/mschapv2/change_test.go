package mschapv2

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"bridgehead/auth"
	"bridgehead/auth/eap"
)

// directory is a verifier that refuses as it was told to, in this order, and
// then judges alice's answers by her hash. It changes her password.
type directory struct {
	hash     auth.NTHash
	refusals []error
	asked    []auth.MSCHAPv2Response
	changes  []auth.PasswordChange
}

func newDirectory(refusals ...error) *directory {
	return &directory{hash: auth.HashPassword([]byte("sesame")), refusals: refusals}
}

func (d *directory) Verify(_ context.Context, r auth.MSCHAPv2Response) (auth.Keys, error) {
	d.asked = append(d.asked, r)
	if err := d.refusal(); err != nil {
		return auth.Keys{}, err
	}
	challenge := ChallengeHash(r.PeerChallenge, r.AuthenticatorChallenge, r.Name)
	if want := ChallengeResponse(challenge, &d.hash); !bytes.Equal(want[:], r.NTResponse[:]) {
		return auth.Keys{}, &auth.Refusal{Code: auth.ErrorAuthenticationFailed, Reason: auth.Reason{Cause: auth.CauseWrongPassword}}
	}
	hashHash := d.hash.HashHash()
	return auth.Keys{
		AuthenticatorResponse: AuthenticatorResponse(&hashHash, r.NTResponse, challenge),
		Grant:                 auth.Grant{Name: r.Name, MSK: MSK(&hashHash, r.NTResponse)},
	}, nil
}

func (d *directory) refusal() error {
	if len(d.refusals) == 0 {
		return nil
	}
	err := d.refusals[0]
	d.refusals = d.refusals[1:]
	return err
}

// changing is a directory that changes passwords.
type changing struct{ *directory }

func (d changing) ChangePassword(ctx context.Context, c auth.PasswordChange) (auth.Keys, error) {
	d.changes = append(d.changes, c)
	if len(d.refusals) == 0 {
		changed, err := decrypt(c, d.hash)
		if err != nil {
			return auth.Keys{}, &auth.Refusal{Code: auth.ErrorChangingPassword, Reason: auth.Reason{Cause: auth.CausePasswordNotChanged}}
		}
		d.hash = changed
	}
	return d.Verify(ctx, c.Response)
}

func refused(code int, retry bool, cause auth.Cause) *auth.Refusal {
	return &auth.Refusal{Code: code, Retry: retry, Reason: auth.Reason{Cause: cause}}
}

func expired() *auth.Refusal {
	return refused(auth.ErrorPasswordExpired, false, auth.CausePasswordExpired)
}

func (l *login) failure() eap.FailureMessage {
	l.t.Helper()
	p, err := eap.Parse(l.step.Packet)
	if err != nil {
		l.t.Fatal(err)
	}
	m, err := eap.ParseMSCHAPv2(p)
	if err != nil {
		l.t.Fatalf("%x: %v", l.step.Packet, err)
	}
	f, ok := m.(*eap.FailureRequest)
	if !ok {
		l.t.Fatalf("the server sent %T, expected a Failure", m)
	}
	message, err := eap.ParseFailureMessage(f.Message)
	if err != nil {
		l.t.Fatal(err)
	}
	return message
}

func TestRefusalsReachTheClientAsTheVerifierSaysThem(t *testing.T) {
	challenge := [16]byte([]byte("the server's own"))
	for code, cause := range map[int]auth.Cause{646: auth.CauseLogonHours, 647: auth.CauseAccountDisabled, 648: auth.CausePasswordExpired, 649: auth.CauseNoDialinPermission, 691: auth.CauseWrongPassword} {
		for _, retry := range []bool{false, true} {
			r := refused(code, retry, cause)
			r.Challenge, r.Message = &challenge, "ask at the desk"
			d := newDirectory(r)
			l := begin(t, d, auth.Peer{Session: "one"}, "alice", "sesame")
			l.advance(2)
			f := l.failure()
			if f.Error != code || f.Retry != retry || !bytes.Equal(f.Challenge, challenge[:]) || f.Text != "ask at the desk" || l.step.Reason.Cause != cause {
				t.Errorf("%d, R=%v: %+v, %+v", code, retry, f, l.step.Reason)
			}
			if retry { // over the verifier's challenge
				l.send(l.respond("alice", "sesame"))
				if step := l.send(l.method(&eap.SuccessResponse{})); step.Verdict != auth.Accept {
					t.Errorf("%d: verdict %d after the retry, %+v", code, step.Verdict, step.Reason)
				}
				if q := d.asked[1]; q.AuthenticatorChallenge != challenge || q.Peer.Session != "one" || q.Ident != l.openID()-1 {
					t.Errorf("%d: the verifier was asked %v with identifier %d", code, q, q.Ident)
				}
				continue
			}
			if step := l.send(l.method(&eap.FailureResponse{})); step.Verdict != auth.Reject || step.Reason.Cause != cause {
				t.Errorf("%d: verdict %d, %+v", code, step.Verdict, step.Reason)
			}
		}
	}
}

func TestAnExpiredPasswordIsChanged(t *testing.T) {
	for _, peer := range []auth.Peer{{}, {NoFinalFailure: true}} {
		d := newDirectory(expired())
		l := begin(t, changing{d}, peer, `CORP\alice`, "sesame")
		l.client.NewPassword = auth.Secret("öpen, gate")
		step, err := l.finish()
		if step.Verdict != auth.Accept || err != nil || !l.client.Done() || !bytes.Equal(l.client.MSK(), step.Grant.MSK) {
			t.Fatalf("verdict %d, %+v, client: %v", step.Verdict, step.Reason, err)
		}
		if d.hash != auth.HashPassword([]byte("öpen, gate")) || len(d.changes) != 1 || d.changes[0].Response.Name != `CORP\alice` || l.client.NewPassword != nil {
			t.Errorf("the directory has another password after %d changes", len(d.changes))
		}
	}
}

func TestAChangeCanBeRefused(t *testing.T) {
	notChanged := refused(auth.ErrorChangingPassword, false, auth.CausePasswordNotChanged)
	for name, tt := range map[string]struct {
		refusals []error
		old      string // as the client has it
		verdict  auth.Verdict
		cause    auth.Cause
		code     int
	}{
		"by the directory's rules":      {[]error{expired(), notChanged}, "sesame", auth.Reject, auth.CausePasswordNotChanged, 709},
		"since the old one is wrong":    {[]error{expired()}, "guess", auth.Reject, auth.CausePasswordNotChanged, 709},
		"again as expired":              {[]error{expired(), expired()}, "sesame", auth.Reject, auth.CausePasswordExpired, 648},
		"since nobody can judge it now": {[]error{expired(), &auth.OutageError{Reason: auth.Reason{Cause: auth.CauseBackendTimeout}}}, "sesame", auth.Unavailable, auth.CauseBackendTimeout, 0},
	} {
		d := newDirectory(tt.refusals...)
		l := begin(t, changing{d}, auth.Peer{}, "alice", tt.old)
		l.client.NewPassword = auth.Secret("open")
		step, err := l.finish()
		var failed *FailedError
		if step.Verdict != tt.verdict || step.Reason.Cause != tt.cause || !errors.As(err, &failed) || failed.Code != tt.code || d.hash != auth.HashPassword([]byte("sesame")) {
			t.Errorf("%s: verdict %d, %+v, client: %v", name, step.Verdict, step.Reason, err)
		}
	}
}

// TestChangesAreBounded: a directory that takes no new password is asked as
// often as for an answer.
func TestChangesAreBounded(t *testing.T) {
	d := newDirectory(expired(), expired(), expired(), expired(), expired())
	l := begin(t, changing{d}, auth.Peer{}, "alice", "")
	l.send(l.identity("alice"))
	l.send(l.respond("alice", "sesame"))
	for range DefaultTries {
		if f := l.failure(); f.Error != auth.ErrorPasswordExpired {
			t.Fatalf("%+v", f)
		}
		l.send(l.method(&eap.ChangePassword{}))
	}
	if step := l.send(l.method(&eap.ChangePassword{})); step.Verdict != auth.Reject || step.Reason.Cause != auth.CausePasswordExpired || len(d.changes) != DefaultTries {
		t.Errorf("verdict %d, %+v after %d changes", step.Verdict, step.Reason, len(d.changes))
	}
}

// TestAPasswordChangesOnlyAfterItExpired has the packet come in every state.
func TestAPasswordChangesOnlyAfterItExpired(t *testing.T) {
	wrong := refused(auth.ErrorAuthenticationFailed, true, auth.CauseWrongPassword)
	for name, tt := range map[string]struct {
		refusal *auth.Refusal
		send    string // of identity, response
		plain   bool   // the verifier changes nothing
		changes int
		cause   auth.Cause // of the end
	}{
		"instead of the identity": {cause: auth.CauseEAPUnexpected},
		"instead of an answer":    {send: "identity", cause: auth.CauseEAPUnexpected},
		"after a right answer":    {send: "identity response", cause: auth.CauseEAPUnexpected},
		"after a wrong answer":    {refusal: wrong, send: "identity response", cause: auth.CauseEAPUnexpected},
		"after another refusal":   {refusal: refused(647, false, auth.CauseAccountDisabled), send: "identity response", cause: auth.CauseAccountDisabled},
		"where nobody changes it": {refusal: expired(), send: "identity response", plain: true, cause: auth.CausePasswordExpired},
		"in its place":            {refusal: expired(), send: "identity response", changes: 1},
		"in its place, R=1":       {refusal: refused(648, true, auth.CausePasswordExpired), send: "identity response", changes: 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirectory()
			if tt.refusal != nil {
				d.refusals = []error{tt.refusal}
			}
			var v auth.Verifier = changing{d}
			if tt.plain {
				v = d
			}
			l := begin(t, v, auth.Peer{}, "alice", "")
			if strings.Contains(tt.send, "identity") {
				l.send(l.identity("alice"))
			}
			if strings.Contains(tt.send, "response") {
				l.send(l.respond("alice", "sesame"))
			}
			open := l.openID()
			step := l.send(l.method(&eap.ChangePassword{MSID: open + 1}))
			if len(d.changes) != tt.changes || (step.Verdict == auth.Reject) != (tt.cause != "") || step.Verdict == auth.Accept || tt.cause != "" && step.Reason.Cause != tt.cause {
				t.Errorf("verdict %d, %+v, %d changes", step.Verdict, step.Reason, len(d.changes))
			}
			if tt.changes > 0 && d.changes[0].Response.Ident != open+1 {
				t.Errorf("identifier %d, want %d", d.changes[0].Response.Ident, open+1)
			}
		})
	}
}

func TestWhoDoesNotChangeItsPasswordIsRefused(t *testing.T) {
	for name, packet := range map[string]func(l *login) []byte{
		"acknowledgement": func(l *login) []byte { return l.method(&eap.FailureResponse{}) },
		"another answer":  func(l *login) []byte { return l.respond("alice", "sesame") },
		"Nak":             func(l *login) []byte { return eap.NewNak(l.openID(), eap.TypeTLS).Append(nil) },
		"Success":         func(l *login) []byte { return l.method(&eap.SuccessResponse{}) },
	} {
		d := newDirectory(expired())
		l := begin(t, changing{d}, auth.Peer{}, "alice", "")
		l.send(l.identity("alice"))
		l.send(l.respond("alice", "sesame"))
		if step := l.send(packet(l)); step.Verdict != auth.Reject || step.Reason.Cause != auth.CausePasswordExpired || step.Grant != nil || len(d.asked) != 1 {
			t.Errorf("%s: verdict %d, %+v", name, step.Verdict, step.Reason)
		}
	}
}

func TestOutagesKeepTheirReason(t *testing.T) {
	reason := auth.Reason{Cause: auth.CauseBackendTimeout, Evidence: []auth.Evidence{{Key: "server", Value: "campus"}}}
	l := begin(t, newDirectory(&auth.OutageError{Reason: reason, Err: context.DeadlineExceeded}), auth.Peer{}, "alice", "sesame")
	if step, _ := l.finish(); step.Verdict != auth.Unavailable || step.Reason.Cause != reason.Cause || evidence(step.Reason, "server") != "campus" {
		t.Errorf("verdict %d, %+v", step.Verdict, step.Reason)
	}
}

func TestAClientThatCanNotMakeItsChange(t *testing.T) {
	for name, password := range map[string]string{"too long": strings.Repeat("x", 257), "no randomness": "open"} {
		l := begin(t, changing{newDirectory(expired())}, auth.Peer{}, "alice", "sesame")
		l.client.NewPassword = auth.Secret(password)
		l.advance(2)
		if name == "no randomness" {
			l.client.rand = strings.NewReader("few")
		}
		if packet, err := l.answer(); packet != nil || err == nil || !l.client.Failed() || l.client.NewPassword != nil {
			t.Errorf("%s: answer %x, %v", name, packet, err)
		}
	}
}
