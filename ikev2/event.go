package ikev2

import (
	"log/slog"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/transport"
)

// Event is what an SA is told. The types are Received, Finished, TimerDue,
// Disconnect, Adjust, Exhausting, Lost and Rebound.
type Event interface{ event() }

// Received is a datagram that came in for the SA. The SA may keep its Data.
type Received struct{ Datagram transport.Datagram }

// Finished is a job of the SA that has run.
type Finished struct{ Job Job }

// TimerDue tells that the SA's Deadline has come.
type TimerDue struct{}

// Disconnect ends the SA: a session with a DELETE to the client, a login
// under way without a word.
type Disconnect struct{ Cause Cause }

// Adjust changes the session. Done, which has room, hears of it once: nil, or
// why it was not done.
type Adjust struct {
	Change Change
	Done   chan<- error
}

func (a Adjust) told(err error) { a.Done <- err }

// Exhausting tells that a Child SA comes near the end of its packet numbers or
// of the octets its keys may protect.
type Exhausting struct{ Child esp.ChildID }

// Lost tells that the data plane has a Child SA no more.
type Lost struct{ Child esp.ChildID }

func (Received) event()   {}
func (Finished) event()   {}
func (TimerDue) event()   {}
func (Disconnect) event() {}
func (Adjust) event()     {}
func (Exhausting) event() {}
func (Lost) event()       {}

// Outbox collects what an SA wants done. Handle appends; the caller empties
// it with Reset.
type Outbox struct {
	Datagrams  []transport.Datagram
	Jobs       []Job
	Events     []SessionEvent
	Notes      []Note
	Successors []*SA // new IKE SAs that rekeyed the one handled, or others that changed with it
}

// Reset empties the Outbox for the next event, keeping its room.
func (o *Outbox) Reset() {
	clear(o.Datagrams)
	clear(o.Jobs)
	clear(o.Events)
	clear(o.Notes)
	clear(o.Successors)
	*o = Outbox{
		Datagrams: o.Datagrams[:0], Jobs: o.Jobs[:0], Events: o.Events[:0],
		Notes: o.Notes[:0], Successors: o.Successors[:0],
	}
}

// Note is a line for the log.
type Note struct {
	Level   slog.Level
	Session string
	Text    string
	Attrs   []slog.Attr
}

// EventKind is what happened to a session.
type EventKind uint8

// Kinds of session events.
const (
	EventUp      EventKind = iota + 1 // a client logged in
	EventDown                         // a session ended; Cause and Usage are set
	EventRekeyed                      // the IKE SA or a Child SA was replaced
	EventRefused                      // a login was refused; Refusal is set
	EventSilent                       // a login fell silent; Refusal is set
	EventMoved                        // the client is elsewhere and its traffic follows; Detail is set
)

// String is the kind in one word.
func (k EventKind) String() string {
	switch k {
	case EventUp:
		return "up"
	case EventDown:
		return "down"
	case EventRekeyed:
		return "rekeyed"
	case EventRefused:
		return "refused"
	case EventSilent:
		return "silent"
	case EventMoved:
		return "moved"
	}
	return "unknown"
}

// SessionEvent is one thing that happened to a session or a login.
type SessionEvent struct {
	Kind    EventKind
	Time    time.Time
	Session SessionInfo // zero for a login refused before it had a session id
	Cause   Cause       // of Down, Refused and Silent
	Refusal *Refusal    // of Refused and Silent
	Detail  string      // of Rekeyed: "IKE SA" or "Child SA", with the suite; of Moved: from where to where
}

// EventSink takes session events. The shards call Event concurrently; it must
// not block.
type EventSink interface{ Event(SessionEvent) }
