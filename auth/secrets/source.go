package secrets

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// maxFileSize bounds what is read into memory: a million users fit.
const maxFileSize = 128 << 20

// source is a file that was read, or a pattern that was looked up, with what
// tells that it has changed.
type source struct {
	path    string   // a file
	stamp   stamp    // of the file
	pattern string   // or a pattern
	matches []string // of the pattern
}

// stamp tells two states of a file apart. Its owner renames a new file into
// place (the inode changes) or writes into the old one (the time changes).
type stamp struct {
	device, inode uint64
	size          int64
	modified      time.Time
}

func stampOf(info fs.FileInfo) stamp {
	s := stamp{size: info.Size(), modified: info.ModTime()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.device, s.inode = sys.Dev, sys.Ino
	}
	return s
}

// changed tells whether a second reading would find something else.
func (s source) changed() bool {
	if s.pattern != "" {
		matches, err := filepath.Glob(s.pattern)
		return err != nil || !slices.Equal(matches, s.matches)
	}
	info, err := os.Stat(s.path)
	return err != nil || stampOf(info) != s.stamp
}

// read reads a file into t's sources. The stamp is taken before the octets,
// so that a change in between is seen at the next look.
func (t *table) read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &ReadError{Path: path, Advice: adviceFor(err), Err: err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, &ReadError{Path: path, Advice: adviceFor(err), Err: err}
	}
	if !info.Mode().IsRegular() || info.Size() > maxFileSize {
		return nil, &ReadError{Path: path, Err: fmt.Errorf("not a regular file of at most %d MiB", maxFileSize>>20), Advice: "name a text file"}
	}
	t.sources = append(t.sources, source{path: path, stamp: stampOf(info)})
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		t.problems = append(t.problems, Problem{
			File: path, Warning: true,
			Text: fmt.Sprintf("mode %04o lets others than the owner at the secrets in it; run: chmod 600 %s", mode, path),
		})
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFileSize))
	if err != nil {
		return nil, &ReadError{Path: path, Advice: adviceFor(err), Err: err}
	}
	return text, nil
}

func adviceFor(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "check the path, or make the file with \"bridgehead users add NAME\""
	case errors.Is(err, fs.ErrPermission):
		return "run as the user who owns the file"
	}
	return "check the disk and the file"
}
