package tunnel

import (
	"hash/maphash"
	"sync/atomic"
)

// table is a hash table that any number of goroutines read without locking
// while one at a time writes. Writing costs the same at any size, but for the
// doubling, as with a Go map.
type table[K comparable, V any] struct {
	seed    maphash.Seed
	buckets atomic.Pointer[buckets[K, V]]
	count   int // writers only
}

type buckets[K comparable, V any] []atomic.Pointer[entry[K, V]]

// entry is linked into one bucket. Its key never changes. A reader that stands
// on an entry while it is removed still finds its way on.
type entry[K comparable, V any] struct {
	key   K
	value atomic.Pointer[V]
	next  atomic.Pointer[entry[K, V]]
}

const minBuckets = 16

func newTable[K comparable, V any]() *table[K, V] {
	t := &table[K, V]{seed: maphash.MakeSeed()}
	b := make(buckets[K, V], minBuckets)
	t.buckets.Store(&b)
	return t
}

func (t *table[K, V]) bucket(b buckets[K, V], k K) *atomic.Pointer[entry[K, V]] {
	return &b[maphash.Comparable(t.seed, k)&uint64(len(b)-1)]
}

// get gives the value of k, nil if there is none.
func (t *table[K, V]) get(k K) *V {
	for e := t.bucket(*t.buckets.Load(), k).Load(); e != nil; e = e.next.Load() {
		if e.key == k {
			return e.value.Load()
		}
	}
	return nil
}

// set gives k the value v.
func (t *table[K, V]) set(k K, v *V) {
	head := t.bucket(*t.buckets.Load(), k)
	for e := head.Load(); e != nil; e = e.next.Load() {
		if e.key == k {
			e.value.Store(v)
			return
		}
	}
	if t.count >= len(*t.buckets.Load()) {
		t.grow()
		head = t.bucket(*t.buckets.Load(), k)
	}
	push(head, k, v)
	t.count++
}

func push[K comparable, V any](head *atomic.Pointer[entry[K, V]], k K, v *V) {
	e := &entry[K, V]{key: k}
	e.value.Store(v)
	e.next.Store(head.Load())
	head.Store(e)
}

// grow doubles the buckets. The entries are made anew, because readers may
// still walk the old ones.
func (t *table[K, V]) grow() {
	old := *t.buckets.Load()
	b := make(buckets[K, V], 2*len(old))
	for i := range old {
		for e := old[i].Load(); e != nil; e = e.next.Load() {
			push(t.bucket(b, e.key), e.key, e.value.Load())
		}
	}
	t.buckets.Store(&b)
}

// remove forgets k.
func (t *table[K, V]) remove(k K) {
	link := t.bucket(*t.buckets.Load(), k)
	for e := link.Load(); e != nil; e = link.Load() {
		if e.key == k {
			link.Store(e.next.Load())
			t.count--
			return
		}
		link = &e.next
	}
}
