package lease

import (
	"net/netip"
	"time"
)

// book is what is known about the addresses of one family of one pool. Its
// owner guards it.
type book struct {
	ranges   []Range
	size     uint64
	reserved map[netip.Addr]bool // never handed out by the cursor

	at   int        // range of the cursor
	next netip.Addr // lowest untouched address; the zero Addr: none is left

	entries    map[netip.Addr]*entry // held and remembered addresses
	freed      freeSet               // below the cursor, neither held nor remembered
	waiting    map[string]*entry     // by identity: its remembered addresses, latest first
	oldest     *entry                // remembered longest
	latest     *entry                // remembered shortest
	held       int
	remembered int
}

// entry is one address that is held (holder set) or remembered.
type entry struct {
	addr     netip.Addr
	identity string
	holder   string
	until    time.Time // when the memory ends, while remembered

	older, newer   *entry // all remembered entries, by time
	before, behind *entry // the same identity's remembered entries
}

func newBook(ranges []Range) *book {
	b := &book{
		ranges:  ranges,
		size:    sizeOf(ranges),
		entries: make(map[netip.Addr]*entry),
		waiting: make(map[string]*entry),
	}
	if len(ranges) > 0 {
		b.next = ranges[0].First
	}
	return b
}

// sizeOf counts the addresses of all ranges.
func sizeOf(ranges []Range) (n uint64) {
	for _, r := range ranges {
		n = addSaturating(n, r.Size())
	}
	return n
}

// reserve replaces the reserved addresses by those of addrs that lie in the
// book, and gives those that it forgot since they were remembered. A held one
// stays held; it goes to nobody else afterwards.
func (b *book) reserve(addrs []netip.Addr) (forgotten []netip.Addr) {
	before := b.reserved
	b.reserved = make(map[netip.Addr]bool)
	for _, a := range addrs {
		if a = a.Unmap(); b.contains(a) {
			b.reserved[a] = true
		}
	}
	b.size = sizeOf(b.ranges) - uint64(len(b.reserved))
	for a := range before {
		if !b.reserved[a] && b.touched(a) && b.entries[a] == nil {
			b.freed.push(a)
		}
	}
	for a := range b.reserved {
		b.freed.remove(a)
		if e := b.entries[a]; e != nil && e.holder == "" {
			b.forget(e)
			forgotten = append(forgotten, a)
		}
	}
	return forgotten
}

func (b *book) contains(a netip.Addr) bool { return b.rangeOf(a) >= 0 }

func (b *book) rangeOf(a netip.Addr) int {
	for i, r := range b.ranges {
		if r.Contains(a) {
			return i
		}
	}
	return -1
}

// touched tells whether the cursor has passed a.
func (b *book) touched(a netip.Addr) bool {
	i := b.rangeOf(a)
	return i >= 0 && (!b.next.IsValid() || i < b.at || i == b.at && a.Less(b.next))
}

// advance gives the next untouched address and moves on, or the zero Addr.
// Each address is passed once in the life of the book, so skipping what is
// reserved, or was claimed by name ahead of the cursor, is paid once.
func (b *book) advance() netip.Addr {
	for b.next.IsValid() {
		a := b.next
		if a == b.ranges[b.at].Last {
			b.at++
			b.next = netip.Addr{}
			if b.at < len(b.ranges) {
				b.next = b.ranges[b.at].First
			}
		} else {
			b.next = a.Next()
		}
		if b.entries[a] == nil && !b.reserved[a] {
			return a
		}
	}
	return netip.Addr{}
}

