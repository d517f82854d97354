package mschapv2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"bridgehead/auth"
	"bridgehead/auth/eap"

	"pgregory.net/rapid"
)

func TestLogin(t *testing.T) {
	for _, tt := range []struct {
		what, user, password string
		identity             *string
		peer                 auth.Peer
		name, claimed        string
	}{
		{what: "plain", user: "alice", password: "sesame", name: "alice", claimed: "alice"},
		{what: "domain left out for the account", user: `CORP\alice`, password: "sesame", name: "alice", claimed: `CORP\alice`},
		{what: "realm left out for the account", user: "alice@corp.example", password: "sesame", name: "alice", claimed: "alice@corp.example"},
		{what: "full name before the bare one", user: `CORP\carl`, password: "full", name: `CORP\carl`, claimed: `CORP\carl`},
		{what: "empty identity, name from IDi", user: "alice", password: "sesame", identity: new(string), peer: auth.Peer{IDi: "phone"}, name: "alice", claimed: "phone"},
		{what: "empty identity and IDi", user: "alice", password: "sesame", identity: new(string), name: "alice", claimed: ""},
		{what: "domain in the identity alone", user: "alice", password: "sesame", identity: ptr(`CORP\alice`), name: "alice", claimed: `CORP\alice`},
	} {
		t.Run(tt.what, func(t *testing.T) {
			l := begin(t, NewHashVerifier(newStore()), tt.peer, tt.user, tt.password)
			if tt.identity != nil {
				l.client.Identity = *tt.identity
			}
			l.advance(1)
			if l.step.Identity != tt.claimed {
				t.Errorf("claimed %q, want %q", l.step.Identity, tt.claimed)
			}
			step, err := l.finish()
			if err != nil || step.Verdict != auth.Accept || step.Grant == nil {
				t.Fatalf("verdict %d, reason %v, client: %v", step.Verdict, step.Reason, err)
			}
			if step.Grant.Name != tt.name || step.Grant.Group != "staff" || step.Identity != tt.name {
				t.Errorf("granted to %q of %q as %q, want %q", step.Grant.Name, step.Grant.Group, step.Identity, tt.name)
			}
			if !l.client.Done() || len(l.client.MSK()) != 64 || !bytes.Equal(l.client.MSK(), step.Grant.MSK) {
				t.Error("the two ends have different MSKs")
			}
			if _, err := l.conv.Next(context.Background(), nil); !errors.Is(err, ErrEnded) {
				t.Errorf("after the end: %v", err)
			}
			l.conv.Close()
			if bytes.Equal(step.Grant.MSK, make([]byte, 64)) {
				t.Error("Close wiped a key that was handed over")
			}
		})
	}
}

func ptr(s string) *string { return &s }

func TestEmptyIdentityIsReplacedByTheName(t *testing.T) {
	l := begin(t, NewHashVerifier(newStore()), auth.Peer{}, "alice", "wrong")
	l.client.Identity = ""
	l.advance(2)
	if l.step.Identity != "alice" {
		t.Errorf("claimed %q, want the MS-CHAPv2 Name", l.step.Identity)
	}
}

