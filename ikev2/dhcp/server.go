package dhcp

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// What a session may ask: Windows repeats an unanswered DHCPINFORM a few times
// and asks again when its network changes.
const (
	burst  = 8
	refill = 5 * time.Second // gives back one
)

// Session is what a session's client is told.
type Session struct {
	ID     string     // of the logs
	Client netip.Addr // the inner IPv4 address that it holds
	Server netip.Addr // the IPv4 address that answers come from, within its traffic selectors
	// Routes are what it reaches through the tunnel. Other families than IPv4 are
	// passed over. Where everything is among them no route is told: whether
	// Windows sends everything through the tunnel is a setting of its connection
	// ("use default gateway on remote network"), which a route from here would
	// overrule.
	Routes  []netip.Prefix
	DNS     []netip.Addr // other families than IPv4 are passed over
	Domains []string     // the first becomes the connection's suffix
}

// Server answers the clients of the sessions it was told of. Its methods are
// safe for concurrent use.
type Server struct {
	now    func() time.Time
	counts counters

	mu       sync.Mutex // guards sessions and what they point to
	sessions map[netip.Addr]*session
}

type session struct {
	Session
	left int       // answers that may be given at once
	at   time.Time // when left was true
}

// NewServer makes a server without sessions. now is time.Now.
func NewServer(now func() time.Time) *Server {
	return &Server{now: now, sessions: map[netip.Addr]*session{}}
}

// Add begins to answer a session. It takes the place of one that had the same
// address before.
func (s *Server) Add(begun Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[begun.Client] = &session{Session: begun, left: burst, at: s.now()}
}

// Remove ends answering a session, unless another has its address by now.
func (s *Server) Remove(id string, client netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.sessions[client]; c != nil && c.ID == id {
		delete(s.sessions, client)
	}
}

// Counts reads the counters.
func (s *Server) Counts() Counts { return s.counts.read() }

// Answer takes an IP packet from a client. ok is false for packets that are not
// for DHCP servers at all; others are counted, and answered by the packet
// reply, unless that is nil.
func (s *Server) Answer(packet []byte) (reply []byte, ok bool) {
	if !isForServer(packet) {
		return nil, false
	}
	reply, outcome := s.answer(packet)
	s.counts[outcome].Add(1)
	return reply, true
}

func (s *Server) answer(packet []byte) ([]byte, Outcome) {
	d, err := parseDatagram(packet)
	if err != nil {
		return nil, Malformed
	}
	to, outcome := s.admit(d.source)
	if outcome != Answered {
		return nil, outcome
	}
	r, err := parseRequest(d.message)
	switch {
	case err != nil:
		return nil, Malformed
	case r.kind != typeInform:
		return nil, NotInform
	case r.client != d.source || r.relayed:
		return nil, Foreign
	}
	return ack(&r, to), Answered
}

// admit finds the session of an address and takes one from what it may ask,
// whatever it sent: parsing costs, too.
func (s *Server) admit(source netip.Addr) (Session, Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.sessions[source]
	if c == nil {
		return Session{}, NoSession
	}
	if n := int64(s.now().Sub(c.at) / refill); n > 0 {
		c.left = int(min(int64(c.left)+n, burst))
		c.at = c.at.Add(time.Duration(n) * refill)
	}
	if c.left == 0 {
		return Session{}, TooMany
	}
	c.left--
	return c.Session, Answered
}

// Sizes of an answer as an IP packet.
const (
	standardSize = 576  // what every client takes (RFC 2131 §2)
	largestSize  = 1280 // what no path cuts up

	mandatory = 3 + 6 + 6 // message type, server, mask
	reserved  = 64        // for what else may stand here, name servers above all
)

// routeRoom is how many octets of routes an answer of a size has room for.
func routeRoom(size int) int {
	const header, end = 2, 1
	return min(size-ipv4HeaderLen-udpHeaderLen-headerLen-mandatory-reserved-header-end, maxOption)
}

// ack is the answer to r. Mask and server are always told; the rest if it was
// asked for, as far as it fits, and Windows gets its routes even if it forgot to
// ask.
func ack(r *request, to Session) []byte {
	size := min(max(r.maxSize, standardSize), largestSize)
	b := appendHeaders(make([]byte, 0, size), to.Server, to.Client)
	b = r.appendAck(b)
	b = appendOption(b, optMessageType, byte(typeAck))
	b = appendOption(b, optServerID, to.Server.AsSlice()...)
	b = appendOption(b, optSubnetMask, 255, 255, 255, 255)

	add := func(code option, value []byte, forced bool) {
		const header, end = 2, 1
		wanted := forced || r.parameters == nil || slices.Contains(r.parameters, byte(code))
		if wanted && len(value) > 0 && len(value) <= maxOption && len(b)+header+len(value)+end <= size {
			b = appendOption(b, code, value...)
		}
	}
	routes := encodeRoutes(to.Routes, routeRoom(size))
	add(optRoutesMS, routes, strings.HasPrefix(string(r.vendorClass), "MSFT"))
	add(optDNS, encodeServers(to.DNS), false)
	if len(to.Domains) > 0 {
		add(optDomainName, []byte(strings.TrimSuffix(to.Domains[0], ".")), false)
	}
	add(optRoutes, routes, false)
	var search []byte
	for _, d := range to.Domains {
		search = appendName(search, d)
	}
	add(optSearchList, search, false)

	b = append(b, byte(optEnd))
	for len(b) < ipv4HeaderLen+udpHeaderLen+minLen {
		b = append(b, byte(optPad))
	}
	finish(b)
	return b
}

// Split gives the IPv4 prefixes of routes, or none if everything is among them.
func Split(routes []netip.Prefix) []netip.Prefix {
	var split []netip.Prefix
	for _, p := range routes {
		if !p.Addr().Is4() {
			continue
		}
		if p.Bits() == 0 {
			return nil
		}
		split = append(split, p)
	}
	return split
}

// Fits tells whether every answer has room for all of the routes; about 28 it
// has. Of more the last ones are not told.
func Fits(routes []netip.Prefix) bool {
	n := 0
	for _, p := range Split(routes) {
		n += routeLen(p)
	}
	return n <= routeRoom(standardSize)
}

// encodeRoutes writes as many routes as room octets take.
func encodeRoutes(routes []netip.Prefix, room int) []byte {
	var b []byte
	for _, p := range Split(routes) {
		if len(b)+routeLen(p) <= room {
			b = appendRoute(b, p)
		}
	}
	return b
}

// encodeServers writes IPv4 addresses, as many as one option takes.
func encodeServers(servers []netip.Addr) []byte {
	var b []byte
	for _, a := range servers {
		if a.Is4() && len(b)+4 <= maxOption {
			b = append(b, a.AsSlice()...)
		}
	}
	return b
}
