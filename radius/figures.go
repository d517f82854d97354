package radius

import (
	"errors"
	"log/slog"
	"time"

	codec "layeh.com/radius"
)

// Figures is what one server has done, at one moment. Counts are since the
// Server was made.
type Figures struct {
	Name, Address string
	TLS           bool
	State         State
	Since         time.Time     // of the state
	Heard         time.Time     // the last authentic answer; zero: none
	RoundTrip     time.Duration // smoothed as in RFC 6298, of requests sent once; zero: unknown
	InFlight      int           // requests that wait for their answer
	Lines         int           // sockets or connections open

	Requests, Retransmissions  uint64 // sent; the first time, again
	Answers                    uint64
	Timeouts                   uint64 // requests never answered
	Probes, ProbesLost         uint64 // Status-Server, and those unanswered
	BadAuthenticators          uint64 // replies discarded: a wrong Response or Message-Authenticator
	Unsigned                   uint64 // replies discarded: no Message-Authenticator
	Malformed                  uint64 // replies discarded: they can't be read
	Unexpected                 uint64 // replies discarded: nothing waited for them, such as duplicates
	ConnectFailures, LinkFault uint64 // connections not made; errors of a link
}

// Discarded is how many replies were not taken for authentic.
func (f Figures) Discarded() uint64 { return f.BadAuthenticators + f.Unsigned + f.Malformed }

// Figures gives the server's figures as of now.
func (s *Server) Figures() Figures {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.fig
	f.Name, f.Address, f.TLS = s.config.Name, s.config.Address, s.config.TLS != nil
	f.State, f.Since, f.Heard, f.Lines = s.watch.state, s.watch.since, s.watch.heard, len(s.lines)
	return f
}

// note changes what is known of the server, tells whoever waits for its death,
// and has the watcher look at the time.
func (s *Server) note(change func(now time.Time)) {
	s.mu.Lock()
	before := s.watch.state
	change(s.options.Now())
	after, fault, lines := s.watch.state, s.fault, s.lines
	switch {
	case after == before:
	case after == Dead:
		close(s.died)
	case before == Dead:
		s.died = make(chan struct{})
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	if after == before {
		return
	}
	level := slog.LevelInfo
	if after == Dead {
		level = slog.LevelWarn
	}
	about := []slog.Attr{slog.String("server", s.Name()), slog.String("before", before.String())}
	if fault != nil {
		about = append(about, slog.Any("error", fault))
	}
	s.options.Log.LogAttrs(s.ctx, level, "RADIUS server is "+after.String(), about...)
	if after == Dead && s.config.TLS != nil {
		for _, l := range lines { // a connection may be dead and not know it
			select {
			case l.resets <- struct{}{}:
			default:
			}
		}
	}
}

func (s *Server) sent(again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if again {
		s.fig.Retransmissions++
		return
	}
	s.fig.Requests++
	s.fig.InFlight++
}

// silent takes that a flight had to be sent again. What was heard before it was
// sent the last time says nothing.
func (s *Server) silent(f *flight) {
	s.note(func(now time.Time) { s.watch.silent(now, f.silence) })
}

// silence takes that a flight was given up, and gives the error for it.
func (s *Server) silence(f *flight) error {
	e := &SilentError{Server: s.Name(), Sent: f.sent}
	s.note(func(now time.Time) {
		s.fig.InFlight--
		s.fig.Timeouts++
		if f.code != codec.CodeStatusServer {
			s.watch.gaveUp(now, f.began)
		}
		if e.Waited = now.Sub(f.began); !s.watch.heardSince(f.began) {
			e.Cause = s.fault
		}
	})
	return e
}

// since completes a *SilentError with what is known of the whole wait.
func (s *Server) since(err error, began time.Time, before Figures) error {
	var silent *SilentError
	if errors.As(err, &silent) {
		silent.Waited = s.options.Now().Sub(began)
		now := s.Figures()
		silent.Forged = now.BadAuthenticators + now.Malformed - before.BadAuthenticators - before.Malformed
		silent.Unsigned = now.Unsigned - before.Unsigned
	}
	return err
}

// discarded counts a reply that is not to be believed.
func (s *Server) discarded(err error) {
	s.mu.Lock()
	count := map[error]*uint64{
		errAuthenticator: &s.fig.BadAuthenticators, errMAC: &s.fig.BadAuthenticators,
		errUnsigned: &s.fig.Unsigned, errMalformed: &s.fig.Malformed, errUnexpected: &s.fig.Unexpected,
	}[err]
	*count++
	s.mu.Unlock()
	s.options.Log.Debug("RADIUS reply discarded", slog.String("server", s.Name()), slog.Any("error", err))
}

// answered takes an authentic answer.
func (s *Server) answered(f *flight, r *Reply) {
	s.note(func(now time.Time) {
		s.fig.InFlight--
		s.fig.Answers++
		s.fault = nil
		if f.sent == 1 { // Karn: of others nobody knows which sending was answered
			if s.fig.RoundTrip == 0 {
				s.fig.RoundTrip = r.RoundTrip
			}
			s.fig.RoundTrip += (r.RoundTrip - s.fig.RoundTrip) / 8
		}
		if f.code != codec.CodeStatusServer {
			s.watch.answered(now)
		}
	})
}

// probed takes the outcome of a Status-Server.
func (s *Server) probed(err error) {
	s.note(func(now time.Time) {
		s.fig.Probes++
		if err != nil {
			s.fig.ProbesLost++
		}
		s.watch.probed(now, err == nil)
	})
}

// unreachable takes that no link could be made.
func (s *Server) unreachable(err error) {
	s.note(func(now time.Time) {
		s.fig.ConnectFailures++
		s.fault = err
		s.watch.failed(now)
	})
}

// trouble takes an error of a link. It may be forged (ICMP), so that it only
// makes suspicious.
func (s *Server) trouble(err error) {
	s.note(func(now time.Time) {
		s.fig.LinkFault++
		s.fault = err
		s.watch.silent(now, now)
	})
}

// usable tells whether a login may be given to the server.
func (s *Server) usable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watch.usable(s.options.Now())
}
