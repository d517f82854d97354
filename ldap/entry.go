package ldap

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	client "github.com/go-ldap/ldap/v3"

	"bridgehead/auth"
)

// Attributes that tell the state of an account.
const (
	attrFlags       = "sambaAcctFlags"
	attrKickoff     = "sambaKickoffTime"
	attrMustChange  = "sambaPwdMustChange"
	attrLock        = "nsAccountLock"
	attrLockedTime  = "pwdAccountLockedTime"
	attrShadow      = "shadowExpire"
	attrPrincipal   = "krbPrincipalExpiration"
	attrMemberOf    = "memberOf"
	generalizedTime = "20060102150405Z" // RFC 4517 §3.3.13, as directories write it
)

var stateAttributes = []string{attrFlags, attrKickoff, attrMustChange, attrLock, attrLockedTime, attrShadow, attrPrincipal}

// errHash is what is wrong with a hash; it never holds any of it.
var errHash = errors.New("expected 32 hexadecimal digits or 16 octets, not all zero")

// ParseHash reads an NT hash: 16 octets as they are, or 32 hexadecimal digits.
// One that is all zero is none.
func ParseHash(b []byte) (h auth.NTHash, err error) {
	switch len(b) {
	case len(h):
		copy(h[:], b)
	case hex.EncodedLen(len(h)):
		if _, err := hex.Decode(h[:], b); err != nil {
			h.Wipe()
			return h, errHash // hex's error shows a digit
		}
	default:
		return h, errHash
	}
	if h == (auth.NTHash{}) {
		return h, errHash
	}
	return h, nil
}

// barred makes the reason why an account may not log in.
func barred(code int, cause auth.Cause, key, value string) *auth.Refusal {
	return &auth.Refusal{Code: code, Retry: code == auth.ErrorAuthenticationFailed, Reason: auth.Reason{
		Cause: cause, Evidence: []auth.Evidence{{Key: key, Value: printable(value)}},
	}}
}

// printable shortens what came from a directory and quotes what is no text.
func printable(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most] + "..."
	}
	if q := strconv.Quote(s); len(q) != len(s)+2 {
		return q
	}
	return s
}

func misread(attr, value, expected string) *auth.Refusal {
	r := barred(auth.ErrorNoDialinPermission, auth.CauseLDAPBadAttribute, attr, value)
	r.Reason.Evidence = append(r.Reason.Evidence, auth.Evidence{Key: "expected", Value: expected})
	return r
}

// hashOf reads the first hash that an entry has, and overwrites all of them.
func hashOf(e *client.Entry, attrs []string) (h auth.NTHash, why *auth.Refusal) {
	defer wipe(e, attrs)
	for _, name := range attrs {
		values := e.GetEqualFoldRawAttributeValues(name)
		if len(values) == 0 {
			continue
		}
		if len(values) > 1 {
			return h, barred(auth.ErrorAuthenticationFailed, auth.CauseLDAPBadHash, name, fmt.Sprintf("%d values, expected one", len(values)))
		}
		h, err := ParseHash(values[0])
		if err != nil {
			return h, barred(auth.ErrorAuthenticationFailed, auth.CauseLDAPBadHash, name, fmt.Sprintf("%d octets, %s", len(values[0]), err))
		}
		return h, nil
	}
	return h, barred(auth.ErrorAuthenticationFailed, auth.CauseLDAPNoHash, "asked for", strings.Join(attrs, ", "))
}

// wipe overwrites the hashes of an entry.
func wipe(e *client.Entry, attrs []string) {
	for _, name := range attrs {
		for _, a := range e.Attributes {
			if !strings.EqualFold(a.Name, name) {
				continue
			}
			for _, v := range a.ByteValues {
				clear(v)
			}
			clear(a.Values)
		}
	}
}

// stateOf tells why an account may not log in at a time; nil: it may. A value
// that can't be read bars it.
func stateOf(e *client.Entry, now time.Time) *auth.Refusal {
	for _, check := range []struct {
		attr  string
		judge func(value string, now time.Time) *auth.Refusal
	}{
		{attrFlags, judgeFlags}, {attrLock, judgeLock}, {attrLockedTime, judgeLockedTime}, {attrKickoff, judgeKickoff},
		{attrShadow, judgeShadow}, {attrPrincipal, judgePrincipal}, {attrMustChange, judgeMustChange},
	} {
		for _, value := range e.GetEqualFoldAttributeValues(check.attr) {
			if r := check.judge(value, now); r != nil {
				return r
			}
		}
	}
	return nil
}

// judgeFlags reads what Samba writes as "[UX         ]".
func judgeFlags(value string, _ time.Time) *auth.Refusal {
	flags, open := strings.CutPrefix(value, "[")
	flags, closed := strings.CutSuffix(flags, "]")
	switch {
	case !open || !closed:
		return misread(attrFlags, value, `flags such as "[U          ]"`)
	case strings.ContainsAny(flags, "Dd"):
		return barred(auth.ErrorAccountDisabled, auth.CauseAccountDisabled, attrFlags, value)
	case strings.ContainsAny(flags, "Ll"):
		return barred(auth.ErrorAccountDisabled, auth.CauseAccountLocked, attrFlags, value)
	case strings.ContainsAny(flags, "Nn"): // no password is asked for elsewhere: the hash proves nothing
		return barred(auth.ErrorAccountDisabled, auth.CauseAccountDisabled, attrFlags, value)
	}
	return nil
}

