package config

// Causes of what a trial of an LDAP server shows, beside those of logins (package
// auth).
const (
	CauseLDAPActiveDirectory Cause = "ldap-active-directory" // it gives no hash over LDAP
	CauseLDAPAnonymous       Cause = "ldap-anonymous-hashes" // hashes are shown to whoever asks
	CauseLDAPTLSEnds         Cause = "ldap-tls-ends"         // the certificate ends soon
)
