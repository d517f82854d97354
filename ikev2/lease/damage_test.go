package lease

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestDamagedFiles: whatever part of the file is missing or overwritten, it is
// refused with what to do, or serves. It never ends the process, be it later.
func TestDamagedFiles(t *testing.T) {
	const claims, page = 300, 4096
	whole := filepath.Join(t.TempDir(), "whole")
	b, err := OpenBolt(whole)
	if err != nil {
		t.Fatal(err)
	}
	for i := range claims {
		if err := b.Release(context.Background(), "", []Claim{{Addr: address(i), Identity: "user " + strconv.Itoa(i)}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for at := 0; at < len(content); at += page {
		overwritten := bytes.Clone(content)
		for i := range page {
			overwritten[at+i] = byte(i * 7)
		}
		for name, damaged := range map[string][]byte{"cut": content[:at], "cut within a page": content[:at+100], "overwritten": overwritten} {
			if len(damaged) == 0 {
				continue // a new file
			}
			path := filepath.Join(t.TempDir(), "damaged")
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			err := use(path)
			var e *StoreError
			switch {
			case err == nil:
			case !errors.As(err, &e) || !strings.Contains(err.Error(), "move it away"):
				t.Errorf("%s at %d: %v", name, at, err)
			default:
				refused++
			}
		}
	}
	if refused < len(content)/page {
		t.Errorf("%d of the files were refused", refused)
	}
}

func address(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }

// use opens a file and does all that a gateway does with it.
func use(path string) error {
	b, err := OpenBolt(path)
	if err != nil {
		return err
	}
	if _, err := b.List(context.Background()); err != nil {
		return err
	}
	for i := range 300 {
		if err := b.Release(context.Background(), "", []Claim{{Addr: address(i + 100), Identity: "another"}}, []netip.Addr{address(i)}); err != nil {
			return err
		}
	}
	return b.Close()
}
