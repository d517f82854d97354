package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Severity tells a mistake from advice.
type Severity string

// Severities. Only errors keep a gateway from starting.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Problem is one thing wrong with a configuration.
type Problem struct {
	Severity Severity `json:"severity"`          // an error keeps the gateway from starting
	File     string   `json:"file"`              // where it is
	Line     int      `json:"line"`              // from 1
	Column   int      `json:"column"`            // in characters, from 1
	Setting  string   `json:"setting,omitempty"` // such as "server.name"
	Message  string   `json:"message"`           // what is wrong
	Hint     string   `json:"hint,omitempty"`    // what was expected, or what to do
	Cause    Cause    `json:"cause"`             // a short name of what is wrong, which stays
	// Symptoms are what clients show of it.
	Symptoms []Symptom `json:"symptoms,omitempty"`

	text string // the offending line without secrets; empty where there is none
	from int    // where in it the mark begins, in characters
	span int    // how many characters are marked
}

// String is the problem as a person reads it: position and message, the
// offending line, a marker with the hint.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Column)
	if p.Severity == SeverityWarning {
		b.WriteString("warning: ")
	}
	b.WriteString(printable(p.Message)) // a key may be quoted and hold anything
	switch {
	case p.text != "":
		fmt.Fprintf(&b, "\n%6d | %s\n       | %s^%s", p.Line, printable(p.text),
			strings.Repeat(" ", p.from), strings.Repeat("~", max(p.span-1, 0)))
		if p.Hint != "" {
			b.WriteString(" " + printable(p.Hint))
		}
	case p.Hint != "":
		b.WriteString("\n       = " + printable(p.Hint))
	}
	for _, s := range p.Symptoms {
		fmt.Fprintf(&b, "\n       = %s: %q", s.Clients, s.Shows)
	}
	return b.String()
}

// printable keeps a line of a file from moving the cursor: a tab becomes one
// blank, so that the marker stays below its word.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0:
			return '?'
		}
		return r
	}, s)
}

// Error is a configuration that can't be used. Problems holds everything that
// was found, warnings included, in the order of files and lines.
type Error struct{ Problems []Problem }

func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	errors := 0
	for _, p := range e.Problems {
		lines = append(lines, p.String())
		if p.Severity == SeverityError {
			errors++
		}
	}
	noun := "errors"
	if errors == 1 {
		noun = "error"
	}
	return strings.Join(append(lines, fmt.Sprintf("%d %s in the configuration", errors, noun)), "\n")
}

// Judge sorts problems and splits them into an error, nil where all are
// warnings, and the warnings.
func Judge(problems []Problem) (warnings []Problem, err error) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if slices.ContainsFunc(problems, func(p Problem) bool { return p.Severity == SeverityError }) {
		return nil, &Error{problems}
	}
	return problems, nil
}

// At makes an error about a setting, or about one item of a list (index from
// 0; -1 for the whole). It points at the file that set it, or at the section
// where the setting is missing.
func (c *Config) At(setting string, index int, message, hint string) Problem {
	p := Problem{Severity: SeverityError, File: c.file, Line: 1, Column: 1, Setting: setting, Message: message, Hint: hint, Cause: CauseBadValue}
	if e, ok := c.entries[setting]; ok {
		return e.value.item(index).at.mark(p)
	}
	section := setting[:strings.LastIndexByte(setting, '.')]
	if at, ok := c.headers[section]; ok {
		return at.mark(p)
	}
	return p
}

// Warn is At for advice.
func (c *Config) Warn(setting string, index int, message, hint string) Problem {
	p := c.At(setting, index, message, hint)
	p.Severity, p.Cause = SeverityWarning, CauseAdvice
	return p
}

// locator is a stretch of a source file.
type locator struct {
	source *source
	offset int
	length int
}

// mark puts the locator's position and line into p.
func (l locator) mark(p Problem) Problem {
	data := l.source.data
	start := strings.LastIndexByte(data[:l.offset], '\n') + 1
	end := len(data)
	if i := strings.IndexByte(data[l.offset:], '\n'); i >= 0 {
		end = l.offset + i
	}
	p.File = l.source.path
	p.Line = strings.Count(data[:start], "\n") + 1
	p.Column = utf8.RuneCountInString(data[start:l.offset]) + 1
	var left int
	p.text, left = hideSecret(strings.TrimSuffix(data[start:end], "\r"))
	p.from = min(p.Column-1, left)
	p.span = utf8.RuneCountInString(data[l.offset:min(end, l.offset+l.length)])
	if most := utf8.RuneCountInString(p.text) - p.from; most > 0 {
		p.span = min(p.span, most)
	}
	return p
}

// line is the position in the form file:line.
func (l locator) line() string {
	return fmt.Sprintf("%s:%d", l.source.path, strings.Count(l.source.data[:l.offset], "\n")+1)
}
