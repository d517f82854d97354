package config

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"

	"github.com/pelletier/go-toml/v2/unstable"
)

// DAE is [dae]: who may end and change sessions over RADIUS (RFC 5176).
type DAE struct {
	Listen  []netip.AddrPort // for UDP; empty: not over UDP
	TLS     DAETLS
	Clients []DAEClient // [dae.clients.NAME], in the order of the files
}

// DAETLS is [dae.tls]: the same over TLS (RFC 6614).
type DAETLS struct {
	Listen      []netip.AddrPort // empty: not over TLS
	CA          string           // PEM file with who may sign clients' certificates
	Certificate string           // PEM file; default "": the first of server.certificate
	Key         string           // PEM file; default "": the first of server.key
}

// DAEClient is [dae.clients.NAME].
type DAEClient struct {
	Name         string
	Addresses    []netip.Prefix // that it sends from; required
	Secret       string         // a file, or CredentialPrefix and a name; empty: over TLS only
	TLSNames     []string       // one of which its certificate carries; empty: over UDP only
	Unsigned     bool           // takes requests without Message-Authenticator; default false
	Undated      bool           // takes requests without Event-Timestamp; default false
	Many         bool           // may end several sessions by one request; default false
	NoDisconnect bool           // default false
	NoChange     bool           // default false
}

// Ports of dynamic authorization (RFC 5176 §2, RFC 6614 §2.1).
const (
	daePort    = 3799
	daeTLSPort = radiusTLSPort
)

// Used tells whether anybody is listened to.
func (d *DAE) Used() bool { return len(d.Listen)+len(d.TLS.Listen) > 0 }

// Setting is the path of one of the client's settings.
func (c DAEClient) Setting(key string) string { return "dae.clients." + c.Name + "." + key }

// daeClient gives a client by its name; it is made where it is new.
func (c *Config) daeClient(name string) *DAEClient {
	for i := range c.DAE.Clients {
		if c.DAE.Clients[i].Name == name {
			return &c.DAE.Clients[i]
		}
	}
	c.DAE.Clients = append(c.DAE.Clients, DAEClient{Name: name})
	return &c.DAE.Clients[len(c.DAE.Clients)-1]
}

// daeClientTable is [dae.clients.NAME].
var daeClientTable = table{
	name: "dae.clients", one: "client of dynamic authorization", after: "dae.tls", example: `address = "192.0.2.10"`,
	settings: func(name string) []setting {
		path := DAEClient{Name: name}.Setting
		client := func(c *Config) *DAEClient { return c.daeClient(name) }
		return []setting{
			need(many(path("address"), "addresses or prefixes that it sends from", originKind(), func(c *Config) *[]netip.Prefix { return &client(c).Addresses })),
			one(path("secret_file"), `file with what is shared with the client, or "credential:NAME" of systemd; "": it comes over TLS only`, optional(secretKind()), func(c *Config) *string { return &client(c).Secret }),
			many(path("tls_name"), "names of which its certificate must carry one; none listed: it comes over UDP only", certificateNameKind(), func(c *Config) *[]string { return &client(c).TLSNames }),
			one(path("message_authenticator"), "whether requests over UDP must have one", unsignedKind(), func(c *Config) *bool { return &client(c).Unsigned }),
			one(path("event_timestamp"), "whether requests over UDP must have one (RFC 5176 §6.3); without, a recorded request has its effect again", unsignedKind(), func(c *Config) *bool { return &client(c).Undated }),
			one(path("many"), "one request may end or change several sessions, such as all of a user", boolKind(), func(c *Config) *bool { return &client(c).Many }),
			one(path("disconnect"), "it may end sessions", notKind(), func(c *Config) *bool { return &client(c).NoDisconnect }),
			one(path("coa"), "it may change sessions", notKind(), func(c *Config) *bool { return &client(c).NoChange }),
		}
	},
	names: func(c *Config) []string {
		var list []string
		for _, d := range c.DAE.Clients {
			list = append(list, d.Name)
		}
		return list
	},
}

// originKind is an address or a prefix.
func originKind() kind[netip.Prefix] {
	return kind[netip.Prefix]{unstable.String, `an address or a prefix, such as "192.0.2.10" or "2001:db8::/64"`, parseText(func(s string) (netip.Prefix, error) {
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
		}
		return parsePrefix(s)
	}), func(p netip.Prefix) string {
		if p.IsSingleIP() {
			return quoted(p.Addr())
		}
		return quoted(p)
	}}
}

// socketKind is an address with a port, or with the one of the protocol.
func socketKind(port uint16) kind[netip.AddrPort] {
	expected := `an address, with or without a port, such as "192.0.2.1", "0.0.0.0" or "[::]:` + strconv.Itoa(int(port)) + `"`
	return kind[netip.AddrPort]{unstable.String, expected, parseText(func(s string) (netip.AddrPort, error) {
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			return netip.AddrPortFrom(a.Unmap(), port), nil
		}
		p, err := netip.ParseAddrPort(s)
		if err != nil || p.Addr().Zone() != "" || p.Port() == 0 {
			return p, errors.New("is no address and port")
		}
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port()), nil
	}), quoted[netip.AddrPort]}
}

// notKind is true or false, kept as its opposite: left out, it is true.
func notKind() kind[bool] {
	k := boolKind()
	parse, format := k.parse, k.format
	k.parse = func(v *value) (bool, error) { b, err := parse(v); return !b, err }
	k.format = func(b bool) string { return format(!b) }
	return k
}

// beyondLoopback tells whether others than this host can reach a socket.
func beyondLoopback(list []netip.AddrPort) bool {
	return slices.ContainsFunc(list, func(a netip.AddrPort) bool { return !a.Addr().IsLoopback() })
}
