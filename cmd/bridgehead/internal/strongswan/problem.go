package strongswan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Place is a position in a file of the input.
type Place struct {
	File   string `json:"file"`   // as it was named, or found by an include
	Line   int    `json:"line"`   // from 1; 0: the file as a whole
	Column int    `json:"column"` // in characters, from 1; 0 with Line 0
}

// String is file:line:column.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// line is file:line.
func (p Place) line() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Problem is one thing wrong with the input.
type Problem struct {
	Place
	Text string `json:"text"` // what was expected; no secret is ever quoted
}

func (p Problem) String() string { return p.Place.String() + ": " + p.Text }

// Error is input that is not taken over, with everything that is wrong.
type Error struct{ Problems []Problem }

func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	noun := "errors"
	if len(e.Problems) == 1 {
		noun = "error"
	}
	return strings.Join(append(lines, fmt.Sprintf("%d %s, nothing was taken over", len(e.Problems), noun)), "\n")
}

// maxProblems bounds what is said of a file that is something else altogether.
const maxProblems = 50

// problems collects what is wrong.
type problems struct{ list []Problem }

func (ps *problems) add(at Place, format string, args ...any) {
	if len(ps.list) < maxProblems {
		ps.list = append(ps.list, Problem{at, fmt.Sprintf(format, args...)})
	}
}

// err is nil, or an *Error with the problems in the order of the files and
// lines.
func (ps *problems) err() error {
	if len(ps.list) == 0 {
		return nil
	}
	list := slices.Clone(ps.list)
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &Error{list}
}
