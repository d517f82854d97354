package accounting

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"bridgehead/auth"
)

const tight = 64 << 10

// fill begins sessions until no more are taken.
func (s *scene) fill() (ids []string) {
	s.Helper()
	for n := 0; ; n++ {
		id := fmt.Sprintf("fill%d", n)
		err := s.Start(s.Context(), session(id))
		var full *FullError
		if errors.As(err, &full) {
			if full.Cause() != auth.CauseAccountingFull || full.Limit != tight {
				s.Errorf("%v", err)
			}
			return ids
		}
		if err != nil {
			s.Fatal(err)
		}
		if ids = append(ids, id); n > 1000 {
			s.Fatal("no limit")
		}
	}
}

func down(s *server) { s.down = true }
func up(s *server)   { s.down = false }

// At the limit logins are refused; every session that was taken has its Start
// and its Stop when the server is back.
func TestFullRefusesLogins(t *testing.T) {
	bubble(t, func(c *Config) { c.Limit, c.WhenFull, c.Interim = tight, RefuseLogins, time.Minute }, func(s *scene) {
		s.server.set(down)
		ids := s.fill()
		for _, id := range ids {
			s.carries(id, Progress{Totals: auth.Totals{BytesIn: 9}})
		}
		s.settle(10 * time.Minute)
		if f := s.Figures(); f.DroppedInterims < uint64(len(ids)) || f.DroppedSessions != 0 || f.Refused != 1 || f.Octets > f.Limit {
			s.Errorf("figures %+v", f)
		}
		for _, id := range ids {
			s.end(id, auth.Totals{BytesIn: 10})
		}
		if f := s.Figures(); f.Octets > f.Limit {
			s.Errorf("figures %+v", f)
		}
		s.server.set(up)
		s.settle(10 * time.Minute)
		for _, id := range ids {
			s.server.only(s.T, kindStart, id)
			s.server.only(s.T, kindStop, id)
		}
		if err := s.Start(s.Context(), session("again")); err != nil {
			s.Error(err)
		}
		if !s.log.has(slog.LevelError, "logins are refused") || !s.log.has(slog.LevelError, "interim reports are dropped") {
			s.Error("the log does not say so")
		}
		if len(s.notices) == 0 {
			s.Error("nobody was told")
		}
	})
}

// At the limit interim reports go first, then whole sessions that have ended,
// the oldest first, and each is told of; what is up keeps its Start, so that
// logins are refused in the end.
func TestFullDropsTheLeast(t *testing.T) {
	bubble(t, func(c *Config) { c.Limit, c.Interim = tight, time.Minute }, func(s *scene) {
		s.server.set(down)
		s.settle(time.Minute)
		for n := range 10 {
			id := fmt.Sprintf("old%d", n)
			s.start(id)
			s.settle(time.Second)
			s.end(id, auth.Totals{})
		}
		s.start("long")
		s.carries("long", Progress{})
		s.settle(15 * time.Minute)
		waiting := s.Figures().Octets
		var dropped Figures
		for n := 0; ; n++ {
			if err := s.Start(s.Context(), session(fmt.Sprint("new", n))); err != nil {
				break
			}
			f := s.Figures()
			if f.DroppedSessions > 0 && dropped.DroppedInterims == 0 {
				dropped = f
			}
			if f.Octets > tight {
				s.Fatalf("figures %+v", f)
			}
		}
		if dropped.DroppedInterims < 10 || waiting == 0 {
			s.Errorf("sessions are dropped after %d interim reports", dropped.DroppedInterims)
		}
		if f := s.Figures(); f.DroppedSessions != 10 || f.Refused != 1 {
			s.Errorf("figures %+v", f)
		}
		if !s.log.has(slog.LevelError, "a session is not reported") {
			s.Error("the log does not say so")
		}
		s.restart()
		s.server.set(up)
		s.settle(10 * time.Minute)
		for _, a := range s.server.seen {
			if id := idOf(a); len(id) > 3 && id[:3] == "old" {
				s.Errorf("%v of %s came after all", kindOf(a), id)
			}
		}
		s.server.only(s.T, kindStart, "long")
		s.server.only(s.T, kindStart, "new0")
	})
}

// smallDisk is a folder on a file system of its own with room for so many
// octets.
func smallDisk(t *testing.T, octets int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", octets)); err != nil {
		t.Fatalf("mount: %v; the test needs root", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// A disk that is full refuses logins by name; what ends meanwhile is written as
// soon as there is room, and nothing of it is lost.
func TestDiskFull(t *testing.T) {
	dir := smallDisk(t, 1<<20)
	bubble(t, func(c *Config) { c.Path = filepath.Join(dir, "accounting.db") }, func(s *scene) {
		s.server.set(down)
		var ids []string
		for n := range 200 {
			ids = append(ids, fmt.Sprint("a", n))
		}
		s.start(ids...)
		ballast := filepath.Join(dir, "ballast")
		f, err := os.Create(ballast)
		if err != nil {
			s.Fatal(err)
		}
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
		f.Close()
		refused := 0
		for n := 0; refused == 0 && n < 1000; n++ { // there may be free pages in the file
			err := s.Start(s.Context(), session(fmt.Sprint("c", n)))
			var fault *StoreError
			switch {
			case errors.As(err, &fault) && errors.Is(err, syscall.ENOSPC) && fault.Cause() == auth.CauseAccountingNotWritten:
				refused++
			case err != nil:
				s.Fatal(err)
			default:
				s.end(fmt.Sprint("c", n), auth.Totals{})
			}
		}
		if refused == 0 {
			s.Fatal("the disk took a thousand sessions")
		}
		unwritten := 0
		for _, id := range ids {
			err := s.Stop(s.Context(), id, auth.Totals{BytesIn: 77}, auth.End{Cause: "idle-timeout", Time: time.Now()})
			if errors.Is(err, syscall.ENOSPC) {
				unwritten++
			} else if err != nil {
				s.Errorf("Stop: %v", err)
			}
		}
		if unwritten == 0 {
			s.Error("the disk took every Stop")
		}
		s.settle(time.Minute)
		if f := s.Figures(); f.Unsaved == 0 {
			s.Errorf("figures %+v", f)
		}
		if err := os.Remove(ballast); err != nil {
			s.Fatal(err)
		}
		s.settle(time.Minute)
		if f := s.Figures(); f.Unsaved != 0 {
			s.Errorf("figures %+v", f)
		}
		s.start("d")
		s.server.set(up)
		s.settle(10 * time.Minute)
		for _, id := range ids {
			if got := number(s.T, s.server.only(s.T, kindStop, id), 42); got != 77 {
				s.Errorf("the Stop tells %d octets", got)
			}
		}
		s.server.only(s.T, kindStart, "d")
	})
}
