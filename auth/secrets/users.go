package secrets

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"bridgehead/auth"
)

// hashPrefix marks an NT hash in a users file.
const hashPrefix = "$nt$"

// User is one line of a users file.
type User struct {
	Name     string
	Hash     auth.NTHash
	Disabled bool
	// What the user has of his own; zero: as group and gateway have it.
	Group          string
	Pool           string
	Pool6          string     // of the IPv6 address; empty: as Pool
	IPv4           netip.Addr // fixed addresses; zero: from the pool
	IPv6           netip.Addr
	DNS            []netip.Addr
	Routes         []netip.Prefix
	Domains        []string
	SessionTimeout time.Duration
	IdleTimeout    time.Duration
	MaxSessions    int
	RateUp         uint64 // bits a second
	RateDown       uint64
}

// account is what a verifier gets to know.
func (u User) account() *auth.Account {
	a := &auth.Account{Hash: u.Hash, Disabled: u.Disabled, Grant: auth.Grant{
		Name: u.Name, Group: u.Group, Pool: u.Pool, Pool6: u.Pool6, DNS: u.DNS, Routes: u.Routes, Domains: u.Domains,
		SessionTimeout: u.SessionTimeout, IdleTimeout: u.IdleTimeout, MaxSessions: u.MaxSessions, RateUp: u.RateUp, RateDown: u.RateDown,
	}}
	for _, ip := range []netip.Addr{u.IPv4, u.IPv6} {
		if ip.IsValid() {
			a.Grant.Addresses = append(a.Grant.Addresses, ip)
		}
	}
	return a
}

