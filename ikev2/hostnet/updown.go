package hostnet

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// ScriptConfig says what a Script runs. Fields without a remark must be set.
type ScriptConfig struct {
	// Command is the program's path, absolute or from the gateway's own folder,
	// and its arguments. No shell reads them.
	Command []string
	// Journal is a file of the Script's own. A session is written down there
	// before the program hears of it.
	Journal    string
	Connection string        // PLUTO_CONNECTION
	Timeout    time.Duration // of one run; zero: DefaultScriptTimeout
	Workers    int           // runs at once; zero: DefaultScriptWorkers
	Logger     *slog.Logger
}

// Defaults of a ScriptConfig.
const (
	DefaultScriptTimeout = 10 * time.Second
	DefaultScriptWorkers = 8
)

// Session is a client's session as the site's script is told of it. What the
// client has chosen, such as its identity, may hold anything: it reaches the
// script in its environment alone, and without control characters.
type Session struct {
	ID        string         `json:"id"`
	Local     netip.AddrPort `json:"local"`  // outer address of the gateway
	Remote    netip.AddrPort `json:"remote"` // and of the client
	Encap     bool           `json:"encap"`  // ESP in UDP
	LocalID   string         `json:"local_id"`
	RemoteID  string         `json:"remote_id"` // IDi
	User      string         `json:"user"`      // as it was verified
	Group     string         `json:"group,omitempty"`
	Addresses []netip.Addr   `json:"addresses"` // inner ones
	Subnets   []netip.Prefix `json:"subnets"`   // what the client may reach; none: everything
}

// Script runs the site's program when a session comes up and when it ends, with
// strongSwan's environment (its updown plugin): once for each family of inner
// addresses. A change of the client's outer address is none of its business.
//
// Up and Down only queue the runs, so that a program that hangs holds up no
// session. Runs keep their order for each session and for each inner address:
// the next session with an address is announced when the one before it is
// through. A session whose end a gateway did not live to announce is announced
// as ended by the next one.
//
// A Script is safe for concurrent use.
type Script struct {
	cfg ScriptConfig

	mu       sync.Mutex
	changed  *sync.Cond            // work came, ended, or is to end; on mu
	sessions map[string]*visit     // by session id, guarded by mu
	holders  map[netip.Addr]*visit // the last to get each address, guarded by mu
	ready    []*visit              // with something to run now, guarded by mu
	running  int                   // of ready, taken by a worker, guarded by mu
	ending   bool                  // guarded by mu
	number   uint32                // the last that was given, guarded by mu
	disk     sync.Mutex            // guards ledger
	ledger   *ledger[told]
}

// told is what the program is told of a session, the same at its begin and at
// its end.
type told struct {
	Session   Session `json:"session"`
	Number    uint32  `json:"number"`    // PLUTO_UNIQUEID and PLUTO_REQID
	Interface string  `json:"interface"` // with the outer address
}

func (t told) check() error {
	if t.Session.ID == "" || len(t.Session.Addresses) == 0 {
		return errors.New("the session's id or its addresses are missing")
	}
	return nil
}

// visit is a session on its way through the program.
type visit struct {
	told
	up, down bool     // that are to be run
	begun    bool     // the program was told of the session
	queued   bool     // in ready or with a worker
	waits    int      // for others that had one of the addresses before
	next     []*visit // the others that wait for this one
}

// OpenScript reads what a gateway that crashed has left in the journal; those
// sessions' ends will be the first runs. The error is a *ConfigError, a
// *BusyError or a *JournalError.
func OpenScript(c ScriptConfig) (*Script, error) {
	if len(c.Command) == 0 {
		return nil, &ConfigError{Detail: "an updown script needs a program"}
	}
	path, err := filepath.Abs(c.Command[0]) // it runs in another folder
	if err != nil {
		return nil, &ConfigError{Detail: err.Error()}
	}
	if err := CheckScript(path); err != nil {
		return nil, err
	}
	c.Command = append([]string{path}, c.Command[1:]...)
	c.Timeout = cmp.Or(c.Timeout, DefaultScriptTimeout)
	c.Workers = cmp.Or(c.Workers, DefaultScriptWorkers)
	l, err := openLedger[told](c.Journal)
	if err != nil {
		return nil, err
	}
	s := &Script{cfg: c, ledger: l, sessions: make(map[string]*visit), holders: make(map[netip.Addr]*visit)}
	s.changed = sync.NewCond(&s.mu)
	left := make([]told, 0, len(l.live))
	for _, t := range l.live {
		left = append(left, t)
	}
	slices.SortFunc(left, func(a, b told) int { return cmp.Compare(a.Number, b.Number) })
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range left {
		s.number = t.Number
		s.enter(&visit{told: t, begun: true, down: true})
	}
	return s, nil
}

// CheckScript refuses, with a *ConfigError, a program that cannot be run or
// that everybody could change.
func CheckScript(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return &ConfigError{Detail: err.Error()}
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return &ConfigError{Detail: path + " cannot be run: expected a program; chmod +x makes it one"}
	case info.Mode()&0o002 != 0:
		return &ConfigError{Detail: path + " can be changed by everybody and would run with the gateway's rights: chmod o-w it"}
	}
	return nil
}