func judgeLock(value string, _ time.Time) *auth.Refusal {
	switch strings.ToLower(value) {
	case "true":
		return barred(auth.ErrorAccountDisabled, auth.CauseAccountDisabled, attrLock, value)
	case "false", "":
		return nil
	}
	return misread(attrLock, value, "TRUE or FALSE")
}

// judgeLockedTime takes every value for a lock: how long one lasts stands in a
// policy that the gateway does not see.
func judgeLockedTime(value string, _ time.Time) *auth.Refusal {
	return barred(auth.ErrorAccountDisabled, auth.CauseAccountLocked, attrLockedTime, value)
}

func judgeKickoff(value string, now time.Time) *auth.Refusal {
	at, err := strconv.ParseInt(value, 10, 64)
	switch {
	case err != nil:
		return misread(attrKickoff, value, "seconds since 1970")
	case at > 0 && now.Unix() >= at: // 0 is never, as for Samba
		return barred(auth.ErrorAccountDisabled, auth.CauseAccountExpired, attrKickoff, value)
	}
	return nil
}

// judgeShadow reads days since 1970, of which negative ones are never (shadow(5)).
func judgeShadow(value string, now time.Time) *auth.Refusal {
	day, err := strconv.ParseInt(value, 10, 64)
	switch {
	case err != nil:
		return misread(attrShadow, value, "days since 1970")
	case day >= 0 && now.Unix()/(24*60*60) >= day:
		return barred(auth.ErrorAccountDisabled, auth.CauseAccountExpired, attrShadow, value)
	}
	return nil
}

func judgePrincipal(value string, now time.Time) *auth.Refusal {
	at, err := time.Parse(generalizedTime, value)
	switch {
	case err != nil:
		return misread(attrPrincipal, value, "a time such as 20300101000000Z")
	case !now.Before(at):
		return barred(auth.ErrorAccountDisabled, auth.CauseAccountExpired, attrPrincipal, value)
	}
	return nil
}

// judgeMustChange takes 0 for "at once", as Samba's tools write it.
func judgeMustChange(value string, now time.Time) *auth.Refusal {
	at, err := strconv.ParseInt(value, 10, 64)
	switch {
	case err != nil:
		return misread(attrMustChange, value, "seconds since 1970")
	case at >= 0 && now.Unix() >= at:
		return barred(auth.ErrorPasswordExpired, auth.CausePasswordExpired, attrMustChange, value)
	}
	return nil
}

// grant reads what a user has of his own.
func (a Attributes) grant(e *client.Entry, g *auth.Grant) *auth.Refusal {
	var why *auth.Refusal
	each := func(attr, expected string, take func(string) bool) {
		if attr == "" {
			return
		}
		for _, v := range e.GetEqualFoldAttributeValues(attr) {
			if why == nil && !take(v) {
				why = misread(attr, v, expected)
			}
		}
	}
	address := func(is func(netip.Addr) bool) func(string) bool {
		return func(v string) bool {
			ip, err := netip.ParseAddr(v)
			if err != nil || ip.Zone() != "" || !is(ip) || slices.ContainsFunc(g.Addresses, is) || ip.IsUnspecified() || ip.IsMulticast() {
				return false
			}
			g.Addresses = append(g.Addresses, ip)
			return true
		}
	}
	word := func(to *string) func(string) bool {
		return func(v string) bool { *to = v; return v != "" && printable(v) == v }
	}
	seconds := func(to *time.Duration) func(string) bool {
		return func(v string) bool {
			n, err := strconv.ParseUint(v, 10, 32)
			*to = time.Duration(n) * time.Second
			return err == nil && n > 0
		}
	}
	each(a.IPv4, "one IPv4 address", address(netip.Addr.Is4))
	each(a.IPv6, "one IPv6 address", address(netip.Addr.Is6))
	each(a.Pool, "the name of a pool", word(&g.Pool))
	each(a.Pool6, "the name of a pool", word(&g.Pool6))
	each(a.Group, "the name of a group", word(&g.Group))
	each(a.DNS, "an address", func(v string) bool {
		ip, err := netip.ParseAddr(v)
		g.DNS = append(g.DNS, ip)
		return err == nil && ip.Zone() == ""
	})
	each(a.Routes, "a prefix such as 10.0.0.0/8", func(v string) bool {
		v, _, _ = strings.Cut(v, " ") // Framed-Route goes on with gateway and metric (RFC 2865 §5.22)
		p, err := netip.ParsePrefix(v)
		g.Routes = append(g.Routes, p.Masked())
		return err == nil
	})
	each(a.Domains, "a domain", func(v string) bool {
		g.Domains = append(g.Domains, v)
		return v != "" && !strings.ContainsAny(v, " \x00") && printable(v) == v
	})
	each(a.SessionTimeout, "seconds", seconds(&g.SessionTimeout))
	each(a.IdleTimeout, "seconds", seconds(&g.IdleTimeout))
	each(a.MaxSessions, "a number from 1", func(v string) bool {
		n, err := strconv.ParseUint(v, 10, 16)
		g.MaxSessions = int(n)
		return err == nil && n > 0
	})
	return why
}
