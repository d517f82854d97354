// Package tunnel is the data plane in userspace: it implements esp.DataPlane
// over a TUN device and a transport.Transport.
//
// # The way of a packet
//
// There are no stages and no queues between goroutines; each goroutine takes a
// batch of packets the whole way. The TUN device has one kernel queue a core.
// A goroutine for each reads packets (a TCP super-packet arrives as up to 45
// segments), seals them where they lie and sends them with segmentation
// offload. The readers of the transport call HandleESP, which opens the
// packets in place and writes them to the device, coalesced. The kernel keeps
// a flow on one TUN queue and a peer on one socket, so packets of a flow stay
// in order while flows and peers spread over the cores.
//
// Nothing is allocated and no lock is taken per packet: Child SAs are found in
// tables that readers see without locking, sequence numbers and replay windows
// are atomic, and each goroutine's buffers are its own.
//
// Broadcasts of peers may be answered before the host sees them. That costs
// other packets one comparison, and neither a firewall of the host nor a server
// on the same port stands in the way.
//
// # Limits
//
// A session's packet filter and rates (esp.Limits) hold for all of its Child
// SAs together. A packet is shown to them when it has left the tunnel, and
// before it enters it.
//
// # Rekeying
//
// After Rekey both Child SAs receive. Unless Child.Sending says otherwise the
// new one sends from the first authentic packet that arrives on it, or once
// Config.RekeyGrace has passed, or when the old one is removed. The end that
// answered CREATE_CHILD_SA cannot know when its answer has arrived, and what it
// sent on the new SA before that the peer would drop (RFC 7296 §2.8).
//
// What the peer has sent on the old one before its DELETE may be taken up after
// it: IKE and ESP come by different sockets and goroutines, if not by different
// ways. So a Child SA that has a successor still receives for Config.Linger
// once it is removed, but no longer than the last that succeeded it is there.
// Of one that is rekeyed again and again the latest four do.
//
// # MTU
//
// Packets that the peer's path would have to carry in fragments are answered
// with ICMP "fragmentation needed" or ICMPv6 "packet too big" and the MTU that
// fits, and the MSS of TCP connections is lowered to fit, in both directions.
// IPv4 packets that may be fragmented are let through: the outer packet is
// then fragmented.
package tunnel
