package ldap

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	client "github.com/go-ldap/ldap/v3"

	"bridgehead/auth"
)

// Config says where users are and what of them is read.
type Config struct {
	Servers []string // URLs, in the order of preference: see ParseURL
	Domain  string   // its DNS SRV records name further servers; empty: none
	TLS     *tls.Config
	// Plaintext allows ldap:// without StartTLS to servers on loopback.
	Plaintext bool

	BindDN   string // empty: anonymous, over ldapi:// or with a certificate SASL EXTERNAL
	Password auth.Secret
	External bool // SASL EXTERNAL instead of BindDN and Password

	Base     string // where users are searched for
	Scope    Scope
	Filter   string // a template, see Template; empty: DefaultFilter
	DN       string // a template for the entry's name itself, in place of Base and Filter
	NameAttr string // whose value is the user's name; empty: DefaultNameAttr
	Exact    bool   // a name in another case is nobody's
	Hash     []string

	Groups     Groups
	Attributes Attributes

	Pool           int           // most connections; 0: DefaultPool
	ConnectTimeout time.Duration // of connection, TLS and bind together; 0: DefaultConnectTimeout
	Timeout        time.Duration // of one search; 0: DefaultTimeout
	Now            func() time.Time
	Log            *slog.Logger
	// Resolve finds the servers of Domain; nil: net.DefaultResolver.
	Resolve *net.Resolver
}

// Defaults of a Config.
const (
	DefaultPool           = 8
	DefaultFilter         = "(uid={name})"
	DefaultGroupFilter    = "(member={dn})"
	DefaultNameAttr       = "uid"
	DefaultConnectTimeout = time.Second
	DefaultTimeout        = 3 * time.Second
)

// DefaultHash are the attributes that hold NT hashes: Samba's and FreeIPA's.
var DefaultHash = []string{"sambaNTPassword", "ipaNTHash"}

// Scope is how far below Base users are.
type Scope int

// Scopes (RFC 4511 §4.5.1.2).
const (
	Subtree Scope = iota // at any depth
	OneLevel
)

// Groups says how a user's groups are found.
type Groups struct {
	Base    string        // where groups are searched for; empty: memberOf of the entry tells
	Filter  string        // a template with {dn} and {name}; empty: DefaultGroupFilter
	Depth   int           // how many levels of groups in groups are followed
	Map     []GroupPolicy // the first that the user is in counts
	Require []string      // names or DNs, of which one must be the user's; none: no matter
}

// used tells whether anybody cares for groups.
func (g Groups) used() bool { return len(g.Map) > 0 || len(g.Require) > 0 }

// GroupPolicy gives the users of a directory's group the policy of a name.
type GroupPolicy struct {
	Group  string // name (the value of the first RDN) or DN
	Policy string // auth.Grant.Group
}

// Attributes names the attributes that hold what a user has of his own; empty:
// none is read.
type Attributes struct {
	IPv4, IPv6, Pool, Pool6, DNS, Routes, Domains, Group string
	SessionTimeout, IdleTimeout                          string // seconds
	MaxSessions                                          string
}

func (a Attributes) list() []string {
	var names []string
	for _, name := range []string{a.IPv4, a.IPv6, a.Pool, a.Pool6, a.DNS, a.Routes, a.Domains, a.Group, a.SessionTimeout, a.IdleTimeout, a.MaxSessions} {
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// Endpoint is one server's address.
type Endpoint struct {
	URL       string // as configured
	Network   string // "tcp" or "unix"
	Address   string // host:port, or the path of a socket
	Host      string // whose certificate is expected; empty for a socket
	Immediate bool   // TLS from the first octet (ldaps)
	Plain     bool   // no TLS at all: a socket, or loopback where allowed
}

// ParseURL reads ldap://HOST[:PORT], which is protected by StartTLS,
// ldaps://HOST[:PORT] or ldapi://PATH with "/" as "%2F". plaintext leaves
// StartTLS out, which only a server on loopback may have.
func ParseURL(s string, plaintext bool) (Endpoint, error) {
	if socket, ok := strings.CutPrefix(s, "ldapi://"); ok { // its host is none that url.Parse takes
		path, err := url.PathUnescape(socket)
		if err != nil || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#\x00") {
			return Endpoint{}, errors.New("names no socket by its whole path, such as ldapi://%2Frun%2Fslapd%2Fldapi")
		}
		return Endpoint{URL: s, Network: "unix", Address: path, Plain: true}, nil
	}
	u, err := url.Parse(s)
	if err != nil {
		return Endpoint{}, errors.New("is no URL")
	}
	e := Endpoint{URL: s, Network: "tcp", Host: u.Hostname()}
	port := u.Port()
	switch {
	case u.Scheme == "ldaps":
		e.Immediate = true
		if port == "" {
			port = "636"
		}
	case u.Scheme == "ldap":
		if port == "" {
			port = "389"
		}
	default:
		return Endpoint{}, errors.New("begins with neither ldap://, ldaps:// nor ldapi://")
	}
	if e.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return Endpoint{}, errors.New("must be a scheme, a host and perhaps a port alone")
	}
	e.Address = net.JoinHostPort(e.Host, port)
	if plaintext && !e.Immediate {
		if !isLoopback(e.Host) {
			return Endpoint{}, errors.New("is not on loopback, where alone hashes may travel unprotected")
		}
		e.Plain = true
	}
	return e, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// check fills in defaults and refuses what can't work.
func (c *Config) check() (endpoints []Endpoint, err error) {
	c.setDefaults()
	for _, s := range c.Servers {
		e, err := ParseURL(s, c.Plaintext)
		if err != nil {
			return nil, fmt.Errorf("LDAP server %q %w", s, err)
		}
		endpoints = append(endpoints, e)
	}
	if len(endpoints) == 0 && c.Domain == "" {
		return nil, errors.New("expected an LDAP server or a domain that names some")
	}
	if c.Domain != "" && c.Plaintext {
		return nil, errors.New("servers that DNS names must be spoken to over TLS")
	}
	if c.DN == "" && c.Base == "" {
		return nil, errors.New("expected a search base or a template for DNs")
	}
	for _, filter := range []string{c.Filter, c.Groups.Filter} {
		if err := CheckFilter(filter); err != nil {
			return nil, err
		}
	}
	if c.DN != "" {
		if err := CheckDN(c.DN); err != nil {
			return nil, err
		}
	}
	for _, dn := range []string{c.Base, c.Groups.Base, c.BindDN} {
		if _, err := client.ParseDN(dn); err != nil {
			return nil, fmt.Errorf("%q is no DN: %w", dn, err)
		}
	}
	return endpoints, nil
}

func (c *Config) setDefaults() {
	if c.Filter == "" {
		c.Filter = DefaultFilter
	}
	if c.Groups.Filter == "" {
		c.Groups.Filter = DefaultGroupFilter
	}
	if c.NameAttr == "" {
		c.NameAttr = DefaultNameAttr
	}
	if len(c.Hash) == 0 {
		c.Hash = DefaultHash
	}
	if c.Pool <= 0 {
		c.Pool = DefaultPool
	}
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = DefaultConnectTimeout
	}
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Resolve == nil {
		c.Resolve = net.DefaultResolver
	}
}