// Left tells how many sessions' ends are still to be announced from before a
// crash, or in general how many sessions have runs ahead of them.
func (s *Script) Left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, v := range s.sessions {
		if v.up || v.down || v.queued {
			n++
		}
	}
	return n
}

// Up has the program told that a session has come up. It never blocks. A
// session without inner addresses, or known already, is passed over.
func (s *Script) Up(session Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(session.Addresses) == 0 || s.sessions[session.ID] != nil || s.ending {
		return
	}
	s.number++
	s.enter(&visit{told: told{Session: session, Number: s.number}, up: true})
}

// Down has the program told that a session has ended, unless it was not told
// of its begin. It never blocks.
func (s *Script) Down(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.sessions[id]; v != nil && !v.down {
		v.down = true
		s.schedule(v)
	}
}

// enter makes a session known, behind those that had its addresses. The caller
// holds mu.
func (s *Script) enter(v *visit) {
	s.sessions[v.Session.ID] = v
	for _, a := range v.Session.Addresses {
		if before := s.holders[a]; before != nil {
			before.next = append(before.next, v)
			v.waits++
		}
		s.holders[a] = v
	}
	s.schedule(v)
}

// schedule queues a session that has something to run and waits for nobody. The
// caller holds mu.
func (s *Script) schedule(v *visit) {
	if v.queued || v.waits > 0 || !v.up && !v.down {
		return
	}
	v.queued = true
	s.ready = append(s.ready, v)
	s.changed.Broadcast()
}

// leave forgets a session whose end is announced, and lets those that waited
// for it go on. The caller holds mu.
func (s *Script) leave(v *visit) {
	delete(s.sessions, v.Session.ID)
	for _, a := range v.Session.Addresses {
		if s.holders[a] == v {
			delete(s.holders, a)
		}
	}
	for _, n := range v.next {
		n.waits--
		s.schedule(n)
	}
}

// Run runs the program until ctx ends; what runs then is killed. It gives ctx's
// error.
func (s *Script) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ending = true
		s.changed.Broadcast()
	})
	defer stop()
	var workers sync.WaitGroup
	for range s.cfg.Workers {
		workers.Go(func() { s.work(ctx) })
	}
	workers.Wait()
	return ctx.Err()
}

// work takes sessions as they come, until ctx ends.
func (s *Script) work(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		for len(s.ready) == 0 && !s.ending {
			s.changed.Wait()
		}
		if s.ending {
			return
		}
		v := s.ready[0]
		s.ready[0] = nil
		s.ready = s.ready[1:]
		s.running++
		s.step(ctx, v)
		s.running--
		s.changed.Broadcast() // for Drain
	}
}

// step runs what is next for a session. A session that ended before its begin
// was announced is never heard of. The caller holds mu, which is free while the
// program runs.
func (s *Script) step(ctx context.Context, v *visit) {
	up := v.up && !v.down
	end := v.down && !v.up && v.begun
	v.up = false
	if up || end {
		s.mu.Unlock()
		heard := s.announce(ctx, v, up)
		s.mu.Lock()
		v.begun = heard
	}
	v.queued = false
	if !up {
		s.leave(v)
		return
	}
	s.schedule(v)
}

// announce runs the program for both families, with the session on disk for as
// long as the program knows of it. It tells whether the program was run. The
// worker owns v.told meanwhile.
func (s *Script) announce(ctx context.Context, v *visit, up bool) bool {
	if up {
		v.Interface = interfaceOf(v.Session.Local.Addr())
		if err := s.note(func() error { return s.ledger.put(v.Session.ID, v.told, onDisk) }); err != nil {
			s.cfg.Logger.Error("the updown script is not run", slog.String("session", v.Session.ID), slog.Any("error", err))
			return false
		}
	}
	for _, f := range familiesOf(nil, v.Session.Addresses) {
		s.call(ctx, v.told, f, up)
	}
	if up || ctx.Err() != nil { // what was cut short the next gateway does again
		return true
	}
	if err := s.note(func() error { return s.ledger.drop(v.Session.ID) }); err != nil {
		s.cfg.Logger.Error("the updown script will run once more for a session that ended",
			slog.String("session", v.Session.ID), slog.Any("error", err))
	}
	return true
}

func (s *Script) note(write func() error) error {
	s.disk.Lock()
	defer s.disk.Unlock()
	return write()
}

// Drain returns when everything that was queued is run, or with an error when
// ctx ends: what is left the next gateway will run. Run must be running.
func (s *Script) Drain(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.ready)+s.running > 0 {
		if ctx.Err() != nil || s.ending {
			return &Error{Op: "run the updown script for every session in time", Err: context.Cause(ctx),
				Remedy: "the next start does the rest; see in the log what takes it so long"}
		}
		s.changed.Wait()
	}
	return nil
}

// Close keeps the journal if a session's end was not announced. Run must have
// ended.
func (s *Script) Close() error {
	s.disk.Lock()
	defer s.disk.Unlock()
	return s.ledger.close()
}
