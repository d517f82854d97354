// Package secrecy is for tests that a secret shows in nothing that prints,
// logs or encodes the values that hold it.
package secrecy

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// verbs include those that suit no value here: package fmt then prints what a
// pointer points to without asking any method.
var verbs = []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%z"}

// Check fails t where secret, at least 8 octets that occur nowhere else in the
// values, can be read in what fmt, encoding/json or log/slog make of one of
// them: of the value itself, and of it within a struct and a slice.
func Check(t testing.TB, secret []byte, values ...any) {
	t.Helper()
	looks := looksOf(secret[:8])
	for _, v := range values {
		for how, text := range prints(v) {
			for look, leak := range looks {
				if strings.Contains(text, leak) {
					t.Errorf("%T prints a secret as %s with %s", v, look, how)
				}
			}
		}
	}
}

// looksOf is how octets look when something prints them.
func looksOf(b []byte) map[string]string {
	looks := map[string]string{
		"text":   string(b),
		"base64": base64.StdEncoding.EncodeToString(b[:6]),
		"hex":    hex.EncodeToString(b),
		"HEX":    strings.ToUpper(hex.EncodeToString(b)),
		"JSON":   strings.Trim(strings.ReplaceAll(fmt.Sprint(b), " ", ","), "[]"),
	}
	for _, verb := range []string{"%d", "%#v", "%o", "%b"} {
		list := fmt.Sprintf(verb, b)
		looks[verb] = strings.Trim(list[strings.IndexAny(list, "[{")+1:], "byte{}[]")
	}
	return looks
}

// prints gives all texts of v by how they were made.
func prints(v any) map[string]string {
	texts := make(map[string]string)
	for name, held := range map[string]any{"itself": v, "a struct": struct{ Held any }{v}, "a slice": []any{v}} {
		for _, verb := range verbs {
			texts[verb+" of "+name] = fmt.Sprintf(verb, held)
		}
		var asJSON, asText bytes.Buffer
		slog.New(slog.NewJSONHandler(&asJSON, nil)).Info("held", "value", held)
		slog.New(slog.NewTextHandler(&asText, nil)).Info("held", "value", held)
		texts["slog JSON of "+name], texts["slog text of "+name] = asJSON.String(), asText.String()
		if b, err := json.Marshal(held); err == nil {
			texts["JSON of "+name] = string(b)
		}
	}
	return texts
}
