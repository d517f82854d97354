package config

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// source is one file's text.
type source struct {
	path string
	data string
}

// entry is one key of a file with its value.
type entry struct {
	path  string // dotted, such as "server.name"
	key   locator
	value *value
}

// value is a TOML value with its place.
type value struct {
	kind  unstable.Kind
	text  string   // strings unquoted, the rest as written
	items []*value // of an array
	at    locator
}

// item is an element of a list, or the value itself.
func (v *value) item(index int) *value {
	if index >= 0 && index < len(v.items) {
		return v.items[index]
	}
	return v
}

// part locates a piece of a string that is written without escapes.
func (v *value) part(offset, length int) (locator, bool) {
	const quotes = 2
	if v.kind != unstable.String || v.at.length != len(v.text)+quotes || length == 0 || offset < 0 || offset+length > len(v.text) {
		return locator{}, false
	}
	return locator{v.at.source, v.at.offset + 1 + offset, length}, true
}

// tree is a parsed file: what it sets, and where its sections begin.
type tree struct {
	entries []*entry
	headers []header
}

// header is a [section] line.
type header struct {
	path string
	list bool // [[section]]
	at   locator
}

// parse reads one file. Without a tree, the problem is where reading stopped;
// beside a tree, it is a key or section that stands twice.
func (s *source) parse() (*tree, *Problem) {
	var (
		p       unstable.Parser
		t       tree
		section string
	)
	data := []byte(s.data)
	p.Reset(data)
	for p.NextExpression() {
		n := p.Expression()
		switch n.Kind {
		case unstable.Table, unstable.ArrayTable:
			path, at := s.key(n.Children())
			section = path
			t.headers = append(t.headers, header{path: path, list: n.Kind == unstable.ArrayTable, at: at})
		case unstable.KeyValue:
			s.keyValue(&t, section, n)
		}
	}
	var everything map[string]any
	err := toml.Unmarshal(data, &everything) // the only one to see what stands twice
	switch {
	case p.Error() != nil && err != nil:
		return nil, s.syntaxProblem(err)
	case p.Error() != nil:
		return nil, s.syntaxProblem(p.Error())
	case err != nil:
		twice := s.syntaxProblem(err).As(CauseSetTwice)
		twice.Hint = "take one of the two out; a file in conf.d may set it anew"
		return &t, &twice
	}
	return &t, nil
}

// keyValue adds a key and its value; an inline table adds its keys.
func (s *source) keyValue(t *tree, section string, n *unstable.Node) {
	path, at := s.key(n.Key())
	if section != "" {
		path = section + "." + path
	}
	v := n.Value()
	if v.Kind == unstable.InlineTable {
		t.headers = append(t.headers, header{path: path, at: at})
		for it := v.Children(); it.Next(); {
			s.keyValue(t, path, it.Node())
		}
		return
	}
	whole := locator{s, int(n.Raw.Offset), int(n.Raw.Length)}
	t.entries = append(t.entries, &entry{path: path, key: at, value: s.value(v, whole)})
}

// key joins the parts of a dotted key and marks them all.
func (s *source) key(it unstable.Iterator) (string, locator) {
	var parts []string
	at := locator{source: s, offset: -1}
	for it.Next() {
		n := it.Node()
		parts = append(parts, string(n.Data))
		if at.offset < 0 {
			at.offset = int(n.Raw.Offset)
		}
		at.length = int(n.Raw.Offset+n.Raw.Length) - at.offset
	}
	return strings.Join(parts, "."), at
}

// value copies a node. An array and whatever else carries no range of its own
// is marked as the key and value that hold it.
func (s *source) value(n *unstable.Node, holder locator) *value {
	v := &value{kind: n.Kind, text: string(n.Data), at: locator{s, int(n.Raw.Offset), int(n.Raw.Length)}}
	if n.Raw.Length == 0 {
		v.at = holder
	}
	if n.Kind == unstable.Array {
		for it := n.Children(); it.Next(); {
			v.items = append(v.items, s.value(it.Node(), v.at))
		}
	}
	return v
}

// syntaxProblem is what the TOML reader stumbled over.
func (s *source) syntaxProblem(err error) *Problem {
	p := Problem{
		Severity: SeverityError, Cause: CauseSyntax, File: s.path, Line: 1, Column: 1, Message: "cannot be read as TOML: " + strings.TrimPrefix(err.Error(), "toml: "),
		Hint: `the form is: key = "text" or key = ["a", "b"] below a [section] line`,
	}
	var d *toml.DecodeError
	if errors.As(err, &d) {
		row, column := d.Position()
		p = locator{s, s.offset(row, column), 1}.mark(p)
	}
	return &p
}

// offset finds a row and an octet column, both from 1.
func (s *source) offset(row, column int) int {
	offset := 0
	for range row - 1 {
		i := strings.IndexByte(s.data[offset:], '\n')
		if i < 0 {
			break
		}
		offset += i + 1
	}
	offset = min(max(offset+column-1, 0), len(s.data))
	for offset > 0 && offset < len(s.data) && !utf8.RuneStart(s.data[offset]) {
		offset-- // the reader may stop within a character
	}
	return offset
}
