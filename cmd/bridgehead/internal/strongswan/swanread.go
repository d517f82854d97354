package strongswan

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// keyFolders are where swanctl finds private keys, which no file names.
var keyFolders = []string{"private", "rsa", "ecdsa", "pkcs8"}

// ReadSwanctl takes over swanctl.conf, with the certificates and keys in the
// folders beside it. The error is an *Error.
func ReadSwanctl(path string, o Options) (*Result, error) {
	t := newTranslator(o)
	t.swanctl = true
	folder := filepath.Dir(absolute(path))
	t.strongswanConf = cmp.Or(o.StrongSwan, filepath.Join(filepath.Dir(folder), "strongswan.conf"))
	t.folders = folders{certs: filepath.Join(folder, "x509"), cacerts: filepath.Join(folder, "x509ca")}
	top, entries, wrong := readTree(path, realDisk)
	t.list, t.entries = append(t.list, wrong...), entries
	if err := t.err(); err != nil {
		return nil, err
	}
	v := newViewer(top, &t.problems)
	t.findKeys(folder)
	t.judgeSecrets(v.section("secrets"), folder)
	t.pools = make(map[string]*view)
	for _, pool := range v.section("pools").children {
		t.pools[pool.name] = pool
	}
	for _, authority := range v.section("authorities").children {
		for _, e := range authority.settings {
			e.rule = e.Name
			t.apply(authorityRules, e)
		}
	}
	var all []*connection
	views := v.section("connections").children
	for _, c := range views {
		all = append(all, t.swanConnection(c))
	}
	if err := t.err(); err != nil {
		return nil, err
	}
	chosen := t.choose(all, Place{File: path})
	if chosen == nil {
		return nil, t.err()
	}
	t.connection = t.swanConnection(views[slices.Index(all, chosen)]) // sections that several inherit have its rules again
	t.judgeConnection()
	t.finish()
	if err := t.err(); err != nil {
		return nil, err
	}
	t.leftover(func(e *entry) *entry { return v.inForce[e] }, func(e *entry) string {
		return t.outside(top, all, e)
	})
	return t.result("Taken over from " + path + ".")
}

// outside tells why an entry that no rule came to isn't needed.
func (t *translator) outside(top *node, all []*connection, e *entry) string {
	section, below, _ := strings.Cut(e.Section, ".")
	switch section {
	case "connections":
		for _, c := range all {
			if reason := t.unfit(c); (below == c.name || strings.HasPrefix(below, c.name+".")) && reason != "" {
				return "connection " + c.name + " is left out: " + reason
			}
		}
		return "connection " + t.connection.name + " is the one taken over"
	case "pools":
		return "the connection taken over doesn't use this pool"
	}
	known := []string{"connections", "secrets", "pools", "authorities"}
	if near := t.options.Suggest(section, known); near != "" && top.child(section) != nil && !slices.Contains(known, section) {
		return `no section inherits from this one; did you mean "` + near + `"?`
	}
	return "nothing that is taken over inherits from it"
}

// withoutNumber takes away what may follow the name of a section, such as
// local-1 or cert2.
func withoutNumber(name string, kinds ...string) string {
	for _, kind := range kinds {
		if strings.HasPrefix(name, kind) {
			return kind
		}
	}
	return name
}

// swanConnection gives each setting of a connection its rule.
func (t *translator) swanConnection(v *view) *connection {
	c := &connection{name: v.name, at: v.at}
	t.rename(c, v.settings, "")
	rounds := make(map[string]int)
	for _, below := range v.children {
		switch kind := withoutNumber(below.name, "local", "remote"); {
		case kind == "local" || kind == "remote":
			rounds[kind]++
			c.rounds = max(c.rounds, rounds[kind])
			t.rename(c, below.settings, kind+".")
			for _, cert := range below.children {
				t.rename(c, cert.settings, kind+"."+withoutNumber(cert.name, "cacert", "cert")+".")
			}
		case below.name == "children":
			for i, child := range below.children {
				if i > 0 {
					t.otherChild(c, child)
					continue
				}
				t.rename(c, child.settings, "child.")
			}
		default:
			t.rename(c, below.settings, below.name+".")
		}
	}
	return c
}

// rename gives settings their rules; those without one are judged at once.
func (t *translator) rename(c *connection, settings []*entry, prefix string) {
	for _, e := range settings {
		rule, known := swanctlNames[prefix+e.Name]
		if !known && e.Outcome != "" {
			continue
		}
		if !known {
			var names []string
			for path := range maps.Keys(swanctlNames) {
				if rest, ok := strings.CutPrefix(path, prefix); ok && !strings.Contains(rest, ".") {
					names = append(names, rest)
				}
			}
			slices.Sort(names)
			e.unsupported("unknown to strongSwan%s", t.didYouMean(e.Name, names))
			continue
		}
		e.rule = rule
		c.settings = append(c.settings, e)
	}
}

// otherChild marks the settings of a Child SA's section that isn't the first.
func (t *translator) otherChild(c *connection, child *view) {
	for _, e := range child.settings {
		e.rule = "other child"
		c.settings = append(c.settings, e)
	}
}

// namedPools takes over the pools that a connection names.
func namedPools(t *translator, e *entry) {
	for _, name := range t.listed(e) {
		pool := t.pools[name]
		if pool == nil {
			t.add(e.valueAt, "no pool %q%s", name, t.didYouMean(name, slices.Sorted(maps.Keys(t.pools))))
			return
		}
		for _, s := range pool.settings {
			switch s.rule = s.Name; s.Name {
			case "addrs":
				s.rule = "rightsourceip"
			case "dns":
				s.rule = "rightdns"
			case "split_exclude":
			default:
				s.rule = "attribute"
			}
			t.apply(t.rules, s)
		}
	}
	e.taken("the pools' addresses and name servers")
}

// findKeys lists the private keys in the folders beside swanctl.conf.
func (t *translator) findKeys(folder string) {
	for _, name := range keyFolders {
		files, err := os.ReadDir(filepath.Join(folder, name))
		if err != nil {
			continue // it has none of that kind
		}
		for _, f := range files {
			if !f.IsDir() {
				t.keys = append(t.keys, credential{path: filepath.Join(folder, name, f.Name())})
			}
		}
	}
}