func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		what, user, password, identity string
		cause                          auth.Cause
		code                           int
		tries                          string
		finalFailure                   bool // R=0 is sent
	}{
		{"wrong password", "alice", "guess", "alice", auth.CauseWrongPassword, 691, "1", false},
		{"unknown user", "mallory", "guess", "mallory", auth.CauseUnknownUser, 691, "1", false},
		{"the hash that stands in for absent users", "mallory", "no such user", "mallory", auth.CauseUnknownUser, 691, "1", false},
		{"disabled", "dora", "explorer", "dora", auth.CauseAccountDisabled, 647, "1", true},
		{"disabled, wrong password", "dora", "guess", "dora", auth.CauseWrongPassword, 691, "1", false},
		{"somebody else's identity", "alice", "sesame", "bob", auth.CauseIdentityMismatch, 691, "1", true},
		{"another domain's identity", `CORP\alice`, "sesame", `OTHER\alice`, auth.CauseIdentityMismatch, 691, "1", true},
		{"identity in another case", "alice", "sesame", "Alice", auth.CauseIdentityMismatch, 691, "1", true},
	} {
		t.Run(tt.what, func(t *testing.T) {
			for _, quiet := range []bool{false, true} {
				l := begin(t, NewHashVerifier(newStore()), auth.Peer{NoFinalFailure: quiet}, tt.user, tt.password)
				l.client.Identity = tt.identity
				l.advance(2)
				early := tt.finalFailure && quiet
				if got := l.step.Verdict == auth.Reject; got != early {
					t.Errorf("NoFinalFailure %v: EAP-Failure at once is %v, want %v", quiet, got, early)
				}
				step, err := l.finish()
				if step.Verdict != auth.Reject || step.Reason.Cause != tt.cause || evidence(step.Reason, "tries") != tt.tries || step.Grant != nil {
					t.Errorf("verdict %d, reason %+v", step.Verdict, step.Reason)
				}
				if eap.Code(step.Packet[0]) != eap.CodeFailure || len(step.Packet) != eap.HeaderLen {
					t.Errorf("the last packet is %x, want EAP-Failure", step.Packet)
				}
				var failed *FailedError
				if !errors.As(err, &failed) || !early && failed.Code != tt.code || !l.client.Failed() || l.client.MSK() != nil {
					t.Errorf("the client saw %v, want E=%d", err, tt.code)
				}
			}
		})
	}
}

func TestRetryGetsANewChallengeAndThreeTries(t *testing.T) {
	l := begin(t, NewHashVerifier(newStore()), auth.Peer{}, "alice", "")
	l.send(l.identity("alice"))
	seen := make(map[[16]byte]bool)
	for try := 1; try <= 3; try++ {
		if c := l.challenge(); seen[c] {
			t.Fatalf("try %d: the challenge was used before", try)
		} else {
			seen[c] = true
		}
		l.send(l.respond("alice", "guess"))
		p, _ := eap.Parse(l.step.Packet)
		m, err := eap.ParseMSCHAPv2(p)
		if err != nil {
			t.Fatal(err)
		}
		f, err := eap.ParseFailureMessage(m.(*eap.FailureRequest).Message)
		if err != nil || f.Error != 691 || f.Version != 3 || f.Retry != (try < 3) {
			t.Errorf("try %d: failure message %+v, %v", try, f, err)
		}
		if r := l.step.Reason; r.Cause != auth.CauseWrongPassword || evidence(r, "tries") != strconv.Itoa(try) {
			t.Errorf("try %d: reason %+v, should the client leave now", try, r)
		}
	}
	// The right password after the last try comes too late.
	if step := l.send(l.respond("alice", "sesame")); step.Verdict != auth.Reject || step.Reason.Cause != auth.CauseWrongPassword || evidence(step.Reason, "tries") != "3" {
		t.Errorf("verdict %d, reason %+v", step.Verdict, step.Reason)
	}
	// Within the tries it is in time, over the new challenge.
	l = begin(t, NewHashVerifier(newStore()), auth.Peer{}, "alice", "")
	l.send(l.identity("alice"))
	l.send(l.respond("alice", "guess"))
	if step := l.send(l.respond("alice", "sesame")); step.Reason.Cause != "" {
		t.Errorf("reason %+v after the right password", step.Reason)
	}
	if step := l.send(l.method(&eap.SuccessResponse{})); step.Verdict != auth.Accept {
		t.Errorf("verdict %d, reason %+v", step.Verdict, step.Reason)
	}
}

