package transport

import (
	"net/netip"
	"runtime"
	"syscall"
)

// The registered ports (RFC 7296 §2, RFC 3948 §2).
const (
	DefaultIKEPort  = 500
	DefaultNATTPort = 4500
)

// maxReaders bounds the goroutines that read one address of the NAT traversal
// port; more do not help before the single TUN device behind them is full.
const maxReaders = 8

// Config says where to listen. The zero value listens on ephemeral ports of
// all addresses, as a client does.
type Config struct {
	// Addresses are the local addresses to listen on; empty means all, over
	// IPv4 and, where the host has it, IPv6.
	Addresses []netip.Addr
	// IKEPort and NATTPort are the UDP ports, for a gateway DefaultIKEPort and
	// DefaultNATTPort. 0 lets the kernel choose, the same port for all
	// addresses.
	IKEPort, NATTPort uint16
	// RawESP also sends and receives ESP as IP protocol 50. It needs
	// CAP_NET_RAW.
	RawESP bool
	// Decapsulate, if set, is called for each socket of the NAT traversal port
	// before anything is received, and hands what ESP arrives there to the
	// kernel (UDP_ENCAP). HandleESP then gets none but what came before.
	Decapsulate func(syscall.Conn) error
	// Readers is the number of goroutines that receive on each address of the
	// NAT traversal port; 0 means one a core, at most 8.
	Readers int
}

func (c Config) readers() int {
	n := c.Readers
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	return min(n, maxReaders)
}

// addresses are what to bind: those given, or the wildcard of each family.
func (c Config) addresses() []netip.Addr {
	if len(c.Addresses) == 0 {
		return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	out := make([]netip.Addr, len(c.Addresses))
	for i, a := range c.Addresses {
		out[i] = numericZone(a.Unmap())
	}
	return out
}
