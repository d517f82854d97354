package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"
)

// AuthRADIUS is [auth.radius]: how RADIUS servers are asked who may come in.
type AuthRADIUS struct {
	Method        string        // MethodEAP or MethodMSCHAPv2; default MethodEAP
	Identity      string        // IdentityClient, IdentityServer or IdentityIKE; default IdentityClient
	NASIdentifier string        // default "": server.name
	StationPort   bool          // the port stands in Called- and Calling-Station-Id; default true
	FramedMTU     int           // the longest EAP packet that servers send, octets; default 1100
	StepTime      time.Duration // how long a server may take for one answer; default 0: until 10s before the login must end
}

// Words of auth.radius.method.
const (
	MethodEAP      = "eap"      // the server ends EAP, whatever the method
	MethodMSCHAPv2 = "mschapv2" // the gateway ends EAP-MSCHAPv2, the server judges (RFC 2548)
)

// Words of auth.radius.identity: who asks for the EAP identity.
const (
	IdentityClient = "client" // the gateway asks the client
	IdentityServer = "server" // the server does (EAP-Start)
	IdentityIKE    = "ike"    // nobody does: the IKE identity is taken
)

// RADIUSServer is [radius.NAME].
type RADIUSServer struct {
	Name       string
	Address    string     // host or host:port; port 1812, over TLS 2083; required
	Accounting string     // the same for accounting; default "": the same host, port 1813; over TLS the same connection
	Secret     string     // a file, or CredentialPrefix and a name; required but over TLS
	Source     netip.Addr // to ask from; default: what the system chooses
	Realms     []string   // in lower case; empty: users of all realms that no other server has
	Priority   int        // servers of the lowest are asked first; default 0
	Weight     int        // share of the logins among servers of one priority; default 1
	// Unsigned takes replies without Message-Authenticator; default false.
	Unsigned bool
	// StatusServer has the server asked whether it lives (RFC 5997); default true.
	StatusServer bool
	TLS          RADIUSTLS
}

// RADIUSTLS is [radius.NAME.tls]: RADIUS over TLS (RFC 6614).
type RADIUSTLS struct {
	CA          string // PEM file with who may sign the server's certificate
	Certificate string // PEM file with the gateway's own, leaf or leaf and chain
	Key         string // PEM file with its key
	Name        string // in the server's certificate; default "": the host of the address
}

// Used tells whether the server is spoken to over TLS.
func (t RADIUSTLS) Used() bool { return t != (RADIUSTLS{}) }

// CredentialPrefix is what a secret begins with that systemd hands over
// (LoadCredential=).
const CredentialPrefix = "credential:"

// Ports of RADIUS (RFC 2865 §3, RFC 2866 §3, RFC 6614 §2.1).
const (
	radiusPort, radiusAccountingPort, radiusTLSPort = 1812, 1813, 2083
)

// Setting is the path of one of the server's settings.
func (s RADIUSServer) Setting(key string) string { return "radius." + s.Name + "." + key }

// Endpoint is the address as host:port.
func (s RADIUSServer) Endpoint() string {
	port := radiusPort
	if s.TLS.Used() {
		port = radiusTLSPort
	}
	return withPort(s.Address, port)
}

// AccountingEndpoint is where accounting goes, as host:port; over TLS it is the
// same as Endpoint unless it is set.
func (s RADIUSServer) AccountingEndpoint() string {
	switch {
	case s.Accounting != "":
		return withPort(s.Accounting, radiusAccountingPort)
	case s.TLS.Used():
		return s.Endpoint()
	}
	return withPort(s.host(), radiusAccountingPort)
}

// host is the address without its port.
func (s RADIUSServer) host() string {
	if host, _, err := net.SplitHostPort(s.Address); err == nil {
		return host
	}
	return s.Address
}

// withPort adds a port where there is none.
func withPort(address string, port int) string {
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), strconv.Itoa(port))
}

