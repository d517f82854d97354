// Package transport moves IKE and ESP datagrams between the gateway and the
// network: UDP ports 500 and 4500 (RFC 7296 §2.23, RFC 3948) and, where asked
// for, IP protocol 50, over IPv4 and IPv6, in batches.
//
// # Sockets
//
// Each family has sockets of its own (IPV6_V6ONLY). The NAT traversal port has
// several sockets in one SO_REUSEPORT group, each read by one goroutine: the
// kernel keeps a peer's datagrams on one socket by a hash of addresses and
// ports, so a peer's packets stay in order while peers spread over the cores.
// The first socket of a group is bound without SO_REUSEPORT, so a port that
// any other process holds is refused rather than shared with it.
//
// Every datagram carries the local address it was sent to, and an answer with
// that address as Local leaves from it (IP_PKTINFO).
//
// UDP_ENCAP is set only where Config.Decapsulate sets it; else decapsulation is
// ours, not the kernel's.
//
// # Path MTU
//
// Outer datagrams are sent with the don't-fragment bit clear and are
// fragmented by the kernel to the path MTU it knows (IP_PMTUDISC_DONT, for
// both families). An IKE message can exceed the path MTU before the peer has
// announced RFC 7383 fragmentation, and an encapsulated packet can when the
// inner MTU was chosen too large; either must still arrive.
//
// # Failures
//
// Nothing the network does is fatal. What a host or router answers with ICMP,
// a full queue and a missing route fail one datagram; they are counted in
// Stats and returned as *SendError.
package transport
