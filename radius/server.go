package radius

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"bridgehead/auth"
)

const (
	defaultSockets     = 8
	defaultConnections = 1
	maxLines           = 64
)

// tlsSecret is the shared secret of every server behind TLS (RFC 6614 §2.3):
// there the certificates keep strangers out.
const tlsSecret = "radsec"

// ServerConfig is one server.
type ServerConfig struct {
	Name    string // for logs and figures; empty: the address
	Address string // host:port
	// Secret is shared with the server: any octets but none at all. Over TLS
	// it is left empty.
	Secret auth.Secret
	// TLS has the server spoken to over TLS 1.2 or later; nil: over UDP. It
	// holds the client's certificate and whom to trust.
	TLS *tls.Config
	// Accounting is the host:port that takes accounting; empty: over TLS the same
	// connection does, over UDP nothing.
	Accounting string
	Source     netip.Addr // the address to ask from; zero: the kernel's choice
	// Priority: servers with a lower one are asked first. Among equals Weight
	// is the share of logins each gets; all zero: the same.
	Priority, Weight int
	// AllowUnsigned takes Access-Accept, -Reject and -Challenge without
	// Message-Authenticator. Only a server too old to be trusted over a network
	// needs it (CVE-2024-3596). With an EAP-Message it never has an effect.
	AllowUnsigned bool
	// NoStatusServer is for a server that leaves Status-Server unanswered.
	NoStatusServer bool
	// Lines is how many UDP sockets or TLS connections are opened at most, as
	// the need arises; each carries 255 requests. Zero: 8 and 1.
	Lines          int
	Retransmission Retransmission
	Health         Health
	// NASIdentifier goes into Status-Server.
	NASIdentifier string
}

// Format writes which server it is; never its secret, nor keys.
func (c ServerConfig) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[RADIUS server %q at %s]", c.Name, c.Address)
}

// Options are what the world provides; the zero value is the real one.
type Options struct {
	Now  func() time.Time
	Rand io.Reader
	Log  *slog.Logger
	// Observe hears of every packet; nil: nobody does. It is called by several
	// goroutines, and holds up those that it is called by.
	Observe func(Hop)
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Reply is an authentic answer.
type Reply struct {
	Code       codec.Code
	Attributes codec.Attributes
	RoundTrip  time.Duration // since the first time the request was sent

	question request
	secret   auth.Secret
}

// Format writes what it is, without attributes: some hold keys.
func (r Reply) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[%s, %d attributes]", r.Code, len(r.Attributes))
}

// MarshalText keeps attributes out of JSON.
func (r Reply) MarshalText() ([]byte, error) { return fmt.Append(nil, r), nil }

// Server is the client of one RADIUS server. Close ends its goroutines.
type Server struct {
	config  ServerConfig
	options Options
	dial    dialer
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	slots   chan struct{} // one for each identifier in use or in quarantine
	account *Server       // takes accounting; nil: nothing does
	wake    chan struct{} // the watcher has to look at the time

	mu     sync.Mutex // guards what follows
	lines  []*line
	watch  *watch
	died   chan struct{} // closed while the server is dead
	fig    Figures
	fault  error // what the network said last, since the last answer
	closed bool
}

// NewServer checks the configuration, which it copies, and begins to watch the
// server. It does not wait for it. The error is a *ConfigError.
func NewServer(c ServerConfig, o Options) (*Server, error) {
	if c.Name == "" {
		c.Name = c.Address
	}
	books, err := c.books()
	if err != nil {
		return nil, err
	}
	if err := c.complete(); err != nil {
		return nil, err
	}
	s := newServer(c, o, c.dialer())
	switch {
	case books != nil:
		s.account = newServer(*books, o, books.dialer())
	case c.TLS != nil || c.Accounting == c.Address:
		s.account = s
	}
	return s, nil
}

