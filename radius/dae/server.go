package dae

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// atOncePerClient and atOnce bound the requests worked on.
	atOncePerClient = 16
	atOnce          = 64
	// patience bounds the work on one request: a client repeats it for longer.
	patience = 10 * time.Second
)

// Config is who may send requests, and to whom.
type Config struct {
	Clients  []Client
	Identity Identity
}

// Options are what the world provides; the zero value is the real one.
type Options struct {
	Now func() time.Time
	Log *slog.Logger
}

// Server takes requests from any number of sockets. Its methods are safe for
// concurrent use.
type Server struct {
	gateway Gateway
	now     func() time.Time
	log     *slog.Logger
	config  atomic.Pointer[settings]
	cache   *cache
	figures figures
	notices notices

	mu   sync.Mutex
	busy map[string]int // requests worked on, by client; guarded by mu
	work int            // and in all; guarded by mu
}

// settings is a Config in use.
type settings struct {
	clients  clients
	identity Identity
}

// NewServer makes a server that does to gateway what its clients ask for. The
// error is a *ConfigError.
func NewServer(gateway Gateway, c Config, o Options) (*Server, error) {
	s := &Server{gateway: gateway, now: o.Now, log: o.Log, cache: newCache(), busy: make(map[string]int)}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.notices.last = make(map[notice]time.Time)
	return s, s.Configure(c)
}

// Configure exchanges the configuration; requests under way keep theirs. After
// an error, a *ConfigError, all stays as it was.
func (s *Server) Configure(c Config) error {
	list, err := newClients(c.Clients)
	if err != nil {
		return err
	}
	s.config.Store(&settings{list, c.Identity})
	return nil
}

// source is where a packet came from.
type source struct {
	addr    netip.AddrPort
	client  *Client // over TLS; nil over UDP: the address tells
	overTLS bool
}

// receive takes a packet, which it does not keep. Work on it goes on in a
// goroutine of running; reply, which must be safe for concurrent use, is called
// at most once.
func (s *Server) receive(ctx context.Context, running *sync.WaitGroup, from source, packet []byte, reply func([]byte)) {
	now, settings := s.now(), s.config.Load()
	client := from.client
	if client == nil {
		client = settings.clients.byAddress(from.addr.Addr())
	}
	if client == nil {
		s.discarded(now, "", from, discardClient)
		return
	}
	q, err := readRequest(now, packet, client, from.overTLS)
	if err != nil {
		s.discarded(now, client.Name, from, err)
		return
	}
	k := keyOf(client.Name, from.addr, q)
	answer, err := s.cache.begin(now, k, q.dated)
	switch {
	case err != nil:
		s.discarded(now, client.Name, from, err)
		return
	case answer != nil:
		s.figures.repeated.Add(1)
		reply(answer)
		return
	case !s.enter(client.Name):
		s.cache.abandon(k)
		s.discarded(now, client.Name, from, discardBusy)
		return
	}
	running.Go(func() {
		defer s.leave(client.Name)
		if answer := s.carryOut(ctx, settings, client, q); answer != nil {
			s.cache.finish(k, answer)
			reply(answer)
		}
	})
}

// enter counts a request in, unless too many are worked on.
func (s *Server) enter(client string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.work >= atOnce || s.busy[client] >= atOncePerClient {
		return false
	}
	s.work++
	s.busy[client]++
	return true
}

func (s *Server) leave(client string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work--
	if s.busy[client]--; s.busy[client] == 0 {
		delete(s.busy, client)
	}
}

// carryOut does what a request asks for, and gives the answer; nil where there
// can be none.
func (s *Server) carryOut(ctx context.Context, c *settings, client *Client, q *request) []byte {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	done, fault := s.obey(ctx, c, client, q)
	cause := ErrorCause(0)
	if fault != nil {
		cause = fault.Cause
	}
	s.figures.answered(client.Name, q.disconnects(), cause)
	s.logAnswer(client, q, done, fault)
	answer, err := q.answer(cause)
	if err != nil {
		s.discarded(s.now(), client.Name, source{}, discardUnanswerable)
		return nil
	}
	return answer
}

// done is what a request was obeyed in, for the log.
type done struct {
	sessions []string
	note     string
}

// obey does what a request asks for, if it may.
func (s *Server) obey(ctx context.Context, c *settings, client *Client, q *request) (done, *Failure) {
	if q.disconnects() && client.NoDisconnect || !q.disconnects() && client.NoChange {
		return done{}, &Failure{Prohibited, errNotAllowed}
	}
	o, fault := q.readOrder(&c.identity)
	if fault != nil {
		return done{}, fault
	}
	d := done{note: o.note}
	candidates, err := s.gateway.Candidates(ctx, o.query)
	if err != nil {
		return d, failed(err, ResourcesUnavailable)
	}
	for i := range candidates {
		if o.query.True(&candidates[i]) {
			d.sessions = append(d.sessions, candidates[i].ID)
		}
	}
	switch {
	case len(d.sessions) == 0:
		return d, &Failure{SessionNotFound, errNotFound}
	case len(d.sessions) > 1 && !client.Many && o.query.MultiID == "":
		return d, &Failure{MultipleSessionsRefused, severalFault(len(d.sessions))}
	case q.disconnects():
		if err := s.gateway.Disconnect(ctx, d.sessions); err != nil {
			return d, failed(err, SessionNotRemovable)
		}
	default:
		if err := s.gateway.Change(ctx, d.sessions, o.change); err != nil {
			return d, failed(err, ResourcesUnavailable)
		}
	}
	return d, nil
}
