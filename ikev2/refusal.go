package ikev2

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"bridgehead/auth"
)

// Cause names why a login was refused, fell silent, or a session ended.
// Causes are stable and in kebab case. Beside the ones below, a Refusal
// carries the causes of an auth.Backend through as they are.
type Cause = auth.Cause

// Causes of refused logins.
const (
	CauseNoIKEProposal       Cause = "no-ike-proposal"
	CauseNoESPProposal       Cause = "no-esp-proposal"
	CauseInvalidSyntax       Cause = "invalid-syntax"
	CauseCriticalPayload     Cause = "unsupported-critical-payload"
	CausePublicValue         Cause = "invalid-key-exchange"
	CauseOutOfOrder          Cause = "out-of-order"
	CauseNotEAP              Cause = "client-not-set-to-eap"
	CauseAuthRejected        Cause = "authentication-rejected"
	CauseAuthUnavailable     Cause = "authentication-unavailable"
	CauseNoMSK               Cause = "no-master-session-key"
	CauseTooManyRounds       Cause = "too-many-eap-rounds"
	CauseAuthMismatch        Cause = "auth-payload-mismatch"
	CauseNoAddressAsked      Cause = "no-address-asked"
	CauseNoChildAsked        Cause = "no-child-sa-asked"
	CauseNoNATTraversal      Cause = "no-nat-traversal"
	CausePoolExhausted       Cause = "pool-exhausted"
	CauseTooManySessions     Cause = "too-many-sessions"
	CauseSessionKept         Cause = "former-session-kept"
	CauseUnexpectedNAT       Cause = "unexpected-nat"
	CauseTSUnacceptable      Cause = "traffic-selectors-unacceptable"
	CauseTooManyChildren     Cause = "too-many-child-sas"
	CauseClientRefusedServer Cause = "client-refused-our-authentication"
	CauseClientGaveUp        Cause = "client-gave-up"
	CauseDataPlane           Cause = "data-plane-failed"
	CauseLimits              Cause = "limits-not-enforced"
	CauseSPIInUse            Cause = "spi-in-use"
	CauseLeaseStore          Cause = "lease-store-failed"
	CauseNotAnnounced        Cause = "announcement-failed"
	CauseAccounting          Cause = "accounting-failed"
	CauseUnknownPool         Cause = "unknown-pool"
	CauseFixedAddressInUse   Cause = "fixed-address-in-use"
	CauseInternal            Cause = "internal-error"
)

// Causes of silence: a login that began and did not go on.
const (
	CauseAnswersLost      Cause = "answers-lost"
	CauseNoIKEAuth        Cause = "never-continued"
	CauseFragmentsMissing Cause = "fragments-missing"
	CauseKeysDiffer       Cause = "messages-not-authentic"
	CauseLeftAfterAuth    Cause = "left-after-our-auth"
	CauseLeftInEAP        Cause = "left-during-eap"
	CauseLeftBeforeAuth   Cause = "left-after-eap-success"
	CauseStuckHere        Cause = "our-answer-overdue"
)

// Causes of the end of a session.
const (
	CauseClientDisconnected Cause = "client-disconnected"
	CauseLostCarrier        Cause = "lost-carrier"
	CauseOperator           Cause = "operator-disconnect"
	CauseRADIUS             Cause = "radius-disconnect"
	CauseSessionTimeout     Cause = "session-timeout"
	CauseIdleTimeout        Cause = "idle-timeout"
	CauseShutdown           Cause = "gateway-shutdown"
	CauseReplaced           Cause = "replaced-by-new-login"
	CauseSuperseded         Cause = "superseded-by-new-login"
	CauseGaveWay            Cause = "gave-way-to-new-login"
	CausePacketsExhausted   Cause = "packet-numbers-exhausted"
	CauseChildLost          Cause = "child-sa-lost"
	CauseReturnRoutability  Cause = "return-routability-failed"
)

// explanation is what an operator is told about a cause.
type explanation struct{ text, advice string }

