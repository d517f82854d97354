package initiator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// LoadConfig is a measurement: N complete logins and logouts by W workers.
type LoadConfig struct {
	Config Config
	// Each, if set, may change the configuration of login n, counted from 0,
	// such as the user.
	Each    func(n int, c *Config)
	N       int
	Workers int // 0: 2. Each has a pair of sockets and one login at a time
	// Timeout bounds each login and each logout; 0 means 30 s.
	Timeout time.Duration
	// Hold keeps every session established until ctx ends, for measuring
	// what one costs the gateway; Held, if set, is called when all are there.
	Hold bool
	Held func(LoadReport)
}

// LoadReport is what a measurement showed.
type LoadReport struct {
	Logins   int            `json:"logins"`            // complete ones
	Failed   int            `json:"failed"`            // logins that were not complete
	Workers  int            `json:"workers"`           // how many logged in at once
	Elapsed  Milliseconds   `json:"elapsed_ms"`        // the whole measurement
	Rate     float64        `json:"logins_per_second"` // complete ones
	Login    Latency        `json:"login"`             // how long the complete ones took
	Logout   Latency        `json:"logout"`            // until the answer to the DELETE
	Steps    []StepLatency  `json:"steps"`             // of the login, in their order
	Failures map[string]int `json:"failures"`          // by verdict and step
	Error    string         `json:"error,omitempty"`   // the first failure
}

// Latency is the spread of a time in milliseconds.
type Latency struct {
	P50 Milliseconds `json:"p50_ms"` // median
	P90 Milliseconds `json:"p90_ms"` // nine of ten took less
	P99 Milliseconds `json:"p99_ms"` // 99 of 100 took less
	Max Milliseconds `json:"max_ms"` // the slowest
}

// StepLatency is the spread of one step of the login.
type StepLatency struct {
	Step Step `json:"step"` // of the login
	Latency
}

// Load measures. The error is that of ctx, if it ended before all N logins
// were tried, or of the set-up; failed logins are in the report.
func Load(ctx context.Context, cfg LoadConfig) (LoadReport, error) {
	if cfg.Workers <= 0 {
		cfg.Workers = 2
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.Config.Profile == nil {
		cfg.Config.Profile = DefaultProfile()
	}
	base := cfg.Config.withDefaults()
	to, _, err := resolve(ctx, base)
	if err != nil {
		return LoadReport{}, err
	}
	l := &load{cfg: cfg, to: to, now: base.Now, tally: newTally()}
	return l.run(ctx)
}

// load is one measurement under way.
type load struct {
	cfg  LoadConfig
	to   target
	now  func() time.Time
	next atomic.Int64 // the number of the next login

	mu    sync.Mutex // guards what follows
	tally *tally
	held  []*Session
}

func (l *load) run(ctx context.Context) (LoadReport, error) {
	var workers sync.WaitGroup
	clients := make([]*Client, l.cfg.Workers)
	for i := range clients {
		c, closeSockets, err := listen(l.to.local)
		if err != nil {
			return LoadReport{}, err
		}
		defer closeSockets()
		clients[i] = c
	}
	began := l.now()
	for _, c := range clients {
		workers.Go(func() { l.work(ctx, c) })
	}
	workers.Wait()
	report := l.tally.report(l.now().Sub(began), l.cfg.Workers)
	err := ctx.Err()
	if l.cfg.Hold {
		if l.cfg.Held != nil && err == nil {
			l.cfg.Held(report)
		}
		<-ctx.Done()
		l.release()
		report.Logout = latency(l.tally.logout)
	}
	return report, err
}

// work logs in and out until all numbers are given out.
func (l *load) work(ctx context.Context, c *Client) {
	for ctx.Err() == nil {
		n := int(l.next.Add(1)) - 1
		if n >= l.cfg.N {
			return
		}
		cfg := l.cfg.Config
		if l.cfg.Each != nil {
			l.cfg.Each(n, &cfg)
		}
		l.one(ctx, c, cfg.withDefaults())
	}
}

func (l *load) one(ctx context.Context, c *Client, cfg Config) {
	bound, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	began := l.now()
	s, err := c.dial(bound, cfg, l.to, 0)
	took := l.now().Sub(began)
	if err != nil {
		if ctx.Err() == nil { // the measurement's own end is no failure
			l.failed(err)
		}
		return
	}
	l.mu.Lock()
	l.tally.add(took, s.Steps())
	if l.cfg.Hold {
		l.held = append(l.held, s)
	}
	l.mu.Unlock()
	if !l.cfg.Hold {
		l.logout(ctx, s)
	}
}

// logout closes a session even if ctx has ended: the gateway is not to be
// left with it.
func (l *load) logout(ctx context.Context, s *Session) {
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.cfg.Timeout)
	defer cancel()
	began := l.now()
	if err := s.Close(bound); err != nil {
		l.failed(err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tally.logout = append(l.tally.logout, l.now().Sub(began))
}

// release logs out all sessions held.
func (l *load) release() {
	sessions := make(chan *Session)
	var workers sync.WaitGroup
	for range l.cfg.Workers {
		workers.Go(func() {
			for s := range sessions {
				l.logout(context.Background(), s)
			}
		})
	}
	for _, s := range l.held {
		sessions <- s
	}
	close(sessions)
	workers.Wait()
}

func (l *load) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tally.fail(err)
}

// tally collects times.
type tally struct {
	login, logout []time.Duration
	steps         map[Step][]time.Duration
	order         []Step
	failures      map[string]int
	failed        int
	first         error
}

func newTally() *tally {
	return &tally{steps: make(map[Step][]time.Duration), failures: make(map[string]int)}
}

func (t *tally) add(took time.Duration, steps []StepTime) {
	t.login = append(t.login, took)
	for _, s := range steps {
		if s.Step == StepResolve {
			continue
		}
		if t.steps[s.Step] == nil {
			t.order = append(t.order, s.Step)
		}
		t.steps[s.Step] = append(t.steps[s.Step], s.Duration)
	}
}

func (t *tally) fail(err error) {
	t.failed++
	t.first = cmp.Or(t.first, err)
	var f Failure
	if errors.As(err, &f) {
		t.failures[fmt.Sprintf("%s at %s", f.Verdict(), f.At())]++
	} else {
		t.failures[string(VerdictUnknownOutcome)]++
	}
}

func (t *tally) report(elapsed time.Duration, workers int) LoadReport {
	r := LoadReport{
		Logins: len(t.login), Failed: t.failed, Workers: workers, Elapsed: milliseconds(elapsed),
		Login: latency(t.login), Logout: latency(t.logout), Failures: t.failures, Steps: []StepLatency{},
	}
	if elapsed > 0 {
		r.Rate = float64(len(t.login)) / elapsed.Seconds()
	}
	for _, s := range t.order {
		r.Steps = append(r.Steps, StepLatency{s, latency(t.steps[s])})
	}
	if t.first != nil {
		r.Error = t.first.Error()
	}
	return r
}

// latency gives percentiles by the nearest rank.
func latency(ds []time.Duration) Latency {
	if len(ds) == 0 {
		return Latency{}
	}
	ds = slices.Sorted(slices.Values(ds))
	rank := func(percent int) Milliseconds { return milliseconds(ds[(len(ds)*percent+99)/100-1]) }
	return Latency{P50: rank(50), P90: rank(90), P99: rank(99), Max: rank(100)}
}
