package radius

import (
	"time"

	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2868"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3162"
	"layeh.com/radius/rfc4372"
	"layeh.com/radius/rfc4818"
	"layeh.com/radius/rfc4849"
	"layeh.com/radius/rfc6911"

	"bridgehead/auth"
)

const vendorWISPr = 14122

// Why an attribute is ignored.
const (
	elsewhere  = "the login itself uses it; the session gets nothing by it"
	noField    = "the gateway has no such setting for a session yet"
	noSense    = "it has no sense in an IPsec tunnel"
	accounting = "only accounting would use it"
)

func pool(g *auth.Grant) *string                 { return &g.Pool }
func group(g *auth.Grant) *string                { return &g.Group }
func sessionTime(g *auth.Grant) *time.Duration   { return &g.SessionTimeout }
func sessionIdling(g *auth.Grant) *time.Duration { return &g.IdleTimeout }

// attributes is what becomes of each attribute of Access-Accept. Others than
// these are unknown, and ignored too.
var attributes = []Attribute{
	{Name: "User-Name", Type: rfc2865.UserName_Type, Ignored: elsewhere},
	{Name: "Service-Type", Type: rfc2865.ServiceType_Type, Ignored: noSense},
	{Name: "Framed-Protocol", Type: rfc2865.FramedProtocol_Type, Ignored: noSense},
	{Name: "Framed-IP-Address", Type: rfc2865.FramedIPAddress_Type, apply: framedIP},
	{Name: "Framed-IP-Netmask", Type: rfc2865.FramedIPNetmask_Type, Ignored: noSense},
	{Name: "Filter-Id", Type: rfc2865.FilterID_Type, apply: text(group)},
	{Name: "Framed-MTU", Type: rfc2865.FramedMTU_Type, Ignored: noField},
	{Name: "Framed-Compression", Type: rfc2865.FramedCompression_Type, Ignored: noSense},
	{Name: "Reply-Message", Type: rfc2865.ReplyMessage_Type, Ignored: "IKEv2 has no place for it; beside a refusal it is logged"},
	{Name: "Framed-Route", Type: rfc2865.FramedRoute_Type, apply: route},
	{Name: "State", Type: rfc2865.State_Type, Ignored: elsewhere},
	{Name: "Class", Type: rfc2865.Class_Type, apply: class},
	{Name: "Session-Timeout", Type: rfc2865.SessionTimeout_Type, apply: seconds(sessionTime)},
	{Name: "Idle-Timeout", Type: rfc2865.IdleTimeout_Type, apply: seconds(sessionIdling)},
	{Name: "Termination-Action", Type: rfc2865.TerminationAction_Type, Ignored: noField},
	{Name: "Proxy-State", Type: rfc2865.ProxyState_Type, Ignored: elsewhere},
	{Name: "Port-Limit", Type: rfc2865.PortLimit_Type, apply: portLimit},
	{Name: "Tunnel-Type", Type: rfc2868.TunnelType_Type, Ignored: noSense},
	{Name: "Tunnel-Medium-Type", Type: rfc2868.TunnelMediumType_Type, Ignored: noSense},
	{Name: "EAP-Message", Type: rfc2869.EAPMessage_Type, Ignored: elsewhere},
	{Name: "Message-Authenticator", Type: rfc2869.MessageAuthenticator_Type, Ignored: elsewhere},
	{Name: "Tunnel-Private-Group-Id", Type: rfc2868.TunnelPrivateGroupID_Type, Ignored: noField},
	{Name: "Acct-Interim-Interval", Type: rfc2869.AcctInterimInterval_Type, Ignored: accounting},
	{Name: "Framed-Pool", Type: rfc2869.FramedPool_Type, apply: text(pool)},
	{Name: "Chargeable-User-Identity", Type: rfc4372.ChargeableUserIdentity_Type, Ignored: accounting},
	{Name: "NAS-Filter-Rule", Type: rfc4849.NASFilterRule_Type, Ignored: noField},
	{Name: "Framed-Interface-Id", Type: rfc3162.FramedInterfaceID_Type, Ignored: noField},
	{Name: "Framed-IPv6-Prefix", Type: rfc3162.FramedIPv6Prefix_Type, apply: framedPrefix},
	{Name: "Framed-IPv6-Route", Type: rfc3162.FramedIPv6Route_Type, apply: route},
	{Name: "Framed-IPv6-Pool", Type: rfc3162.FramedIPv6Pool_Type, apply: text(pool)},
	{Name: "Delegated-IPv6-Prefix", Type: rfc4818.DelegatedIPv6Prefix_Type, Ignored: "a client gets addresses, not prefixes"},
	{Name: "Framed-IPv6-Address", Type: rfc6911.FramedIPv6Address_Type, apply: framed(16)},
	{Name: "DNS-Server-IPv6-Address", Type: rfc6911.DNSServerIPv6Address_Type, apply: dns(16)},

	{Name: "MS-MPPE-Encryption-Policy", Vendor: vendorMicrosoft, Type: 7, Ignored: noSense},
	{Name: "MS-MPPE-Encryption-Types", Vendor: vendorMicrosoft, Type: 8, Ignored: noSense},
	{Name: "MS-MPPE-Send-Key", Vendor: vendorMicrosoft, Type: msMPPESendKey, Ignored: elsewhere},
	{Name: "MS-MPPE-Recv-Key", Vendor: vendorMicrosoft, Type: msMPPERecvKey, Ignored: elsewhere},
	{Name: "MS-Primary-DNS-Server", Vendor: vendorMicrosoft, Type: 28, apply: dns(4)},
	{Name: "MS-Secondary-DNS-Server", Vendor: vendorMicrosoft, Type: 29, apply: dns(4)},
	{Name: "MS-Primary-NBNS-Server", Vendor: vendorMicrosoft, Type: 30, Ignored: "NetBIOS names are not served"},
	{Name: "MS-Secondary-NBNS-Server", Vendor: vendorMicrosoft, Type: 31, Ignored: "NetBIOS names are not served"},

	{Name: "WISPr-Bandwidth-Max-Up", Vendor: vendorWISPr, Type: 7, Ignored: noField},
	{Name: "WISPr-Bandwidth-Max-Down", Vendor: vendorWISPr, Type: 8, Ignored: noField},
}
