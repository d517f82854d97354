package strongswan

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// memory is a disk with these files; a pattern matches by its name alone.
func memory(files map[string]string) disk {
	return disk{
		read: func(path string, most int) ([]byte, error) {
			text, ok := files[path]
			switch {
			case !ok:
				return nil, os.ErrNotExist
			case len(text) > most:
				return nil, errors.New("is too large")
			}
			return []byte(text), nil
		},
		glob: func(pattern string) ([]string, error) {
			if _, ok := files[pattern]; ok {
				return []string{pattern}, nil
			}
			return nil, nil
		},
	}
}

func TestValues(t *testing.T) {
	text := strings.Join([]string{
		"conn a\r",
		"  plain=one   two\tthree # comment\r",
		"\tquoted = \"one   two\" # comment",
		"\tescaped=\"a \\\"b\\\" \\\\ \\t.\"",
		"\tjoined=\"one\\",
		"two\" three",
		"\tkeyid=@#0a0b",
		"\tstuck=value#comment",
		"\tempty=",
		"",
		"  # a comment",
		"\tlast=1",
	}, "\n")
	c, wrong := readConf("x", memory(map[string]string{"x": text}))
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	got := map[string]string{}
	for _, e := range c.entries {
		got[e.Name] = fmt.Sprintf("%d %s", e.Line, e.value)
	}
	want := map[string]string{
		"plain": "2 one two three", "quoted": "3 one   two", "escaped": "4 a \"b\" \\ \t.", "joined": "5 onetwo three",
		"keyid": "7 @#0a0b", "stuck": "8 value", "empty": "9 ", "last": "12 1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestUpDown(t *testing.T) {
	for value, want := range map[string]Outcome{
		"/etc/strongswan.d/proxyndp.updown": TakenOver,
		"ipsec _updown iptables":            NotSupported,
		"/usr/lib/ipsec/_updown":            NotSupported,
		"/etc/updown eth0":                  NotSupported,
		"/etc/updown;reboot":                NotSupported,
		"updown":                            NotSupported,
	} {
		tr := newTranslator(Options{})
		e := &entry{Directive: Directive{Name: "leftupdown"}, rule: "leftupdown", value: value}
		tr.apply(tr.rules, e)
		if e.Outcome != want || tr.plan.has("hooks.updown") != (want == TakenOver) {
			t.Errorf("%s: %s: %s", value, e.Outcome, e.Note)
		}
	}
}

func TestTimes(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "30": 30 * time.Second, "2400s": 40 * time.Minute, "5m": 5 * time.Minute, "2h": 2 * time.Hour, "1d": 24 * time.Hour,
	} {
		if d, err := parseTime(text); err != nil || d != want {
			t.Errorf("%s: %v %v", text, d, err)
		}
	}
	for _, text := range []string{"", "s", "5ms", "1.5h", "-1s", "366d", "5 minutes", "99999999999999999999"} {
		if d, err := parseTime(text); err == nil {
			t.Errorf("%q is %v", text, d)
		}
	}
}

// TestEverySwanctlNameHasARule guards the two tables against each other.
func TestEverySwanctlNameHasARule(t *testing.T) {
	for path, name := range swanctlNames {
		if connectionRules[name] == nil {
			t.Errorf("%s goes to %s, which has no rule", path, name)
		}
	}
	for name := range later {
		if row := later[name]; row.setting == "" && row.kept == "" && row.todo == "" || row.setting != "" && row.value == nil {
			t.Errorf("%s says nothing", name)
		}
	}
}

// TestALaterRowIsFlipped shows what a row of the table needs to take a
// directive over.
func TestALaterRowIsFlipped(t *testing.T) {
	tr := newTranslator(Options{})
	tr.later = map[string]counterpart{"leftupdown": {
		setting: "host.updown",
		value: func(s string) (string, error) {
			if s == "/x.updown" {
				return "", errors.New("another path")
			}
			return quote(s), nil
		},
	}, "mobike": {kept: "clients may change their network"}}
	moves := &entry{Directive: Directive{Name: "mobike"}, rule: "mobike", value: "yes"}
	if tr.apply(tr.rules, moves); moves.Outcome != TakenOver || moves.Note != "clients may change their network" {
		t.Errorf("%v %v", moves.Outcome, moves.Note)
	}
	good := &entry{Directive: Directive{Name: "leftupdown"}, rule: "leftupdown", value: "/etc/x.updown"}
	bad := &entry{Directive: Directive{Name: "leftupdown"}, rule: "leftupdown", value: "/x.updown", valueAt: Place{"f", 1, 2}}
	tr.apply(tr.rules, good)
	tr.apply(tr.rules, bad)
	if good.Outcome != TakenOver || !strings.Contains(string(tr.plan.render("")), "[host]\nupdown = \"/etc/x.updown\"\n") {
		t.Errorf("%v %v\n%s", good.Outcome, good.Note, tr.plan.render(""))
	}
	if err := tr.err(); err == nil || !strings.Contains(err.Error(), "f:1:2: leftupdown: expected another path") {
		t.Errorf("%v", err)
	}
}

