package dae

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// noticeEvery is how often the same reason to discard packets is logged for
// the same client. All are counted.
const noticeEvery = time.Minute

// notice is a reason and the client it is about; unknown ones are one.
type notice struct {
	client string
	reason discard
}

// notices remembers what was logged when.
type notices struct {
	mu   sync.Mutex
	last map[notice]time.Time // guarded by mu
}

func (n *notices) due(now time.Time, what notice) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if last, known := n.last[what]; known && now.Sub(last) < noticeEvery {
		return false
	}
	n.last[what] = now
	return true
}

// discarded counts a packet that is not answered, and logs it now and then.
func (s *Server) discarded(now time.Time, client string, from source, err error) {
	var reason discard
	if !errors.As(err, &reason) {
		reason = discardMalformed
	}
	s.figures.discarded(reason)
	if reason == discardDuplicate || !s.notices.due(now, notice{client, reason}) {
		return
	}
	s.log.Warn("dynamic authorization: a packet was discarded", slog.String("reason", err.Error()), slog.String("client", client),
		slog.String("from", from.addr.String()), slog.Bool("tls", from.overTLS), slog.String("advice", advice[reason]))
}

// logAnswer tells what became of an authentic request.
func (s *Server) logAnswer(client *Client, q *request, d done, fault *Failure) {
	level, attrs := slog.LevelInfo, []slog.Attr{
		slog.String("client", client.Name), slog.String("request", kind(q.disconnects())), slog.Any("sessions", d.sessions),
	}
	if d.note != "" {
		attrs = append(attrs, slog.String("note", d.note))
	}
	if fault != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.Uint64("error_cause", uint64(fault.Cause)), slog.String("error", fault.Error()))
	}
	s.log.LogAttrs(context.Background(), level, "dynamic authorization", attrs...)
}

// kind names a request for the log and the figures.
func kind(disconnects bool) string {
	if disconnects {
		return "disconnect"
	}
	return "coa"
}
