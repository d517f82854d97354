package radius

import (
	"bytes"
	"context"
	"errors"
	"io"
	"syscall"
	"time"

	codec "layeh.com/radius"
)

const (
	redialFirst = 200 * time.Millisecond
	redialMost  = 10 * time.Second
	// maxPassing is how many passing errors in a row a link survives.
	maxPassing = 64
)

// line is one UDP socket or TLS connection with its requests. Its goroutine,
// run, owns all of it; the server's methods that it calls lock the server.
type line struct {
	server  *Server
	dial    dialer
	used    int // identifiers promised to callers; the server's lock guards it
	asks    chan *flight
	drops   chan *flight
	resets  chan struct{} // the link is to be made anew
	inbound chan arrival
	dialed  chan dialResult

	flights *flights
	link    link
	proven  bool // an answer came over it
	dialing bool
	backoff time.Duration
	redial  time.Time // while there is no link; zero: at once
}

// arrival is what a link's reader got.
type arrival struct {
	from   link
	packet []byte
	err    error
	broken bool
}

type dialResult struct {
	link link
	err  error
}

func newLine(s *Server) *line {
	return &line{
		server: s, dial: s.dial,
		asks: make(chan *flight), drops: make(chan *flight), resets: make(chan struct{}, 1),
		inbound: make(chan arrival), dialed: make(chan dialResult),
		flights: newFlights(s.config.Secret, s.config.Retransmission, s.config.TLS == nil, s.config.AllowUnsigned, s.options.Rand),
	}
}

// run is the line's life; ctx ends it.
func (l *line) run(ctx context.Context) {
	defer l.server.running.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	l.connect(ctx)
	for {
		select {
		case <-ctx.Done():
			l.hangUp()
			return
		case f := <-l.asks:
			l.launch(ctx, f)
		case f := <-l.drops:
			l.flights.drop(l.server.options.Now(), f)
		case r := <-l.dialed:
			l.connected(ctx, r)
		case a := <-l.inbound:
			if a.from == l.link {
				l.arrived(ctx, a)
			}
		case <-l.resets:
			l.lost(ctx, nil)
		case <-timer.C:
			l.tick(ctx)
		}
		l.arm(timer)
	}
}

func (l *line) arm(timer *time.Timer) {
	next := l.flights.next()
	if l.link == nil && !l.dialing && (next.IsZero() || l.redial.Before(next)) {
		next = l.redial
	}
	if next.IsZero() {
		timer.Stop()
		return
	}
	timer.Reset(max(0, next.Sub(l.server.options.Now())))
}

func (l *line) connect(ctx context.Context) {
	l.dialing = true
	l.server.running.Add(1)
	go func() {
		defer l.server.running.Done()
		made, err := l.dial(ctx)
		select {
		case l.dialed <- dialResult{made, err}:
		case <-ctx.Done():
			if err == nil {
				made.Close()
			}
		}
	}()
}

func (l *line) connected(ctx context.Context, r dialResult) {
	l.dialing = false
	if r.err != nil {
		l.retreat()
		l.server.unreachable(r.err)
		return
	}
	l.link, l.proven = r.link, false
	l.server.running.Add(1)
	go l.read(ctx, r.link)
	for _, f := range l.flights.byID {
		if f != nil && f.queued {
			f.queued = false
			l.send(ctx, f)
		}
	}
}

// read hands on what comes over one link until that is closed or broken.
func (l *line) read(ctx context.Context, from link) {
	defer l.server.running.Done()
	buf := make([]byte, codec.MaxPacketLength)
	for passing := 0; ; {
		n, err := from.receive(buf)
		a := arrival{from: from, err: err}
		if err == nil {
			passing, a.packet = 0, bytes.Clone(buf[:n])
		} else {
			passing++
			a.broken = passing > maxPassing || from.broken(err)
		}
		select {
		case l.inbound <- a:
		case <-ctx.Done():
			return
		}
		if a.broken {
			return
		}
	}
}

// lost gives the link up. What is unanswered goes out again over the next one,
// octet by octet the same, so that the server knows it (RFC 5080 §2.2.2).
func (l *line) lost(ctx context.Context, err error) {
	if l.link == nil {
		return
	}
	l.link.Close()
	l.link = nil
	for _, f := range l.flights.byID {
		if f != nil {
			f.queued = true
		}
	}
	if !l.proven && (errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)) {
		err = errTurnedAway // with TLS 1.3 the server judges the certificate after the handshake
	}
	if err != nil {
		l.server.trouble(err)
	}
	if l.backoff == 0 { // it did its work until now
		l.connect(ctx)
	}
	l.retreat()
}

// retreat puts the next attempt off: a server may take a connection and end it
// at once, as with a certificate that it does not like.
func (l *line) retreat() {
	l.backoff = min(max(2*l.backoff, redialFirst), redialMost)
	l.redial = l.server.options.Now().Add(l.backoff)
}

func (l *line) hangUp() {
	if l.link != nil {
		l.link.Close()
	}
	for _, f := range l.flights.byID {
		if f != nil {
			f.outcome <- outcome{err: ErrClosed}
		}
	}
}

func (l *line) launch(ctx context.Context, f *flight) {
	if err := l.flights.launch(l.server.options.Now(), f); err != nil {
		f.outcome <- outcome{err: err}
		if f.code != codec.CodeStatusServer {
			l.server.release(l, 1)
		}
		return
	}
	l.server.sent(false)
	l.send(ctx, f)
}

// send puts a flight on the wire, or keeps it for when there is one.
func (l *line) send(ctx context.Context, f *flight) {
	if l.link == nil {
		f.queued = true
		return
	}
	l.server.trace(Hop{Direction: Sent, Try: f.sent}, f.wire)
	if err := l.link.send(f.wire); err != nil {
		if l.link.broken(err) {
			l.lost(ctx, err)
			return
		}
		l.server.trouble(err)
	}
}

func (l *line) tick(ctx context.Context) {
	now := l.server.options.Now()
	again, ended, ids := l.flights.tick(now)
	for _, f := range again {
		l.server.sent(true)
		l.server.silent(f)
		l.send(ctx, f)
	}
	for _, f := range ended {
		f.outcome <- outcome{err: l.server.silence(f)}
	}
	l.server.release(l, ids)
	if l.link == nil && !l.dialing && !now.Before(l.redial) {
		l.connect(ctx)
	}
}

func (l *line) arrived(ctx context.Context, a arrival) {
	if a.err != nil {
		if a.broken {
			l.lost(ctx, a.err)
		} else {
			l.server.trouble(a.err)
		}
		return
	}
	f, reply, err := l.flights.receive(a.packet)
	if err != nil {
		l.server.discarded(err)
		l.server.trace(Hop{Direction: Discarded, Error: err}, a.packet)
		return
	}
	l.backoff, l.proven = 0, true
	reply.RoundTrip = l.server.options.Now().Sub(f.began)
	l.server.trace(Hop{Direction: Received, Answers: f.code.String(), RoundTrip: reply.RoundTrip}, a.packet)
	l.server.answered(f, reply)
	if f.code != codec.CodeStatusServer {
		l.server.release(l, 1)
	}
	f.outcome <- outcome{reply: reply}
}
