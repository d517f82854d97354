package dhcp

import "sync/atomic"

// Outcome is what became of a packet to DHCP servers.
type Outcome uint8

// Outcomes of a packet. All but the first mean that nothing was answered.
const (
	Answered   Outcome = iota
	Malformed          // not a whole DHCP message of a client
	NotInform          // another message: this server leases nothing
	NoSession          // from an address that no session holds
	Foreign            // ciaddr is not where it came from, or a relay agent sent it
	TooMany            // beyond the rate of a session
	SendFailed         // answered, but the socket did not take it
	outcomes
)

var outcomeNames = [outcomes]string{
	Answered: "answered", Malformed: "malformed", NotInform: "not_inform", NoSession: "no_session",
	Foreign: "foreign", TooMany: "too_many", SendFailed: "send_failed",
}

// String is the outcome as a metric's label has it.
func (o Outcome) String() string {
	if o < outcomes {
		return outcomeNames[o]
	}
	return "unknown"
}

// Counts are the packets so far, indexed by Outcome.
type Counts [outcomes]uint64

type counters [outcomes]atomic.Uint64

func (c *counters) read() Counts {
	var n Counts
	for i := range c {
		n[i] = c[i].Load()
	}
	return n
}
