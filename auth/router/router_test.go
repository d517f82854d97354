package router

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"bridgehead/auth"
	"bridgehead/auth/eap"
	"bridgehead/auth/mschapv2"
)

// stores makes a chain of one store of users, named like it.
func stores(name string, users ...string) Chain {
	return Chain{Members: []Member{{Name: name, Store: &store{state: accepts, name: name, users: users}}}}
}

// TestRules: the first rule that matches holds, by realm, domain or profile, in
// any case of letters; all kinds that a rule names must match.
func TestRules(t *testing.T) {
	users := []string{"alice"}
	r := newRouter(t, Config{
		Rules: []Rule{
			{Name: "both", Realms: []string{"corp.example"}, Domains: []string{"CORP"}, Chain: stores("both", users...)},
			{Name: "realm", Realms: []string{"corp.example", "branch.example"}, Chain: stores("realm", users...)},
			{Name: "domain", Domains: []string{"corp"}, Chain: stores("domain", users...)},
			{Name: "profile", Profiles: []string{"staff.example.org"}, Chain: stores("profile", users...)},
		},
		Default: stores("rest", users...),
	})
	for _, tt := range []struct{ identity, user, idi, profile, want string }{
		{"alice", "alice", "", "", "default"},
		{"alice@corp.example", "alice", "", "", "realm"},
		{"alice@BRANCH.example", "alice", "", "", "realm"},
		{"alice@other.example", "alice", "", "", "default"},
		{`Corp\alice`, `CORP\alice`, "", "", "domain"},
		{`CORP\alice@corp.example`, "alice", "", "", "both"},
		{"alice", "alice", "", "STAFF.example.org", "profile"},
		{"alice", "alice", "", "guests.example.org", "default"},
		{"-", "alice@corp.example", "10.0.0.1", "", "realm"},
	} {
		step, _ := login{tt.identity, tt.user, "sesame", auth.Peer{IDi: tt.idi, Profile: tt.profile}}.play(t, r)
		if step.Verdict != auth.Accept || evidence(step.Grant.Remarks, "rule") != tt.want {
			t.Errorf("%+v: verdict %d, %+v", tt, step.Verdict, step.Grant)
		}
	}
}

// TestOneMemberIsAsWithoutRouter: octet for octet.
func TestOneMemberIsAsWithoutRouter(t *testing.T) {
	for _, password := range []string{"sesame", "wrong"} {
		stream := func() *seededReader { return &seededReader{rand.New(rand.NewPCG(1, 2))} }
		alone := mschapv2.NewBackend(mschapv2.NewHashVerifier(&store{state: accepts}), mschapv2.Options{Rand: stream(), ServerName: "vpn"})
		chain := newRouter(t, Config{Default: stores("file", "alice"), Rand: stream(), ServerName: "vpn"})
		client := login{"", "alice", password, auth.Peer{}}
		_, want := client.play(t, alone)
		_, got := client.play(t, chain)
		for i := range want {
			// What proves the password follows the client's own random challenge.
			if len(got) != len(want) || i < 2 && !bytes.Equal(got[i], want[i]) || len(got[i]) != len(want[i]) || !bytes.Equal(got[i][:2], want[i][:2]) {
				t.Errorf("%s: packet %d is %x, expected %x", password, i, got[i], want[i])
			}
		}
	}
}

type seededReader struct{ *rand.Rand }

func (s *seededReader) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(s.Uint32())
	}
	return len(b), nil
}

// TestNobodyIsRoutedTwice: what comes after the first name changes nothing.
func TestNobodyIsRoutedTwice(t *testing.T) {
	file := &store{state: refuses, name: "file", users: []string{"alice"}}
	last := &store{state: accepts, name: "radius", users: []string{"alice", "bob"}}
	for _, kind := range []string{"store", "verifier", "backend"} {
		r := newRouter(t, Config{Default: Chain{Members: []Member{member("store", file), member(kind, last)}}})
		// A name of somebody else's than the one that was routed by.
		step, _ := login{"bob", "alice", "sesame", auth.Peer{}}.play(t, r)
		if step.Verdict != auth.Reject {
			t.Errorf("%s: bob came in as alice: %+v", kind, step)
		}
		// No identity: the name of the response counts, not the one of IKE.
		if step, _ := (login{"-", "alice", "sesame", auth.Peer{IDi: "bob"}}).play(t, r); step.Verdict != auth.Reject {
			t.Errorf("%s: alice came in by the IKE identity of bob: %+v", kind, step)
		}
	}
}

