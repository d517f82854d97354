package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Limits of the socket's users: they are trusted, their mistakes are not.
const (
	maxRequest    = 64 << 10         // octets of a request's body
	headerTimeout = 5 * time.Second  // to send a request
	eventTimeout  = 10 * time.Second // for a follower to take one event
)

// Config is what a Server serves.
type Config struct {
	Socket  string // path; a folder that is missing is made with mode 0750
	Gateway Gateway
	Journal *Journal
	Metrics prometheus.Gatherer
	Logger  *slog.Logger
}

// Server is the gateway's end of the socket.
type Server struct {
	config   Config
	listener net.Listener
	http     *http.Server
}

// Listen makes the socket, mode 0660. A socket left behind by a dead gateway
// is replaced; one that somebody listens on is an error. It is a *SocketError.
func Listen(c Config) (*Server, error) {
	if err := os.MkdirAll(filepath.Dir(c.Socket), 0o750); err != nil {
		return nil, &SocketError{c.Socket, "move it with --control or paths.control", err}
	}
	if conn, err := net.DialTimeout("unix", c.Socket, time.Second); err == nil {
		_ = conn.Close()
		return nil, &SocketError{c.Socket, "stop the other gateway, or move this one's socket with --control", errors.New("another gateway runs behind it")}
	}
	if info, err := os.Lstat(c.Socket); err == nil {
		if info.Mode().Type() != os.ModeSocket {
			return nil, &SocketError{c.Socket, "move it away, or move the socket with --control", errors.New("a file that is no socket stands there")}
		}
		if err := os.Remove(c.Socket); err != nil {
			return nil, &SocketError{c.Socket, "run as root, or move it with --control", err}
		}
	}
	// The socket must never be open to all, not for a moment either.
	mask := syscall.Umask(0o117)
	l, err := net.Listen("unix", c.Socket)
	syscall.Umask(mask)
	if err != nil {
		return nil, &SocketError{c.Socket, "run as root, or move it with --control", err}
	}
	s := &Server{config: c, listener: l}
	s.http = &http.Server{
		Handler:           authorize(c.Socket, s.routes()),
		ConnContext:       withCredentials,
		ReadHeaderTimeout: headerTimeout,
		ErrorLog:          slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Serve answers until ctx ends; then requests under way get a second.
func (s *Server) Serve(ctx context.Context) error {
	stopped := context.AfterFunc(ctx, func() {
		s.config.Journal.Close()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if s.http.Shutdown(grace) != nil {
			_ = s.http.Close() // those who still talk had their second
		}
	})
	defer stopped()
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}

// Close removes the socket; Serve has done so at its end.
func (s *Server) Close() error {
	if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(s.config.Gateway.Status(r.Context()))
	})
	mux.HandleFunc("GET /v1/sessions", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(s.config.Gateway.Sessions(r.Context()))
	})
	mux.HandleFunc("POST /v1/disconnect", s.disconnect)
	mux.HandleFunc("POST /v1/reload", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(s.config.Gateway.Reload(r.Context()))
	})
	mux.HandleFunc("GET /v1/why", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(s.config.Journal.Why(r.URL.Query().Get("about")), nil)
	})
	mux.HandleFunc("GET /v1/events", s.events)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.config.Metrics, promhttp.HandlerOpts{}))
	return mux
}

func (s *Server) disconnect(w http.ResponseWriter, r *http.Request) {
	var which Selector
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	d.DisallowUnknownFields()
	if err := d.Decode(&which); err != nil {
		fail(w, http.StatusBadRequest, "expected a selector: "+err.Error())
		return
	}
	if !which.valid() {
		fail(w, http.StatusBadRequest, "expected exactly one of session, user and all")
		return
	}
	answer(w)(s.config.Gateway.Disconnect(r.Context(), which))
}

// valid tells whether exactly one field is set.
func (s Selector) valid() bool {
	n := 0
	for _, set := range []bool{s.Session != "", s.User != "", s.All} {
		if set {
			n++
		}
	}
	return n == 1
}

// events writes the recent events and, with follow=1, those to come: one JSON
// object a line.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	out := json.NewEncoder(w)
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	follower := s.config.Journal.Follow()
	defer follower.Close()
	if r.URL.Query().Get("recent") != "0" {
		for _, e := range s.config.Journal.Events() {
			if out.Encode(e) != nil {
				return
			}
		}
	}
	if control.Flush() != nil || r.URL.Query().Get("follow") != "1" {
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case e, ok := <-follower.Events():
			if !ok {
				if follower.Slow() {
					_ = out.Encode(Event{Time: time.Now(), Kind: KindNotice, Text: "events came faster than they were read; follow again"})
				}
				return
			}
			_ = control.SetWriteDeadline(time.Now().Add(eventTimeout))
			if out.Encode(e) != nil || control.Flush() != nil {
				return
			}
		}
	}
}

// failure is the body of every answer that is not 200.
type failure struct {
	Error string `json:"error"`
}

func fail(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(failure{message}) // the caller may have gone
}

// answer takes a result and an error, and writes whichever there is.
func answer(w http.ResponseWriter) func(any, error) {
	return func(v any, err error) {
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			fail(w, http.StatusGatewayTimeout, err.Error())
		case err != nil:
			fail(w, http.StatusConflict, err.Error())
		default:
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(v) // the caller may have gone
		}
	}
}
