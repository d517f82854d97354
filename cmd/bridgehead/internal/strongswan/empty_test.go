package strongswan

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
)

// hollow are values that stand behind an equals sign and name nothing.
var hollow = []string{"", ",", " , ", ",,", " ", "@", "!", ",!", "-", "%", "@#", "=", "/", "0x", "0s"}

// TestNoRuleWritesAnEmptyValue goes through every rule with every hollow value:
// either the directive has an outcome or there is a problem, and what is
// written holds no empty text and no empty list.
func TestNoRuleWritesAnEmptyValue(t *testing.T) {
	for kind, rules := range map[string]map[string]rule{"conn": connectionRules, "config": setupRules, "ca": authorityRules} {
		for _, name := range slices.Sorted(maps.Keys(rules)) {
			for _, value := range hollow {
				for _, swanctl := range []bool{false, true} {
					tr := newTranslator(Options{Name: "vpn.example.org"})
					tr.swanctl = swanctl
					e := &entry{Directive: Directive{Name: name}, rule: name, value: value, valueAt: Place{"f", 1, 2}}
					tr.connection = &connection{name: "c", settings: []*entry{e}}
					tr.apply(rules, e)
					if e.Outcome == "" && len(tr.list) == 0 && len(tr.certs) == 0 {
						t.Errorf("%s %s=%q has no outcome", kind, name, value)
					}
					fullConfig(t, tr.plan.render(""))
				}
			}
		}
	}
}

// fullConfig fails where a configuration has a setting without a value.
func fullConfig(t *testing.T, text []byte) {
	t.Helper()
	var sections map[string]any
	if err := toml.Unmarshal(text, &sections); err != nil {
		t.Fatalf("the configuration is no TOML: %v\n%s", err, text)
	}
	var look func(path string, value any)
	look = func(path string, value any) {
		switch v := value.(type) {
		case map[string]any:
			for k, below := range v {
				look(path+"."+k, below)
			}
		case []any:
			if len(v) == 0 {
				t.Fatalf("%s is an empty list\n%s", path, text)
			}
			for _, item := range v {
				look(path, item)
			}
		case string:
			if strings.TrimSpace(v) == "" {
				t.Fatalf("%s has an empty text\n%s", path, text)
			}
		}
	}
	look("", sections)
}

// TestEmptyValues names what is said of each list that names nothing.
func TestEmptyValues(t *testing.T) {
	const wanted = "expected a value, or nothing behind the equals sign for the default"
	for line, want := range map[string][]string{
		"rightsourceip=,":        {"x:2:16: rightsourceip: " + wanted},
		"rightsourceip=\" , \"":  {"x:2:16: rightsourceip: " + wanted},
		"rightdns=,":             {"x:2:11: rightdns: " + wanted},
		"left=,":                 {"x:2:7: left: " + wanted},
		"leftsubnet=,":           {"x:2:13: leftsubnet: " + wanted}, // an empty list would let clients reach everything
		"leftcert=,":             {"x:2:11: leftcert: " + wanted},
		"leftid=@":               {"x:2:9: leftid: expected a DNS name or an address that clients type, such as vpn.example.org"},
		"leftid=\"the gateway\"": {"x:2:9: leftid: expected a DNS name or an address that clients type, such as vpn.example.org"},
		"esp=!":                  {"x:2:6: esp: expected a cipher suite that bridgehead has: expected an algorithm"},
		"rightsourceip=":         nil, // strongSwan's way to say: the default
	} {
		t.Run(line, func(t *testing.T) {
			c, wrong := readConf("x", memory(map[string]string{"x": "conn a\n " + line + "\n"}))
			if len(wrong) > 0 {
				t.Fatal(wrong)
			}
			tr := newTranslator(Options{})
			h := newInheritance(c, "conn", &tr.problems, tr.options.Suggest)
			translate(t, tr, h.connection(c.sections[0]))
			var said []string
			for _, p := range tr.list {
				said = append(said, strings.ReplaceAll(p.String(), ": : ", ": "))
			}
			if diff := cmp.Diff(want, said); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
