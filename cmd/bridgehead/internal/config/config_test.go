package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bridgehead/ikev2/suite"
)

var update = flag.Bool("update", false, "write the golden files anew")

// folder makes a temporary folder the current one, with the files a
// configuration names, and bridgehead.toml with the text given.
func folder(t *testing.T, text string) string {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, name := range []string{"server.pem", "server.key", "users", "radius.secret"} {
		write(t, name, "")
	}
	write(t, "bridgehead.toml", text)
	return "bridgehead.toml"
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// load is Load with its problems judged.
func load(file string) (*Config, []Problem, error) {
	c, problems := Load(file)
	warnings, err := Judge(problems)
	if err != nil {
		return nil, nil, err
	}
	return c, warnings, nil
}

// TestGolden loads each testdata/*.toml and compares everything that is said
// about it.
func TestGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.toml")
	if err != nil || len(cases) == 0 {
		t.Fatal("no cases:", err)
	}
	for _, file := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(t *testing.T) {
			golden, err := filepath.Abs(strings.TrimSuffix(file, ".toml") + ".golden")
			if err != nil {
				t.Fatal(err)
			}
			c, warnings, err := load(folder(t, read(t, file)))
			var got strings.Builder
			if err != nil {
				fmt.Fprintln(&got, err)
			}
			for _, w := range warnings {
				fmt.Fprintln(&got, w)
			}
			if c != nil {
				for _, e := range c.Explain() {
					fmt.Fprintf(&got, "%s = %s # %s\n", e.Setting, e.Value, e.Origin)
				}
			}
			// Which proposals are the default is the suite's to say.
			said := strings.NewReplacer(suite.DefaultIKE().String(), "(default IKE)", suite.DefaultESP().String(), "(default ESP)").Replace(got.String())
			if *update {
				if err := os.WriteFile(golden, []byte(said), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(read(t, golden), said); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

const good = `[server]
name = "vpn.example.org"
certificate = "server.pem"
key = "server.key"
[addresses]
pools = ["192.0.2.0/25"]
[auth.file]
path = "users"
`

// TestNoNeedlessWarnings holds what looks like what is warned of, and is good.
func TestNoNeedlessWarnings(t *testing.T) {
	for name, text := range map[string]string{
		"IPv6 alone, split":          strings.Replace(good, `"192.0.2.0/25"]`, `"2001:db8::/96"]`+"\nsubnets = [\"2001:db8:1::/48\"]", 1),
		"IPv4 split, all of IPv6":    strings.Replace(good, `"192.0.2.0/25"]`, `"192.0.2.0/25", "2001:db8::/96"]`+"\nsubnets = [\"10.0.0.0/8\", \"::/0\"]", 1),
		"split, IPv4 pool":           strings.Replace(good, `"192.0.2.0/25"]`, `"192.0.2.0/25"]`+"\nsubnets = [\"10.0.0.0/8\", \"2001:db8:1::/48\"]", 1),
		"a mark where the kernel is": good + "[dataplane]\nkind = \"kernel\"\noutput_mark = 7\n",
		"no mark":                    good + "[dataplane]\noutput_mark = 0\n",
	} {
		if _, warnings, err := load(folder(t, text)); err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v, %v", name, warnings, err)
		}
	}
}

func TestConfDOverrides(t *testing.T) {
	file := folder(t, good)
	write(t, "conf.d/10-log.toml", "[log]\nlevel = \"debug\"\n")
	write(t, "conf.d/20-log.toml", "[log]\nlevel = \"warn\"\n[addresses]\npools = \"198.51.100.0/24\"\n")
	write(t, "conf.d/note.txt", "not TOML")
	c, _, err := load(file)
	if err != nil {
		t.Fatal(err)
	}
	origin := map[string]string{}
	for _, e := range c.Explain() {
		origin[e.Setting] = e.Value + " " + e.Origin
	}
	for setting, want := range map[string]string{
		"log.level":       `"warn" conf.d/20-log.toml:2`,
		"addresses.pools": `["198.51.100.0/24"] conf.d/20-log.toml:4`,
		"server.name":     `"vpn.example.org" bridgehead.toml:2`,
		"server.ike_port": "500 default",
	} {
		if origin[setting] != want {
			t.Errorf("%s: got %s, want %s", setting, origin[setting], want)
		}
	}
	write(t, "conf.d/30-bad.toml", "[log]\nlevel = 1\n")
	if _, _, err = load(file); err == nil || !strings.HasPrefix(err.Error(), "conf.d/30-bad.toml:2:9: ") {
		t.Errorf("a mistake in conf.d is told as %v", err)
	}
}

func TestDesignExampleFitsIn25Lines(t *testing.T) {
	if n := strings.Count(good, "\n"); n > 25 {
		t.Errorf("the least configuration has %d lines", n)
	}
	if _, _, err := load(folder(t, good)); err != nil {
		t.Error(err)
	}
}

func TestExplainedLoadsAgain(t *testing.T) {
	c, _, err := load(folder(t, read(t, "testdata/good.toml")))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	section := ""
	for _, e := range c.Explain() {
		if e.Section() != section {
			section = e.Section()
			fmt.Fprintf(&text, "[%s]\n", section)
		}
		fmt.Fprintf(&text, "%s = %s\n", e.Key(), e.Value)
	}
	write(t, "again.toml", text.String())
	again, _, err := load("again.toml")
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, text.String())
	}
	for i, e := range again.Explain() {
		if was := c.Explain()[i]; e.Value != was.Value {
			t.Errorf("%s: %s became %s", e.Setting, was.Value, e.Value)
		}
	}
}

func TestMissingFile(t *testing.T) {
	t.Chdir(t.TempDir())
	_, _, err := load("nowhere.toml")
	broken := new(Error)
	if !errors.As(err, &broken) || !strings.Contains(err.Error(), "nowhere.toml:1:1: cannot be read: no such file") {
		t.Errorf("got %v", err)
	}
}

func TestReadableSecretsAreWarnedOf(t *testing.T) {
	file := folder(t, good)
	if err := os.Chmod("server.key", 0o644); err != nil {
		t.Fatal(err)
	}
	_, warnings, err := load(file)
	if err != nil || len(warnings) != 1 || !strings.HasPrefix(warnings[0].String(), "bridgehead.toml:4:7: warning: server.key: ") {
		t.Errorf("%v %v", warnings, err)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"certificate", "key", "chain", "name"}
	for word, want := range map[string]string{
		"certifcate": "certificate", "Key": "key", "kye": "key", "nmae": "name", "chian": "chain", "zebra": "", "": "",
		strings.Repeat("certificate", 20): "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestEditDistanceIsSymmetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.StringN(0, 12, 12).Draw(t, "a"), rapid.StringN(0, 12, 12).Draw(t, "b")
		d := editDistance(a, b)
		if d != editDistance(b, a) {
			t.Fatalf("%q %q: not symmetric", a, b)
		}
		if (d == 0) != (a == b) || d > max(len(a), len(b)) {
			t.Fatalf("%q %q: distance %d", a, b, d)
		}
	})
}

