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
	CauseMethodRefused      Cause = "method-refused"
	CauseIdentityMismatch   Cause = "identity-mismatch"
	CauseNoIdentity         Cause = "no-eap-identity"
	CauseServerProofRefused Cause = "server-proof-refused"
	CauseEAPMalformed       Cause = "eap-malformed"
	CauseEAPUnexpected      Cause = "eap-unexpected"
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
		"Let the user change it in the directory, or set a new one there; it can't be changed through the VPN client.",
	},
	CauseLogonHours: {
		"The account may not log in at this hour.",
		"Extend the logon hours in the directory, or let the user come back inside them.",
	},
	CauseNoDialinPermission: {
		"The password is right, but the account has no permission for remote access.",
		"Grant the permission in the directory or in the policy of the RADIUS server.",
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

// Causes lists the catalogue in the order of the names.
func Causes() []Cause { return slices.Sorted(maps.Keys(catalogue)) }
