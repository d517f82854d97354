package lab

import (
	"crypto/rand"
	"encoding/hex"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Lab is one test's scene.
type Lab struct {
	t      testing.TB
	prefix string // of namespaces and interfaces, unique on the machine
	dir    string
	links  int
}

// New makes an empty scene, which ends with the test.
func New(t testing.TB) *Lab {
	t.Helper()
	var b [3]byte
	if _, err := rand.Read(b[:]); err != nil {
		t.Fatal(err)
	}
	return &Lab{t: t, prefix: "bh" + hex.EncodeToString(b[:]), dir: t.TempDir()}
}

// Dir is a folder of the scene, made if it isn't there.
func (l *Lab) Dir(name string) string {
	l.t.Helper()
	dir := filepath.Join(l.dir, name)
	l.run("mkdir", "-p", dir)
	return dir
}

// run runs a program on the host and fails the test if it fails.
func (l *Lab) run(name string, args ...string) string {
	l.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
