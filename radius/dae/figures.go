package dae

import (
	"sync"
	"sync/atomic"
)

// Answered counts requests with the same outcome.
type Answered struct {
	Client string
	Kind   string     // "disconnect" or "coa"
	Cause  ErrorCause // 0: done
	Count  uint64
}

// Figures is what a Server has done since it was made.
type Figures struct {
	Answered  []Answered
	Repeated  uint64            // requests answered again as before
	Discarded map[string]uint64 // packets not answered, by reason; all reasons are there
}

type outcome struct {
	client      string
	disconnects bool
	cause       ErrorCause
}

type figures struct {
	repeated atomic.Uint64

	mu       sync.Mutex
	outcomes map[outcome]uint64 // guarded by mu
	reasons  map[discard]uint64 // guarded by mu
}

func (f *figures) answered(client string, disconnects bool, cause ErrorCause) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.outcomes == nil {
		f.outcomes = make(map[outcome]uint64)
	}
	f.outcomes[outcome{client, disconnects, cause}]++
}

func (f *figures) discarded(reason discard) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reasons == nil {
		f.reasons = make(map[discard]uint64)
	}
	f.reasons[reason]++
}

// Figures gives the figures of now.
func (s *Server) Figures() Figures {
	f := &s.figures
	f.mu.Lock()
	defer f.mu.Unlock()
	all := Figures{Repeated: f.repeated.Load(), Discarded: make(map[string]uint64, len(discards))}
	for _, d := range discards {
		all.Discarded[string(d)] = f.reasons[d]
	}
	for o, n := range f.outcomes {
		all.Answered = append(all.Answered, Answered{o.client, kind(o.disconnects), o.cause, n})
	}
	return all
}
