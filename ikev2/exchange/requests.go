package exchange

import (
	"encoding/binary"
	"io"
	"time"
)

// Retransmit is a schedule: the first wait, the factor of the back-off, how
// often a request is sent again, and the jitter as a fraction of each wait.
type Retransmit struct {
	First  time.Duration
	Factor float64
	Tries  int     // retransmissions after the first sending
	Jitter float64 // 0.1 varies each wait by up to ±10 %
}

// DefaultRetransmit gives a request up after about 75 seconds: it waits 2,
// 3.6, 6.5, 11.7, 21 and 30 seconds.
var DefaultRetransmit = Retransmit{First: 2 * time.Second, Factor: 1.8, Tries: 5, Jitter: 0.1}

// maxWait caps the back-off.
const maxWait = 30 * time.Second

// wait is the time to wait after sending number n, counted from 0.
func (t Retransmit) wait(n int, rand io.Reader) time.Duration {
	w := float64(t.First)
	for range n {
		w *= t.Factor
	}
	w = min(w, float64(maxWait))
	if t.Jitter > 0 {
		var b [2]byte
		if _, err := io.ReadFull(rand, b[:]); err == nil {
			w *= 1 + t.Jitter*(float64(binary.BigEndian.Uint16(b[:]))/32768-1)
		}
	}
	return time.Duration(w)
}

// Budget is the longest time from the first sending to giving up.
func (t Retransmit) Budget() time.Duration {
	var sum time.Duration
	t.Jitter = 0
	for n := range t.Tries + 1 {
		sum += t.wait(n, nil)
	}
	return sum
}

// Requests is our own side of the message ids: a window of one outstanding
// request, sent again until it is answered or given up (RFC 7296 §2.1 to
// §2.4). The zero value's first request has message id 0.
type Requests struct {
	next      uint32
	datagrams [][]byte // of the outstanding request; nil if none
	sent      int      // how often
	deadline  time.Time
}

// NextID is the message id of the next request, or of the outstanding one.
func (r *Requests) NextID() uint32 { return r.next }

// Outstanding reports whether a request waits for its answer; no other may
// be sent meanwhile.
func (r *Requests) Outstanding() bool { return r.datagrams != nil }

// Begin records that a request with message id NextID is sent now. The
// caller sends the datagrams.
func (r *Requests) Begin(now time.Time, datagrams [][]byte, t Retransmit, rand io.Reader) {
	r.datagrams, r.sent = datagrams, 1
	r.deadline = now.Add(t.wait(0, rand))
}

// Deadline is when Due has something to say; zero while nothing is
// outstanding.
func (r *Requests) Deadline() time.Time {
	if r.datagrams == nil {
		return time.Time{}
	}
	return r.deadline
}

// Due gives the datagrams to send again now, nil if it is not time yet. It
// reports gaveUp when the tries are spent; the request then stays
// outstanding, since an SA that lost a request is at its end.
func (r *Requests) Due(now time.Time, t Retransmit, rand io.Reader) (again [][]byte, gaveUp bool) {
	if r.datagrams == nil || now.Before(r.deadline) {
		return nil, false
	}
	if r.sent > t.Tries {
		return nil, true
	}
	r.deadline = now.Add(t.wait(r.sent, rand))
	r.sent++
	return r.datagrams, false
}

// Again gives the datagrams of the outstanding request to be sent at once,
// since the peer is elsewhere now; the schedule begins anew.
func (r *Requests) Again(now time.Time, t Retransmit, rand io.Reader) [][]byte {
	r.sent, r.deadline = 1, now.Add(t.wait(0, rand))
	return r.datagrams
}

// Sent is how often the outstanding request was sent.
func (r *Requests) Sent() int { return r.sent }

// Answered closes the outstanding request if id is its message id and its
// answer's integrity was verified; false tells that the answer belongs to
// nothing outstanding and must be ignored.
func (r *Requests) Answered(id uint32) bool {
	if r.datagrams == nil || id != r.next {
		return false
	}
	r.next++
	r.datagrams, r.sent, r.deadline = nil, 0, time.Time{}
	return true
}

// Restart forgets the outstanding request without using up its message id:
// an initiator sends its IKE_SA_INIT anew with a COOKIE or another group, and
// the id stays 0 (RFC 7296 §2.2).
func (r *Requests) Restart() {
	r.datagrams, r.sent, r.deadline = nil, 0, time.Time{}
}
