package dae

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3162"
	"layeh.com/radius/rfc4372"
	"layeh.com/radius/rfc4849"
	"layeh.com/radius/rfc6911"

	"bridgehead/auth"
)

func station4(s string) *codec.AVP { return attr(rfc2865.CallingStationID_Type, s) }

// All that a request gives must be true of a session; a name alone is true of
// all sessions of its user, and wildcards mean nothing.
func TestWhichSessionIsMeant(t *testing.T) {
	address6 := func(s Session) *codec.AVP { return attr(rfc6911.FramedIPv6Address_Type, string(s.IPv6.AsSlice())) }
	address4 := func(s Session) *codec.AVP { return attr(rfc2865.FramedIPAddress_Type, string(s.IPv4.AsSlice())) }
	class := func(s string) *codec.AVP { return attr(rfc2865.Class_Type, s) }
	for name, c := range map[string]struct {
		attrs []*codec.AVP
		ended []string
		cause ErrorCause
	}{
		"Acct-Session-Id":                    {[]*codec.AVP{session(phone.ID)}, []string{phone.ID}, 0},
		"another Acct-Session-Id":            {[]*codec.AVP{session("5e551")}, nil, SessionNotFound},
		"Acct-Multi-Session-Id says several": {[]*codec.AVP{attr(rfc2866.AcctMultiSessionID_Type, "m1")}, []string{phone.ID, laptop.ID}, 0},
		"User-Name of one session":           {[]*codec.AVP{user("bob")}, []string{desk.ID}, 0},
		"User-Name of two sessions":          {[]*codec.AVP{user("alice")}, nil, MultipleSessionsRefused},
		"User-Name with a wildcard":          {[]*codec.AVP{user("*")}, nil, SessionNotFound},
		"User-Name in other letters":         {[]*codec.AVP{user("BOB")}, nil, SessionNotFound},
		"a session of another user":          {[]*codec.AVP{user("bob"), session(phone.ID)}, nil, SessionNotFound},
		"User-Name and session":              {[]*codec.AVP{user("alice"), session(laptop.ID)}, []string{laptop.ID}, 0},
		"Calling-Station-Id of two clients":  {[]*codec.AVP{station4("198.51.100.1")}, nil, MultipleSessionsRefused},
		"Calling-Station-Id with its port":   {[]*codec.AVP{station4("198.51.100.1[4501]")}, []string{desk.ID}, 0},
		"Calling-Station-Id with a colon":    {[]*codec.AVP{station4("198.51.100.1:4501")}, []string{desk.ID}, 0},
		"Calling-Station-Id over IPv6":       {[]*codec.AVP{station4("2001:DB8:1::0:2")}, []string{laptop.ID}, 0},
		"Calling-Station-Id v6 with port":    {[]*codec.AVP{station4("2001:db8:1::2[500]")}, []string{laptop.ID}, 0},
		"Calling-Station-Id, another port":   {[]*codec.AVP{station4("198.51.100.1[4502]")}, nil, SessionNotFound},
		"Calling-Station-Id and user":        {[]*codec.AVP{station4("198.51.100.1"), user("alice")}, []string{phone.ID}, 0},
		"Calling-Station-Id of a MAC":        {[]*codec.AVP{station4("00-11-22-33-44-55")}, nil, InvalidValue},
		"Called-Station-Id":                  {[]*codec.AVP{attr(rfc2865.CalledStationID_Type, "2001:db8:ffff::1[500]")}, []string{laptop.ID}, 0},
		"Framed-IP-Address":                  {[]*codec.AVP{address4(laptop)}, []string{laptop.ID}, 0},
		"Framed-IP-Address of nobody":        {[]*codec.AVP{attr(rfc2865.FramedIPAddress_Type, "\x0a\x00\x00\x63")}, nil, SessionNotFound},
		"Framed-IPv6-Address":                {[]*codec.AVP{address6(phone)}, []string{phone.ID}, 0},
		"Framed-IPv6-Prefix of 128 bits":     {[]*codec.AVP{attr(rfc3162.FramedIPv6Prefix_Type, "\x00\x80"+string(phone.IPv6.AsSlice()))}, []string{phone.ID}, 0},
		"Framed-IPv6-Prefix of 64 bits":      {[]*codec.AVP{attr(rfc3162.FramedIPv6Prefix_Type, "\x00\x40"+string(phone.IPv6.AsSlice()))}, nil, InvalidValue},
		"both addresses of one":              {[]*codec.AVP{address4(phone), address6(phone)}, []string{phone.ID}, 0},
		"addresses of two":                   {[]*codec.AVP{address4(laptop), address6(phone)}, nil, SessionNotFound},
		"NAS-Port":                           {[]*codec.AVP{number(rfc2865.NASPort_Type, 2)}, []string{laptop.ID}, 0},
		"NAS-Port 0":                         {[]*codec.AVP{number(rfc2865.NASPort_Type, 0)}, nil, SessionNotFound},
		"Class of two sessions":              {[]*codec.AVP{class("staff")}, nil, MultipleSessionsRefused},
		"every Class given":                  {[]*codec.AVP{class("\x00\x01\x02"), class("staff")}, []string{phone.ID}, 0},
		"one Class too many":                 {[]*codec.AVP{class("staff"), class("boss"), session(phone.ID)}, nil, SessionNotFound},
		"Chargeable-User-Identity":           {[]*codec.AVP{attr(rfc4372.ChargeableUserIdentity_Type, "cui-a"), session(phone.ID)}, []string{phone.ID}, 0},
		"another's":                          {[]*codec.AVP{attr(rfc4372.ChargeableUserIdentity_Type, "cui-b"), session(phone.ID)}, nil, SessionNotFound},
		"NAS-Identifier of ours":             {[]*codec.AVP{session(phone.ID), attr(rfc2865.NASIdentifier_Type, "vpn.example.org")}, []string{phone.ID}, 0},
		"NAS-Identifier of another gateway":  {[]*codec.AVP{session(phone.ID), attr(rfc2865.NASIdentifier_Type, "vpn2.example.org")}, nil, NASMismatch},
		"NAS-IP-Address of ours":             {[]*codec.AVP{session(phone.ID), attr(rfc2865.NASIPAddress_Type, "\xcb\x00\x71\x01")}, []string{phone.ID}, 0},
		"NAS-IP-Address of another":          {[]*codec.AVP{session(phone.ID), attr(rfc2865.NASIPAddress_Type, "\xcb\x00\x71\x02")}, nil, NASMismatch},
		"NAS-IPv6-Address of ours":           {[]*codec.AVP{session(phone.ID), attr(rfc3162.NASIPv6Address_Type, string(laptop.Local.Addr().AsSlice()))}, []string{phone.ID}, 0},
		"NAS-IPv6-Address of another":        {[]*codec.AVP{session(phone.ID), attr(rfc3162.NASIPv6Address_Type, string(phone.IPv6.AsSlice()))}, nil, NASMismatch},
		"NAS-Port-Type Virtual":              {[]*codec.AVP{session(phone.ID), number(rfc2865.NASPortType_Type, 5)}, []string{phone.ID}, 0},
		"NAS-Port-Type Ethernet":             {[]*codec.AVP{session(phone.ID), number(rfc2865.NASPortType_Type, 15)}, nil, SessionNotFound},
		"what goes along without effect":     {[]*codec.AVP{session(phone.ID), attr(rfc2865.ReplyMessage_Type, "bye"), number(rfc2866.AcctTerminateCause_Type, 6)}, []string{phone.ID}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			b.wantAnswer(b.disconnect(c.attrs...), c.cause)
			b.wantEnded(c.ended...)
		})
	}
}