func newServer(c ServerConfig, o Options, dial dialer) *Server {
	s := &Server{config: c, options: o.withDefaults(), dial: dial,
		slots: make(chan struct{}, c.Lines*ordinaryIDs), wake: make(chan struct{}, 1), died: make(chan struct{})}
	s.watch = newWatch(s.options.Now(), c.Health, !c.NoStatusServer, c.TLS != nil)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.running.Add(1)
	go s.watchOver()
	return s
}

// complete fills in defaults and refuses what can't work.
func (c *ServerConfig) complete() error {
	fault := func(format string, args ...any) error {
		return &ConfigError{c.Name, fmt.Sprintf(format, args...)}
	}
	host, port, err := net.SplitHostPort(c.Address)
	if err != nil || host == "" || port == "" {
		return fault("the address %q is not host:port; write it as 192.0.2.1:1812 or [2001:db8::1]:1812", c.Address)
	}
	lines := defaultSockets
	if c.TLS == nil {
		if len(c.Secret) == 0 {
			return fault("it has no shared secret; give it the one that the server's client entry for this gateway has")
		}
	} else {
		lines = defaultConnections
		if len(c.Secret) > 0 {
			return fault("over TLS the shared secret is fixed (RFC 6614 §2.3); leave it out")
		}
		if c.TLS.InsecureSkipVerify {
			return fault("its certificate would not be checked; give the authority that signed it instead")
		}
		if len(c.TLS.Certificates) == 0 && c.TLS.GetClientCertificate == nil {
			return fault("over TLS the gateway needs a certificate of its own (RFC 6614 §2.3); give one with its key")
		}
		c.Secret, c.TLS = auth.Secret(tlsSecret), c.TLS.Clone()
		c.TLS.MinVersion = max(c.TLS.MinVersion, tls.VersionTLS12)
		if c.TLS.ServerName == "" {
			c.TLS.ServerName = host
		}
	}
	if c.Lines == 0 {
		c.Lines = lines
	}
	if c.Lines < 0 || c.Lines > maxLines {
		return fault("%d sockets or connections; choose 1 to %d", c.Lines, maxLines)
	}
	if c.Priority < 0 || c.Weight < 0 {
		return fault("priority %d and weight %d must not be negative", c.Priority, c.Weight)
	}
	c.Secret = append(auth.Secret(nil), c.Secret...)
	c.Retransmission, c.Health = c.Retransmission.withDefaults(), c.Health.withDefaults()
	return nil
}

// Name is the server's name in logs and figures.
func (s *Server) Name() string { return s.config.Name }

// Format writes which server it is.
func (s *Server) Format(f fmt.State, verb rune) { s.config.Format(f, verb) }

// Close ends every request with ErrClosed, and waits for the server's
// goroutines.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.running.Wait()
	if s.account != nil && s.account != s {
		s.account.Close()
	}
}

// Exchange sends an Access-Request and waits for its authentic answer, as long
// as ctx and the retransmission allow. The Message-Authenticator is added; attrs
// must hold none. It ends with a *SilentError where no answer came.
func (s *Server) Exchange(ctx context.Context, attrs codec.Attributes) (*Reply, error) {
	return s.exchange(ctx, attrs, false)
}

// lastChance is when at the latest a request to a dead server is given up where
// no other could take it: servers are restarted within seconds, and Android
// leaves a gateway that owes it an answer for longer than ten.
const lastChance = 9 * time.Second

// exchange is Exchange; giveUp ends it as soon as the server counts as dead,
// else it has its last chance. One that is dead already has that long, or with
// giveUp as long as for a Status-Server, to come back.
func (s *Server) exchange(ctx context.Context, attrs codec.Attributes, giveUp bool) (*Reply, error) {
	return s.conduct(ctx, newFlight(codec.CodeAccessRequest, attrs), giveUp, 0)
}

