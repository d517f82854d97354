package exchange

import (
	"fmt"
	"time"

	"bridgehead/ikev2/message"
)

// Limits of one message in fragments. A peer that holds the keys may still
// be hostile: what it can make us keep is bounded (RFC 7383 §2.6, §5).
const (
	MaxFragments     = 64               // of one message; 64 × 576 octets hold any real IKE_AUTH
	MaxReassembled   = 32 << 10         // octets of one message, all fragments together; chains of certificates fit
	FragmentLifetime = 30 * time.Second // from the first fragment to the last
)

// FragmentError reports a fragment that cannot be part of the message being
// joined. It is dropped; the message goes on.
type FragmentError struct {
	Number, Total uint16
	Reason        string
}

func (e *FragmentError) Error() string {
	return fmt.Sprintf("ikev2: fragment %d of %d dropped: %s (RFC 7383 §2.6)", e.Number, e.Total, e.Reason)
}

// Reassembler joins the fragments of one message at a time. The zero value
// is ready.
type Reassembler struct {
	id       uint32
	first    message.PayloadType
	parts    [][]byte // by number-1; nil where missing
	have     int
	octets   int
	deadline time.Time
}

// Add takes the verified plaintext of one fragment of message id. It gives
// the joined plaintext and its first payload's type once all are there, nil
// before. Duplicates are ignored. A larger total starts anew, since the peer
// then fragments smaller; a smaller one is refused (RFC 7383 §2.6). The
// Reassembler keeps part.
func (r *Reassembler) Add(now time.Time, id uint32, f *message.SKF, part []byte) (first message.PayloadType, joined []byte, err error) {
	r.Expire(now)
	if f.Number == 0 || f.Number > f.Total || f.Total > MaxFragments {
		return 0, nil, &FragmentError{f.Number, f.Total, fmt.Sprintf("expected numbers from 1 and at most %d fragments", MaxFragments)}
	}
	if r.parts == nil || id != r.id || int(f.Total) > len(r.parts) {
		*r = Reassembler{id: id, parts: make([][]byte, f.Total), deadline: now.Add(FragmentLifetime)}
	}
	if int(f.Total) < len(r.parts) {
		return 0, nil, &FragmentError{f.Number, f.Total, fmt.Sprintf("the total was %d before", len(r.parts))}
	}
	if r.parts[f.Number-1] != nil {
		return 0, nil, nil
	}
	if r.octets+len(part) > MaxReassembled {
		return 0, nil, &FragmentError{f.Number, f.Total, fmt.Sprintf("more than %d octets", MaxReassembled)}
	}
	if f.Number == 1 {
		r.first = f.First
	}
	if part == nil {
		part = []byte{}
	}
	r.parts[f.Number-1] = part
	r.octets += len(part)
	if r.have++; r.have < len(r.parts) {
		return 0, nil, nil
	}
	joined = make([]byte, 0, r.octets)
	for _, p := range r.parts {
		joined = append(joined, p...)
	}
	first = r.first
	*r = Reassembler{}
	return first, joined, nil
}

// Missing gives the numbers of the fragments still to come and their total;
// nil and 0 while no message is being joined, as by a nil Reassembler.
func (r *Reassembler) Missing() (numbers []int, total int) {
	if r == nil {
		return nil, 0
	}
	for i, p := range r.parts {
		if p == nil {
			numbers = append(numbers, i+1)
		}
	}
	return numbers, len(r.parts)
}

// Deadline is when the fragments kept expire; zero if there are none, as of a
// nil Reassembler.
func (r *Reassembler) Deadline() time.Time {
	if r == nil {
		return time.Time{}
	}
	return r.deadline
}

// Expire drops fragments whose message was not complete in time. A nil
// Reassembler has none.
func (r *Reassembler) Expire(now time.Time) {
	if r != nil && r.parts != nil && !now.Before(r.deadline) {
		*r = Reassembler{}
	}
}