// TestSupportedProposalsParse holds that whatever strongSwan's notation brings,
// what is kept of it is what bridgehead reads.
func TestSupportedProposalsParse(t *testing.T) {
	known := []string{"aes256", "aes128gcm16", "3des", "sha1", "sha256", "md5", "prfsha256", "modp1024", "x25519", "esn", "camellia256", "nonsense", ""}
	rapid.Check(t, func(t *rapid.T) {
		protocol := rapid.SampledFrom([]message.Protocol{message.ProtocolIKE, message.ProtocolESP}).Draw(t, "protocol")
		proposal := rapid.Map(rapid.SliceOfN(rapid.SampledFrom(known), 0, 6), func(ws []string) string { return strings.Join(ws, "-") })
		list := strings.Join(rapid.SliceOfN(proposal, 1, 3).Draw(t, "list"), ",")
		kept, dropped := supported(protocol, list)
		if len(kept) == 0 && len(dropped) == 0 {
			t.Fatalf("%q disappears", list)
		}
		for _, k := range kept {
			if _, err := suite.ParseProposals(protocol, k); err != nil {
				t.Fatalf("%q of %q: %v", k, list, err)
			}
			for _, word := range strings.Split(k, "-") {
				if slices.Contains([]string{"3des", "md5", "camellia256", "nonsense"}, word) {
					t.Fatalf("%q of %q is kept", word, list)
				}
			}
		}
	})
}

// positions checks that problems and directives lie within the file they name.
func positions(t *testing.T, files map[string]string, problems []Problem, entries []*entry) {
	t.Helper()
	lines := make(map[string][]string)
	for name, text := range files {
		lines[name] = strings.Split(text, "\n")
	}
	check := func(p Place) {
		if p.Line == 0 && p.Column == 0 {
			return
		}
		in, ok := lines[p.File]
		if !ok || p.Line < 1 || p.Line > len(in) || p.Column < 1 || p.Column > len([]rune(in[p.Line-1]))+1 {
			t.Fatalf("%v lies outside of %d lines", p, len(in))
		}
	}
	for _, p := range problems {
		check(p.Place)
	}
	for _, e := range entries {
		check(e.Place)
		check(e.valueAt)
		if e.Name == "" || strings.ContainsAny(e.Name, "\n\" ") {
			t.Fatalf("a directive is named %q", e.Name)
		}
	}
}

func FuzzConf(f *testing.F) {
	for _, file := range []string{"testdata/seed/ipsec.conf", "testdata/flattened.conf"} {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(site["ipsec.conf"] + site["conf.d/10-staff.conf"])
	f.Add("conn a\n also=a\nconn %default\n also=b\nconn b\n x=\"\\\n\"\ninclude x\n")
	f.Fuzz(func(t *testing.T, text string) {
		files := map[string]string{"x": text, "y": "  in=y\nconn y\n"}
		c, wrong := readConf("x", memory(files))
		positions(t, files, wrong, c.entries)
		if len(wrong) > 0 {
			return
		}
		tr := newTranslator(Options{Name: "vpn.example.org"})
		h := newInheritance(c, "conn", &tr.problems, tr.options.Suggest)
		for _, s := range c.sections {
			if s.kind == "conn" {
				translate(t, tr, h.connection(s))
			}
		}
	})
}

// TestPlacesInIncludedFiles holds that what is wrong in an included file has
// its place in that file, however short the one that includes it is.
func TestPlacesInIncludedFiles(t *testing.T) {
	for name, c := range map[string]struct{ text, included, want string }{
		"longer than the including one": {"include y", "\n\n\n\n  in=y", "y:5:3: expected a section above the setting"},
		"wider than the including one":  {"conn a\ninclude y\n", "  in=\"never closed", "y:1:6: the quote is never closed"},
		"the including one goes on":     {"conn a\ninclude y\nx\n", "conn y\n", "x:3:1: expected config setup"},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"x": c.text, "y": c.included}
			conf, wrong := readConf("x", memory(files))
			positions(t, files, wrong, conf.entries)
			if len(wrong) != 1 || !strings.HasPrefix(wrong[0].String(), c.want) {
				t.Errorf("got %v, want %s", wrong, c.want)
			}
		})
	}
}

