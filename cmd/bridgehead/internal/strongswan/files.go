package strongswan

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of the input. The depth of includes is strongSwan's.
const (
	maxDepth  = 10
	maxFiles  = 1000
	maxOctets = 4 << 20 // of all files
)

// disk is where files come from; a test has its own.
type disk struct {
	read func(path string, most int) ([]byte, error)
	glob func(pattern string) ([]string, error)
}

var realDisk = disk{readFile, filepath.Glob}

// readFile reads a regular file of at most so many octets.
func readFile(path string, most int) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is no regular file") // a pipe would be waited for
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err != nil {
		return nil, err
	}
	if len(text) > most {
		clear(text)
		return nil, fmt.Errorf("is too large: expected at most %d octets in all files", maxOctets)
	}
	return text, nil
}

// reason is an error of the file system without the path.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// loader reads a file and what it includes.
type loader struct {
	problems
	disk   disk
	chain  []string // the file being read and those that include it
	files  int
	octets int
	parse  func(path, text string) // of one file
}

// load reads one file and has it parsed.
func (l *loader) load(at Place, path string) {
	if l.files == maxFiles {
		l.add(at, "expected at most %d files; %s is one more", maxFiles, path)
		return
	}
	l.files++
	text, err := l.disk.read(path, maxOctets-l.octets)
	if err != nil {
		if at.Line == 0 { // it isn't included
			l.add(at, "%s", reason(err))
			return
		}
		l.add(at, "%s: %s", path, reason(err))
		return
	}
	defer clear(text)
	l.octets += len(text)
	if place, ok := firstStrange(path, text); ok {
		l.add(place, "expected text in UTF-8 without control characters")
		return
	}
	l.chain = append(l.chain, path)
	l.parse(path, strings.TrimPrefix(string(text), "\uFEFF"))
	l.chain = l.chain[:len(l.chain)-1]
}

// include reads what a pattern matches, from the folder of the file that holds
// it. It gives what became of it, for the report.
func (l *loader) include(at Place, pattern string) (files []string) {
	if len(l.chain) >= maxDepth {
		l.add(at, "expected includes at most %d deep", maxDepth)
		return nil
	}
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(at.File), pattern)
	}
	files, err := l.disk.glob(pattern)
	if err != nil {
		l.add(at, "expected the name of a file, or a pattern: %v", err)
		return nil
	}
	for _, file := range files {
		if slices.Contains(l.chain, file) {
			l.add(at, "%s includes itself", file)
			continue
		}
		l.load(at, file)
	}
	return files
}

// firstStrange finds what no configuration holds.
func firstStrange(path string, text []byte) (Place, bool) {
	at := Place{path, 1, 1}
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		switch {
		case r == '\n':
			at.Line, at.Column = at.Line+1, 0
		case r == utf8.RuneError && n == 1, r < ' ' && r != '\t' && r != '\r', r >= 0x7f && r < 0xa0:
			return at, true
		}
		at.Column++
		i += n
	}
	return Place{}, false
}

// cursor walks through the text of one file.
type cursor struct {
	file string
	text string
	at   int // octet
	line int

	counted int // octet up to which columns are counted
	column  int // of that octet
}

func newCursor(file, text string) *cursor {
	return &cursor{file: file, text: text, line: 1, column: 1}
}

// peek is the next octet, 0 at the end.
func (c *cursor) peek() byte {
	if c.at < len(c.text) {
		return c.text[c.at]
	}
	return 0
}

// next gives the next octet and steps over it; 0 at the end.
func (c *cursor) next() byte {
	b := c.peek()
	if c.at < len(c.text) {
		c.at++
	}
	if b == '\n' {
		c.line++
		c.counted, c.column = c.at, 1
	}
	return b
}

func (c *cursor) end() bool { return c.at == len(c.text) }

// place is where the cursor stands. A long line is counted once.
func (c *cursor) place() Place {
	c.column += utf8.RuneCountInString(c.text[c.counted:c.at])
	c.counted = c.at
	return Place{c.file, c.line, c.column}
}

// skip steps over all octets of a set; none of them may be a line's end.
func (c *cursor) skip(set string) {
	for !c.end() && strings.IndexByte(set, c.peek()) >= 0 {
		c.at++
	}
}

// until takes the octets up to one of a set; the line's end is always in it.
func (c *cursor) until(set string) string {
	n := strings.IndexAny(c.text[c.at:], set+"\n")
	if n < 0 {
		n = len(c.text) - c.at
	}
	c.at += n
	return c.text[c.at-n : c.at]
}

// skipLine steps behind the line's end.
func (c *cursor) skipLine() {
	c.until("")
	c.next()
}

// blanks stand between words. A carriage return is one, for files that were
// on Windows.
const blanks = " \t\r"

// quoted reads a string in double quotes, the cursor being at the first one:
// \n, \r, \t, \b and \f are control characters, a backslash at the end of a
// line joins it with the next, any other character behind a backslash stands
// for itself. ok is false where the line ends before the closing quote does:
// what follows can't be told from the string then.
func (c *cursor) quoted() (s string, ok bool) {
	c.next()
	var b strings.Builder
	for !c.end() && c.peek() != '\n' {
		switch ch := c.next(); ch {
		case '"':
			return b.String(), true
		case '\\':
			if c.end() {
				return "", false
			}
			c.escaped(&b)
		default:
			b.WriteByte(ch)
		}
	}
	return "", false
}

// escaped reads what stands behind a backslash.
func (c *cursor) escaped(b *strings.Builder) {
	const names, values = "nrtbf", "\n\r\t\b\f"
	ch := c.next()
	switch i := strings.IndexByte(names, ch); {
	case i >= 0:
		b.WriteByte(values[i])
	case ch == '\r' && c.peek() == '\n':
		c.next()
	case ch != '\n':
		b.WriteByte(ch)
	}
}

// pattern reads what stands behind include: in quotes or not, a backslash
// before a quote, #, } or a blank taking away its meaning.
func (c *cursor) pattern(stop string) (s string, ok bool) {
	if c.peek() == '"' {
		return c.quoted()
	}
	var b strings.Builder
	for {
		b.WriteString(c.until(blanks + `"\` + stop))
		if c.peek() == '"' {
			return "", false
		}
		if c.peek() != '\\' {
			return b.String(), true
		}
		c.next()
		if strings.IndexByte(`"#} `, c.peek()) < 0 || c.end() {
			b.WriteByte('\\')
			continue
		}
		b.WriteByte(c.next())
	}
}
