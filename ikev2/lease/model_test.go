package lease

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is the naive form of one pool of one family: it searches everything.
type model struct {
	r        Range
	reserved netip.Addr
	held     map[string]netip.Addr // by holder
	owner    map[string]string     // identity of a holder
	last     []memory              // remembered, longest first

	disk    map[netip.Addr]memory // without identity: deleted
	pending []memory              // on the way there
}

type memory struct {
	addr     netip.Addr
	identity string
	until    time.Time
}

func (m *model) free(a netip.Addr) bool {
	for _, h := range m.held {
		if h == a {
			return false
		}
	}
	return true
}

func (m *model) remembered(a netip.Addr) int {
	return slices.IndexFunc(m.last, func(l memory) bool { return l.addr == a })
}

// allowed tells which addresses a dynamic request may get, by the rules of
// the package alone: the identity's latest, else any unremembered one, else
// the longest remembered.
func (m *model) allowed(identity string) []netip.Addr {
	for i := len(m.last) - 1; i >= 0; i-- {
		if m.last[i].identity == identity {
			return []netip.Addr{m.last[i].addr}
		}
	}
	var fresh []netip.Addr
	for a := m.r.First; m.r.Contains(a); a = a.Next() {
		if a != m.reserved && m.free(a) && m.remembered(a) < 0 {
			fresh = append(fresh, a)
		}
	}
	if len(fresh) == 0 && len(m.last) > 0 {
		return []netip.Addr{m.last[0].addr}
	}
	return fresh
}

func (m *model) take(holder, identity string, a netip.Addr, until time.Time) {
	m.held[holder], m.owner[holder] = a, identity
	if i := m.remembered(a); i >= 0 {
		m.last = slices.Delete(m.last, i, i+1)
	}
	known := m.disk[a].identity == identity && !slices.ContainsFunc(m.pending, func(c memory) bool { return c.addr == a && c.identity != identity })
	m.pending = append(m.pending, memory{a, identity, until})
	if !known { // what the disk knows already is not waited for
		m.commit()
	}
}

func (m *model) release(holder string, until time.Time) {
	a, identity := m.held[holder], m.owner[holder]
	delete(m.held, holder)
	if a == m.reserved || !m.r.Contains(a) {
		m.pending = append(m.pending, memory{addr: a})
		return
	}
	m.last = append(m.last, memory{a, identity, until})
	m.pending = append(m.pending, m.last[len(m.last)-1])
}

func (m *model) expire(now time.Time) {
	m.last = slices.DeleteFunc(m.last, func(l memory) bool {
		if now.Before(l.until) {
			return false
		}
		m.pending = append(m.pending, memory{addr: l.addr})
		return true
	})
}

// reserve makes another address the reserved one.
func (m *model) reserve(a netip.Addr) {
	m.reserved = a
	if i := m.remembered(a); i >= 0 {
		m.last = slices.Delete(m.last, i, i+1)
		m.pending = append(m.pending, memory{addr: a})
	}
}

// commit brings what is pending to the disk.
func (m *model) commit() {
	for _, c := range m.pending {
		m.disk[c.addr] = c
	}
	m.pending = nil
}

// restart makes all that is on the disk remembered.
func (m *model) restart() {
	m.pending, m.last, m.held = nil, nil, make(map[string]netip.Addr)
	for _, c := range m.disk {
		switch {
		case c.identity == "":
		case m.r.Contains(c.addr) && c.addr != m.reserved:
			m.last = append(m.last, c)
		default:
			m.pending = append(m.pending, memory{addr: c.addr})
		}
	}
	slices.SortFunc(m.last, func(a, b memory) int { return a.until.Compare(b.until) })
}

// world is the pools and their model side by side.
type world struct {
	t       *testing.T
	path    string
	store   *Bolt
	p       *Pools
	m       *model
	now     time.Time
	holders int
}

const modelRemember = time.Hour

func (w *world) open() {
	w.store = openBolt(w.t, w.path)
	w.store.db.NoSync = true // the model asks what is written, not how hard
	w.p = newPools(w.t, w.store, PoolConfig{
		Name: "p", Ranges: []Range{w.m.r}, Reserved: []netip.Addr{w.m.reserved}, Remember: modelRemember,
	})
}

