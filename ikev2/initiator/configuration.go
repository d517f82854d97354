package initiator

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"bridgehead/ikev2/message"
)

// Configuration is what the gateway gave this client (RFC 7296 §2.19).
type Configuration struct {
	Addresses []netip.Prefix // /32 and /128 unless the gateway says otherwise
	DNS       []netip.Addr
	Domains   []string // split DNS (RFC 8598)
	Subnets   []netip.Prefix
	Version   string
}

// maxConfigured bounds the values kept of one kind.
const maxConfigured = 32

// attributes is what to ask for: the profile's without what the Config leaves
// out.
func (sa *SA) attributes() []message.CPAttribute {
	return slices.DeleteFunc(slices.Clone(sa.cfg.Profile.Attributes), func(a message.CPAttribute) bool {
		switch a.Type {
		case message.InternalIP4Address, message.InternalIP4Netmask, message.InternalIP4DHCP, message.InternalIP4NBNS, message.InternalIP4Server:
			return sa.cfg.NoIPv4
		case message.InternalIP6Address, message.InternalIP6DHCP, message.InternalIP6Server:
			return sa.cfg.NoIPv6
		case message.InternalIP4DNS:
			return sa.cfg.NoDNS || sa.cfg.NoIPv4
		case message.InternalIP6DNS:
			return sa.cfg.NoDNS || sa.cfg.NoIPv6
		case message.InternalDNSDomain:
			return sa.cfg.NoDNS
		}
		return false
	})
}

// configure takes the configuration reply. If addresses were asked for, one at
// least must come.
func (sa *SA) configure(ps []message.Payload) error {
	asked := sa.attributes()
	wants := slices.ContainsFunc(asked, func(a message.CPAttribute) bool {
		return a.Type == message.InternalIP4Address || a.Type == message.InternalIP6Address
	})
	for cp := range message.All[*message.CP](ps) {
		if cp.Kind == message.CPReply {
			c, err := parseConfiguration(cp.Attributes)
			if err == nil {
				err = sa.cfg.Profile.Demands.onReply(cp.Attributes)
			}
			if err != nil {
				return &ProtocolError{at{StepFinal}, err}
			}
			sa.result.Config = c
			break
		}
	}
	if wants && len(sa.result.Config.Addresses) == 0 {
		return &ProtocolError{at{StepFinal}, errors.New("ikev2: it assigned no address; give the connection a pool")}
	}
	return nil
}

func parseConfiguration(as []message.CPAttribute) (Configuration, error) {
	var c Configuration
	bits := 32
	for _, a := range as {
		if len(a.Value) == 0 {
			continue
		}
		var err error
		switch a.Type {
		case message.InternalIP4Address:
			err = c.addAddress(a, 4, 32)
		case message.InternalIP6Address:
			err = c.addIPv6Address(a)
		case message.InternalIP4Netmask:
			bits, err = maskBits(a)
		case message.InternalIP4DNS, message.InternalIP6DNS:
			err = c.addDNS(a)
		case message.InternalIP4Subnet, message.InternalIP6Subnet:
			err = c.addSubnet(a)
		case message.InternalDNSDomain:
			if len(c.Domains) < maxConfigured {
				c.Domains = append(c.Domains, string(a.Value))
			}
		case message.ApplicationVersion:
			c.Version = string(a.Value)
		}
		if err != nil {
			return c, err
		}
	}
	for i, p := range c.Addresses {
		if p.Addr().Is4() {
			c.Addresses[i] = netip.PrefixFrom(p.Addr(), bits)
		}
	}
	return c, nil
}

func badAttribute(a message.CPAttribute) error {
	return fmt.Errorf("ikev2: %s of %d octets in the configuration reply", a.Type, len(a.Value))
}

func (c *Configuration) addAddress(a message.CPAttribute, octets, bits int) error {
	addr, ok := netip.AddrFromSlice(a.Value[:min(octets, len(a.Value))])
	if !ok || len(a.Value) < octets {
		return badAttribute(a)
	}
	if len(c.Addresses) < maxConfigured {
		c.Addresses = append(c.Addresses, netip.PrefixFrom(addr, bits))
	}
	return nil
}

// addIPv6Address reads the address and its prefix length (RFC 7296 §3.15.1).
func (c *Configuration) addIPv6Address(a message.CPAttribute) error {
	if p, ok := a.Prefix(); ok && p.Addr().Is6() {
		return c.addAddress(a, 16, p.Bits())
	}
	if len(a.Value) != 16 {
		return badAttribute(a)
	}
	return c.addAddress(a, 16, 128)
}

func (c *Configuration) addDNS(a message.CPAttribute) error {
	addr, ok := netip.AddrFromSlice(a.Value)
	if !ok || addr.Is4() != (a.Type == message.InternalIP4DNS) {
		return badAttribute(a)
	}
	if len(c.DNS) < maxConfigured {
		c.DNS = append(c.DNS, addr)
	}
	return nil
}

func (c *Configuration) addSubnet(a message.CPAttribute) error {
	p, ok := a.Prefix()
	if !ok || p.Addr().Is4() != (a.Type == message.InternalIP4Subnet) {
		return badAttribute(a)
	}
	if len(c.Subnets) < maxConfigured {
		c.Subnets = append(c.Subnets, p)
	}
	return nil
}

// maskBits is the prefix length of an IPv4 netmask.
func maskBits(a message.CPAttribute) (int, error) {
	if len(a.Value) != 4 {
		return 0, badAttribute(a)
	}
	bits, size := net.IPMask(a.Value).Size()
	if size == 0 {
		return 0, fmt.Errorf("ikev2: %s %v is no netmask", a.Type, a.Value)
	}
	return bits, nil
}
