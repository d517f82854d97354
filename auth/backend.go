package auth

import (
	"context"
	"net/netip"
	"time"
)

// Peer is what is known about a client when its EAP conversation begins.
// Nothing in it is authenticated.
type Peer struct {
	Session string         // the session id that stands in every log line
	IDi     string         // the IKE identity in printable form
	Remote  netip.AddrPort // where the client's packets come from
	Local   netip.AddrPort // the gateway's address they came to
	Client  string         // the client's fingerprint, such as "windows"; may be empty
	// NoFinalFailure tells that the client never answers an EAP-MSCHAPv2
	// Failure that allows no retry (Windows): EAP-Failure must come at once.
	NoFinalFailure bool
	// WholeName has the name looked up as the client sends it alone, domain
	// and realm included.
	WholeName bool
	// IdentityNeeded has a client refused that answers EAP-Request/Identity
	// with no name.
	IdentityNeeded bool
	// Profile is the name of the gateway that the client asked for (IDr); empty
	// if it asked for none.
	Profile string
	// Asked tells that the client has been asked for its EAP identity already:
	// the first call of Next brings the answer. It matters to backends that pass
	// EAP on; nobody is asked again.
	Asked bool
}

// Backend decides who may come in. It runs one EAP conversation per login.
type Backend interface {
	Begin(ctx context.Context, peer Peer) (Conversation, error)
}

// Conversation is one login. Next takes the peer's EAP response, nil for the
// first call, and gives the next packet to relay, or the end. It may block;
// ctx bounds it. Close releases it at any time; both are called by one
// goroutine at a time.
type Conversation interface {
	Next(ctx context.Context, response []byte) (Step, error)
	Close()
}

// Verdict is where a conversation stands.
type Verdict uint8

// Verdicts. An outage is never a wrong password: Unavailable is not Reject.
const (
	Continue Verdict = iota
	Accept
	Reject
	Unavailable
)

// Step is one move of a conversation.
type Step struct {
	Packet  []byte // EAP Request, Success or Failure to relay
	Verdict Verdict
	Grant   *Grant // on Accept
	// Reason is set on Reject and Unavailable; on Continue where the peer's
	// answer was refused and Packet lets it try again: should it leave
	// instead, this is why.
	Reason   Reason
	Identity string // the name the peer claims, once it is known; not authenticated
	// Delay is how much later Packet is to go out: what a wrong password costs
	// whoever guesses. An Accept is never late.
	Delay time.Duration
}

// WhenFull is what happens where a user logs in who has all sessions that
// Grant.MaxSessions allows.
type WhenFull uint8

// What happens then.
const (
	DenyLogin WhenFull = iota // the login is refused
	EndOldest                 // the user's oldest session ends
	EndNewest                 // the user's newest session ends
)

// Grant is what an accepted user gets. Every backend fills the same names;
// zero means "as the gateway is configured".
type Grant struct {
	Name           string // the authenticated name: policy and accounting use this one
	MSK            Secret // 64 octets (RFC 3748 §7.10)
	Addresses      []netip.Addr
	Pool           string
	Pool6          string // of the IPv6 address; empty: as Pool
	DNS            []netip.Addr
	Routes         []netip.Prefix
	Domains        []string // split DNS (RFC 8598)
	SessionTimeout time.Duration
	IdleTimeout    time.Duration
	// Reauthenticate tells the client the end of the session by SessionTimeout,
	// so that it may log in again before (AUTH_LIFETIME, RFC 4478).
	Reauthenticate bool
	Group          string
	MaxSessions    int
	WhenFull       WhenFull     // what happens to a login beyond MaxSessions
	Filter         []FilterRule // none: everything passes
	RateUp         uint64       // bits a second from the client; 0: no limit
	RateDown       uint64       // bits a second to the client; 0: no limit

	Class           [][]byte      // opaque, echoed in accounting (RFC 2865 §5.25)
	ChargeableUser  []byte        // opaque, echoed in accounting (RFC 4372)
	InterimInterval time.Duration // between two interim reports of accounting (RFC 2869 §5.16)

	// BreakGlass tells that the account is one for the time in which the central
	// backends are unavailable.
	BreakGlass bool

	Remarks []Evidence // for the log: what the backend said beside, and what has no effect here
}
