package convert

import (
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"

	"bridgehead/auth/secrets"
)

// Entries says what the directory has of the users already.
type Entries string

// What the directory may have.
const (
	NewEntries      Entries = "new"      // nothing: whole entries are written
	ExistingEntries Entries = "existing" // entries with a hash, which is replaced
	ExtendedEntries Entries = "extend"   // entries without the object class of the hash
)

// Hash is the attribute that holds the hash.
type Hash string

// Attributes for hashes.
const (
	SambaHash Hash = "samba" // sambaNTPassword of sambaSamAccount: 32 hexadecimal digits
	IPAHash   Hash = "ipa"   // ipaNTHash of ipaNTUserAttrs: 16 octets
)

// LDIFOptions of WriteLDIF.
type LDIFOptions struct {
	DN       string // of an entry, "{user}" where the name stands
	Entries  Entries
	Hash     Hash
	SID      string // of the domain, for entries that get their first hash
	FirstRID int    // of the first such user; the others follow
	Now      time.Time
}

// UserMark stands for the name in LDIFOptions.DN.
const UserMark = "{user}"

// WriteLDIF writes entries or changes of entries (RFC 2849). The notes tell
// what they can't hold: what users have of their own belongs into the groups
// of the directory or into attributes of the site's choice.
func WriteLDIF(w io.Writer, users []secrets.User, o LDIFOptions) ([]Line, error) {
	e := &exporter{w: w}
	for i, u := range users {
		sid := fmt.Sprintf("%s-%d", o.SID, o.FirstRID+i)
		e.attribute("dn", strings.ReplaceAll(o.DN, UserMark, escapeDN(u.Name)))
		if o.Entries == NewEntries {
			e.entry(u, o, sid)
		} else {
			e.modification(u, o, sid)
		}
		e.print("\n")
		e.done(u, settingNotes(u, nil))
	}
	return e.lines, e.err
}

// attribute writes "name: value", in base64 where LDIF wants it.
func (e *exporter) attribute(name, value string) {
	if !safeString(value) {
		e.print("%s:: %s\n", name, base64.StdEncoding.EncodeToString([]byte(value)))
		return
	}
	e.print("%s: %s\n", name, value)
}

// safeString tells what may stand in LDIF as it is (RFC 2849, SAFE-STRING).
func safeString(s string) bool {
	if s == "" {
		return true
	}
	return !strings.ContainsAny(s[:1], " :<") && !strings.HasSuffix(s, " ") &&
		!strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f })
}

// escapeDN escapes a value in a distinguished name (RFC 4514 §2.4).
func escapeDN(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case strings.ContainsRune(`"+,;<>\=`, r), i == 0 && (r == ' ' || r == '#'), i == len(s)-1 && r == ' ':
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// classes are the object class of the hash, and its attribute for the SID.
func (o LDIFOptions) classes() (class, sid string) {
	if o.Hash == IPAHash {
		return "ipaNTUserAttrs", "ipaNTSecurityIdentifier"
	}
	return "sambaSamAccount", "sambaSID"
}

// entry writes a whole entry. inetOrgPerson wants a surname.
func (e *exporter) entry(u secrets.User, o LDIFOptions, sid string) {
	class, sidName := o.classes()
	e.attribute("objectClass", "inetOrgPerson")
	e.attribute("objectClass", class)
	for _, name := range []string{"uid", "cn", "sn"} {
		e.attribute(name, u.Name)
	}
	e.attribute(sidName, sid)
	for _, a := range o.hashAttributes(u, true) {
		e.print("%s: %s\n", a.name, a.value)
	}
}

// modification writes what changes of an entry.
func (e *exporter) modification(u secrets.User, o LDIFOptions, sid string) {
	class, sidName := o.classes()
	e.print("changetype: modify\n")
	if o.Entries == ExtendedEntries {
		e.print("add: objectClass\nobjectClass: %s\n-\nreplace: %s\n%s: %s\n-\n", class, sidName, sidName, sid)
	}
	for _, a := range o.hashAttributes(u, o.Entries == ExtendedEntries) {
		name := strings.TrimSuffix(a.name, ":")
		e.print("replace: %s\n%s: %s\n-\n", name, a.name, a.value)
	}
}

type attribute struct{ name, value string }

// hashAttributes are the hash and the account's state. An account that is
// there stays as it is, unless the user is disabled.
func (o LDIFOptions) hashAttributes(u secrets.User, first bool) []attribute {
	if o.Hash == IPAHash {
		list := []attribute{{"ipaNTHash:", base64.StdEncoding.EncodeToString(u.Hash[:])}}
		if u.Disabled {
			list = append(list, attribute{"nsAccountLock", "TRUE"})
		}
		return list
	}
	list := []attribute{{"sambaNTPassword", hexHash(u)}, {"sambaPwdLastSet", fmt.Sprint(o.Now.Unix())}}
	if first || u.Disabled {
		list = append(list, attribute{"sambaAcctFlags", "[" + sambaFlags(u) + "]"})
	}
	return list
}
