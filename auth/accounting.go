package auth

import (
	"context"
	"net/netip"
	"strconv"
	"time"
)

// Accountant keeps account of sessions. Its methods are safe for concurrent
// use.
type Accountant interface {
	// Start begins the account of a session before that is announced. It
	// returns once the record survives a crash; after an error there is no
	// account, and the session must not come up. An error that is an
	// UnaccountedError names the cause.
	Start(ctx context.Context, s Session) error
	// Stop ends the account that Start began. What the session carried is
	// final. After an error the record is kept in memory, and is written as
	// soon as that can be done.
	Stop(ctx context.Context, id string, t Totals, end End) error
	// Void tells of a login that was accepted and came to nothing before Start:
	// what the server set aside for it, such as addresses, is free again.
	Void(ctx context.Context, s Session, end End) error
}

// UnaccountedError is why no account can be kept of a session.
type UnaccountedError interface {
	error
	Cause() Cause
}

// Causes of a login that is refused because no account can be kept of it.
const (
	CauseAccountingFull       Cause = "accounting-spool-full"
	CauseAccountingNotWritten Cause = "accounting-not-written"
	CauseAccountingUnanswered Cause = "accounting-unanswered"
)

// Session is a session as accounting sees it.
type Session struct {
	ID             string // that of the log
	User           string // the verified name
	Class          [][]byte
	ChargeableUser []byte
	Addresses      []netip.Addr // inner ones, which the client has
	// Unclaimed are inner addresses that the backend gave and the client did
	// not take.
	Unclaimed []netip.Addr
	Local     netip.AddrPort // the gateway's end as the session began
	Remote    netip.AddrPort // the client's end
	Client    string         // the kind of client; empty if not recognised
	Suite     string         // of the IKE SA and the Child SA
	Began     time.Time
	// Interim is the time between two interim reports that the Grant asks for;
	// zero: as configured.
	Interim time.Duration
}

// Totals are what a session has carried since it began: octets of inner
// packets, from the client (In) and to it (Out).
type Totals struct {
	BytesIn, BytesOut     uint64
	PacketsIn, PacketsOut uint64
}

// End is how a session ended.
type End struct {
	Cause Cause
	Time  time.Time
}

// PortID names the port that a session is on, in words.
func PortID(session string) string { return "ikev2-" + session }

// Port is a number for a session that stays as long as it does: the low 31 bits
// of its id, which is hexadecimal; 0 for another id.
func Port(session string) uint32 {
	n, err := strconv.ParseUint(session, 16, 64)
	if err != nil {
		return 0
	}
	return uint32(n & (1<<31 - 1))
}
