// Package convert takes users over from the files of other programs, and
// writes them for other programs: strongSwan's ipsec.secrets, Samba's
// smbpasswd, FreeRADIUS' users, CSV, and LDIF. What it takes over are NT
// hashes; a password in the clear is hashed where it is met and stands in no
// output and no error.
//
// A CSV file has a heading that names its columns, in any order, separated by
// commas, semicolons or tabs: name, then password or nt_hash (32 hexadecimal
// digits), then any of the words of a users file: group, pool, pool6, ip4, ip6,
// dns, routes, domains, session_timeout, idle_timeout, max_sessions, rate_up,
// rate_down, and disabled (yes or no). Cells may stand in double quotes; a
// record is one line.
package convert

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"bridgehead/auth"
	"bridgehead/auth/secrets"
)

// Format is the language of a file that is read.
type Format string

// Formats that are read.
const (
	IPsecSecrets Format = "ipsec.secrets"
	SMBPasswd    Format = "smbpasswd"
	FreeRADIUS   Format = "freeradius"
	CSV          Format = "csv"
)

// Formats lists the formats that are read.
func Formats() []Format { return []Format{IPsecSecrets, SMBPasswd, FreeRADIUS, CSV} }

// Guess tells the format by a file's name; empty where that says nothing.
func Guess(path string) Format {
	name := strings.ToLower(filepath.Base(path))
	switch {
	case strings.HasSuffix(name, "secrets"):
		return IPsecSecrets
	case strings.Contains(name, "smbpasswd"):
		return SMBPasswd
	case strings.HasSuffix(name, ".csv"):
		return CSV
	case name == "users" || name == "authorize":
		return FreeRADIUS
	}
	return ""
}

// Outcome is what became of a line.
type Outcome string

// Outcomes.
const (
	TakenOver    Outcome = "taken over"
	NotTakenOver Outcome = "not taken over"
	Remark       Outcome = "remark" // nothing is lost
)

// Line is what became of one line. It never holds a secret.
type Line struct {
	File    string  `json:"file"`    // where it stands
	Line    int     `json:"line"`    // from 1; 0: the file as a whole
	Column  int     `json:"column"`  // in characters from 1; 0 with line 0
	User    string  `json:"user"`    // whose line it is; empty where it is nobody's
	Outcome Outcome `json:"outcome"` // taken over, not taken over, or remark
	Note    string  `json:"note"`    // why, and what of the line was left out
}

// Result is what a file gave.
type Result struct {
	Users []secrets.User
	Lines []Line // in the order of reading; blank lines and comments are left out
}

// Count tells how many lines had an outcome.
func (r *Result) Count(o Outcome) (n int) {
	for _, l := range r.Lines {
		if l.Outcome == o {
			n++
		}
	}
	return n
}

// UnknownFormatError tells that a file's format is not known.
type UnknownFormatError struct{ Path string }

func (e *UnknownFormatError) Error() string {
	return fmt.Sprintf("can't tell by its name what %s is; say which of %s with --format", e.Path, formatNames())
}

func formatNames() string {
	names := make([]string, 0, 4)
	for _, f := range Formats() {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}

// Read takes over what a file has; an empty format is guessed. A line that
// can't be taken over loses only itself. The error is an *UnknownFormatError or
// a *secrets.ReadError.
func Read(path string, f Format) (*Result, error) {
	if f == "" {
		f = Guess(path)
	}
	parse := map[Format]func(*reader, []byte){SMBPasswd: parseSMBPasswd, FreeRADIUS: parseFreeRADIUS, CSV: parseCSV}[f]
	switch {
	case f == IPsecSecrets:
		return readIPsec(path)
	case parse == nil:
		return nil, &UnknownFormatError{Path: path}
	}
	text, warnings, err := secrets.ReadFile(path)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	r := &reader{file: path, places: make(map[string]int)}
	for _, w := range warnings {
		r.Lines = append(r.Lines, Line{File: path, Outcome: Remark, Note: w.Text})
	}
	parse(r, bytes.TrimPrefix(text, []byte("\uFEFF")))
	return &r.Result, nil
}

// reader collects what a file gives.
type reader struct {
	Result
	file   string
	places map[string]int // the line of each user
}

// place is where something stands.
type place struct{ line, column int }

func (r *reader) add(at place, user string, o Outcome, notes ...string) {
	r.Lines = append(r.Lines, Line{File: r.file, Line: at.line, Column: at.column, User: user, Outcome: o, Note: strings.Join(notes, "; ")})
}

// take takes a user over, unless there is one of that name.
func (r *reader) take(at place, u secrets.User, notes []string) {
	if first, twice := r.places[u.Name]; twice {
		r.add(at, u.Name, NotTakenOver, fmt.Sprintf("%q stands in line %d already; the first one counts", u.Name, first))
		return
	}
	if err := u.Check(); err != nil {
		r.add(at, u.Name, NotTakenOver, err.Error())
		return
	}
	r.places[u.Name] = at.line
	r.Users = append(r.Users, u)
	r.add(at, u.Name, TakenOver, notes...)
}

// password gives u the hash of a password in the clear, and what is to be said
// of it.
func password(u *secrets.User, clearText []byte) (notes []string) {
	advice, err := auth.CheckPassword(u.Name, clearText)
	if err != nil {
		advice = append(advice, err.Error())
	}
	u.Hash = auth.HashPassword(clearText)
	return advice
}

// ntHash reads 32 hexadecimal digits, 0x before them or not.
func ntHash(text string) (h auth.NTHash, ok bool) {
	text = strings.TrimPrefix(text, "0x")
	if len(text) != hex.EncodedLen(len(h)) {
		return h, false
	}
	_, err := hex.Decode(h[:], []byte(text))
	return h, err == nil
}

// eachLine calls f with each line, without its end, numbered from 1.
func eachLine(text []byte, f func(number int, line []byte)) {
	number := 0
	for line := range bytes.Lines(text) {
		number++
		f(number, bytes.TrimRight(line, "\r\n"))
	}
}

// readIPsec takes over ipsec.secrets and what it includes.
func readIPsec(path string) (*Result, error) {
	lines, problems, err := secrets.ReadIPsec(path)
	if err != nil {
		return nil, err
	}
	result := new(Result)
	for _, l := range lines {
		at := Line{File: l.File, Line: l.Line, Column: l.Column, Outcome: TakenOver, Note: strings.Join(l.Weak, "; ")}
		for _, u := range l.Users {
			at.User = u.Name
			result.Lines = append(result.Lines, at)
			result.Users = append(result.Users, u)
		}
		if l.Key != nil {
			at.Outcome, at.Note = NotTakenOver, "a private key: server.key of the configuration names it"
			result.Lines = append(result.Lines, at)
		}
	}
	for _, p := range problems {
		outcome := NotTakenOver
		if p.Warning {
			outcome = Remark
		}
		result.Lines = append(result.Lines, Line{File: p.File, Line: p.Line, Column: p.Column, Outcome: outcome, Note: p.Text})
	}
	order := map[string]int{path: 0}
	for _, l := range result.Lines {
		if _, known := order[l.File]; !known {
			order[l.File] = len(order)
		}
	}
	slices.SortStableFunc(result.Lines, func(a, b Line) int {
		return cmp.Or(cmp.Compare(order[a.File], order[b.File]), cmp.Compare(a.Line, b.Line))
	})
	return result, nil
}
