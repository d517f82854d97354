package dae

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"bridgehead/auth"
)

// Session is what requests may identify a session by.
type Session struct {
	ID             string // Acct-Session-Id
	MultiID        string // Acct-Multi-Session-Id; empty: it has none
	User           string
	Remote, Local  netip.AddrPort // Calling- and Called-Station-Id
	From           netip.Addr     // Calling-Station-Id as it was at the login, if without a port
	IPv4, IPv6     netip.Addr     // zero where none
	Port           uint32         // NAS-Port; 0: it has none
	Class          [][]byte
	ChargeableUser []byte
}

// Change is what a CoA-Request changes of a session. Zero fields leave things
// as they are.
type Change struct {
	SessionTimeout  time.Duration // from now
	IdleTimeout     time.Duration
	InterimInterval time.Duration
	Filter          *[]auth.FilterRule // none in it: everything passes
	RateUp          *uint64            // bits a second from the client; 0: no limit
	RateDown        *uint64            // bits a second to the client; 0: no limit
	// Reauthenticate tells the client the end of its session, so that it logs in
	// anew before (RFC 4478).
	Reauthenticate bool
}

// Gateway has the sessions. Its methods are called concurrently.
type Gateway interface {
	// Candidates gives at least all the sessions that q is true of.
	Candidates(ctx context.Context, q Query) ([]Session, error)
	// Disconnect ends sessions, and returns when nothing is left of them.
	// The error is a *Failure if it has an Error-Cause of its own.
	Disconnect(ctx context.Context, ids []string) error
	// Change changes all of the sessions, or on error none. The error is a
	// *Failure if it has an Error-Cause of its own.
	Change(ctx context.Context, ids []string, c Change) error
}

// Failure is why the gateway did not do what an authentic request asked for.
type Failure struct {
	Cause ErrorCause
	Err   error
}

func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Cause.String()
	}
	return f.Cause.String() + ": " + f.Err.Error()
}

func (f *Failure) Unwrap() error { return f.Err }

// failed is the cause of an error of the gateway.
func failed(err error, otherwise ErrorCause) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return &Failure{otherwise, err}
}