// conduct is exchange for a request of any kind. What other servers have spent
// of the last chance is taken off it.
func (s *Server) conduct(ctx context.Context, f *flight, giveUp bool, spent time.Duration) (*Reply, error) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("radius server %s: all %d identifiers are in use: %w", s.Name(), cap(s.slots), context.Cause(ctx))
	case <-s.ctx.Done():
		return nil, ErrClosed
	}
	l, died, err := s.reserve()
	if err != nil {
		<-s.slots
		return nil, err
	}
	least := lastChance - spent
	switch {
	case giveUp:
		least = 0
	case s.config.NoStatusServer: // who is silent may be slow
		died = nil
	}
	if died != nil && isClosed(died) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(least, s.config.Health.Probe))
		defer cancel()
		died = nil
	}
	return s.await(ctx, l, f, died, least)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// await hands a flight to its line and waits for the outcome. Once died is closed
// it waits no longer, but for the time least from the beginning.
func (s *Server) await(ctx context.Context, l *line, f *flight, died <-chan struct{}, least time.Duration) (*Reply, error) {
	began := s.options.Now()
	select {
	case l.asks <- f:
	case <-ctx.Done(): // a TLS server that takes nothing can hold its line up
		if f.code != codec.CodeStatusServer {
			s.release(l, 1)
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, context.Cause(ctx)
		}
		return nil, &SilentError{Server: s.Name(), Waited: s.options.Now().Sub(began), Cause: context.Cause(ctx)}
	case <-s.ctx.Done():
		return nil, ErrClosed
	}
	before := s.Figures()
	select {
	case o := <-f.outcome:
		return o.reply, s.since(o.err, began, before)
	case <-ctx.Done():
	case <-died:
		if o, ok := f.within(ctx, least-s.options.Now().Sub(began)); ok {
			return o.reply, s.since(o.err, began, before)
		}
	}
	select {
	case l.drops <- f:
	case <-s.ctx.Done():
		return nil, ErrClosed
	}
	select {
	case o := <-f.outcome: // it came just now
		return o.reply, s.since(o.err, began, before)
	default:
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, context.Cause(ctx)
	}
	return nil, s.since(s.silence(f), began, before)
}

// within waits for the outcome for so long.
func (f *flight) within(ctx context.Context, most time.Duration) (outcome, bool) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case o := <-f.outcome:
		return o, true
	case <-ctx.Done():
	case <-timer.C:
	}
	return outcome{}, false
}

// reserve promises the caller an identifier of a line; a slot is held.
func (s *Server) reserve() (*line, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, ErrClosed
	}
	for _, l := range s.lines {
		if l.used < ordinaryIDs {
			l.used++
			return l, s.died, nil
		}
	}
	l := s.open()
	l.used++
	return l, s.died, nil
}

// open begins a new line; the lock is held.
func (s *Server) open() *line {
	l := newLine(s)
	s.lines = append(s.lines, l)
	s.running.Add(1)
	go l.run(s.ctx)
	return l
}

// release takes back identifiers of a line.
func (s *Server) release(l *line, n int) {
	if n == 0 {
		return
	}
	s.mu.Lock()
	l.used -= n
	s.mu.Unlock()
	for range n {
		<-s.slots
	}
}

// probe asks the server for a sign of life.
func (s *Server) probe(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	if len(s.lines) == 0 {
		s.open()
	}
	l := s.lines[0]
	s.mu.Unlock()
	var attrs codec.Attributes
	if id := s.config.NASIdentifier; id != "" {
		attrs.Add(rfc2865.NASIdentifier_Type, codec.Attribute(id[:min(len(id), maxValue)]))
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.Health.Probe)
	defer cancel()
	_, err := s.await(ctx, l, newFlight(codec.CodeStatusServer, attrs), nil, 0)
	return err
}

// watchOver sends Status-Server when the watch wants one, until Close.
func (s *Server) watchOver() {
	defer s.running.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		s.mu.Lock()
		at := s.watch.probeAt()
		s.mu.Unlock()
		now := s.options.Now()
		if at.IsZero() {
			timer.Stop()
			continue
		}
		if now.Before(at) {
			timer.Reset(at.Sub(now) + max(0, jitter(s.config.Health.Probe, s.options.Rand)))
			continue
		}
		err := s.probe(s.ctx)
		if s.ctx.Err() != nil {
			return
		}
		s.probed(err)
		timer.Reset(0)
	}
}
