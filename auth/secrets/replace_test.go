package secrets

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The last user who is removed is out at once: what is left is not taken for a
// write that was cut off.
func TestTheLastUserIsRemovedToo(t *testing.T) {
	path := write(t, t.TempDir(), "users", "alice $nt$"+passwordHash+"\n")
	f := open(t, path, Options{})
	if err := Remove(path, "alice"); err != nil {
		t.Fatal(err)
	}
	absent(t, f, "alice")
}

// Neither is a file whose last line had no end before the edit.
func TestEditsCountAtOnceWithoutALastLineEnd(t *testing.T) {
	path := write(t, t.TempDir(), "users", "alice $nt$"+passwordHash+"\nbob $nt$"+passwordHash)
	f := open(t, path, Options{})
	if err := SetPassword(path, "alice", hashOf("new")); err != nil {
		t.Fatal(err)
	}
	if lookup(t, f, "alice").Hash != hashOf("new") {
		t.Error("the former password still counts")
	}
	if err := Remove(path, "alice"); err != nil {
		t.Fatal(err)
	}
	absent(t, f, "alice")
	lookup(t, f, "bob")
}

// An editor knows no lock: what it wrote while an edit was under way is not
// lost, and an edit that never finds the file at rest gives up.
func TestWhatAnEditorWroteMeanwhileIsKept(t *testing.T) {
	path := write(t, t.TempDir(), "users", "alice $nt$"+passwordHash+"\n")
	for restless, times := range map[bool]int{false: 2, true: editTries} {
		calls := 0
		err := edit(path, true, func(text []byte) ([]byte, error) {
			if calls++; restless || calls == 1 {
				write(t, filepath.Dir(path), "users", string(text)+"# by hand\n")
			}
			return append(text, "# by us\n"...), nil
		})
		if errors.As(err, new(*LockedError)) != restless || calls != times {
			t.Errorf("restless %v: %v after %d calls", restless, err, calls)
		}
	}
	if got := content(t, path); !strings.Contains(got, "# by hand\n# by us\n") && !strings.HasSuffix(got, strings.Repeat("# by hand\n", editTries)) {
		t.Errorf("left:\n%s", got)
	}
	fresh := filepath.Join(filepath.Dir(path), "fresh")
	err := edit(fresh, true, func(text []byte) ([]byte, error) {
		if len(text) == 0 {
			write(t, filepath.Dir(path), "fresh", "# by hand\n")
		}
		return append(text, "# by us\n"...), nil
	})
	if got := content(t, fresh); err != nil || got != "# by hand\n# by us\n" {
		t.Errorf("a new file: %v, %q", err, got)
	}
}

// A killed edit leaves a file of hashes, which the next one removes.
func TestWhatAKilledEditLeftIsRemoved(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "users", "")
	write(t, dir, strings.Replace(freshPattern, "*", "123", 1), "alice $nt$"+passwordHash)
	if err := Add(path, User{Name: "bob", Hash: hashOf("x")}); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// A program that copies in place and sets the time back is noticed.
func TestATimeSetBackHidesNoChange(t *testing.T) {
	path := write(t, t.TempDir(), "users", "alice $nt$"+passwordHash+"\n")
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, path, Options{})
	write(t, filepath.Dir(path), "users", "carol $nt$"+passwordHash+"\n")
	if err := os.Chtimes(path, before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
	lookup(t, f, "carol")
}

// A link that leads nowhere is not replaced by a file.
func TestLinksThatLeadNowhereStay(t *testing.T) {
	link := filepath.Join(t.TempDir(), "users")
	if err := os.Symlink("gone/users", link); err != nil {
		t.Fatal(err)
	}
	if err := Add(link, User{Name: "bob", Hash: hashOf("x")}); !errors.As(err, new(*ReadError)) {
		t.Error(err)
	}
	if to, err := os.Readlink(link); to != "gone/users" {
		t.Error(to, err)
	}
}

// An export replaces a file only when told, keeps its owner so that its program
// still reads it, lets nobody else, and follows no link.
func TestWriteExport(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	state := func() (mode os.FileMode, owner, group uint32) {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		sys := info.Sys().(*syscall.Stat_t)
		return info.Mode().Perm(), sys.Uid, sys.Gid
	}
	if err := WriteExport(path, []byte("one"), false); err != nil {
		t.Fatal(err)
	}
	if mode, _, _ := state(); mode != 0o600 || content(t, path) != "one" {
		t.Errorf("mode %o, %q", mode, content(t, path))
	}
	if err := errors.Join(os.Chmod(path, 0o664), os.Chown(path, 12, 34)); err != nil {
		t.Fatal(err)
	}
	if err := WriteExport(path, []byte("two"), false); !errors.As(err, new(*TakenError)) || content(t, path) != "one" {
		t.Errorf("%v, then %q", err, content(t, path))
	}
	if err := WriteExport(path, []byte("two"), true); err != nil {
		t.Fatal(err)
	}
	if mode, owner, group := state(); mode != 0o640 || owner != 12 || group != 34 || content(t, path) != "two" {
		t.Errorf("mode %o, owner %d, group %d, %q", mode, owner, group, content(t, path))
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := WriteExport(link, []byte("three"), true); !errors.As(err, new(*LinkError)) || content(t, path) != "two" {
		t.Errorf("%v, then %q", err, content(t, path))
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
