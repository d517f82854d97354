package auth

// Causes that only RADIUS servers make. The last ones are faults of a server or
// of whoever forges its replies: nobody was judged.
const (
	CauseRADIUSRefused            Cause = "radius-refused"
	CauseRADIUSSuccessInReject    Cause = "radius-eap-success-in-reject"
	CauseRADIUSNoServer           Cause = "radius-no-server-for-realm"
	CauseRADIUSNoKey              Cause = "radius-no-key"
	CauseRADIUSNoSuccess          Cause = "radius-no-eap-success"
	CauseRADIUSSuccessInChallenge Cause = "radius-eap-end-in-challenge"
	CauseRADIUSNoEAP              Cause = "radius-no-eap-message"
	CauseRADIUSBadAttribute       Cause = "radius-bad-attribute"
	CauseRADIUSNotAuthentic       Cause = "radius-reply-not-authentic"
)

var radiusCatalogue = map[Cause]entry{
	CauseRADIUSRefused: {
		"The RADIUS server refused the user: an unknown name, a wrong password, or a rule of its own.",
		"Look for the session's id in the server's log, where it is Acct-Session-Id; \"bridgehead auth test NAME\" repeats the login.",
	},
	CauseRADIUSSuccessInReject: {
		"The RADIUS server refused the user, yet sent EAP-Success beside the refusal.",
		"The refusal counts; have the server's configuration make up its mind (RFC 3579 section 2.6.3).",
	},
	CauseRADIUSNoServer: {
		"No RADIUS server is configured for the realm of the user's name.",
		"Name the realm in a [radius.NAME], or leave realms out of one that takes everybody else; else tell the user the right name.",
	},
	CauseRADIUSNoKey: {
		"The RADIUS server accepted the user without the keys that IKEv2 needs (MS-MPPE-Recv-Key and MS-MPPE-Send-Key).",
		"Have the server send them (FreeRADIUS: use_mppe = yes) and use a method that makes keys: EAP-MSCHAPv2, PEAP, TTLS or TLS, never EAP-MD5 or EAP-GTC alone.",
	},
	CauseRADIUSNoSuccess: {
		"The RADIUS server accepted the user without EAP-Success in its answer.",
		"Have the server end the EAP conversation itself; an Access-Accept without EAP may also be forged (CVE-2024-3596).",
	},
	CauseRADIUSSuccessInChallenge: {
		"The RADIUS server ended the EAP conversation in an Access-Challenge, which only goes on.",
		"Update the server or what it proxies to; EAP-Success belongs into Access-Accept, EAP-Failure into Access-Reject (RFC 3579 section 2.6.3).",
	},
	CauseRADIUSNoEAP: {
		"The RADIUS server answered with a challenge that holds no EAP packet.",
		"Enable EAP at the server, or set auth.radius.method = \"mschapv2\" where it has none.",
	},
	CauseRADIUSBadAttribute: {
		"The RADIUS server accepted the user with an attribute that makes no sense, so what it was to limit would be unlimited.",
		"Correct the attribute of the evidence in the server's users or policy.",
	},
	CauseRADIUSNotAuthentic: {
		"All that came from the RADIUS server was discarded: its replies are not authentic.",
		"Compare the shared secrets of both sides and have the server add Message-Authenticator to every reply; if both are right, somebody forges replies.",
	},
}
