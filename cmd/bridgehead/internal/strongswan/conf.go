package strongswan

import "strings"

// conf is ipsec.conf with its includes.
type conf struct {
	entries  []*entry // in the order of reading
	sections []*section
}

// section is a section of ipsec.conf; those of one kind and name are one.
type section struct {
	kind     string // config, conn or ca
	name     string
	at       Place
	settings []*entry
}

// title is the section's first line.
func (s *section) title() string { return s.kind + " " + s.name }

// confReader reads ipsec.conf.
type confReader struct {
	loader
	conf
	byTitle map[string]*section
	current *section
}

// readConf reads ipsec.conf and what it includes.
func readConf(path string, from disk) (*conf, []Problem) {
	r := &confReader{loader: loader{disk: from}, byTitle: make(map[string]*section)}
	r.loader.parse = func(path, text string) {
		c := newCursor(path, text)
		for !c.end() {
			r.line(c)
		}
	}
	r.load(Place{File: path}, path)
	return &r.conf, r.problems.list
}

// line reads one line, or more where a string goes on.
func (r *confReader) line(c *cursor) {
	indented := strings.IndexByte(blanks, c.peek()) >= 0
	c.skip(blanks)
	switch c.peek() {
	case '\n', 0:
		c.next()
		return
	case '#':
		c.skipLine()
		return
	}
	at := c.place()
	word := c.until(blanks + `"#=`)
	switch {
	case word == "include" && strings.IndexByte(" \t", c.peek()) >= 0 && !c.end() && !r.assigns(c):
		r.includeLine(c, at)
	case indented:
		r.setting(c, at, word)
	default:
		r.header(c, at, word)
	}
}

// assigns tells whether an equals sign is next.
func (r *confReader) assigns(c *cursor) bool {
	return strings.HasPrefix(strings.TrimLeft(c.text[c.at:], " \t"), "=")
}

// includeLine reads the rest of "include PATTERN".
func (r *confReader) includeLine(c *cursor, at Place) {
	c.skip(blanks)
	pattern, ok := c.pattern("#")
	if !ok || pattern == "" || !r.lineEnds(c) {
		r.add(at, "expected one file or pattern behind include")
		c.skipLine()
		return
	}
	e := &entry{Directive: Directive{Place: at, Name: "include", Value: pattern}}
	if r.current != nil {
		e.Section = r.current.title()
	}
	r.entries = append(r.entries, e)
	said := len(r.problems.list)
	switch n := len(r.include(at, pattern)); {
	case n > 0:
		e.taken("what it names is read in its place")
	case len(r.problems.list) == said:
		e.unneeded("no file matches it")
	}
	c.skipLine()
}

// lineEnds tells whether only a comment is left, and steps over blanks.
func (r *confReader) lineEnds(c *cursor) bool {
	c.skip(blanks)
	return c.end() || c.peek() == '\n' || c.peek() == '#'
}

const lostBreaks = "settings stand below it, one a line and indented; has the file lost its line breaks?"

// header reads the line that begins a section.
func (r *confReader) header(c *cursor, at Place, word string) {
	defer c.skipLine()
	c.skip(blanks)
	switch word {
	case "version": // of FreeS/WAN's times
		e := &entry{Directive: Directive{Place: at, Name: word, Value: strings.TrimSpace(c.until("#"))}}
		e.unneeded("strongSwan passes over it, too")
		r.entries = append(r.entries, e)
		return
	case "config":
		nameAt := c.place()
		if c.until(blanks+`"#=`) != "setup" {
			r.add(nameAt, "expected setup behind config")
			r.current = new(section)
			return
		}
		r.begin(&section{kind: word, name: "setup", at: at})
	case "conn", "ca":
		nameAt := c.place()
		name, ok := r.word(c)
		if !ok || name == "" {
			r.add(nameAt, "expected the section's name behind %s", word)
			r.current = new(section)
			return
		}
		r.begin(&section{kind: word, name: name, at: at})
	default:
		if word != "" && r.assigns(c) {
			r.add(at, "expected a blank before the setting: settings are indented below their section")
			return
		}
		r.add(at, "expected config setup, conn NAME, ca NAME or include FILE at the start of a line")
		return
	}
	if !r.lineEnds(c) {
		r.add(c.place(), "expected nothing behind %q: %s", r.current.title(), lostBreaks)
	}
}

// begin makes a section the current one.
func (r *confReader) begin(s *section) {
	have := r.byTitle[s.title()]
	if have == nil {
		r.byTitle[s.title()] = s
		r.sections = append(r.sections, s)
		have = s
	}
	r.current = have
}

// word reads one word, or a string in quotes.
func (r *confReader) word(c *cursor) (string, bool) {
	if c.peek() == '"' {
		return c.quoted()
	}
	return c.until(blanks + `"#=`), true
}

// setting reads the rest of "NAME = VALUE".
func (r *confReader) setting(c *cursor, at Place, name string) {
	c.skip(blanks)
	if name == "" || c.peek() != '=' {
		switch name {
		case "config", "conn", "ca":
			r.add(at, "expected NAME = VALUE; %s begins a section at the start of a line only", name)
		default:
			r.add(at, "expected NAME = VALUE")
		}
		c.skipLine()
		return
	}
	c.next()
	c.skip(blanks)
	e := &entry{Directive: Directive{Place: at, Name: name}, rule: name, valueAt: c.place()}
	value, ok := r.value(c)
	if !ok {
		c.skipLine()
		return
	}
	c.skipLine()
	e.value, e.Value = value, value
	if r.current == nil {
		r.add(at, "expected a section above the setting: config setup, conn NAME or ca NAME")
		return
	}
	e.Section = r.current.title()
	r.current.settings = append(r.current.settings, e)
	r.entries = append(r.entries, e)
}

// value reads words and strings up to the line's end; one blank joins them.
func (r *confReader) value(c *cursor) (string, bool) {
	var words []string
	for !r.lineEnds(c) {
		at := c.place()
		switch {
		case c.peek() == '=':
			r.add(at, "expected no equals sign within a value: put the value into quotes, or the next setting on a line of its own")
			return "", false
		case strings.HasPrefix(c.text[c.at:], "@#"): // a key id, no comment
			c.at += len("@#")
			words = append(words, "@#"+c.until(blanks+`"#=`))
			continue
		}
		word, ok := r.word(c)
		if !ok {
			r.add(at, "the quote is never closed; expected another one on this line, or \\ at the end of each line that goes on")
			return "", false
		}
		words = append(words, word)
	}
	return strings.Join(words, " "), true
}
