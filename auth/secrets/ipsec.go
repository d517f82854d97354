package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"path/filepath"
	"strings"

	"bridgehead/auth"
)

// maxIncludeDepth is strongSwan's.
const maxIncludeDepth = 10

// ipsecReader reads ipsec.secrets and what it includes into a table.
type ipsecReader struct {
	t      *table
	keyDir string          // where relative key paths begin
	line   func(IPsecLine) // told of each line that was read; nil: nobody asks
}

func newIPsecReader(root string, t *table) *ipsecReader {
	return &ipsecReader{t: t, keyDir: filepath.Join(filepath.Dir(root), "ipsec.d", "private")}
}

// parse reads one file; depth is 1 for the root.
func (r *ipsecReader) parse(file string, text []byte, depth int) {
	eachLine(text, func(number int, line []byte) {
		line = bytes.TrimRight(line, " \t")
		body := bytes.TrimLeft(line, " \t")
		if len(body) == 0 {
			return
		}
		at := len(line) - len(body)
		report := func(f *fault, warning bool) {
			p := f.in(file, number, line)
			p.Warning = warning
			r.t.problems = append(r.t.problems, p)
		}
		if body[0] == '#' {
			if n := secretsIn(body); n > 1 {
				report(faultAt(at, "this comment swallows %d secrets; expected one secret a line: give the file its line breaks back", n), false)
			}
			return
		}
		if rest, ok := bytes.CutPrefix(body, []byte("include")); ok && len(rest) > 0 && isBlank(rest[0]) {
			pattern := string(bytes.TrimSpace(rest))
			r.tell(file, number, line, at, IPsecLine{Kind: "include", Pattern: pattern})
			r.include(file, pattern, depth, func(f *fault, warning bool) {
				f.at = at
				report(f, warning)
			})
			return
		}
		if f := r.entry(file, number, line, at, func(f *fault) { report(f, true) }); f != nil {
			report(f, false)
		}
	})
}

// include reads all files that match a pattern, each file once in all: files
// that include each other would else be read as often as there are ways
// between them.
func (r *ipsecReader) include(from, pattern string, depth int, report func(f *fault, warning bool)) {
	if depth >= maxIncludeDepth {
		report(faultAt(0, "includes are nested more than %d deep; %s is left out", maxIncludeDepth, pattern), false)
		return
	}
	pattern = strings.Trim(pattern, `"`)
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(from), pattern)
	}
	matches, err := filepath.Glob(pattern)
	if err != nil {
		report(faultAt(0, "expected a file name or a pattern behind include: %v", err), false)
		return
	}
	r.t.sources = append(r.t.sources, source{pattern: pattern, matches: matches})
	if len(matches) == 0 {
		report(faultAt(0, "no file matches %s", pattern), true)
	}
	for _, path := range matches {
		if r.t.hasRead(path) {
			report(faultAt(0, "%s is read already; a file counts once", path), true)
			continue
		}
		text, err := r.t.read(path)
		if err != nil {
			report(faultAt(0, "%v", err), false)
			continue
		}
		r.parse(path, text, depth+1)
		clear(text)
	}
}

// entry reads "selectors : TYPE value".
func (r *ipsecReader) entry(file string, number int, line []byte, at int, warn func(*fault)) *fault {
	colon := separator(line, at)
	if colon < 0 {
		return faultAt(at, "expected \"NAME : TYPE SECRET\" with a blank on both sides of the colon")
	}
	kind := nextBare(line, colon+1)
	if kind == nil {
		return faultAt(colon+1, "expected EAP, XAUTH, NTLM, RSA, ECDSA, PKCS8, P12, PSK or PIN behind the colon")
	}
	switch name := strings.ToUpper(string(kind.text)); name {
	case "EAP", "XAUTH", "NTLM":
		users, f := r.user(file, number, line, at, colon, kind.end, name == "NTLM", warn)
		if f == nil {
			told := IPsecLine{Kind: name, Users: users}
			if name != "NTLM" && len(users) > 0 && r.line != nil {
				told.Weak = weak(line, kind.end, users[0].Name)
			}
			r.tell(file, number, line, at, told)
		}
		return f
	case "RSA", "ECDSA", "BLISS", "PKCS8", "P12":
		k, f := r.key(name, line, kind.end)
		if f == nil {
			r.tell(file, number, line, at, IPsecLine{Kind: name, Key: k})
		}
		return f
	case "PSK", "PIN":
		warn(faultAt(kind.at, "%s is not for user logins: the line is left alone", name))
		r.tell(file, number, line, at, IPsecLine{Kind: name})
		return nil
	}
	return faultAt(kind.at, "expected EAP, XAUTH, NTLM, RSA, ECDSA, PKCS8, P12, PSK or PIN behind the colon, found another word")
}

// separator finds the colon that has a blank, or the line's start, before it
// and a blank behind it, outside of quotes; -1: none.
func separator(line []byte, at int) int {
	var quote byte
	for i := at; i < len(line); i++ {
		c := line[i]
		startsWord := i == at || isBlank(line[i-1])
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case startsWord && (c == '"' || c == '\''):
			quote = c
		case c == ':' && startsWord && i+1 < len(line) && isBlank(line[i+1]):
			return i
		}
	}
	return -1
}

