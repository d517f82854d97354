package ikev2

import "sync/atomic"

// Counter is one of the reasons by which datagrams and logins are counted.
type Counter uint8

// Counters. Those named Drop count datagrams that changed nothing.
const (
	DropMalformed       Counter = iota // not a well-formed message
	DropVersion1                       // IKEv1
	DropAuthIP                         // Microsoft's exchange type 243
	DropMajorVersion                   // another major version; answered
	DropUnknownSPI                     // no such SA
	DropForeign                        // the SPIs or flags do not fit the SA
	DropUnprotected                    // not protected, or before there are keys
	DropNotAuthentic                   // the checksum is wrong
	DropWindow                         // a message id outside of the window
	DropInProgress                     // repeated while its answer is being made
	DropFragment                       // a fragment that fits nowhere
	DropUnexpected                     // an exchange that has no place now
	DropHalfOpenTotal                  // too many logins under way
	DropHalfOpenAddress                // too many from one address
	DropBadCookie                      // a cookie we did not give out
	DropAmplification                  // an answer of more than three times the request
	DropQueue                          // the shard's queue was full
	DropRefusedMove                    // evidence lacking for a change of state
	SentCookie                         // IKE_SA_INIT answered with COOKIE
	SentInvalidKE                      // answered with INVALID_KE_PAYLOAD
	SentNoProposal                     // answered with NO_PROPOSAL_CHOSEN
	Retransmitted                      // last answer sent again
	LoginsBegun                        // IKE_SA_INIT accepted
	LoginsComplete                     // sessions that came up
	LoginsRefused                      // refused with a cause
	LoginsSilent                       // fell silent
	ExchangesRefused                   // requests of established SAs refused with a cause
	ExchangesRationed                  // put off since the client asks too much
	JobsFailed                         // jobs that ended in an error of ours
	Moved                              // sessions whose client is elsewhere (RFC 4555)
	MovesRefused                       // to addresses the gateway does not accept
	counterCount
)

var counterNames = [counterCount]string{
	"drop-malformed", "drop-ikev1", "drop-authip", "drop-major-version", "drop-unknown-spi", "drop-foreign",
	"drop-unprotected", "drop-not-authentic", "drop-window", "drop-in-progress", "drop-fragment",
	"drop-unexpected", "drop-half-open-total", "drop-half-open-address", "drop-bad-cookie",
	"drop-amplification", "drop-queue-full", "refused-move", "sent-cookie", "sent-invalid-ke",
	"sent-no-proposal", "retransmitted", "logins-begun", "logins-complete", "logins-refused",
	"logins-silent", "exchanges-refused", "exchanges-rationed", "jobs-failed",
	"moved", "moves-refused",
}

// String is the counter's stable name.
func (c Counter) String() string {
	if c < counterCount {
		return counterNames[c]
	}
	return "unknown"
}

// counters are one shard's; others read them at any time.
type counters [counterCount]atomic.Uint64
