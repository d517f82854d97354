package accounting

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"bridgehead/auth"
)

// Figures is what a Spool holds and has done, at one moment. Counts are since
// it was opened.
type Figures struct {
	Open    int       // sessions that are up
	Waiting int       // sessions with records that no server has, and marks
	Oldest  time.Time // since when the one waits that has waited longest; zero: none waits
	Octets  int64     // on disk, of Limit at most
	Limit   int64
	Unsaved int  // writes that wait for a disk that does not take them
	Healthy bool // the last request was answered

	Starts, Interims, Stops, Marks uint64 // answered
	Retried                        uint64 // tries that nobody answered
	DroppedInterims                uint64 // not reported: the spool was full
	DroppedSessions                uint64 // the same
	DroppedMarks                   uint64 // On or Off that a living server did not answer
	Refused                        uint64 // logins, for want of room
	Crashed                        uint64 // sessions that a crash ended
	Unreadable                     uint64 // records that are damaged
}

func (f *Figures) count(k kind) {
	switch k {
	case kindStart:
		f.Starts++
	case kindInterim:
		f.Interims++
	case kindStop:
		f.Stops++
	default:
		f.Marks++
	}
}

// Figures gives the spool's figures as of now.
func (s *Spool) Figures() Figures {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.figures
	f.Octets, f.Limit, f.Healthy, f.Unsaved = s.used, s.config.Limit, s.healthy, s.store.unsaved()
	count := func(a *account) {
		if a.mark == 0 && !a.over {
			f.Open++
		}
		if a.next < a.end {
			f.Waiting++
			if f.Oldest.IsZero() || a.since.Before(f.Oldest) {
				f.Oldest = a.since
			}
		}
	}
	for _, a := range s.accounts {
		count(a)
	}
	for _, e := range s.epochs {
		for _, a := range [...]*account{e.on, e.off} {
			if a != nil {
				count(a)
			}
		}
	}
	return f
}

// Shut ends the account of a gateway that ends: sessions that are still open get
// their Stop, then Accounting-Off is written, and Run, which must be running,
// has until ctx ends to send what is left. The rest is sent by the next start.
func (s *Spool) Shut(ctx context.Context) error {
	now := s.config.Now()
	var err error
	for _, id := range s.stillOpen() {
		s.config.Log.Error("a session was left open", slog.String("session", id))
		stopped := s.Stop(ctx, id, auth.Totals{}, auth.End{Cause: auth.CauseInternal, Time: now})
		if !errors.As(stopped, new(*UnknownError)) {
			err = errors.Join(err, stopped)
		}
	}
	err = errors.Join(err, s.signOff(ctx, now))
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for s.Figures().Waiting > 0 {
		select {
		case <-ctx.Done():
			s.config.Log.Info("accounting records are left for the next start", slog.Int("sessions", s.Figures().Waiting))
			return err
		case <-ticker.C:
		}
	}
	return err
}

func (s *Spool) stillOpen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for id, a := range s.accounts {
		if !a.over {
			list = append(list, id)
		}
	}
	return list
}

// signOff writes Accounting-Off.
func (s *Spool) signOff(ctx context.Context, now time.Time) error {
	s.mu.Lock()
	e := s.epochs[len(s.epochs)-1]
	r := record{Kind: kindOff, Time: now, Mark: s.name}
	a := s.addMark(e, r)
	a.end = 0 // not on disk yet
	w := &write{keep: true, outcome: make(chan error, 1), changes: []change{{bucketMarks, markKey(e.number, kindOff), encode(r)}}}
	w.committed = func() { s.written(a, 1, kindOff) }
	outcome := w.outcome
	s.mu.Unlock()
	if err := s.store.put(w); err != nil {
		return err
	}
	return await(ctx, outcome)
}
