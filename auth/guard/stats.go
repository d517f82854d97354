package guard

import (
	"sync/atomic"

	"bridgehead/auth"
)

// Stats is what the guard saw since the start.
type Stats struct {
	Logins  uint64                // that were let in
	Wrong   uint64                // passwords that a backend refused
	Refused map[auth.Cause]uint64 // answers refused unasked, by cause
}

type counters struct{ logins, wrong, byAddress, byUser, inAll atomic.Uint64 }

func (c *counters) refused(cause auth.Cause) {
	switch cause {
	case auth.CauseGuessingAddress:
		c.byAddress.Add(1)
	case auth.CauseGuessingUser:
		c.byUser.Add(1)
	case auth.CauseGuessingTotal:
		c.inAll.Add(1)
	}
}

// Stats gives the counts.
func (g *Guard) Stats() Stats {
	c := &g.counts
	return Stats{Logins: c.logins.Load(), Wrong: c.wrong.Load(), Refused: map[auth.Cause]uint64{
		auth.CauseGuessingAddress: c.byAddress.Load(),
		auth.CauseGuessingUser:    c.byUser.Load(),
		auth.CauseGuessingTotal:   c.inAll.Load(),
	}}
}
