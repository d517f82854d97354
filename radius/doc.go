// Package radius asks RADIUS servers who may come in (RFC 2865, RFC 3579),
// over UDP or TLS (RFC 6614), and is an auth.Backend that passes EAP through
// to them.
//
// The packet codec and the attribute numbers are layeh.com/radius; transport
// and trust are this package's. A Server is one server with its lines: UDP
// sockets or TLS connections, each owned by one goroutine and carrying 255
// requests and a Status-Server at a time. A reply that fails authentication is
// counted and discarded, and the wait goes on (RFC 2865 §3). A Group is several
// servers in an order, whose health Status-Server (RFC 5997) and their answers
// show. An EAP conversation stays with the server that it began with, since no
// other one knows its State; if that one dies, the conversation starts over
// with the next.
package radius
