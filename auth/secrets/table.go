package secrets

import (
	"fmt"
	"net/netip"

	"bridgehead/auth"
)

// Key is a private key that ipsec.secrets names.
type Key struct {
	Type       string // RSA, ECDSA, BLISS, PKCS8 or P12
	Path       string // a relative one is completed as strongSwan does
	Passphrase auth.Secret
	Prompt     bool // the passphrase is to be asked for
}

// table is what one reading of the files gave. It is never changed after.
type table struct {
	accounts map[string]*auth.Account
	places   map[string]string // where each user stands, while reading
	keys     []Key
	problems []Problem
	sources  []source
}

func newTable() *table {
	return &table{accounts: make(map[string]*auth.Account), places: make(map[string]string)}
}

// add takes a user unless there is one of that name.
func (t *table) add(u User, at int, file string, line int) *fault {
	if place, twice := t.places[u.Name]; twice {
		return faultAt(at, "%q stands at %s already; the first one counts, take this one out", u.Name, place)
	}
	t.places[u.Name] = fmt.Sprintf("%s:%d", file, line)
	t.accounts[u.Name] = u.account()
	return nil
}

// fixed gives all fixed addresses.
func (t *table) fixed() []netip.Addr {
	var as []netip.Addr
	for _, a := range t.accounts {
		as = append(as, a.Grant.Addresses...)
	}
	return as
}
