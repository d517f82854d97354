package accounting

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	codec "layeh.com/radius"

	"bridgehead/auth"
)

// Sender takes records to the servers. *radius.Group is one.
type Sender interface {
	// Account returns once a server has the record.
	Account(ctx context.Context, attrs codec.Attributes) error
	// Answering tells whether a server is known to be alive.
	Answering() bool
}

// WhenFull is what happens when the spool holds as much as it may. Neither
// drops the Start or Stop of a session that is up.
type WhenFull uint8

// Policies.
const (
	// DropInterims drops the oldest interim reports, and where there are none
	// left whole sessions that have ended, the oldest first. Where that is not
	// enough, logins are refused.
	DropInterims WhenFull = iota
	// RefuseLogins refuses logins, and reports nothing of sessions between their
	// Start and their Stop.
	RefuseLogins
)

// Progress is how far a session has come that is up.
type Progress struct {
	Totals auth.Totals
	// Interim is the time between two interim reports by its Grant; zero: as
	// configured.
	Interim time.Duration
}

// Config is what a Spool is made of.
type Config struct {
	Path   string // of the file
	Sender Sender
	NAS    NAS
	// Interim is the time between two interim reports of a session; 0: none, but
	// where a Grant asks for them. Below LeastInterim it is that.
	Interim time.Duration
	// Usage tells of the sessions that are up; nil: nobody knows.
	Usage    func(ctx context.Context) (map[string]Progress, error)
	Limit    int64 // octets of all records; the file takes about twice that. 0: 64 MiB
	WhenFull WhenFull
	// Required has Start wait until a server has the record.
	Required bool
	Window   int // requests at once; 0: 64

	Now  func() time.Time // nil: time.Now
	Rand io.Reader        // nil: crypto/rand.Reader
	Log  *slog.Logger     // nil: none
	// Notice hears of trouble and of its end, in a sentence; nil: nobody does.
	Notice func(text string)
}

const (
	// LeastInterim is the shortest time between two interim reports of a session
	// (RFC 2869 §2.1).
	LeastInterim = time.Minute
	// NoteEvery is how often what sessions carry is written down, so that a crash
	// does not lose it.
	NoteEvery = 10 * time.Second

	defaultLimit  = 64 << 20
	defaultWindow = 64
)

