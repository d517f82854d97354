package ldap

import (
	"strings"
	"testing"
	"time"

	client "github.com/go-ldap/ldap/v3"
	"pgregory.net/rapid"

	"bridgehead/auth"
)

func FuzzParseHash(f *testing.F) {
	for _, s := range []string{"", "0123456789abcdef", "5835048CE94AD0564E29A924A03510EF", strings.Repeat("0", 32), strings.Repeat("\x00", 16), strings.Repeat("z", 32)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHash(b)
		if (err == nil) == (h == auth.NTHash{}) || err == nil && len(b) != 16 && len(b) != 32 {
			t.Errorf("%q: %v", b, err)
		}
	})
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"ldap://host", "ldaps://[::1]:7", "ldapi://%2Frun%2Fldapi", "ldapi://", "ldap://127.0.0.1:3/x?y", "http://x"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, plaintext bool) {
		e, err := ParseURL(s, plaintext)
		if err == nil && e.Plain && e.Network == "tcp" && !isLoopback(e.Host) {
			t.Errorf("%q would be spoken to in plain text", s)
		}
	})
}

// A name fills its place and nothing else: the filter has the form of the
// template, and the DN as many parts.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"alice", "a*)(uid=*", `CORP\alice`, "a,b=c+d", "#00", " x ", "a@b@c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !searchable(name) {
			return
		}
		filter, ok, err := fill("(&(objectClass=person)(uid={name}))", placesOf(name), client.EscapeFilter)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		packet, err := client.CompileFilter(filter)
		if err != nil || len(packet.Children) != 2 || packet.Children[1].Tag != client.FilterEqualityMatch || packet.Children[1].Children[1].Data.String() != name {
			t.Errorf("%q gives the filter %q: %v", name, filter, err)
		}
		dn, _, err := fill("uid={name},ou=people", placesOf(name), client.EscapeDN)
		if err != nil {
			t.Fatal(err)
		}
		if parsed, err := client.ParseDN(dn); err == nil && (len(parsed.RDNs) != 2 || len(parsed.RDNs[0].Attributes) != 1 || parsed.RDNs[0].Attributes[0].Value != name) {
			t.Errorf("%q gives the DN %q", name, dn)
		}
	})
}

func FuzzState(f *testing.F) {
	f.Add("[U          ]", "0", "20300101000000Z")
	f.Add("[UD]", "-1", "x")
	f.Fuzz(func(t *testing.T, flags, number, at string) {
		stateOf(client.NewEntry("uid=a", map[string][]string{attrFlags: {flags}, attrKickoff: {number}, attrShadow: {number}, attrMustChange: {number}, attrPrincipal: {at}}), time.Unix(1e9, 0))
	})
}

func TestStates(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, test := range []struct {
		attr, value string
		code        int
		cause       auth.Cause
	}{
		{attrFlags, "[U          ]", 0, ""}, {attrFlags, "[NU         ]", 647, auth.CauseAccountDisabled}, {attrFlags, "U", 649, auth.CauseLDAPBadAttribute},
		{attrKickoff, "0", 0, ""}, {attrKickoff, "2147483647", 0, ""}, {attrKickoff, "1799999999", 647, auth.CauseAccountExpired}, {attrKickoff, "soon", 649, auth.CauseLDAPBadAttribute},
		{attrMustChange, "2147483647", 0, ""}, {attrMustChange, "0", 648, auth.CausePasswordExpired},
		{attrLock, "FALSE", 0, ""}, {attrLock, "true", 647, auth.CauseAccountDisabled}, {attrLock, "1", 649, auth.CauseLDAPBadAttribute},
		{attrLockedTime, "000001010000Z", 647, auth.CauseAccountLocked},
		{attrShadow, "-1", 0, ""}, {attrShadow, "20833", 647, auth.CauseAccountExpired}, {attrShadow, "20834", 0, ""},
		{attrPrincipal, "20300101000000Z", 0, ""}, {attrPrincipal, "20200101000000Z", 647, auth.CauseAccountExpired}, {attrPrincipal, "never", 649, auth.CauseLDAPBadAttribute},
	} {
		r := stateOf(client.NewEntry("uid=a", map[string][]string{strings.ToUpper(test.attr): {test.value}}), now)
		if (r == nil) != (test.code == 0) || r != nil && (r.Code != test.code || r.Reason.Cause != test.cause) {
			t.Errorf("%s: %s: %+v", test.attr, test.value, r)
		}
	}
}

func TestHashesOfBothForms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want auth.NTHash
		copy(want[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "hash"))
		const digits = "0123456789aBCdEf"
		var hex []byte
		for _, b := range want {
			hex = append(hex, digits[b>>4], digits[b&15])
		}
		for _, b := range [][]byte{want[:], hex} {
			if got, err := ParseHash(b); got != want || (err == nil) != (want != auth.NTHash{}) {
				t.Errorf("%d octets: %v", len(b), err)
			}
		}
	})
}
