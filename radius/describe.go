package radius

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2867"
	"layeh.com/radius/rfc2868"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3162"
	"layeh.com/radius/rfc3576"
	"layeh.com/radius/rfc4372"
	"layeh.com/radius/rfc4675"
	"layeh.com/radius/rfc4818"
	"layeh.com/radius/rfc4849"
	"layeh.com/radius/rfc5580"
	"layeh.com/radius/rfc6911"

	"bridgehead/auth/eap"
)

// form is how a value is written. The zero form tells no more than its length:
// whatever is not known to be harmless may be a secret.
type form uint8

const (
	asLength  form = iota
	asText         // text
	asNumber       // 32 bits
	asAddress      // IPv4 or IPv6
	asPrefix       // RFC 3162 §2.3
	asOctets       // in hex
	asEAP          // of EAP: what it is, not what it holds
)

// known is an attribute that has a name here.
type known struct {
	name string
	form form
}

// names are the attributes that a login, its accounting and its end may hold.
var names = map[codec.Type]known{
	rfc2865.UserName_Type:                {"User-Name", asText},
	rfc2865.UserPassword_Type:            {"User-Password", asLength},
	rfc2865.CHAPPassword_Type:            {"CHAP-Password", asLength},
	rfc2865.NASIPAddress_Type:            {"NAS-IP-Address", asAddress},
	rfc2865.NASPort_Type:                 {"NAS-Port", asNumber},
	rfc2865.ServiceType_Type:             {"Service-Type", asNumber},
	rfc2865.FramedProtocol_Type:          {"Framed-Protocol", asNumber},
	rfc2865.FramedIPAddress_Type:         {"Framed-IP-Address", asAddress},
	rfc2865.FramedIPNetmask_Type:         {"Framed-IP-Netmask", asAddress},
	rfc2865.FramedRouting_Type:           {"Framed-Routing", asNumber},
	rfc2865.FilterID_Type:                {"Filter-Id", asText},
	rfc2865.FramedMTU_Type:               {"Framed-MTU", asNumber},
	rfc2865.FramedCompression_Type:       {"Framed-Compression", asNumber},
	rfc2865.ReplyMessage_Type:            {"Reply-Message", asText},
	rfc2865.FramedRoute_Type:             {"Framed-Route", asText},
	rfc2865.State_Type:                   {"State", asLength},
	rfc2865.Class_Type:                   {"Class", asOctets},
	rfc2865.SessionTimeout_Type:          {"Session-Timeout", asNumber},
	rfc2865.IdleTimeout_Type:             {"Idle-Timeout", asNumber},
	rfc2865.TerminationAction_Type:       {"Termination-Action", asNumber},
	rfc2865.CalledStationID_Type:         {"Called-Station-Id", asText},
	rfc2865.CallingStationID_Type:        {"Calling-Station-Id", asText},
	rfc2865.NASIdentifier_Type:           {"NAS-Identifier", asText},
	rfc2865.ProxyState_Type:              {"Proxy-State", asLength},
	rfc2865.CHAPChallenge_Type:           {"CHAP-Challenge", asLength},
	rfc2865.NASPortType_Type:             {"NAS-Port-Type", asNumber},
	rfc2865.PortLimit_Type:               {"Port-Limit", asNumber},
	rfc2866.AcctStatusType_Type:          {"Acct-Status-Type", asNumber},
	rfc2866.AcctDelayTime_Type:           {"Acct-Delay-Time", asNumber},
	rfc2866.AcctInputOctets_Type:         {"Acct-Input-Octets", asNumber},
	rfc2866.AcctOutputOctets_Type:        {"Acct-Output-Octets", asNumber},
	rfc2866.AcctSessionID_Type:           {"Acct-Session-Id", asText},
	rfc2866.AcctAuthentic_Type:           {"Acct-Authentic", asNumber},
	rfc2866.AcctSessionTime_Type:         {"Acct-Session-Time", asNumber},
	rfc2866.AcctInputPackets_Type:        {"Acct-Input-Packets", asNumber},
	rfc2866.AcctOutputPackets_Type:       {"Acct-Output-Packets", asNumber},
	rfc2866.AcctTerminateCause_Type:      {"Acct-Terminate-Cause", asNumber},
	rfc2866.AcctMultiSessionID_Type:      {"Acct-Multi-Session-Id", asText},
	rfc2867.AcctTunnelConnection_Type:    {"Acct-Tunnel-Connection", asText},
	rfc2868.TunnelType_Type:              {"Tunnel-Type", asNumber},
	rfc2868.TunnelMediumType_Type:        {"Tunnel-Medium-Type", asNumber},
	rfc2868.TunnelPassword_Type:          {"Tunnel-Password", asLength},
	rfc2868.TunnelPrivateGroupID_Type:    {"Tunnel-Private-Group-Id", asText},
	rfc2869.AcctInputGigawords_Type:      {"Acct-Input-Gigawords", asNumber},
	rfc2869.AcctOutputGigawords_Type:     {"Acct-Output-Gigawords", asNumber},
	rfc2869.EventTimestamp_Type:          {"Event-Timestamp", asNumber},
	rfc2869.ConnectInfo_Type:             {"Connect-Info", asText},
	rfc2869.EAPMessage_Type:              {"EAP-Message", asEAP},
	rfc2869.MessageAuthenticator_Type:    {"Message-Authenticator", asLength},
	rfc2869.AcctInterimInterval_Type:     {"Acct-Interim-Interval", asNumber},
	rfc2869.NASPortID_Type:               {"NAS-Port-Id", asText},
	rfc2869.FramedPool_Type:              {"Framed-Pool", asText},
	rfc4372.ChargeableUserIdentity_Type:  {"Chargeable-User-Identity", asOctets},
	rfc4849.NASFilterRule_Type:           {"NAS-Filter-Rule", asText},
	rfc3162.NASIPv6Address_Type:          {"NAS-IPv6-Address", asAddress},
	rfc3162.FramedInterfaceID_Type:       {"Framed-Interface-Id", asOctets},
	rfc3162.FramedIPv6Prefix_Type:        {"Framed-IPv6-Prefix", asPrefix},
	rfc3162.FramedIPv6Route_Type:         {"Framed-IPv6-Route", asText},
	rfc3162.FramedIPv6Pool_Type:          {"Framed-IPv6-Pool", asText},
	rfc3576.ErrorCause_Type:              {"Error-Cause", asNumber},
	rfc4675.UserPriorityTable_Type:       {"User-Priority-Table", asOctets},
	rfc4818.DelegatedIPv6Prefix_Type:     {"Delegated-IPv6-Prefix", asPrefix},
	rfc5580.OperatorName_Type:            {"Operator-Name", asText},
	rfc6911.FramedIPv6Address_Type:       {"Framed-IPv6-Address", asAddress},
	rfc6911.DNSServerIPv6Address_Type:    {"DNS-Server-IPv6-Address", asAddress},
	rfc6911.RouteIPv6Information_Type:    {"Route-IPv6-Information", asPrefix},
	rfc6911.DelegatedIPv6PrefixPool_Type: {"Delegated-IPv6-Prefix-Pool", asText},
	rfc6911.StatefulIPv6AddressPool_Type: {"Stateful-IPv6-Address-Pool", asText},
}

