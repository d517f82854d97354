package secrets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// lockWait is how long an edit waits for another one to end.
	lockWait = 5 * time.Second
	lockStep = 20 * time.Millisecond
	// editTries is how often an edit begins anew because a program that knows
	// no lock has written in between.
	editTries = 5
	// freshPattern names a new file until it is in place.
	freshPattern = ".bridgehead-new-*.tmp"
	// exportMode bounds the mode of a file that is replaced by an export.
	exportMode = 0o640
)

// LinkError tells that a file to be replaced is a symbolic link.
type LinkError struct{ Path string }

func (e *LinkError) Error() string {
	return fmt.Sprintf("%s is a symbolic link; name the file that it leads to", e.Path)
}

// edit changes the file in one step: readers see the old text or the new one.
// A symbolic link stays one. change is called again where another program has
// written meanwhile.
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
	for range editTries {
		if done, err := editOnce(path, create, change); done || err != nil {
			return err
		}
	}
	return &LockedError{Path: path}
}

// editOnce tells whether it was done, or else that another program has written
// since the file was read.
func editOnce(path string, create bool, change func(text []byte) ([]byte, error)) (done bool, err error) {
	t := newTable()
	text, err := t.read(path)
	stale := func() bool { return t.sources[0].changed() }
	if create && errors.Is(err, fs.ErrNotExist) && !isThere(path) { // a link that leads nowhere is
		err, stale = nil, func() bool { return isThere(path) }
	}
	if err != nil {
		return false, err
	}
	defer clear(text)
	changed, err := change(text)
	if err != nil {
		return false, err
	}
	changed = ended(changed)
	defer clear(changed)
	if done, err = replace(path, changed, 0o777, stale); err != nil {
		return false, fmt.Errorf("write %s: %w; the old file stays where the new one is not in place", path, err)
	}
	return done, nil
}

// ended gives a text that no reader takes for the half of a write: one that is
// not empty and ends with a line.
func ended(text []byte) []byte {
	switch {
	case len(text) == 0:
		return []byte(firstLine)
	case text[len(text)-1] != '\n':
		return append(text, '\n')
	}
	return text
}

// isThere tells whether a path is something, be it a link that leads nowhere.
func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// lock keeps other edits out by a lock on the folder, which needs no file
// that could be left behind, and removes what an edit left that was killed.
func lock(path string, wait time.Duration) (unlock func(), err error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, &ReadError{Path: path, Err: err, Advice: "make the folder first"}
	}
	for waited := time.Duration(0); ; waited += lockStep {
		switch err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case err == nil:
			sweep(filepath.Dir(path))
			return func() { _ = dir.Close() }, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			_ = dir.Close()
			return nil, &ReadError{Path: path, Err: fmt.Errorf("lock the folder: %w", err), Advice: "keep the file on a file system that has locks"}
		case waited >= wait:
			_ = dir.Close()
			return nil, &LockedError{Path: path}
		}
		time.Sleep(lockStep)
	}
}

// sweep removes new files that were never put in place. Who holds the lock of
// the folder owns them all.
func sweep(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, freshPattern)) // the pattern is a good one, unless the folder's name holds another
	for _, path := range left {
		_ = os.Remove(path)
	}
}

// replace writes a new file beside the old one, with its owner and of its mode
// what most allows, brings it to the disk and puts it in place, unless the old
// one is stale by then.
func replace(path string, text []byte, most fs.FileMode, stale func() bool) (done bool, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), freshPattern)
	if err != nil {
		return false, err
	}
	defer func() {
		if !done {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if info, statErr := os.Stat(path); statErr == nil {
		if err := keepOwner(f, info, most); err != nil {
			return false, err
		}
	}
	if _, err := f.Write(text); err != nil {
		return false, err
	}
	if err := f.Sync(); err != nil {
		return false, err
	}
	if err := f.Close(); err != nil {
		return false, err
	}
	if stale() {
		return false, nil
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return false, err
	}
	return true, syncDir(filepath.Dir(path))
}

func keepOwner(f *os.File, old fs.FileInfo, most fs.FileMode) error {
	if sys, ok := old.Sys().(*syscall.Stat_t); ok && (int(sys.Uid) != os.Geteuid() || int(sys.Gid) != os.Getegid()) {
		if err := f.Chown(int(sys.Uid), int(sys.Gid)); err != nil {
			return err
		}
	}
	return f.Chmod(old.Mode().Perm() & most)
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// WriteExport makes a file of hashes for another program in one step, with mode
// 0600. A file that is there already is replaced only if that is allowed, else
// the error is a *TakenError; it keeps its owner, and its mode as far as that
// lets only the owner write and the group read. A symbolic link is a
// *LinkError: what it leads to is not what the operator sees.
func WriteExport(path string, text []byte, overwrite bool) error {
	unlock, err := lock(path, lockWait)
	if err != nil {
		return err
	}
	defer unlock()
	switch info, err := os.Lstat(path); {
	case err == nil && !overwrite:
		return &TakenError{Path: path}
	case err == nil && info.Mode()&fs.ModeSymlink != 0:
		return &LinkError{Path: path}
	}
	if _, err := replace(path, text, exportMode, func() bool { return false }); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
