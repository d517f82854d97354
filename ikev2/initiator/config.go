package initiator

import (
	"cmp"
	"crypto/rand"
	"crypto/x509"
	"io"
	"net/netip"
	"strings"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// Well-known ports (RFC 7296 §2.23).
const (
	DefaultIKEPort  = 500
	DefaultNATTPort = 4500
)

// Config is one client. The zero value of each field is a working default
// unless it says otherwise; Server, User and Password are needed.
type Config struct {
	Server   string // the gateway's name or address; resolved by Dial
	IKEPort  uint16 // 0: 500
	NATTPort uint16 // 0: 4500

	// ServerName is sent as IDr and must stand in the gateway's certificate,
	// as dNSName or, if it is an address, as iPAddress. Empty: no IDr is sent
	// and the certificate must carry Server.
	ServerName string
	// Roots are the authorities trusted to issue the gateway's certificate;
	// nil means the system's.
	Roots *x509.CertPool
	// RequireServerAuth refuses certificates without the extended key usage
	// serverAuth, as Windows and Apple do.
	RequireServerAuth bool
	// Authorities are named in the CERTREQ payload. It goes out without them
	// too, unless the profile sends none: some gateways send their certificate
	// only if asked.
	Authorities []*x509.Certificate

	// Identity is sent as IDi; nil leaves it to the profile: the outer address,
	// or derived from User: an address, user@realm as ID_RFC822_ADDR, else
	// ID_FQDN.
	Identity *message.ID
	User     string // the name in EAP and MSCHAPv2
	Password auth.Secret
	// NewPassword is what an expired password is changed to, where the gateway
	// lets it be (RFC 2759 §7); nil: an expired password ends the login.
	NewPassword auth.Secret

	// Profile is the client's look on the wire; nil is DefaultProfile.
	Profile *Profile
	IKE     suite.Proposals // nil: the profile's
	ESP     suite.Proposals // nil: the profile's

	NoIPv4, NoIPv6, NoDNS bool // leave these out of the configuration request

	// LocalSelectors and RemoteSelectors are TSi and TSr of the Child SA; nil
	// asks for everything of both families.
	LocalSelectors, RemoteSelectors []message.Selector

	// InitialContact has the gateway drop what it still holds for this
	// identity (RFC 7296 §2.4).
	InitialContact bool
	// MOBIKE announces that this client may move (RFC 4555), see Move. Profiles
	// of clients that always do so need no word of it.
	MOBIKE bool
	// ForceEncap announces a NAT at this end that may not be there, so that
	// the gateway encapsulates ESP in UDP. A userspace data plane over IPv4
	// needs it.
	ForceEncap bool
	// KeepAlive is the interval of NAT keepalives (RFC 3948 §2.3) while a NAT
	// was detected in front of this end; 0 means the profile's, negative never.
	KeepAlive time.Duration
	// Retransmit is the schedule of our requests; zero means the profile's.
	Retransmit exchange.Retransmit

	// Plane gets the Child SA; nil negotiates one that moves nothing.
	Plane esp.DataPlane

	Rand io.Reader        // nil: crypto/rand
	Now  func() time.Time // nil: time.Now
}

// withDefaults gives c with everything filled in that has a default. It is
// the one place where the system's clock and randomness come in.
func (c Config) withDefaults() Config {
	if c.IKEPort == 0 {
		c.IKEPort = DefaultIKEPort
	}
	if c.NATTPort == 0 {
		c.NATTPort = DefaultNATTPort
	}
	if c.Profile == nil {
		c.Profile = DefaultProfile()
	}
	if c.Retransmit == (exchange.Retransmit{}) {
		c.Retransmit = c.Profile.Retransmit
	}
	if c.KeepAlive == 0 {
		c.KeepAlive = cmp.Or(c.Profile.Habits.KeepAlive, 20*time.Second)
	}
	c.ForceEncap = c.ForceEncap || c.Profile.ForgeNAT
	c.MOBIKE = c.MOBIKE || c.Profile.Moves()
	if c.LocalSelectors == nil {
		c.LocalSelectors = everything()
	}
	if c.RemoteSelectors == nil {
		c.RemoteSelectors = everything()
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// certificateName is the name the gateway's certificate must carry.
func (c *Config) certificateName() string {
	if c.ServerName != "" {
		return c.ServerName
	}
	return c.Server
}

// identityOf is the identity that a user name reads as.
func identityOf(name string) *message.ID {
	kind := message.IDFQDN
	if a, err := netip.ParseAddr(name); err == nil {
		return addressID(a)
	}
	if strings.Contains(name, "@") {
		kind = message.IDRFC822Addr
	}
	return &message.ID{Kind: kind, Data: []byte(name)}
}

func addressID(a netip.Addr) *message.ID {
	if a = a.Unmap(); a.Is4() {
		return &message.ID{Kind: message.IDIPv4Addr, Data: a.AsSlice()}
	}
	return &message.ID{Kind: message.IDIPv6Addr, Data: a.AsSlice()}
}

// everything selects all traffic of both families.
func everything() []message.Selector {
	v4, v6 := netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")
	return []message.Selector{message.SelectorOf(v4), message.SelectorOf(v6)}
}