// catalogue explains every cause of this package.
var catalogue = map[Cause]explanation{
	CauseNoIKEProposal: {
		"The client and the gateway have no IKE proposal in common.",
		"Compare the offered with the configured list. Where the client offers only modp1024 or 3DES, raise its settings (Windows: NegotiateDH2048_AES256 or Set-VpnConnectionIPsecConfiguration) rather than lower the gateway's."},
	CauseNoESPProposal: {
		"The client and the gateway have no ESP proposal in common.",
		"Compare the offered with the configured list and add one of the client's suites to the gateway's ESP proposals."},
	CauseInvalidSyntax: {
		"The client sent a message that is not well formed.",
		"Update the client; if it is current, report the evidence to its vendor."},
	CauseCriticalPayload: {
		"The client insists on a protocol extension that the gateway does not know.",
		"Switch the extension off in the client's settings."},
	CausePublicValue: {
		"The client's key exchange value is not valid for its group.",
		"A correct client never sends one: update it, and look for something that alters packets on the way."},
	CauseOutOfOrder: {
		"The client sent a message that its login had no place for.",
		"Update the client; if it is current, report the evidence to its vendor."},
	CauseNotEAP: {
		"The client tried to log in with a certificate or a pre-shared key; this gateway authenticates users by EAP.",
		"Set the client's authentication to user name and password (EAP-MSCHAPv2)."},
	CauseAuthRejected: {
		"The authentication backend refused the user.",
		"See the evidence; check the account in the backend."},
	CauseAuthUnavailable: {
		"The authentication backend could not be asked; the password may well be right.",
		"Check that the backend runs and can be reached from the gateway."},
	CauseNoMSK: {
		"The authentication backend accepted the user without handing over a session key.",
		"Use an EAP method that makes keys (EAP-MSCHAPv2, PEAP, TTLS, TLS) and have the server send them."},
	CauseTooManyRounds: {
		"The EAP conversation went on beyond any sensible number of rounds.",
		"Check client and authentication server for an EAP method that never ends."},
	CauseAuthMismatch: {
		"The client's AUTH payload does not fit the session key of its EAP login.",
		"Client and authentication server derived different keys: check the EAP method at both, and the shared secret of the authentication server."},
	CauseNoAddressAsked: {
		"The client did not ask for an inner address.",
		"Let the client request an inner IP address (NetworkManager: \"Request an inner IP address\")."},
	CauseNoChildAsked: {
		"The client asked for no Child SA, or left out its traffic selectors.",
		"Update the client, which should ask for traffic selectors with its SA; one that wants no Child SA at all needs ike.childless."},
	CauseNoNATTraversal: {
		"The client does not take part in NAT traversal, so that its traffic cannot be encapsulated in UDP, as the gateway needs it over IPv4.",
		"Switch NAT traversal on at the client."},
	CausePoolExhausted: {
		"No inner address is free.",
		"Enlarge the address pool, or disconnect sessions that are no longer used."},
	CauseTooManySessions: {
		"The user has as many sessions as allowed already.",
		"Disconnect one of them or raise the user's limit."},
	CauseSessionKept: {
		"The client has a session already, which sessions.unique = \"keep\" has stay; whether that session still lives was not asked.",
		"If the former session is dead, end it with \"bridgehead disconnect\", or wait until ike.dpd finds out; sessions.unique = \"replace\" lets the newer login win instead."},
	CauseUnexpectedNAT: {
		"The client forbids a NAT between itself and the gateway, and there is one.",
		"Switch NAT traversal on at the client, or take the NAT away."},
	CauseTSUnacceptable: {
		"The traffic the client wants to send does not overlap with what the gateway offers.",
		"Compare the client's networks with the gateway's local subnets."},
	CauseTooManyChildren: {
		"The client asked for more Child SAs than one session may have.",
		"Let the client use one Child SA for both address families."},
	CauseClientRefusedServer: {
		"The client did not accept the gateway's certificate or signature and said so.",
		"Import the authority's root certificate at the client, and let it connect to a name that the certificate carries."},
	CauseClientGaveUp: {
		"The client ended its login by itself before it was complete.",
		"Look at the client's own log; a cancelled password prompt looks like this."},
	CauseDataPlane: {
		"The gateway could not install the tunnel.",
		"See the evidence and the gateway's log; the fault is on the gateway."},
	CauseLimits: {
		"The user is to be held to a packet filter or a rate, which the gateway could not do.",
		"Look at the evidence; kernel ESP needs nftables for this (modprobe nf_tables nft_limit), the userspace data plane needs nothing."},
	CauseSPIInUse: {
		"The client chose the SPI of another client's Child SA that is behind the same address, and the kernel cannot tell the two apart.",
		"Nothing to do: the client was told to try again, and draws another SPI. If it happens often, see whether one client logs in twice, or choose the userspace data plane."},
	CauseLeaseStore: {
		"The gateway could not write down the address lease.",
		"Check the disk and the rights of the gateway's state directory."},
	CauseNotAnnounced: {
		"The gateway could not answer for the client's address on the announced interface.",
		"Look at the evidence and at the interface that [addresses] announce names; \"bridgehead check\" tells what the host lacks."},
	CauseAccounting: {
		"No account could be kept of the session.",
		"See the evidence and the gateway's log; the fault is on the gateway."},
	CauseUnknownPool: {
		"The user is to get addresses from a pool that is not configured.",
		"Configure that pool, or name another one for the user; see the evidence for the pools there are."},
	CauseFixedAddressInUse: {
		"Somebody else's session holds the address that is fixed for this user.",
		"Disconnect that session, or give each user a fixed address of their own."},
	CauseInternal: {
		"The gateway failed at its own part of the login.",
		"See the evidence and the gateway's log; the fault is on the gateway."},

	CauseAnswersLost: {
		"The client repeats its request, so our answers do not reach it.",
		"Check that UDP 500 and 4500 are open outwards at the gateway, and that answers leave by the address that was asked."},
	CauseNoIKEAuth: {
		"The client began a login and never continued it.",
		"Most likely UDP port 4500 is closed on the way in; else the client's first IKE_AUTH is lost because IP fragments are dropped, or the client found no use for our proposal."},
	CauseFragmentsMissing: {
		"Only some fragments of the client's message arrived.",
		"Something on the way drops packets of that size: lower the client's fragment size or the MTU, and look for a lossy link."},
	CauseKeysDiffer: {
		"Messages came for this login but none could be authenticated.",
		"Something alters packets on the way, or the client's cipher is broken."},
	CauseLeftAfterAuth: {
		"The client left without a word after it saw our certificate.",
		"It most likely did not accept the certificate: wrong name, untrusted root, missing intermediate, key usage."},
	CauseLeftInEAP: {
		"The client left in the middle of the EAP conversation.",
		"A password prompt was cancelled or timed out, or the client does not know the EAP method."},
	CauseLeftBeforeAuth: {
		"The client left after EAP had succeeded.",
		"It most likely could not check our second AUTH payload, or lost its network at that moment."},
	CauseStuckHere: {
		"The gateway's own answer took longer than the client waited.",
		"Check the authentication backend and the load of the gateway."},

	CauseClientDisconnected: {"The client ended the session.", "Nothing to do."},
	CauseLostCarrier: {
		"The client no longer answers.",
		"Usually its network went away; look for short NAT timeouts if it happens to many."},
	CauseOperator:       {"An operator ended the session.", "Nothing to do."},
	CauseRADIUS:         {"A RADIUS server ended the session by a Disconnect-Request.", "Nothing to do; its log, and the clients under [dae], tell who did."},
	CauseSessionTimeout: {"The session reached the longest time allowed to it.", "Raise the user's session timeout, or sessions.timeout, if this is unwanted."},
	CauseIdleTimeout:    {"No traffic flowed for the idle time allowed.", "Raise the user's idle timeout, or sessions.idle_timeout, if this is unwanted."},
	CauseShutdown:       {"The gateway was stopped.", "Nothing to do; the client may connect again."},
	CauseReplaced:       {"The same client logged in anew and said that this session is gone.", "Nothing to do."},
	CauseSuperseded: {
		"The same client logged in anew, and sessions.unique = \"replace\" lets it have one session.",
		"Where these are two devices of one user, give each an IKE identity of its own, or set sessions.unique = \"no\"."},
	CauseGaveWay: {
		"The user logged in once more than the limit of sessions allows, and by when_full this session gave way.",
		"Raise max_sessions of the user or of the group if this is unwanted, or set when_full = \"deny\"."},
	CauseReturnRoutability: {
		"The client moved to another address, and its answer from there did not hold the cookie that was sent there.",
		"A correct client copies it: update the client; if it happens again, look for somebody who relays its packets."},
	CausePacketsExhausted: {
		"A Child SA ran out of packet numbers and was not rekeyed by the client.",
		"Let the client rekey its Child SAs, let the gateway do it where the client bears that, or use extended sequence numbers (esn)."},
	CauseChildLost: {
		"The client has the session's only Child SA no more, as it said when that was to be rekeyed.",
		"Usually both ends deleted and rekeyed at once, and the client connects again; if it happens again, look at the client's log."},
}