// word is one word of a line, unquoted.
type word struct {
	text []byte
	at   int // its first octet, the quote if it has one
	end  int // the octet behind it, the quote included
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// nextWord gives the next word of a line from an octet on; nil at the end.
func nextWord(line []byte, at int) (*word, *fault) {
	for at < len(line) && isBlank(line[at]) {
		at++
	}
	if at == len(line) || line[at] == '#' {
		return nil, nil
	}
	if line[at] == '"' {
		return quotedWord(line, at)
	}
	end := at
	for end < len(line) && !isBlank(line[end]) {
		end++
	}
	return &word{text: line[at:end], at: at, end: end}, nil
}

func quotedWord(line []byte, at int) (*word, *fault) {
	text := make([]byte, 0, len(line)-at)
	for i := at + 1; i < len(line); i++ {
		switch c := line[i]; c {
		case '"':
			if i+1 < len(line) && !isBlank(line[i+1]) {
				return nil, faultAt(i+1, "expected a blank behind the closing quote")
			}
			return &word{text: text, at: at, end: i + 1}, nil
		case '\\':
			if i+1 == len(line) || line[i+1] != '"' && line[i+1] != '\\' {
				return nil, faultAt(i, `expected \" or \\ behind a backslash inside quotes`)
			}
			i++
			text = append(text, line[i])
		default:
			text = append(text, c)
		}
	}
	return nil, faultAt(at, "the quote is never closed; expected another \" on this line")
}

// entry is a User and where its hash stands, so that it can be replaced.
type entry struct {
	User
	nameAt         int
	hashAt, hashTo int
}

// parseUser reads one line; nil for a blank line or a comment.
func parseUser(line []byte) (*entry, *fault) {
	name, f := nextWord(line, 0)
	if name == nil || f != nil {
		return nil, f
	}
	e := &entry{nameAt: name.at}
	e.Name = string(name.text)
	if problem := checkName(e.Name); problem != "" {
		return nil, faultAt(name.at, "%s", problem)
	}
	hash, f := nextWord(line, name.end)
	if f != nil {
		return nil, f
	}
	if hash == nil {
		return nil, faultAt(name.end, "expected a hash behind the name, such as %s followed by 32 hexadecimal digits", hashPrefix)
	}
	if e.Hash, f = parseHash(hash); f != nil {
		return nil, f
	}
	e.hashAt, e.hashTo = hash.at, hash.end
	for at := hash.end; ; {
		w, f := nextWord(line, at)
		if w == nil || f != nil {
			return e, f
		}
		if f := e.set(w); f != nil {
			return nil, f
		}
		at = w.end
	}
}

// checkName tells what is wrong with a name; empty: nothing.
func checkName(name string) string {
	switch {
	case name == "":
		return "expected a user name, found an empty one"
	case !utf8.ValidString(name):
		return "expected a name in UTF-8"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "expected a name without control characters"
	}
	return ""
}

var emptyPassword = auth.HashPassword(nil)

func parseHash(w *word) (h auth.NTHash, f *fault) {
	digits, ok := bytes.CutPrefix(w.text, []byte(hashPrefix))
	if !ok {
		return h, faultAt(w.at, "expected a hash that begins with %s; passwords in the clear don't belong here, make the line with \"bridgehead users add\"", hashPrefix)
	}
	if len(digits) != hex.EncodedLen(len(h)) {
		return h, faultAt(w.at, "expected %d hexadecimal digits behind %s, found %d characters", hex.EncodedLen(len(h)), hashPrefix, utf8.RuneCount(digits))
	}
	if _, err := hex.Decode(h[:], digits); err != nil {
		return h, faultAt(w.at, "expected only hexadecimal digits behind %s", hashPrefix)
	}
	if problem := checkHash(h); problem != "" {
		return auth.NTHash{}, faultAt(w.at, "%s", problem)
	}
	return h, nil
}

// checkHash refuses what stands for "no password".
func checkHash(h auth.NTHash) string {
	switch h {
	case auth.NTHash{}:
		return "expected the hash of a password, found only zeros"
	case emptyPassword:
		return "expected the hash of a password, found that of the empty one"
	}
	return ""
}

// set takes one of the words behind the hash.
func (e *entry) set(w *word) *fault {
	key, value, _ := strings.Cut(string(w.text), "=")
	if key == "disabled" {
		if string(w.text) != "disabled" || e.Disabled {
			return faultAt(w.at, "expected \"disabled\" once and without a value")
		}
		e.Disabled = true
		return nil
	}
	if err := e.Set(key, value); err != nil {
		return faultAt(w.at, "%v", err)
	}
	return nil
}

// line is the User as a line without its end.
func (u User) line() []byte {
	b := fmt.Appendf(nil, "%s  %s%s", quote(u.Name), hashPrefix, hex.EncodeToString(u.Hash[:]))
	for _, s := range u.Settings() {
		b = fmt.Appendf(b, "  %s", quote(s.Key+"="+s.Value))
	}
	if u.Disabled {
		b = append(b, "  disabled"...)
	}
	return b
}

// quote puts a word into quotes where it needs them.
func quote(s string) string {
	if s != "" && !strings.ContainsAny(s, " \t") && s[0] != '#' && s[0] != '"' {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// parseUsers reads a whole users file into t.
func parseUsers(file string, text []byte, t *table) {
	addrs := make(map[netip.Addr]string)
	eachLine(text, func(number int, line []byte) {
		e, f := parseUser(line)
		if f == nil && e != nil {
			f = t.add(e.User, e.nameAt, file, number)
		}
		if f != nil {
			t.problems = append(t.problems, f.in(file, number, line))
			return
		}
		if e == nil {
			return
		}
		for _, a := range []netip.Addr{e.IPv4, e.IPv6} {
			if other, taken := addrs[a]; taken && a.IsValid() {
				p := faultAt(0, "%v is the fixed address of %q already; only one of them can use it at a time", a, other).in(file, number, line)
				p.Warning = true
				t.problems = append(t.problems, p)
			}
			addrs[a] = e.Name
		}
	})
}

var byteOrderMark = []byte("\uFEFF")

// eachLine calls f with each line, without its end, numbered from 1.
func eachLine(text []byte, f func(number int, line []byte)) {
	text = bytes.TrimPrefix(text, byteOrderMark)
	for number := 1; len(text) > 0; number++ {
		line, rest, _ := bytes.Cut(text, []byte("\n"))
		f(number, bytes.TrimSuffix(line, []byte("\r")))
		text = rest
	}
}
