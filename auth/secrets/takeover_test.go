package secrets

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bridgehead/auth"
)

// told reads text as ipsec.secrets and describes lines and problems.
func told(t *testing.T, text string) (lines, problems []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ipsec.secrets")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ls, ps, err := ReadIPsec(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range ls {
		s := fmt.Sprintf("%d:%d %s", l.Line, l.Column, l.Kind)
		for _, u := range l.Users {
			s += " " + u.Name
		}
		if l.Key != nil {
			s += " " + filepath.Base(l.Key.Path)
		}
		lines = append(lines, s+l.Pattern)
	}
	for _, p := range ps {
		problems = append(problems, fmt.Sprintf("%d:%d %v %s", p.Line, p.Column, p.Warning, p.Text))
	}
	return lines, problems
}

func TestReadIPsecTellsEachLine(t *testing.T) {
	lines, problems := told(t, `### keys
 : RSA server.key
user1 CORP\user2 : EAP "password1"
user1 : XAUTH "password1"
user1 : NTLM 0x00112233445566778899aabbccddeeff
: PSK "shared"
# user9 : EAP "kept back"
include nowhere/*
`)
	want := []string{"2:2 RSA server.key", `3:1 EAP user1 CORP\user2`, "4:1 XAUTH", "6:1 PSK", "8:1 includenowhere/*"}
	if fmt.Sprint(lines) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", lines, want)
	}
	for i, start := range []string{"4:1 true", "5:1 false", "6:3 true", "8:1 true"} {
		if len(problems) <= i || !strings.HasPrefix(problems[i], start) {
			t.Errorf("problem %d is not at %s: %q", i, start, problems)
		}
	}
}

func TestLostLineBreaksAreSeen(t *testing.T) {
	lines, problems := told(t, `### SSL private key : RSA /etc/vpn.key ### Clients user1 : EAP "password1" user2 : EAP "password2" # ...etc.`)
	if len(lines) != 0 || len(problems) != 1 || !strings.Contains(problems[0], "1:1 false this comment swallows 3 secrets") {
		t.Errorf("got %q and %q", lines, problems)
	}
	for _, p := range problems {
		if strings.Contains(p, "password1") {
			t.Errorf("a password is told: %s", p)
		}
	}
}

func TestAppendUsersIsReadBack(t *testing.T) {
	users := []User{{Name: "alice", Hash: auth.HashPassword([]byte("x"))}, {Name: `the "boss"`, Hash: auth.HashPassword([]byte("y"))}}
	text, err := AppendUsers(nil, users)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	back, problems, err := List(path)
	if err != nil || len(problems) != 0 || len(back) != 2 || !back[0].Equal(users[0]) || !back[1].Equal(users[1]) {
		t.Errorf("%v %v %v", back, problems, err)
	}
	if _, err := AppendUsers(nil, []User{{Name: "a\nb", Hash: users[0].Hash}}); err == nil {
		t.Error("a name with a line break is written")
	}
	if s := fmt.Sprintf("%+v", IPsecLine{Users: users}); strings.Contains(s, "alice") || strings.Contains(s, "hash") {
		t.Errorf("a line prints %s", s)
	}
}
