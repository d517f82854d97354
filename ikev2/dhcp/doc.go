// Package dhcp answers the DHCPINFORM messages that Windows broadcasts inside
// its tunnel once it is connected (RFC 2131 §4.3.5). Windows takes no routes
// from IKEv2: without an answer it routes the class A, B or C network of its
// own address and nothing else. From the answer it takes the session's routes,
// in option 249 ([MS-DHCPE] 2.2.8) as in option 121 (RFC 3442).
//
// Nothing is ever leased, and only sessions that were added are answered, each
// at a bounded rate. A Server does no I/O: it turns one IP packet into another.
// The userspace data plane calls it before a packet reaches the host; a Socket
// feeds it where the kernel decapsulates.
//
// A session is told by the packet's source address. Both data planes hold that
// address to the session's own Child SA before the packet comes here.
package dhcp
