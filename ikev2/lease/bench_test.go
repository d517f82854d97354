package lease

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
)

// BenchmarkAcquire is a login and logout of ever new users, with pools that
// are empty, full but for one address, and beyond any array.
func BenchmarkAcquire(b *testing.B) {
	for _, bb := range []struct {
		pool string
		held int
	}{{"192.0.2.0/25", 0}, {"192.0.2.0/25", 125}, {"10.0.0.0/12", 1<<20 - 3}, {"2001:db8::/64", 1000}} {
		b.Run(fmt.Sprintf("%s-%d-held", bb.pool, bb.held), func(b *testing.B) {
			p := newPools(b, &discard{}, PoolConfig{Name: "p", Ranges: ranges(b, bb.pool)})
			for i := range bb.held {
				acquire(b, p, start, both(fmt.Sprint("h", i), ""))
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				holder := fmt.Sprint("s", i)
				acquire(b, p, start, both(holder, holder))
				release(b, p, start, holder)
			}
		})
	}
}

// discard is a store that keeps nothing.
type discard struct{ Memory }

func (*discard) Claim(context.Context, []Claim) error                         { return nil }
func (*discard) Release(context.Context, string, []Claim, []netip.Addr) error { return nil }
func (*discard) List(context.Context) ([]Claim, error)                        { return nil, nil }

// BenchmarkLogins is many logins at once over the real store; they share
// transactions, each with its fsync.
func BenchmarkLogins(b *testing.B) {
	for _, clients := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("%d-at-once", clients), func(b *testing.B) {
			store := openBolt(b, filepath.Join(b.TempDir(), "leases.db"))
			defer store.Close()
			p := newPools(b, store, PoolConfig{Name: "p", Ranges: ranges(b, "10.0.0.0/8", "2001:db8::/64")})
			var n atomic.Int64
			b.SetParallelism(max(1, clients/runtime.GOMAXPROCS(0)))
			if clients == 1 {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			}
			before := store.db.Stats()
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := n.Add(1)
					holder := fmt.Sprint("s", i)
					if _, err := p.Acquire(ctx, start, both(holder, fmt.Sprint("u", i%1000))); err != nil {
						b.Error(err)
					}
					if err := p.Release(ctx, start, holder); err != nil {
						b.Error(err)
					}
				}
			})
			stats := store.db.Stats()
			writes := stats.Sub(&before)
			b.ReportMetric(float64(writes.TxStats.GetWrite())/float64(b.N), "pages/op")
		})
	}
}

// BenchmarkMemory reports what one lease of two addresses costs.
func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		holders, users := make([]string, n), make([]string, n)
		for i := range n {
			holders[i], users[i] = fmt.Sprintf("%016x", i), fmt.Sprint("user", i)
		}
		p := newPools(b, &discard{}, PoolConfig{Name: "p", Ranges: ranges(b, "10.0.0.0/8", "2001:db8::/64")})
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range n {
			acquire(b, p, start, both(holders[i], users[i]))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/lease")
		runtime.KeepAlive(p)
		runtime.KeepAlive(holders)
		runtime.KeepAlive(users)
	}
}