// nextBare gives the next word without a look at quotes; nil at the end.
func nextBare(line []byte, at int) *word {
	for at < len(line) && isBlank(line[at]) {
		at++
	}
	end := at
	for end < len(line) && !isBlank(line[end]) {
		end++
	}
	if at == end {
		return nil
	}
	return &word{text: line[at:end], at: at, end: end}
}

// nextValue gives the next word, in single or double quotes or bare. quoted
// tells that 0x and 0s mean nothing in it.
func nextValue(line []byte, at int) (w *word, quoted bool, f *fault) {
	w = nextBare(line, at)
	if w == nil || w.text[0] != '"' && w.text[0] != '\'' {
		return w, false, nil
	}
	n := bytes.IndexByte(line[w.at+1:], w.text[0])
	if n < 0 {
		return nil, true, faultAt(w.at, "the quote is never closed; expected another %c on this line", w.text[0])
	}
	return &word{text: line[w.at+1 : w.at+1+n], at: w.at, end: w.at + n + 2}, true, nil
}

// secret decodes a value; the caller wipes the result.
func secret(line []byte, at int) ([]byte, *fault) {
	w, quoted, f := nextValue(line, at)
	switch {
	case f != nil:
		return nil, f
	case w == nil:
		return nil, faultAt(at, "expected a secret: \"in quotes\", 0x and hexadecimal digits, or 0s and base64")
	}
	if rest := nextBare(line, w.end); rest != nil && rest.text[0] != '#' {
		return nil, faultAt(rest.at, "expected nothing behind the secret; put a secret with blanks into quotes")
	}
	if !quoted && len(w.text) > 2 && w.text[0] == '0' {
		switch digits := w.text[2:]; w.text[1] {
		case 'x', 'X':
			b := make([]byte, hex.DecodedLen(len(digits)))
			if _, err := hex.Decode(b, digits); err != nil {
				return nil, faultAt(w.at, "expected pairs of hexadecimal digits behind 0x")
			}
			return b, nil
		case 's', 'S':
			b := make([]byte, base64.StdEncoding.DecodedLen(len(digits)))
			n, err := base64.StdEncoding.Decode(b, digits)
			if err != nil {
				return nil, faultAt(w.at, "expected base64 behind 0s")
			}
			return b[:n], nil
		}
	}
	return bytes.Clone(w.text), nil
}

// user takes an EAP, XAUTH or NTLM line: every selector is a user.
func (r *ipsecReader) user(file string, number int, line []byte, at, colon, value int, ntlm bool, warn func(*fault)) ([]User, *fault) {
	h, f := hashIn(line, value, ntlm)
	if f != nil {
		return nil, f
	}
	var users []User
	names := 0
	for head := line[:colon]; ; names++ {
		w, _, f := nextValue(head, at)
		if f != nil {
			return users, f
		}
		if w == nil {
			break
		}
		at = w.end
		name := string(w.text)
		if strings.HasPrefix(name, "%any") {
			return users, faultAt(w.at, "a password for everybody is not taken; expected a user name, found %s", name)
		}
		if problem := checkName(name); problem != "" {
			return users, faultAt(w.at, "%s", problem)
		}
		if a := r.t.accounts[name]; a != nil && a.Hash == h { // for EAP and for XAUTH, most often
			warn(faultAt(w.at, "%q stands at %s with the same password already; once is enough", name, r.t.places[name]))
			continue
		}
		u := User{Name: name, Hash: h}
		if f := r.t.add(u, w.at, file, number); f != nil {
			return users, f
		}
		users = append(users, u)
	}
	if names == 0 {
		return nil, faultAt(at, "a password for everybody is not taken; expected a user name before the colon")
	}
	return users, nil
}

// hashIn is the hash of the secret of a line, or the one that NTLM gives.
func hashIn(line []byte, value int, ntlm bool) (h auth.NTHash, f *fault) {
	password, f := secret(line, value)
	if f != nil {
		return h, f
	}
	defer clear(password)
	switch {
	case !ntlm:
		h = auth.HashPassword(password)
	case len(password) == len(h):
		copy(h[:], password)
	default:
		return h, faultAt(value, "expected an NT hash of %d octets behind NTLM, such as 0x and 32 hexadecimal digits", len(h))
	}
	if problem := checkHash(h); problem != "" {
		return h, faultAt(value, "%s", problem)
	}
	return h, nil
}

// key takes the line of a private key.
func (r *ipsecReader) key(kind string, line []byte, at int) (*Key, *fault) {
	path, _, f := nextValue(line, at)
	if f != nil {
		return nil, f
	}
	if path == nil || len(path.text) == 0 {
		return nil, faultAt(at, "expected the file of the private key behind %s", kind)
	}
	k := Key{Type: kind, Path: string(path.text)}
	if !filepath.IsAbs(k.Path) {
		k.Path = filepath.Join(r.keyDir, k.Path)
	}
	switch rest := nextBare(line, path.end); {
	case rest == nil || rest.text[0] == '#':
	case string(rest.text) == "%prompt":
		k.Prompt = true
	default:
		passphrase, f := secret(line, path.end)
		if f != nil {
			return nil, f
		}
		k.Passphrase = passphrase
	}
	r.t.keys = append(r.t.keys, k)
	return &k, nil
}