// sameRealms tells whether two servers know the same users.
func (s RADIUSServer) sameRealms(o RADIUSServer) bool {
	a, b := slices.Sorted(slices.Values(s.Realms)), slices.Sorted(slices.Values(o.Realms))
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

// RADIUSGroups puts servers together that know the same users: those with the
// same realms, in the order of the files.
func (c *Config) RADIUSGroups() [][]RADIUSServer {
	var groups [][]RADIUSServer
next:
	for _, s := range c.RADIUS {
		for i := range groups {
			if groups[i][0].sameRealms(s) {
				groups[i] = append(groups[i], s)
				continue next
			}
		}
		groups = append(groups, []RADIUSServer{s})
	}
	return groups
}

// radiusServer gives a server by its name; it is made where it is new.
func (c *Config) radiusServer(name string) *RADIUSServer {
	for i := range c.RADIUS {
		if c.RADIUS[i].Name == name {
			return &c.RADIUS[i]
		}
	}
	c.RADIUS = append(c.RADIUS, RADIUSServer{Name: name, Weight: 1, StatusServer: true})
	return &c.RADIUS[len(c.RADIUS)-1]
}

// radiusTable is [radius.NAME].
var radiusTable = table{
	name: "radius", one: "RADIUS server", after: "auth.radius", example: `address = "192.0.2.10"`,
	settings: func(name string) []setting {
		path := RADIUSServer{Name: name}.Setting
		server := func(c *Config) *RADIUSServer { return c.radiusServer(name) }
		return []setting{
			need(one(path("address"), "host or host:port; the port is 1812, over TLS 2083", endpointKind(), func(c *Config) *string { return &server(c).Address })),
			one(path("accounting"), `the same for accounting; "": port 1813 of the same host, over TLS the same connection`, optional(endpointKind()), func(c *Config) *string { return &server(c).Accounting }),
			one(path("secret_file"), `file with what is shared with the server, or "credential:NAME" of systemd; not over TLS`, optional(secretKind()), func(c *Config) *string { return &server(c).Secret }),
			one(path("source"), `the gateway's address to ask from; "": what the system chooses`, optionalAddress(), func(c *Config) *netip.Addr { return &server(c).Source }),
			many(path("realms"), "users of these realms; none listed: all whose realm no other server has", realmKind(), func(c *Config) *[]string { return &server(c).Realms }),
			one(path("priority"), "servers with the lowest are asked first, the others where those are silent", number(0, 1000), func(c *Config) *int { return &server(c).Priority }),
			one(path("weight"), "share of the logins among servers of one priority", number(0, 1000), func(c *Config) *int { return &server(c).Weight }),
			one(path("message_authenticator"), "whether replies must have one (RFC 3579); without, they can be forged", unsignedKind(), func(c *Config) *bool { return &server(c).Unsigned }),
			one(path("status_server"), "ask whether the server lives (RFC 5997)", boolKind(), func(c *Config) *bool { return &server(c).StatusServer }),
			one(path("tls.ca"), "RADIUS over TLS: PEM file with who may sign the server's certificate", optional(pathKind()), func(c *Config) *string { return &server(c).TLS.CA }),
			one(path("tls.certificate"), "PEM file with the gateway's own certificate, leaf or leaf and chain", optional(pathKind()), func(c *Config) *string { return &server(c).TLS.Certificate }),
			one(path("tls.key"), "PEM file with its key", optional(pathKind()), func(c *Config) *string { return &server(c).TLS.Key }),
			one(path("tls.name"), `name in the server's certificate; "": the host of the address`, optional(certificateNameKind()), func(c *Config) *string { return &server(c).TLS.Name }),
		}
	},
	names: func(c *Config) []string {
		var list []string
		for _, s := range c.RADIUS {
			list = append(list, s.Name)
		}
		return list
	},
}

// endpointKind is a host, with or without a port.
func endpointKind() kind[string] {
	return kind[string]{unstable.String, `a host, such as "192.0.2.10", "radius.example.org" or "[2001:db8::10]:1812"`, parseText(func(s string) (string, error) {
		if _, err := netip.ParseAddr(s); err == nil {
			return s, nil
		}
		host, port, err := net.SplitHostPort(s)
		if err != nil {
			host = s
		} else if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", fmt.Errorf("has the port %q", port)
		}
		if _, err := netip.ParseAddr(host); err == nil {
			return s, nil
		}
		if _, err := domainName(host); err != nil {
			return "", errors.New("is neither an address nor a DNS name")
		}
		return s, nil
	}), quoted[string]}
}

// secretKind is a file, or a credential of systemd.
func secretKind() kind[string] {
	k := pathKind()
	k.expected = `a path, such as "/etc/bridgehead/radius.secret", or "credential:NAME"`
	file := k.parse
	k.parse = func(v *value) (string, error) {
		name, ok := strings.CutPrefix(v.text, CredentialPrefix)
		switch {
		case !ok:
			return file(v)
		case name == "" || strings.ContainsAny(name, "/\x00") || name == "." || name == "..":
			return "", &unquotedError{"what follows \"" + CredentialPrefix + "\" is no name of a credential"}
		}
		return v.text, nil
	}
	return k
}

func optionalAddress() kind[netip.Addr] {
	k := addressKind()
	parse := k.parse
	k.parse = func(v *value) (netip.Addr, error) {
		if v.text == "" {
			return netip.Addr{}, nil
		}
		return parse(v)
	}
	k.format = func(a netip.Addr) string {
		if !a.IsValid() {
			return `""`
		}
		return quoted(a)
	}
	return k
}

func realmKind() kind[string] {
	k := domainKind()
	k.expected = `a realm, such as "example.org" of alice@example.org`
	parse := k.parse
	k.parse = func(v *value) (string, error) {
		s, err := parse(v)
		return strings.ToLower(s), err
	}
	return k
}

// unsignedKind is radius.NAME.message_authenticator.
func unsignedKind() kind[bool] {
	const required, optional = "required", "optional"
	words := choice(required, optional)
	return kind[bool]{unstable.String, words.expected, func(v *value) (bool, error) {
		w, err := words.parse(v)
		return w == optional, err
	}, func(unsigned bool) string {
		if unsigned {
			return quoted(optional)
		}
		return quoted(required)
	}}
}

// certificateNameKind is a name that a certificate must hold.
func certificateNameKind() kind[string] {
	return kind[string]{unstable.String, `a DNS name or an address, such as "radius.example.org"`, parseText(func(s string) (string, error) {
		if _, err := netip.ParseAddr(s); err == nil {
			return s, nil
		}
		return domainName(s)
	}), quoted[string]}
}
