package accounting

import (
	"layeh.com/radius/rfc2866"

	"bridgehead/auth"
)

// What became of sessions, in the words of RFC 2866 §5.10. A login that fails
// after its Start is a session that ended by the fault of the user, or of the
// gateway.
const (
	userRequest    = rfc2866.AcctTerminateCause_Value_UserRequest
	lostCarrier    = rfc2866.AcctTerminateCause_Value_LostCarrier
	lostService    = rfc2866.AcctTerminateCause_Value_LostService
	idleTimeout    = rfc2866.AcctTerminateCause_Value_IdleTimeout
	sessionTimeout = rfc2866.AcctTerminateCause_Value_SessionTimeout
	adminReset     = rfc2866.AcctTerminateCause_Value_AdminReset
	adminReboot    = rfc2866.AcctTerminateCause_Value_AdminReboot
	nasError       = rfc2866.AcctTerminateCause_Value_NASError
	nasRequest     = rfc2866.AcctTerminateCause_Value_NASRequest
	nasReboot      = rfc2866.AcctTerminateCause_Value_NASReboot
	portPreempted  = rfc2866.AcctTerminateCause_Value_PortPreempted
	userError      = rfc2866.AcctTerminateCause_Value_UserError
)

// causeCrash is why sessions ended that were open when the gateway crashed.
const causeCrash auth.Cause = "gateway-crash"

// terminations are those of the causes for which sessions and logins end.
var terminations = map[auth.Cause]rfc2866.AcctTerminateCause{
	"client-disconnected":               userRequest,
	"client-gave-up":                    userRequest,
	"lost-carrier":                      lostCarrier,
	"replaced-by-new-login":             lostCarrier, // the client said that it is gone
	"gave-way-to-new-login":             portPreempted,
	"superseded-by-new-login":           portPreempted,
	"former-session-kept":               portPreempted,
	"child-sa-lost":                     lostService,
	"idle-timeout":                      idleTimeout,
	"session-timeout":                   sessionTimeout,
	"operator-disconnect":               adminReset,
	"radius-disconnect":                 adminReset,
	"gateway-shutdown":                  adminReboot,
	"packet-numbers-exhausted":          nasRequest,
	causeCrash:                          nasReboot,
	"return-routability-failed":         userError,
	"no-ike-proposal":                   userError,
	"no-esp-proposal":                   userError,
	"invalid-syntax":                    userError,
	"unsupported-critical-payload":      userError,
	"invalid-key-exchange":              userError,
	"out-of-order":                      userError,
	"client-not-set-to-eap":             userError,
	"authentication-rejected":           userError,
	"too-many-eap-rounds":               userError,
	"auth-payload-mismatch":             userError,
	"no-address-asked":                  userError,
	"no-child-sa-asked":                 userError,
	"no-nat-traversal":                  userError,
	"too-many-sessions":                 userError,
	"unexpected-nat":                    userError,
	"traffic-selectors-unacceptable":    userError,
	"too-many-child-sas":                userError,
	"client-refused-our-authentication": userError,
	"spi-in-use":                        userError,
	"answers-lost":                      lostCarrier,
	"never-continued":                   lostCarrier,
	"fragments-missing":                 lostCarrier,
	"messages-not-authentic":            lostCarrier,
	"left-after-our-auth":               lostCarrier,
	"left-during-eap":                   lostCarrier,
	"left-after-eap-success":            lostCarrier,
	"our-answer-overdue":                nasError,
	"authentication-unavailable":        nasError,
	"no-master-session-key":             nasError,
	"pool-exhausted":                    nasError,
	"data-plane-failed":                 nasError,
	"lease-store-failed":                nasError,
	"announcement-failed":               nasError,
	"unknown-pool":                      nasError,
	"fixed-address-in-use":              nasError,
	"internal-error":                    nasError,
	"accounting-failed":                 nasError,
	"limits-not-enforced":               nasError,
	auth.CauseAccountingFull:            nasError,
	auth.CauseAccountingNotWritten:      nasError,
	auth.CauseAccountingUnanswered:      nasError,
}

// termination is that of a cause; one that is not known is the gateway's.
func termination(c auth.Cause) rfc2866.AcctTerminateCause {
	if t, ok := terminations[c]; ok {
		return t
	}
	return nasError
}
