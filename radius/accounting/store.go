package accounting

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Buckets of the file; the number is the version of the form.
var (
	bucketMeta     = []byte("meta-1")
	bucketSessions = []byte("sessions-1") // session id to entry
	bucketRecords  = []byte("records-1")  // recordKey to record
	bucketNotes    = []byte("notes-1")    // session id to note
	bucketMarks    = []byte("marks-1")    // markKey to record
)

var keyEpoch = []byte("epoch")

const (
	openTimeout = time.Second
	// lazyTime is how long a change that nobody waits for may stay in memory.
	lazyTime = time.Second
	// rewriteTime is the pause after which what could not be written is written
	// again.
	rewriteTime = 2 * time.Second
)

// change sets a key, or deletes it where value is nil.
type change struct{ bucket, key, value []byte }

// write is a set of changes that are made together.
type write struct {
	changes []change
	lazy    bool // nobody waits
	keep    bool // what fails is tried again until it succeeds
	// committed is called in the order of the commits, by the writer.
	committed func()
	failed    func()     // where it is not kept
	outcome   chan error // takes one: the first
}

// store is the spool's file. One writer takes all that waits into one
// transaction, so that many sessions at once share one fsync.
type store struct {
	db   *bolt.DB
	wake chan struct{} // of one
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex
	pending []*write // guarded by mu
	failed  int      // of pending: they wait for the disk; guarded by mu
	closed  bool     // guarded by mu
}

// openStore opens or creates the file, with mode 0600, and reads all of it: what
// is damaged is found here.
func openStore(path string, read func(tx *bolt.Tx) error) (*store, error) {
	db, err := openWhole(path, read)
	if err != nil {
		return nil, &StoreError{Path: path, Err: err}
	}
	s := &store{db: db, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go s.run()
	return s, nil
}

func openWhole(path string, read func(tx *bolt.Tx) error) (db *bolt.DB, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	const damaged = "the file is damaged (%v); move it away, and tell whoever bills by it: what it held is not reported"
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf(damaged, fault)
		}
	}()
	db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: openTimeout, FreelistType: bolt.FreelistMapType, NoFreelistSync: true})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("another process has it open; stop the other gateway or give this one a state folder of its own: %w", err)
	case errors.As(err, new(*fs.PathError)):
		return nil, fmt.Errorf("%w; the folder must exist and be writable", err)
	case err != nil:
		return nil, fmt.Errorf(damaged, err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, b := range [][]byte{bucketMeta, bucketSessions, bucketRecords, bucketNotes, bucketMarks} {
			if _, err := tx.CreateBucketIfNotExists(b); err != nil {
				return err
			}
		}
		return read(tx)
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// put queues a write. Afterwards the caller may wait for its outcome. The error
// is ErrClosed.
func (s *store) put(w *write) error {
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.pending = append(s.pending, w)
	}
	s.mu.Unlock()
	if closed {
		w.tell(ErrClosed)
		return ErrClosed
	}
	if !w.lazy {
		s.rouse()
	}
	return nil
}

func (s *store) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (w *write) tell(err error) {
	if w.outcome != nil {
		w.outcome <- err
		w.outcome = nil
	}
}

// run ends with close.
func (s *store) run() {
	defer close(s.done)
	ticker := time.NewTicker(lazyTime)
	defer ticker.Stop()
	var pause time.Time // after a failure
	for {
		select {
		case <-s.stop:
			s.flush()
			return
		case <-s.wake:
		case <-ticker.C:
			if time.Now().Before(pause) {
				continue
			}
		}
		if !s.flush() {
			pause = time.Now().Add(rewriteTime)
		}
	}
}

// flush writes all that waits in one transaction.
func (s *store) flush() bool {
	s.mu.Lock()
	batch := s.pending
	s.pending = nil
	s.mu.Unlock()
	if len(batch) == 0 {
		return true
	}
	err := s.commit(batch)
	if err == nil {
		s.mu.Lock()
		s.failed = 0
		s.mu.Unlock()
		for _, w := range batch {
			if w.committed != nil {
				w.committed()
			}
			w.tell(nil)
		}
		return true
	}
	kept := batch[:0:0]
	for _, w := range batch {
		if w.keep {
			kept = append(kept, w)
		}
	}
	s.mu.Lock()
	s.pending = append(kept, s.pending...)
	s.failed = len(kept)
	s.mu.Unlock()
	for _, w := range batch {
		if w.failed != nil && !w.keep {
			w.failed()
		}
		w.tell(err)
	}
	return false
}

func (s *store) commit(batch []*write) error {
	err := s.db.Update(func(tx *bolt.Tx) error {
		for _, w := range batch {
			for _, c := range w.changes {
				b, err := tx.Bucket(c.bucket), error(nil)
				if c.value == nil {
					err = b.Delete(c.key)
				} else {
					err = b.Put(c.key, c.value)
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return &StoreError{Path: s.db.Path(), Err: err}
	}
	return nil
}

// unsaved is how many writes wait for a disk that does not take them.
func (s *store) unsaved() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// load reads a session and its first record from number n on. The error is a
// errDamaged, errFlawed, errNoRecord or the file's.
func (s *store) load(id string, n uint32) (e entry, r record, at uint32, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		if e, err = parse[entry](tx.Bucket(bucketSessions).Get([]byte(id))); err != nil {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
		k, v := tx.Bucket(bucketRecords).Cursor().Seek(recordKey(id, n))
		if !bytes.HasPrefix(k, append([]byte(id), 0)) {
			return errNoRecord
		}
		if _, at, err = readRecordKey(k); err != nil {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
		if r, err = parse[record](v); err != nil {
			return fmt.Errorf("%w: %w", errFlawed, err)
		}
		return nil
	})
	return e, r, at, err
}

// loadMark reads On or Off of an epoch.
func (s *store) loadMark(epoch uint64, k kind) (r record, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		r, err = parse[record](tx.Bucket(bucketMarks).Get(markKey(epoch, k)))
		return err
	})
	return r, err
}

// Why load gives nothing.
var (
	errNoRecord = errors.New("no such record")
	errFlawed   = errors.New("this record can't be read")
	errDamaged  = errors.New("the session or mark can't be read")
)

// close writes what waits and closes the file.
func (s *store) close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return ErrClosed
	}
	close(s.stop)
	<-s.done
	s.mu.Lock()
	lost := len(s.pending)
	s.mu.Unlock()
	err := s.db.Close()
	if lost > 0 {
		err = errors.Join(err, &UnsavedError{Path: s.db.Path(), Writes: lost})
	}
	return err
}
