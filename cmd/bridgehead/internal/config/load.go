package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxFile bounds what is read of one file, octets.
const maxFile = 1 << 20

// Load reads the file at path and conf.d/*.toml beside it, in the order of
// their names; a later file overrides single settings of an earlier one. It
// gives all that is wrong, for Judge; the Config is nil if a file can't be read
// at all, and of use only if no problem is an error.
func Load(path string) (*Config, []Problem) {
	c := Default()
	c.file = path
	files, problems := readFiles(path)
	if len(problems) > 0 {
		return nil, problems
	}
	for _, f := range files {
		problems = append(problems, c.apply(f)...)
	}
	if c.unread { // much would seem to be missing
		return nil, problems
	}
	problems = append(problems, c.missing()...)
	return c, append(problems, c.validate()...)
}

// readFiles gets the main file and the additions.
func readFiles(path string) ([]*source, []Problem) {
	paths := []string{path}
	// Glob fails on a malformed pattern alone; a folder's name may hold one.
	if entries, err := os.ReadDir(filepath.Join(filepath.Dir(path), "conf.d")); err == nil {
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".toml") && !strings.HasPrefix(e.Name(), ".") {
				paths = append(paths, filepath.Join(filepath.Dir(path), "conf.d", e.Name()))
			}
		}
	}
	var (
		sources  []*source
		problems []Problem
	)
	for _, p := range paths {
		data, err := os.ReadFile(p)
		switch {
		case err != nil:
			problems = append(problems, Problem{
				Severity: SeverityError, Cause: CauseUnreadable, File: p, Line: 1, Column: 1,
				Message: "cannot be read: " + reason(err), Hint: "name the file with --config FILE, or try `bridgehead quickstart`, which needs none",
			})
		case len(data) > maxFile:
			problems = append(problems, Problem{
				Severity: SeverityError, Cause: CauseUnreadable, File: p, Line: 1, Column: 1,
				Message: fmt.Sprintf("is larger than %d octets", maxFile), Hint: "a configuration is a few lines of TOML",
			})
		default:
			sources = append(sources, &source{path: p, data: string(data)})
		}
	}
	return sources, problems
}

// reason is an error of the file system without the path, which stands before
// it already.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// apply puts one file's settings into c.
func (c *Config) apply(s *source) []Problem {
	var problems []Problem
	t, broken := s.parse()
	if broken != nil {
		problems = append(problems, *broken)
	}
	if t == nil {
		c.unread = true
		return problems
	}
	strange := map[string]bool{} // sections reported already
	for _, h := range t.headers {
		switch {
		case !isSection(h.path):
			if !strange[h.path] {
				problems = append(problems, unknownSection(h.path, h.at))
			}
			strange[h.path] = true
		case h.list:
			problems = append(problems, h.at.mark(Problem{
				Severity: SeverityError, Cause: CauseBadValue, Setting: h.path,
				Message: "[[" + h.path + "]] is a list of sections", Hint: "expected [" + h.path + "]",
			}))
		default:
			if _, ok := c.headers[h.path]; !ok {
				c.headers[h.path] = h.at
			}
		}
	}
	for _, e := range t.entries {
		problems = append(problems, c.applyEntry(e, strange)...)
	}
	return problems
}

// applyEntry binds one key to its setting.
func (c *Config) applyEntry(e *entry, strange map[string]bool) []Problem {
	s, known := settingAt(e.path)
	if !known {
		if p := unknownKey(e, strange); p != nil {
			return []Problem{*p}
		}
		return nil
	}
	c.entries[e.path] = e
	var problems []Problem
	for _, f := range s.bind(c, e.value) {
		p := c.At(e.path, f.index, e.path+": "+f.message, f.hint)
		if at, ok := e.value.item(f.index).part(f.offset, len(f.word)); ok {
			p = at.mark(p)
		}
		problems = append(problems, p)
	}
	return problems
}

