package convert

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"

	"bridgehead/auth/secrets"
)

// replies are the attributes that give a user what a users file has, too.
// Those of a list count each.
var replies = []struct {
	attribute, key string
	list           bool
}{
	{"Framed-IP-Address", "ip4", false},
	{"Framed-IPv6-Address", "ip6", false},
	{"Framed-Pool", "pool", false},
	{"Framed-IPv6-Pool", "pool6", false},
	{"Filter-Id", "group", false},
	{"Framed-Route", "routes", true},
	{"Framed-IPv6-Route", "routes", true},
	{"MS-Primary-DNS-Server", "dns", true},
	{"MS-Secondary-DNS-Server", "dns", true},
	{"DNS-Server-IPv6-Address", "dns", true},
	{"Session-Timeout", "session_timeout", false},
	{"Idle-Timeout", "idle_timeout", false},
	{"Port-Limit", "max_sessions", false},
	{"Simultaneous-Use", "max_sessions", false},
	{"WISPr-Bandwidth-Max-Up", "rate_up", false},
	{"WISPr-Bandwidth-Max-Down", "rate_down", false},
}

// otherHashes are kinds of passwords of which no NT hash can be made.
var otherHashes = map[string]bool{
	"Crypt-Password": true, "MD5-Password": true, "SMD5-Password": true, "SHA-Password": true, "SSHA-Password": true,
	"SHA2-Password": true, "LM-Password": true, "Password-With-Header": true, "SSHA2-256-Password": true, "SSHA2-512-Password": true,
}

// entry is one user of FreeRADIUS' users while it is read.
type entry struct {
	secrets.User
	at     place
	proven bool
	barred string // why the entry is not taken over
	notes  []string
	lists  map[string][]string
}

// item is "attribute operator value".
type item struct{ attribute, operator, value string }

// parseFreeRADIUS reads entries of a line with the name and what must hold,
// then lines that begin with a blank and say what the user gets (users(5)).
func parseFreeRADIUS(r *reader, text []byte) {
	var e *entry
	end := func() {
		if e != nil {
			e.finish(r)
		}
		e = nil
	}
	eachLine(text, func(number int, line []byte) {
		body := bytes.TrimSpace(line)
		switch {
		case len(body) == 0 || body[0] == '#':
		case line[0] == ' ' || line[0] == '\t':
			if e == nil {
				r.add(place{number, 1}, "", NotTakenOver, "a line of reply attributes without a user before it")
				return
			}
			e.items(number, body, e.reply)
		case line[0] == '$':
			end()
			r.add(place{number, 1}, "", NotTakenOver, "another file is not followed: convert it, too")
		default:
			end()
			e = begin(r, number, string(line))
		}
	})
	end()
}

// begin reads the first line of an entry; nil where that can't be.
func begin(r *reader, number int, line string) *entry {
	name, rest, ok := token(line, " \t")
	if !ok {
		r.add(place{number, 1}, "", NotTakenOver, "the quote around the name is never closed")
		return nil
	}
	e := &entry{User: secrets.User{Name: name}, at: place{number, 1}, lists: make(map[string][]string)}
	if name == "DEFAULT" {
		e.barred = "DEFAULT is nobody in particular: what it gives belongs into a group"
	}
	e.items(number, []byte(rest), e.check)
	return e
}

// items splits a list at its commas.
func (e *entry) items(number int, text []byte, take func(item)) {
	for rest := string(text); ; {
		rest = strings.TrimLeft(rest, " \t,")
		if rest == "" || rest[0] == '#' {
			return
		}
		n := strings.IndexAny(rest, "=:+<>!~* \t,")
		if n <= 0 {
			break
		}
		i := item{attribute: rest[:n]}
		rest = strings.TrimLeft(rest[n:], " \t")
		operator := len(rest) - len(strings.TrimLeft(rest, "=:+<>!~*"))
		i.operator = rest[:operator]
		var ok bool
		if i.value, rest, ok = token(strings.TrimLeft(rest[operator:], " \t"), ", \t"); !ok || operator == 0 {
			break
		}
		take(i)
	}
	e.barred = fmt.Sprintf("line %d is no list of \"Attribute operator value\"", number)
}

// token reads a word, in quotes of either kind or bare, where a blank or one
// of the octets of stop ends it.
func token(s, stop string) (value, rest string, ok bool) {
	if s == "" {
		return "", "", true
	}
	quote := s[0]
	if quote != '"' && quote != '\'' {
		n := strings.IndexAny(s, stop)
		if n < 0 {
			n = len(s)
		}
		return s[:n], s[n:], true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote:
			return b.String(), s[i+1:], true
		case c == '\\' && i+1 < len(s) && (s[i+1] == quote || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// check takes what stands beside the name: how the password is known, or a
// condition. An entry with a condition would let in more than before.
func (e *entry) check(i item) {
	switch {
	case i.attribute == "Cleartext-Password" || i.attribute == "User-Password":
		e.notes = append(e.notes, password(&e.User, []byte(i.value))...)
		e.proven = true
	case i.attribute == "NT-Password":
		var ok bool
		if e.Hash, ok = ntHash(i.value); !ok {
			e.barred = "expected 32 hexadecimal digits behind NT-Password"
		}
		e.proven = true
	case otherHashes[i.attribute]:
		e.barred = i.attribute + " is no NT hash, and none can be made of it: set a new password"
	case i.attribute == "Auth-Type" && strings.EqualFold(i.value, "Reject"):
		e.Disabled = true
	case i.attribute == "Simultaneous-Use":
		e.reply(i)
	case i.operator == ":=" || i.operator == "=" || i.operator == "+=":
		e.notes = append(e.notes, "left out: "+i.attribute)
	default:
		e.barred = fmt.Sprintf("counts only where %s is as it says, and such conditions there are none here", i.attribute)
	}
}

// reply takes what the user gets.
func (e *entry) reply(i item) {
	for _, r := range replies {
		if r.attribute != i.attribute {
			continue
		}
		value := fromRADIUS(i.attribute, i.value)
		if r.list {
			e.lists[r.key] = append(e.lists[r.key], value)
			value = strings.Join(e.lists[r.key], ",")
			e.clear(r.key)
		}
		if err := e.Set(r.key, value); err != nil {
			e.notes = append(e.notes, fmt.Sprintf("left out: %s, %v", i.attribute, err))
		}
		return
	}
	e.notes = append(e.notes, "left out: "+i.attribute)
}

// clear lets a list be set again.
func (e *entry) clear(key string) {
	switch key {
	case "routes":
		e.Routes = nil
	case "dns":
		e.DNS = nil
	}
}

// fromRADIUS is a value as a users file has it: a route without gateway and
// metrics, times in seconds.
func fromRADIUS(attribute, value string) string {
	switch attribute {
	case "Framed-Route", "Framed-IPv6-Route":
		if fields := strings.Fields(value); len(fields) > 0 {
			value = fields[0]
		}
		if p, err := netip.ParsePrefix(value); err == nil {
			value = p.Masked().String()
		}
	case "Session-Timeout", "Idle-Timeout":
		value += "s"
	}
	return value
}

func (e *entry) finish(r *reader) {
	switch {
	case e.barred != "":
		r.add(e.at, e.Name, NotTakenOver, e.barred)
	case !e.proven && e.Disabled:
		r.add(e.at, e.Name, NotTakenOver, "has no password and is never let in; who stands in no file is not, either")
	case !e.proven:
		r.add(e.at, e.Name, NotTakenOver, "has neither Cleartext-Password nor NT-Password")
	default:
		r.take(e.at, e.User, e.notes)
	}
}
