package eap_test

import (
	"bytes"
	"errors"
	"testing"

	"bridgehead/auth/eap"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const digits = "407A5589115FD0D6209F510FE9C04566932CDA56" // RFC 2759 §9.2

func TestSuccessMessages(t *testing.T) {
	want := [20]byte(hexed(t, digits))
	for _, c := range []struct{ in, text string }{
		{"S=" + digits, ""},
		{"S=" + digits + "\x00", ""},
		{"S=" + digits + " ", ""},
		{"S=" + digits + " M=", ""},
		{"S=" + digits + " M=Welcome, S=x back\x00\x00", "Welcome, S=x back"},
		{"S=407a5589115fd0d6209f510fe9c04566932cda56 M=OK", "OK"},
		{"N=12 S=" + digits + " M=OK", "OK"},
	} {
		got, err := eap.ParseSuccessMessage([]byte(c.in))
		if err != nil || got.AuthenticatorResponse != want || got.Text != c.text {
			t.Errorf("%q: %+v, error %v", c.in, got, err)
		}
	}
	if got := (eap.SuccessMessage{AuthenticatorResponse: want, Text: "OK"}).String(); got != "S="+digits+" M=OK" {
		t.Errorf("encoded to %q", got)
	}
	for _, bad := range []string{"", "M=OK", "S= M=OK", "S=" + digits[1:], "S=" + digits + "0", "S=zz" + digits[2:], "M=S=" + digits, "S=" + digits + " S=" + digits} {
		got, err := eap.ParseSuccessMessage([]byte(bad))
		if syntax := new(eap.SyntaxError); !errors.As(err, &syntax) {
			t.Errorf("%q: %+v, error %v, want a *SyntaxError", bad, got, err)
		}
	}
}

func TestFailureMessages(t *testing.T) {
	challenge := bytes.Repeat([]byte{0x1a}, 16)
	const hexChallenge = "1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A"
	for _, c := range []struct {
		in   string
		want eap.FailureMessage
	}{
		{"E=691 R=1 C=" + hexChallenge + " V=3 M=Authentication failed", eap.FailureMessage{Error: 691, Retry: true, Challenge: challenge, Version: 3, Text: "Authentication failed"}},
		{"E=648 R=0 V=3\x00", eap.FailureMessage{Error: 648, Version: 3}},
		{"E=691", eap.FailureMessage{Error: 691}},
		{"R=0 E=647 M=a=b c", eap.FailureMessage{Error: 647, Text: "a=b c"}},
		{"E=691 R=1  X=y junk V=2 M=", eap.FailureMessage{Error: 691, Retry: true, Version: 2}},
	} {
		got, err := eap.ParseFailureMessage([]byte(c.in))
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%q (-want +got):\n%s", c.in, d)
		}
	}
	for _, bad := range []string{"", "R=1", "E=", "E=abc", "E=-1", "E=691 C=1A", "E=691 C=zz", "E=691 V=d", "E=691 E=648", "M=E=691"} {
		got, err := eap.ParseFailureMessage([]byte(bad))
		if syntax := new(eap.SyntaxError); !errors.As(err, &syntax) {
			t.Errorf("%q: %+v, error %v, want a *SyntaxError", bad, got, err)
		}
	}
}

func TestFailureMessageFormat(t *testing.T) {
	m := eap.FailureMessage{Error: 691, Retry: true, Challenge: bytes.Repeat([]byte{0x1a}, 16), Text: "no"}
	if got, want := m.String(), "E=691 R=1 C=1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A V=3 M=no"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := (eap.FailureMessage{Error: 647}).String(), "E=647 R=0 V=3 M="; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMessagesSurviveTheWire(t *testing.T) {
	text := rapid.StringMatching(`[ -~]{0,40}`)
	rapid.Check(t, func(t *rapid.T) {
		s := eap.SuccessMessage{AuthenticatorResponse: [20]byte(octets(20, 20).Draw(t, "S")), Text: text.Draw(t, "M")}
		if got, err := eap.ParseSuccessMessage([]byte(s.String())); err != nil || got != s {
			t.Fatalf("%q: %+v, error %v", s, got, err)
		}
		f := eap.FailureMessage{
			Error: rapid.IntRange(0, 99999).Draw(t, "E"), Retry: rapid.Bool().Draw(t, "R"),
			Version: rapid.IntRange(1, 9).Draw(t, "V"), Text: text.Draw(t, "M"),
		}
		if rapid.Bool().Draw(t, "with C") {
			f.Challenge = octets(16, 16).Draw(t, "C")
		}
		got, err := eap.ParseFailureMessage([]byte(f.String()))
		if d := cmp.Diff(f, got); err != nil || d != "" {
			t.Fatalf("%q: error %v, (-sent +parsed):\n%s", f, err, d)
		}
	})
}

func FuzzMessages(f *testing.F) {
	f.Add([]byte("S=" + digits + " M=OK"))
	f.Add([]byte("E=691 R=1 C=1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A V=3 M=text\x00"))
	f.Add([]byte("E=691 E=1 C= V= M"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := eap.ParseSuccessMessage(b); err == nil {
			if again, err := eap.ParseSuccessMessage([]byte(m.String())); err != nil || again != m {
				t.Errorf("%q: %+v became %+v, error %v", b, m, again, err)
			}
		}
		if m, err := eap.ParseFailureMessage(b); err == nil {
			again, err := eap.ParseFailureMessage([]byte(m.String()))
			if m.Version == 0 {
				m.Version = 3
			}
			if d := cmp.Diff(m, again); err != nil || d != "" {
				t.Errorf("%q: error %v (-first +second):\n%s", b, err, d)
			}
		}
	})
}
