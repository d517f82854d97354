package radius

import "bridgehead/auth"

// Causes of refusals and outages that only RADIUS knows.
const (
	// CauseRefused: the server said no, and no more than that.
	CauseRefused = auth.CauseRADIUSRefused
	// CauseNoKey: Access-Accept without usable MS-MPPE keys, as after EAP-MD5
	// and EAP-GTC, which make none. IKEv2 can't do without (RFC 7296 §2.16).
	CauseNoKey = auth.CauseRADIUSNoKey
	// CauseNoSuccess: Access-Accept without EAP-Success (RFC 3579 §2.6.3).
	CauseNoSuccess = auth.CauseRADIUSNoSuccess
	// CauseSuccessInChallenge: EAP-Success or -Failure inside Access-Challenge
	// (RFC 3579 §2.6.3).
	CauseSuccessInChallenge = auth.CauseRADIUSSuccessInChallenge
	// CauseSuccessInReject: EAP-Success inside Access-Reject (RFC 3579 §2.6.3).
	CauseSuccessInReject = auth.CauseRADIUSSuccessInReject
	// CauseNoEAP: Access-Challenge without an EAP-Message that can be read.
	CauseNoEAP = auth.CauseRADIUSNoEAP
	// CauseBadAttribute: an attribute of Access-Accept has no sense. What it
	// was to limit would be unlimited.
	CauseBadAttribute = auth.CauseRADIUSBadAttribute
	// CauseNoServer: no group knows the users of this realm.
	CauseNoServer = auth.CauseRADIUSNoServer
	// CauseNotAuthentic: only replies that are not authentic came.
	CauseNotAuthentic = auth.CauseRADIUSNotAuthentic
)
