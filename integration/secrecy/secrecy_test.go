package secrecy

import (
	"fmt"
	"strings"
	"testing"
)

// witness counts failures.
type witness struct {
	testing.TB
	failures []string
}

func (w *witness) Helper() {}
func (w *witness) Errorf(format string, args ...any) {
	w.failures = append(w.failures, fmt.Sprintf(format, args...))
}

type silent []byte

func (silent) Format(f fmt.State, _ rune)   { fmt.Fprint(f, "[silent]") }
func (silent) MarshalText() ([]byte, error) { return []byte("[silent]"), nil }

func TestCheckSeesLeaks(t *testing.T) {
	secret := []byte("sesame, open")
	for name, tc := range map[string]struct {
		value any
		leaks string // part of a failure; empty: none
	}{
		"silent":              {silent(secret), ""},
		"silent in a struct":  {struct{ S silent }{silent(secret)}, ""},
		"plain octets":        {secret, "as %d with %v of itself"},
		"plain octets, JSON":  {secret, "as base64 with JSON of itself"},
		"text":                {string(secret), "as text with slog text of itself"},
		"array, JSON":         {[12]byte(secret), "as JSON with slog JSON of a struct"},
		"unexported field":    {struct{ s silent }{silent(secret)}, "as %#v with %#v of itself"},
		"pointer, wrong verb": {&struct{ S silent }{silent(secret)}, "as %d with %s of a slice"},
	} {
		w := &witness{TB: t}
		Check(w, secret, tc.value)
		all := strings.Join(w.failures, "\n")
		if tc.leaks == "" && all != "" || !strings.Contains(all, tc.leaks) {
			t.Errorf("%s: want %q in\n%s", name, tc.leaks, all)
		}
	}
}