// Causes lists the causes of this package, in the order of their names.
func Causes() []Cause { return slices.Sorted(maps.Keys(catalogue)) }

// Explain gives the sentence and the advice for a cause, for one of an
// authentication backend those of package auth.
func Explain(c Cause) (text, advice string) {
	if e, ok := catalogue[c]; ok {
		return e.text, e.advice
	}
	r := auth.Reason{Cause: c}
	return r.Text(), r.Advice()
}

// PeerFault is a fault of the client: it is answered with a notification and
// explained to the operator.
type PeerFault struct {
	Cause    Cause
	Evidence []auth.Evidence
	Err      error // what the cause wraps; may be nil

	data   []byte // of the notification
	answer []byte // an EAP packet that goes out instead of the notification
	outage bool   // the login could not be judged, whatever the cause
}

// syntaxFault is a message that is not as the RFC's section demands.
func syntaxFault(what string) *PeerFault {
	return &PeerFault{Cause: CauseInvalidSyntax, Err: errors.New(what)}
}

func (e *PeerFault) Error() string { return faultText("client", e.Cause, e.Err) }
func (e *PeerFault) Unwrap() error { return e.Err }

// GatewayFault is a fault of ours. The client learns no more than that it
// failed.
type GatewayFault struct {
	Cause    Cause
	Evidence []auth.Evidence
	Err      error
}

