// Package initiator is the client's end of IKEv2 (RFC 7296): a login with
// user name and password (EAP-MSCHAPv2) against any gateway, Child SA and IKE
// SA rekeys, liveness and logout.
//
// Three layers, each usable alone:
//
//   - SA is one IKE SA as a state machine. It does no I/O, reads no clock,
//     starts no goroutine and takes no lock: Handle takes the time and an
//     Event, and fills an Outbox.
//   - Client drives many SAs over one pair of UDP endpoints; Dial and Session
//     are what a program uses for one login.
//   - Probe reports on one login step by step, Load measures many, Connect
//     carries traffic.
//
// A Profile says how the client looks on the wire: ours, or that of a real
// client whose first messages are to be repeated octet for octet.
package initiator
