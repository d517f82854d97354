package strongswan

import (
	"fmt"
	"slices"
)

// Outcome is what becomes of a directive.
type Outcome string

// Outcomes.
const (
	TakenOver    Outcome = "taken over"
	NotNeeded    Outcome = "not needed"
	NotSupported Outcome = "not supported"
)

// Directive is one directive of the input with what becomes of it.
type Directive struct {
	Place
	Section string  `json:"section"`   // such as "conn myvpn", or "connections.rw.local"; "" outside of one
	Name    string  `json:"directive"` // its name, the type of a secret, or "include"
	Value   string  `json:"value"`     // "" where it holds a secret
	Outcome Outcome `json:"outcome"`   // what becomes of it
	Note    string  `json:"note"`      // taken over as what, not needed why, what to do
}

// Report is what an import did with its input.
type Report struct {
	Connection string      `json:"connection"` // the one taken over
	Users      int         `json:"users"`      // how many are in the users file
	Directives []Directive `json:"directives"` // in the order of reading
	Defaults   []Default   `json:"defaults"`   // left at bridgehead's default
	Notes      []string    `json:"notes"`      // what no single directive shows
}

// Count tells how many directives had an outcome.
func (r *Report) Count(o Outcome) int {
	n := 0
	for i := range r.Directives {
		if r.Directives[i].Outcome == o {
			n++
		}
	}
	return n
}

// entry is a directive on its way through the import.
type entry struct {
	Directive
	rule    string // what judges it, in the table of rules; "" once it is judged
	value   string
	valueAt Place
	secret  bool // value never leaves the package
}

func (e *entry) judge(o Outcome, format string, args ...any) {
	note := fmt.Sprintf(format, args...)
	if e.Outcome == o && e.Note != "" {
		note = e.Note + "; " + note
	}
	e.Outcome, e.Note = o, note
}

func (e *entry) taken(format string, args ...any)       { e.judge(TakenOver, format, args...) }
func (e *entry) unneeded(format string, args ...any)    { e.judge(NotNeeded, format, args...) }
func (e *entry) unsupported(format string, args ...any) { e.judge(NotSupported, format, args...) }

// connection is a conn section, or a section below connections, with all that
// it inherits.
type connection struct {
	name     string
	at       Place
	rounds   int               // of authentication, at one end
	settings []*entry          // in force, in the order of reading
	lineage  map[*entry]*entry // of each setting that belongs to it: the one in force
}

// get gives a setting in force; nil if there is none.
func (c *connection) get(rule string) *entry {
	i := slices.IndexFunc(c.settings, func(e *entry) bool { return e.rule == rule })
	if i < 0 {
		return nil
	}
	return c.settings[i]
}

// value is a setting in force, or "".
func (c *connection) value(rule string) string {
	if e := c.get(rule); e != nil {
		return e.value
	}
	return ""
}
