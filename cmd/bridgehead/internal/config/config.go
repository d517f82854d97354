package config

import (
	"log/slog"
	"net/netip"
	"time"

	"bridgehead/ikev2"
	"bridgehead/ikev2/hostnet"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// Config is a gateway's whole configuration. Load fills it, Default gives the
// one that an empty file would mean.
type Config struct {
	Server     Server
	Addresses  Addresses
	Pools      []NamedPool    // [pools.NAME], in the order of the files; empty: only the default one
	RADIUS     []RADIUSServer // [radius.NAME], in the order of the files; empty: none
	Groups     []Group        // [groups.NAME], in the order of the files; empty: none
	DAE        DAE
	Accounting Accounting
	IKE        IKE
	ESP        ESP
	Sessions   Sessions
	DataPlane  DataPlane
	NAT        NAT
	Hooks      Hooks
	Auth       Auth
	Log        Log
	Paths      Paths

	file    string
	entries map[string]*entry  // what the files set, by setting path
	headers map[string]locator // where each section begins
	unread  bool               // a file could not be parsed
}

// Server is [server]: who the gateway is and where it listens.
type Server struct {
	Name         string       // what clients type; required
	Certificates []string     // PEM files, leaf or leaf and chain; required
	Keys         []string     // PEM files, one for each certificate; required
	Chain        []string     // files or folders with intermediates; empty: none
	Listen       []netip.Addr // empty: every address, IPv4 and IPv6
	IKEPort      uint16       // default 500
	NATTPort     uint16       // default 4500
}

// Addresses is [addresses]: what a client gets.
type Addresses struct {
	Pools   []Pool         // of users for whom no other pool is named; required
	DNS     []netip.Addr   // empty: clients keep their own
	Subnets []netip.Prefix // what clients may reach; empty: everything
	Domains []string       // split DNS (RFC 8598); empty: none
	// Announce is the interface on which the gateway answers ARP and NDP for
	// clients; empty: none.
	Announce string
	// DHCPInform answers the DHCPINFORM of Windows, which takes its split routes
	// from there; default true.
	DHCPInform bool
}

// IKE is [ike].
type IKE struct {
	Proposals          suite.Proposals // default suite.DefaultIKE
	Order              suite.Order     // default "gateway"
	FragmentSize       int             // octets of an IP packet; default 1280; RFC 7383
	DPD                time.Duration   // silence before a client is asked for life; default 40m, "0" never asks
	LoginTimeout       time.Duration   // from the first message to the end of the login; default 60s, for a person types the password
	HalfOpenPerAddress int             // logins under way from one address; default 256
	HalfOpenTotal      int             // logins under way in all; default 10000
	CookieThreshold    int             // logins under way from which on cookies are asked for; default 128; RFC 7296 §2.6
	Encap              []Encap         // where clients are told of a NAT that is none; default EncapAuto
	Childless          bool            // clients may log in without a Child SA (RFC 6023); default true
	MOBIKE             bool            // clients may change their network (RFC 4555); default true
	Rekey              time.Duration   // age at which the gateway replaces an IKE SA; default 0: never
	QuirksOff          []ikev2.Quirk   // allowances for clients that are not made; empty: all are
}

// ESP is [esp].
type ESP struct {
	Proposals    suite.Proposals // default suite.DefaultESP
	Rekey        time.Duration   // age at which the gateway replaces a Child SA; default 0: never
	RekeyBytes   uint64          // the same by octets in one direction; default 0: never
	RekeyPackets uint64          // the same by packets in one direction; default 0: never
}

// Encap is a word of ike.encap.
type Encap string

// Words of ike.encap. EncapAuto and EncapNone stand alone.
const (
	EncapAuto Encap = "auto" // IPv4 where the data plane is userspace, which is quicker so
	EncapNone Encap = "none" // only where there is a NAT
	EncapIPv4 Encap = "ipv4"
	EncapIPv6 Encap = "ipv6"
)

// Sessions is [sessions]: how many, and how long.
type Sessions struct {
	Unique  ikev2.Unique  // of a client's sessions; default ikev2.UniqueNo
	Timeout time.Duration // the longest a session may last; default 0: for ever
	Idle    time.Duration // the longest without traffic; default 0: for ever
}

// DataPlane is [dataplane]: how user traffic is moved.
type DataPlane struct {
	Kind   string // "auto", "kernel" or "userspace"; default "auto"
	Device string // name of the TUN device, %d becoming a free number; default "bridgehead%d"
	MTU    int    // of the TUN device, octets; default 1400
	// OutputMark is the netfilter mark of protected packets on their way to
	// clients, which kernel ESP alone sets; default 0: none.
	OutputMark uint32
	// Forward makes the host a router while the gateway runs, where it is none
	// yet, and lets it answer NDP for clients; default true.
	Forward bool
}

// SettingPlane is the setting that takes one of the names of data planes.
const SettingPlane = "dataplane.kind"

// Names of the data planes. PlaneAuto is the kernel's where it can do all that the
// configuration asks for.
const (
	PlaneAuto      = "auto"
	PlaneKernel    = "kernel"
	PlaneUserspace = "userspace"
)

// NAT is [nat]: what the gateway's host does with forwarded traffic.
type NAT struct {
	Masquerade bool // clients appear with the gateway's own address; default false
}

// Hooks is [hooks]: programs of the site.
type Hooks struct {
	UpDown  string        // hears of sessions as strongSwan's updown script does; empty: none
	Timeout time.Duration // of one run; default 10s
}

// Auth is [auth]: who decides.
type Auth struct {
	Backends   []string // asked in this order; default BackendFile alone
	Outage     string   // of one of several; default OutageRefuse
	Rules      []Rule   // [auth.rules.NAME], in the order of the files: the first that matches holds
	BreakGlass BreakGlass
	File       AuthFile
	RADIUS     AuthRADIUS
	LDAP       AuthLDAP
}

// Backends.
const (
	BackendFile   = "file"   // a local file
	BackendLDAP   = "ldap"   // a directory with NT hashes
	BackendRADIUS = "radius" // the servers of [radius.NAME]
)

// AuthFile is [auth.file].
type AuthFile struct {
	Path   string // default /etc/bridgehead/users
	Format string // "auto", "users" or "ipsec.secrets"; default "auto": told from the content
}

// Formats of the file of users.
const (
	FormatAuto    = "auto"
	FormatUsers   = "users"
	FormatSecrets = "ipsec.secrets"
)

// Log is [log].
type Log struct {
	Level  slog.Level // default info
	Format string     // "auto", "text" or "json"; default "auto": text on a terminal, else JSON
}

// Formats of the log.
const (
	LogAuto = "auto"
	LogText = "text"
	LogJSON = "json"
)

// Paths is [paths].
type Paths struct {
	State   string // default /var/lib/bridgehead
	Control string // the control socket; default /run/bridgehead/control.sock
}

// DefaultFile is where the configuration is looked for.
const DefaultFile = "/etc/bridgehead/bridgehead.toml"

// DefaultControl is where the control socket is looked for.
const DefaultControl = "/run/bridgehead/control.sock"

// Default gives the configuration of an empty file: what is required is empty.
func Default() *Config {
	return &Config{
		Server:    Server{IKEPort: 500, NATTPort: 4500},
		Addresses: Addresses{DHCPInform: true},
		IKE: IKE{
			Proposals: suite.DefaultIKE(), Order: suite.GatewayOrder,
			FragmentSize: 1280, DPD: 40 * time.Minute, LoginTimeout: time.Minute,
			HalfOpenPerAddress: 256, HalfOpenTotal: 10000, CookieThreshold: 128,
			Encap: []Encap{EncapAuto}, Childless: true, MOBIKE: true,
		},
		ESP:       ESP{Proposals: suite.DefaultESP()},
		DataPlane: DataPlane{Kind: PlaneAuto, Device: "bridgehead%d", MTU: 1400, Forward: true},
		Hooks:     Hooks{Timeout: hostnet.DefaultScriptTimeout},
		Auth: Auth{
			Backends: []string{BackendFile}, Outage: OutageRefuse, File: AuthFile{Path: "/etc/bridgehead/users", Format: FormatAuto},
			LDAP:   defaultLDAP(),
			RADIUS: AuthRADIUS{Method: MethodEAP, Identity: IdentityClient, StationPort: true, FramedMTU: 1100},
		},
		Accounting: Accounting{Backend: AccountingNone, Interim: 10 * time.Minute, SpoolLimit: 64 << 20, WhenFull: FullDropInterims},
		Log:        Log{Level: slog.LevelInfo, Format: LogAuto},
		Paths:      Paths{State: "/var/lib/bridgehead", Control: DefaultControl},
		file:       DefaultFile,
		entries:    map[string]*entry{},
		headers:    map[string]locator{},
	}
}

// File is the main file's path, as it was given to Load.
func (c *Config) File() string { return c.file }

func parseIKE(s string) (suite.Proposals, error) { return suite.ParseProposals(message.ProtocolIKE, s) }
func parseESP(s string) (suite.Proposals, error) { return suite.ParseProposals(message.ProtocolESP, s) }
