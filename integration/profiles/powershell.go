package profiles

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Word is one token of a PowerShell script.
type Word struct {
	Text   string
	Quoted bool // a string: never a name, a parameter or an operator
}

const (
	singleQuotes = "'\u2018\u2019\u201a\u201b"
	doubleQuotes = "\"\u201c\u201d\u201e"
	operators    = "{}()|,;="
)

// PowerShell splits a script into its statements' words, comments left out.
// It knows the language as far as scripts without expansions in strings and
// without line continuation need it, and refuses the rest.
func PowerShell(script string) ([][]Word, error) {
	r := reader{rest: []rune(strings.TrimPrefix(script, "\ufeff"))}
	if err := r.read(); err != nil {
		return nil, fmt.Errorf("line %d: %w", r.line+1, err)
	}
	return r.statements, nil
}

type reader struct {
	rest       []rune
	line       int
	open       []rune // brackets
	words      []Word
	statements [][]Word
}

func (r *reader) read() error {
	for len(r.rest) > 0 {
		c := r.rest[0]
		switch {
		case c == '\r' || c == '\n':
			r.end()
			if c == '\n' {
				r.line++
			}
			r.rest = r.rest[1:]
		case c == ' ' || c == '\t':
			r.rest = r.rest[1:]
		case c == '#':
			for len(r.rest) > 0 && r.rest[0] != '\n' && r.rest[0] != '\r' {
				r.rest = r.rest[1:]
			}
		case strings.ContainsRune(singleQuotes, c), strings.ContainsRune(doubleQuotes, c):
			if err := r.string(); err != nil {
				return err
			}
		case strings.ContainsRune(operators, c):
			if err := r.operator(c); err != nil {
				return err
			}
		default:
			if err := r.bare(); err != nil {
				return err
			}
		}
	}
	r.end()
	if len(r.open) > 0 {
		return fmt.Errorf("%q is never closed", r.open[len(r.open)-1])
	}
	return nil
}

func (r *reader) end() {
	if len(r.words) > 0 {
		r.statements = append(r.statements, r.words)
		r.words = nil
	}
}

// operator ends a statement at braces and pipes, so that each command of a
// line is a statement.
func (r *reader) operator(c rune) error {
	r.rest = r.rest[1:]
	switch c {
	case '{', '(':
		r.open = append(r.open, c)
	case '}', ')':
		want := map[rune]rune{'}': '{', ')': '('}[c]
		if len(r.open) == 0 || r.open[len(r.open)-1] != want {
			return fmt.Errorf("%q closes nothing", c)
		}
		r.open = r.open[:len(r.open)-1]
	case ',':
		r.words = append(r.words, Word{Text: ","})
		return nil
	}
	r.end()
	return nil
}

// string reads a string with one of the single or of the double quotes; any
// of the same kind closes it.
func (r *reader) string() error {
	quotes := doubleQuotes
	if strings.ContainsRune(singleQuotes, r.rest[0]) {
		quotes = singleQuotes
	}
	r.rest = r.rest[1:]
	var text []rune
	for {
		if len(r.rest) == 0 {
			return fmt.Errorf("a string is never closed")
		}
		c := r.rest[0]
		next := rune(0)
		if len(r.rest) > 1 {
			next = r.rest[1]
		}
		switch {
		case strings.ContainsRune(quotes, c) && next != 0 && strings.ContainsRune(quotes, next):
			text, r.rest = append(text, c), r.rest[2:] // doubled
		case strings.ContainsRune(quotes, c):
			r.rest = r.rest[1:]
			if len(r.rest) > 0 && !strings.ContainsRune(" \t\r\n"+operators, r.rest[0]) {
				return fmt.Errorf("%q directly behind a string", r.rest[0])
			}
			r.words = append(r.words, Word{string(text), true})
			return nil
		case quotes == doubleQuotes && c == '`':
			if next == 0 || unicode.IsLetter(next) || unicode.IsDigit(next) {
				return fmt.Errorf("the escape `%c has another meaning", next)
			}
			text, r.rest = append(text, next), r.rest[2:]
		case quotes == doubleQuotes && c == '$':
			return fmt.Errorf("an expansion within a string")
		case c == '\n':
			return fmt.Errorf("a string over several lines")
		default:
			text, r.rest = append(text, c), r.rest[1:]
		}
	}
}

// bare reads a name, a parameter, a variable or a value without quotes.
func (r *reader) bare() error {
	n := slices.IndexFunc(r.rest, func(c rune) bool {
		return strings.ContainsRune(" \t\r\n"+operators+singleQuotes+doubleQuotes, c)
	})
	if n < 0 {
		n = len(r.rest)
	}
	text := string(r.rest[:n])
	r.rest = r.rest[n:]
	if strings.ContainsAny(text, "`<>&") || strings.ContainsFunc(text, func(c rune) bool { return c > '~' || c < ' ' }) {
		return fmt.Errorf("%q without quotes", text)
	}
	r.words = append(r.words, Word{Text: text})
	return nil
}

// Call is a cmdlet with its arguments.
type Call struct {
	Cmdlet     string
	Named      map[string]string // by parameter without its hyphen; a switch has "true"
	Positional []string
	Line       []Word
}

// Calls finds the cmdlets, names of the form Verb-Noun at the beginning of a
// statement.
func Calls(statements [][]Word) []Call {
	var calls []Call
	for _, words := range statements {
		first := words[0]
		verb, noun, ok := strings.Cut(first.Text, "-")
		if first.Quoted || !ok || verb == "" || noun == "" || strings.ContainsAny(first.Text, "$[.") {
			continue
		}
		calls = append(calls, newCall(words))
	}
	return calls
}

func newCall(words []Word) Call {
	c := Call{Cmdlet: words[0].Text, Named: map[string]string{}, Line: words}
	parameter := ""
	for i := 1; i < len(words); i++ {
		w := words[i]
		if !w.Quoted && strings.HasPrefix(w.Text, "-") {
			name, value, given := strings.Cut(w.Text[1:], ":")
			if !given {
				value = "true"
			}
			c.Named[name] = strings.TrimPrefix(value, "$")
			parameter = name
			if given {
				parameter = ""
			}
			continue
		}
		switch {
		case w.Text == "," && !w.Quoted && i+1 < len(words) && parameter != "":
			i++
			c.Named[parameter] += "," + words[i].Text
		case parameter != "" && c.Named[parameter] == "true":
			c.Named[parameter] = w.Text
		default:
			c.Positional = append(c.Positional, w.Text)
		}
	}
	return c
}
