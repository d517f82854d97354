package initiator

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/transport"
)

// StepTime is how long a step of the login took.
type StepTime struct {
	Step     Step
	Duration time.Duration
}

// inboxLen is how many datagrams wait for a session; what comes beyond is
// lost, as on any queue of the network.
const inboxLen = 64

// Session is one login. Its methods are safe for concurrent use. A goroutine
// of its own runs the SA and ends when the session does.
type Session struct {
	client       *Client
	cfg          Config
	to           target
	sa           *SA    // run's
	closeSockets func() // of a session with sockets of its own; set before it is used

	inbox    chan []byte
	commands chan command
	quit     chan struct{} // closed by abandon
	quitOnce sync.Once
	up       chan struct{} // closed when the login is complete
	done     chan struct{} // closed when run has ended
	waiting  []command     // run's: those under way

	unanswered error // what waited for an answer when the session was abandoned; set before done is closed

	mu     sync.Mutex // guards what follows, which run writes
	steps  []StepTime
	result Result
	child  esp.Child
	err    error
	begun  Step // the step under way
}

type command struct {
	Command
	reply chan error
}

func newSession(c *Client, cfg Config, sa *SA, to target) *Session {
	return &Session{
		client: c, cfg: cfg, to: to, sa: sa,
		inbox: make(chan []byte, inboxLen), commands: make(chan command), quit: make(chan struct{}),
		up: make(chan struct{}), done: make(chan struct{}), begun: StepInit,
	}
}

// deliver hands over a copy of a datagram.
func (s *Session) deliver(data []byte) {
	select {
	case s.inbox <- bytes.Clone(data):
	default:
	}
}

// abandon ends the session without a word to the gateway.
func (s *Session) abandon() { s.quitOnce.Do(func() { close(s.quit) }) }

