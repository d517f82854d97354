package dae

import (
	"bytes"
	"net/netip"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3162"

	"bridgehead/auth"
)

// Identity is this gateway as a request may name it (RFC 5176 §3).
type Identity struct {
	Identifier string // NAS-Identifier
	// Owns tells whether an address is ours: NAS-IP-Address, NAS-IPv6-Address.
	Owns func(netip.Addr) bool
}

// order is what an authentic request asks for.
type order struct {
	query  Query
	change Change
	note   string // Reply-Message, for the log

	changes []func(*Change, *auth.Grant) bool
}

// nasPortVirtual is the NAS-Port-Type of every session (RFC 2865 §5.41).
const nasPortVirtual = 5

// readOrder takes a request apart. Every attribute counts: one that can't be
// obeyed refuses the whole request (RFC 5176 §2.3).
func (q *request) readOrder(ours *Identity) (*order, *Failure) {
	o := new(order)
	var changes codec.Attributes
	for _, a := range q.attrs {
		cause := ErrorCause(0)
		if read, identifies := identifiers[a.Type]; identifies {
			cause, o.query.given = read(&o.query, a.Attribute), true
		} else if a.Type == rfc2865.VendorSpecific_Type || changers[key{0, a.Type}] != nil {
			changes = append(changes, a)
		} else {
			cause = o.accept(a, ours)
		}
		if cause != 0 {
			return nil, &Failure{cause, attributeFault(a.Type)}
		}
	}
	if !o.query.given {
		return nil, &Failure{MissingAttribute, errNoSession}
	}
	if q.disconnects() {
		if len(changes) > 0 {
			return nil, &Failure{UnsupportedAttribute, attributeFault(changes[0].Type)}
		}
		return o, nil
	}
	if len(changes) == 0 {
		return nil, &Failure{MissingAttribute, errNoChange}
	}
	return o, o.readChanges(changes)
}

// accept takes an attribute that neither identifies a session nor changes it.
func (o *order) accept(a *codec.AVP, ours *Identity) ErrorCause {
	switch a.Type {
	case rfc2865.NASIdentifier_Type:
		if string(a.Attribute) != ours.Identifier {
			return NASMismatch
		}
	case rfc2865.NASIPAddress_Type, rfc3162.NASIPv6Address_Type:
		return ours.hasAddress(a)
	case rfc2865.NASPortType_Type:
		if !bytes.Equal(a.Attribute, codec.NewInteger(nasPortVirtual)) {
			return SessionNotFound
		}
	case rfc2865.ServiceType_Type:
		// Authorize-Only would have us ask the server again, with the State of the
		// request; there is no such exchange for a client that is in (RFC 5176
		// §3.2).
		return UnsupportedService
	case rfc2865.ReplyMessage_Type:
		o.note = string(a.Attribute)
	case rfc2865.ProxyState_Type, rfc2865.State_Type, rfc2869.EventTimestamp_Type, rfc2869.MessageAuthenticator_Type, rfc2866.AcctTerminateCause_Type:
	default:
		return UnsupportedAttribute
	}
	return 0
}

// hasAddress checks an address that is to be ours.
func (i *Identity) hasAddress(a *codec.AVP) ErrorCause {
	size := 4
	if a.Type == rfc3162.NASIPv6Address_Type {
		size = 16
	}
	is, ok := netip.AddrFromSlice(a.Attribute)
	if !ok || len(a.Attribute) != size {
		return InvalidRequest
	}
	if i.Owns == nil || !i.Owns(is) {
		return NASMismatch
	}
	return 0
}
