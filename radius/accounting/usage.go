package accounting

import (
	"context"
	"log/slog"
	"time"

	"bridgehead/auth"
)

// firstInterim is when the first interim report of a session is due; zero: there
// is none.
func (s *Spool) firstInterim(a *account) time.Time {
	if every := s.every(a); every > 0 {
		return s.config.Now().Add(every)
	}
	return time.Time{}
}

// every is the time between two interim reports of an account; 0: none.
func (s *Spool) every(a *account) time.Duration {
	every := s.config.Interim
	if a.interim > 0 {
		every = a.interim
	}
	if every > 0 {
		every = max(every, LeastInterim)
	}
	return every
}

// watchUsage asks what sessions carry, writes it down, and reports it when that
// is due, until ctx ends.
func (s *Spool) watchUsage(ctx context.Context) {
	ticker := time.NewTicker(NoteEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		progress, err := s.config.Usage(ctx)
		if err != nil {
			s.config.Log.Debug("what sessions carry is not known", slog.Any("error", err))
			continue
		}
		s.note(progress)
	}
}

// note takes what sessions carry.
func (s *Spool) note(progress map[string]Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.config.Now()
	w := &write{lazy: true}
	changed := map[*account]auth.Totals{}
	for id, p := range progress {
		a := s.accounts[id]
		if a == nil || a.over || a.mark != 0 || a.end == 0 {
			continue
		}
		a.totals = most(a.totals, p.Totals)
		if p.Interim > 0 && p.Interim != a.interim {
			a.interim = p.Interim
			a.due = s.firstInterim(a)
		}
		due := !a.due.IsZero() && !now.Before(a.due)
		if a.totals == a.noted && !due {
			continue
		}
		n := note{Time: now, Lasted: max(now.Sub(a.began), 0), Totals: a.totals}
		w.changes = append(w.changes, change{bucketNotes, []byte(id), encode(n)})
		changed[a] = a.totals
		if due {
			a.due = now.Add(s.every(a))
			s.report(a, n)
		}
	}
	if len(changed) == 0 {
		return
	}
	w.committed = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for a, t := range changed {
			a.noted = t
		}
	}
	_ = s.store.put(w) // closed: there is nothing more to note
}

// report writes an interim report, if there is room for it.
func (s *Spool) report(a *account, n note) {
	if s.used+interimCost > s.config.Limit && (s.config.WhenFull == RefuseLogins || !s.dropInterim()) {
		s.figures.DroppedInterims++
		s.full.dropped++
		s.complain("the accounting spool is full: interim reports are dropped")
		return
	}
	a.size += interimCost
	s.used += interimCost
	// A report that can't be written is one that the next makes up for.
	_ = s.put(a, record{Kind: kindInterim, Time: n.Time, Lasted: n.Lasted, Totals: n.Totals}, &write{lazy: true})
}
