package provision

import (
	"crypto/x509"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"bridgehead/ikev2/suite"
)

// Client is a kind of VPN software.
type Client string

// The kinds of clients.
const (
	Windows        Client = "windows"        // built in, 10 and later
	Apple          Client = "apple"          // built in, iOS and macOS
	Android        Client = "android"        // the strongSwan app
	NetworkManager Client = "networkmanager" // with strongSwan's plug-in
	StrongSwan     Client = "strongswan"     // swanctl and charon-cmd
)

// Clients are all kinds, in the order in which to show them.
func Clients() []Client { return []Client{Windows, Apple, Android, NetworkManager, StrongSwan} }

// Gateway is what clients must know of a gateway.
type Gateway struct {
	Server            string // what clients dial: a DNS name or an address; the certificate carries it
	IKEPort, NATTPort uint16 // 500 and 4500, unless it is for tests or behind a redirection

	Certificate *x509.Certificate // the one that clients get to see
	Authority   *x509.Certificate // the root that clients must trust first; nil: they have it

	IKE, ESP suite.Proposals // what is accepted

	IPv4, IPv6 bool           // families of the addresses that clients get
	Subnets    []netip.Prefix // what clients reach; empty: everything
	DNS        []netip.Addr   // name servers that clients get
	Domains    []string       // names that those servers answer for; empty: all
}

// Connection is what a user sees at the client.
type Connection struct {
	Name string // of the connection
	User string // ""; the client asks
}

// Profile sets up one client.
type Profile struct {
	Client    Client   `json:"client"`     // the kind of client it sets up
	File      string   `json:"file"`       // a name for it, with the ending that the client expects
	MediaType string   `json:"media_type"` // to serve it with
	Text      string   `json:"text"`       // UTF-8
	IKE       string   `json:"ike"`        // what the client will propose, in the words of suite
	ESP       string   `json:"esp"`        // the same of the Child SA
	Notes     []string `json:"notes"`      // what is left to do, or to know
}

// Profile writes the profile for a client. The error is a *NameError, a
// *PortError or a *SuiteError.
func (g Gateway) Profile(c Client, conn Connection) (*Profile, error) {
	if err := conn.check(c); err != nil {
		return nil, err
	}
	if g.moved() && (c == Windows || c == Apple) {
		return nil, &PortError{Client: c, IKE: g.IKEPort, NATT: g.NATTPort}
	}
	var (
		chosen suites
		err    error
	)
	if chosen.ike, chosen.esp, err = abilities[c].Choose(g.IKE, g.ESP); err != nil {
		return nil, &SuiteError{Client: c, Err: err}
	}
	p := &Profile{Client: c, IKE: chosen.ike.String(), ESP: chosen.esp.String(), Notes: []string{}}
	w := writer{Gateway: g, Connection: conn, suites: chosen}
	switch c {
	case Windows:
		w.windows(p)
	case Apple:
		w.apple(p)
	case Android:
		w.android(p)
	case NetworkManager:
		w.networkManager(p)
	case StrongSwan:
		w.strongSwan(p)
	}
	return p, nil
}

// writer is what all outputs are made of.
type writer struct {
	Gateway
	Connection
	suites
}

// moved tells whether the gateway listens elsewhere than clients expect.
// strongSwan's clients are sent to NATTPort then: they put the non-ESP marker
// before IKE messages (RFC 3948 §2.2) where neither port is 500.
func (g Gateway) moved() bool { return g.IKEPort != 500 || g.NATTPort != 4500 }

// maxName bounds names, in octets: phone books of Windows take 256 characters.
const maxName = 200

// check refuses names that would end a line or hide a part of one, and those
// that a client's own software refuses.
func (conn Connection) check(c Client) error {
	for _, n := range []NameError{{What: connectionName, Name: conn.Name}, {What: "the user's name", Name: conn.User}} {
		switch {
		case !utf8.ValidString(n.Name) || visible(n.Name) != n.Name:
			n.Problem = "holds a character that cannot be seen"
		case len(n.Name) > maxName:
			n.Problem = "is too long"
		case n.Name != strings.TrimSpace(n.Name):
			n.Problem = "begins or ends with a space"
		default:
			continue
		}
		return &n
	}
	if conn.Name == "" {
		return &NameError{What: connectionName, Problem: "is empty"}
	}
	if c == Windows {
		return conn.checkEntry()
	}
	return nil
}

const connectionName = "the connection's name"

// checkEntry refuses what Windows refuses in a phone book (RasValidateEntryName).
func (conn Connection) checkEntry() error {
	problem := ""
	switch {
	case strings.ContainsAny(conn.Name, `|<>?*\/:`):
		problem = `Windows allows none of | < > ? * \ / :`
	case conn.Name[0] == '.':
		problem = "Windows allows no period at the beginning"
	case !strings.ContainsFunc(conn.Name, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }):
		problem = "Windows wants a letter or a digit"
	default:
		return nil
	}
	return &NameError{What: connectionName, Name: conn.Name, Problem: problem}
}

// everything tells whether all traffic of a family goes through the tunnel.
func (g Gateway) everything(family netip.Prefix) bool {
	return len(g.Subnets) == 0 || slices.Contains(g.Subnets, family)
}

var (
	allIPv4 = netip.MustParsePrefix("0.0.0.0/0")
	allIPv6 = netip.MustParsePrefix("::/0")
)

// reached are the destinations of the families that clients have.
func (g Gateway) reached() []netip.Prefix {
	all := g.Subnets
	if len(all) == 0 {
		all = []netip.Prefix{allIPv4, allIPv6}
	}
	return slices.DeleteFunc(slices.Clone(all), func(p netip.Prefix) bool {
		return p.Addr().Is4() && !g.IPv4 || p.Addr().Is6() && !g.IPv6
	})
}

// slug is the server's name where only letters, digits and hyphens may stand.
func (g Gateway) slug() string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '-'
	}, g.Server)
}

// visible replaces characters that would end a line or hide a part of it.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// words joins what prints itself.
func words[T interface{ String() string }](list []T, separator string) string {
	texts := make([]string, len(list))
	for i, x := range list {
		texts[i] = x.String()
	}
	return strings.Join(texts, separator)
}
