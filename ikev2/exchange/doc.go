// Package exchange is what both ends of an IKE SA share and no more: the
// protection of whole messages (RFC 7296 §3.14), the message ids and windows
// of the requests in either direction (§2.1 to §2.3), retransmission with
// back-off, and the joining of fragments (RFC 7383). It does no I/O and reads
// no clock: now is an argument and deadlines are answers.
package exchange