// vendorNames are those of vendors.
var vendorNames = map[attributeKey]known{
	{vendorMicrosoft, msCHAPError}:     {"MS-CHAP-Error", asLength},
	{vendorMicrosoft, msCHAPNTEncPW}:   {"MS-CHAP-NT-Enc-PW", asLength},
	{vendorMicrosoft, 7}:               {"MS-MPPE-Encryption-Policy", asNumber},
	{vendorMicrosoft, 8}:               {"MS-MPPE-Encryption-Types", asNumber},
	{vendorMicrosoft, 10}:              {"MS-CHAP-Domain", asLength},
	{vendorMicrosoft, msCHAPChallenge}: {"MS-CHAP-Challenge", asLength},
	{vendorMicrosoft, msMPPESendKey}:   {"MS-MPPE-Send-Key", asLength},
	{vendorMicrosoft, msMPPERecvKey}:   {"MS-MPPE-Recv-Key", asLength},
	{vendorMicrosoft, msCHAP2Response}: {"MS-CHAP2-Response", asLength},
	{vendorMicrosoft, msCHAP2Success}:  {"MS-CHAP2-Success", asLength},
	{vendorMicrosoft, msCHAP2CPW}:      {"MS-CHAP2-CPW", asLength},
	{vendorMicrosoft, 28}:              {"MS-Primary-DNS-Server", asAddress},
	{vendorMicrosoft, 29}:              {"MS-Secondary-DNS-Server", asAddress},
	{vendorMicrosoft, 30}:              {"MS-Primary-NBNS-Server", asAddress},
	{vendorMicrosoft, 31}:              {"MS-Secondary-NBNS-Server", asAddress},
	{vendorWISPr, 7}:                   {"WISPr-Bandwidth-Max-Up", asNumber},
	{vendorWISPr, 8}:                   {"WISPr-Bandwidth-Max-Down", asNumber},
	{vendorMikrotik, 8}:                {"Mikrotik-Rate-Limit", asText},
}

