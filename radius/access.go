package radius

import (
	"context"
	"net/netip"
	"strings"

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

// access is the gateway as it asks for access: of whom, and as what.
type access struct {
	group       *Group
	realms      map[string]*Group
	identifier  string
	stationPort bool
}

// groupOf chooses the servers for a user; nil: there are none.
func (a *access) groupOf(name string) *Group {
	if g, ok := a.realms[strings.ToLower(auth.SplitName(name).Realm)]; ok {
		return g
	}
	return a.group
}

// about is what every Access-Request of a login says of the client and the
// gateway (RFC 2865 §4.1).
func (a *access) about(peer auth.Peer) codec.Attributes {
	var attrs codec.Attributes
	text := func(t codec.Type, s string) {
		if s != "" {
			attrs.Add(t, codec.Attribute(s[:min(len(s), maxValue)]))
		}
	}
	text(rfc2865.NASIdentifier_Type, a.identifier)
	if local := peer.Local.Addr().Unmap(); local.Is4() {
		attrs.Add(rfc2865.NASIPAddress_Type, local.AsSlice())
	} else if local.Is6() {
		attrs.Add(rfc3162.NASIPv6Address_Type, local.AsSlice())
	}
	attrs.Add(rfc2865.NASPort_Type, codec.NewInteger(auth.Port(peer.Session)))
	text(rfc2869.NASPortID_Type, auth.PortID(peer.Session))
	attrs.Add(rfc2865.NASPortType_Type, codec.NewInteger(uint32(rfc2865.NASPortType_Value_Virtual)))
	attrs.Add(rfc2865.ServiceType_Type, codec.NewInteger(uint32(rfc2865.ServiceType_Value_FramedUser)))
	text(rfc2865.CalledStationID_Type, Station(peer.Local, a.stationPort))
	text(rfc2865.CallingStationID_Type, Station(peer.Remote, a.stationPort))
	text(rfc2866.AcctSessionID_Type, peer.Session)
	info := "IKEv2"
	for _, word := range []string{peer.Client, peer.Session} { // as accounting has it
		if word != "" {
			info += " " + word
		}
	}
	text(rfc2869.ConnectInfo_Type, info)
	return attrs
}

// Station is an address as Called- and Calling-Station-Id have it, with or
// without the port.
func Station(at netip.AddrPort, port bool) string {
	if !at.IsValid() {
		return ""
	}
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	if port {
		return at.String()
	}
	return at.Addr().String()
}

// flaw is what makes an Access-Accept one that lets nobody in.
type flaw struct {
	cause    auth.Cause
	evidence auth.Evidence
}

// grantOf is what an Access-Accept gives the user, who has the server's name
// for him where it tells one.
func grantOf(r *Reply, name string) (auth.Grant, *flaw) {
	grant := auth.Grant{Name: name}
	var err error
	if grant.MSK, err = msk(r); err != nil {
		return auth.Grant{}, &flaw{CauseNoKey, auth.Evidence{Key: "problem", Value: err.Error()}}
	}
	if given, ok := nameOf(r); ok {
		grant.Name = given
	}
	if err := fill(&grant, r.Attributes); err != nil {
		grant.MSK.Wipe()
		return auth.Grant{}, &flaw{CauseBadAttribute, auth.Evidence{Key: "attribute", Value: clip(err.Error())}}
	}
	return grant, nil
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

// askOnce asks one server of the group alone, as is right for what must not be
// done twice.
func (g *Group) askOnce(ctx context.Context, attrs codec.Attributes) (*Server, *Reply, error) {
	s := g.pick(nil)
	reply, err := s.exchange(ctx, attrs, false)
	return s, reply, err
}
