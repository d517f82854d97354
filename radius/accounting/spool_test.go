package accounting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"

	"bridgehead/auth"
)

// On precedes the sessions, each has its records in order, Off comes last.
func TestOrder(t *testing.T) {
	bubble(t, func(c *Config) { c.Window = 1 }, func(s *scene) { // else sessions overtake each other
		s.start("a", "b")
		s.end("a", auth.Totals{})
		s.settle(time.Second)
		s.wantStory("on start:a start:b stop:a")
		s.end("b", auth.Totals{})
		if err := s.Shut(s.Context()); err != nil {
			s.Error(err)
		}
		s.wantStory("on start:a start:b stop:a stop:b off")
		if f := s.Figures(); f.Waiting != 0 || f.Open != 0 || f.Octets != 0 || f.Starts != 2 || f.Stops != 2 || f.Marks != 2 {
			s.Errorf("figures %+v", f)
		}
		s.restart()
		s.settle(time.Second)
		s.wantStory("on start:a start:b stop:a stop:b off on")
	})
}

// After a crash each open session gets its Stop, as of when it was last known,
// and On comes between what was and what is.
func TestCrash(t *testing.T) {
	bubble(t, func(c *Config) { c.Window = 1 }, func(s *scene) {
		s.start("a", "b")
		s.settle(time.Second)
		s.carries("a", Progress{Totals: auth.Totals{BytesIn: 1000, PacketsIn: 7}})
		s.settle(2 * NoteEvery)
		s.carries("a", Progress{Totals: auth.Totals{BytesIn: 1500}})
		known := time.Now()
		s.settle(time.Second) // not noted any more
		s.crash()
		var unknown *UnknownError
		if err := s.Stop(s.Context(), "a", auth.Totals{}, auth.End{Time: time.Now()}); !errors.As(err, &unknown) || s.Figures().Open != 0 {
			s.Errorf("Stop of what the crash ended: %v; %d sessions are open", err, s.Figures().Open)
		}
		s.start("c")
		s.settle(time.Second)
		s.wantStory("on start:a start:b stop:b stop:a on start:c")
		stop := s.server.only(s.T, kindStop, "a")
		lasted, in := number(s.T, stop, rfc2866.AcctSessionTime_Type), number(s.T, stop, rfc2866.AcctInputOctets_Type)
		at := time.Unix(int64(number(s.T, stop, rfc2869.EventTimestamp_Type)), 0)
		if in != 1000 || lasted < 10 || lasted > 21 || at.After(known) || number(s.T, stop, rfc2866.AcctTerminateCause_Type) != uint32(nasReboot) {
			s.Errorf("%d octets, %d s, until %v, which is known until %v", in, lasted, at, known)
		}
		if lasted := number(s.T, s.server.only(s.T, kindStop, "b"), rfc2866.AcctSessionTime_Type); lasted != 0 {
			s.Errorf("of b nothing was known, and it lasted %d s", lasted)
		}
		if f := s.Figures(); f.Crashed != 2 || !s.log.has(slog.LevelWarn, "crashed") {
			s.Errorf("figures %+v", f)
		}
		s.crash() // what was answered is not sent again but for what a crash may forget
		s.settle(time.Second)
		if got := s.server.story(); !strings.HasSuffix(got, "start:c stop:c on") && !strings.HasSuffix(got, "start:c start:c stop:c on") {
			s.Errorf("the server got %q", got)
		}
	})
}

// Days without a server: all is sent when it is back, in order, and each record
// says how long ago what it tells happened.
func TestOutage(t *testing.T) {
	bubble(t, nil, func(s *scene) {
		s.server.set(func(r *server) { r.down = true })
		s.start("a")
		s.settle(26 * time.Hour)
		s.end("a", auth.Totals{BytesIn: 5})
		s.crash()
		s.start("b")
		s.settle(46 * time.Hour)
		tries := len(s.server.tries)
		if perHour := tries / 72; perHour < 4 || perHour > 200 {
			s.Errorf("%d requests an hour to a server that is silent", perHour)
		}
		if f := s.Figures(); f.Waiting < 2 || time.Since(f.Oldest) < 70*time.Hour || f.Healthy {
			s.Errorf("figures %+v", f)
		}
		s.server.set(func(r *server) { r.down = false })
		s.settle(10 * time.Minute)
		s.wantStory("on start:a stop:a on start:b")
		start := s.server.only(s.T, kindStart, "a")
		if d := number(s.T, start, rfc2866.AcctDelayTime_Type); d < 72*3600 || d > 73*3600 {
			s.Errorf("Acct-Delay-Time is %d s", d)
		}
		if !s.log.has(slog.LevelWarn, "not answered") || !s.log.has(slog.LevelInfo, "answered again") {
			s.Error("the log says nothing of the outage")
		}
	})
}

