package lease

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

var (
	ctx   = context.Background()
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

func ranges(t testing.TB, texts ...string) (rs []Range) {
	t.Helper()
	for _, s := range texts {
		r, err := ParseRange(s)
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	return rs
}

func newPools(t testing.TB, store Store, cfg ...PoolConfig) *Pools {
	t.Helper()
	p, err := NewPools(cfg, store)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// seedPools are those of the documented setup.
func seedPools(t testing.TB, store Store) *Pools {
	t.Helper()
	return newPools(t, store, PoolConfig{Name: "default", Ranges: ranges(t, "192.0.2.0/25", "2001:db8::/96")})
}

func both(holder, identity string) Request {
	return Request{Holder: holder, Identity: identity, WantIPv4: true, WantIPv6: true}
}

func acquire(t testing.TB, p *Pools, now time.Time, r Request) Lease {
	t.Helper()
	l, err := p.Acquire(ctx, now, r)
	if err != nil {
		t.Fatalf("%+v: %v", r, err)
	}
	return l
}

func release(t testing.TB, p *Pools, now time.Time, holder string) {
	t.Helper()
	if err := p.Release(ctx, now, holder); err != nil {
		t.Fatal(err)
	}
}

func want(t testing.TB, l Lease, v4, v6 string) {
	t.Helper()
	if addrText(l.IPv4) != v4 || addrText(l.IPv6) != v6 {
		t.Errorf("got %q and %q, want %q and %q", addrText(l.IPv4), addrText(l.IPv6), v4, v6)
	}
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func TestTheSeedsPoolGives126Leases(t *testing.T) {
	p := seedPools(t, NewMemory())
	for i := 1; i <= 126; i++ {
		l := acquire(t, p, start, both(fmt.Sprint("s", i), fmt.Sprint("u", i)))
		want(t, l, fmt.Sprintf("192.0.2.%d", i), netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8, 15: byte(i)}).String())
	}
	var full *ExhaustedError
	if _, err := p.Acquire(ctx, start, both("s127", "u127")); !errors.As(err, &full) || *full != (ExhaustedError{"default", IPv4, 126}) {
		t.Errorf("the 127th: %v", err)
	}
	if us := p.Usage(); us[0].Held != 126 || us[1].Held != 126 || us[1].Size != 1<<32-2 {
		t.Errorf("the failed one took something: %+v", us)
	}
	l := acquire(t, p, start, Request{Holder: "s128", Identity: "u128", WantIPv6: true})
	want(t, l, "", "2001:db8::7f")
}

func TestStickiness(t *testing.T) {
	p := seedPools(t, NewMemory())
	want(t, acquire(t, p, start, both("s1", "alice")), "192.0.2.1", "2001:db8::1")
	want(t, acquire(t, p, start, both("s2", "alice")), "192.0.2.2", "2001:db8::2")
	want(t, acquire(t, p, start, both("s3", "bob")), "192.0.2.3", "2001:db8::3")
	release(t, p, start, "s1")
	release(t, p, start, "s3")
	want(t, acquire(t, p, start, both("s4", "carl")), "192.0.2.4", "2001:db8::4")
	want(t, acquire(t, p, start, both("s5", "alice")), "192.0.2.1", "2001:db8::1")
	want(t, acquire(t, p, start, both("s6", "bob")), "192.0.2.3", "2001:db8::3")
	release(t, p, start, "s6")
	release(t, p, start, "s6") // twice is no error

	later := start.Add(DefaultRemember + time.Hour)
	want(t, acquire(t, p, later, both("s7", "dora")), "192.0.2.3", "2001:db8::3")
}

func TestTheLongestRememberedGoesFirstWhenFull(t *testing.T) {
	p := newPools(t, NewMemory(), PoolConfig{Name: "p", Ranges: ranges(t, "192.0.2.1-192.0.2.3")})
	for i := range 3 {
		acquire(t, p, start, Request{Holder: fmt.Sprint("s", i), Identity: fmt.Sprint("u", i), WantIPv4: true})
	}
	for _, i := range []int{1, 0, 2} {
		release(t, p, start.Add(time.Duration(i)), fmt.Sprint("s", i))
	}
	want(t, acquire(t, p, start, Request{Holder: "n1", Identity: "new", WantIPv4: true}), "192.0.2.2", "")
	want(t, acquire(t, p, start, Request{Holder: "n2", Identity: "u0", WantIPv4: true}), "192.0.2.1", "")
	want(t, acquire(t, p, start, Request{Holder: "n3", Identity: "u1", WantIPv4: true}), "192.0.2.3", "")
}

func TestMemoryIsBounded(t *testing.T) {
	store := NewMemory()
	p := newPools(t, store, PoolConfig{Name: "p", Ranges: ranges(t, "10.0.0.0/8", "2001:db8::/64"), MaxRemembered: 100})
	for i := range 5000 {
		holder := fmt.Sprint("s", i)
		acquire(t, p, start, both(holder, fmt.Sprint("u", i)))
		release(t, p, start, holder)
	}
	for _, u := range p.Usage() {
		if u.Remembered != 100 || u.Held != 0 {
			t.Errorf("%+v", u)
		}
	}
	// What is freed is used again before the cursor moves on.
	last := acquire(t, p, start, both("last", "last")).IPv4
	if limit := netip.MustParseAddr("10.0.0.102"); limit.Less(last) {
		t.Errorf("the cursor ran to %v", last)
	}
	if cs, _ := store.List(ctx); len(cs) > 202 {
		t.Errorf("the store keeps %d claims", len(cs))
	}
}

func TestFixedAddresses(t *testing.T) {
	p := newPools(t, NewMemory(), PoolConfig{Name: "p", Ranges: ranges(t, "192.0.2.0/29", "2001:db8::/125"), Reserved: []netip.Addr{netip.MustParseAddr("192.0.2.1")}})
	fixed := func(holder, identity string, addrs ...string) Request {
		r := both(holder, identity)
		for _, a := range addrs {
			r.Fixed = append(r.Fixed, netip.MustParseAddr(a))
		}
		return r
	}
	want(t, acquire(t, p, start, both("s0", "bob")), "192.0.2.2", "2001:db8::1")
	want(t, acquire(t, p, start, fixed("s1", "alice", "192.0.2.1", "2001:db8:f::5")), "192.0.2.1", "2001:db8:f::5")

	second := acquire(t, p, start, fixed("s2", "alice", "192.0.2.1", "2001:db8:f::5"))
	want(t, second, "192.0.2.3", "2001:db8::2")
	if fmt.Sprint(second.Missed) != "[192.0.2.1 2001:db8:f::5]" {
		t.Errorf("missed %v", second.Missed)
	}
	var used *InUseError
	if _, err := p.Acquire(ctx, start, fixed("s3", "carl", "198.51.100.7", "2001:db8:f::5")); !errors.As(err, &used) || used.Identity != "alice" || used.Holder != "s1" {
		t.Errorf("somebody else's: %v", err)
	}
	want(t, acquire(t, p, start, fixed("s4", "dora", "198.51.100.7")), "198.51.100.7", "2001:db8::3")

	// Reserved and outside addresses are nobody's after release; carl's try
	// left nothing behind.
	release(t, p, start, "s1")
	want(t, acquire(t, p, start, both("s5", "alice")), "192.0.2.4", "2001:db8::4")
	want(t, acquire(t, p, start, fixed("s6", "carl", "192.0.2.1", "2001:db8:f::5")), "192.0.2.1", "2001:db8:f::5")

	// A fixed address ahead of the cursor is skipped by it, and only wanted
	// families count.
	want(t, acquire(t, p, start, fixed("s7", "erna", "192.0.2.5")), "192.0.2.5", "2001:db8::5")
	want(t, acquire(t, p, start, Request{Holder: "s8", Identity: "fritz", WantIPv4: true, Fixed: []netip.Addr{netip.MustParseAddr("2001:db8::6")}}), "192.0.2.6", "")
	if u := p.Usage()[0]; u.Size != 5 || u.Held != 6 || !u.Alert {
		t.Errorf("%+v", u)
	}
}

// What is reserved while sessions are up goes to nobody else from then on,
// and what is no longer reserved to anybody.
func TestReserve(t *testing.T) {
	store := NewMemory()
	p := newPools(t, store, PoolConfig{Name: "p", Ranges: ranges(t, "192.0.2.1-192.0.2.6"), Reserved: []netip.Addr{netip.MustParseAddr("192.0.2.1")}})
	v4 := func(identity string, fixed ...string) Request {
		r := Request{Holder: "session of " + identity, Identity: identity, WantIPv4: true}
		for _, a := range fixed {
			r.Fixed = append(r.Fixed, netip.MustParseAddr(a))
		}
		return r
	}
	reserve := func(list ...string) {
		t.Helper()
		var addrs []netip.Addr
		for _, a := range list {
			addrs = append(addrs, netip.MustParseAddr(a))
		}
		if err := p.Reserve(ctx, addrs); err != nil {
			t.Fatal(err)
		}
	}
	want(t, acquire(t, p, start, v4("held")), "192.0.2.2", "")
	want(t, acquire(t, p, start, v4("remembered")), "192.0.2.3", "")
	release(t, p, start, "session of remembered")
	want(t, acquire(t, p, start, v4("")), "192.0.2.4", "")
	release(t, p, start, "session of ") // of nobody: freed at once

	// One each that is held, remembered, freed and untouched; 1 is let go.
	reserve("192.0.2.2", "192.0.2.3", "::ffff:192.0.2.4", "192.0.2.5", "203.0.113.1")
	if u := p.Usage()[0]; u.Size != 2 || u.Held != 1 || u.Remembered != 0 {
		t.Errorf("%+v", u)
	}
	if cs, _ := store.List(ctx); len(cs) != 1 || cs[0].Identity != "held" {
		t.Errorf("the store keeps %+v", cs)
	}
	var used *InUseError
	if _, err := p.Acquire(ctx, start, v4("owner of 2", "192.0.2.2")); !errors.As(err, &used) || used.Identity != "held" {
		t.Errorf("an address that is held: %v", err)
	}
	want(t, acquire(t, p, start, v4("remembered")), "192.0.2.1", "")
	want(t, acquire(t, p, start, v4("last")), "192.0.2.6", "")
	var full *ExhaustedError
	if l, err := p.Acquire(ctx, start, v4("too late")); !errors.As(err, &full) || full.Size != 2 {
		t.Errorf("%v, %v", l, err)
	}
	release(t, p, start, "session of held")
	if l, err := p.Acquire(ctx, start, v4("held")); !errors.As(err, &full) {
		t.Errorf("a reserved address comes back: %v, %v", l, err)
	}
	want(t, acquire(t, p, start, v4("owner of 2", "192.0.2.2")), "192.0.2.2", "")

	// What its owner holds is remembered for him once it is reserved no more.
	reserve()
	release(t, p, start, "session of owner of 2")
	for i := range 3 {
		acquire(t, p, start, v4(fmt.Sprint("new ", i)))
	}
	want(t, acquire(t, p, start, v4("owner of 2")), "192.0.2.2", "")
	if u := p.Usage()[0]; u.Size != 6 || u.Held != 6 {
		t.Errorf("%+v", u)
	}
}

func TestWishes(t *testing.T) {
	p := seedPools(t, NewMemory())
	wish := func(holder, identity, a string) Request {
		r := Request{Holder: holder, Identity: identity, WantIPv4: true, Wish: []netip.Addr{netip.MustParseAddr(a)}}
		return r
	}
	want(t, acquire(t, p, start, wish("s1", "alice", "192.0.2.50")), "192.0.2.50", "")
	want(t, acquire(t, p, start, wish("s2", "bob", "192.0.2.50")), "192.0.2.1", "")
	want(t, acquire(t, p, start, wish("s3", "carl", "192.0.2.0")), "192.0.2.2", "")
	want(t, acquire(t, p, start, wish("s4", "carl", "203.0.113.1")), "192.0.2.3", "")
	release(t, p, start, "s1")
	want(t, acquire(t, p, start, wish("s5", "bob", "192.0.2.50")), "192.0.2.4", "")
	want(t, acquire(t, p, start, wish("s6", "alice", "192.0.2.50")), "192.0.2.50", "")
}

func TestNamedPools(t *testing.T) {
	p := newPools(t, NewMemory(),
		PoolConfig{Name: "staff", Ranges: ranges(t, "192.0.2.0/25")},
		PoolConfig{Name: "guests", Ranges: ranges(t, "198.51.100.4/30", "198.51.100.9", "2001:db8::/96")})
	want(t, acquire(t, p, start, both("s1", "a")), "192.0.2.1", "")
	for i, v4 := range []string{"198.51.100.5", "198.51.100.6", "198.51.100.9"} {
		r := both(fmt.Sprint("g", i), fmt.Sprint("g", i))
		r.Pool = "guests"
		want(t, acquire(t, p, start, r), v4, fmt.Sprint("2001:db8::", i+1))
	}
	var unknown *UnknownPoolError
	if _, err := p.Acquire(ctx, start, Request{Holder: "x", Pool: "nobody", WantIPv4: true}); !errors.As(err, &unknown) || len(unknown.Known) != 2 {
		t.Errorf("unknown pool: %v", err)
	}
	var none *ExhaustedError
	if _, err := p.Acquire(ctx, start, Request{Holder: "x", WantIPv6: true}); !errors.As(err, &none) || none.Size != 0 || none.Family != IPv6 {
		t.Errorf("a family the pool hasn't: %v", err)
	}
	var twice *DuplicateHolderError
	if _, err := p.Acquire(ctx, start, both("s1", "a")); !errors.As(err, &twice) {
		t.Errorf("a second lease: %v", err)
	}
}

// TestPoolOfEachFamily takes the IPv6 address from a pool of its own.
func TestPoolOfEachFamily(t *testing.T) {
	p := newPools(t, NewMemory(),
		PoolConfig{Name: "both", Ranges: ranges(t, "192.0.2.0/25", "2001:db8::/96")},
		PoolConfig{Name: "staff", Ranges: ranges(t, "198.51.100.0/24")},
		PoolConfig{Name: "six", Ranges: ranges(t, "2001:db8:6::/96")})
	for i, c := range []struct{ pool, pool6, v4, v6 string }{
		{"", "six", "192.0.2.1", "2001:db8:6::1"},
		{"staff", "six", "198.51.100.1", "2001:db8:6::2"},
		{"staff", "both", "198.51.100.2", "2001:db8::1"},
		{"six", "staff", "", ""},
	} {
		r := both(fmt.Sprint("s", i), fmt.Sprint("user", i))
		r.Pool, r.Pool6 = c.pool, c.pool6
		l, err := p.Acquire(ctx, start, r)
		var none *ExhaustedError
		if errors.As(err, &none) != (c.v4 == "") {
			t.Errorf("%+v: %v", c, err)
		}
		want(t, l, c.v4, c.v6)
	}
	var unknown *UnknownPoolError
	if _, err := p.Acquire(ctx, start, Request{Holder: "x", Pool6: "nobody", WantIPv6: true}); !errors.As(err, &unknown) || unknown.Pool != "nobody" {
		t.Errorf("an unknown pool: %v", err)
	}
}

func TestOneAddressWhereOneIsBest(t *testing.T) {
	p := newPools(t, NewMemory(),
		PoolConfig{Name: "both", Ranges: ranges(t, "192.0.2.0/25", "2001:db8::/96")}, PoolConfig{Name: "IPv6", Ranges: ranges(t, "2001:db8:6::/96")})
	for pool, addresses := range map[string][2]string{"both": {"192.0.2.1", ""}, "IPv6": {"", "2001:db8:6::1"}} {
		r := both(pool, pool)
		r.Pool, r.OneIsBest = pool, true
		want(t, acquire(t, p, start, r), addresses[0], addresses[1])
	}
}

func TestPoolsThatCannotStand(t *testing.T) {
	cfg := func(name string, texts ...string) PoolConfig {
		return PoolConfig{Name: name, Ranges: ranges(t, texts...)}
	}
	for what, cfgs := range map[string][]PoolConfig{
		"none":          {},
		"empty":         {cfg("a")},
		"own overlap":   {cfg("a", "192.0.2.0/25", "192.0.2.100-192.0.2.200")},
		"overlap":       {cfg("a", "192.0.2.0/25"), cfg("b", "192.0.2.0/30")},
		"equal names":   {cfg("a", "192.0.2.0/25"), cfg("a", "198.51.100.0/25")},
		"no real range": {{Name: "a", Ranges: []Range{{}}}},
	} {
		var bad *ConfigError
		if _, err := NewPools(cfgs, NewMemory()); !errors.As(err, &bad) || bad.Problem == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestUsageAlertsAt80Percent(t *testing.T) {
	p := newPools(t, NewMemory(), PoolConfig{Name: "p", Ranges: ranges(t, "192.0.2.1-192.0.2.10")})
	for i := 1; i <= 10; i++ {
		acquire(t, p, start, Request{Holder: fmt.Sprint(i), WantIPv4: true})
		if got := p.Usage()[0].Alert; got != (i >= 8) {
			t.Errorf("%d of 10: alert %v", i, got)
		}
	}
}

func TestManyAtOnceGetDifferentAddresses(t *testing.T) {
	store := openBolt(t, filepath.Join(t.TempDir(), "leases.db"))
	defer store.Close()
	p := seedPools(t, store)
	var mu sync.Mutex
	holders := make(map[netip.Addr]string)
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 30 {
				holder := fmt.Sprintf("s%d-%d", w, i)
				l, err := p.Acquire(ctx, start, both(holder, fmt.Sprint("u", (w*31+i)%7)))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, a := range []netip.Addr{l.IPv4, l.IPv6} {
					if other, taken := holders[a]; taken {
						t.Errorf("%v for %s is held by %s", a, holder, other)
					}
					holders[a] = holder
				}
				delete(holders, l.IPv4)
				delete(holders, l.IPv6)
				mu.Unlock()
				if err := p.Release(ctx, start, holder); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if u := p.Usage()[0]; u.Held != 0 || u.Remembered == 0 {
		t.Errorf("%+v", u)
	}
}

func TestAFreedAddressClaimedByNameIsNotGivenTwice(t *testing.T) {
	p := newPools(t, NewMemory(), PoolConfig{Name: "p", Ranges: ranges(t, "192.0.2.1-192.0.2.3"), Remember: -1})
	v4 := func(holder string) Request { return Request{Holder: holder, Identity: holder, WantIPv4: true} }
	for _, h := range []string{"a", "b"} {
		acquire(t, p, start, v4(h))
		release(t, p, start, h)
	}
	named := v4("named")
	named.Fixed = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	want(t, acquire(t, p, start, named), "192.0.2.1", "")
	want(t, acquire(t, p, start, v4("c")), "192.0.2.2", "")
	want(t, acquire(t, p, start, v4("d")), "192.0.2.3", "")
	var full *ExhaustedError
	if l, err := p.Acquire(ctx, start, v4("e")); !errors.As(err, &full) {
		t.Errorf("%v, %v", l, err)
	}
}

func TestAnAddressAheadOfTheCursorIsNotGivenTwice(t *testing.T) {
	p := newPools(t, NewMemory(), PoolConfig{Name: "p", Ranges: ranges(t, "192.0.2.1-192.0.2.3")})
	v4 := func(holder string) Request { return Request{Holder: holder, WantIPv4: true} }
	ahead := v4("ahead")
	ahead.Wish = []netip.Addr{netip.MustParseAddr("192.0.2.3")}
	want(t, acquire(t, p, start, ahead), "192.0.2.3", "")
	release(t, p, start, "ahead")
	for i := 1; i <= 3; i++ {
		want(t, acquire(t, p, start, v4(fmt.Sprint(i))), fmt.Sprint("192.0.2.", i), "")
	}
	var full *ExhaustedError
	if l, err := p.Acquire(ctx, start, v4("4")); !errors.As(err, &full) {
		t.Errorf("%v, %v", l, err)
	}
}