// TestEveryPacketInEveryState: only the order of RFC 2759 reaches success
// (CVE-2015-8023).
func TestEveryPacketInEveryState(t *testing.T) {
	states := map[string]func(l *login){
		"identity": func(*login) {},
		"response": func(l *login) { l.send(l.identity("alice")) },
		"retry": func(l *login) {
			l.send(l.identity("alice"))
			l.send(l.respond("alice", "guess"))
		},
		"success": func(l *login) {
			l.send(l.identity("alice"))
			l.send(l.respond("alice", "sesame"))
		},
		"failure": func(l *login) {
			l.send(l.identity("dora"))
			l.send(l.respond("dora", "explorer"))
		},
	}
	response := func(l *login) []byte { // over a challenge of the client's own making
		hash := auth.HashPassword([]byte("sesame"))
		r := eap.Response{Name: "alice"}
		r.NTResponse = ChallengeResponse(ChallengeHash(r.PeerChallenge, [16]byte{}, "alice"), &hash)
		return l.method(&r)
	}
	packets := map[string]func(l *login) []byte{
		"Identity": func(l *login) []byte { return l.identity("alice") },
		"Nak":      func(l *login) []byte { return eap.NewNak(l.openID(), eap.TypeTLS).Append(nil) },
		"MD5": func(l *login) []byte {
			return eap.Packet{Code: eap.CodeResponse, Identifier: l.openID(), Type: eap.TypeMD5, Data: []byte{0}}.Append(nil)
		},
		"false Response":   response,
		"Success":          func(l *login) []byte { return l.method(&eap.SuccessResponse{}) },
		"Failure":          func(l *login) []byte { return l.method(&eap.FailureResponse{}) },
		"Change-Password":  func(l *login) []byte { return l.method(&eap.ChangePassword{}) },
		"EAP-Success":      func(l *login) []byte { return eap.Packet{Code: eap.CodeSuccess, Identifier: l.openID()}.Append(nil) },
		"EAP-Failure":      func(l *login) []byte { return eap.Packet{Code: eap.CodeFailure, Identifier: l.openID()}.Append(nil) },
		"a Request":        func(l *login) []byte { return l.method(&eap.SuccessRequest{}) },
		"wrong identifier": func(l *login) []byte { return eap.NewMSCHAPv2(l.openID()+1, &eap.SuccessResponse{}).Append(nil) },
		"garbage":          func(*login) []byte { return []byte("not EAP at all") },
		"nothing":          func(*login) []byte { return nil },
	}
	const repeat = auth.Cause("") // the request goes out again
	want := map[string]map[string]auth.Cause{
		"identity": {"Nak": auth.CauseEAPUnexpected, "MD5": auth.CauseEAPUnexpected, "false Response": auth.CauseEAPUnexpected, "Success": auth.CauseEAPUnexpected, "Failure": auth.CauseEAPUnexpected, "Change-Password": auth.CauseEAPUnexpected},
		"response": {"Identity": auth.CauseEAPUnexpected, "Nak": auth.CauseMethodRefused, "MD5": auth.CauseEAPUnexpected, "Success": auth.CauseEAPUnexpected, "Failure": auth.CauseEAPUnexpected, "Change-Password": auth.CauseEAPUnexpected},
		"retry":    {"Identity": auth.CauseEAPUnexpected, "Nak": auth.CauseEAPUnexpected, "MD5": auth.CauseEAPUnexpected, "Success": auth.CauseEAPUnexpected, "Failure": auth.CauseWrongPassword, "Change-Password": auth.CauseEAPUnexpected},
		"success":  {"Identity": auth.CauseEAPUnexpected, "Nak": auth.CauseEAPUnexpected, "MD5": auth.CauseEAPUnexpected, "false Response": auth.CauseEAPUnexpected, "Failure": auth.CauseServerProofRefused, "Change-Password": auth.CauseEAPUnexpected},
		"failure":  {"Identity": auth.CauseAccountDisabled, "Nak": auth.CauseAccountDisabled, "MD5": auth.CauseAccountDisabled, "false Response": auth.CauseAccountDisabled, "Success": auth.CauseAccountDisabled, "Failure": auth.CauseAccountDisabled, "Change-Password": auth.CauseAccountDisabled},
	}
	forward := map[string]string{"identity": "Identity", "response": "false Response", "retry": "false Response", "success": "Success"}
	for state, reach := range states {
		for name, packet := range packets {
			t.Run(state+"/"+name, func(t *testing.T) {
				l := begin(t, NewHashVerifier(newStore()), auth.Peer{}, "alice", "sesame")
				reach(l)
				open := l.step.Packet
				step := l.send(packet(l))
				accepted := state == "success" && name == "Success"
				if (step.Verdict == auth.Accept) != accepted || (step.Grant != nil) != accepted {
					t.Fatalf("verdict %d, grant %v", step.Verdict, step.Grant)
				}
				if accepted || forward[state] == name {
					return
				}
				cause := want[state][name]
				if step.Reason.Cause != cause || (step.Verdict == auth.Reject) != (cause != repeat) {
					t.Errorf("verdict %d for %q, want %q", step.Verdict, step.Reason.Cause, cause)
				}
				if cause == repeat && !bytes.Equal(step.Packet, open) {
					t.Errorf("the open request did not go out again: %x", step.Packet)
				}
				if cause != repeat {
					if _, err := l.conv.Next(context.Background(), l.method(&eap.SuccessResponse{})); !errors.Is(err, ErrEnded) {
						t.Errorf("after the end: %v", err)
					}
				}
			})
		}
	}
}