// translate judges a connection, whatever it is, and checks that each of its
// settings has an outcome or a problem.
func translate(t *testing.T, tr *translator, c *connection) {
	t.Helper()
	said := len(tr.list)
	tr.connection = c
	tr.judgeConnection()
	for _, e := range c.settings {
		if e.Outcome == "" && len(tr.list) == said && e.Name != "leftcert" && e.rule != "leftcert" {
			t.Fatalf("%s has no outcome", e.Name)
		}
	}
	fullConfig(t, tr.plan.render("x\n"))
}

func FuzzSwanctl(f *testing.F) {
	f.Add(gate["swanctl.conf"])
	f.Add(gate["users.conf"])
	f.Add("a : b, c.d { x = \"y\\\nz\" }\nb { include y }\n")
	f.Fuzz(func(t *testing.T, text string) {
		files := map[string]string{"x": text, "y": "in = y\ns { t = u }\n"}
		top, entries, wrong := readTree("x", memory(files))
		positions(t, files, wrong, entries)
		if len(wrong) > 0 {
			return
		}
		tr := newTranslator(Options{Name: "vpn.example.org"})
		tr.swanctl = true
		v := newViewer(top, &tr.problems)
		tr.judgeSecrets(v.section("secrets"), "/nowhere")
		for _, pool := range v.section("pools").children {
			if tr.pools == nil {
				tr.pools = make(map[string]*view)
			}
			tr.pools[pool.name] = pool
		}
		for _, c := range v.section("connections").children {
			translate(t, tr, tr.swanConnection(c))
		}
	})
}

// FuzzProposals feeds any text as a list of cipher suites.
func FuzzProposals(f *testing.F) {
	f.Add("aes256-sha256-modp2048,3des-sha1-modp1024")
	f.Add("default,aes256-,,-")
	f.Fuzz(func(t *testing.T, list string) {
		for _, protocol := range []message.Protocol{message.ProtocolIKE, message.ProtocolESP} {
			kept, _ := supported(protocol, list)
			for _, k := range kept {
				if _, err := suite.ParseProposals(protocol, k); err != nil && k != "default" {
					t.Fatalf("%q: %v", k, err)
				}
			}
		}
	})
}

// hostile are texts whose reading could take more than linear time.
func hostile(n int) map[string]string {
	var also strings.Builder
	also.WriteString("conn %default\n" + strings.Repeat("\ta=1\n", n) + "conn w\n")
	for i := range n {
		fmt.Fprintf(&also, "\ts%d=1\n", i)
	}
	also.WriteString("conn x\n" + strings.Repeat("\talso=w\n", n))
	return map[string]string{
		"long value":     "conn a\n x=" + strings.Repeat("a ", n),
		"many errors":    strings.Repeat("x\n", n),
		"also":           also.String(),
		"sections":       strings.Repeat("conn a\n", n),
		"braces":         strings.Repeat("a{", n),
		"swan sections":  "connections{" + strings.Repeat("a{}", n) + "}",
		"swan long line": "a{" + strings.Repeat("b=c\\ ", n),
	}
}

// BenchmarkHostile shows that the time grows as the input does.
func BenchmarkHostile(b *testing.B) {
	for _, n := range []int{1000, 10000, 100000} {
		for name, text := range hostile(n) {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					from := memory(map[string]string{"x": text})
					var ps problems
					c, _ := readConf("x", from)
					h := newInheritance(c, "conn", &ps, func(string, []string) string { return "" })
					for _, s := range c.sections {
						h.connection(s)
					}
					top, _, _ := readTree("x", from)
					newViewer(top, &ps).section("connections")
				}
			})
		}
	}
}