// What a server that lives leaves unanswered holds up its own session alone.
func TestRecordThatNobodyTakes(t *testing.T) {
	for name, refuse := range map[string]func(codec.Attributes) bool{
		"a session's":   func(a codec.Attributes) bool { return idOf(a) == "a" },
		"Accounting-On": func(a codec.Attributes) bool { return kindOf(a) == kindOn },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(s *scene) {
				s.server.set(func(r *server) { r.refuse = refuse })
				s.start("a")
				s.settle(time.Second)
				s.crash()
				s.start("b")
				s.settle(6 * time.Hour)
				if got := s.server.story(); !strings.Contains(got, "start:b") {
					s.Errorf("the server got %q", got)
				}
				s.server.only(s.T, kindStart, "b")
				if !s.log.has(slog.LevelError, "does not answer") {
					s.Error("the log says nothing of it")
				}
				s.server.set(func(r *server) { r.refuse = nil })
				s.settle(time.Hour)
				if name != "Accounting-On" && !strings.HasSuffix(s.server.story(), "start:a stop:a") {
					s.Errorf("the server got %q", s.server.story())
				}
			})
		})
	}
}

// Interim reports come when they are due, by the Grant or as configured, and
// what a session carried never becomes less.
func TestInterims(t *testing.T) {
	bubble(t, func(c *Config) { c.Interim = 10 * time.Minute }, func(s *scene) {
		s.start("a", "b", "c")
		s.carries("a", Progress{Totals: auth.Totals{BytesOut: 1 << 40, PacketsOut: 9}})
		s.carries("b", Progress{Interim: time.Second}) // less than a minute is a minute
		s.settle(15*time.Minute + 30*time.Second)
		count := func(id string) (n int) {
			for _, a := range s.server.seen {
				if kindOf(a) == kindInterim && idOf(a) == id {
					n++
				}
			}
			return n
		}
		if a, b, c := count("a"), count("b"), count("c"); a != 1 || b < 12 || b > 15 || c != 0 {
			s.Errorf("%d, %d and %d interim reports", a, b, c)
		}
		interim := s.server.only(s.T, kindInterim, "a")
		if number(s.T, interim, rfc2869.AcctOutputGigawords_Type) != 256 || number(s.T, interim, rfc2866.AcctOutputPackets_Type) != 9 {
			s.Errorf("the report is %v", interim)
		}
		s.end("a", auth.Totals{BytesOut: 5}) // its Child SA was gone before it was read
		s.settle(time.Second)
		if n := number(s.T, s.server.only(s.T, kindStop, "a"), rfc2869.AcctOutputGigawords_Type); n != 256 {
			s.Errorf("the Stop tells %d gigawords", n)
		}
	})
}

// Start waits for the server where that is required, and no longer than its
// context: then the session has come to nothing, which the server hears.
func TestRequired(t *testing.T) {
	bubble(t, func(c *Config) { c.Required = true }, func(s *scene) {
		s.settle(time.Minute) // On is answered
		s.server.set(func(r *server) { r.takes = 3 * time.Second })
		began := time.Now()
		s.start("a")
		if took := time.Since(began); took != 3*time.Second {
			s.Errorf("Start returned after %v", took)
		}
		s.server.set(func(r *server) { r.down = true })
		ctx, cancel := context.WithTimeout(s.Context(), 10*time.Second)
		defer cancel()
		var unanswered *UnansweredError
		if err := s.Start(ctx, session("b")); !errors.As(err, &unanswered) || unanswered.Cause() != auth.CauseAccountingUnanswered {
			s.Errorf("Start while nobody answers: %v", err)
		}
		if err := s.Void(s.Context(), session("b"), auth.End{Cause: "x", Time: time.Now()}); err != nil {
			s.Error(err)
		}
		s.server.set(func(r *server) { r.down, r.takes = false, 0 })
		s.settle(10 * time.Minute)
		s.wantStory("on start:a start:b stop:b")
	})
}

