package esp

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// SA is one direction of a Child SA: the SPI its packets carry, the algorithms
// and the keys. The keys print as placeholders.
type SA struct {
	SPI      uint32
	Suite    suite.ESP
	EncrKey  suite.Secret // an AEAD's salt follows the key (RFC 4106 §8.1, RFC 7634 §2)
	IntegKey suite.Secret // empty for an AEAD
}

// Path is where the outer packets run.
type Path struct {
	Local, Remote netip.AddrPort
	Encap         bool // in UDP (RFC 3948), the ports being used; else IP protocol 50
}

// String is the two ends, with ports if they are used.
func (p Path) String() string {
	if p.Encap {
		return fmt.Sprintf("%v..%v UDP", p.Local, p.Remote)
	}
	return fmt.Sprintf("%v..%v ESP", p.Local.Addr(), p.Remote.Addr())
}

// ChildID names a Child SA towards a DataPlane. The caller chooses it and never
// reuses it while the data plane lives.
type ChildID uint64

// Child is a pair of SAs in tunnel mode, ready to be installed.
type Child struct {
	ID      ChildID
	Session string // the session id of the logs
	In, Out SA     // In protects what the peer sends
	Path    Path
	Sending Sending // in a rekey

	// Local are the addresses behind this end, Remote the peer's inner ones:
	// for a gateway TSr and TSi as narrowed (RFC 7296 §2.9).
	Local, Remote []message.Selector
}

// Sending is when the new Child SA of a rekey takes over sending from the old
// one. What an end sends on a Child SA that the other does not have yet, or has
// no longer, is lost (RFC 7296 §2.8).
type Sending uint8

// When the new Child SA sends.
const (
	// SendAfterPeer is for the end that answered the exchange, which cannot know
	// when its answer arrives: from the first packet on the new Child SA, after
	// a grace of the plane's own, or when the old one is removed.
	SendAfterPeer Sending = iota
	// SendAtOnce is for the end that began the exchange: the other has answered.
	SendAtOnce
	// SendNever is for a Child SA that lost to a simultaneous rekey and will be
	// deleted (RFC 7296 §2.8.1). It only receives.
	SendNever
)

// Usage is what a Child SA has carried. Octets are those of the inner packets.
type Usage struct {
	ID                    ChildID
	BytesIn, BytesOut     uint64
	PacketsIn, PacketsOut uint64
	LastIn                time.Time // the last authentic packet; zero before the first

	// OutboundRemaining is how many packets the outbound SA may still protect
	// before its sequence numbers end (RFC 4303 §3.3.3). The SA must be rekeyed
	// well before this reaches zero.
	OutboundRemaining uint64
}

// Expecter is a DataPlane that receives the packets of a Child SA on its path
// alone. Others receive them wherever they come in.
type Expecter interface {
	// Expect has a Child SA receive over p, too, until it is moved or removed:
	// the peer may send from there before Move (RFC 4555 §3.5).
	Expect(ctx context.Context, id ChildID, p Path) error
}

// Finisher is a DataPlane that counts to the end.
type Finisher interface {
	// Finish is Remove that gives what the Child SA has carried by then, to the
	// last packet. What it still receives afterwards counts for one that
	// succeeded it.
	Finish(ctx context.Context, id ChildID) (Usage, error)
}

// DataPlane moves user traffic through Child SAs.
type DataPlane interface {
	// Install makes a new Child SA carry traffic.
	Install(ctx context.Context, c Child) error
	// Rekey installs c in the place of old. Both receive until old is removed;
	// c.Sending says when c sends (RFC 7296 §2.8).
	Rekey(ctx context.Context, old ChildID, c Child) error
	// Move gives a Child SA new outer addresses (RFC 4555).
	Move(ctx context.Context, id ChildID, p Path) error
	// Remove ends a Child SA; its keys are forgotten. One that has a successor
	// sends nothing more, but may receive for a moment, or until that one is
	// removed: packets sent before the DELETE can arrive behind it.
	Remove(ctx context.Context, id ChildID) error
	// Usage reports on the Child SAs named, or on all if ids is nil. Unknown
	// ones are left out.
	Usage(ctx context.Context, ids []ChildID) ([]Usage, error)
}
