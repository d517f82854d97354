package auth

// Causes that only directories make. The first ones are faults of one entry, the
// others of the directory, which judged nobody.
const (
	CauseAccountLocked     Cause = "account-locked"
	CauseAccountExpired    Cause = "account-expired"
	CauseLDAPNoHash        Cause = "ldap-no-hash"
	CauseLDAPBadHash       Cause = "ldap-bad-hash"
	CauseLDAPSeveral       Cause = "ldap-several-entries"
	CauseLDAPBadAttribute  Cause = "ldap-bad-attribute"
	CauseLDAPNotInGroup    Cause = "ldap-not-in-group"
	CauseLDAPUnreachable   Cause = "ldap-unreachable"
	CauseLDAPTimeout       Cause = "ldap-timeout"
	CauseLDAPTLS           Cause = "ldap-tls"
	CauseLDAPBindRefused   Cause = "ldap-bind-refused"
	CauseLDAPNoBase        Cause = "ldap-no-base"
	CauseLDAPNoRights      Cause = "ldap-no-rights"
	CauseLDAPReferral      Cause = "ldap-referral"
	CauseLDAPLimit         Cause = "ldap-limit"
	CauseLDAPRefusedSearch Cause = "ldap-search-refused"
)

var ldapCatalogue = map[Cause]entry{
	CauseAccountLocked: {
		"The password is right, but the account is locked in the directory.",
		"Unlock it in the directory; the evidence names the attribute that locks it.",
	},
	CauseAccountExpired: {
		"The password is right, but the account has expired in the directory.",
		"Extend the account in the directory; the evidence names the attribute that ends it.",
	},
	CauseLDAPNoHash: {
		"The directory shows the gateway no NT hash of the user.",
		"Let the gateway's bind DN read the attributes of auth.ldap.hash; if it may already, the user has none yet: set the password anew (FreeIPA: after ipa-adtrust-install).",
	},
	CauseLDAPBadHash: {
		"What the directory holds as the user's NT hash is none.",
		"Set the user's password anew by a program that writes 32 hexadecimal digits (sambaNTPassword) or 16 octets (ipaNTHash).",
	},
	CauseLDAPSeveral: {
		"Several entries of the directory fit the user's name, so nobody can tell whose login it is.",
		"Narrow auth.ldap.base or auth.ldap.filter until one entry fits.",
	},
	CauseLDAPBadAttribute: {
		"An attribute of the user's entry makes no sense, so what it was to limit would be unlimited.",
		"Correct the attribute of the evidence in the directory, or take it out of [auth.ldap.attributes].",
	},
	CauseLDAPNotInGroup: {
		"The password is right, but the user is in none of the groups that may log in.",
		"Add the user to one of auth.ldap.groups.require in the directory.",
	},
	CauseLDAPUnreachable: {
		"No LDAP server can be reached, so the password could not be judged.",
		"Look at the error in the evidence, and ask what is wrong with: bridgehead check.",
	},
	CauseLDAPTimeout: {
		"No LDAP server answered in time, so the password could not be judged.",
		"Find out why the directory is slow: an index is missing for the attributes of auth.ldap.filter, perhaps.",
	},
	CauseLDAPTLS: {
		"No LDAP server proved its name over TLS, so none was asked.",
		"Renew its certificate, or correct auth.ldap.tls.ca and auth.ldap.tls.name; bridgehead check tells which.",
	},
	CauseLDAPBindRefused: {
		"The LDAP server does not let the gateway in.",
		"Correct auth.ldap.bind_dn and the password in auth.ldap.password_file.",
	},
	CauseLDAPNoBase: {
		"The LDAP server has no entry of the name in auth.ldap.base, or hides it from the gateway.",
		"Correct auth.ldap.base, or let the gateway's bind DN read below it.",
	},
	CauseLDAPNoRights: {
		"The LDAP server does not let the gateway search for users.",
		"Let the gateway's bind DN read below auth.ldap.base.",
	},
	CauseLDAPReferral: {
		"The LDAP server refers the gateway to another server, which it does not follow with its password.",
		"Name the server that holds the users in auth.ldap.servers.",
	},
	CauseLDAPLimit: {
		"The search for the user exceeded a limit of the LDAP server or of the gateway.",
		"Add an index for the attributes of auth.ldap.filter, and narrow auth.ldap.base.",
	},
	CauseLDAPRefusedSearch: {
		"The LDAP server refused the search for the user.",
		"Look at the error in the evidence and at the server's log.",
	},
}
