package accounting

import (
	"net/netip"
	"strings"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3162"
	"layeh.com/radius/rfc4372"
	"layeh.com/radius/rfc6911"

	"bridgehead/auth"
)

// NAS is the gateway as it names itself to the servers.
type NAS struct {
	Identifier string
	// Address is that of Accounting-On and -Off, as a server knows the gateway
	// by the sessions' own; zero: none is told.
	Address netip.Addr
	// Station writes the ends of a session for Called- and Calling-Station-Id.
	Station func(netip.AddrPort) string
	// Authentic is who decides about users: rfc2866.AcctAuthentic_Value_RADIUS
	// or _Local.
	Authentic rfc2866.AcctAuthentic
}

const (
	maxValue  = 253  // octets of an attribute's value
	maxOctets = 4076 // of all attributes of a packet
)

// list collects attributes.
type list struct{ codec.Attributes }

// text leaves out what is empty and cuts what is too long.
func (l *list) text(t codec.Type, s string) {
	if s != "" {
		l.Add(t, codec.Attribute(s[:min(len(s), maxValue)]))
	}
}

func (l *list) number(t codec.Type, n uint32) { l.Add(t, codec.NewInteger(n)) }

// address chooses by family; the zero address is left out.
func (l *list) address(four, six codec.Type, a netip.Addr) {
	switch a = a.Unmap(); {
	case a.Is4():
		l.Add(four, a.AsSlice())
	case a.Is6():
		l.Add(six, a.AsSlice())
	}
}

// octets is how much room the attributes take.
func (l *list) octets() int {
	n := 0
	for _, a := range l.Attributes {
		n += 2 + len(a.Attribute)
	}
	return n
}

// mark is Accounting-On or -Off (RFC 2866 §5.1).
func (n NAS) mark(r record, now time.Time) codec.Attributes {
	var l list
	l.number(rfc2866.AcctStatusType_Type, uint32(r.Kind))
	l.text(rfc2866.AcctSessionID_Type, r.Mark)
	l.text(rfc2865.NASIdentifier_Type, n.Identifier)
	l.address(rfc2865.NASIPAddress_Type, rfc3162.NASIPv6Address_Type, n.Address)
	l.when(r, now)
	return l.Attributes
}

// when is the time of what happened, and how long ago that was.
func (l *list) when(r record, now time.Time) {
	l.number(rfc2869.EventTimestamp_Type, clamp(r.Time.Unix()))
	l.number(rfc2866.AcctDelayTime_Type, seconds(now.Sub(r.Time)))
}

// seconds of a time that never runs backwards.
func seconds(d time.Duration) uint32 { return clamp(int64(d / time.Second)) }

func clamp(n int64) uint32 { return uint32(min(max(n, 0), 1<<32-1)) }

// session is Start, Interim-Update or Stop. Class, of which there may be much,
// comes last, as far as it has room.
func (n NAS) session(s auth.Session, r record, now time.Time) codec.Attributes {
	var l list
	l.number(rfc2866.AcctStatusType_Type, uint32(r.Kind))
	l.text(rfc2866.AcctSessionID_Type, s.ID)
	l.text(rfc2866.AcctMultiSessionID_Type, s.ID) // one login is one session
	l.text(rfc2865.UserName_Type, s.User)
	if len(s.ChargeableUser) > 0 {
		l.text(rfc4372.ChargeableUserIdentity_Type, string(s.ChargeableUser))
	}
	l.text(rfc2865.NASIdentifier_Type, n.Identifier)
	l.address(rfc2865.NASIPAddress_Type, rfc3162.NASIPv6Address_Type, s.Local.Addr())
	l.number(rfc2865.NASPort_Type, auth.Port(s.ID))
	l.number(rfc2865.NASPortType_Type, uint32(rfc2865.NASPortType_Value_Virtual))
	l.text(rfc2869.NASPortID_Type, auth.PortID(s.ID))
	l.number(rfc2865.ServiceType_Type, uint32(rfc2865.ServiceType_Value_FramedUser))
	l.text(rfc2865.CalledStationID_Type, n.Station(s.Local))
	l.text(rfc2865.CallingStationID_Type, n.Station(s.Remote))
	l.text(rfc2869.ConnectInfo_Type, connectInfo(s))
	l.number(rfc2866.AcctAuthentic_Type, uint32(n.Authentic))
	l.when(r, now)
	for _, a := range s.Addresses {
		l.address(rfc2865.FramedIPAddress_Type, rfc6911.FramedIPv6Address_Type, a)
	}
	if r.Kind != kindStart {
		l.carried(r)
	}
	if r.Kind == kindStop {
		for _, a := range s.Unclaimed {
			l.address(rfc2865.FramedIPAddress_Type, rfc6911.FramedIPv6Address_Type, a)
		}
		l.number(rfc2866.AcctTerminateCause_Type, uint32(termination(r.Cause)))
	}
	for _, c := range s.Class {
		if len(c) == 0 || len(c) > maxValue || l.octets()+2+len(c) > maxOctets {
			break
		}
		l.Add(rfc2865.Class_Type, c)
	}
	return l.Attributes
}

// carried is what flowed, in and out as seen from the gateway, and how long.
// Octets count on in gigawords (RFC 2869 §5.1).
func (l *list) carried(r record) {
	l.number(rfc2866.AcctSessionTime_Type, seconds(r.Lasted))
	l.number(rfc2866.AcctInputOctets_Type, uint32(r.Totals.BytesIn))
	l.number(rfc2869.AcctInputGigawords_Type, uint32(r.Totals.BytesIn>>32))
	l.number(rfc2866.AcctInputPackets_Type, uint32(r.Totals.PacketsIn))
	l.number(rfc2866.AcctOutputOctets_Type, uint32(r.Totals.BytesOut))
	l.number(rfc2869.AcctOutputGigawords_Type, uint32(r.Totals.BytesOut>>32))
	l.number(rfc2866.AcctOutputPackets_Type, uint32(r.Totals.PacketsOut))
}

// connectInfo describes the connection, with the id that stands in the log.
func connectInfo(s auth.Session) string {
	words := []string{"IKEv2"}
	for _, w := range []string{s.Client, s.Suite, s.ID} {
		if w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(words, " ")
}