// Every attribute counts: what can't be obeyed refuses the whole request.
func TestErrorCauses(t *testing.T) {
	type world func(*bench)
	timeout := number(rfc2865.SessionTimeout_Type, 60)
	for name, c := range map[string]struct {
		coa   bool
		attrs []*codec.AVP
		given func(*Client)
		world world
		cause ErrorCause
	}{
		"401: unknown attribute":                {attrs: []*codec.AVP{session(phone.ID), attr(200, "x")}, cause: UnsupportedAttribute},
		"401: EAP-Message":                      {attrs: []*codec.AVP{session(phone.ID), attr(rfc2869.EAPMessage_Type, "x")}, cause: UnsupportedAttribute},
		"401: a change in a Disconnect-Request": {attrs: []*codec.AVP{session(phone.ID), timeout}, cause: UnsupportedAttribute},
		"401: a vendor's in Disconnect-Request": {attrs: []*codec.AVP{session(phone.ID), attr(26, "\x00\x00\x00\x09\x01\x03x")}, cause: UnsupportedAttribute},
		"401: a vendor's unknown change":        {coa: true, attrs: []*codec.AVP{session(phone.ID), timeout, attr(26, "\x00\x00\x00\x09\x01\x03x")}, cause: UnsupportedAttribute},
		"401: a vendor's own format":            {coa: true, attrs: []*codec.AVP{session(phone.ID), timeout, attr(26, "\x00\x00\x00\x09\x01\xff")}, cause: UnsupportedAttribute},
		"401: Filter-Id, which is no change":    {coa: true, attrs: []*codec.AVP{session(phone.ID), attr(rfc2865.FilterID_Type, "x")}, cause: UnsupportedAttribute},
		"402: nothing identifies a session":     {attrs: []*codec.AVP{attr(rfc2865.NASIdentifier_Type, "vpn.example.org")}, cause: MissingAttribute},
		"402: nothing is to change":             {coa: true, attrs: []*codec.AVP{session(phone.ID)}, cause: MissingAttribute},
		"403: another gateway":                  {coa: true, attrs: []*codec.AVP{session(phone.ID), timeout, attr(rfc2865.NASIdentifier_Type, "x")}, cause: NASMismatch},
		"404: two users":                        {attrs: []*codec.AVP{user("alice"), user("bob")}, cause: InvalidRequest},
		"404: an address of three octets":       {attrs: []*codec.AVP{attr(rfc2865.FramedIPAddress_Type, "abc")}, cause: InvalidRequest},
		"404: an IPv6 address of four":          {attrs: []*codec.AVP{attr(rfc6911.FramedIPv6Address_Type, "abcd")}, cause: InvalidRequest},
		"404: an empty name":                    {attrs: []*codec.AVP{user("")}, cause: InvalidRequest},
		"404: a NAS address of three octets":    {attrs: []*codec.AVP{session(phone.ID), attr(rfc2865.NASIPAddress_Type, "abc")}, cause: InvalidRequest},
		"404: two ports":                        {attrs: []*codec.AVP{number(rfc2865.NASPort_Type, 1), number(rfc2865.NASPort_Type, 1)}, cause: InvalidRequest},
		"404: an empty CUI":                     {attrs: []*codec.AVP{attr(rfc4372.ChargeableUserIdentity_Type, "")}, cause: InvalidRequest},
		"404: a prefix of no octets":            {attrs: []*codec.AVP{attr(rfc3162.FramedIPv6Prefix_Type, "")}, cause: InvalidRequest},
		"405: Authorize-Only":                   {coa: true, attrs: []*codec.AVP{session(phone.ID), number(rfc2865.ServiceType_Type, 17), attr(rfc2865.State_Type, "s")}, cause: UnsupportedService},
		"405: Authorize-Only to disconnect":     {attrs: []*codec.AVP{session(phone.ID), number(rfc2865.ServiceType_Type, 17)}, cause: UnsupportedService},
		"405: any other service":                {coa: true, attrs: []*codec.AVP{session(phone.ID), timeout, number(rfc2865.ServiceType_Type, 2)}, cause: UnsupportedService},
		"407: a timeout of 0 s":                 {coa: true, attrs: []*codec.AVP{session(phone.ID), number(rfc2865.SessionTimeout_Type, 0)}, cause: InvalidValue},
		"407: no interim reports at all":        {coa: true, attrs: []*codec.AVP{session(phone.ID), number(rfc2869.AcctInterimInterval_Type, 0)}, cause: InvalidValue},
		"407: Termination-Action Default":       {coa: true, attrs: []*codec.AVP{session(phone.ID), timeout, number(rfc2865.TerminationAction_Type, 0)}, cause: InvalidValue},
		"407: a filter nobody can read":         {coa: true, attrs: []*codec.AVP{session(phone.ID), attr(rfc4849.NASFilterRule_Type, "let everything pass")}, cause: InvalidValue},
		"407: a timeout of three octets":        {coa: true, attrs: []*codec.AVP{session(phone.ID), attr(rfc2865.SessionTimeout_Type, "abc")}, cause: InvalidValue},
		"501: this client may not disconnect":   {attrs: []*codec.AVP{session(phone.ID)}, given: func(c *Client) { c.NoDisconnect = true }, cause: Prohibited},
		"501: this client may not change":       {coa: true, attrs: []*codec.AVP{session(phone.ID), timeout}, given: func(c *Client) { c.NoChange = true }, cause: Prohibited},
		"503: no such session":                  {coa: true, attrs: []*codec.AVP{session("x"), timeout}, cause: SessionNotFound},
		"503: gone meanwhile":                   {attrs: []*codec.AVP{session(phone.ID)}, world: func(b *bench) { b.gateway.fail = &Failure{Cause: SessionNotFound} }, cause: SessionNotFound},
		"504: the data plane keeps it":          {attrs: []*codec.AVP{session(phone.ID)}, world: func(b *bench) { b.gateway.fail = errors.New("broken") }, cause: SessionNotRemovable},
		"506: the gateway does not answer":      {attrs: []*codec.AVP{session(phone.ID)}, world: func(b *bench) { b.gateway.lost = errors.New("late") }, cause: ResourcesUnavailable},
		"506: the change failed":                {coa: true, attrs: []*codec.AVP{session(phone.ID), timeout}, world: func(b *bench) { b.gateway.fail = errors.New("broken") }, cause: ResourcesUnavailable},
		"508: several sessions":                 {coa: true, attrs: []*codec.AVP{user("alice"), timeout}, cause: MultipleSessionsRefused},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, c.given)
			if c.world != nil {
				c.world(b)
			}
			d := b.disconnect(c.attrs...)
			if c.coa {
				d.code = codec.CodeCoARequest
			}
			b.wantAnswer(d, c.cause)
			b.wantEnded()
			if len(b.gateway.changed) != 0 {
				t.Errorf("changed %v", b.gateway.changed)
			}
			f := b.Figures()
			if len(f.Answered) != 1 || f.Answered[0] != (Answered{"campus", kind(!c.coa), c.cause, 1}) {
				t.Errorf("counted %v", f.Answered)
			}
		})
	}
}

