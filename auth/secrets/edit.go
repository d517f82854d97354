package secrets

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"slices"

	"bridgehead/auth"
)

const (
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
	known := make(map[string]bool)
	eachEntry(text, func(_ int, e *entry, _ span) {
		if !known[e.Name] {
			known[e.Name] = true
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
		return append(append(ended(text), u.line()...), '\n'), nil
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
		kept, from := make([]byte, 0, len(text)), 0
		eachEntry(text, func(_ int, e *entry, at span) {
			if e.Name == name {
				kept, from = append(kept, text[from:at.from]...), at.to
			}
		})
		if from == 0 {
			return nil, &NotFoundError{Path: path, Name: name}
		}
		return append(kept, text[from:]...), nil
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
