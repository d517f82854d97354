package esp

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

func TestKeysNeverPrint(t *testing.T) {
	for _, s := range testSuites() {
		sa := s.sa()
		out, in := pair(t, sa)
		child := Child{In: sa, Out: sa}
		var text bytes.Buffer
		for _, v := range []any{sa, &sa, child, &child, out, in, struct{ Nested Child }{child}, []*Child{&child}} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
				fmt.Fprintf(&text, verb+"\n", v)
			}
			if err := json.NewEncoder(&text).Encode(v); err != nil {
				t.Fatal(err)
			}
			slog.New(slog.NewTextHandler(&text, nil)).Info("sa", "value", v)
			slog.New(slog.NewJSONHandler(&text, nil)).Info("sa", "value", v)
		}
		for name, leak := range map[string]string{
			"hex":     hex.EncodeToString(sa.EncrKey[:8]),
			"decimal": strings.Trim(fmt.Sprint([]byte(sa.EncrKey[:4])), "[]"),
			"Go":      strings.Trim(fmt.Sprintf("%#v", []byte(sa.EncrKey[:4])), "[]byte{}"),
			"raw":     string(sa.EncrKey[:8]),
			"base64":  base64.StdEncoding.EncodeToString(sa.EncrKey[:6]),
		} {
			if strings.Contains(text.String(), leak) {
				t.Errorf("%s: key printed as %s", s.name, name)
			}
		}
	}
}
