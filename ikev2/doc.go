// Package ikev2 is the responder's end of IKEv2 (RFC 7296) for road-warrior
// clients that authenticate themselves by EAP.
//
// An SA is one IKE SA as a state machine: Handle takes the time and an Event
// and puts what is to be done into an Outbox: datagrams to send, jobs to
// start, session events, and the next deadline. It does no I/O, reads no
// clock, starts no goroutine and takes no lock. There is a file for each
// exchange: sa_init.go, auth.go with eap.go, create_child.go with
// rekey_ike.go, informational.go; state.go holds the one function that moves
// an SA from state to state, refusal.go every reason to refuse, notify.go
// what each of them puts on the wire.
//
// A Responder runs the SAs: each belongs to one shard, a goroutine that alone
// touches it; jobs, whatever is slow, run elsewhere and come back as events.
package ikev2
