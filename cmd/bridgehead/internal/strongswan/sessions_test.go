package strongswan

import (
	"slices"
	"strings"
	"testing"
)

// TestSessionDirectives holds what directives about sessions and the life of
// keys become: the lines of TOML, or the problem.
func TestSessionDirectives(t *testing.T) {
	for name, c := range map[string]struct {
		connection string // directives, with ; between
		want       string // lines, with ; between
	}{
		"uniqueids yes":      {"uniqueids=yes", `unique = "replace"`},
		"uniqueids replace":  {"uniqueids=replace", `unique = "replace"`},
		"uniqueids keep":     {"uniqueids=keep", `unique = "keep"`},
		"uniqueids never":    {"uniqueids=Never", `unique = "never"`},
		"uniqueids no":       {"uniqueids=no", ""},
		"uniqueids mistyped": {"uniqueids=sometimes", "expected yes, no, never, keep or replace"},
		"encapsulation":      {"forceencaps=yes", `encap = ["ipv4", "ipv6"]`},
		"no encapsulation":   {"forceencaps=no", `encap = "none"`},
		"encapsulation odd":  {"forceencaps=ipv4", "expected yes or no"},
		"mobike":             {"mobike=no", `mobike = false`},
		"mobike as it is":    {"mobike=yes", `mobike = true`},
		"childless":          {"childless=never", `childless = false`},
		"childless allowed":  {"childless=allow", `childless = true`},
		"childless odd":      {"childless=yes", "expected allow, prefer, force or never"},
		"inactivity":         {"inactivity=90m", `idle_timeout = "90m"`},
		"inactivity odd":     {"inactivity=long", "expected a time such as 30s, 5m or 1h"},

		"mark":           {"set_mark_out=0x2a", `output_mark = 42`},
		"mark, whole":    {"set_mark_out=42/0xffffffff", `output_mark = 42`},
		"no mark":        {"set_mark_out=0", ""},
		"mark odd":       {"set_mark_out=red", "expected a mark such as 42"},
		"mark, mask odd": {"set_mark_out=42/", "expected a mark such as 42"},

		"rekeying by default lifetimes": {"rekey=yes", `rekey_time = "51m";rekey_time = "171m"`},
		"lifetimes less the margin":     {"rekey=yes;lifetime=8h;ikelifetime=24h;margintime=1h", `rekey_time = "7h";rekey_time = "23h"`},
		"lifetime below the margin":     {"keylife=5m", `rekey_time = "5m"`},
		"a very short lifetime":         {"lifetime=30s", `rekey_time = "1m"`},
		"lifetimes without rekeying":    {"rekey=no;lifetime=8h;ikelifetime=24h;lifebytes=5000000;margintime=1m", ""},
		"bytes and packets":             {"lifebytes=500000000;marginbytes=100000000;lifepackets=1000000", `rekey_bytes = 400000000;rekey_packets = 1000000`},
		"too few bytes":                 {"lifebytes=1000", `rekey_bytes = 1048576`},
		"no number":                     {"lifebytes=lots", "expected a number"},
		"no margin":                     {"margintime=soon;lifetime=1h", "expected a time"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTranslator(Options{})
			tr.connection = &connection{}
			for _, word := range strings.Split(c.connection, ";") {
				key, value, _ := strings.Cut(word, "=")
				tr.connection.settings = append(tr.connection.settings, &entry{
					Directive: Directive{Name: key, Value: value}, rule: strings.Replace(key, "uniqueids", "unique", 1), value: value, valueAt: Place{"f", 1, 1},
				})
			}
			tr.judgeConnection()
			if err := tr.err(); err != nil {
				if c.want == "" || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, expected %q", err, c.want)
				}
				return
			}
			var lines []string
			for line := range strings.Lines(string(tr.plan.render(""))) {
				if setting, _, ok := strings.Cut(strings.TrimSpace(line), " # "); ok || strings.Contains(setting, " = ") {
					lines = append(lines, setting)
				}
			}
			slices.Sort(lines)
			want := strings.FieldsFunc(c.want, func(r rune) bool { return r == ';' })
			slices.Sort(want)
			if !slices.Equal(lines, want) {
				t.Errorf("%q, expected %q", lines, want)
			}
			for _, e := range tr.connection.settings {
				if e.Outcome == "" || e.Outcome == NotSupported {
					t.Errorf("%s: %q %s", e.Name, e.Outcome, e.Note)
				}
			}
		})
	}
}

// In swanctl.conf rekey_time in a child section is about the Child SA.
func TestRekeyTimesOfSwanctl(t *testing.T) {
	files := map[string]string{}
	for k, v := range gate {
		files[k] = v
	}
	files["swanctl.conf"] = strings.NewReplacer("\t\t\t\trekey_time = 0", "\t\t\t\trekey_time = 50m\n\t\t\t\trekey_bytes = 500m\n\t\t\t\tlife_time = 1h\n\t\t\t\tinactivity = 1d",
		"rekey_time = 0s", "rekey_time = 4h\nover_time = 10m\nencap = no\nmobike = no").Replace(files["swanctl.conf"])
	folder(t, files)
	r, err := ReadSwanctl("swanctl.conf", Options{Suggest: suggest})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"encap = \"none\"", "mobike = false", "rekey_time = \"4h\"",
		"[esp]\nproposals", "rekey_bytes = 524288000", "rekey_time = \"50m\"", "idle_timeout = \"24h\"",
	} {
		if !strings.Contains(string(r.Config()), want) {
			t.Errorf("%q is not in\n%s", want, r.Config())
		}
	}
}

// What the kernel's data plane can't do is told, with what to do instead.
func TestMarksThatCannotBe(t *testing.T) {
	for value, rule := range map[string]string{"%same": "set_mark_out", "%same/0xff": "set_mark_out", "1/1": "set_mark_out", "1": "set_mark_in", "2": "mark", "5": "if_id"} {
		tr := newTranslator(Options{})
		e := &entry{Directive: Directive{Name: rule}, rule: rule, value: value}
		tr.apply(connectionRules, e)
		if e.Outcome != NotSupported || e.Note == "" || len(tr.plan.settings)+len(tr.list) != 0 {
			t.Errorf("%s = %s: %s: %s; %v", rule, value, e.Outcome, e.Note, tr.err())
		}
	}
}
