package dae

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// keep is how long an answer is kept for a request without Event-Timestamp:
	// as long as clients repeat one (RFC 5080 §2.2.1).
	keep = 30 * time.Second
	// cachedPerClient and cachedInAll bound the answers kept, at some 200 octets
	// each. Only authentic requests get here.
	cachedPerClient = 16384
	cachedInAll     = 65536
	// sweepEvery is how often answers that are no longer needed are looked for.
	sweepEvery = 10 * time.Second
)

// cacheKey is what a repeated request has in common with the first: its
// authenticator, which is a digest of all of it. A request without
// Event-Timestamp may mean a new event with the same octets: then it is a
// repetition only from the same address and port.
type cacheKey struct {
	client        string
	from          netip.AddrPort
	id            uint8
	authenticator [authenticatorLen]byte
}

// cached is a request's answer; nil: it is being worked on.
type cached struct {
	answer []byte
	until  time.Time
}

// cache has the answers to requests of late, so that a repeated request is
// answered again without a second effect. An answer to a request with
// Event-Timestamp is kept until that is out of the window: a recorded request
// never has its effect twice.
type cache struct {
	mu      sync.Mutex
	entries map[cacheKey]cached // guarded by mu
	clients map[string]int      // entries of each; guarded by mu
	sweep   time.Time           // guarded by mu
}

func newCache() *cache {
	return &cache{entries: make(map[cacheKey]cached), clients: make(map[string]int)}
}

func keyOf(client string, from netip.AddrPort, q *request) cacheKey {
	k := cacheKey{client: client, from: from, id: q.id, authenticator: q.authenticator}
	if !q.dated.IsZero() {
		k.from = netip.AddrPort{}
	}
	return k
}

// begin notes that a request is being worked on. For one that was there before
// it gives the answer, or a discard while there is none yet.
func (c *cache) begin(now time.Time, k cacheKey, dated time.Time) (answer []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(now)
	if e, known := c.entries[k]; known && now.Before(e.until) {
		if e.answer == nil {
			return nil, discardDuplicate
		}
		return e.answer, nil
	} else if known {
		c.drop(k)
	}
	if len(c.entries) >= cachedInAll || c.clients[k.client] >= cachedPerClient {
		return nil, discardBusy
	}
	until := now.Add(keep)
	if end := dated.Add(window + time.Second); end.After(until) {
		until = end
	}
	c.entries[k] = cached{until: until}
	c.clients[k.client]++
	return nil, nil
}

// finish keeps the answer of a request that was begun.
func (c *cache) finish(k cacheKey, answer []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, known := c.entries[k]; known {
		e.answer = answer
		c.entries[k] = e
	}
}

// abandon forgets a request that was begun and had no effect.
func (c *cache) abandon(k cacheKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.entries[k]; known {
		c.drop(k)
	}
}

// drop takes an entry out; mu is held.
func (c *cache) drop(k cacheKey) {
	delete(c.entries, k)
	if c.clients[k.client]--; c.clients[k.client] == 0 {
		delete(c.clients, k.client)
	}
}

// forget takes out, now and then, what is no longer needed; mu is held.
func (c *cache) forget(now time.Time) {
	if now.Before(c.sweep) {
		return
	}
	c.sweep = now.Add(sweepEvery)
	for k, e := range c.entries {
		if !now.Before(e.until) {
			c.drop(k)
		}
	}
}