func TestStraysAreBounded(t *testing.T) {
	l := begin(t, NewHashVerifier(newStore()), auth.Peer{}, "alice", "sesame")
	for range maxStrays {
		if step := l.send([]byte("garbage")); step.Verdict != auth.Continue {
			t.Fatalf("verdict %d", step.Verdict)
		}
	}
	if step := l.send([]byte("garbage")); step.Verdict != auth.Reject || step.Reason.Cause != auth.CauseEAPMalformed {
		t.Errorf("verdict %d, reason %+v", step.Verdict, step.Reason)
	}
}

func TestNakNamesWhatTheClientWants(t *testing.T) {
	for want, nak := range map[string]func(id uint8) eap.Packet{
		"EAP-TLS, EAP-PEAP": func(id uint8) eap.Packet { return eap.NewNak(id, eap.TypeTLS, eap.TypePEAP) },
		"nothing else":      func(id uint8) eap.Packet { return eap.NewNak(id) },
		"EAP-TTLS, 311:70000": func(id uint8) eap.Packet {
			return eap.NewExpandedNak(id, eap.Method{Type: uint32(eap.TypeTTLS)}, eap.Method{Vendor: 311, Type: 70000})
		},
	} {
		l := begin(t, NewHashVerifier(newStore()), auth.Peer{}, "alice", "sesame")
		l.send(l.identity("alice"))
		step := l.send(nak(l.openID()).Append(nil))
		if step.Verdict != auth.Reject || step.Reason.Cause != auth.CauseMethodRefused || evidence(step.Reason, "wanted") != want {
			t.Errorf("verdict %d, reason %+v, want %q", step.Verdict, step.Reason, want)
		}
	}
}

func TestOutageIsNoWrongPassword(t *testing.T) {
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	late, stop := context.WithTimeout(context.Background(), 0)
	defer stop()
	<-late.Done()
	for _, tt := range []struct {
		what  string
		ctx   context.Context
		err   error
		cause auth.Cause
		fails error
	}{
		{"a broken store", context.Background(), errors.New("disk on fire"), auth.CauseBackendUnavailable, nil},
		{"a store that runs out of time", late, context.DeadlineExceeded, auth.CauseBackendTimeout, nil},
		{"a caller who gives up", canceled, context.Canceled, "", context.Canceled},
	} {
		s := newStore()
		s.err = tt.err
		l := begin(t, NewHashVerifier(s), auth.Peer{}, "alice", "sesame")
		l.advance(1)
		step, err := l.conv.Next(tt.ctx, l.respond("alice", "sesame"))
		if !errors.Is(err, tt.fails) || (err == nil) != (tt.fails == nil) {
			t.Errorf("%s: error %v, want %v", tt.what, err, tt.fails)
		}
		if tt.fails == nil && (step.Verdict != auth.Unavailable || step.Reason.Cause != tt.cause || eap.Code(step.Packet[0]) != eap.CodeFailure) {
			t.Errorf("%s: verdict %d, reason %+v", tt.what, step.Verdict, step.Reason)
		}
	}
}

func TestNoRandomnessNoLogin(t *testing.T) {
	for _, octets := range []int64{0, 1, 17} { // identifier, challenge, challenge of the retry
		conv, err := NewBackend(NewHashVerifier(newStore()), Options{Rand: io.LimitReader(seeded(1), octets)}).Begin(context.Background(), auth.Peer{})
		if err != nil {
			t.Fatal(err)
		}
		l := &login{t: t, conv: conv, client: NewClient("alice", []byte("guess"), seeded(2))}
		l.send(nil)
		for l.step.Verdict == auth.Continue {
			l.advance(1)
		}
		if l.step.Verdict != auth.Unavailable || l.step.Reason.Cause != auth.CauseInternal {
			t.Errorf("after %d octets: verdict %d, reason %+v", octets, l.step.Verdict, l.step.Reason)
		}
	}
}

