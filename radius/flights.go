package radius

import (
	"fmt"
	"io"
	"time"

	codec "layeh.com/radius"

	"bridgehead/auth"
)

const (
	// statusID is kept for Status-Server, so that a crowd of requests never
	// keeps the question whether the server lives from being asked.
	statusID = 0
	// ordinaryIDs are left for all others.
	ordinaryIDs = 255
	// quarantine keeps an identifier unused after its request was given up: by
	// then servers have forgotten it (FreeRADIUS: cleanup_delay, 5 s).
	quarantine = 5 * time.Second
)

// flight is one request on its way.
type flight struct {
	code    codec.Code
	attrs   codec.Attributes
	wire    request // encoded
	began   time.Time
	sent    int           // how often
	last    time.Time     // when, the last time
	silence time.Time     // since when it was unanswered when it was sent again
	wait    time.Duration // before the next retransmission
	due     time.Time     // of that
	ends    time.Time     // when it is given up
	queued  bool          // the line is down: it goes out when it is up
	outcome chan outcome  // takes one
}

type outcome struct {
	reply *Reply
	err   error
}

func newFlight(code codec.Code, attrs codec.Attributes) *flight {
	return &flight{code: code, attrs: attrs, outcome: make(chan outcome, 1)}
}

// flights are the requests of one line by identifier. They do no I/O and read
// no clock; the line's goroutine owns them.
type flights struct {
	secret   auth.Secret
	schedule Retransmission
	again    bool // unanswered requests are sent again: not over TCP (RFC 6613 §2.6.1)
	unsigned bool // replies need no Message-Authenticator
	rand     io.Reader

	byID  [1 + ordinaryIDs]*flight
	free  []uint8 // longest unused first
	idle  []rest  // given up, oldest first
	count int
	// former is the last Status-Server that was given up. Its answer may come
	// while the next one is out: late, but no forgery.
	former request
}

type rest struct {
	id    uint8
	until time.Time
}

func newFlights(secret auth.Secret, schedule Retransmission, again, unsigned bool, rand io.Reader) *flights {
	s := &flights{secret: secret, schedule: schedule, again: again, unsigned: unsigned, rand: rand}
	for id := 1; id <= ordinaryIDs; id++ {
		s.free = append(s.free, uint8(id))
	}
	return s
}

// launch encodes a request under an identifier that nothing uses. What is
// wrong is the caller's: too many attributes, or no identifier left.
func (s *flights) launch(now time.Time, f *flight) error {
	id := uint8(statusID)
	if f.code != codec.CodeStatusServer {
		if len(s.free) == 0 {
			return errBusy
		}
		id = s.free[0]
	} else if s.byID[statusID] != nil {
		return errBusy
	}
	var err error
	if f.wire, err = s.encode(f, id); err != nil {
		return err
	}
	f.attrs = nil
	if id != statusID {
		s.free = s.free[1:]
	}
	s.byID[id] = f
	s.count++
	f.began, f.ends = now, now.Add(s.schedule.Total)
	f.sent, f.last = 1, now
	s.delay(now, f)
	return nil
}

// encode writes a flight's request.
func (s *flights) encode(f *flight, id uint8) (request, error) {
	if f.code == codec.CodeAccountingRequest {
		return encodeAccounting(id, f.attrs, s.secret)
	}
	var authenticator [authenticatorLen]byte
	if _, err := io.ReadFull(s.rand, authenticator[:]); err != nil {
		return nil, fmt.Errorf("make a Request Authenticator: %w", err)
	}
	return encode(f.code, id, authenticator, f.attrs, s.secret)
}

// delay sets when a flight is due next.
func (s *flights) delay(now time.Time, f *flight) {
	f.due = f.ends
	if !s.again || f.code == codec.CodeStatusServer || f.sent >= s.schedule.Count {
		return // RFC 5997 §4.1: Status-Server is never sent again
	}
	f.wait = s.schedule.after(f.wait, s.rand)
	if due := now.Add(f.wait); due.Before(f.ends) {
		f.due = due
	}
}

// tick gives the flights to send again and those given up, which are gone.
func (s *flights) tick(now time.Time) (again, ended []*flight, ids int) {
	for id, f := range s.byID {
		switch {
		case f == nil || now.Before(f.due):
		case !now.Before(f.ends):
			ended = append(ended, f)
			s.rest(now, uint8(id))
		default:
			f.sent++
			f.silence, f.last = f.last, now
			s.delay(now, f)
			again = append(again, f)
		}
	}
	for len(s.idle) > 0 && !now.Before(s.idle[0].until) {
		s.free = append(s.free, s.idle[0].id)
		s.idle = s.idle[1:]
		ids++
	}
	return again, ended, ids
}

// next is when tick has something to do; zero if never.
func (s *flights) next() time.Time {
	var next time.Time
	earlier := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	if s.count > 0 {
		for _, f := range s.byID {
			if f != nil {
				earlier(f.due)
			}
		}
	}
	if len(s.idle) > 0 {
		earlier(s.idle[0].until)
	}
	return next
}

// receive takes the flight that a datagram answers, if it is authentic.
func (s *flights) receive(b []byte) (*flight, *Reply, error) {
	if len(b) < headerLen {
		return nil, nil, errMalformed
	}
	id := b[1]
	f := s.byID[id]
	if f == nil {
		return nil, nil, errUnexpected
	}
	code, attrs, err := verify(b, f.wire, s.secret, s.unsigned)
	if err != nil {
		if id == statusID && s.former != nil {
			if _, _, late := verify(b, s.former, s.secret, s.unsigned); late == nil {
				err = errUnexpected
			}
		}
		return nil, nil, err
	}
	s.byID[id] = nil
	s.count--
	if id != statusID {
		s.free = append(s.free, id)
	}
	return f, &Reply{Code: code, Attributes: attrs, question: f.wire, secret: s.secret}, nil
}

// drop gives a flight up that nobody waits for any more.
func (s *flights) drop(now time.Time, f *flight) {
	if f.wire != nil && s.byID[f.wire[1]] == f {
		s.rest(now, f.wire[1])
	}
}

func (s *flights) rest(now time.Time, id uint8) {
	f := s.byID[id]
	s.byID[id] = nil
	s.count--
	if id == statusID {
		s.former = f.wire
		return
	}
	s.idle = append(s.idle, rest{id, now.Add(quarantine)})
}