func (c Config) withDefaults() Config {
	if c.Limit <= 0 {
		c.Limit = defaultLimit
	}
	if c.Window <= 0 {
		c.Window = defaultWindow
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Notice == nil {
		c.Notice = func(string) {}
	}
	if c.NAS.Station == nil {
		c.NAS.Station = func(a netip.AddrPort) string { return a.Addr().Unmap().String() }
	}
	return c
}

// Spool is an auth.Accountant over RADIUS. Run sends what it holds.
type Spool struct {
	config Config
	store  *store
	name   string        // of this start, in On and Off
	wake   chan struct{} // of one: there is something to send

	mu       sync.Mutex // guards what follows
	accounts map[string]*account
	epochs   []*epoch // oldest first; the last is this start's
	ready    []*account
	resting  restingHeap
	sending  int
	healthy  bool  // the last request was answered, or there was none
	used     int64 // octets of all accounts
	interims queue // reports on disk that may be dropped
	ended    queue // accounts whose Stop is on disk
	full     fullness
	figures  Figures
}

// epoch is the time between two starts of the gateway.
type epoch struct {
	number   uint64
	on, off  *account // the marks; nil: there is none, or it is answered
	accounts int      // not finished
	aside    int      // of those: set aside, so that nothing waits for them
}

// account is what is kept in memory of a session, or of a mark.
type account struct {
	id    string
	mark  kind // kindOn or kindOff; 0: a session
	epoch *epoch
	size  int64 // octets on disk, a Stop to come included

	began   time.Time // with the monotonic clock while the gateway lives
	totals  auth.Totals
	noted   auth.Totals // of those: on disk
	interim time.Duration
	due     time.Time // of the next interim report

	next, end uint32    // numbers of the records on disk that are not answered: next up to end
	numbered  uint32    // records that were given a number
	since     time.Time // the first of them waits
	over      bool      // its Stop was given a number
	gone      bool      // nothing of it is left

	busy    bool // a record is on its way
	queued  bool // in ready
	rest    int  // 1 + index in resting; 0: not there
	retry   time.Time
	tries   int
	refused int // tries that a living server left unanswered
	aside   bool
	started chan struct{} // closed when a server has the Start; nil: nobody waits
}

// Open opens or creates the spool. Sessions that were open when it was left get
// their Stop. The error is a *StoreError.
func Open(c Config) (*Spool, error) {
	c = c.withDefaults()
	s := &Spool{config: c, wake: make(chan struct{}, 1), accounts: make(map[string]*account), healthy: true}
	var token [8]byte
	if _, err := io.ReadFull(c.Rand, token[:]); err != nil {
		return nil, fmt.Errorf("accounting: a name for this start: %w", err)
	}
	s.name = hex.EncodeToString(token[:])
	var err error
	if s.store, err = openStore(c.Path, s.recover); err != nil {
		return nil, err
	}
	s.arrangeAll()
	s.advance()
	return s, nil
}

// Start implements auth.Accountant. The error is a *FullError, a *StoreError,
// an *UnansweredError, ErrClosed or ctx's.
func (s *Spool) Start(ctx context.Context, session auth.Session) error {
	if err := checkID(session.ID); err != nil {
		return err
	}
	a := &account{id: session.ID, began: session.Began, interim: session.Interim}
	var started chan struct{}
	if s.config.Required {
		started = make(chan struct{})
	}
	a.started = started // the sender's from here on
	outcome, err := s.open(a, session, record{Kind: kindStart, Time: session.Began})
	if err != nil {
		return err
	}
	select {
	case err = <-outcome:
	case <-ctx.Done():
		err = s.abandon(ctx, session.ID, outcome)
	}
	if err != nil || started == nil {
		return err
	}
	select {
	case <-started:
		return nil
	case <-ctx.Done():
	}
	unanswered := &UnansweredError{context.Cause(ctx)}
	end := auth.End{Cause: unanswered.Cause(), Time: s.config.Now()}
	return errors.Join(unanswered, s.stop(a.id, auth.Totals{}, end, nil))
}

// abandon ends an account whose Start is on its way to the disk, once it is
// there: nobody waits any longer.
func (s *Spool) abandon(ctx context.Context, id string, outcome <-chan error) error {
	go func() { // ends with the write
		if <-outcome == nil {
			// What is left is a fault of the disk, which the store tells.
			_ = s.stop(id, auth.Totals{}, auth.End{Cause: auth.CauseAccountingNotWritten, Time: s.config.Now()}, nil)
		}
	}()
	return &StoreError{Path: s.config.Path, Err: context.Cause(ctx)}
}

// Void implements auth.Accountant. It is a Stop alone: of a login that had no
// Start. One whose Start nobody answered in time has its Stop already.
func (s *Spool) Void(ctx context.Context, session auth.Session, end auth.End) error {
	if err := checkID(session.ID); err != nil {
		return err
	}
	if s.knows(session.ID) {
		return nil
	}
	a := &account{id: session.ID, began: session.Began, over: true}
	outcome, err := s.open(a, session, record{Kind: kindStop, Time: end.Time, Cause: end.Cause, Lasted: max(end.Time.Sub(session.Began), 0)})
	if err != nil {
		return err
	}
	return await(ctx, outcome)
}

func (s *Spool) knows(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accounts[id] != nil
}

func await(ctx context.Context, outcome <-chan error) error {
	select {
	case err := <-outcome:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// open begins an account with its first record.
func (s *Spool) open(a *account, session auth.Session, r record) (<-chan error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.accounts[a.id] != nil {
		return nil, fmt.Errorf("accounting: there is an account of session %s already", a.id)
	}
	a.epoch = s.epochs[len(s.epochs)-1]
	stored, first := encode(entry{a.epoch.number, session}), encode(r)
	a.size = cost(stored) + cost(first) + stopCost
	if err := s.admit(a.size); err != nil {
		return nil, err
	}
	a.due = s.firstInterim(a)
	a.numbered, a.since = 1, r.Time
	s.accounts[a.id] = a
	a.epoch.accounts++
	s.used += a.size
	w := &write{outcome: make(chan error, 1), changes: []change{
		{bucketSessions, []byte(a.id), stored}, {bucketRecords, recordKey(a.id, 0), first},
	}}
	w.committed = func() { s.written(a, 1, r.Kind) }
	w.failed = func() { s.forget(a) }
	outcome := w.outcome
	if err := s.store.put(w); err != nil {
		s.finish(a)
		return nil, err
	}
	return outcome, nil
}

// forget drops an account that never came to the disk.
func (s *Spool) forget(a *account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish(a)
}

// Stop implements auth.Accountant. The error is an *UnknownError, a *StoreError,
// ErrClosed or ctx's.
func (s *Spool) Stop(ctx context.Context, id string, t auth.Totals, end auth.End) error {
	outcome := make(chan error, 1)
	if err := s.stop(id, t, end, outcome); err != nil {
		return err
	}
	return await(ctx, outcome)
}

// stop ends an account; outcome, if not nil, gets what became of the first
// attempt to write it. It is written in the end.
func (s *Spool) stop(id string, t auth.Totals, end auth.End, outcome chan error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[id]
	if a == nil || a.over || a.mark != 0 {
		return &UnknownError{id}
	}
	a.over = true
	a.totals = most(a.totals, t)
	return s.put(a, record{Kind: kindStop, Time: end.Time, Lasted: max(end.Time.Sub(a.began), 0), Totals: a.totals, Cause: end.Cause},
		&write{keep: true, outcome: outcome})
}

// put writes a record of an account, under the next number; the lock is held.
func (s *Spool) put(a *account, r record, w *write) error {
	n := a.numbered
	a.numbered++
	if a.next == n {
		a.since = r.Time
	}
	w.changes = append(w.changes, change{bucketRecords, recordKey(a.id, n), encode(r)})
	w.committed = func() { s.written(a, n+1, r.Kind) }
	return s.store.put(w)
}

// written takes that the records of an account up to end are on disk: they may
// be sent.
func (s *Spool) written(a *account, end uint32, k kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.gone {
		return
	}
	a.end = max(a.end, end)
	switch k {
	case kindInterim:
		s.interims.push(item{a, end - 1})
	case kindStop:
		s.ended.push(item{account: a})
	}
	s.arrange(a)
	s.rouse()
}

func (s *Spool) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Close closes the file. Run must have ended.
func (s *Spool) Close() error { return s.store.close() }
