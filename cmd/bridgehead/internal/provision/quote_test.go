package provision

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"bridgehead/integration/profiles"
)

// hostile are characters that end, expand or hide something in one of the
// languages.
var hostile = []rune("\"'`$\\&<>()[]{};,=|#%*?!^~:/@ \u2018\u2019\u201a\u201b\u201c\u201d\u201eäé漢😀ab1-.")

// names draws names that Connection.check passes.
func names() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		s := strings.TrimSpace(rapid.StringOfN(rapid.RuneFrom(hostile), 1, 24, maxName).Draw(t, "name"))
		if s == "" {
			return "x"
		}
		return s
	})
}

// TestNamesComeThrough writes any names into all profiles and reads them back.
func TestNamesComeThrough(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		conn := Connection{Name: names().Draw(rt, "connection"), User: names().Draw(rt, "user")}
		for _, c := range []Client{Windows, Apple, Android} {
			if c == Windows && conn.checkEntry() != nil {
				continue
			}
			p := write(t, gateway(), c, conn)
			s, err := setup(p)
			if err != nil {
				rt.Fatalf("%s: %v\n%s", c, err, p.Text)
			}
			if s.Name != conn.Name || c != Windows && s.User != conn.User {
				rt.Fatalf("%s: %q and %q, want %+v\n%s", c, s.Name, s.User, conn, p.Text)
			}
		}
	})
}

// TestNamesComeThroughTheShell is the same for the script, which a shell runs.
func TestNamesComeThroughTheShell(t *testing.T) {
	for _, name := range []string{"O'Brien", `a "b" $(c) $d ` + "`e`", `back\slash, comma=\`, "-n", "a&b<c>|d;e#f", "'", `\'`, "漢😀", "keyid:x", "#1", "%any", "10.0.0.1"} {
		conn := Connection{Name: name, User: name}
		if s := read(t, write(t, split(t), NetworkManager, conn)); s.Name != name || s.User != name {
			t.Errorf("%q: %q and %q", name, s.Name, s.User)
		}
	}
}

// FuzzPowerShell: a quoted string is one word, which means the string.
func FuzzPowerShell(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) || visible(s) != s {
			return // refused before it is quoted
		}
		for _, script := range []string{powerShell(s), "Get-X -Name " + powerShell(s) + " -Force", "if (Get-X " + powerShell(s) + ") {\n}"} {
			statements, err := profiles.PowerShell(script)
			if err != nil {
				t.Fatalf("%s: %v", script, err)
			}
			if !slices.ContainsFunc(statements, func(words []profiles.Word) bool {
				return slices.Contains(words, profiles.Word{Text: s, Quoted: true})
			}) {
				t.Fatalf("%s: %v", script, statements)
			}
		}
	})
}

// FuzzShell: what the POSIX shell makes of a quoted word.
func FuzzShell(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsRune(s, 0) {
			return // no argument holds it
		}
		out, err := exec.Command("sh", "-c", "printf '%s|' "+shell(s)+" end").Output()
		if err != nil || string(out) != s+"|end|" {
			t.Fatalf("%s: %q, %v", shell(s), out, err)
		}
	})
}

// FuzzSwanctl: strongSwan's quoted strings (settings_lexer.l): a back-slash
// takes the meaning of what follows away, save for n, r and t.
func FuzzSwanctl(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, s string) {
		quoted := swanctl(s)
		inside := quoted[1 : len(quoted)-1]
		var got strings.Builder
		for i := 0; i < len(inside); i++ {
			switch {
			case inside[i] == '"':
				t.Fatalf("%s ends early", quoted)
			case inside[i] == '\\':
				i++
				if i == len(inside) || strings.IndexByte("nrt\n", inside[i]) >= 0 {
					t.Fatalf("%s has an escape of another meaning", quoted)
				}
			}
			got.WriteByte(inside[i])
		}
		if got.String() != s {
			t.Fatalf("%s means %q", quoted, got.String())
		}
	})
}

// FuzzProfile: whatever the names are, a profile is refused or can be read.
func FuzzProfile(f *testing.F) {
	for _, c := range written {
		f.Add(string(c), "My VPN", "alice")
	}
	f.Add("apple", "</string><key>x</key>", "&amp;")
	f.Add("windows", "\u201d; Remove-Item $HOME", "`")
	f.Fuzz(func(t *testing.T, client, name, user string) {
		if !slices.Contains([]Client{Windows, Apple, Android}, Client(client)) {
			return // the others are run by a shell: FuzzShell
		}
		p, err := gateway().Profile(Client(client), Connection{Name: name, User: user})
		if err != nil {
			return
		}
		if s := read(t, p); s.Name != name || client != string(Windows) && s.User != user {
			t.Fatalf("%q and %q read from\n%s", s.Name, s.User, p.Text)
		}
	})
}

func seed(f *testing.F) {
	for _, s := range []string{"", "My VPN", "O'Brien", `"$x" ` + "`n`", `\`, `\\"`, "\u201c\u2019", "\u201d", "\u201e", "&<>", "a\tb", "-n", "$(x)", "a\nb"} {
		f.Add(s)
	}
}
