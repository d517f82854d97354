package secrets

import (
	"bytes"
	"fmt"
	"slices"

	"bridgehead/auth"
)

// IPsecLine is one line of ipsec.secrets that says something.
type IPsecLine struct {
	File   string
	Line   int // from 1
	Column int // in characters from 1
	// Kind is EAP, XAUTH, NTLM, RSA, ECDSA, BLISS, PKCS8, P12, PSK, PIN or
	// include.
	Kind    string
	Users   []User   // of EAP, XAUTH and NTLM; without those that stand in an earlier line
	Weak    []string // what makes the password easy to guess, or impossible to send
	Key     *Key     // of RSA, ECDSA, BLISS, PKCS8 and P12
	Pattern string   // of include, as it stands
}

// Format writes the line without hashes and passphrases.
func (l IPsecLine) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "%s:%d:%d: %s", l.File, l.Line, l.Column, l.Kind)
}

// ReadIPsec reads ipsec.secrets and what it includes, for a program that takes
// the file over: each line in the order of reading, and what is wrong. Of two
// lines for one user the first counts. The error is a *ReadError.
func ReadIPsec(path string) ([]IPsecLine, []Problem, error) {
	t := newTable()
	text, err := t.read(path)
	if err != nil {
		return nil, nil, err
	}
	defer clear(text)
	var lines []IPsecLine
	r := newIPsecReader(path, t)
	r.line = func(l IPsecLine) { lines = append(lines, l) }
	r.parse(path, text, 1)
	return lines, t.problems, nil
}

// ReadFile reads a file of secrets whole, with warnings about its mode. The
// caller wipes the text. The error is a *ReadError.
func ReadFile(path string) (text []byte, warnings []Problem, err error) {
	t := newTable()
	text, err = t.read(path)
	return text, t.problems, err
}

// weak is what is to be said of the password of a line.
func weak(line []byte, value int, user string) []string {
	password, f := secret(line, value)
	if f != nil {
		return nil
	}
	defer clear(password)
	advice, err := auth.CheckPassword(user, password)
	if err != nil {
		advice = append(advice, err.Error())
	}
	return advice
}

// tell passes on what stands at an octet of a line.
func (r *ipsecReader) tell(file string, number int, line []byte, at int, l IPsecLine) {
	if r.line == nil {
		return
	}
	place := faultAt(at, "").in(file, number, line)
	l.File, l.Line, l.Column = place.File, place.Line, place.Column
	r.line(l)
}

// AppendUsers appends a users file with these users, its heading included. The
// error is an *InvalidError.
func AppendUsers(dst []byte, users []User) ([]byte, error) {
	dst = append(dst, firstLine...)
	for _, u := range users {
		if err := u.Check(); err != nil {
			return nil, err
		}
		dst = append(append(dst, u.line()...), '\n')
	}
	return dst, nil
}

// kinds are the words behind the colon of ipsec.secrets.
var kinds = []string{"EAP", "XAUTH", "NTLM", "RSA", "ECDSA", "BLISS", "PKCS8", "P12", "PSK", "PIN"}

// secretsIn counts what would be secrets, were they not in a comment. A file
// whose line breaks are lost is one long comment.
func secretsIn(comment []byte) int {
	n := 0
	words := bytes.Fields(comment)
	for i, w := range words[:len(words)-1] {
		if string(w) == ":" && slices.Contains(kinds, string(bytes.ToUpper(words[i+1]))) {
			n++
		}
	}
	return n
}
