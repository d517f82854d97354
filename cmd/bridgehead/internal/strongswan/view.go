package strongswan

import (
	"slices"
	"strings"
)

// view is a section of swanctl.conf with all that it inherits.
type view struct {
	name     string
	at       Place
	settings []*entry // in force
	children []*view
}

// maxViews bounds what references can multiply: a large file has some 100,000
// sections.
const maxViews = 1 << 18

// viewer resolves references.
type viewer struct {
	problems *problems
	top      *node
	views    int
	inForce  map[*entry]*entry // of each setting seen: the one in force
	said     map[Place]bool    // references found wrong
}

func newViewer(top *node, ps *problems) *viewer {
	return &viewer{problems: ps, top: top, inForce: make(map[*entry]*entry), said: make(map[Place]bool)}
}

// section gives the view of a section at the top; empty where there is none.
func (v *viewer) section(name string) *view {
	if n := v.top.child(name); n != nil {
		return v.view([]*node{n}, 1)
	}
	return &view{name: name, at: v.top.at}
}

// view joins sections of one name, of which an earlier one overrides a later
// one. A section's own settings and sections stand before those it inherits.
func (v *viewer) view(nodes []*node, depth int) *view {
	w := &view{name: nodes[0].name, at: nodes[0].at}
	v.views++
	if depth > maxDepth || v.views > maxViews {
		v.say(w.at, "the sections it inherits from hold each other")
		return w
	}
	var all []*node
	seen := make(map[*node]bool)
	for _, n := range nodes {
		all = v.expand(all, n, seen)
	}
	own := make(map[string]*entry)
	var names []string
	below := make(map[string][]*node)
	for _, n := range all {
		for _, e := range slices.Backward(n.settings) {
			if own[e.Name] == nil {
				own[e.Name] = e
			}
			v.inForce[e] = own[e.Name]
		}
		for _, child := range n.children {
			if below[child.name] == nil {
				names = append(names, child.name)
			}
			below[child.name] = append(below[child.name], child)
		}
	}
	for _, n := range all {
		for _, e := range n.settings {
			if own[e.Name] == e {
				w.settings = append(w.settings, e)
			}
		}
	}
	for _, name := range names {
		w.children = append(w.children, v.view(below[name], depth+1))
	}
	return w
}

// expand appends a section and those it inherits from, each once.
func (v *viewer) expand(all []*node, n *node, seen map[*node]bool) []*node {
	if seen[n] {
		return all
	}
	seen[n] = true
	v.views++
	all = append(all, n)
	for _, ref := range n.refs {
		parent := v.top
		for name := range strings.SplitSeq(ref.path, ".") {
			if parent = parent.child(name); parent == nil {
				break
			}
		}
		if parent == nil {
			v.say(ref.at, "no section %q; expected the dotted name of a section of this configuration", ref.path)
			continue
		}
		all = v.expand(all, parent, seen)
	}
	return all
}

// say reports each place once.
func (v *viewer) say(at Place, format string, args ...any) {
	if !v.said[at] {
		v.said[at] = true
		v.problems.add(at, format, args...)
	}
}