// sections lists every section with a name of its own, those included that
// hold sections only.
func sections() []string {
	var list []string
	for i := range schema {
		for s := schema[i].section(); ; s = s[:strings.LastIndexByte(s, '.')] {
			if !slices.Contains(list, s) {
				list = append(list, s)
			}
			for _, t := range tables() {
				if t.after == s && !slices.Contains(list, t.name) {
					list = append(list, t.name)
				}
			}
			if !strings.Contains(s, ".") {
				break
			}
		}
	}
	return list
}

func isSection(path string) bool {
	_, _, ok := named(path)
	return ok || slices.Contains(sections(), path)
}

func unknownSection(path string, at locator) Problem {
	p := Problem{Severity: SeverityError, Cause: CauseUnknownSection, Setting: path, Message: fmt.Sprintf("unknown section [%.80s]", path)}
	first, name, _ := strings.Cut(path, ".")
	t, in := tableOf(first)
	for _, other := range tables() {
		if rest, below := strings.CutPrefix(path, other.name+"."); below {
			t, name, in = other, rest, true
		}
	}
	switch {
	case in && name == t.reserved:
		p.Message, p.Hint = "the "+t.one+" "+name+" cannot be named", t.where
	case in:
		p.Hint = "expected [" + t.name + ".NAME], the name of letters, digits, - and _"
	default:
		p.Hint = didYouMean(path, sections())
		if t, ok := tableOf(Nearest(first, sections())); ok && name != "" {
			p.Hint = `did you mean "` + t.name + "." + name + `"?`
		}
	}
	return at.mark(p)
}

// unknownKey reports a key that is no setting, unless its section was reported.
func unknownKey(e *entry, strange map[string]bool) *Problem {
	section, key := "", e.path
	if i := strings.LastIndexByte(e.path, '.'); i >= 0 {
		section, key = e.path[:i], e.path[i+1:]
	}
	if strange[section] {
		return nil
	}
	p := Problem{Severity: SeverityError, Cause: CauseUnknownSetting, Setting: e.path}
	t, inTable := tableOf(section)
	switch {
	case inTable:
		name := key
		if slices.ContainsFunc(t.settings("NAME"), func(s setting) bool { return s.key() == key }) {
			name = "NAME"
		}
		p.Message, p.Hint = fmt.Sprintf("%.80q is no %s", key, t.one), fmt.Sprintf("expected [%s.%.80s] and below it %s", t.name, name, t.example)
	case isSection(e.path):
		p.Message, p.Hint = fmt.Sprintf("%s is a section, not a value", e.path), "expected ["+e.path+"] on a line of its own"
	case section == "":
		p.Message = fmt.Sprintf("%.80q stands outside a section", key)
		p.Hint = "put it below one of [" + strings.Join(sections(), "], [") + "]"
		for i := range schema {
			if schema[i].key() == key {
				p.Hint = "put it below [" + schema[i].section() + "]"
			}
		}
	case !isSection(section):
		strange[section] = true
		p = unknownSection(section, e.key)
		return &p
	default:
		var keys []string
		list := schema
		if t, name, ok := named(section); ok {
			list = t.settings(name)
		}
		for i := range list {
			if list[i].section() == section {
				keys = append(keys, list[i].key())
			}
		}
		p.Message, p.Hint = fmt.Sprintf("unknown setting %.80q in [%s]", key, section), didYouMean(key, keys)
	}
	p = e.key.mark(p)
	return &p
}

// missing reports the required settings that no file holds.
func (c *Config) missing() []Problem {
	var problems []Problem
	for i := range schema {
		s := &schema[i]
		if _, ok := c.entries[s.path]; s.required && !ok {
			problems = append(problems, c.At(s.path, -1, fmt.Sprintf("[%s] lacks %q", s.section(), s.key()), s.about).As(CauseMissing))
		}
	}
	for _, t := range tables() {
		for _, name := range c.namesIn(t) {
			for _, s := range t.settings(name) {
				if s.required && c.entries[s.path] == nil {
					problems = append(problems, c.At(s.path, -1, fmt.Sprintf("[%s] lacks %q", s.section(), s.key()), s.about).As(CauseMissing))
				}
			}
		}
	}
	return problems
}