// TestUnknownUsersCostTheSame counts what can be counted; the benchmarks
// BenchmarkRefuse compare the times.
func TestUnknownUsersCostTheSame(t *testing.T) {
	s := newStore()
	v := NewHashVerifier(s)
	cost := func(name string) (lookups int, allocs float64) {
		r := auth.MSCHAPv2Response{Name: name}
		s.lookups = 0
		if _, err := v.Verify(context.Background(), r); err == nil {
			t.Fatalf("%s was let in", name)
		}
		lookups = s.lookups
		allocs = testing.AllocsPerRun(100, func() { _, _ = v.Verify(context.Background(), r) })
		return lookups, allocs
	}
	for known, unknown := range map[string]string{"alice": "mallo", `CORP\alice`: `CORP\mallo`, `CORP\carl`: `CORP\fred`, "dora": "dori"} {
		l1, a1 := cost(known)
		l2, a2 := cost(unknown)
		if l1 != l2 || a1 != a2 {
			t.Errorf("%s: %d lookups, %v allocations; %s: %d lookups, %v allocations", known, l1, a1, unknown, l2, a2)
		}
	}
}

// TestLongNamesAreKeptShort: refusals are remembered and logged, and a name
// that nobody has proved can have as many octets as an EAP packet.
func TestLongNamesAreKeptShort(t *testing.T) {
	long := strings.Repeat("ü", 30000)
	for name, l := range map[string]*login{
		"identity": begin(t, NewHashVerifier(newStore()), auth.Peer{}, long, "guess"),
		"IDi":      begin(t, NewHashVerifier(newStore()), auth.Peer{IDi: long}, long, "guess"),
		"Name":     begin(t, NewHashVerifier(newStore()), auth.Peer{}, long, "guess"),
	} {
		if name != "identity" {
			l.client.Identity = ""
		}
		step, _ := l.finish()
		kept := step.Identity
		for _, e := range step.Reason.Evidence {
			kept += e.Value
		}
		if step.Verdict != auth.Reject || step.Identity == "" || len(kept) > 3*auth.MaxClaim || !utf8.ValidString(kept) {
			t.Errorf("%s: verdict %d, %d octets kept", name, step.Verdict, len(kept))
		}
	}
}

func TestUnknownUsersLookTheSameOnTheWire(t *testing.T) {
	var flows [2][]byte
	for i, user := range []string{"alice", "mallo"} {
		l := begin(t, NewHashVerifier(newStore()), auth.Peer{}, user, "guess")
		for l.step.Verdict == auth.Continue {
			flows[i] = append(flows[i], l.step.Packet...)
			l.advance(1)
		}
		flows[i] = append(flows[i], l.step.Packet...)
	}
	if !bytes.Equal(flows[0], flows[1]) {
		t.Errorf("the server's packets differ:\n%x\n%x", flows[0], flows[1])
	}
}

// TestAnyPacketsNeverForgeSuccess plays random packets; acceptance is right
// only directly after a verified Response and its acknowledgement.
func TestAnyPacketsNeverForgeSuccess(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := begin(t, NewHashVerifier(newStore()), auth.Peer{NoFinalFailure: rapid.Bool().Draw(rt, "quiet")}, "alice", "sesame")
		verified := false
		for range 12 {
			var packet []byte
			kind := rapid.SampledFrom([]string{"identity", "good", "bad", "ack", "nak", "failure", "raw"}).Draw(rt, "packet")
			carries := l.step.Packet[4] == byte(eap.TypeMSCHAPv2) && l.step.Packet[5] != byte(eap.OpSuccess)
			switch {
			case kind == "identity":
				packet = l.identity("alice")
			case kind == "good" && carries:
				packet = l.respond("alice", "sesame")
			case kind == "bad" && carries:
				packet = l.respond("alice", "guess")
			case kind == "ack":
				packet = l.method(&eap.SuccessResponse{})
			case kind == "nak":
				packet = eap.NewNak(l.openID(), eap.TypeMSCHAPv2).Append(nil)
			case kind == "failure":
				packet = l.method(&eap.FailureResponse{})
			default:
				packet = rapid.SliceOf(rapid.Byte()).Draw(rt, "octets")
			}
			step, err := l.conv.Next(context.Background(), packet)
			if err != nil {
				rt.Fatal(err)
			}
			if (step.Verdict == auth.Accept) != (verified && kind == "ack") {
				rt.Fatalf("verdict %d after %s, verified %v", step.Verdict, kind, verified)
			}
			if step.Verdict != auth.Continue {
				return
			}
			if kind != "raw" && (kind != "good" && kind != "bad" || carries) {
				verified = kind == "good" && step.Packet[5] == byte(eap.OpSuccess)
			}
			l.step = step
		}
	})
}

