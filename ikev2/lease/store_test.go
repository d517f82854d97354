package lease

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// TestSurvivesACrash kills the store without releasing anything.
func TestSurvivesACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases.db")
	store := openBolt(t, path)
	p := seedPools(t, store)
	want(t, acquire(t, p, start, both("s1", "alice")), "192.0.2.1", "2001:db8::1")
	want(t, acquire(t, p, start, both("s2", "bob")), "192.0.2.2", "2001:db8::2")
	release(t, p, start, "s2")
	want(t, acquire(t, p, start, Request{Holder: "s3", Identity: "out", WantIPv4: true, Fixed: []netip.Addr{netip.MustParseAddr("198.51.100.1")}}), "198.51.100.1", "")
	crash(t, store)

	store = openBolt(t, path)
	p = seedPools(t, store)
	if us := p.Usage(); us[0].Held != 0 || us[0].Remembered != 2 {
		t.Errorf("after the crash: %+v", us)
	}
	want(t, acquire(t, p, start, both("s4", "new")), "192.0.2.3", "2001:db8::3")
	want(t, acquire(t, p, start, both("s5", "bob")), "192.0.2.2", "2001:db8::2")
	want(t, acquire(t, p, start, both("s6", "alice")), "192.0.2.1", "2001:db8::1")
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}

	// The memory of a dead session ends like any other; a pool that changed
	// its range forgets what lies outside.
	store = openBolt(t, path)
	later := start.Add(DefaultRemember + time.Second)
	p = seedPools(t, store)
	acquire(t, p, later, both("s7", "late"))
	if us := p.Usage(); us[0].Remembered != 0 {
		t.Errorf("after the time to live: %+v", us)
	}
	p = newPools(t, store, PoolConfig{Name: "p", Ranges: ranges(t, "203.0.113.0/24")})
	if us := p.Usage(); us[0].Remembered != 0 {
		t.Errorf("after the range changed: %+v", us)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestClosingWritesReleases(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases.db")
	store := openBolt(t, path)
	p := seedPools(t, store)
	acquire(t, p, start, both("s1", "alice"))
	release(t, p, start.Add(time.Hour), "s1")
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	store = openBolt(t, path)
	cs, err := store.List(ctx)
	if err != nil || len(cs) != 2 || cs[0].Holder != "" || !cs[0].Until.Equal(start.Add(time.Hour+DefaultRemember)) {
		t.Errorf("%+v, %v", cs, err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.Claim(ctx, cs); !errors.Is(err, ErrClosed) {
		t.Errorf("claim after Close: %v", err)
	}
}

func openBolt(t testing.TB, path string) *Bolt {
	t.Helper()
	b, err := OpenBolt(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// crash drops what the store has not yet written, as a kill does.
func crash(t interface {
	Helper()
	Fatal(...any)
}, b *Bolt) {
	t.Helper()
	b.mu.Lock()
	b.closed, b.pending = true, nil
	close(b.wake)
	b.mu.Unlock()
	<-b.done
	if err := b.db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestASecondProcessIsToldSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases.db")
	defer openBolt(t, path).Close()
	var se *StoreError
	if _, err := OpenBolt(path); !errors.As(err, &se) {
		t.Errorf("opened twice: %v", err)
	}
	if _, err := OpenBolt(filepath.Join(path, "below", "a", "file")); !errors.As(err, &se) {
		t.Errorf("no such folder: %v", err)
	}
}

// faulty is a store with moods.
type faulty struct {
	*Memory
	claim func(cs []Claim) error
}

func (f *faulty) Claim(ctx context.Context, cs []Claim) error {
	if err := f.claim(cs); err != nil {
		return err
	}
	return f.Memory.Claim(ctx, cs)
}

func TestAStoreThatFailsPromisesNothing(t *testing.T) {
	store := &faulty{Memory: NewMemory(), claim: func([]Claim) error { return errors.New("disk full") }}
	p := seedPools(t, store)
	var se *StoreError
	if l, err := p.Acquire(ctx, start, both("s1", "alice")); !errors.As(err, &se) || l.IPv4.IsValid() {
		t.Errorf("%v, %v", l, err)
	}
	if us := p.Usage(); us[0].Held != 0 {
		t.Errorf("%+v", us)
	}
	store.claim = func([]Claim) error { return nil }
	want(t, acquire(t, p, start, both("s1", "alice")), "192.0.2.1", "2001:db8::1")
}

// TestASharedStore: two gateways over one store never give the same address.
func TestASharedStore(t *testing.T) {
	store := NewMemory()
	a, b := seedPools(t, store), seedPools(t, store)
	for i := range 5 {
		want(t, acquire(t, a, start, both(fmt.Sprint("a", i), fmt.Sprint("a", i))), fmt.Sprintf("192.0.2.%d", i+1), fmt.Sprintf("2001:db8::%x", i+1))
	}
	want(t, acquire(t, b, start, both("b0", "b0")), "192.0.2.6", "2001:db8::6")
	for i := 6; i < 30; i++ {
		acquire(t, a, start, both(fmt.Sprint("a", i), fmt.Sprint("a", i)))
	}
	var held *HeldError
	if _, err := b.Acquire(ctx, start, both("b1", "b1")); !errors.As(err, &held) {
		t.Errorf("more than %d tries: %v", maxStoreTries, err)
	}
	if u := b.Usage()[0]; u.Held != 1 {
		t.Errorf("the failed one holds something: %+v", u)
	}
}

func TestReleaseWhileTheStoreWrites(t *testing.T) {
	store := &faulty{Memory: NewMemory()}
	p := seedPools(t, store)
	store.claim = func([]Claim) error { return p.Release(ctx, start, "s1") }
	var gone *ReleasedError
	if _, err := p.Acquire(ctx, start, both("s1", "alice")); !errors.As(err, &gone) {
		t.Errorf("%v", err)
	}
	if u := p.Usage()[0]; u.Held != 0 || u.Remembered != 1 {
		t.Errorf("%+v", u)
	}
	store.claim = func([]Claim) error { return nil }
	acquire(t, p, start, both("s1", "alice"))
}

func TestACancelledLoginHoldsNothing(t *testing.T) {
	store := openBolt(t, filepath.Join(t.TempDir(), "leases.db"))
	defer store.Close()
	p := seedPools(t, store)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for i := range 20 { // whether the write or the cancel wins
		holder := fmt.Sprint("s", i)
		if _, err := p.Acquire(cancelled, start, both(holder, "alice")); err == nil {
			release(t, p, start, holder)
		} else if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if u := p.Usage()[0]; u.Held != 0 {
		t.Errorf("%+v", u)
	}
	acquire(t, p, start, both("s", "alice"))
}

// TestAClaimOfUnknownOutcomeIsGivenBack: the store wrote, but its answer was
// lost.
func TestAClaimOfUnknownOutcomeIsGivenBack(t *testing.T) {
	store := &faulty{Memory: NewMemory()}
	store.claim = func(cs []Claim) error {
		return errors.Join(store.Memory.Claim(ctx, cs), errors.New("connection lost"))
	}
	p := seedPools(t, store)
	if _, err := p.Acquire(ctx, start, both("s1", "alice")); err == nil {
		t.Fatal("no error")
	}
	cs, err := store.List(ctx)
	if err != nil || len(cs) != 2 || cs[0].Holder != "" || cs[1].Holder != "" {
		t.Errorf("%+v, %v", cs, err)
	}
}

// commits tells how many transactions were written to the file.
func commits(t *testing.T, store *Bolt) (n int) {
	t.Helper()
	if err := store.db.View(func(tx *bolt.Tx) error { n = tx.ID(); return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOnlyNewsIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases.db")
	store := openBolt(t, path)
	p := newPools(t, store, PoolConfig{Name: "p", Ranges: ranges(t, "192.0.2.1-192.0.2.1")})
	v4 := func(holder, identity string) Request {
		return Request{Holder: holder, Identity: identity, WantIPv4: true}
	}
	for _, step := range []struct {
		holder, identity string
		writes           int
		why              string
	}{
		{"s1", "alice", 1, "a first lease is on disk before it is promised"},
		{"s2", "alice", 0, "the disk remembers the address for her"},
		{"s3", "bob", 1, "it was hers"},
		{"s4", "alice", 1, "it became his"},
		{"s5", "alice", 0, "it is hers again"},
	} {
		before := commits(t, store)
		acquire(t, p, start, v4(step.holder, step.identity))
		if n := commits(t, store) - before; n != step.writes {
			t.Errorf("%s for %s: %d writes, want %d: %s", step.holder, step.identity, n, step.writes, step.why)
		}
		release(t, p, start, step.holder)
	}
	crash(t, store)
	store = openBolt(t, path)
	claims, err := store.List(t.Context())
	if err != nil || len(claims) != 1 || claims[0].Identity != "alice" {
		t.Errorf("after the crash: %+v, %v", claims, err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}
