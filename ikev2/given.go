package ikev2

import (
	"net/netip"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
)

// given is what a Grant says beyond addresses and times. What it leaves out is
// as configured.
type given struct {
	routes  []netip.Prefix
	dns     []netip.Addr
	domains []string

	limits         *esp.Limits // nil: none
	changing       []Adjust    // changes of them; the data plane is being told of the first
	reauthenticate bool        // the client hears when its session ends

	addresses      []netip.Addr // its own
	group          string
	class          [][]byte
	chargeableUser []byte
	interim        time.Duration
}

// newGiven is what a Grant says; nil if that is nothing, as of most in a file.
func newGiven(g *auth.Grant) *given {
	limits := limitsOf(g)
	if len(g.Addresses)+len(g.Routes)+len(g.DNS)+len(g.Domains)+len(g.Class)+len(g.ChargeableUser)+len(g.Group) == 0 &&
		limits == nil && g.InterimInterval == 0 && !g.Reauthenticate {
		return nil
	}
	return &given{
		routes: g.Routes, dns: g.DNS, domains: g.Domains, limits: limits, reauthenticate: g.Reauthenticate,
		addresses: g.Addresses, group: g.Group, class: g.Class, chargeableUser: g.ChargeableUser, interim: g.InterimInterval,
	}
}

// ownGiven is what the session has been given, to be changed.
func (s *session) ownGiven() *given {
	if s.given == nil {
		s.given = new(given)
	}
	return s.given
}

// reauthenticates tells whether the client is told when its session ends.
func (s *session) reauthenticates() bool { return s.given != nil && s.given.reauthenticate }
