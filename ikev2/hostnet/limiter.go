package hostnet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"

	"bridgehead/ikev2/esp"
)

// Limiter holds sessions to limits by nftables, for a data plane that hands
// their packets to the kernel: what comes from a client's address and what goes
// to it is led to chains of its session, wherever it passes. Its methods are
// safe for concurrent use. They concern the network namespace of the calling
// thread.
//
// The rules live in a table of their own, which Gateway.Limits makes and which
// is journalled with the rest. Until a session has limits it is empty, and costs
// no packet anything. Whoever flushes nftables lifts all limits: they come back
// with the next session that begins, changes or ends.
//
// The kernel lets a second's worth of octets pass beyond esp.Burst at once.
type Limiter struct {
	table *nftables.Table

	mu       sync.Mutex // guards what follows, and keeps transactions apart
	ready    bool       // the table holds what sessions share
	damaged  bool       // it may not hold what sessions says
	sessions map[string]held
}

// held is a session with limits.
type held struct {
	inner  []netip.Addr
	limits *esp.Limits
}

var _ esp.Limiter = (*Limiter)(nil)

// LimitsTable is the name of the table that goes with Gateway.Table.
func LimitsTable(table string) string { return table + "_limits" }

// NewLimiter uses the table of that name, family inet, which need not be there
// before a session has limits.
func NewLimiter(table string) *Limiter {
	return &Limiter{table: (&tableChange{Name: table}).table(), sessions: make(map[string]held)}
}

// ways are the directions of packets as a session sees them: from the client
// and to it.
var ways = [...]struct {
	name string
	end  end // where the client's address stands
}{{"from", source}, {"to", destination}}

// chains are a session's of one way. A packet comes to entry, which takes it
// through filter and then to the rate. Filter leads it to the rules, or to those
// that a fragment other than the first can match.
type chains struct{ entry, filter, rules, fragments *nftables.Chain }

func (l *Limiter) chains(session, way string) chains {
	chain := func(of string) *nftables.Chain {
		return &nftables.Chain{Name: way + "-" + session + of, Table: l.table}
	}
	return chains{chain(""), chain("-filter"), chain("-rules"), chain("-fragments")}
}

// each calls f with the session's chains.
func (c chains) each(f func(*nftables.Chain)) {
	for _, chain := range []*nftables.Chain{c.entry, c.filter, c.rules, c.fragments} {
		f(chain)
	}
}

// Limit implements esp.Limiter. The error is an *Error; the kernel takes all of
// it or nothing.
func (l *Limiter) Limit(_ context.Context, session string, inner []netip.Addr, limits *esp.Limits) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := held{inner, limits}
	_, known := l.sessions[session]
	err := l.commit(func(b *builder) {
		if !l.ready {
			b.addShared()
		}
		l.add(b, session, next, known)
	}, func(all map[string]held) { all[session] = next })
	if err != nil {
		return limitFailed(err, session)
	}
	l.ready = true
	return nil
}

// add gives a session its chains, or fills them anew.
func (l *Limiter) add(b *builder, session string, s held, known bool) {
	for _, way := range ways {
		c := l.chains(session, way.name)
		c.each(func(chain *nftables.Chain) {
			if b.conn.AddChain(chain); known {
				b.conn.FlushChain(chain)
			}
		})
		b.addFilter(c, s.limits.Filter, way.end == destination)
		rate := s.limits.RateUp
		if way.end == destination {
			rate = s.limits.RateDown
		}
		b.addRate(c.entry, rate)
		if !known {
			b.lead(way.name, s.inner, c.entry, b.conn.SetAddElements)
		}
	}
}

// commit makes a change in the kernel and, once that is done, in sessions. Where
// the table is not as it was left, it is made anew with the change in it.
func (l *Limiter) commit(change func(*builder), note func(map[string]held)) error {
	err := error(syscall.ENOENT)
	if !l.damaged {
		err = l.transact(change)
	}
	if errors.Is(err, syscall.ENOENT) && (l.ready || l.damaged) {
		all := maps.Clone(l.sessions)
		note(all)
		err = l.transact(func(b *builder) {
			b.conn.AddTable(l.table)
			b.conn.DelTable(l.table)
			b.addShared()
			for session, s := range all {
				l.add(b, session, s, false)
			}
		})
	}
	if err == nil {
		note(l.sessions)
		l.damaged = false
	}
	return err
}

func (l *Limiter) transact(change func(*builder)) error {
	conn, err := newConn()
	if err != nil {
		return err
	}
	b := &builder{conn: conn, table: l.table}
	change(b)
	return errors.Join(b.err, conn.Flush())
}

func limitFailed(err error, session string) error {
	e := &Error{Op: fmt.Sprintf("limit session %s by nftables", session), Err: err, Remedy: remedy(err)}
	if errors.Is(err, syscall.ENOENT) {
		e.Remedy = "load the modules nf_tables, nft_limit and nft_set_hash, or see whether somebody deleted the gateway's table"
	}
	return e
}

