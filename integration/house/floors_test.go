package house

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"strings"
	"testing"
)

const module = "bridgehead"

// floors gives each package of the module its floor; a package imports only
// from floors below its own. Packages under integration stand beside.
var floors = map[string]int{
	"cmd/bridgehead":                     7,
	"cmd/bridgehead/internal/gateway":    6,
	"cmd/bridgehead/internal/config":     5,
	"cmd/bridgehead/internal/admin":      5,
	"cmd/bridgehead/internal/provision":  5,
	"cmd/bridgehead/internal/pki":        5,
	"cmd/bridgehead/internal/strongswan": 5,
	"ikev2":                              4,
	"ikev2/initiator":                    4,
	"radius/dae":                         4,
	"ikev2/xfrm":                         3,
	"ikev2/tunnel":                       3,
	"ikev2/esp/planetest":                3,
	"ikev2/hostnet":                      3,
	"radius":                             3,
	"radius/accounting":                  3,
	"ldap":                               3,
	"auth/router":                        3,
	"auth/mschapv2":                      2,
	"auth/secrets":                       2,
	"auth/guard":                         3,
	"auth/secrets/convert":               3,
	"ikev2/exchange":                     2,
	"ikev2/transport":                    2,
	"ikev2/esp":                          2,
	"ikev2/lease":                        2,
	"ikev2/dhcp":                         2,
	"ikev2/suite":                        1,
	"auth":                               1,
	"ikev2/message":                      0,
	"ikev2/inetsum":                      0,
	"auth/eap":                           0,
}

type goPackage struct {
	ImportPath string
	Doc        string
	Imports    []string
	GoFiles    []string
}

// packages lists the module's packages with what they import outside of tests.
func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Doc,Imports,GoFiles", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var list []goPackage
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	if len(list) < 10 {
		t.Fatalf("go list gave %d packages", len(list))
	}
	return list
}

func ours(importPath string) (string, bool) {
	return strings.CutPrefix(importPath, module+"/")
}

func beside(name string) bool {
	return name == "integration" || strings.HasPrefix(name, "integration/")
}

func TestFloors(t *testing.T) {
	for _, p := range packages(t) {
		name, ok := ours(p.ImportPath)
		if !ok || beside(name) {
			continue
		}
		floor, ok := floors[name]
		if !ok {
			t.Errorf("%s stands on no floor: add it to the table, on the floor the design gives it", name)
			continue
		}
		for _, i := range p.Imports {
			below, ok := ours(i)
			if !ok {
				continue
			}
			switch {
			case beside(below):
				t.Errorf("%s imports %s, which is for tests", name, below)
			case floors[below] >= floor:
				t.Errorf("%s (floor %d) imports %s (floor %d)", name, floor, below, floors[below])
			}
		}
	}
}

// TestForbiddenImports holds the imports that the design rules out, each with
// its reason.
func TestForbiddenImports(t *testing.T) {
	rules := []struct{ from, imports, because string }{
		{"ikev2", "bridgehead/radius", "the responder knows backends only as auth.Backend"},
		{"ikev2", "bridgehead/ldap", "the responder knows backends only as auth.Backend"},
		{"radius", "bridgehead/ldap", "backends don't know each other"},
		{"ldap", "bridgehead/radius", "backends don't know each other"},
		{"", "math/rand", "randomness is injected and cryptographic"},
		{"", "log", "everything logs through log/slog"},
		{"ikev2/message", module, "a codec knows nothing of ours"},
		{"auth/eap", module, "a codec knows nothing of ours"},
	}
	for _, p := range packages(t) {
		name, ok := ours(p.ImportPath)
		if !ok || beside(name) {
			continue
		}
		for _, i := range p.Imports {
			for _, r := range rules {
				in := r.from == "" || name == r.from || strings.HasPrefix(name, r.from+"/")
				if r.imports == module {
					in = in && name == r.from && strings.HasPrefix(i, module+"/")
				} else {
					in = in && i == r.imports
				}
				if in {
					t.Errorf("%s imports %s: %s", name, i, r.because)
				}
			}
		}
	}
}

func TestPackagesSayTheirJob(t *testing.T) {
	for _, p := range packages(t) {
		name, ok := ours(p.ImportPath)
		if !ok || len(p.GoFiles) == 0 {
			continue
		}
		want := "Package " + path.Base(name) + " "
		if floors[name] == 7 || strings.HasPrefix(p.Doc, "Command ") {
			want = "Command "
		}
		if !strings.HasPrefix(p.Doc, want) {
			t.Errorf("%s: its doc comment begins %q, not %q", name, firstLine(p.Doc), want)
		}
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
