package strongswan

import "strings"

// rule judges one directive.
type rule func(t *translator, e *entry)

// why is the rule of what isn't needed.
func why(reason string) rule {
	return func(_ *translator, e *entry) { e.unneeded("%s", reason) }
}

// todo is the rule of what has no counterpart.
func todo(advice string) rule {
	return func(_ *translator, e *entry) { e.unsupported("%s", advice) }
}

// kept is the rule of what bridgehead always does.
func kept(as string) rule {
	return func(_ *translator, e *entry) { e.taken("%s", as) }
}

// refuse is the rule of what keeps people out or apart: to leave it out in
// silence would let them in.
func refuse(what string) rule {
	return func(t *translator, e *entry) {
		t.add(e.Place, "%s %s, and bridgehead can't; take the line out to do without it", e.Name, what)
	}
}

// when chooses by the value; several values stand with | between them.
func when(values string, then, otherwise rule) rule {
	return func(t *translator, e *entry) {
		if isOneOf(values, e.value) {
			then(t, e)
			return
		}
		otherwise(t, e)
	}
}

// isOneOf tells whether a value is one of several, which stand with | between
// them.
func isOneOf(values, value string) bool {
	for v := range strings.SplitSeq(values, "|") {
		if strings.EqualFold(value, v) {
			return true
		}
	}
	return false
}

// Values of the input.
const (
	yes     = "yes|true|1|enabled"
	no      = "no|false|0|disabled"
	anybody = "%any|%any4|%any6|0.0.0.0|::|*|0.0.0.0/0|::/0|%any,%any6|0.0.0.0/0,::/0|::/0,0.0.0.0/0"
)

// Reasons that stand more than once.
const (
	clientsHaveNoCertificate = "clients log in with a password, they show no certificate"
	gatewayStartsNothing     = "the gateway waits for clients, it calls nobody"
	onlyIKEv1                = "has a meaning in IKEv1 alone"
	strongSwanIgnores        = "strongSwan 5 passes over it"
	ownProgram               = "has to do with the inside of strongSwan"
	mediation                = "the mediation extension isn't supported; take it out"
)

// setupRules judge config setup.
var setupRules = map[string]rule{
	"charondebug":     charonDebug,
	"uniqueids":       uniqueIDs,
	"cachecrls":       why(clientsHaveNoCertificate),
	"strictcrlpolicy": why(clientsHaveNoCertificate),
	"charonstart":     why(strongSwanIgnores), "plutostart": why(strongSwanIgnores), "plutodebug": why(strongSwanIgnores),
	"klipsdebug": why(strongSwanIgnores), "nat_traversal": why("NAT is always seen and passed"), "virtual_private": why(strongSwanIgnores),
	"interfaces": why(strongSwanIgnores), "nocrsend": why(strongSwanIgnores), "keep_alive": why(strongSwanIgnores),
	"force_keepalive": why(strongSwanIgnores), "overridemtu": why(strongSwanIgnores), "crlcheckinterval": why(strongSwanIgnores),
	"dumpdir": why(strongSwanIgnores), "prepluto": why(strongSwanIgnores), "postpluto": why(strongSwanIgnores),
	"plutostderrlog": why(strongSwanIgnores), "fragicmp": why(strongSwanIgnores), "packetdefault": why(strongSwanIgnores), "hidetos": why(strongSwanIgnores),
	"pkcs11module": why(strongSwanIgnores), "pkcs11initargs": why(strongSwanIgnores), "pkcs11keepstate": why(strongSwanIgnores), "pkcs11proxy": why(strongSwanIgnores),
	"protostack": why("is libreswan's; the data plane is chosen by dataplane.kind"),
}

// authorityRules judge ca sections, and authorities in swanctl.conf.
var authorityRules = map[string]rule{
	"cacert": authorityFile, "file": authorityFile,
	"auto":   why("an authority's certificate is sent where it belongs to the chain"),
	"crluri": why(clientsHaveNoCertificate), "crluri1": why(clientsHaveNoCertificate), "crluri2": why(clientsHaveNoCertificate),
	"ocspuri": why(clientsHaveNoCertificate), "ocspuri1": why(clientsHaveNoCertificate), "ocspuri2": why(clientsHaveNoCertificate),
	"crl_uris": why(clientsHaveNoCertificate), "ocsp_uris": why(clientsHaveNoCertificate),
	"certuribase": todo("certificates are sent whole, never by hash and URL"), "cert_uri_base": todo("certificates are sent whole, never by hash and URL"),
	"ldaphost": why(strongSwanIgnores), "ldapbase": why(strongSwanIgnores),
	"handle": smartcard, "slot": smartcard, "module": smartcard,
}

