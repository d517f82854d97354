package strongswan

import (
	"cmp"
	"errors"
	"path/filepath"
	"strings"

	"bridgehead/auth/secrets"
)

// ReadIPsec takes over ipsec.conf and ipsec.secrets. Relative paths in them are
// completed as strongSwan does, below ipsec.d beside the file. The error is an
// *Error.
func ReadIPsec(confPath, secretsPath string, o Options) (*Result, error) {
	t := newTranslator(o)
	t.folders = ipsecFolders(confPath)
	t.strongswanConf = cmp.Or(o.StrongSwan, filepath.Join(filepath.Dir(absolute(confPath)), "strongswan.conf"))
	c, wrong := readConf(confPath, realDisk)
	t.list = append(t.list, wrong...)
	t.entries = c.entries
	t.readSecrets(secretsPath)
	if err := t.err(); err != nil {
		return nil, err
	}
	h := newInheritance(c, "conn", &t.problems, t.options.Suggest)
	var all []*connection
	bySection := make(map[string]*connection)
	for _, s := range c.sections {
		if s.kind == "conn" && s.name != everySection {
			one := h.connection(s)
			all, bySection[s.title()] = append(all, one), one
		}
	}
	overridden := make(map[*entry]*entry)
	t.judgeSections(c, overridden)
	if err := t.err(); err != nil {
		return nil, err
	}
	if t.connection = t.choose(all, Place{File: confPath}); t.connection == nil {
		return nil, t.err()
	}
	t.judgeConnection()
	t.finish()
	if err := t.err(); err != nil {
		return nil, err
	}
	t.alsoTaken()
	t.leftover(func(e *entry) *entry {
		if winner := t.connection.lineage[e]; winner != nil {
			return winner
		}
		return overridden[e]
	}, func(e *entry) string {
		if other := bySection[e.Section]; other != nil {
			if reason := t.unfit(other); reason != "" {
				return "conn " + other.name + " is left out: " + reason
			}
		}
		return "conn " + t.connection.name + " is the one taken over"
	})
	return t.result("Taken over from " + confPath + " and " + secretsPath + ".")
}

func ipsecFolders(confPath string) folders {
	folder := filepath.Dir(absolute(confPath))
	return folders{certs: filepath.Join(folder, "ipsec.d", "certs"), cacerts: filepath.Join(folder, "ipsec.d", "cacerts")}
}

// absolute completes a path; without a current folder it stays as it is.
func absolute(path string) string {
	if a, err := filepath.Abs(path); err == nil {
		return a
	}
	return path
}

// judgeSections judges config setup and the ca sections. Of two settings of one
// name in a section the last one counts.
func (t *translator) judgeSections(c *conf, overridden map[*entry]*entry) {
	for _, s := range c.sections {
		rules := map[string]map[string]rule{"config": setupRules, "ca": authorityRules}[s.kind]
		if rules == nil {
			continue
		}
		last := make(map[string]*entry)
		for _, e := range s.settings {
			last[e.Name] = e
		}
		for _, e := range s.settings {
			switch {
			case e.Name == "also":
				e.unneeded("each ca section is read for itself")
			case last[e.Name] == e:
				t.apply(rules, e)
			default:
				overridden[e] = last[e.Name]
			}
		}
	}
}

// alsoTaken judges the also lines that belong to the connection.
func (t *translator) alsoTaken() {
	for _, e := range t.entries {
		if e.Name == "also" && t.connection.lineage[e] != nil {
			e.taken("the settings of conn %s are part of conn %s", e.value, t.connection.name)
		}
	}
}

// readSecrets reads the users and keys of ipsec.secrets.
func (t *translator) readSecrets(path string) {
	lines, wrong, err := secrets.ReadIPsec(path)
	if err != nil {
		unread := new(secrets.ReadError)
		if errors.As(err, &unread) {
			err = errors.New(reason(unread.Err))
		}
		t.add(Place{File: path}, "%v; expected the file with the users and the key, see --secrets", err)
		return
	}
	warnings := make(map[string][]string) // by file:line
	for _, p := range wrong {
		at := Place{p.File, p.Line, p.Column}
		switch {
		case !p.Warning:
			t.add(at, "%s", p.Text)
		case p.Line == 0:
			t.note("%s: %s", p.File, p.Text)
		default:
			warnings[at.line()] = append(warnings[at.line()], p.Text)
		}
	}
	for _, l := range lines {
		e := &entry{Directive: Directive{Place: Place{l.File, l.Line, l.Column}, Name: l.Kind}}
		t.entries = append(t.entries, e)
		t.takeSecret(e, l, strings.Join(warnings[e.Place.line()], "; "))
	}
}

// takeSecret judges one line of ipsec.secrets.
func (t *translator) takeSecret(e *entry, l secrets.IPsecLine, warning string) {
	switch {
	case l.Kind == "include":
		e.Value = l.Pattern
		if warning != "" {
			e.unneeded("%s", warning)
			return
		}
		e.taken("the files are read in its place")
	case l.Key != nil:
		e.Value = l.Key.Path
		t.keys = append(t.keys, credential{path: absolute(l.Key.Path), from: e, locked: l.Key.Prompt || len(l.Key.Passphrase) > 0})
	case l.Kind == "PSK" || l.Kind == "PIN":
		e.unneeded("nobody logs in with it: clients have a name and a password")
	case len(l.Users) == 0:
		e.unneeded("%s", warning)
	default:
		t.takeUsers(e, l.Users)
		if warning != "" {
			e.taken("%s", warning)
		}
	}
}

// takeUsers adds users that were read from one directive.
func (t *translator) takeUsers(e *entry, users []secrets.User) {
	names := make([]string, len(users))
	for i, u := range users {
		names[i] = u.Name
	}
	e.Value = strings.Join(names, " ")
	t.users = append(t.users, users...)
	e.taken("in the users file, with the NT hash of the password")
}