// pick chooses an address for an identity and holds it: the wish where it is
// free, else the one remembered for the identity, else a freed, an untouched,
// and at last the longest remembered one. It gives nil when all are held.
func (b *book) pick(identity, holder string, wish netip.Addr) *entry {
	if e := b.pickWish(identity, holder, wish); e != nil {
		return e
	}
	if e := b.waiting[identity]; e != nil {
		return b.hold(e, identity, holder)
	}
	if a := b.freed.pop(); a.IsValid() {
		return b.add(a, identity, holder)
	}
	if a := b.advance(); a.IsValid() {
		return b.add(a, identity, holder)
	}
	if b.oldest != nil {
		return b.hold(b.oldest, identity, holder)
	}
	return nil
}

// pickWish grants the peer's wish for an address that nobody holds and that
// is remembered for nobody else.
func (b *book) pickWish(identity, holder string, wish netip.Addr) *entry {
	if !wish.IsValid() || !b.contains(wish) || b.reserved[wish] {
		return nil
	}
	if e := b.entries[wish]; e != nil && (e.holder != "" || e.identity != identity) {
		return nil
	}
	return b.claim(wish, identity, holder)
}

// claim holds an address by name. It must not be held.
func (b *book) claim(a netip.Addr, identity, holder string) *entry {
	if e := b.entries[a]; e != nil {
		return b.hold(e, identity, holder)
	}
	b.freed.remove(a)
	return b.add(a, identity, holder)
}

// add holds an address that had no entry.
func (b *book) add(a netip.Addr, identity, holder string) *entry {
	e := &entry{addr: a, identity: identity, holder: holder}
	b.entries[a] = e
	b.held++
	return e
}

// hold turns a remembered entry into a held one.
func (b *book) hold(e *entry, identity, holder string) *entry {
	b.unlink(e)
	e.identity, e.holder, e.until = identity, holder, time.Time{}
	b.held++
	return e
}

// remember turns a held entry, or a new one from the store, into a
// remembered one.
func (b *book) remember(e *entry, until time.Time) {
	if e.holder != "" {
		b.held--
	}
	e.holder, e.until = "", until
	b.entries[e.addr] = e
	b.remembered++
	e.older, b.latest = b.latest, e
	if e.older != nil {
		e.older.newer = e
	} else {
		b.oldest = e
	}
	e.behind = b.waiting[e.identity]
	if e.behind != nil {
		e.behind.before = e
	}
	b.waiting[e.identity] = e
}

// forget drops an entry altogether. Its address is free for anybody.
func (b *book) forget(e *entry) {
	if e.holder != "" {
		b.held--
	} else {
		b.unlink(e)
	}
	delete(b.entries, e.addr)
	if b.touched(e.addr) && !b.reserved[e.addr] {
		b.freed.push(e.addr)
	}
}

// unlink takes a remembered entry out of both lists.
func (b *book) unlink(e *entry) {
	b.remembered--
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		b.oldest = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		b.latest = e.older
	}
	switch {
	case e.before != nil:
		e.before.behind = e.behind
	case e.behind != nil:
		b.waiting[e.identity] = e.behind
	default:
		delete(b.waiting, e.identity)
	}
	if e.behind != nil {
		e.behind.before = e.before
	}
	e.older, e.newer, e.before, e.behind = nil, nil, nil, nil
}

// freeSet is a stack of addresses from whose middle one can be taken.
type freeSet struct {
	list  []netip.Addr
	index map[netip.Addr]int
}

func (s *freeSet) push(a netip.Addr) {
	if s.index == nil {
		s.index = make(map[netip.Addr]int)
	}
	s.index[a] = len(s.list)
	s.list = append(s.list, a)
}

// pop gives the latest address, or the zero Addr.
func (s *freeSet) pop() netip.Addr {
	if len(s.list) == 0 {
		return netip.Addr{}
	}
	a := s.list[len(s.list)-1]
	s.remove(a)
	return a
}

func (s *freeSet) remove(a netip.Addr) {
	i, ok := s.index[a]
	if !ok {
		return
	}
	n := len(s.list) - 1
	s.list[i] = s.list[n]
	s.index[s.list[i]] = i
	s.list = s.list[:n]
	delete(s.index, a)
}
