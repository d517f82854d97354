package strongswan

import (
	"slices"
	"strings"
)

// node is a section of swanctl.conf; those of one name in one section are one.
type node struct {
	name     string
	path     string // dotted, from the top
	at       Place
	settings []*entry // of one name, the last one counts
	children []*node
	byName   map[string]*node // the children
	refs     []reference
}

// reference is a section that another one inherits from.
type reference struct {
	path string
	at   Place
}

// child gives a section below n; nil if there is none.
func (n *node) child(name string) *node { return n.byName[name] }

// add puts a new section below n.
func (n *node) add(child *node) {
	if n.byName == nil {
		n.byName = make(map[string]*node)
	}
	n.children = append(n.children, child)
	n.byName[child.name] = child
}

// swanReader reads swanctl.conf.
type swanReader struct {
	loader
	top     *node
	open    []*node // the sections around the cursor, top first
	entries []*entry
}

// readTree reads swanctl.conf and what it includes.
func readTree(path string, from disk) (*node, []*entry, []Problem) {
	r := &swanReader{loader: loader{disk: from}, top: &node{at: Place{File: path}}}
	r.open = []*node{r.top}
	r.loader.parse = r.file
	r.load(Place{File: path}, path)
	return r.top, r.entries, r.problems.list
}

// file reads one file, whose sections must end in it.
func (r *swanReader) file(path, text string) {
	base := len(r.open)
	c := newCursor(path, text)
	for {
		c.skip(blanks)
		switch {
		case c.end():
			if len(r.open) > base {
				r.add(r.open[len(r.open)-1].at, "the section is never closed; expected } below it")
				r.open = r.open[:base]
			}
			return
		case c.peek() == '\n':
			c.next()
		case c.peek() == '#':
			c.skipLine()
		case c.peek() == '}':
			if len(r.open) == base {
				r.add(c.place(), "expected no }: all sections of this file are closed")
			} else {
				r.open = r.open[:len(r.open)-1]
			}
			c.next()
		default:
			r.statement(c)
		}
	}
}

func (r *swanReader) current() *node { return r.open[len(r.open)-1] }

const nameEnd = blanks + `"#{}=:,`

// statement reads include, NAME = VALUE or the beginning of a section.
func (r *swanReader) statement(c *cursor) {
	at := c.place()
	name := c.until(nameEnd)
	blank := !c.end() && strings.IndexByte(" \t", c.peek()) >= 0
	c.skip(blanks)
	switch {
	case name == "" || strings.Contains(name, "."):
		r.add(at, "expected NAME = VALUE, NAME { or }; a name holds none of . , : { } = \" #")
		c.skipLine()
	case name == "include" && blank && c.peek() != '=':
		r.includeFiles(c, at)
	case c.peek() == '=':
		c.next()
		c.skip(blanks)
		r.setting(c, at, name)
	default:
		r.section(c, at, name)
	}
}

func (r *swanReader) includeFiles(c *cursor, at Place) {
	pattern, ok := c.pattern("#}")
	if !ok || pattern == "" {
		r.add(at, "expected one file or pattern behind include")
		c.skipLine()
		return
	}
	e := &entry{Directive: Directive{Place: at, Section: r.current().path, Name: "include", Value: pattern}}
	r.entries = append(r.entries, e)
	said := len(r.problems.list)
	switch n := len(r.include(at, pattern)); {
	case n > 0:
		e.taken("what it names is read in its place")
	case len(r.problems.list) == said:
		e.unneeded("no file matches it")
	}
}

// isSecret tells whether a value is never to be shown: below secrets, whatever
// doesn't say whom or which file a secret is for, for a name may be mistyped.
func isSecret(section, name string) bool {
	if section != "secrets" && !strings.HasPrefix(section, "secrets.") {
		return name == "secret" || name == "pin"
	}
	return !strings.HasPrefix(name, "id") && !slices.Contains([]string{"file", "handle", "slot", "module"}, name)
}

// setting reads the value of one.
func (r *swanReader) setting(c *cursor, at Place, name string) {
	e := &entry{Directive: Directive{Place: at, Section: r.current().path, Name: name}, valueAt: c.place()}
	var words []string
	for {
		c.skip(blanks)
		if c.end() || strings.IndexByte("#}\n", c.peek()) >= 0 {
			break
		}
		wordAt := c.place()
		word, ok := c.until(blanks+`#}"`), true
		if word == "=" {
			r.add(wordAt, "expected no equals sign within a value: put the value into quotes, or the next setting on a line of its own; has the file lost its line breaks?")
			c.skipLine()
			return
		}
		if word == "" {
			word, ok = c.quoted()
		}
		if !ok {
			r.add(wordAt, "the quote is never closed; expected another one")
			return
		}
		words = append(words, word)
	}
	e.value = strings.Join(words, " ")
	if e.secret = isSecret(e.Section, name); !e.secret {
		e.Value = e.value
	}
	r.current().settings = append(r.current().settings, e)
	r.entries = append(r.entries, e)
}

// section reads the rest of "NAME : REFERENCE, REFERENCE {".
func (r *swanReader) section(c *cursor, at Place, name string) {
	var refs []reference
	if c.peek() == ':' {
		for c.peek() == ':' || c.peek() == ',' {
			c.next()
			c.skip(blanks)
			ref := reference{at: c.place()}
			if ref.path = c.until(nameEnd); ref.path == "" {
				r.add(ref.at, "expected the name of a section to inherit from")
				c.skipLine()
				return
			}
			refs = append(refs, ref)
			c.skip(blanks)
		}
	}
	behind := c.place()
	for c.peek() == '\n' || c.peek() == '#' { // the brace may stand on a line of its own
		c.skipLine()
		c.skip(blanks)
	}
	if c.peek() != '{' {
		r.add(behind, "expected = or { behind the name")
		return
	}
	c.next()
	parent := r.current()
	if len(r.open) > maxDepth {
		r.add(at, "expected sections at most %d deep", maxDepth)
		r.open = append(r.open, parent) // for the brace that closes it
		return
	}
	n := parent.child(name)
	if n == nil {
		n = &node{name: name, path: strings.TrimPrefix(parent.path+"."+name, "."), at: at}
		parent.add(n)
	}
	n.refs = append(n.refs, refs...)
	r.open = append(r.open, n)
}