// run owns the SA: it feeds it events until it has closed.
func (s *Session) run(first Event) {
	defer close(s.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	usage := s.usageTicker()
	defer usage.Stop()
	var out Outbox
	ev := first
	for {
		if s.step1(ev, &out) {
			return
		}
		timer.Stop()
		var due <-chan time.Time
		if !out.Deadline.IsZero() {
			timer.Reset(out.Deadline.Sub(s.cfg.Now()))
			due = timer.C
		}
		select {
		case data := <-s.inbox:
			ev = Datagram{data}
		case c := <-s.commands:
			s.waiting = append(s.waiting, c)
			ev = c.Command
		case <-due:
			ev = Tick{}
		case <-usage.C:
			ev = s.traffic()
		case <-s.quit:
			s.unanswered = s.sa.unanswered(s.cfg.Now())
			s.end(&InterruptedError{at{s.step()}, context.Canceled})
			return
		}
	}
}

// step1 has the SA handle one event, and what follows from it at once. It
// reports whether the SA has closed.
func (s *Session) step1(ev Event, out *Outbox) (closed bool) {
	for ev != nil {
		out.Reset()
		s.sa.Handle(s.cfg.Now(), ev, out)
		s.bindings(out.Notices)
		// First the data plane: the gateway sends at once on what it is told of,
		// and takes nothing on what it is told to delete.
		next := s.change(out.Plane)
		var unsent error
		if len(out.Send) > 0 {
			unsent = s.client.transport.SendIKE(out.Send)
		}
		if out.KeepAlive {
			s.keepAlive()
		}
		if ev = next; ev == nil && unsent != nil {
			ev = Unsent{unsent}
		}
		closed = s.publish(out.Notices) || closed
	}
	return closed
}

func (s *Session) bindings(notices []Notice) {
	for _, n := range notices {
		switch n := n.(type) {
		case Bound:
			s.client.bind(n.SPI, s)
		case Unbound:
			s.client.unbind(n.SPI)
		}
	}
}

// keepAlive sends one octet to the gateway's port 4500 (RFC 3948 §2.3).
func (s *Session) keepAlive() {
	child, ok := s.sa.Child()
	if !ok || !child.Path.Encap {
		return
	}
	sender := s.client.transport.NewSender()
	sender.Add(&transport.Path{Local: child.Path.Local, Remote: child.Path.Remote, Encap: true}, 0, []byte{0xff})
	_ = sender.Flush() // the next one makes up for it
}

// change carries out changes of the data plane and gives the event that
// tells of an installation or a fault.
func (s *Session) change(changes []Change) (next Event) {
	if s.cfg.Plane == nil {
		return nil
	}
	ctx := context.Background()
	for _, c := range changes {
		switch c.Kind {
		case InstallChild:
			next = Installed{s.cfg.Plane.Install(ctx, c.Child)}
		case ReplaceChild:
			if err := s.cfg.Plane.Rekey(ctx, c.Old, c.Child); err != nil {
				next = Installed{err}
			}
		case RemoveChild:
			if err := s.cfg.Plane.Remove(ctx, c.Old); err != nil {
				next = Installed{err}
			}
		case MoveChild:
			if err := s.cfg.Plane.Move(ctx, c.Child.ID, c.Child.Path); err != nil {
				next = Installed{err}
			}
		}
	}
	return next
}

// usageInterval is how often the data plane is asked what it has carried.
const usageInterval = 5 * time.Second

// usageTicker ticks if the habits want to know of traffic.
func (s *Session) usageTicker() *time.Ticker {
	t := time.NewTicker(usageInterval)
	if s.cfg.Plane == nil || !s.cfg.Profile.Habits.watchesTraffic() {
		t.Stop()
	}
	return t
}

// traffic is what the Child SA in use has carried. A plane that cannot tell
// now is asked again.
func (s *Session) traffic() Event {
	child, up := s.sa.Child()
	if !up {
		return Tick{}
	}
	usages, err := s.cfg.Plane.Usage(context.Background(), []esp.ChildID{child.ID})
	if err != nil || len(usages) == 0 {
		return Tick{}
	}
	u := usages[0]
	return Traffic{Child: child.ID, Octets: u.BytesIn + u.BytesOut, Heard: u.LastIn}
}

// publish takes over what the SA tells, and reports whether it has closed.
func (s *Session) publish(notices []Notice) (closed bool) {
	for _, n := range notices {
		switch n := n.(type) {
		case StepDone:
			s.mu.Lock()
			s.steps = append(s.steps, StepTime(n))
			s.mu.Unlock()
		case Established:
			s.snapshot()
			close(s.up)
		case Rekeyed, Moved:
			s.snapshot()
		case Done:
			if i := slices.IndexFunc(s.waiting, func(c command) bool { return c.Command == n.Command }); i >= 0 {
				s.waiting[i].reply <- n.Err
				s.waiting = slices.Delete(s.waiting, i, i+1)
			}
		case Closed:
			s.end(n.Err)
			closed = true
		}
	}
	s.mu.Lock()
	s.begun = s.sa.step()
	s.mu.Unlock()
	return closed
}

func (s *Session) snapshot() {
	child, _ := s.sa.Child()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.result, s.child = s.sa.Result(), child
}

// end releases what the session holds.
func (s *Session) end(err error) {
	var out Outbox
	if s.sa.state != stateClosed { // abandoned
		s.sa.close(err, &out)
		s.bindings(out.Notices)
		s.change(out.Plane)
	}
	s.mu.Lock()
	s.result = s.sa.Result()
	s.err = err
	s.mu.Unlock()
	for _, c := range s.waiting {
		c.reply <- err
	}
	s.waiting = nil
}

// step is the step under way.
func (s *Session) step() Step {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun
}

// do has the SA carry out a command and waits for its end.
func (s *Session) do(ctx context.Context, c Command) error {
	reply := make(chan error, 1)
	select {
	case s.commands <- command{c, reply}:
	case <-s.done:
		return s.ended(c.step())
	case <-ctx.Done():
		return &InterruptedError{at{c.step()}, ctx.Err()}
	}
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		return &InterruptedError{at{c.step()}, ctx.Err()}
	}
}

// ended is the error of a command to a session that is over.
func (s *Session) ended(at Step) error {
	if err := s.Err(); err != nil {
		return err
	}
	return localError(at, errors.New("the session was closed"))
}

// RekeyChild replaces the Child SA, with a new key exchange if withKE.
func (s *Session) RekeyChild(ctx context.Context, withKE bool) error {
	return s.do(ctx, RekeyChild{KE: withKE})
}

// RekeyIKE replaces the IKE SA.
func (s *Session) RekeyIKE(ctx context.Context) error { return s.do(ctx, RekeyIKE{}) }

// Liveness asks whether the gateway is there.
func (s *Session) Liveness(ctx context.Context) error { return s.do(ctx, Liveness{}) }

// Close logs out: it deletes the IKE SA and waits until the gateway agrees or
// ctx ends. The session is over in any case. The error is why, if it was over
// before for another reason than Close.
func (s *Session) Close(ctx context.Context) error {
	err := s.do(ctx, Delete{})
	s.abandon()
	<-s.done
	if s.closeSockets != nil {
		s.closeSockets()
	}
	var local *LocalError
	if errors.As(err, &local) && local.Step == StepDelete {
		return nil
	}
	return err
}

// Done is closed when the session is over.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err is why the session is over, a Failure; nil while it runs or after Close.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Steps are the steps of the login and how long they took.
func (s *Session) Steps() []StepTime {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]StepTime(nil), s.steps...)
}

// Result is what the gateway showed and gave.
func (s *Session) Result() Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.result
}

// Child is the Child SA in use.
func (s *Session) Child() esp.Child {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.child
}