// describe puts attributes into words, the parts of an EAP packet together.
func describe(attrs codec.Attributes) []NamedValue {
	var list []NamedValue
	seen := false // the EAP packet
	for _, a := range attrs {
		switch a.Type {
		case rfc2865.VendorSpecific_Type:
			list = append(list, describeVendor(a.Attribute)...)
			continue
		case rfc2869.EAPMessage_Type:
			if !seen {
				whole, _ := join(attrs, a.Type)
				list = append(list, NamedValue{"EAP-Message", eapWords(whole)})
			}
			seen = true
			continue
		}
		k, ok := names[a.Type]
		if !ok {
			k.name = "Attribute-" + strconv.Itoa(int(a.Type))
		}
		list = append(list, NamedValue{k.name, k.write(a.Type, a.Attribute)})
	}
	return list
}

// describeVendor is describe for a Vendor-Specific.
func describeVendor(b codec.Attribute) []NamedValue {
	parts, err := vendorAttributes(b)
	if err != nil {
		return []NamedValue{{"Vendor-Specific", length(b)}}
	}
	var list []NamedValue
	for _, v := range parts {
		k, ok := vendorNames[attributeKey{v.vendor, codec.Type(v.kind)}]
		if !ok {
			k.name = fmt.Sprintf("Vendor-%d-Attribute-%d", v.vendor, v.kind)
		}
		list = append(list, NamedValue{k.name, k.write(0, v.value)})
	}
	return list
}

func length(b []byte) string { return fmt.Sprintf("[%d octets]", len(b)) }

// write puts a value into words; t is zero for a vendor's.
func (k known) write(t codec.Type, b []byte) string {
	switch {
	case k.form == asText:
		return strconv.Quote(printable(string(b)))
	case k.form == asNumber && len(b) == 4:
		n := binary.BigEndian.Uint32(b)
		if word := enumerated(t, n); word != "" {
			return word
		}
		return strconv.FormatUint(uint64(n), 10)
	case k.form == asAddress:
		if a, ok := netip.AddrFromSlice(b); ok {
			return a.String()
		}
	case k.form == asPrefix && len(b) >= 2 && len(b) <= 18:
		var full [16]byte
		copy(full[:], b[2:])
		return netip.PrefixFrom(netip.AddrFrom16(full), int(b[1])).String()
	case k.form == asOctets:
		if text := string(b); text == printable(text) {
			return strconv.Quote(text)
		}
		return "0x" + hex.EncodeToString(b)
	}
	return length(b)
}

// enumerated is the name of a number, where it has one here.
func enumerated(t codec.Type, n uint32) string {
	var name fmt.Stringer
	switch t {
	case rfc2865.ServiceType_Type:
		name = rfc2865.ServiceType(n)
	case rfc2865.FramedProtocol_Type:
		name = rfc2865.FramedProtocol(n)
	case rfc2865.NASPortType_Type:
		name = rfc2865.NASPortType(n)
	case rfc2865.TerminationAction_Type:
		name = rfc2865.TerminationAction(n)
	case rfc2866.AcctStatusType_Type:
		name = rfc2866.AcctStatusType(n)
	case rfc2866.AcctAuthentic_Type:
		name = rfc2866.AcctAuthentic(n)
	case rfc2866.AcctTerminateCause_Type:
		name = rfc2866.AcctTerminateCause(n)
	default:
		return ""
	}
	if s := name.String(); !strings.Contains(s, "(") { // the codec's word for what it doesn't know
		return s
	}
	return ""
}

// eapWords is what an EAP packet is, not what it holds.
func eapWords(b []byte) string {
	if len(b) == 0 {
		return "EAP-Start"
	}
	p, err := eap.Parse(b)
	if err != nil {
		return length(b) + ", not readable as EAP"
	}
	text := "EAP-" + p.Code.String()
	if p.Code == eap.CodeRequest || p.Code == eap.CodeResponse {
		text += " " + p.Type.String()
	}
	return fmt.Sprintf("%s, identifier %d, %d octets", text, p.Identifier, len(b))
}