// Unlimit implements esp.Limiter. What could not be taken away is by the next
// change of any session.
func (l *Limiter) Unlimit(_ context.Context, session string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, known := l.sessions[session]
	if !known {
		return nil
	}
	gone := func(all map[string]held) { delete(all, session) }
	err := l.commit(func(b *builder) {
		for _, way := range ways {
			c := l.chains(session, way.name)
			b.lead(way.name, s.inner, c.entry, b.conn.SetDeleteElements)
			c.each(b.conn.FlushChain) // they lead to each other
			c.each(b.conn.DelChain)
		}
	}, gone)
	if err != nil {
		gone(l.sessions)
		l.damaged = true
	}
	return failed(err, "lift the limits of session %s in nftables", session)
}

// socketBuffer holds the kernel's answers to the longest filter: one for each
// rule, chain and set. Without room for them nobody would know what it did.
const socketBuffer = 8 << 20

func newConn() (*nftables.Conn, error) {
	conn, err := nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(c.SetReadBuffer(socketBuffer), c.SetWriteBuffer(socketBuffer))
	}))
	return conn, failed(err, "reach nftables")
}

// NoLimits tells why this kernel cannot hold sessions to limits by nftables;
// nil: it can, or could if this process had the right.
func NoLimits() error {
	conn, err := newConn()
	if err != nil {
		return err
	}
	b := &builder{conn: conn, table: (&tableChange{Name: "bridgehead-trial"}).table()}
	b.addShared()
	chain := conn.AddChain(&nftables.Chain{Name: "rate", Table: b.table})
	b.addRate(chain, 1<<20)
	conn.DelTable(b.table) // in the same transaction: nobody ever sees it
	err = errors.Join(b.err, conn.Flush())
	if err == nil || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		return nil
	}
	return failed(err, "filter and limit by nftables")
}

// builder puts a transaction together.
type builder struct {
	conn  *nftables.Conn
	table *nftables.Table
	sets  uint32
	err   error
}

func (b *builder) rule(chain *nftables.Chain, exprs ...expr.Any) {
	b.conn.AddRule(&nftables.Rule{Table: b.table, Chain: chain, Exprs: exprs})
}

func (b *builder) addSet(s *nftables.Set, elements []nftables.SetElement) {
	b.sets++ // of this transaction; the library's own count is not for several at once
	s.Table, s.ID = b.table, b.sets
	b.err = errors.Join(b.err, b.conn.AddSet(s, elements))
}

// clientMap leads from addresses of a family to chains.
func (b *builder) clientMap(way string, ipv4 bool) *nftables.Set {
	s := &nftables.Set{Table: b.table, Name: way + "6", IsMap: true, KeyType: nftables.TypeIP6Addr, DataType: nftables.TypeVerdict}
	if ipv4 {
		s.Name, s.KeyType = way+"4", nftables.TypeIPAddr
	}
	return s
}

// addShared makes what leads packets to their sessions' chains: forwarded ones,
// and those from and to the machine itself.
func (b *builder) addShared() {
	b.conn.AddTable(b.table)
	var maps []*nftables.Set
	for _, way := range ways {
		for _, ipv4 := range []bool{true, false} {
			m := b.clientMap(way.name, ipv4)
			b.addSet(m, nil)
			maps = append(maps, m)
		}
	}
	for _, base := range []struct {
		name string
		hook *nftables.ChainHook
	}{
		{"input", nftables.ChainHookInput}, {"forward", nftables.ChainHookForward}, {"output", nftables.ChainHookOutput},
	} {
		chain := b.conn.AddChain(&nftables.Chain{
			Name: base.name, Table: b.table, Type: nftables.ChainTypeFilter, Hooknum: base.hook, Priority: nftables.ChainPriorityFilter,
		})
		for i, m := range maps {
			which := ways[i/2].end
			if base.name == "input" && which == destination || base.name == "output" && which == source {
				continue
			}
			exprs := append(loadAddress(m.KeyType == nftables.TypeIPAddr, which),
				&expr.Lookup{SourceRegister: register, SetName: m.Name, SetID: m.ID, IsDestRegSet: true})
			b.rule(chain, exprs...)
		}
	}
}

// lead has the maps of one way know a session's addresses, or no more.
func (b *builder) lead(way string, inner []netip.Addr, to *nftables.Chain, change func(*nftables.Set, []nftables.SetElement) error) {
	for _, a := range inner {
		b.err = errors.Join(b.err, change(b.clientMap(way, a.Is4()), []nftables.SetElement{{
			Key: a.AsSlice(), VerdictData: &expr.Verdict{Kind: expr.VerdictJump, Chain: to.Name},
		}}))
	}
}

// maxRate is more than a session can reach; the kernel computes with no more
// than twice that.
const maxRate = 64e9

// addRate drops what is beyond a rate in bits a second; 0: nothing.
func (b *builder) addRate(chain *nftables.Chain, rate uint64) {
	if rate == 0 {
		return
	}
	rate = min(rate, maxRate)
	b.rule(chain,
		&expr.Limit{Type: expr.LimitTypePktBytes, Rate: max(rate/8, 1), Over: true, Unit: expr.LimitTimeSecond, Burst: uint32(esp.Burst(rate))},
		&expr.Verdict{Kind: expr.VerdictDrop})
}
