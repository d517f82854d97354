package dae

import (
	"crypto/x509"
	"fmt"
	"net/netip"

	"bridgehead/auth"
)

// Client is whoever may send requests.
type Client struct {
	Name      string // for logs and figures
	Addresses []netip.Prefix
	// Secret is shared with the client for UDP; empty: it comes over TLS only.
	Secret auth.Secret
	// TLSNames are names of which its certificate must carry one, as DNS name or
	// address among the alternative names; none: it comes over UDP only.
	TLSNames []string
	// AllowUnsigned takes requests over UDP without Message-Authenticator. Their
	// Request Authenticator, a plain MD5 over the secret, still protects them,
	// but against fewer attackers.
	AllowUnsigned bool
	// AllowUndated takes requests over UDP without Event-Timestamp. Whoever
	// recorded one can then send it again, later, and it has its effect again
	// (RFC 5176 §6.3).
	AllowUndated bool
	// Many lets a request be true of several sessions though it does not say so.
	Many bool
	// NoDisconnect and NoChange refuse the kind of request.
	NoDisconnect, NoChange bool
}

// Format writes which client it is, without its secret.
func (c Client) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%s at %v", c.Name, c.Addresses) }

// ConfigError is a setting of a client that can't work.
type ConfigError struct {
	Client string
	Fault  string // what is wrong and what to do
}

func (e *ConfigError) Error() string { return "client " + e.Client + ": " + e.Fault }

// clients finds clients. It does not change once it is made.
type clients []Client

func newClients(list []Client) (clients, error) {
	seen := make(map[netip.Prefix]string)
	for _, c := range list {
		switch {
		case len(c.Addresses) == 0:
			return nil, &ConfigError{c.Name, "no address; expected the ones that its requests come from"}
		case len(c.Secret) == 0 && len(c.TLSNames) == 0:
			return nil, &ConfigError{c.Name, "neither a secret nor a name for TLS; expected one of them"}
		}
		for _, p := range c.Addresses {
			p = p.Masked()
			other, twice := seen[p]
			if twice && len(c.Secret) > 0 {
				return nil, &ConfigError{c.Name, fmt.Sprintf("%s is an address of %s, too; the secret is chosen by address, so take it out of one", p, other)}
			}
			if len(c.Secret) > 0 {
				seen[p] = c.Name
			}
		}
	}
	return append(clients(nil), list...), nil
}

// byAddress finds the client whose secret protects what comes from an
// address over UDP: the one with the longest prefix (RFC 5176 §2.3).
func (l clients) byAddress(a netip.Addr) *Client {
	var found *Client
	bits := -1
	for i := range l {
		if len(l[i].Secret) == 0 {
			continue
		}
		for _, p := range l[i].Addresses {
			if p.Contains(a) && p.Bits() > bits {
				found, bits = &l[i], p.Bits()
			}
		}
	}
	return found
}

// byCertificate finds the client at an address that a certificate, already
// verified, belongs to.
func (l clients) byCertificate(a netip.Addr, leaf *x509.Certificate) *Client {
	for i := range l {
		if l[i].hasAddress(a) && l[i].hasName(leaf) {
			return &l[i]
		}
	}
	return nil
}

func (c *Client) hasAddress(a netip.Addr) bool {
	for _, p := range c.Addresses {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func (c *Client) hasName(leaf *x509.Certificate) bool {
	for _, name := range c.TLSNames {
		if leaf.VerifyHostname(name) == nil {
			return true
		}
	}
	return false
}
