package strongswan

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Names of the files that an import writes.
const (
	configFile = "bridgehead.toml"
	usersFile  = "users"
)

// plan is the configuration to be written.
type plan struct{ settings []planned }

type planned struct {
	setting string // dotted, such as "server.name"
	value   string // as TOML; "" for a list
	list    []string
	from    Place  // zero: no single directive
	why     string // it is written, where there is no directive
}

func (p *plan) has(setting string) bool {
	return slices.ContainsFunc(p.settings, func(s planned) bool { return s.setting == setting })
}

// set plans a value; the last one counts. It refuses an empty one, and tells so.
func (p *plan) set(setting, value string, from Place) bool {
	if slices.Contains(nothing, value) {
		return false
	}
	p.put(planned{setting: setting, value: value, from: from})
	return true
}

// nothing are values that would be written and mean none.
var nothing = []string{"", quote(""), quoteList(nil), quoteList([]string{""})}

// setDefault plans the value that strongSwan has where nothing is said.
func (p *plan) setDefault(setting, value, why string) {
	p.put(planned{setting: setting, value: value, why: why})
}

func (p *plan) put(new planned) {
	i := slices.IndexFunc(p.settings, func(s planned) bool { return s.setting == new.setting })
	if i < 0 {
		p.settings = append(p.settings, new)
		return
	}
	p.settings[i] = new
}

// addList adds to a list, whatever is in it already aside. Without words there
// is nothing to add.
func (p *plan) addList(setting string, words []string, from Place) {
	if len(words) == 0 {
		return
	}
	s := planned{setting: setting, from: from}
	if i := slices.IndexFunc(p.settings, func(s planned) bool { return s.setting == setting }); i >= 0 {
		s = p.settings[i]
	}
	s.list = slices.Clone(s.list)
	for _, w := range words {
		if !slices.Contains(s.list, w) {
			s.list = append(s.list, w)
		}
	}
	p.put(s)
}

// order is that of the sections; others follow by name.
var order = []string{"server", "addresses", "ike", "esp", "sessions", "hooks", "auth", "auth.file", "auth.radius", "radius", "accounting", "dae", "log"}

// first are the keys that lead their section.
var first = []string{"name", "certificate", "key", "chain"}

// rank is a word's place in a list; words that aren't in it come after it.
func rank(list []string, word string) int {
	if i := slices.Index(list, word); i >= 0 {
		return i
	}
	return len(list)
}

func cut(setting string) (section, key string) {
	i := strings.LastIndexByte(setting, '.')
	return setting[:i], setting[i+1:]
}

// family is a section, of a named one such as radius.campus the first word.
func family(section string) string {
	if first, _, ok := strings.Cut(section, "."); ok && !slices.Contains(order, section) {
		return first
	}
	return section
}

// render writes the configuration as TOML, each setting with where it came
// from.
func (p *plan) render(heading string) []byte {
	settings := slices.Clone(p.settings)
	slices.SortStableFunc(settings, func(a, b planned) int {
		x, k := cut(a.setting)
		y, l := cut(b.setting)
		return cmp.Or(cmp.Compare(rank(order, family(x)), rank(order, family(y))), cmp.Compare(x, y), cmp.Compare(rank(first, k), rank(first, l)))
	})
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s\n", visible(heading))
	current := ""
	for _, s := range settings {
		section, key := cut(s.setting)
		if section != current {
			fmt.Fprintf(&b, "\n[%s]\n", section)
			current = section
		}
		value := s.value
		if s.list != nil {
			value = quoteList(s.list)
		}
		fmt.Fprintf(&b, "%s = %s", key, value)
		if s.from.Line > 0 {
			s.why = s.from.line()
		}
		if s.why != "" {
			fmt.Fprintf(&b, " # %s", visible(s.why))
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// quote is a TOML string. What Go escapes in another way than TOML can't be in
// it: the readers refuse control characters.
func quote(s string) string { return strconv.Quote(s) }

func quoteList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// visible keeps a file's name from ending a comment's line.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
