package radius

import (
	"errors"
	"fmt"
	"net/netip"

	"bridgehead/auth"
)

// ipv6Prefix reads a prefix: an octet that says nothing here, the length, and
// as much of the prefix as is not zero (RFC 3162 §2.3).
func ipv6Prefix(b []byte) (netip.Prefix, error) {
	if len(b) < 2 || len(b) > 18 {
		return netip.Prefix{}, fmt.Errorf("%d octets, expected 2 to 18", len(b))
	}
	var whole [16]byte
	copy(whole[:], b[2:])
	if b[1] > 128 {
		return netip.Prefix{}, fmt.Errorf("a prefix of %d bits, expected at most 128", b[1])
	}
	return netip.PrefixFrom(netip.AddrFrom16(whole), int(b[1])), nil
}

// framedPrefix takes an IPv6 prefix of a single address, or one that a
// Framed-Interface-Id makes one.
func framedPrefix(f *filling, b []byte) error {
	p, err := ipv6Prefix(b)
	switch {
	case err != nil:
		return err
	case p.Bits() == 128:
		return framed(16)(f, p.Addr().AsSlice())
	case p.Bits() == 64:
		f.prefix = p.Masked()
		return nil
	}
	return fmt.Errorf("a prefix of %d bits; a client gets one address: give 128, or Framed-IPv6-Address", p.Bits())
}

func interfaceID(f *filling, b []byte) error {
	if len(b) != 8 {
		return fmt.Errorf("%d octets, expected 8", len(b))
	}
	f.interfaceID = b
	return nil
}

// finishPrefix puts prefix and interface together, whichever came first.
func (f *filling) finishPrefix() error {
	if !f.prefix.IsValid() {
		return nil
	}
	if f.interfaceID == nil {
		return errors.New("a prefix of 64 bits without Framed-Interface-Id; a client gets one address: give both, or Framed-IPv6-Address")
	}
	return framed(16)(f, append(f.prefix.Addr().AsSlice()[:8], f.interfaceID...))
}

// routeInformation adds a network that the client reaches (RFC 6911 §3.3).
func routeInformation(f *filling, b []byte) error {
	p, err := ipv6Prefix(b)
	if err == nil {
		f.Routes = append(f.Routes, p.Masked())
	}
	return err
}

// notDelegated has the log say that there is no prefix for the client.
func notDelegated(f *filling, b []byte) error {
	p, err := ipv6Prefix(b)
	if err == nil {
		f.Remarks = append(f.Remarks, auth.Evidence{Key: "delegated prefix, not used", Value: p.String()})
	}
	return err
}
