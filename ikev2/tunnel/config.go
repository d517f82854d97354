package tunnel

import (
	"time"

	"golang.zx2c4.com/wireguard/tun"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/transport"
)

// Defaults of Config.
const (
	DefaultDevice     = "bridgehead%d"
	DefaultMTU        = 1400
	DefaultOuterMTU   = 1500
	DefaultRekeyGrace = time.Second
	DefaultLinger     = 2 * time.Second
)

// minIPv6MTU is the least MTU that IPv6 runs over (RFC 8200 §5).
const minIPv6MTU = 1280

// Config says how to make a Tunnel. Only Transport is required.
type Config struct {
	// Transport carries the ESP packets.
	Transport *transport.Transport

	// Device is the name of the TUN device, or a pattern in which %d becomes
	// the first free number; empty means DefaultDevice.
	Device string
	// Queues is the number of the device's queues, each with a goroutine; 0
	// means one a core, at most 8.
	Queues int
	// Devices are used instead of opening Device: queues of a device that
	// another process opened, or a test's. The Tunnel closes them.
	Devices []tun.Device

	// MTU is set on the device; 0 means DefaultMTU.
	MTU int
	// OuterMTU is the MTU of the paths to the peers; 0 means DefaultOuterMTU.
	// An inner packet that would exceed it once encapsulated is too big.
	OuterMTU int

	// RekeyGrace is for how long the old Child SA still sends after a Rekey if
	// nothing arrives on the new one; 0 means DefaultRekeyGrace, negative that
	// the new one sends at once, which suits an end that only ever rekeys by
	// its own request, such as a client.
	RekeyGrace time.Duration

	// Linger is for how long a Child SA that has a successor still receives once
	// it is removed; 0 means DefaultLinger, negative not at all.
	Linger time.Duration

	// Broadcast, if set, is shown each packet that a peer sends to
	// 255.255.255.255, before the host sees it. taken keeps it from the host;
	// reply, if there is one, is a whole IP packet that goes to the peer that it
	// is addressed to. It is called on the receiving path, several times at once,
	// must not block and must not keep the packet.
	Broadcast func(packet []byte) (reply []byte, taken bool)

	// OnRebind, if set, is told when an authentic packet in UDP came by another
	// path than its Child SA's: the peer's NAT has a new mapping, the peer is
	// behind one now, or somebody relays packets. The Tunnel does not move
	// the Child SA by itself. It is called on the receiving path and must not
	// block; a change is reported once a second while it lasts.
	OnRebind func(id esp.ChildID, seen esp.Path)
}

func (c Config) withDefaults() Config {
	if c.Device == "" {
		c.Device = DefaultDevice
	}
	if c.MTU == 0 {
		c.MTU = DefaultMTU
	}
	if c.OuterMTU == 0 {
		c.OuterMTU = DefaultOuterMTU
	}
	if c.RekeyGrace == 0 {
		c.RekeyGrace = DefaultRekeyGrace
	}
	if c.Linger == 0 {
		c.Linger = DefaultLinger
	}
	return c
}
