package tunnel

import (
	"slices"
	"sync/atomic"

	"bridgehead/ikev2/message"
)

// addrRange is a range of addresses of one family.
type addrRange struct{ start, end addrKey }

func (r addrRange) host() bool { return r.start == r.end }

func (r addrRange) contains(a addrKey) bool { return !a.less(r.start) && !r.end.less(a) }

// wider orders ranges by how many addresses they hold.
func (r addrRange) wider(o addrRange) bool { return o.size().less(r.size()) }

func (r addrRange) size() addrKey {
	d := addrKey{r.end.high - r.start.high, r.end.low - r.start.low}
	if r.end.low < r.start.low {
		d.high--
	}
	return d
}

func rangesOf(selectors []message.Selector) []addrRange {
	var out []addrRange
	for _, s := range selectors {
		if s.Raw != nil || !s.Start.IsValid() || s.Start.Is4() != s.End.Is4() {
			continue
		}
		r := addrRange{keyOf(s.Start), keyOf(s.End)}
		if !r.end.less(r.start) && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// routes finds the Child SAs that lead to an inner destination. Road warriors
// have single addresses, found by hash; wider selectors, of which a gateway
// has few, are tried from the narrowest on. Writers hold Tunnel.mu.
type routes struct {
	hosts *table[addrKey, []*child]
	wide  atomic.Pointer[[]wideRoute] // narrowest first; replaced as a whole
}

type wideRoute struct {
	addrRange
	children []*child // the newest first
}

func newRoutes() *routes {
	r := &routes{hosts: newTable[addrKey, []*child]()}
	r.wide.Store(new([]wideRoute))
	return r
}

func (r *routes) add(c *child) {
	for _, a := range c.remote {
		if a.host() {
			children := withFirst(r.hosts.get(a.start), c)
			r.hosts.set(a.start, &children)
			continue
		}
		wide := slices.Clone(*r.wide.Load())
		i := slices.IndexFunc(wide, func(w wideRoute) bool { return w.addrRange == a || w.wider(a) })
		switch {
		case i < 0:
			wide = append(wide, wideRoute{a, []*child{c}})
		case wide[i].addrRange == a:
			wide[i].children = withFirst(&wide[i].children, c)
		default:
			wide = slices.Insert(wide, i, wideRoute{a, []*child{c}})
		}
		r.wide.Store(&wide)
	}
}

func withFirst(children *[]*child, c *child) []*child {
	if children == nil {
		return []*child{c}
	}
	return append([]*child{c}, *children...)
}

func (r *routes) remove(c *child) {
	for _, a := range c.remote {
		if a.host() {
			if children := r.hosts.get(a.start); children == nil {
				continue
			} else if left := without(*children, c); len(left) == 0 {
				r.hosts.remove(a.start)
			} else {
				r.hosts.set(a.start, &left)
			}
			continue
		}
		wide := slices.Clone(*r.wide.Load())
		for i := range wide {
			if wide[i].addrRange == a {
				wide[i].children = without(wide[i].children, c)
			}
		}
		wide = slices.DeleteFunc(wide, func(w wideRoute) bool { return len(w.children) == 0 })
		r.wide.Store(&wide)
	}
}

func without(children []*child, c *child) []*child {
	return slices.DeleteFunc(slices.Clone(children), func(o *child) bool { return o == c })
}

// find gives the Child SA to send p on: of the narrowest route that has one,
// the newest that may send already and whose selectors admit the packet. The
// reason says why there is none.
func (r *routes) find(p *packet, now int64) (*child, Reason) {
	to := p.destination()
	reason := OutNoRoute
	if children := r.hosts.get(to); children != nil {
		if c := choose(*children, p, now); c != nil {
			return c, 0
		}
		reason = OutSelector
	}
	for _, w := range *r.wide.Load() {
		if !w.contains(to) {
			continue
		}
		if c := choose(w.children, p, now); c != nil {
			return c, 0
		}
		reason = OutSelector
	}
	return nil, reason
}

// choose prefers a Child SA that may send; one that only waits for its grace
// to end serves when there is no other.
func choose(children []*child, p *packet, now int64) *child {
	var waiting *child
	for _, c := range children {
		if c.silent || c.policy.Out(p.data) != nil {
			continue
		}
		if c.ready(now) {
			return c
		}
		if waiting == nil {
			waiting = c
		}
	}
	return waiting
}