// A Stop alone tells a server that what it lent is free.
func TestVoid(t *testing.T) {
	bubble(t, nil, func(s *scene) {
		v := session("v")
		v.Addresses, v.Unclaimed = nil, v.Addresses
		if err := s.Void(s.Context(), v, auth.End{Cause: "auth-payload-mismatch", Time: time.Now()}); err != nil {
			s.Fatal(err)
		}
		s.settle(time.Second)
		s.wantStory("on stop:v")
		stop := s.server.only(s.T, kindStop, "v")
		if v4, v6 := values(stop, 8), values(stop, 168); fmt.Sprint(v4, v6) != "[0a630007] [20010db8009900000000000000000007]" {
			s.Errorf("addresses %v %v", v4, v6)
		}
	})
}

// What can't be is refused, and changes nothing.
func TestMisuse(t *testing.T) {
	bubble(t, nil, func(s *scene) {
		s.start("a")
		for name, err := range map[string]error{
			"a second Start":         s.Start(s.Context(), session("a")),
			"no id":                  s.Start(s.Context(), session("")),
			"a zero in the id":       s.Start(s.Context(), session("a\x00b")),
			"Stop of nothing":        s.Stop(s.Context(), "b", auth.Totals{}, auth.End{}),
			"Void without an id":     s.Void(s.Context(), session(""), auth.End{}),
			"Void under a whole id ": s.Void(s.Context(), session(strings.Repeat("a", 254)), auth.End{}),
		} {
			if err == nil {
				s.Errorf("%s is no error", name)
			}
		}
		s.end("a", auth.Totals{})
		var unknown *UnknownError
		if err := s.Stop(s.Context(), "a", auth.Totals{}, auth.End{Time: time.Now()}); !errors.As(err, &unknown) {
			s.Errorf("a second Stop: %v", err)
		}
		s.settle(time.Second)
		s.wantStory("on start:a stop:a")
		s.kill()
		if err := s.Start(s.Context(), session("z")); !errors.Is(err, ErrClosed) {
			s.Errorf("Start after Close: %v", err)
		}
	})
}

// Clocks that jump make no time negative.
func TestClockJumps(t *testing.T) {
	var offset atomic.Int64
	bubble(t, func(c *Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())).Round(0) } // wall clock alone, as after a restart
	}, func(s *scene) {
		s.start("a")
		s.settle(time.Minute)
		offset.Store(int64(-24 * time.Hour))
		if err := s.Stop(s.Context(), "a", auth.Totals{}, auth.End{Cause: "client-disconnected", Time: s.Spool.config.Now()}); err != nil {
			s.Error(err)
		}
		s.start("b")
		offset.Store(int64(-48 * time.Hour))
		s.restart()
		offset.Store(int64(365 * 24 * time.Hour))
		s.settle(time.Minute)
		for _, a := range s.server.seen {
			for _, k := range []codec.Type{rfc2866.AcctDelayTime_Type, rfc2866.AcctSessionTime_Type, rfc2869.EventTimestamp_Type} {
				if v := values(a, k); len(v) > 0 && number(s.T, a, k) > 1<<31 && k != rfc2869.EventTimestamp_Type {
					s.Errorf("%v of %s: attribute %d is %v", kindOf(a), idOf(a), k, v)
				}
			}
		}
		s.server.only(s.T, kindStop, "a")
		s.server.only(s.T, kindStop, "b")
		offset.Store(int64(0))
	})
}

// As many requests are under way as may be, while nobody answers few.
func TestWindow(t *testing.T) {
	bubble(t, func(c *Config) { c.Window = 20 }, func(s *scene) {
		s.server.set(func(r *server) { r.takes = time.Second })
		s.settle(2 * time.Second)
		for i := range 200 {
			s.start(fmt.Sprint(i))
		}
		s.settle(11 * time.Second)
		if got := s.Figures().Starts; got != 200 || s.server.most != 20 {
			s.Errorf("%d answered, %d at once", got, s.server.most)
		}
		s.server.set(func(r *server) { r.down, r.most = true, 0 })
		for i := range 200 {
			s.end(fmt.Sprint(i), auth.Totals{})
		}
		s.settle(time.Hour)
		s.server.set(func(r *server) { r.most = 0 })
		s.settle(time.Hour)
		if s.server.most > probing {
			s.Errorf("%d requests at once while nobody answers", s.server.most)
		}
		s.server.set(func(r *server) { r.down = false })
		for s.Figures().Stops == 0 {
			s.settle(time.Second)
		}
		s.settle(12 * time.Second)
		if got := s.Figures().Stops; got != 200 {
			s.Errorf("%d of 200 are answered soon after the first", got)
		}
	})
}