// connectionRules judge conn sections by the names of ipsec.conf; swanctl.conf
// comes to them by swanctlNames.
var connectionRules = map[string]rule{
	// who and how
	"keyexchange": when("ikev2|2", kept("IKEv2, the only version"), kept("IKEv2 alone; clients that speak only IKEv1 are refused")),
	"auto":        when("add|none", kept("the gateway waits for clients"), kept("the gateway waits for clients; it starts no connection itself")),
	"authby":      kept("the gateway proves itself by its certificate"),
	"leftauth":    kept("the gateway proves itself by its certificate"),
	"rightauth":   rightAuth,
	"leftauth2":   refuse("asks for a second authentication"), "rightauth2": refuse("asks for a second authentication"),
	"eap_identity": when("%any|%identity", kept("any user of the users file; the client is asked for its EAP identity"), refuse("lets one identity in alone")),
	"aaa_identity": why("the users file has no identity of its own"),
	"rightid":      when(anybody, kept("any identity; the name that was authenticated counts"), refuse("lets certain identities in alone")),
	"rightid2":     why("there is no second authentication"), "leftid2": why("there is no second authentication"),
	"rightgroups": refuse("lets certain groups in alone"), "rightgroups2": refuse("lets certain groups in alone"),
	"leftgroups": why("is about the gateway's own certificate"), "leftgroups2": why("is about the gateway's own certificate"),
	"rightca": why(clientsHaveNoCertificate), "rightca2": why(clientsHaveNoCertificate), "rightcert": why(clientsHaveNoCertificate),
	"rightcert2": why(clientsHaveNoCertificate), "rightcertpolicy": why(clientsHaveNoCertificate), "rightsigkey": why(clientsHaveNoCertificate),
	"rightrsasigkey": why(clientsHaveNoCertificate),
	"rightsendcert":  kept("no certificate is asked for"),
	"leftsendcert":   when("never", todo("the certificate is always sent: the known clients need it"), kept("the certificate is always sent, with its chain")),
	"leftid":         leftID, "leftcert": leftCert, "leftcert2": why("there is no second authentication"),
	"leftca": why("the certificate is named, and its chain found"), "leftca2": why("there is no second authentication"), "leftcertpolicy": why("is about the client's view of the certificate"),
	"leftsigkey": why("the key of the certificate is used"), "leftrsasigkey": why("the key of the certificate is used"),

	// addresses
	"left":        left,
	"right":       when(anybody, kept("clients from any address"), refuse("lets certain addresses in alone (a firewall's rule for UDP 500 and 4500 does the same)")),
	"leftikeport": localPort, "rightikeport": why("clients may come from any port"),
	"leftallowany": why("is about the other end"), "rightallowany": kept("clients from any address"),
	"leftsubnet":    leftSubnet,
	"rightsubnet":   when("%dynamic|dynamic", kept("a client sends from the addresses it was given"), todo("a client sends from the addresses it was given; networks behind a client aren't supported")),
	"rightsourceip": pools, "leftsourceip": todo("is for clients; take it out"),
	"rightdns": nameServers, "leftdns": todo("is for clients; take it out"),
	"leftprotoport": refuse("limits what clients may reach"), "rightprotoport": refuse("limits what clients may send"),
	"leftnexthop": why(strongSwanIgnores), "rightnexthop": why(strongSwanIgnores), "leftnatip": why(strongSwanIgnores), "rightnatip": why(strongSwanIgnores),
	"leftfirewall": when(no, why("it is off"), todo("no rules are added for single clients; let your firewall forward the pools, see dataplane.forward and nat.masquerade")), "rightfirewall": why("is about the other end"),
	"lefthostaccess": why("clients reach the gateway's own addresses by its firewall's rules"), "righthostaccess": why("is about the other end"),
	"leftupdown": leftUpDown, "rightupdown": why("is about the other end"),
	"split_exclude": todo("there are no excluded prefixes; name what clients may reach in addresses.subnets"),
	"attribute":     todo("this attribute isn't given to clients; take it out"),

	// protection and life
	"ike": ikeProposals, "esp": espProposals,
	"ah":        todo("AH doesn't encrypt and isn't supported; clients use ESP"),
	"dpdaction": dpdAction, "dpddelay": dpdDelay, "dpdtimeout": why(onlyIKEv1),
	"rekey":    when(no, kept("the gateway starts no rekeying, and answers the clients'"), rekeyYes),
	"lifetime": lifetime("esp.rekey_time"), "keylife": lifetime("esp.rekey_time"), "ikelifetime": lifetime("ike.rekey_time"),
	"margintime": margin, "rekeymargin": margin, "rekeyfuzz": why(ownJitter), "expiry": why(neverExpires),
	"lifebytes":   rekeyAmount("esp.rekey_bytes", "marginbytes", leastRekeyBytes),
	"lifepackets": rekeyAmount("esp.rekey_packets", "marginpackets", leastRekeyPackets),
	"marginbytes": kept("taken off lifebytes"), "marginpackets": kept("taken off lifepackets"),
	"reauth":     when(no, kept("sessions are never made to log in again"), todo("sessions aren't made to log in again; sessions.timeout ends them at an age, whereupon their clients may")),
	"inactivity": asLater("inactivity"), "closeaction": why(gatewayStartsNothing), "keyingtries": why(gatewayStartsNothing),
	"fragmentation": when(no, todo("large messages go in fragments wherever the client can take them (RFC 7383)"), kept("large messages go in fragments (RFC 7383), see ike.fragment_size")),
	"forceencaps":   asLater("forceencaps"),
	"mobike":        asLater("mobike"),
	"compress":      when(no, why("it is off"), todo("IPComp isn't supported; clients do without it")),
	"type":          when("tunnel", kept("a tunnel, the only mode"), refuse("asks for another mode than tunnel")),
	"sha256_96":     when(no, why("it is off"), todo("SHA-256 is cut to 128 bits as RFC 4868 says; clients that cut it to 96 lose all packets: have them use aes256gcm16")),
	"replay_window": why("the window has 1,024 packets"), "tfc": when("0", why("it is off"), todo("packets aren't padded")),
	"installpolicy": when(yes, kept("traffic is let through as negotiated"), todo("traffic is always let through as negotiated")),
	"ikedscp":       when("000000", why("it is the default"), todo("IKE packets aren't marked; let your firewall do it")), "reqid": why("numbers of its own are used"),
	"mark": asLater("mark"), "mark_in": asLater("mark"), "mark_out": asLater("mark"), "set_mark_in": todo("packets from clients get no mark; let a firewall rule set it by their addresses"),
	"set_mark_out": outputMark,
	"hw_offload":   when(no, why("it is off"), todo("there is no offload to the network card")),
	"aggressive":   why(onlyIKEv1), "modeconfig": why(onlyIKEv1), "xauth": why(onlyIKEv1), "xauth_identity": why(onlyIKEv1), "xauthby": why(onlyIKEv1),
	"auth": why(strongSwanIgnores), "pfs": why(strongSwanIgnores), "pfsgroup": why(strongSwanIgnores), "eap": why(strongSwanIgnores),
	"mediation": when(no, why("it is off"), todo(mediation)), "mediated_by": todo(mediation), "me_peerid": todo(mediation),

	// what swanctl.conf has beyond
	"send_certreq": kept("no certificate is asked for"),
	"unique":       uniqueIDs,
	"childless":    when("force", todo("clients may make their Child SA with the login, or later"), asLater("childless")),
	"vips":         todo("is for clients; take it out"),
	"ppk":          todo("post-quantum preshared keys aren't supported; take it out"),
	"round":        why("there is one round"),
	"smartcard":    smartcard,
	"pools":        namedPools,
	"rekey_time":   rekeyTime("ike.rekey_time"), "child_rekey_time": rekeyTime("esp.rekey_time"), "life_time": why(neverExpires),
	"reauth_time": when("0|0s", kept("sessions are never made to log in again"), todo("sessions aren't made to log in again; sessions.timeout ends them at an age, whereupon their clients may")),
	"eap_local":   todo("is for clients; take it out"),
	"if_id":       when("0", why("it is none"), asLater("if_id")),
	"inside":      why(ownProgram),
	"revocation":  why(clientsHaveNoCertificate),
	"pubkeys":     todo("raw public keys aren't supported; the certificate is used"),
	"other child": todo("there is one kind of Child SA, that of the first child section"),
	"label":       todo("security labels aren't supported; take it out"),
	"copy":        when("yes|no|out|in", why("is the data plane's to decide"), todo("expected yes, no, in or out")),
}
