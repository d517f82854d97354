package strongswan

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// seed imports the documented setup from the current folder.
func seed(t *testing.T) *Result {
	t.Helper()
	folder(t, map[string]string{"ipsec.conf": read(t, "testdata/seed/ipsec.conf"), "ipsec.secrets": read(t, "testdata/seed/ipsec.secrets")})
	r, err := ipsec(Options{Name: "vpn.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// contents are the files below a folder.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[path] = read(t, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestWrite(t *testing.T) {
	r := seed(t)
	if err := r.Write("out/deep", false); err != nil {
		t.Fatal(err)
	}
	written := contents(t, "out")
	if len(written) != 2 {
		t.Errorf("more is left than the two files: %v", written)
	}
	info, err := os.Stat("out/deep/users")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	for name, text := range written {
		if strings.Contains(text, "password1") || strings.Contains(text, "password2") {
			t.Errorf("%s holds a password", name)
		}
	}
	if !strings.Contains(written["out/deep/users"], "user1  $nt$") {
		t.Errorf("users are %s", written["out/deep/users"])
	}
	exists := new(ExistsError)
	if err := r.Write("out/deep", false); !errors.As(err, &exists) {
		t.Errorf("written over: %v", err)
	}
	if err := os.WriteFile("out/deep/users", []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Write("out/deep", true); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(written, contents(t, "out")); diff != "" {
		t.Errorf("written anew: %s", diff)
	}
}

// TestWriteBothOrNone has the second of the two files fail.
func TestWriteBothOrNone(t *testing.T) {
	for name, old := range map[string]string{"nothing before": "", "a configuration before": "old"} {
		t.Run(name, func(t *testing.T) {
			r := seed(t)
			if err := os.MkdirAll("out/users/in the way", 0o700); err != nil {
				t.Fatal(err)
			}
			if old != "" {
				if err := os.WriteFile("out/bridgehead.toml", []byte(old), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			before := contents(t, "out")
			if err := r.Write("out", true); err == nil {
				t.Error("a folder was replaced")
			}
			if diff := cmp.Diff(before, contents(t, "out")); diff != "" {
				t.Errorf("half is there: %s", diff)
			}
			left, err := os.ReadDir("out")
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range left {
				if strings.HasPrefix(f.Name(), ".") {
					t.Errorf("%s is left", f.Name())
				}
			}
		})
	}
}

func TestResultPrintsNoHash(t *testing.T) {
	r := seed(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		if s := fmt.Sprintf(verb, r) + fmt.Sprintf(verb, []any{r}); strings.Contains(s, "$nt$") || strings.Contains(s, "user1") || strings.Contains(s, "246e74") {
			t.Errorf("%s prints %s", verb, s)
		}
	}
}