func (w *world) acquire(rt *rapid.T, identity string, fixed, wish netip.Addr) {
	w.m.expire(w.now)
	w.holders++
	r := Request{Holder: fmt.Sprint("s", w.holders), Identity: identity, WantIPv4: true}
	allowed := w.m.allowed(identity)
	if wish.IsValid() {
		r.Wish = []netip.Addr{wish}
		i := w.m.remembered(wish)
		if w.m.r.Contains(wish) && wish != w.m.reserved && w.m.free(wish) && (i < 0 || w.m.last[i].identity == identity) {
			allowed = []netip.Addr{wish}
		}
	}
	var blocked bool
	if fixed.IsValid() {
		r.Fixed = []netip.Addr{fixed}
		if w.m.free(fixed) {
			allowed = []netip.Addr{fixed}
		} else {
			for h, a := range w.m.held {
				blocked = blocked || a == fixed && w.m.owner[h] != identity
			}
		}
	}
	l, err := w.p.Acquire(ctx, w.now, r)
	var used *InUseError
	var full *ExhaustedError
	switch {
	case blocked:
		if !errors.As(err, &used) {
			rt.Fatalf("%+v: %v, %v; want it in use", r, l, err)
		}
	case len(allowed) == 0:
		if !errors.As(err, &full) {
			rt.Fatalf("%+v: %v, %v; want exhausted", r, l, err)
		}
	case err != nil || !slices.Contains(allowed, l.IPv4):
		rt.Fatalf("%+v: %v, %v; allowed %v", r, l.IPv4, err, allowed)
	default:
		w.m.take(r.Holder, identity, l.IPv4, w.now.Add(modelRemember))
	}
}

func (w *world) release(rt *rapid.T, holder string) {
	if err := w.p.Release(ctx, w.now, holder); err != nil {
		rt.Fatal(err)
	}
	w.m.release(holder, w.now.Add(modelRemember))
	w.m.expire(w.now)
}

func (w *world) reserve(rt *rapid.T, a netip.Addr) {
	if err := w.p.Reserve(ctx, []netip.Addr{a}); err != nil {
		rt.Fatal(err)
	}
	w.m.reserve(a)
}

// restart ends all sessions, by an orderly stop or by a crash.
func (w *world) restart(rt *rapid.T, crashed bool) {
	if crashed {
		crash(rt, w.store)
	} else {
		w.m.commit()
		if err := w.store.Close(); err != nil {
			rt.Fatal(err)
		}
	}
	w.m.restart()
	w.open()
}

func TestPoolsAgreeWithANaiveModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{t: t, path: filepath.Join(t.TempDir(), "leases.db"), now: start}
		w.m = &model{
			r:        ranges(t, rapid.SampledFrom([]string{"192.0.2.0/29", "192.0.2.1", "192.0.2.1-192.0.2.3", "192.0.2.0/28"}).Draw(rt, "range"))[0],
			reserved: netip.MustParseAddr("192.0.2.2"),
			held:     make(map[string]netip.Addr), owner: make(map[string]string), disk: make(map[netip.Addr]memory),
		}
		w.open()
		defer func() { _ = w.store.Close() }()
		identity := rapid.SampledFrom([]string{"alice", "bob", "carl", "dora", "erna", "fritz"})
		addr := rapid.Custom(func(rt *rapid.T) netip.Addr {
			return netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(0, 10).Draw(rt, "octet"))})
		})
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			w.now = w.now.Add(time.Second)
			switch rapid.SampledFrom([]string{"acquire", "acquire", "acquire", "release", "release", "fixed", "wish", "reserve", "wait", "stop", "crash"}).Draw(rt, "step") {
			case "acquire":
				w.acquire(rt, identity.Draw(rt, "identity"), netip.Addr{}, netip.Addr{})
			case "fixed":
				w.acquire(rt, identity.Draw(rt, "identity"), addr.Draw(rt, "fixed"), netip.Addr{})
			case "wish":
				w.acquire(rt, identity.Draw(rt, "identity"), netip.Addr{}, addr.Draw(rt, "wish"))
			case "release":
				if len(w.m.held) > 0 {
					w.release(rt, rapid.SampledFrom(slices.Sorted(maps.Keys(w.m.held))).Draw(rt, "holder"))
				}
			case "reserve":
				w.reserve(rt, addr.Draw(rt, "reserved"))
			case "wait":
				w.now = w.now.Add(modelRemember / 2)
			case "stop":
				w.restart(rt, false)
			case "crash":
				w.restart(rt, true)
			}
			if u := w.p.Usage()[0]; u.Held != w.heldInRange() {
				rt.Fatalf("%+v, want %d held", u, w.heldInRange())
			}
		}
	})
}

func (w *world) heldInRange() (n int) {
	for _, a := range w.m.held {
		if w.m.r.Contains(a) {
			n++
		}
	}
	return n
}