// FuzzLoad feeds any text as a configuration: it must end in a Config or in
// positions that exist in the text.
func FuzzLoad(f *testing.F) {
	cases, err := filepath.Glob("testdata/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range cases {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("a.b.c = {x={y=[1,{z=2}]}}\n[a]\n[[a.b]]\n\"server\".'name' = '''\n'''")
	f.Add("[a]\n\"\\erver\".name = ''\n") // an escape character in the name of a section
	f.Fuzz(func(t *testing.T, text string) {
		c := Default()
		problems := c.apply(&source{path: "fuzz.toml", data: text})
		problems = append(problems, c.missing()...)
		problems = append(problems, c.validatePools()...)
		problems = append(problems, c.validateRADIUS()...)
		problems = append(problems, c.validateDAE()...)
		problems = append(problems, c.validateAccounting()...)
		lines := strings.Split(text, "\n")
		for _, p := range problems {
			if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > len([]rune(lines[p.Line-1]))+1 {
				t.Fatalf("problem at %d:%d of %d lines: %s", p.Line, p.Column, len(lines), p.Message)
			}
			if strings.ContainsAny(p.String(), "\r\x1b\x00") {
				t.Fatalf("problem prints control characters: %q", p.String())
			}
		}
		if len(problems) == 0 && len(c.Explain()) != len(c.settings()) {
			t.Fatal("not everything is explained")
		}
	})
}
