package auth

import (
	"maps"
	"slices"
)

// Causes of a refusal.
const (
	CauseWrongPassword      Cause = "wrong-password"
	CauseUnknownUser        Cause = "unknown-user" // on the wire like wrong-password
	CauseAccountDisabled    Cause = "account-disabled"
	CausePasswordExpired    Cause = "password-expired"
	CauseLogonHours         Cause = "outside-logon-hours"
	CauseNoDialinPermission Cause = "no-dialin-permission"
	CausePasswordNotChanged Cause = "password-not-changed"
	CauseMethodRefused      Cause = "method-refused"
	CauseIdentityMismatch   Cause = "identity-mismatch"
	CauseNoIdentity         Cause = "no-eap-identity"
	CauseServerProofRefused Cause = "server-proof-refused"
	CauseEAPMalformed       Cause = "eap-malformed"
	CauseEAPUnexpected      Cause = "eap-unexpected"
)

// Causes of a login that a RADIUS server's answer to MS-CHAPv2 could not end.
const (
	// CauseNoMSCHAPSuccess: Access-Accept without a usable MS-CHAP2-Success
	// (RFC 2548 §2.3.3), without which no client believes the gateway.
	CauseNoMSCHAPSuccess Cause = "radius-no-mschap-success"
	// CauseChallengeWithoutEAP: Access-Challenge, which MS-CHAPv2 can't carry
	// to the client.
	CauseChallengeWithoutEAP Cause = "radius-challenge-without-eap"
)

// Causes of a login that could not be judged.
const (
	CauseBackendUnavailable Cause = "backend-unavailable"
	CauseBackendTimeout     Cause = "backend-timeout"
	CauseInternal           Cause = "internal-error"
)

type entry struct{ text, advice string }

var catalogue = map[Cause]entry{
	CauseWrongPassword: {
		"The user is known, but the password is wrong.",
		"Let the user type it again with an eye on the keyboard layout, or set a new one with \"bridgehead users passwd NAME\".",
	},
	CauseUnknownUser: {
		"No user has the name that the client gave.",
		"Compare the name in the evidence with \"bridgehead users list\"; names are case-sensitive, and a domain or realm is tried with the name first, then left out.",
	},
	CauseAccountDisabled: {
		"The password is right, but the account is disabled.",
		"Enable the account where it is kept, or tell the user that it is meant to be so.",
	},
	CausePasswordExpired: {
		"The user's password has expired.",
		"Let the user change it in the directory, or set a new one there; through the VPN client it can be changed only where auth.radius.method is \"mschapv2\" and both the server and the client can do it.",
	},
	CauseLogonHours: {
		"The account may not log in at this hour.",
		"Extend the logon hours in the directory, or let the user come back inside them.",
	},
	CauseNoDialinPermission: {
		"The password is right, but the account has no permission for remote access.",
		"Grant the permission in the directory or in the policy of the RADIUS server.",
	},
	CausePasswordNotChanged: {
		"The password has expired, and the server did not take the new one.",
		"Compare the new password with the server's rules, and look into the server's log: it may not be set up to change passwords.",
	},
	CauseMethodRefused: {
		"The client does not want EAP-MSCHAPv2 and asked for another method.",
		"Set the client to user name and password (EAP-MSCHAPv2); the evidence names what it wanted instead.",
	},
	CauseIdentityMismatch: {
		"The client gave one name as its EAP identity and proved another one.",
		"Set one and the same user name in the client; if the client is configured right, somebody may be trying another user's rights.",
	},
	CauseNoIdentity: {
		"The client gave no name as its EAP identity, and the gateway is set to insist on one.",
		"Take D3 out of ike.quirks_off: Android gives its name a step later.",
	},
	CauseServerProofRefused: {
		"The client did not believe that this gateway knows the password.",
		"Check that the stored hash is that of the user's password, and that no other program has altered the users file.",
	},
	CauseEAPMalformed: {
		"The client kept sending EAP packets that can't be read or answer nothing that was asked.",
		"Update the client; if it does so still, capture its IKE_AUTH messages and report them.",
	},
	CauseEAPUnexpected: {
		"The client sent an EAP packet that is out of order for a login.",
		"Update the client; a well-behaved one never does this, so it may also be an attempt to get in without a password.",
	},
	CauseNoMSCHAPSuccess: {
		"The RADIUS server accepted the user without MS-CHAP2-Success, the proof that clients ask for.",
		"Have the server judge MS-CHAPv2 by its own module for it (FreeRADIUS: mschap), not by a rule that accepts everybody.",
	},
	CauseChallengeWithoutEAP: {
		"The RADIUS server asked the user for something more, such as a second factor, which MS-CHAPv2 has no way to ask.",
		"Exempt this gateway from the question on the server, or set auth.radius.method to \"eap\" and use an EAP method that can ask it.",
	},
	CauseAccountingFull: {
		"No account can be kept of the session: as many records as may be wait for the RADIUS server.",
		"Have the RADIUS server answer accounting; accounting.spool_limit says how much may wait, accounting.when_full what happens then.",
	},
	CauseAccountingNotWritten: {
		"No account can be kept of the session: the disk does not take its record.",
		"Make room on the disk of paths.state, or look at the error in the evidence.",
	},
	CauseAccountingUnanswered: {
		"No RADIUS server confirmed the start of the session, as accounting.required asks for.",
		"Have the RADIUS server answer accounting, or set accounting.required = false: the records are kept until it does.",
	},
	CauseBackendUnavailable: {
		"The password could not be judged: the backend did not answer or failed.",
		"Look at the error in the evidence and bring the backend back; the user need not do anything but try again.",
	},
	CauseBackendTimeout: {
		"The password could not be judged in time: the backend is too slow.",
		"Find out why the backend is slow; clients give up after some ten seconds.",
	},
	CauseInternal: {
		"The login failed by a fault of the gateway itself.",
		"Report the error in the evidence together with the gateway's log.",
	},
}

// explained finds a cause in the catalogue, of which radiusCatalogue,
// ldapCatalogue and guardCatalogue are parts.
func explained(c Cause) (entry, bool) {
	for _, part := range []map[Cause]entry{catalogue, radiusCatalogue, ldapCatalogue, guardCatalogue} {
		if e, ok := part[c]; ok {
			return e, true
		}
	}
	return entry{}, false
}

// Causes lists the catalogue in the order of the names.
func Causes() []Cause {
	all := slices.AppendSeq(slices.Collect(maps.Keys(catalogue)), maps.Keys(radiusCatalogue))
	all = slices.AppendSeq(all, maps.Keys(ldapCatalogue))
	all = slices.AppendSeq(all, maps.Keys(guardCatalogue))
	slices.Sort(all)
	return all
}
