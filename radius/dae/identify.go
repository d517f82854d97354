package dae

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc3162"
	"layeh.com/radius/rfc4372"
	"layeh.com/radius/rfc6911"
)

// Query is what a request identifies sessions by. All that is given must be
// true of a session.
type Query struct {
	ID, MultiID     string
	User            string
	IPv4, IPv6      netip.Addr
	Calling, Called netip.AddrPort // port 0: any
	Port            *uint32
	Class           [][]byte // each must be one of the session's
	ChargeableUser  []byte

	given bool
}

// True tells whether all that q gives is true of a session.
func (q *Query) True(s *Session) bool {
	return fits(q.ID, s.ID) && fits(q.MultiID, s.MultiID) && fits(q.User, s.User) &&
		fits(q.IPv4, s.IPv4) && fits(q.IPv6, s.IPv6) &&
		(station(q.Calling, s.Remote) || q.Calling == netip.AddrPortFrom(s.From, 0)) && station(q.Called, s.Local) &&
		(q.Port == nil || s.Port != 0 && *q.Port == s.Port) &&
		(q.ChargeableUser == nil || bytes.Equal(q.ChargeableUser, s.ChargeableUser)) &&
		!slices.ContainsFunc(q.Class, func(c []byte) bool {
			return !slices.ContainsFunc(s.Class, func(own []byte) bool { return bytes.Equal(c, own) })
		})
}

// fits compares what is given; the zero value is not.
func fits[T comparable](given, is T) bool {
	var none T
	return given == none || given == is
}

func station(given, is netip.AddrPort) bool {
	return !given.IsValid() || given.Addr() == is.Addr().Unmap() && (given.Port() == 0 || given.Port() == is.Port())
}

// identifiers read the attributes that identify a session (RFC 5176 §3). A
// value that can't be read is an InvalidRequest, one that no session can have
// an InvalidValue.
var identifiers = map[codec.Type]func(*Query, []byte) ErrorCause{
	rfc2865.UserName_Type:               text(func(q *Query) *string { return &q.User }),
	rfc2866.AcctSessionID_Type:          text(func(q *Query) *string { return &q.ID }),
	rfc2866.AcctMultiSessionID_Type:     text(func(q *Query) *string { return &q.MultiID }),
	rfc2865.FramedIPAddress_Type:        address(4, func(q *Query) *netip.Addr { return &q.IPv4 }),
	rfc6911.FramedIPv6Address_Type:      address(16, func(q *Query) *netip.Addr { return &q.IPv6 }),
	rfc3162.FramedIPv6Prefix_Type:       prefix,
	rfc2865.CallingStationID_Type:       stationID(func(q *Query) *netip.AddrPort { return &q.Calling }),
	rfc2865.CalledStationID_Type:        stationID(func(q *Query) *netip.AddrPort { return &q.Called }),
	rfc2865.NASPort_Type:                port,
	rfc2865.Class_Type:                  class,
	rfc4372.ChargeableUserIdentity_Type: chargeable,
}

// once sets what can have one value only.
func once[T comparable](field *T, v T) ErrorCause {
	var none T
	if *field != none && *field != v || v == none {
		return InvalidRequest
	}
	*field = v
	return 0
}

func text(field func(*Query) *string) func(*Query, []byte) ErrorCause {
	return func(q *Query, b []byte) ErrorCause { return once(field(q), string(b)) }
}

func address(size int, field func(*Query) *netip.Addr) func(*Query, []byte) ErrorCause {
	return func(q *Query, b []byte) ErrorCause {
		a, ok := netip.AddrFromSlice(b)
		if !ok || len(b) != size {
			return InvalidRequest
		}
		return once(field(q), a)
	}
}

// prefix takes a prefix of one address, which is what clients have (RFC 3162
// §2.3).
func prefix(q *Query, b []byte) ErrorCause {
	const bits, whole = 128, 18
	if len(b) < 2 || len(b) > whole {
		return InvalidRequest
	}
	if b[1] != bits {
		return InvalidValue
	}
	var a [16]byte
	copy(a[:], b[2:])
	return once(&q.IPv6, netip.AddrFrom16(a))
}

func port(q *Query, b []byte) ErrorCause {
	if len(b) != 4 || q.Port != nil {
		return InvalidRequest
	}
	n := binary.BigEndian.Uint32(b)
	q.Port = &n
	return 0
}

func class(q *Query, b []byte) ErrorCause {
	q.Class = append(q.Class, b)
	return 0
}

func chargeable(q *Query, b []byte) ErrorCause {
	if q.ChargeableUser != nil || len(b) == 0 {
		return InvalidRequest
	}
	q.ChargeableUser = b
	return 0
}

// stationID takes an address in any of its spellings, with the port or
// without: 192.0.2.1, 192.0.2.1[4500], 192.0.2.1:4500, 2001:db8::1[4500].
func stationID(field func(*Query) *netip.AddrPort) func(*Query, []byte) ErrorCause {
	return func(q *Query, b []byte) ErrorCause {
		a, ok := parseStation(string(b))
		if !ok {
			return InvalidValue
		}
		return once(field(q), a)
	}
}

func parseStation(s string) (netip.AddrPort, bool) {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), a.Port() != 0
	}
	host, rest, bracketed := strings.Cut(s, "[")
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	if !bracketed {
		return netip.AddrPortFrom(a.Unmap(), 0), true
	}
	digits, closed := strings.CutSuffix(rest, "]")
	n, err := strconv.ParseUint(digits, 10, 16)
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), closed && err == nil && n != 0
}
