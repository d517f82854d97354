package ikev2

import "bridgehead/ikev2/message"

// notifyFor is the one place that says what a cause puts on the wire
// (RFC 7296 §2.21 and §3.10.1). Whatever is not told apart there is
// AUTHENTICATION_FAILED: a client that did not prove itself learns no more.
func notifyFor(c Cause) message.NotifyType {
	switch c {
	case CauseNoIKEProposal, CauseNoESPProposal, CauseNoNATTraversal:
		return message.NoProposalChosen
	case CauseInvalidSyntax, CausePublicValue, CauseNoChildAsked:
		return message.InvalidSyntax
	case CauseCriticalPayload:
		return message.UnsupportedCriticalPayload
	case CauseNoAddressAsked:
		return message.FailedCPRequired
	case CausePoolExhausted, CauseLeaseStore, CauseNotAnnounced, CauseUnknownPool, CauseFixedAddressInUse:
		return message.InternalAddressFailure
	case CauseUnexpectedNAT:
		return message.UnexpectedNATDetected
	case CauseTSUnacceptable:
		return message.TSUnacceptable
	case CauseTooManyChildren:
		return message.NoAdditionalSAs
	case CauseDataPlane, CauseLimits, CauseSPIInUse, CauseInternal:
		return message.TemporaryFailure
	}
	return message.AuthenticationFailed
}

// fatalToChildOnly tells the causes that leave a fully authenticated IKE SA
// without its first Child SA (RFC 7296 §1.2) from those that end the login.
func fatalToChildOnly(c Cause) bool {
	switch c {
	case CauseNoESPProposal, CauseNoAddressAsked, CauseNoChildAsked, CauseNoNATTraversal, CausePoolExhausted,
		CauseLeaseStore, CauseNotAnnounced, CauseUnknownPool, CauseFixedAddressInUse, CauseTSUnacceptable, CauseDataPlane, CauseLimits, CauseSPIInUse:
		return true
	}
	return false
}

// status is a notification about the IKE SA itself.
func status(kind message.NotifyType, data []byte) *message.Notify {
	return &message.Notify{Kind: kind, Data: data}
}
