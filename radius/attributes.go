package radius

import (
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2868"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3162"
	"layeh.com/radius/rfc4372"
	"layeh.com/radius/rfc4818"
	"layeh.com/radius/rfc4849"
	"layeh.com/radius/rfc6911"
)

// Attribute is one attribute of Access-Accept and what becomes of it.
type Attribute struct {
	Name   string
	Vendor uint32 // zero: a standard attribute
	Type   codec.Type
	Source string // where it is defined
	// Effect is what it does for the session, Ignored why it does nothing; one
	// of them is empty.
	Effect, Ignored string

	apply func(*filling, []byte) error
}

// Attributes lists the attributes of Access-Accept that are known, in the
// order of their numbers.
func Attributes() []Attribute { return append([]Attribute(nil), attributes...) }

const (
	vendorMikrotik = 14988
	vendorWISPr    = 14122
)

// Why an attribute is ignored.
const (
	elsewhere = "the login itself uses it; the session gets nothing by it"
	noSense   = "it has no sense in an IPsec tunnel"
)

// minInterim is the least that a server may ask of accounting (RFC 2869
// §5.16).
const minInterim = time.Minute

// attributes is what becomes of each attribute of Access-Accept. Others than
// these are unknown, and ignored too.
var attributes = []Attribute{
	{Name: "User-Name", Type: rfc2865.UserName_Type, Source: "RFC 2865 §5.1",
		Effect: "the user's name in logs, limits and accounting", apply: elsewhereApplied},
	{Name: "Service-Type", Type: rfc2865.ServiceType_Type, Source: "RFC 2865 §5.6", Ignored: noSense},
	{Name: "Framed-Protocol", Type: rfc2865.FramedProtocol_Type, Source: "RFC 2865 §5.7", Ignored: noSense},
	{Name: "Framed-IP-Address", Type: rfc2865.FramedIPAddress_Type, Source: "RFC 2865 §5.8",
		Effect: "the client's IPv4 address, from a pool or not; 255.255.255.254 and .255 leave it to the gateway", apply: framedIP},
	{Name: "Framed-IP-Netmask", Type: rfc2865.FramedIPNetmask_Type, Source: "RFC 2865 §5.9",
		Ignored: "a client has one address, and what it reaches is told by routes"},
	{Name: "Filter-Id", Type: rfc2865.FilterID_Type, Source: "RFC 2865 §5.11",
		Effect: "the user's group, which the log and the updown script (BRIDGEHEAD_GROUP) are told; with \"bridgehead:\" in front a setting of its own, see below", apply: filterID},
	{Name: "Framed-MTU", Type: rfc2865.FramedMTU_Type, Source: "RFC 2865 §5.12",
		Ignored: "the MTU follows from the path, and TCP is fitted to it"},
	{Name: "Framed-Compression", Type: rfc2865.FramedCompression_Type, Source: "RFC 2865 §5.13", Ignored: noSense},
	{Name: "Reply-Message", Type: rfc2865.ReplyMessage_Type, Source: "RFC 2865 §5.18",
		Effect: "stands in the log: IKEv2 has no place for it", apply: remark("reply message")},
	{Name: "Framed-Route", Type: rfc2865.FramedRoute_Type, Source: "RFC 2865 §5.22",
		Effect: "a network that the client reaches, several of them all; gateway and metric are passed over", apply: route},
	{Name: "State", Type: rfc2865.State_Type, Source: "RFC 2865 §5.24", Ignored: elsewhere},
	{Name: "Class", Type: rfc2865.Class_Type, Source: "RFC 2865 §5.25", Effect: "goes back in accounting, each of them", apply: class},
	{Name: "Session-Timeout", Type: rfc2865.SessionTimeout_Type, Source: "RFC 2865 §5.27",
		Effect: "the session ends after that time", apply: sessionTimeout},
	{Name: "Idle-Timeout", Type: rfc2865.IdleTimeout_Type, Source: "RFC 2865 §5.28",
		Effect: "the session ends after that time without a packet", apply: idleTimeout},
	{Name: "Termination-Action", Type: rfc2865.TerminationAction_Type, Source: "RFC 2865 §5.29",
		Effect: "RADIUS-Request (1): the client is told when Session-Timeout ends it, to log in again before (RFC 4478)", apply: terminationAction},
	{Name: "Proxy-State", Type: rfc2865.ProxyState_Type, Source: "RFC 2865 §5.33", Ignored: elsewhere},
	{Name: "Port-Limit", Type: rfc2865.PortLimit_Type, Source: "RFC 2865 §5.42",
		Effect: "the most sessions that the user may have at once", apply: portLimit},
	{Name: "Tunnel-Type", Type: rfc2868.TunnelType_Type, Source: "RFC 2868 §3.1", Ignored: noSense},
	{Name: "Tunnel-Medium-Type", Type: rfc2868.TunnelMediumType_Type, Source: "RFC 2868 §3.2", Ignored: noSense},
	{Name: "EAP-Message", Type: rfc2869.EAPMessage_Type, Source: "RFC 3579 §3.1", Ignored: elsewhere},
	{Name: "Message-Authenticator", Type: rfc2869.MessageAuthenticator_Type, Source: "RFC 3579 §3.2", Ignored: elsewhere},
	{Name: "Tunnel-Private-Group-Id", Type: rfc2868.TunnelPrivateGroupID_Type, Source: "RFC 2868 §3.6",
		Effect: "the user's group, where no Filter-Id names one", apply: tunnelGroup},
	{Name: "Acct-Interim-Interval", Type: rfc2869.AcctInterimInterval_Type, Source: "RFC 2869 §5.16",
		Effect: "the time between interim reports of accounting, a minute at least", apply: interimInterval},
	{Name: "Framed-Pool", Type: rfc2869.FramedPool_Type, Source: "RFC 2869 §5.18",
		Effect: "the pool of the addresses", apply: poolName},
	{Name: "Chargeable-User-Identity", Type: rfc4372.ChargeableUserIdentity_Type, Source: "RFC 4372",
		Effect: "goes back in accounting", apply: chargeableUser},
	{Name: "NAS-Filter-Rule", Type: rfc4849.NASFilterRule_Type, Source: "RFC 4849",
		Effect: "the packet filter of the session, see below", apply: filterRule},
	{Name: "Framed-Interface-Id", Type: rfc3162.FramedInterfaceID_Type, Source: "RFC 3162 §2.2",
		Effect: "the lower half of the IPv6 address, with a Framed-IPv6-Prefix of 64 bits", apply: interfaceID},
	{Name: "Framed-IPv6-Prefix", Type: rfc3162.FramedIPv6Prefix_Type, Source: "RFC 3162 §2.3",
		Effect: "the client's IPv6 address: of 128 bits, or of 64 with a Framed-Interface-Id", apply: framedPrefix},
	{Name: "Framed-IPv6-Route", Type: rfc3162.FramedIPv6Route_Type, Source: "RFC 3162 §2.5", Effect: "as Framed-Route", apply: route},
	{Name: "Framed-IPv6-Pool", Type: rfc3162.FramedIPv6Pool_Type, Source: "RFC 3162 §2.6",
		Effect: "the pool of the IPv6 address", apply: pool6Name},
	{Name: "Delegated-IPv6-Prefix", Type: rfc4818.DelegatedIPv6Prefix_Type, Source: "RFC 4818",
		Ignored: "a client gets an address, not a prefix; it is logged", apply: notDelegated},
	{Name: "Framed-IPv6-Address", Type: rfc6911.FramedIPv6Address_Type, Source: "RFC 6911 §3.1",
		Effect: "the client's IPv6 address, from a pool or not", apply: framed(16)},
	{Name: "DNS-Server-IPv6-Address", Type: rfc6911.DNSServerIPv6Address_Type, Source: "RFC 6911 §3.2",
		Effect: "a name server", apply: dns(16)},
	{Name: "Route-IPv6-Information", Type: rfc6911.RouteIPv6Information_Type, Source: "RFC 6911 §3.3",
		Effect: "a network that the client reaches", apply: routeInformation},
	{Name: "Delegated-IPv6-Prefix-Pool", Type: rfc6911.DelegatedIPv6PrefixPool_Type, Source: "RFC 6911 §3.4",
		Ignored: "a client gets an address, not a prefix; it is logged", apply: remark("delegated pool, not used")},
	{Name: "Stateful-IPv6-Address-Pool", Type: rfc6911.StatefulIPv6AddressPool_Type, Source: "RFC 6911 §3.5",
		Effect: "the pool of the IPv6 address", apply: pool6Name},

	{Name: "MS-MPPE-Encryption-Policy", Vendor: vendorMicrosoft, Type: 7, Source: "RFC 2548 §2.4.4", Ignored: noSense},
	{Name: "MS-MPPE-Encryption-Types", Vendor: vendorMicrosoft, Type: 8, Source: "RFC 2548 §2.4.5", Ignored: noSense},
	{Name: "MS-MPPE-Send-Key", Vendor: vendorMicrosoft, Type: msMPPESendKey, Source: "RFC 2548 §2.4.2", Ignored: elsewhere},
	{Name: "MS-MPPE-Recv-Key", Vendor: vendorMicrosoft, Type: msMPPERecvKey, Source: "RFC 2548 §2.4.3", Ignored: elsewhere},
	{Name: "MS-CHAP2-Success", Vendor: vendorMicrosoft, Type: msCHAP2Success, Source: "RFC 2548 §2.3.3", Ignored: elsewhere},
	{Name: "MS-Primary-DNS-Server", Vendor: vendorMicrosoft, Type: 28, Source: "RFC 2548 §2.7.1", Effect: "a name server", apply: dns(4)},
	{Name: "MS-Secondary-DNS-Server", Vendor: vendorMicrosoft, Type: 29, Source: "RFC 2548 §2.7.2", Effect: "a name server", apply: dns(4)},
	{Name: "MS-Primary-NBNS-Server", Vendor: vendorMicrosoft, Type: 30, Source: "RFC 2548 §2.7.3", Ignored: "NetBIOS names are not served"},
	{Name: "MS-Secondary-NBNS-Server", Vendor: vendorMicrosoft, Type: 31, Source: "RFC 2548 §2.7.4", Ignored: "NetBIOS names are not served"},

	{Name: "WISPr-Bandwidth-Max-Up", Vendor: vendorWISPr, Type: 7, Source: "Wi-Fi Alliance, WISPr 1.0",
		Effect: "bits a second from the client; 0: no limit", apply: wisprRate(rateUp)},
	{Name: "WISPr-Bandwidth-Max-Down", Vendor: vendorWISPr, Type: 8, Source: "Wi-Fi Alliance, WISPr 1.0",
		Effect: "bits a second to the client; 0: no limit", apply: wisprRate(rateDown)},
	{Name: "Mikrotik-Rate-Limit", Vendor: vendorMikrotik, Type: 8, Source: "MikroTik",
		Effect: "its first word, such as 10M/50M: rates from and to the client; bursts and priority are passed over", apply: mikrotikRate},
}
