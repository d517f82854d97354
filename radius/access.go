package radius

import (
	"net/netip"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3162"

	"bridgehead/auth"
)

// defaultFramedMTU keeps what a server puts into one EAP packet within one
// unfragmented IKE message over any IPv6 path (1280 octets).
const defaultFramedMTU = 1100

// about is what every Access-Request of a login says of the client and the
// gateway (RFC 2865 §4.1, RFC 3579 §3.3).
func (b *Backend) about(peer auth.Peer) codec.Attributes {
	var a codec.Attributes
	text := func(t codec.Type, s string) {
		if s != "" {
			a.Add(t, codec.Attribute(s[:min(len(s), maxValue)]))
		}
	}
	text(rfc2865.NASIdentifier_Type, b.config.NASIdentifier)
	if local := peer.Local.Addr().Unmap(); local.Is4() {
		a.Add(rfc2865.NASIPAddress_Type, local.AsSlice())
	} else if local.Is6() {
		a.Add(rfc3162.NASIPv6Address_Type, local.AsSlice())
	}
	a.Add(rfc2865.NASPortType_Type, codec.NewInteger(uint32(rfc2865.NASPortType_Value_Virtual)))
	a.Add(rfc2865.ServiceType_Type, codec.NewInteger(uint32(rfc2865.ServiceType_Value_FramedUser)))
	a.Add(rfc2865.FramedMTU_Type, codec.NewInteger(uint32(b.config.FramedMTU)))
	text(rfc2865.CalledStationID_Type, b.station(peer.Local))
	text(rfc2865.CallingStationID_Type, b.station(peer.Remote))
	text(rfc2866.AcctSessionID_Type, peer.Session)
	info := "IKEv2"
	if peer.Client != "" {
		info += " " + peer.Client
	}
	text(rfc2869.ConnectInfo_Type, info)
	return a
}

// station is an address as Called- and Calling-Station-Id have it.
func (b *Backend) station(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	if b.config.StationPort {
		return a.String()
	}
	return a.Addr().String()
}

// accessRequest is what one step asks: who, the EAP packet, and the State of
// the last Challenge (RFC 2865 §5.24).
func (c *conversation) accessRequest(packet []byte) codec.Attributes {
	var a codec.Attributes
	if c.identity != "" {
		a.Add(rfc2865.UserName_Type, codec.Attribute(c.identity))
	}
	a = append(append(a, c.about...), c.state...)
	return split(a, rfc2869.EAPMessage_Type, packet)
}

// all gives the attributes of one type, as they are.
func all(attrs codec.Attributes, t codec.Type) codec.Attributes {
	var list codec.Attributes
	for _, a := range attrs {
		if a.Type == t {
			list = append(list, a)
		}
	}
	return list
}
