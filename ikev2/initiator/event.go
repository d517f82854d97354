package initiator

import (
	"net/netip"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/transport"
)

// Event is what an SA is told. The types are Start, Datagram, Tick, Unsent,
// Installed, Traffic and the Commands.
type Event interface{ event() }

// Endpoints are the addresses of one login: port 500 and port 4500 at both
// ends. Local addresses must be those that packets really leave from, since
// NAT detection hashes them (RFC 7296 §2.23).
type Endpoints struct {
	LocalIKE, RemoteIKE   netip.AddrPort
	LocalNATT, RemoteNATT netip.AddrPort
}

// Start begins the login.
type Start struct{ Endpoints Endpoints }

// Datagram is an IKE message that came in, without the non-ESP marker. The SA
// keeps no part of it.
type Datagram struct{ Data []byte }

// Tick tells that time has passed: the Outbox's deadline is due.
type Tick struct{}

// Installed tells that the data plane has the first Child SA, or that it
// failed at a change, whichever: then the SA ends.
type Installed struct{ Err error }

func (Start) event()     {}
func (Datagram) event()  {}
func (Tick) event()      {}
func (Installed) event() {}

// Command is an Event of the user's. Commands run one after the other, each
// ending in a Done.
type Command interface {
	Event
	step() Step
}

// RekeyChild replaces the Child SA (RFC 7296 §1.3.3).
type RekeyChild struct{ KE bool } // KE: with a new key exchange

// RekeyIKE replaces the IKE SA (RFC 7296 §1.3.2).
type RekeyIKE struct{}

// Liveness asks whether the gateway is there (RFC 7296 §1.4).
type Liveness struct{}

// Delete ends the IKE SA with all below it (RFC 7296 §1.4.1).
type Delete struct{}

func (RekeyChild) event() {}
func (RekeyIKE) event()   {}
func (Liveness) event()   {}
func (Delete) event()     {}

func (RekeyChild) step() Step { return StepRekeyChild }
func (RekeyIKE) step() Step   { return StepRekeyIKE }
func (Liveness) step() Step   { return StepLiveness }
func (Delete) step() Step     { return StepDelete }

// Outbox is what an SA wants done after an event. Handle appends; the caller
// empties it with Reset.
type Outbox struct {
	Send    []transport.Datagram
	Plane   []Change
	Notices []Notice
	// Deadline is when the SA wants its next Tick; zero means never. Handle
	// sets it each time.
	Deadline time.Time
	// KeepAlive asks for one NAT keepalive (RFC 3948 §2.3).
	KeepAlive bool
}

// Reset empties the Outbox for the next event.
func (o *Outbox) Reset() {
	clear(o.Send)
	clear(o.Plane)
	clear(o.Notices)
	*o = Outbox{Send: o.Send[:0], Plane: o.Plane[:0], Notices: o.Notices[:0]}
}

// ChangeKind is what to do with a Child SA in the data plane.
type ChangeKind uint8

// Changes of the data plane.
const (
	InstallChild ChangeKind = iota // the first one; answered with Installed
	ReplaceChild                   // Child sends from now on; Old receives until it is removed
	RemoveChild
	MoveChild // Child has another Path
)

// Change is one change of the data plane.
type Change struct {
	Kind  ChangeKind
	Old   esp.ChildID
	Child esp.Child
}

// Unsent tells that datagrams of the Outbox could not be sent. They will be
// again in time; if none ever can, it is part of the reason given.
type Unsent struct{ Err error }

func (Unsent) event() {}

// Notice is what an SA tells. The types are Bound, Unbound, StepDone,
// Established, Done, Rekeyed, Moved and Closed.
type Notice interface{ notice() }

// Bound tells that messages for SPI, their receiver's, belong to this SA from
// now on.
// The caller acts on it before it sends.
type Bound struct{ SPI message.SPI }

// Unbound takes a Bound back.
type Unbound struct{ SPI message.SPI }

// StepDone tells that a step of the login is over.
type StepDone struct {
	Step     Step
	Duration time.Duration
}

// Established tells that the login is complete.
type Established struct{}

// Rekeyed tells that a rekey is complete, whoever began it.
type Rekeyed struct {
	Step   Step // StepRekeyChild or StepRekeyIKE
	ByPeer bool
}

// Done tells that a command is over. A refused rekey leaves the SA as it was.
type Done struct {
	Command Command
	Err     error // a Failure, or nil
}

// Closed tells that the SA has ended; nothing follows. Err is a Failure, or
// nil after our own Delete.
type Closed struct{ Err error }

func (Bound) notice()       {}
func (Unbound) notice()     {}
func (StepDone) notice()    {}
func (Established) notice() {}
func (Rekeyed) notice()     {}
func (Done) notice()        {}
func (Closed) notice()      {}
