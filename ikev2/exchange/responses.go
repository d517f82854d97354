package exchange

// Standing is how a request of the peer stands to the window.
type Standing uint8

// Standings.
const (
	Fresh      Standing = iota // the next request: act on it
	InProgress                 // the next request again, while its answer is being made: ignore
	Repeated                   // the last answered request: send Last again, byte for byte
	Stale                      // older than that: ignore
	Ahead                      // beyond the window of one: ignore
)

// Responses is the peer's side of the message ids: a window of one request,
// answered once and cached (RFC 7296 §2.1 to §2.3). The zero value expects
// message id 0.
type Responses struct {
	next     uint32
	begun    bool     // next was handed out and is not answered yet
	answered bool     // last belongs to next-1
	last     [][]byte // nil if the last answer was none
}

// Classify tells what to do with a request whose integrity was verified.
func (r *Responses) Classify(id uint32) Standing {
	switch {
	case id == r.next && r.begun:
		return InProgress
	case id == r.next:
		return Fresh
	case r.answered && id == r.next-1:
		return Repeated
	case id < r.next:
		return Stale
	}
	return Ahead
}

// Expected is the message id of the next request.
func (r *Responses) Expected() uint32 { return r.next }

// Begin marks the expected request as being worked on.
func (r *Responses) Begin() { r.begun = true }

// Answer closes the request begun, keeps the datagrams of its answer for
// retransmission and moves the window.
func (r *Responses) Answer(datagrams [][]byte) {
	r.last, r.answered, r.begun = datagrams, true, false
	r.next++
}

// Last is the datagrams of the last answer.
func (r *Responses) Last() [][]byte { return r.last }
