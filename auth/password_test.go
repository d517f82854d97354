package auth

import (
	"strings"
	"testing"
)

func TestCheckPassword(t *testing.T) {
	for password, want := range map[string]string{
		"":                                "error",
		"\xff\xfe":                        "error",
		strings.Repeat("x", 257):          "error",
		strings.Repeat("\U0001F511", 129): "error",
		strings.Repeat("\U0001F511x", 85): "",
		"correct horse battery staple":    "",
		"short":                           "characters",
		"123456789012":                    "digits only",
		"aaaaaaaaaaaaa":                   "one character repeated",
		"Alice-in-Wonderland":             "user's name",
		"pässwörter-mit-umlauten":         "",
	} {
		advice, err := CheckPassword("alice", []byte(password))
		got := strings.Join(advice, "; ")
		switch {
		case want == "error" && err == nil:
			t.Errorf("%q is accepted", password)
		case want != "error" && err != nil:
			t.Errorf("%q: %v", password, err)
		case want == "" && got != "", want != "error" && !strings.Contains(got, want):
			t.Errorf("%q: advice %q, want %q", password, got, want)
		}
	}
}
