package strongswan

import (
	"encoding/base64"
	"encoding/hex"
	"path/filepath"
	"slices"
	"strings"

	"bridgehead/auth"
	"bridgehead/auth/secrets"
)

// judgeSecrets takes over the secrets section of swanctl.conf.
func (t *translator) judgeSecrets(all *view, folder string) {
	for _, s := range all.children {
		switch kind := withoutNumber(s.name, "eap", "xauth", "ntlm", "ike", "ppk", "private", "rsa", "ecdsa", "pkcs8", "pkcs12", "token"); kind {
		case "eap", "xauth", "ntlm":
			t.userSection(s, kind == "ntlm")
		case "private", "rsa", "ecdsa", "pkcs8":
			t.lockedKey(s, filepath.Join(folder, kind))
		case "ike", "ppk":
			for _, e := range s.settings {
				e.unneeded("nobody logs in with it: clients have a name and a password")
			}
		case "pkcs12", "token":
			for _, e := range s.settings {
				e.unsupported("expected the key as a file in the private folder; openssl pkcs12 -nodes -in FILE takes it out of a PKCS #12 file")
			}
		default:
			for _, e := range s.settings {
				e.unsupported("unknown to strongSwan%s", t.didYouMean(s.name, []string{"eap", "xauth", "ntlm", "ike", "ppk", "private", "rsa", "ecdsa", "pkcs8", "pkcs12", "token"}))
			}
		}
	}
}

// userSection takes over one section with a password and its users.
func (t *translator) userSection(s *view, ntlm bool) {
	var password *entry
	var ids []*entry
	for _, e := range s.settings {
		switch {
		case e.Name == "secret":
			password = e
		case strings.HasPrefix(e.Name, "id"):
			ids = append(ids, e)
		default:
			e.unsupported("unknown to strongSwan; expected secret and id")
		}
	}
	switch {
	case password == nil:
		t.add(s.at, "expected secret = \"…\" in this section")
		return
	case len(ids) == 0:
		t.add(s.at, "a password for everybody is not taken; expected id = NAME in this section")
		return
	}
	h, problem := hashSecret(password.value, ntlm)
	password.value = ""
	if problem != "" {
		t.add(password.valueAt, "%s", problem)
		return
	}
	password.taken("in the users file, as NT hash")
	for _, e := range ids {
		t.swanUser(e, secrets.User{Name: e.value, Hash: h})
	}
}

// swanUser adds one user, unless the name is taken.
func (t *translator) swanUser(e *entry, u secrets.User) {
	if strings.HasPrefix(u.Name, "%any") {
		t.add(e.valueAt, "a password for everybody is not taken; expected a user's name")
		return
	}
	if i := slices.IndexFunc(t.users, func(have secrets.User) bool { return have.Name == u.Name }); i >= 0 {
		if t.users[i].Hash != u.Hash {
			t.add(e.valueAt, "%q has another password already; expected each user once", u.Name)
			return
		}
		e.unneeded("the user stands in an earlier section with the same password")
		return
	}
	if _, err := secrets.AppendUsers(nil, []secrets.User{u}); err != nil {
		t.add(e.valueAt, "%v", err)
		return
	}
	t.takeUsers(e, []secrets.User{u})
}

// hashSecret hashes a password, which may be 0x and hexadecimal digits or 0s
// and base64; for NTLM it is the hash itself. The problem never quotes it.
func hashSecret(s string, ntlm bool) (h auth.NTHash, problem string) {
	password := []byte(s)
	var err error
	if len(s) > 2 && s[0] == '0' {
		switch s[1] {
		case 'x', 'X':
			password, err = hex.DecodeString(s[2:])
			problem = "expected pairs of hexadecimal digits behind 0x"
		case 's', 'S':
			password, err = base64.StdEncoding.DecodeString(s[2:])
			problem = "expected base64 behind 0s"
		}
	}
	defer clear(password)
	if err != nil {
		return h, problem
	}
	if !ntlm {
		return auth.HashPassword(password), ""
	}
	if copy(h[:], password) != len(password) || len(password) != len(h) {
		return auth.NTHash{}, "expected an NT hash of 16 octets, such as 0x and 32 hexadecimal digits"
	}
	return h, ""
}

// lockedKey notes the passphrase of a private key.
func (t *translator) lockedKey(s *view, folder string) {
	locked := slices.ContainsFunc(s.settings, func(e *entry) bool { return e.Name == "secret" })
	for _, e := range s.settings {
		switch e.Name {
		case "file":
			path := resolve(folder, e.value)
			i := slices.IndexFunc(t.keys, func(k credential) bool { return k.path == path })
			if i < 0 {
				t.keys = append(t.keys, credential{path: path})
				i = len(t.keys) - 1
			}
			t.keys[i].from, t.keys[i].locked = e, locked
		case "secret":
			e.unneeded("is the passphrase of a key")
		default:
			e.unsupported("unknown to strongSwan; expected file and secret")
		}
		e.value = ""
	}
}