func (e *GatewayFault) Error() string { return faultText("gateway", e.Cause, e.Err) }
func (e *GatewayFault) Unwrap() error { return e.Err }

func faultText(whose string, c Cause, err error) string {
	text, advice := Explain(c)
	if err == nil {
		return fmt.Sprintf("ikev2: %s: %s: %s %s", whose, c, text, advice)
	}
	return fmt.Sprintf("ikev2: %s: %s: %v: %s %s", whose, c, err, text, advice)
}

// faultOf gives cause and evidence of an error; one that is neither a
// PeerFault nor a GatewayFault is ours.
func faultOf(err error) (Cause, []auth.Evidence) {
	var peer *PeerFault
	if errors.As(err, &peer) {
		return peer.Cause, withError(peer.Evidence, peer.Err)
	}
	var ours *GatewayFault
	if errors.As(err, &ours) {
		return ours.Cause, withError(ours.Evidence, ours.Err)
	}
	return CauseInternal, withError(nil, err)
}

func withError(ev []auth.Evidence, err error) []auth.Evidence {
	if err == nil {
		return ev
	}
	return append(ev[:len(ev):len(ev)], auth.Evidence{Key: "error", Value: err.Error()})
}

// Refusal is one login that was refused or fell silent, as "bridgehead why"
// prints it.
type Refusal struct {
	Time     time.Time
	Session  string         // empty if it was refused before a session began
	Peer     netip.AddrPort // where the client's packets came from
	Local    netip.AddrPort // where they came to
	User     string         // the name claimed or verified, empty if none was given
	Identity string         // IDi, empty if it was not seen
	Client   string         // the kind of client, empty if not recognised
	Quirks   []Quirk        // allowances made for it
	Silent   bool           // the client left; nothing was refused
	Cause    Cause
	Evidence []auth.Evidence
	Text     string   // a sentence for the cause
	Advice   string   // what to do
	Remedy   []string // what to type at this client, where that is known, a line each
	Likely   []string // of a silence: what may lie behind it, the likeliest first
}

// newRefusal fills in what the catalogue says.
func newRefusal(now time.Time, c Cause, evidence []auth.Evidence) *Refusal {
	text, advice := Explain(c)
	return &Refusal{Time: now, Cause: c, Evidence: evidence, Text: text, Advice: advice}
}