// A client that is configured so may end several sessions by one request.
func TestManyByConfiguration(t *testing.T) {
	b := newBench(t, func(c *Client) { c.Many = true })
	b.wantAnswer(b.disconnect(user("alice")), 0)
	b.wantEnded(phone.ID, laptop.ID)
	b.wantAnswer(b.disconnect(user("alice")), SessionNotFound)
}

// vsa is a vendor's own attribute.
func vsa(vendor uint32, kind byte, value string) *codec.AVP {
	b := append(binary.BigEndian.AppendUint32(nil, vendor), kind, byte(len(value)+2))
	return attr(rfc2865.VendorSpecific_Type, string(append(b, value...)))
}

func rate(n uint64) *uint64 { return &n }

func TestCoAChangesWhatItSays(t *testing.T) {
	for name, c := range map[string]struct {
		attrs []*codec.AVP
		want  Change
	}{
		"Session-Timeout": {[]*codec.AVP{number(rfc2865.SessionTimeout_Type, 90)}, Change{SessionTimeout: 90 * time.Second}},
		"both timeouts": {[]*codec.AVP{number(rfc2865.IdleTimeout_Type, 30), number(rfc2865.SessionTimeout_Type, 90)},
			Change{SessionTimeout: 90 * time.Second, IdleTimeout: 30 * time.Second}},
		"Acct-Interim-Interval": {[]*codec.AVP{number(rfc2869.AcctInterimInterval_Type, 600)}, Change{InterimInterval: 10 * time.Minute}},
		"NAS-Filter-Rule, in two pieces": {[]*codec.AVP{attr(rfc4849.NASFilterRule_Type, "permit in ip from any to 10.1.0"), attr(rfc4849.NASFilterRule_Type, ".0/16")},
			Change{Filter: &[]auth.FilterRule{{To: auth.FilterEnd{Prefix: netip.MustParsePrefix("10.1.0.0/16")}}}}},
		"WISPr rates":         {[]*codec.AVP{vsa(vendorWISPr, 7, "\x00\x0f\x42\x40"), vsa(vendorWISPr, 8, "\x00\x00\x00\x00")}, Change{RateUp: rate(1e6), RateDown: rate(0)}},
		"WISPr rate up alone": {[]*codec.AVP{vsa(vendorWISPr, 7, "\x00\x0f\x42\x40")}, Change{RateUp: rate(1e6)}},
		"Mikrotik-Rate-Limit": {[]*codec.AVP{vsa(vendorMikrotik, 8, "1M/2M")}, Change{RateUp: rate(1e6), RateDown: rate(2e6)}},
		"Termination-Action":  {[]*codec.AVP{number(rfc2865.TerminationAction_Type, 1), number(rfc2865.SessionTimeout_Type, 600)}, Change{Reauthenticate: true, SessionTimeout: 10 * time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			b.wantAnswer(b.coa(append(c.attrs, attr(rfc2866.AcctMultiSessionID_Type, "m1"))...), 0)
			if d := cmp.Diff(map[string]Change{phone.ID: c.want, laptop.ID: c.want}, b.gateway.changed, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
				t.Error(d)
			}
			b.wantEnded()
		})
	}
}
