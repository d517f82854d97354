package xfrm

import (
	"fmt"
	"net/netip"
	"time"

	"bridgehead/ikev2/esp"
)

// Defaults of Config.
const (
	DefaultFirstReqID = 0x42480000
	DefaultPriority   = 100_000
	DefaultRekeyGrace = time.Second
	DefaultLinger     = 2 * time.Second
)

// reqIDs is how many request IDs a Plane owns: two for each Child SA with the
// ones it is rekeyed from and to, and more than a machine can have.
const reqIDs = 1 << 18

// Config says how a Plane uses the kernel. The zero value is good.
type Config struct {
	// FirstReqID begins the 262,144 request IDs that mark states and policies as
	// this Plane's own: whatever else carries one of them is removed. Planes of
	// one network namespace need ranges of their own. 0 means DefaultFirstReqID.
	FirstReqID uint32
	// Priority is that of the narrowest policy; a wider one's is up to 4,096
	// higher. The kernel takes the policy with the lowest. 0 means
	// DefaultPriority, which lies before strongSwan's.
	Priority uint32
	// OutputMark, if not 0, is the mark of the packets that were protected, for
	// routing and filtering.
	OutputMark uint32
	// InterfaceID, if not 0, ties states and policies to the XFRM interface with
	// that ID.
	InterfaceID uint32

	// Protected are networks whose packets pass through a Child SA or not at
	// all, to them and from them: the pools of a gateway.
	Protected []netip.Prefix

	// RekeyGrace is for how long the old Child SA still sends after a Rekey if
	// nothing arrives on the new one; 0 means DefaultRekeyGrace, negative that
	// the new one sends at once, which suits an end that only ever rekeys by
	// its own request, such as a client.
	RekeyGrace time.Duration

	// Linger is for how long a Child SA that was rekeyed still receives once it is
	// removed, and one that was moved where it was; 0 means DefaultLinger,
	// negative not at all.
	Linger time.Duration

	// OnEvent, if set, is told what the kernel reports. It is called by one
	// goroutine or, from Reconcile, by the caller's; it must not block.
	OnEvent func(Event)
	// Now is the clock of esp.Usage.LastIn; nil means time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.FirstReqID == 0 {
		c.FirstReqID = DefaultFirstReqID
	}
	if c.Priority == 0 {
		c.Priority = DefaultPriority
	}
	if c.RekeyGrace == 0 {
		c.RekeyGrace = DefaultRekeyGrace
	}
	if c.Linger == 0 {
		c.Linger = DefaultLinger
	}
	if c.OnEvent == nil {
		c.OnEvent = func(Event) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// guardReqID marks the policies of protected networks; no Child SA has it.
func (c *Config) guardReqID() uint32 { return c.FirstReqID }

// owns tells whether a request ID is of the Plane's range.
func (c *Config) owns(reqid uint32) bool { return reqid-c.FirstReqID < reqIDs }

// EventKind is what an Event reports.
type EventKind uint8

// The kinds of events.
const (
	// Rebound: an authentic packet of an encapsulated Child SA came from another
	// outer address than its path's. The peer's NAT has a new mapping, or
	// somebody relays packets. The Plane moves nothing by itself. While it lasts
	// it is reported every 10 seconds; by kernels before 5.17 for each packet.
	Rebound EventKind = iota + 1
	// Exhausting: the outbound SA has used three quarters of its 32-bit
	// sequence numbers and must be rekeyed (RFC 4303 §3.3.3).
	Exhausting
	// Lost: another program removed a state of the Child SA. It cannot be put
	// back, since sequence numbers, and so nonces, would repeat.
	Lost
	// Faulted: the Child SA should have begun to send but the kernel refused.
	Faulted
)

// String names the kind.
func (k EventKind) String() string {
	switch k {
	case Rebound:
		return "rebound"
	case Exhausting:
		return "exhausting"
	case Lost:
		return "lost"
	case Faulted:
		return "faulted"
	}
	return fmt.Sprintf("event %d", uint8(k))
}

// Event is something that happened to a Child SA in the kernel.
type Event struct {
	Kind   EventKind
	Child  esp.ChildID
	Remote netip.AddrPort // of Rebound: where the packet came from
	Err    error          // of Faulted
}
