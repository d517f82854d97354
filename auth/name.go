package auth

import "strings"

// Name is a user's name taken apart: "DOMAIN\user", "user@realm", or plain.
type Name struct {
	Full   string // as given
	Domain string // before the first backslash, or empty
	Realm  string // behind the last @, or empty
	User   string // what is left
}

// SplitName takes a name apart. A part that would leave no user is no part:
// "@home" is a plain name.
func SplitName(s string) Name {
	n := Name{Full: s, User: s}
	if d, u, ok := strings.Cut(n.User, `\`); ok && u != "" {
		n.Domain, n.User = d, u
	}
	if i := strings.LastIndexByte(n.User, '@'); i > 0 {
		n.User, n.Realm = n.User[:i], n.User[i+1:]
	}
	return n
}

// Lookups are the names to look an account up by, in this order: the full
// name, so that "alice@branch" can be somebody of her own, then the bare one.
func (n Name) Lookups() []string {
	if n.User == n.Full {
		return []string{n.Full}
	}
	return []string{n.Full, n.User}
}

// SameUser tells whether two names can mean one user: the bare names are
// equal, case and all, and domain and realm don't contradict each other.
// Domains and realms know no case, and one that is missing contradicts
// nothing: Windows may send "CORP\alice" in one place and "alice" in another.
func SameUser(a, b string) bool {
	x, y := SplitName(a), SplitName(b)
	return x.User == y.User && agree(x.Domain, y.Domain) && agree(x.Realm, y.Realm)
}

func agree(a, b string) bool { return a == "" || b == "" || strings.EqualFold(a, b) }
