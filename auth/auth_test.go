package auth

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bridgehead/integration/secrecy"
)

func TestEveryCauseHasNameTextAndAdvice(t *testing.T) {
	name := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	texts := make(map[string]Cause)
	for _, c := range Causes() {
		r := Reason{Cause: c}
		if !name.MatchString(string(c)) {
			t.Errorf("cause %q is not in kebab case", c)
		}
		for what, sentence := range map[string]string{"text": r.Text(), "advice": r.Advice()} {
			if len(sentence) < 20 || !strings.HasSuffix(sentence, ".") || strings.ToUpper(sentence[:1]) != sentence[:1] {
				t.Errorf("%s: the %s is no sentence: %q", c, what, sentence)
			}
		}
		if other, twice := texts[r.Text()]; twice {
			t.Errorf("%s and %s have the same text", c, other)
		}
		texts[r.Text()] = c
	}
	if len(texts) < 23 {
		t.Errorf("the catalogue has %d causes, expected all 23", len(texts))
	}
	if r := (Reason{Cause: "new-one"}); r.Text() != "new-one" || r.Advice() != "" {
		t.Errorf("a cause outside of the catalogue: %q, %q", r.Text(), r.Advice())
	}
}

func TestNamesAreSplitAndLookedUpInOrder(t *testing.T) {
	for _, tt := range []struct {
		in      string
		want    Name
		lookups []string
	}{
		{"alice", Name{User: "alice"}, []string{"alice"}},
		{`CORP\alice`, Name{Domain: "CORP", User: "alice"}, []string{`CORP\alice`, "alice"}},
		{"alice@corp.example", Name{User: "alice", Realm: "corp.example"}, []string{"alice@corp.example", "alice"}},
		{"a@b@c", Name{User: "a@b", Realm: "c"}, []string{"a@b@c", "a@b"}},
		{`CORP\alice@corp.example`, Name{Domain: "CORP", User: "alice", Realm: "corp.example"}, []string{`CORP\alice@corp.example`, "alice"}},
		{`CORP\`, Name{User: `CORP\`}, []string{`CORP\`}},
		{"@home", Name{User: "@home"}, []string{"@home"}},
		{"", Name{}, []string{""}},
	} {
		tt.want.Full = tt.in
		got := SplitName(tt.in)
		if got != tt.want {
			t.Errorf("SplitName(%q) = %+v, want %+v", tt.in, got, tt.want)
		}
		if diff := cmp.Diff(tt.lookups, got.Lookups()); diff != "" {
			t.Errorf("lookups of %q: %s", tt.in, diff)
		}
	}
}

func TestSameUser(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"alice", "alice", true},
		{`CORP\alice`, "alice", true},
		{`CORP\alice`, `corp\alice`, true},
		{"alice@corp", `CORP\alice`, true},
		{"alice@corp", "alice@CORP", true},
		{"alice", "Alice", false},
		{"alice", "bob", false},
		{`A\alice`, `B\alice`, false},
		{"alice@a", "alice@b", false},
		{"", "alice", false},
	} {
		if SameUser(tt.a, tt.b) != tt.want || SameUser(tt.b, tt.a) != tt.want {
			t.Errorf("SameUser(%q, %q) is not %v both ways", tt.a, tt.b, tt.want)
		}
	}
}

func TestHashPassword(t *testing.T) {
	for password, want := range map[string]string{
		"clientPass": "44ebba8d5312b8d611474411f56989ae", // RFC 2759 §9.2
		"password":   "8846f7eaee8fb117ad06bdd830b7586c",
		"":           "31d6cfe0d16ae931b73c59d7e0c089c0",
	} {
		h := HashPassword([]byte(password))
		if got := hex.EncodeToString(h[:]); got != want {
			t.Errorf("hash of %q is %s, want %s", password, got, want)
		}
	}
	// Beyond the first plane a character is a pair of UTF-16 units.
	if got, want := HashPassword([]byte("ü😀")), md4Of([]byte{0xFC, 0, 0x3D, 0xD8, 0x00, 0xDE}); got != want {
		t.Error("characters outside of ASCII are not hashed as UTF-16")
	}
	hash := HashPassword([]byte("clientPass"))
	hashHash := hash.HashHash()
	if got := hex.EncodeToString(hashHash[:]); got != "41c00c584bd2d91c4017a2a12fa59f3f" {
		t.Errorf("hash of the hash is %s", got)
	}
	hash.Wipe()
	if hash != (NTHash{}) {
		t.Error("Wipe left octets behind")
	}
}

func TestSecretsNeverPrint(t *testing.T) {
	secret := Secret("sesame, open the gate by night")
	hash := NTHash(secret[:16])
	account, grant := Account{Hash: hash, Grant: Grant{Name: "alice"}}, Grant{MSK: secret, Name: "alice", Pool: "staff"}
	keys, response := Keys{Grant: grant}, MSCHAPv2Response{Name: "alice", NTResponse: [24]byte(secret)}
	change := PasswordChange{Response: response, EncryptedHash: [16]byte(secret)}
	secrecy.Check(t, secret, secret, hash, &hash, account, &account, grant, &grant, keys, &keys, response, &response, change, &change,
		Step{Grant: &grant}, &Step{Grant: &grant})
	if text := fmt.Sprintf("%+v", grant); !strings.Contains(text, "Name:alice") || !strings.Contains(text, "Pool:staff") {
		t.Errorf("nothing useful printed: %s", text)
	}
}
