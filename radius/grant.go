package radius

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"bridgehead/auth"
)

// Attribute is one attribute of Access-Accept and what becomes of it.
type Attribute struct {
	Name   string
	Vendor uint32 // zero: a standard attribute
	Type   codec.Type
	// Ignored says why it has no effect; empty: it has one.
	Ignored string

	apply func(*auth.Grant, []byte) error
}

// attributeKey finds an Attribute.
type attributeKey struct {
	vendor uint32
	kind   codec.Type
}

var byKey = func() map[attributeKey]Attribute {
	m := make(map[attributeKey]Attribute, len(attributes))
	for _, a := range attributes {
		m[attributeKey{a.Vendor, a.Type}] = a
	}
	return m
}()

// Attributes lists the attributes of Access-Accept that are known, in the
// order of their numbers.
func Attributes() []Attribute { return append([]Attribute(nil), attributes...) }

// attributeError is an attribute whose value has no sense.
type attributeError struct {
	name string
	err  error
}

func (e *attributeError) Error() string { return e.name + ": " + e.err.Error() }

// fill puts what the attributes give into g. Unknown attributes have no effect
// (RFC 2865 §5); a known one that can't be read is an error, since what it
// limits would be unlimited.
func fill(g *auth.Grant, attrs codec.Attributes) error {
	for _, a := range attrs {
		if a.Type != rfc2865.VendorSpecific_Type {
			if err := apply(g, attributeKey{0, a.Type}, a.Attribute); err != nil {
				return err
			}
			continue
		}
		list, err := vendorAttributes(a.Attribute)
		if err != nil {
			if len(a.Attribute) >= vendorHeader && binary.BigEndian.Uint32(a.Attribute) == vendorMicrosoft {
				return &attributeError{"Vendor-Specific", err}
			}
			continue // another vendor's own format
		}
		for _, v := range list {
			if err := apply(g, attributeKey{v.vendor, codec.Type(v.kind)}, v.value); err != nil {
				return err
			}
		}
	}
	return nil
}

func apply(g *auth.Grant, k attributeKey, value []byte) error {
	a, ok := byKey[k]
	if !ok || a.apply == nil {
		return nil
	}
	if err := a.apply(g, value); err != nil {
		return &attributeError{a.Name, err}
	}
	return nil
}

func number(b []byte) (uint32, error) {
	if len(b) != 4 {
		return 0, fmt.Errorf("%d octets, expected 4", len(b))
	}
	return binary.BigEndian.Uint32(b), nil
}

// seconds sets a time limit. Zero octets of it would be no limit in a Grant: a
// session of no length is a refusal, which Access-Accept can't mean.
func seconds(field func(*auth.Grant) *time.Duration) func(*auth.Grant, []byte) error {
	return func(g *auth.Grant, b []byte) error {
		n, err := number(b)
		if err != nil {
			return err
		}
		if n == 0 {
			return errors.New("0 seconds, expected at least 1")
		}
		*field(g) = time.Duration(n) * time.Second
		return nil
	}
}

// text sets a text that is not set yet: the first attribute counts.
func text(field func(*auth.Grant) *string) func(*auth.Grant, []byte) error {
	return func(g *auth.Grant, b []byte) error {
		if !utf8.Valid(b) || len(b) == 0 {
			return errors.New("expected text in UTF-8")
		}
		if f := field(g); *f == "" {
			*f = string(b)
		}
		return nil
	}
}

func address(b []byte, size int) (netip.Addr, error) {
	if len(b) != size {
		return netip.Addr{}, fmt.Errorf("%d octets, expected %d", len(b), size)
	}
	a, _ := netip.AddrFromSlice(b)
	if a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() {
		return netip.Addr{}, fmt.Errorf("%s is no address for a host", a)
	}
	return a, nil
}

// framedIP sets the client's IPv4 address. RFC 2865 §5.8: all ones lets the
// client choose, all ones but the last bit the gateway.
func framedIP(g *auth.Grant, b []byte) error {
	if len(b) == 4 && binary.BigEndian.Uint32(b) >= 0xFFFFFFFE {
		return nil
	}
	return framed(4)(g, b)
}

// framed adds an address of the client's own.
func framed(size int) func(*auth.Grant, []byte) error {
	return func(g *auth.Grant, b []byte) error {
		a, err := address(b, size)
		if err == nil {
			g.Addresses = append(g.Addresses, a)
		}
		return err
	}
}

func dns(size int) func(*auth.Grant, []byte) error {
	return func(g *auth.Grant, b []byte) error {
		a, err := address(b, size)
		if err == nil {
			g.DNS = append(g.DNS, a)
		}
		return err
	}
}

// route adds a network that the client reaches through the tunnel (RFC 2865
// §5.22, RFC 3162 §2.5): prefix, gateway, metrics. The latter two have no
// sense in a tunnel. Without a prefix length an IPv4 address has the one of its
// class, which nobody means today: a host is taken.
func route(g *auth.Grant, b []byte) error {
	fields := strings.Fields(string(b))
	if len(fields) == 0 {
		return errors.New("no prefix")
	}
	p, err := netip.ParsePrefix(fields[0])
	if err != nil {
		a, errAddr := netip.ParseAddr(fields[0])
		if errAddr != nil {
			return fmt.Errorf("%.60q is no prefix", fields[0])
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	g.Routes = append(g.Routes, p.Masked())
	return nil
}

// class keeps what accounting gives back to the server (RFC 2865 §5.25).
func class(g *auth.Grant, b []byte) error {
	g.Class = append(g.Class, append([]byte(nil), b...))
	return nil
}

// portLimit bounds the user's sessions (RFC 2865 §5.42).
func portLimit(g *auth.Grant, b []byte) error {
	n, err := number(b)
	if err != nil {
		return err
	}
	if n == 0 || n > 1<<20 {
		return fmt.Errorf("%d sessions, expected 1 to %d", n, 1<<20)
	}
	g.MaxSessions = int(n)
	return nil
}

// framedPrefix takes an IPv6 prefix of a single address (RFC 3162 §2.3).
func framedPrefix(g *auth.Grant, b []byte) error {
	if len(b) < 2 || len(b) > 18 {
		return fmt.Errorf("%d octets, expected 2 to 18", len(b))
	}
	if b[1] != 128 {
		return fmt.Errorf("a prefix of %d bits; a client gets one address: give 128, or Framed-IPv6-Address", b[1])
	}
	var whole [16]byte
	copy(whole[:], b[2:])
	return framed(16)(g, whole[:])
}
