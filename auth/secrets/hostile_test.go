package secrets

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Without a bound each of n files that include each other would be read once
// for every way to it, some n! times.
func TestFilesThatIncludeEachOtherAreReadOnce(t *testing.T) {
	dir := t.TempDir()
	for i := range 12 {
		write(t, dir, fmt.Sprintf("%d.secrets", i), fmt.Sprintf("u%d : EAP \"x\"\ninclude d/../*.secrets\n", i))
	}
	if err := os.Symlink(".", filepath.Join(dir, "d")); err != nil {
		t.Fatal(err)
	}
	f := open(t, filepath.Join(dir, "0.secrets"), Options{})
	if f.Len() != 12 {
		t.Errorf("%d users, want 12", f.Len())
	}
	if n := len(f.Problems()); n > 12*12 {
		t.Errorf("%d warnings from 12 includes of 12 files", n)
	}
}

// A pipe that nobody writes to must not keep the gateway from starting.
func TestPipesAreNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	path := write(t, dir, "ipsec.secrets", "include pipe\nu : EAP \"x\"\n")
	f := open(t, path, Options{})
	lookup(t, f, "u")
	if got := texts(f.Problems(), dir); len(got) != 1 || !strings.Contains(got[0], "not a regular file") {
		t.Errorf("problems %q", got)
	}
	if _, err := Open(pipe, Options{}); !errors.As(err, new(*ReadError)) {
		t.Errorf("a pipe as users file: %v", err)
	}
}

// grower is a file that grows while it is read, with all buffers it filled.
type grower struct {
	left   int
	filled [][]byte
}

func (g *grower) Read(b []byte) (int, error) {
	if g.left == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), g.left)], bytes.Repeat([]byte("s"), g.left))
	g.left -= n
	g.filled = append(g.filled, b[:n])
	return n, nil
}

func TestReadingLeavesNoCopies(t *testing.T) {
	g := &grower{left: 1000}
	text, err := readAll(g, 10)
	if err != nil || len(text) != 1000 {
		t.Fatalf("%d octets, %v", len(text), err)
	}
	clear(text)
	for _, b := range g.filled {
		if bytes.Contains(b, []byte("s")) {
			t.Fatalf("%d octets left behind", len(b))
		}
	}
}
