package ikev2

import (
	"log/slog"
	"net/netip"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/lease"
	"bridgehead/ikev2/message"
)

// session is what stays the same while IKE SAs replace each other. It begins
// with the login.
type session struct {
	id      string
	client  client
	quirks  quirks // what allowances are made
	idi     message.ID
	from    netip.Addr // where it logged in from
	user    string     // as the backend verified it
	begun   time.Time
	took    time.Duration // the login; zero before its end
	isUp    bool
	claimed bool // addresses, or is about to
	ended   bool // its end was reported
	leased  bool
	lease   lease.Lease
	busy    int  // jobs that put its Child SAs into the data plane or take them out
	owes    bool // its lease is to be released when none of those is left
	account account
	end     *auth.End // that its account gets when none of those is left
	budget  budget
	past    *past  // what Child SAs carried that are gone; nil: nothing
	given   *given // of the Grant, instead of what is configured; nil: nothing
}

// shell is what an IKE SA without the session still has of it.
func (s *session) shell() *session { return &session{id: s.id, client: s.client, quirks: s.quirks} }

// up records that both ends are authenticated.
func (s *session) up(now time.Time, g *auth.Grant) {
	s.took, s.begun, s.given = now.Sub(s.begun), now, newGiven(g)
	s.idi.Data = append([]byte(nil), s.idi.Data...) // not the whole message it came in
}

// clientID names a client across logins: the verified user and the IKE
// identity. Where that is an address it is mostly a private one, the same in
// many homes, and what tells two devices of one user apart is the address
// they come from.
type clientID struct {
	user, identity string
	from           netip.Addr // zero unless identity is an address
}

func (s *session) clientID() clientID {
	id := clientID{user: s.user, identity: string(rune(s.idi.Kind)) + string(s.idi.Data)}
	if s.quirks.has(QuirkA4) {
		id.from = s.from
	}
	return id
}

// SessionInfo is a session as an operator sees it.
type SessionInfo struct {
	ID         string
	User       string  // verified; empty during a login
	Identity   string  // IDi
	Client     string  // the kind of client, empty if not recognised
	Quirks     []Quirk // allowances made for it
	Remote     netip.AddrPort
	Local      netip.AddrPort
	From       netip.Addr // where it logged in from
	IPv4, IPv6 netip.Addr // zero where none
	State      State
	Since      time.Time     // when it came up, or when the login began
	Took       time.Duration // the login, from the first message to the last answer; zero before its end
	IKE        string        // the suite in strongSwan's notation
	ESP        []string      // of each Child SA
	Encap      bool          // ESP in UDP
	Children   []esp.ChildID
	Usage      []esp.Usage    // of each Child SA, where it was read; under id 0 of those that are gone
	Routes     []netip.Prefix // what the client may reach
	DNS        []netip.Addr   // its name servers
	Domains    []string       // split DNS
	DHCPServer netip.Addr     // where its DHCPINFORM is answered from, with the above; zero: it is not

	Ends            time.Time     // at the latest; zero: never
	IdleTimeout     time.Duration // zero: none
	Limits          *esp.Limits   // filter as it was granted; nil: none
	Group           string
	Class           [][]byte      // for accounting (RFC 2865 §5.25)
	ChargeableUser  []byte        // for accounting (RFC 4372)
	InterimInterval time.Duration // between interim reports of accounting; zero: not said
}

// info describes the SA's session.
func (sa *SA) info() SessionInfo {
	s := sa.session
	g := sa.given()
	i := SessionInfo{
		ID: s.id, User: s.user, Client: s.client.String(), Quirks: s.quirks.list(), Remote: sa.path.remote, Local: sa.path.local, From: s.from,
		IPv4: s.lease.IPv4, IPv6: s.lease.IPv6, State: sa.state, Since: s.begun, Took: s.took,
		IKE: sa.suite.String(), Encap: sa.nat.encap(), Children: sa.childIDs(),
		Routes: g.routes, DNS: g.dns, Domains: g.domains, DHCPServer: sa.dhcpServer(), Usage: s.past.usage(),
		Ends: sa.watch.end, IdleTimeout: sa.watch.idle, Limits: g.limits, Group: g.group,
		Class: g.class, ChargeableUser: g.chargeableUser, InterimInterval: g.interim,
	}
	if s.idi.Kind != 0 {
		i.Identity = s.idi.String()
	}
	for _, c := range sa.children {
		i.ESP = append(i.ESP, c.suite.String())
	}
	return i
}

// Selector picks sessions to disconnect. The zero Selector picks none.
type Selector struct {
	All     bool
	ID      string
	User    string
	Peer    netip.Addr // the outer address
	Address netip.Addr // an inner address
}

func (s Selector) matches(sa *SA) bool {
	i := sa.session
	return s.All || s.ID != "" && s.ID == i.id || s.User != "" && s.User == i.user ||
		s.Peer.IsValid() && s.Peer == sa.path.remote.Addr() ||
		s.Address.IsValid() && (s.Address == i.lease.IPv4 || s.Address == i.lease.IPv6)
}

// past is what Child SAs carried that a session has no more: replaced, or
// deleted by the client.
type past esp.Usage

// carried adds what Child SAs carried that go.
func (s *session) carried(gone []esp.Usage) {
	if s.past == nil {
		s.past = new(past)
	}
	p := s.past
	for _, u := range gone {
		p.BytesIn, p.BytesOut = p.BytesIn+u.BytesIn, p.BytesOut+u.BytesOut
		p.PacketsIn, p.PacketsOut = p.PacketsIn+u.PacketsIn, p.PacketsOut+u.PacketsOut
		if u.LastIn.After(p.LastIn) {
			p.LastIn = u.LastIn
		}
	}
}

// usage is all of it, under the id 0 which no Child SA has; none if it is
// nothing.
func (p *past) usage() []esp.Usage {
	if p == nil || *p == (past{}) {
		return nil
	}
	return []esp.Usage{esp.Usage(*p)}
}

// LogValue gives a session's line in the log its usual fields.
func (i SessionInfo) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("user", i.User), slog.String("identity", i.Identity), slog.String("client", i.Client),
		slog.String("remote", i.Remote.String()), slog.String("ipv4", addrText(i.IPv4)), slog.String("ipv6", addrText(i.IPv6)),
	}
	if i.Group != "" {
		attrs = append(attrs, slog.String("group", i.Group))
	}
	return slog.GroupValue(attrs...)
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
