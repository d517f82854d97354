package secrets

import (
	"fmt"
	"unicode/utf8"
)

// Problem is what is wrong in one place of a file.
type Problem struct {
	File    string
	Line    int // from 1; 0: the file as a whole
	Column  int // in characters from 1; 0 with Line 0
	Text    string
	Warning bool // nothing was lost
}

func (p Problem) Error() string {
	switch {
	case p.Line == 0:
		return fmt.Sprintf("%s: %s", p.File, p.Text)
	default:
		return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Text)
	}
}

// ReadError tells that a file could not be read at all.
type ReadError struct {
	Path   string
	Advice string
	Err    error
}

func (e *ReadError) Error() string {
	return fmt.Sprintf("can't read the users in %s: %v; %s", e.Path, e.Err, e.Advice)
}

func (e *ReadError) Unwrap() error { return e.Err }

// fault is a problem within a line, at an octet. Its text never quotes the
// file where a secret may stand.
type fault struct {
	at   int
	text string
}

func faultAt(at int, format string, args ...any) *fault {
	return &fault{at: at, text: fmt.Sprintf(format, args...)}
}

func (f *fault) in(file string, number int, line []byte) Problem {
	return Problem{File: file, Line: number, Column: utf8.RuneCount(line[:min(f.at, len(line))]) + 1, Text: f.text}
}
