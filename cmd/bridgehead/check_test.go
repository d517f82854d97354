package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bridgehead/cmd/bridgehead/internal/config"
)

// TestCheckFolderOfBrokenSites checks a folder of sites with one fault each by
// one command: every fault is named at its place, with what to do and what
// clients would show, and good sites are passed over in silence.
func TestCheckFolderOfBrokenSites(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	sites := slices.Concat(certificateSites, configurationSites, soundSites)
	slices.SortFunc(sites, func(a, b brokenSite) int { return strings.Compare(a.name, b.name) }) // as the folder is read
	for _, s := range sites {
		s.spoil(newSite(t, filepath.Join("sites", s.name)))
	}
	asJSON := bridgehead(t, "", "check", "sites", "--json")
	var found checked
	if err := json.Unmarshal([]byte(asJSON.out), &found); err != nil || asJSON.code != exitConfig || found.OK {
		t.Fatalf("%v\n%s", err, asJSON)
	}
	plain := bridgehead(t, "", "check", "sites")
	if plain.code != exitConfig {
		t.Errorf("exit %d", plain.code)
	}
	if len(found.Sites) != len(sites) {
		t.Fatalf("%d of %d sites were checked", len(found.Sites), len(sites))
	}
	var shown strings.Builder
	for i, want := range sites {
		got := found.Sites[i]
		fmt.Fprintf(&shown, "%s: %s\n", want.name, got.result())
		if strings.Join(got.causes(), " ") != want.causes || got.OK == want.fatal {
			t.Errorf("%s: %s, found %v; want %q, fatal %v", want.name, got.result(), got.causes(), want.causes, want.fatal)
		}
		alone := bridgehead(t, "", "check", filepath.Join("sites", want.name))
		switch {
		case want.fatal && alone.code != exitConfig, !want.fatal && alone.code != exitDone:
			t.Errorf("%s: exit %d\n%s", want.name, alone.code, alone)
		case want.causes == "" && alone.out != got.File+": good\ntraffic: (a data plane)\n":
			t.Errorf("%s: not in silence: %s", want.name, alone)
		}
		for _, p := range got.Problems {
			if p.Line < 1 || p.Column < 1 || p.Setting == "" && p.Cause != "syntax" && p.Cause != "set-twice" {
				t.Errorf("%s: without a place: %+v", want.name, p)
			}
			for _, part := range parts(p) {
				if !strings.Contains(alone.out+alone.err, part) || !strings.Contains(plain.out, part) {
					t.Errorf("%s: %q is not in both\n%s\n%s", want.name, part, alone, plain)
				}
			}
			fmt.Fprintf(&shown, "  %s:%d:%d: %s %s: %s\n", filepath.Base(p.File), p.Line, p.Column, p.Severity, p.Cause, p.Message)
			if p.Hint != "" {
				fmt.Fprintf(&shown, "      do: %s\n", p.Hint)
			}
			for _, s := range p.Symptoms {
				fmt.Fprintf(&shown, "      %s: %q\n", s.Clients, s.Shows)
			}
		}
	}
	t.Chdir(here)
	golden(t, "check-broken", steady(shown.String()))
	golden(t, "check-broken-table", plain.out[strings.Index(plain.out, "CONFIGURATION"):])
}

// parts are what a person must read of a problem.
func parts(p config.Problem) []string {
	list := []string{fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Column), p.Message, p.Hint}
	for _, s := range p.Symptoms {
		list = append(list, fmt.Sprintf("= %s: %q", s.Clients, s.Shows))
	}
	return list
}

// steady takes out what differs from host to host and from day to day.
func steady(s string) string {
	s = strings.ReplaceAll(s, soon.Format("2006-01-02"), "SOON")
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if hint, _, ok := strings.Cut(l, "do: expected one of: "); ok && strings.Contains(lines[i-1], "no-interface") {
			lines[i] = hint + "do: expected one of: INTERFACES"
		}
	}
	return strings.Join(lines, "\n")
}

// TestCheckExplainsWhatIsSent shows what the gateway puts right by itself.
func TestCheckExplainsWhatIsSent(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		site      string
		reordered bool
	}{{"root included", false}, {"chain in the wrong order", true}} {
		i := slices.IndexFunc(soundSites, func(s brokenSite) bool { return s.name == c.site })
		soundSites[i].spoil(newSite(t, c.site))
		var got checked
		asJSON := bridgehead(t, "", "check", c.site, "--explain", "--json")
		if err := json.Unmarshal([]byte(asJSON.out), &got); err != nil || len(got.Certificates) != 1 {
			t.Fatalf("%v\n%s", err, asJSON)
		}
		sent := got.Certificates[0]
		if want := []string{"CN=vpn.example.org", "CN=Inner"}; !slices.Equal(sent.Chain, want) || sent.Root != "CN=Root" || sent.Reordered != c.reordered {
			t.Errorf("%s: %+v", c.site, sent)
		}
		plain := bridgehead(t, "", "check", c.site, "--explain")
		if !strings.Contains(plain.out, "issued by CN=Root, a root, which is left out") || strings.Contains(plain.out, "put into this order") != c.reordered {
			t.Errorf("%s: %s", c.site, plain)
		}
	}
}

// TestCheckNamesItsArguments holds what may stand behind check.
func TestCheckNamesItsArguments(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"a", "b"} {
		newSite(t, name)
	}
	if err := os.Mkdir("empty", 0o755); err != nil {
		t.Fatal(err)
	}
	two := "CONFIGURATION      RESULT  FOUND\na/bridgehead.toml  good\nb/bridgehead.toml  good\n"
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"a", exitDone, "a/bridgehead.toml: good\n"},
		{"a/bridgehead.toml", exitDone, "a/bridgehead.toml: good\n"},
		{"a b", exitDone, two},
		{"a/bridgehead.toml b/bridgehead.toml", exitDone, two},
		{".", exitDone, two},
		{"empty", exitUsage, "empty: holds no bridgehead.toml, and none of its folders does"},
		{"a --config b/bridgehead.toml", exitUsage, "--config: stands in place of the names behind check"},
		{"a b --explain", exitUsage, "--explain: is for one configuration"},
		{"a missing.toml", exitConfig, "missing.toml:1:1: cannot be read: no such file or directory"},
	} {
		got := bridgehead(t, "", append([]string{"check"}, strings.Fields(c.args)...)...)
		if got.code != c.code || !strings.Contains(got.out+got.err, c.want) {
			t.Errorf("check %s: %s", c.args, got)
		}
	}
}
