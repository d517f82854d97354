package radius

import "bridgehead/auth"

// Causes of refusals and outages that only RADIUS knows.
const (
	// CauseRefused: the server said no, and no more than that.
	CauseRefused auth.Cause = "radius-refused"
	// CauseNoKey: Access-Accept without usable MS-MPPE keys, as after EAP-MD5
	// and EAP-GTC, which make none. IKEv2 can't do without (RFC 7296 §2.16).
	CauseNoKey auth.Cause = "radius-no-key"
	// CauseNoSuccess: Access-Accept without EAP-Success (RFC 3579 §2.6.3).
	CauseNoSuccess auth.Cause = "radius-no-eap-success"
	// CauseSuccessInChallenge: EAP-Success or -Failure inside Access-Challenge
	// (RFC 3579 §2.6.3).
	CauseSuccessInChallenge auth.Cause = "radius-eap-end-in-challenge"
	// CauseSuccessInReject: EAP-Success inside Access-Reject (RFC 3579 §2.6.3).
	CauseSuccessInReject auth.Cause = "radius-eap-success-in-reject"
	// CauseNoEAP: Access-Challenge without an EAP-Message that can be read.
	CauseNoEAP auth.Cause = "radius-no-eap-message"
	// CauseBadAttribute: an attribute of Access-Accept has no sense. What it
	// was to limit would be unlimited.
	CauseBadAttribute auth.Cause = "radius-bad-attribute"
	// CauseNotAuthentic: only replies that are not authentic came.
	CauseNotAuthentic auth.Cause = "radius-reply-not-authentic"
)