// TestAnIdentityThatComesAgain: a second answer to the identity request, or one
// that is malformed or out of turn, leads to no other member.
func TestAnIdentityThatComesAgain(t *testing.T) {
	ctx := context.Background()
	file, last := &store{state: accepts, name: "file", users: []string{"alice"}}, &store{state: accepts, name: "radius", users: []string{"bob"}}
	r := newRouter(t, Config{Default: Chain{Members: []Member{member("store", file), member("backend", last)}}})
	c, err := r.Begin(ctx, auth.Peer{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	step, err := c.Next(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	identity := func(id uint8, name string) []byte {
		return eap.Packet{Code: eap.CodeResponse, Identifier: id, Type: eap.TypeIdentity, Data: []byte(name)}.Append(nil)
	}
	id := step.Packet[1]
	for _, stray := range [][]byte{nil, {2}, identity(id+1, "bob")} {
		if again, err := c.Next(ctx, stray); err != nil || !bytes.Equal(again.Packet, step.Packet) {
			t.Fatalf("a stray %x was answered with %x, %v", stray, again.Packet, err)
		}
	}
	if step, err = c.Next(ctx, identity(id, "alice")); err != nil || step.Verdict != auth.Continue {
		t.Fatal(step, err)
	}
	asked := last.asked
	if step, err = c.Next(ctx, identity(step.Packet[1], "bob")); err != nil || step.Verdict != auth.Reject {
		t.Errorf("a second identity: verdict %d, %v", step.Verdict, err)
	}
	if last.asked != asked {
		t.Error("a second identity led to another member")
	}
}

// recovering is a store that is out for its first calls.
type recovering struct {
	*store
	calls int
}

func (r *recovering) Lookup(ctx context.Context, name string) (auth.Account, bool, error) {
	if r.calls--; r.calls >= 0 {
		return auth.Account{}, false, errDown
	}
	return r.store.Lookup(ctx, name)
}

// TestAMemberThatComesBackDuringALogin: where it was out as the user was to be
// sent on, the login does not end as that of an unknown user, nor with
// break-glass accounts; the next login is an ordinary one.
func TestAMemberThatComesBackDuringALogin(t *testing.T) {
	for user, want := range map[string]auth.Verdict{"alice": auth.Accept, "bob": auth.Unavailable} {
		directory := &recovering{&store{state: accepts, users: []string{"alice"}}, 1}
		glass := &store{state: accepts, users: []string{"bob"}}
		r := newRouter(t, Config{Default: Chain{BreakGlass: glass, Members: []Member{
			{Name: "ldap", Central: true, Store: directory}, member("backend", &store{state: accepts, name: "radius", users: []string{"bob"}}),
		}}})
		client := login{"", user, "sesame", auth.Peer{}}
		step, _ := client.play(t, r)
		if step.Verdict != want || want == auth.Unavailable && (step.Reason.Cause != auth.CauseBackendUnavailable || evidence(step.Reason.Evidence, "backend") != "ldap") {
			t.Errorf("%s: verdict %d, %+v", user, step.Verdict, step.Reason)
		}
		if step, _ := client.play(t, r); step.Verdict != auth.Accept || step.Grant.BreakGlass || glass.asked > 0 {
			t.Errorf("%s afterwards: verdict %d, %+v, break glass asked %d times", user, step.Verdict, step.Grant, glass.asked)
		}
	}
}

// TestAcceptedAsSomebodyElse: a server that has whole conversations may find
// out another name than the outer one, but not that of a user whom a member
// before it knows.
func TestAcceptedAsSomebodyElse(t *testing.T) {
	for inner, want := range map[string]auth.Verdict{"carol": auth.Accept, "alice": auth.Reject} {
		file := &store{state: refuses, name: "file", users: []string{"alice"}}
		inside := mschapv2.NewBackend(renaming{&store{state: accepts}, inner}, mschapv2.Options{})
		last := Member{Name: "radius", Backend: &passing{inside, &store{state: accepts}}}
		r := newRouter(t, Config{Default: Chain{Members: []Member{member("store", file), last}}})
		step, _ := login{"anonymous", "anonymous", "sesame", auth.Peer{}}.play(t, r)
		if step.Verdict != want || want == auth.Reject && step.Reason.Cause != auth.CauseIdentityMismatch {
			t.Errorf("%s: verdict %d, %+v", inner, step.Verdict, step.Reason)
		}
	}
}

// renaming accepts everybody as one user.
type renaming struct {
	*store
	inner string
}

func (r renaming) Verify(_ context.Context, q auth.MSCHAPv2Response) (auth.Keys, error) {
	return mschapv2.Judge(auth.Account{Hash: auth.HashPassword([]byte("sesame")), Grant: auth.Grant{Name: r.inner}}, true, q)
}

// TestEqualWork: whoever is asked for, every store is asked the same.
func TestEqualWork(t *testing.T) {
	for _, name := range []string{"alice", "bob", "nobody"} {
		a, b := &store{state: accepts, users: []string{"alice"}}, &store{state: accepts, users: []string{"bob"}}
		r := newRouter(t, Config{Default: Chain{Members: []Member{{Name: "a", Store: a}, {Name: "b", Store: b}}}})
		login{"", name, "wrong", auth.Peer{}}.play(t, r)
		if a.asked != 1 || b.asked != 1 {
			t.Errorf("%s: asked %d and %d times", name, a.asked, b.asked)
		}
	}
}

func TestConfigThatCanNotBe(t *testing.T) {
	s := &store{state: accepts}
	for name, c := range map[string]Config{
		"no member":      {},
		"nothing set":    {Default: Chain{Members: []Member{{Name: "x"}}}},
		"RADIUS first":   {Default: Chain{Members: []Member{member("verifier", s), member("store", s)}}},
		"matches nobody": {Rules: []Rule{{Name: "r", Chain: stores("a")}}, Default: stores("b")},
	} {
		var wrong *ConfigError
		if _, err := New(c); !errors.As(err, &wrong) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzConversation: whatever a client answers, nothing panics, nobody is let in
// without a password, and the rule is chosen once.
func FuzzConversation(f *testing.F) {
	f.Add([]byte("bob"), []byte{2, 0, 0, 6, 26, 4})
	f.Add([]byte{}, []byte{2, 1, 0, 5, 1})
	f.Fuzz(func(t *testing.T, name, packet []byte) {
		ctx := context.Background()
		file, last := &store{state: accepts, users: []string{"alice"}}, &store{state: accepts, users: []string{"bob"}}
		r := newRouter(t, Config{
			Rules:   []Rule{{Name: "rule", Realms: []string{"x"}, Chain: Chain{Members: []Member{member("verifier", last)}}}},
			Default: Chain{Members: []Member{member("store", file), member("backend", last)}},
		})
		c, err := r.Begin(ctx, auth.Peer{IDi: "alice"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		step, err := c.Next(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		var rule *Rule
		response := eap.Packet{Code: eap.CodeResponse, Identifier: step.Packet[1], Type: eap.TypeIdentity, Data: name}.Append(nil)
		for range 8 {
			if step, err = c.Next(ctx, response); err != nil || step.Verdict == auth.Reject || step.Verdict == auth.Unavailable {
				return
			}
			if step.Verdict == auth.Accept {
				t.Fatal("let in without a password")
			}
			now := c.(*conversation).judge.rule
			if rule != nil && now != rule {
				t.Fatal("the rule changed")
			}
			rule = now
			response = append([]byte(nil), packet...)
			if len(response) > 1 {
				response[1] += step.Packet[1]
			}
		}
	})
}
