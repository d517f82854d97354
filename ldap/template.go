package ldap

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	client "github.com/go-ldap/ldap/v3"

	"bridgehead/auth"
)

// maxName bounds a name that is searched for, octets: no directory has a longer
// one, and nobody makes it look for a megabyte.
const maxName = 256

// values are what the places of a template stand for.
type values map[string]string

// placesOf are the places that a user's name fills.
func placesOf(name string) values {
	n := auth.SplitName(name)
	return values{"name": name, "user": n.User, "domain": n.Domain, "realm": n.Realm}
}

// searchable tells whether a name can be anybody's in a directory, whose
// strings are UTF-8.
func searchable(name string) bool {
	return name != "" && len(name) <= maxName && utf8.ValidString(name) && !strings.ContainsRune(name, 0)
}

// fill puts values into the places of a template, {name} and the like, each
// escaped. ok is false where a place has no value: nobody is meant then.
func fill(template string, v values, escape func(string) string) (text string, ok bool, err error) {
	var b strings.Builder
	for rest := template; ; {
		before, behind, found := strings.Cut(rest, "{")
		b.WriteString(before)
		if !found {
			return b.String(), true, nil
		}
		place, after, closed := strings.Cut(behind, "}")
		value, known := v[place]
		switch {
		case !closed || !known:
			return "", false, fmt.Errorf("%.80q has the place {%.20s}, which stands for nothing", template, place)
		case value == "":
			return "", false, nil
		}
		b.WriteString(escape(value))
		rest = after
	}
}

// sample fills every place for a trial.
func sample() values {
	return values{"name": "a", "user": "a", "domain": "a", "realm": "a", "dn": "cn=a"}
}

// CheckFilter tells what is wrong with the template of a filter. Its places are
// {name}, as the client sends it or without domain and realm, {user}, {domain},
// {realm}, and for groups {dn}.
func CheckFilter(template string) error {
	filter, _, err := fill(template, sample(), client.EscapeFilter)
	if err != nil {
		return err
	}
	if _, err := client.CompileFilter(filter); err != nil {
		return fmt.Errorf("%.80q is no filter (RFC 4515), such as %q", template, DefaultFilter)
	}
	if filter == template {
		return errors.New("the filter finds the same for every user: it has no {name}")
	}
	return nil
}

// CheckDN tells what is wrong with the template of a DN.
func CheckDN(template string) error {
	dn, _, err := fill(template, sample(), client.EscapeDN)
	if err != nil {
		return err
	}
	if parsed, err := client.ParseDN(dn); err != nil || len(parsed.RDNs) == 0 {
		return fmt.Errorf("%.80q is no DN (RFC 4514), such as \"uid={name},ou=people,dc=example,dc=org\"", template)
	}
	if dn == template {
		return errors.New("the DN is the same for every user: it has no {name}")
	}
	return nil
}

// CheckName tells what is wrong with a DN; an empty one is none.
func CheckName(dn string) error {
	if _, err := client.ParseDN(dn); err != nil {
		return fmt.Errorf("%.80q is no DN (RFC 4514)", dn)
	}
	return nil
}
