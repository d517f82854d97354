package strongswan

import (
	"maps"
	"slices"
)

// everySection is the name of the section whose settings all others of the
// kind begin with.
const everySection = "%default"

// inheritance resolves also= and %default among the sections of one kind.
type inheritance struct {
	problems *problems
	suggest  func(string, []string) string
	kind     string
	byName   map[string]*section
	states   map[*section]state
	resolved map[*section]map[string]*entry // what a section gives to others
	depth    map[*section]int               // how many sections stand above it
	budget   int                            // settings that may still be inherited
}

// maxInherited bounds what also= and %default can multiply.
const maxInherited = 1 << 20

type state uint8

const (
	untouched state = iota
	resolving
	done
)

func newInheritance(c *conf, kind string, ps *problems, suggest func(string, []string) string) *inheritance {
	h := &inheritance{
		problems: ps, suggest: suggest, kind: kind,
		byName: make(map[string]*section), states: make(map[*section]state), resolved: make(map[*section]map[string]*entry),
		depth: make(map[*section]int), budget: maxInherited,
	}
	for _, s := range c.sections {
		if s.kind == kind {
			h.byName[s.name] = s
		}
	}
	return h
}

// own gives the settings of a section and of those it names by also, of which
// a later one overrides an earlier one.
func (h *inheritance) own(s *section) map[string]*entry {
	if h.states[s] == done {
		return h.resolved[s]
	}
	h.states[s] = resolving
	all := make(map[string]*entry)
	for _, e := range s.settings {
		if e.Name != "also" {
			continue
		}
		parent := h.byName[e.value]
		switch {
		case parent == nil:
			h.problems.add(e.valueAt, "no section %q%s", h.kind+" "+e.value, h.didYouMean(e.value))
		case h.states[parent] == resolving:
			h.problems.add(e.valueAt, "%q inherits from itself by this", parent.title())
		default:
			inherited := h.own(parent)
			if h.depth[parent] == maxDepth {
				h.problems.add(e.valueAt, "expected also at most %d deep", maxDepth)
				continue
			}
			h.depth[s] = max(h.depth[s], h.depth[parent]+1)
			h.inherit(all, inherited, e.valueAt)
		}
	}
	for _, e := range s.settings {
		if e.Name != "also" {
			all[e.Name] = e
		}
	}
	h.states[s], h.resolved[s] = done, all
	return all
}

// inherit copies settings as long as the budget lasts.
func (h *inheritance) inherit(to, from map[string]*entry, at Place) {
	spent := h.budget < 0
	if h.budget -= len(from); h.budget >= 0 {
		maps.Copy(to, from)
	} else if !spent {
		h.problems.add(at, "expected at most %d inherited settings", maxInherited)
	}
}

func (h *inheritance) didYouMean(name string) string {
	if near := h.suggest(name, slices.Sorted(maps.Keys(h.byName))); near != "" {
		return `; did you mean "` + near + `"?`
	}
	return "; expected the name of a section of the same kind"
}

// connection gives a section with all that it inherits.
func (h *inheritance) connection(s *section) *connection {
	inForce := make(map[string]*entry)
	if d := h.byName[everySection]; d != nil && d != s {
		h.inherit(inForce, h.own(d), d.at)
	}
	h.inherit(inForce, h.own(s), s.at)
	c := &connection{name: s.name, at: s.at, lineage: make(map[*entry]*entry)}
	visited := make(map[*section]bool)
	h.trace(h.byName[everySection], inForce, c, visited)
	h.trace(s, inForce, c, visited)
	return c
}

// trace notes for each setting of a section and its parents which one is in
// force.
func (h *inheritance) trace(s *section, inForce map[string]*entry, c *connection, visited map[*section]bool) {
	if s == nil || visited[s] || h.budget < 0 {
		return
	}
	visited[s] = true
	h.budget -= len(s.settings)
	for _, e := range s.settings {
		if e.Name == "also" {
			h.trace(h.byName[e.value], inForce, c, visited)
			c.lineage[e] = e
			continue
		}
		c.lineage[e] = inForce[e.Name]
		if inForce[e.Name] == e {
			c.settings = append(c.settings, e)
		}
	}
}
