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
// place (the inode changes) or writes into the old one (the times change;
// programs that copy set the first one back, and nobody the second).
type stamp struct {
	device, inode     uint64
	size              int64
	modified, changed time.Time
}

func stampOf(info fs.FileInfo) stamp {
	s := stamp{size: info.Size(), modified: info.ModTime()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.device, s.inode, s.changed = sys.Dev, sys.Ino, time.Unix(sys.Ctim.Unix())
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

// hasRead tells whether path is a file that is among t's sources, under any
// name.
func (t *table) hasRead(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false // reading it will say why
	}
	it := stampOf(info)
	return slices.ContainsFunc(t.sources, func(s source) bool {
		return s.path != "" && s.stamp.device == it.device && s.stamp.inode == it.inode
	})
}

// read reads a file into t's sources. The stamp is taken before the octets,
// so that a change in between is seen at the next look. A pipe, which nobody
// may ever write to, is not waited for.
func (t *table) read(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
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
	text, err := readAll(io.LimitReader(f, maxFileSize), int(info.Size()))
	if err != nil {
		return nil, &ReadError{Path: path, Advice: adviceFor(err), Err: err}
	}
	return text, nil
}

// readAll is io.ReadAll for about size octets, without copies of them left
// behind in memory.
func readAll(r io.Reader, size int) ([]byte, error) {
	text := make([]byte, 0, size+1)
	for {
		n, err := r.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		switch {
		case err == io.EOF:
			return text, nil
		case err != nil:
			clear(text)
			return nil, err
		case len(text) == cap(text): // the file grows
			larger := append(make([]byte, 0, 2*cap(text)), text...)
			clear(text)
			text = larger
		}
	}
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
