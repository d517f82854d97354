package config

// Causes of what a trial of a RADIUS server shows.
const (
	CauseRADIUSNothingListens Cause = "radius-nothing-listens"   // at the address
	CauseRADIUSUnreachable    Cause = "radius-unreachable"       // no way, or no such name
	CauseRADIUSSilent         Cause = "radius-silent"            // filtered, a stranger to the server, or another secret
	CauseRADIUSWrongSecret    Cause = "radius-wrong-secret"      // the server has another one
	CauseRADIUSNotSigned      Cause = "radius-not-signed"        // replies lack Message-Authenticator
	CauseRADIUSNoLogin        Cause = "radius-no-login"          // only Status-Server is answered
	CauseRADIUSNoStatus       Cause = "radius-no-status-server"  // only logins are answered
	CauseRADIUSTLSName        Cause = "radius-tls-name"          // the certificate is for another name
	CauseRADIUSTLSAuthority   Cause = "radius-tls-authority"     // the certificate is of an unknown authority
	CauseRADIUSTLSExpired     Cause = "radius-tls-expired"       // the certificate is over
	CauseRADIUSTLSRefused     Cause = "radius-tls-refused"       // the gateway's certificate is not taken
	CauseRADIUSTLSFailed      Cause = "radius-tls-failed"        // anything else about TLS
	CauseRADIUSTLSEnds        Cause = "radius-tls-ends"          // the certificate ends soon
	CauseNoCredentials        Cause = "no-credentials"           // systemd's, which only the service sees
	CauseRADIUSSignsAll       Cause = "radius-optional-needless" // replies are signed though they need not be
)
