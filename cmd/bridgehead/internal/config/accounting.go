package config

import (
	"fmt"
	"time"
)

// Accounting is [accounting]: who is told of sessions, their time and their
// traffic.
type Accounting struct {
	Backend    string        // AccountingNone or AccountingRADIUS; default AccountingNone
	Interim    time.Duration // between two reports about a session; default 10m, 0: none; a user's own counts before
	SpoolLimit uint64        // octets that may wait on disk; default 64 MiB
	WhenFull   string        // FullDropInterims or FullRefuseLogins; default FullDropInterims
	Required   bool          // a session begins only once a server has answered; default false
}

// Words of accounting.backend.
const (
	AccountingNone   = "none"
	AccountingRADIUS = "radius" // the servers of [radius.NAME], whoever decides about logins
)

// Words of accounting.when_full.
const (
	FullDropInterims = "drop-interims" // the oldest first, then the oldest sessions that have ended
	FullRefuseLogins = "refuse-logins"
)

const (
	leastInterim    = time.Minute // RFC 2869 §2.1
	leastSpoolLimit = 1 << 20
)

// validateAccounting checks that there is somebody to tell, and the limits.
func (c *Config) validateAccounting() []Problem {
	var problems []Problem
	a := c.Accounting
	if a.Backend == AccountingRADIUS && len(c.namesIn(radiusTable)) == 0 {
		problems = append(problems, c.At("accounting.backend", -1, "accounting.backend: no RADIUS server is named", `expected [radius.NAME] and below it address = "192.0.2.10" and secret_file = "/etc/bridgehead/radius.secret"`).As(CauseMissing))
	}
	if a.Interim > 0 && a.Interim < leastInterim {
		problems = append(problems, c.At("accounting.interim", -1, fmt.Sprintf("accounting.interim: %s is too often (RFC 2869 §2.1)", shortDuration(a.Interim)), `expected 1m or more, or "0" for none; 10m suits most`))
	}
	if a.SpoolLimit < leastSpoolLimit {
		problems = append(problems, c.At("accounting.spool_limit", -1, fmt.Sprintf("accounting.spool_limit: %d octets hold no outage", a.SpoolLimit), "expected 1_048_576 or more; a session takes about 1,500 octets"))
	}
	return problems
}
