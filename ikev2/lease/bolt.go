package lease

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// claimsBucket holds the claims: the address in 4 or 16 octets to its JSON.
// The number in the name is the version of the form.
var claimsBucket = []byte("claims-1")

const (
	// openTimeout bounds the wait for a lock that another process holds.
	openTimeout = time.Second
	// maxPending is how many lazily written changes may wait for a claim to
	// take them along.
	maxPending = 1024
)

// ErrClosed tells that the store was closed.
var ErrClosed = errors.New("the lease store is closed")

// Bolt is a Store in one file, for one gateway. A single writer takes all
// that waits into one transaction, so that many logins at once share one
// fsync. Releases are written along with the next claim, or at Close.
type Bolt struct {
	db   *bolt.DB
	wake chan struct{} // of one; tells the writer that there is work
	done chan struct{} // closed when the writer has ended

	mu      sync.Mutex
	pending []change       // in order of the calls
	writing []change       // taken by the writer, not yet committed
	waiters []chan<- error // claims among the pending
	closed  bool
}

// change sets the claim of an address, or deletes it where value is nil.
type change struct {
	key, value []byte
	identity   string // of the claim set
}

// OpenBolt opens or creates the file, with mode 0600. It fails within a
// second if another process has it open.
func OpenBolt(path string) (*Bolt, error) {
	db, err := openWhole(path)
	if err != nil {
		return nil, &StoreError{Op: "open " + path, Err: err}
	}
	b := &Bolt{db: db, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go b.writeLoop()
	return b, nil
}

// openWhole opens the file and reads all of it once. bbolt trusts what it reads:
// damage makes it panic, and a file cut short faults. Both are found here, where
// they can be told, and not in the middle of a login.
func openWhole(path string) (db *bolt.DB, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	const damaged = "the file is damaged (%v); move it away: all that is lost is who had which address last"
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf(damaged, fault)
		}
	}()
	db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: openTimeout, FreelistType: bolt.FreelistMapType})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("another process has it open; stop the other gateway or give this one a file of its own: %w", err)
	case errors.As(err, new(*fs.PathError)):
		return nil, fmt.Errorf("%w; the folder must exist and be writable", err)
	case err != nil:
		return nil, fmt.Errorf(damaged, err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists(claimsBucket)
		if err != nil {
			return err
		}
		return bucket.ForEach(func(k, v []byte) error {
			readClaim(k, v)
			return nil
		})
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Claim implements Store. The file has one user, so no claim is refused. It
// waits for the disk unless that already remembers the addresses for whom they
// are claimed: holders do not outlive the process, so a crash would leave the
// same. Those who come again cost no write of their own.
func (b *Bolt) Claim(ctx context.Context, cs []Claim) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.remembers(cs) {
		return b.queue(cs, nil, nil)
	}
	written := make(chan error, 1)
	if err := b.queue(cs, nil, written); err != nil {
		return err
	}
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Release implements Store. It doesn't wait for the disk. The file has one
// user, so all claims are the caller's.
func (b *Bolt) Release(_ context.Context, _ string, keep []Claim, forget []netip.Addr) error {
	return b.queue(keep, forget, nil)
}

// queue appends changes in order; written, if not nil, gets their outcome.
func (b *Bolt) queue(set []Claim, forget []netip.Addr, written chan<- error) error {
	changes := make([]change, 0, len(set)+len(forget))
	for _, c := range set {
		v, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("encode the claim on %v: %w", c.Addr, err)
		}
		changes = append(changes, change{c.Addr.AsSlice(), v, c.Identity})
	}
	for _, a := range forget {
		changes = append(changes, change{key: a.AsSlice()})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	b.pending = append(b.pending, changes...)
	if written != nil {
		b.waiters = append(b.waiters, written)
	}
	if written != nil || len(b.pending) >= maxPending {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// remembers tells whether all of cs, or the same identities for the same
// addresses, are on disk, and no change on the way there says otherwise.
func (b *Bolt) remembers(cs []Claim) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.db.View(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(claimsBucket)
		for _, c := range cs {
			key := c.Addr.AsSlice()
			var stored Claim
			if json.Unmarshal(bucket.Get(key), &stored) != nil || stored.Identity != c.Identity {
				return errNotRemembered
			}
			for _, list := range [...][]change{b.writing, b.pending} {
				for _, on := range list {
					if bytes.Equal(on.key, key) && (on.value == nil || on.identity != c.Identity) {
						return errNotRemembered
					}
				}
			}
		}
		return nil
	})
	return err == nil
}

// errNotRemembered ends a look into the file; nobody else sees it.
var errNotRemembered = errors.New("not remembered")

// writeLoop ends when wake is closed and everything is written.
func (b *Bolt) writeLoop() {
	defer close(b.done)
	for range b.wake {
		b.flush()
	}
	b.flush()
}

// flush writes all that is pending in one transaction. If that fails the
// claims' callers learn of it; the releases are lost, which leaves what a
// crash would: claims without a living holder.
func (b *Bolt) flush() {
	b.mu.Lock()
	changes, waiters := b.pending, b.waiters
	b.pending, b.writing, b.waiters = nil, changes, nil
	b.mu.Unlock()
	if len(changes) == 0 && len(waiters) == 0 {
		return
	}
	err := b.db.Update(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(claimsBucket)
		for _, c := range changes {
			var err error
			if c.value == nil {
				err = bucket.Delete(c.key)
			} else {
				err = bucket.Put(c.key, c.value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	b.mu.Lock()
	b.writing = nil
	b.mu.Unlock()
	for _, w := range waiters {
		w <- err
	}
}

// List implements Store. Claims that can't be read are left out: a damaged
// memory of an address costs its stickiness, not the gateway's start.
func (b *Bolt) List(ctx context.Context) ([]Claim, error) {
	var cs []Claim
	err := b.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(claimsBucket).ForEach(func(k, v []byte) error {
			if c, ok := readClaim(k, v); ok {
				cs = append(cs, c)
			}
			return ctx.Err()
		})
	})
	return cs, err
}

func readClaim(k, v []byte) (c Claim, ok bool) {
	c.Addr, ok = netip.AddrFromSlice(k)
	return c, ok && json.Unmarshal(v, &c) == nil
}

// Close writes what is pending and closes the file.
func (b *Bolt) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return ErrClosed
	}
	b.closed = true
	close(b.wake)
	b.mu.Unlock()
	<-b.done
	return b.db.Close()
}
