package dae

import (
	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc4849"

	"bridgehead/auth"
	"bridgehead/radius"
)

// key names an attribute that changes a session.
type key struct {
	vendor uint32
	kind   codec.Type
}

const (
	vendorWISPr    = 14122
	vendorMikrotik = 14988
)

// changers put what the attribute set in a Grant into a Change. One gives
// false where the value says nothing that a session could be changed to.
var changers = map[key]func(*Change, *auth.Grant) bool{
	{0, rfc2865.SessionTimeout_Type}:      func(c *Change, g *auth.Grant) bool { return set(&c.SessionTimeout, g.SessionTimeout) },
	{0, rfc2865.IdleTimeout_Type}:         func(c *Change, g *auth.Grant) bool { return set(&c.IdleTimeout, g.IdleTimeout) },
	{0, rfc2865.TerminationAction_Type}:   func(c *Change, g *auth.Grant) bool { return set(&c.Reauthenticate, g.Reauthenticate) },
	{0, rfc2869.AcctInterimInterval_Type}: func(c *Change, g *auth.Grant) bool { return set(&c.InterimInterval, g.InterimInterval) },
	{0, rfc4849.NASFilterRule_Type}:       func(c *Change, g *auth.Grant) bool { return set(&c.Filter, &g.Filter) },
	{vendorWISPr, 7}:                      func(c *Change, g *auth.Grant) bool { return set(&c.RateUp, &g.RateUp) },
	{vendorWISPr, 8}:                      func(c *Change, g *auth.Grant) bool { return set(&c.RateDown, &g.RateDown) },
	{vendorMikrotik, 8}: func(c *Change, g *auth.Grant) bool {
		return set(&c.RateUp, &g.RateUp) && set(&c.RateDown, &g.RateDown)
	},
}

func set[T comparable](field *T, v T) bool {
	var stays T
	*field = v
	return v != stays
}

// readChanges reads what is to change. Each value means what it means in
// Access-Accept.
func (o *order) readChanges(attrs codec.Attributes) *Failure {
	for _, a := range attrs {
		if fault := o.known(a); fault != nil {
			return fault
		}
	}
	var g auth.Grant
	if err := radius.FillGrant(&g, attrs); err != nil {
		return &Failure{InvalidValue, err}
	}
	for _, change := range o.changes {
		if !change(&o.change, &g) {
			return &Failure{InvalidValue, errNoSuchChange}
		}
	}
	return nil
}

// known notes what an attribute changes. One that changes nothing here would
// be a change that is not made.
func (o *order) known(a *codec.AVP) *Failure {
	vendor, types := uint32(0), []codec.Type{a.Type}
	if a.Type == rfc2865.VendorSpecific_Type {
		var err error
		if vendor, types, err = radius.VendorTypes(a.Attribute); err != nil {
			return &Failure{UnsupportedAttribute, err}
		}
	}
	for _, t := range types {
		change := changers[key{vendor, t}]
		if change == nil {
			return &Failure{UnsupportedAttribute, attributeFault(a.Type)}
		}
		o.changes = append(o.changes, change)
	}
	return nil
}
