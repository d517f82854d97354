package secrets

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"bridgehead/auth"
)

const (
	// lockWait is how long an edit waits for another one to end.
	lockWait = 5 * time.Second
	lockStep = 20 * time.Millisecond
	// firstLine heads a new file.
	firstLine = "# name  hash  [group=NAME] [pool=NAME] [ip4=ADDRESS] [ip6=ADDRESS] [disabled] and more: bridgehead users add --help\n"
)

// ExistsError tells that a user to be added is there already.
type ExistsError struct{ Path, Name string }

func (e *ExistsError) Error() string {
	return fmt.Sprintf("user %q is in %s already; change the password with \"bridgehead users passwd\", or remove the user first", e.Name, e.Path)
}

// NotFoundError tells that a user to be changed is not there.
type NotFoundError struct{ Path, Name string }

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("no user %q in %s; \"bridgehead users list\" shows who is", e.Name, e.Path)
}

// InvalidError tells that a user can't be written into the file.
type InvalidError struct{ Name, Problem string }

func (e *InvalidError) Error() string { return fmt.Sprintf("user %q: %s", e.Name, e.Problem) }

// LockedError tells that another process keeps the file from being changed.
type LockedError struct{ Path string }

func (e *LockedError) Error() string {
	return fmt.Sprintf("%s is being changed by another process for more than %v; try again, or end that process", e.Path, lockWait)
}

// FormatError tells that a file of strongSwan's is not changed by us.
type FormatError struct{ Path string }

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s is strongSwan's: change it by hand, or move its users to a users file", e.Path)
}

// List gives the users of a users file in its order, and its problems.
func List(path string) ([]User, []Problem, error) {
	t := newTable()
	text, err := t.read(path)
	if err != nil {
		return nil, nil, err
	}
	defer clear(text)
	parseUsers(path, text, t)
	var users []User
	eachEntry(text, func(_ int, e *entry, _ span) {
		if !slices.ContainsFunc(users, func(u User) bool { return u.Name == e.Name }) {
			users = append(users, e.User)
		}
	})
	return users, t.problems, nil
}

// Add appends a user, and makes the file if there is none, with mode 0600.
func Add(path string, u User) error {
	if err := u.Check(); err != nil {
		return err
	}
	return edit(path, true, func(text []byte) ([]byte, error) {
		if _, _, found := find(text, u.Name); found {
			return nil, &ExistsError{Path: path, Name: u.Name}
		}
		if len(text) == 0 {
			text = []byte(firstLine)
		}
		if text[len(text)-1] != '\n' {
			text = append(text, '\n')
		}
		return append(append(text, u.line()...), '\n'), nil
	})
}

// Check tells what keeps a user out of a users file. The error is an *InvalidError.
func (u User) Check() error {
	problem := checkName(u.Name)
	if problem == "" {
		problem = checkHash(u.Hash)
	}
	if problem == "" {
		if back, f := parseUser(u.line()); f != nil {
			problem = f.text
		} else if !back.Equal(u) {
			problem = "what belongs to it can't be written"
		}
	}
	if problem != "" {
		return &InvalidError{Name: u.Name, Problem: problem}
	}
	return nil
}

// TakenError tells that a file to be made is there already.
type TakenError struct{ Path string }

func (e *TakenError) Error() string {
	return fmt.Sprintf("%s is there already; name another file, or say that it may be replaced", e.Path)
}

// Write makes a users file of these users, with mode 0600. A file that is
// there already is replaced in one step, with its mode and owner, if that is
// allowed, else the error is a *TakenError.
func Write(path string, users []User, overwrite bool) error {
	return edit(path, true, func([]byte) ([]byte, error) {
		if _, err := os.Lstat(path); err == nil && !overwrite {
			return nil, &TakenError{Path: path}
		}
		return AppendUsers(nil, users)
	})
}

// Remove deletes all lines of a user.
func Remove(path, name string) error {
	return edit(path, false, func(text []byte) ([]byte, error) {
		_, at, found := find(text, name)
		if !found {
			return nil, &NotFoundError{Path: path, Name: name}
		}
		for found {
			text = slices.Delete(text, at.from, at.to)
			_, at, found = find(text, name)
		}
		return text, nil
	})
}

// SetPassword replaces the hash of a user; all else stays as it is written.
func SetPassword(path, name string, h auth.NTHash) error {
	if problem := checkHash(h); problem != "" {
		return &InvalidError{Name: name, Problem: problem}
	}
	return edit(path, false, func(text []byte) ([]byte, error) {
		e, at, found := find(text, name)
		if !found {
			return nil, &NotFoundError{Path: path, Name: name}
		}
		word := hashPrefix + hex.EncodeToString(h[:])
		return slices.Replace(text, at.from+e.hashAt, at.from+e.hashTo, []byte(word)...), nil
	})
}

// span is where a line stands in the text, its end included.
type span struct{ from, to int }

// eachEntry calls f with each good line.
func eachEntry(text []byte, f func(number int, e *entry, at span)) {
	offset := len(text) - len(bytes.TrimPrefix(text, byteOrderMark))
	eachLine(text, func(number int, line []byte) {
		to := len(text)
		if n := bytes.IndexByte(text[offset:], '\n'); n >= 0 {
			to = offset + n + 1
		}
		if e, fault := parseUser(line); fault == nil && e != nil {
			f(number, e, span{offset, to})
		}
		offset = to
	})
}

// find gives the first line of a user.
func find(text []byte, name string) (e *entry, at span, found bool) {
	eachEntry(text, func(_ int, candidate *entry, place span) {
		if !found && candidate.Name == name {
			e, at, found = candidate, place, true
		}
	})
	return e, at, found
}

// edit changes the file in one step: readers see the old text or the new one.
// A symbolic link stays one.
func edit(path string, create bool, change func(text []byte) ([]byte, error)) error {
	if formatOf(path) == IPsecSecrets {
		return &FormatError{Path: path}
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	unlock, err := lock(path, lockWait)
	if err != nil {
		return err
	}
	defer unlock()
	text, err := newTable().read(path)
	if create && errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return err
	}
	defer clear(text)
	changed, err := change(text)
	if err != nil {
		return err
	}
	defer clear(changed)
	if err := replace(path, changed); err != nil {
		return fmt.Errorf("write %s: %w; the old file stays where the new one is not in place", path, err)
	}
	return nil
}

// lock keeps other edits out by a lock on the folder, which needs no file
// that could be left behind.
func lock(path string, wait time.Duration) (unlock func(), err error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, &ReadError{Path: path, Err: err, Advice: "make the folder first"}
	}
	for waited := time.Duration(0); ; waited += lockStep {
		err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = dir.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || waited >= wait {
			_ = dir.Close()
			return nil, &LockedError{Path: path}
		}
		time.Sleep(lockStep)
	}
}

// replace writes a new file beside the old one, with its mode and owner,
// brings it to the disk and puts it in place.
func replace(path string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".users-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if info, statErr := os.Stat(path); statErr == nil {
		if err := keepOwner(f, info); err != nil {
			return err
		}
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func keepOwner(f *os.File, old fs.FileInfo) error {
	if sys, ok := old.Sys().(*syscall.Stat_t); ok && (int(sys.Uid) != os.Geteuid() || int(sys.Gid) != os.Getegid()) {
		if err := f.Chown(int(sys.Uid), int(sys.Gid)); err != nil {
			return err
		}
	}
	return f.Chmod(old.Mode().Perm())
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