func FuzzConversation(f *testing.F) {
	f.Add([]byte{2, 0, 0, 10, 1, 'a', 'l', 'i', 'c', 'e'}, []byte{2, 0, 0, 6, 26, 3})
	f.Add([]byte{2, 0, 0, 5, 1}, []byte{2, 0, 0, 6, 3, 13})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		l := begin(t, NewHashVerifier(newStore()), auth.Peer{}, "alice", "sesame")
		for _, packet := range [][]byte{first, second, second} {
			if len(packet) > 1 {
				packet[1] = l.openID()
			}
			if l.send(packet); l.step.Verdict == auth.Accept {
				t.Fatalf("%x, %x got in", first, second)
			}
			if l.step.Verdict != auth.Continue {
				return
			}
		}
	})
}

func BenchmarkRefuse(b *testing.B) {
	v := NewHashVerifier(newStore())
	for _, name := range []string{"alice", "mallo"} {
		b.Run(map[string]string{"alice": "wrong-password", "mallo": "unknown-user"}[name], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = v.Verify(context.Background(), auth.MSCHAPv2Response{Name: name})
			}
		})
	}
}

func BenchmarkLogin(b *testing.B) {
	b.ReportAllocs()
	v := NewHashVerifier(newStore())
	for b.Loop() {
		if step, err := begin(b, v, auth.Peer{}, "alice", "sesame").finish(); step.Verdict != auth.Accept {
			b.Fatal(fmt.Sprint(step.Reason, err))
		}
	}
}

// barred is a store of one account.
type barred struct{ auth.Account }

func (b barred) Lookup(context.Context, string) (auth.Account, bool, error) {
	return b.Account, true, nil
}

// Why an account may not log in is told to whoever knows its password; one
// without a usable hash is a wrong password to everybody.
func TestBarredAccounts(t *testing.T) {
	for _, test := range []struct {
		name, password string
		code, want     int
		retry          bool
		cause          auth.Cause
	}{
		{"right password", "secret", 648, 648, false, auth.CausePasswordExpired},
		{"wrong password", "guess", 648, 691, true, auth.CauseWrongPassword},
		{"no hash", "", 691, 691, true, auth.CauseInternal},
		{"no hash, whatever the password", "guess", 691, 691, true, auth.CauseInternal},
	} {
		t.Run(test.name, func(t *testing.T) {
			account := auth.Account{Hash: auth.HashPassword([]byte("secret"))}
			account.Barred = &auth.Refusal{Code: test.code, Reason: auth.Reason{Cause: test.cause}}
			hash := auth.HashPassword([]byte(test.password))
			if test.code == auth.ErrorAuthenticationFailed {
				account.Hash, account.Barred.Retry = auth.NTHash{}, true
				if test.password == "" {
					hash = auth.NTHash{} // fits the hash that is not there
				}
			}
			r := auth.MSCHAPv2Response{Name: "alice"}
			copy(r.NTResponse[:], ntResponse(r, &hash))
			_, err := NewHashVerifier(barred{account}).Verify(t.Context(), r)
			var refusal *auth.Refusal
			if !errors.As(err, &refusal) || refusal.Code != test.want || refusal.Retry != test.retry || refusal.Reason.Cause != test.cause {
				t.Errorf("%v: %+v", err, refusal)
			}
		})
	}
}

func ntResponse(r auth.MSCHAPv2Response, hash *auth.NTHash) []byte {
	response := ChallengeResponse(ChallengeHash(r.PeerChallenge, r.AuthenticatorChallenge, r.Name), hash)
	return response[:]
}
