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

// knownVendors are those of whom an attribute has an effect.
var knownVendors = func() map[uint32]bool {
	m := make(map[uint32]bool)
	for _, a := range attributes {
		m[a.Vendor] = m[a.Vendor] || a.Effect != ""
	}
	return m
}()

// attributeError is an attribute whose value has no sense.
type attributeError struct {
	name string
	err  error
}

func (e *attributeError) Error() string { return e.name + ": " + e.err.Error() }

// filling is a Grant while attributes are put into it.
type filling struct {
	*auth.Grant
	tunnelGroup string
	rules       []byte       // all NAS-Filter-Rule attributes
	full        bool         // the last of them, so that its rule may go on in the next
	prefix      netip.Prefix // of 64 bits or less
	interfaceID []byte
}

// fill puts what the attributes give into g. Unknown attributes have no effect
// (RFC 2865 §5); a known one that can't be read is an error, since what it
// limits would be unlimited.
func fill(g *auth.Grant, attrs codec.Attributes) error {
	f := &filling{Grant: g}
	for _, a := range attrs {
		if a.Type != rfc2865.VendorSpecific_Type {
			if err := f.apply(attributeKey{0, a.Type}, a.Attribute); err != nil {
				return err
			}
			continue
		}
		list, err := vendorAttributes(a.Attribute)
		if err != nil {
			if len(a.Attribute) >= vendorHeader && knownVendors[binary.BigEndian.Uint32(a.Attribute)] {
				return &attributeError{"Vendor-Specific", err}
			}
			continue // another vendor's own format
		}
		for _, v := range list {
			if err := f.apply(attributeKey{v.vendor, codec.Type(v.kind)}, v.value); err != nil {
				return err
			}
		}
	}
	return f.finish()
}

func (f *filling) apply(k attributeKey, value []byte) error {
	a, ok := byKey[k]
	if !ok || a.apply == nil {
		return nil
	}
	if err := a.apply(f, value); err != nil {
		return &attributeError{a.Name, err}
	}
	return nil
}

// finish settles what only all attributes together tell.
func (f *filling) finish() error {
	if f.Group == "" {
		f.Group = f.tunnelGroup
	}
	if err := f.finishPrefix(); err != nil {
		return &attributeError{"Framed-IPv6-Prefix", err}
	}
	if err := f.finishFilter(); err != nil {
		return &attributeError{"NAS-Filter-Rule", err}
	}
	return nil
}

// elsewhereApplied is for what the caller of fill reads.
func elsewhereApplied(*filling, []byte) error { return nil }

// remark has the log say what the server said.
func remark(key string) func(*filling, []byte) error {
	return func(f *filling, b []byte) error {
		f.Remarks = append(f.Remarks, auth.Evidence{Key: key, Value: clip(printable(string(b)))})
		return nil
	}
}

func number(b []byte) (uint32, error) {
	if len(b) != 4 {
		return 0, fmt.Errorf("%d octets, expected 4", len(b))
	}
	return binary.BigEndian.Uint32(b), nil
}

// seconds is a time limit. Zero octets of it would be no limit in a Grant: a
// session of no length is a refusal, which Access-Accept can't mean.
func seconds(b []byte) (time.Duration, error) {
	n, err := number(b)
	if err == nil && n == 0 {
		err = errors.New("0 seconds, expected at least 1")
	}
	return time.Duration(n) * time.Second, err
}

func sessionTimeout(f *filling, b []byte) (err error) {
	f.SessionTimeout, err = seconds(b)
	return err
}

func idleTimeout(f *filling, b []byte) (err error) {
	f.IdleTimeout, err = seconds(b)
	return err
}

// terminationAction is what comes after Session-Timeout (RFC 2865 §5.29).
func terminationAction(f *filling, b []byte) error {
	n, err := number(b)
	switch {
	case err != nil:
		return err
	case n > uint32(rfc2865.TerminationAction_Value_RADIUSRequest):
		return fmt.Errorf("%d, expected 0 (Default) or 1 (RADIUS-Request)", n)
	}
	f.Reauthenticate = n == uint32(rfc2865.TerminationAction_Value_RADIUSRequest)
	return nil
}

// interimInterval takes 0 for no word about it.
func interimInterval(f *filling, b []byte) error {
	n, err := number(b)
	if err == nil && n > 0 {
		f.InterimInterval = max(time.Duration(n)*time.Second, minInterim)
	}
	return err
}

// first sets a text that is not set yet: the first attribute counts.
func first(into *string, b []byte) error {
	if !utf8.Valid(b) || len(b) == 0 {
		return errors.New("expected text in UTF-8")
	}
	if *into == "" {
		*into = string(b)
	}
	return nil
}

func poolName(f *filling, b []byte) error  { return first(&f.Pool, b) }
func pool6Name(f *filling, b []byte) error { return first(&f.Pool6, b) }

// ownSetting begins a Filter-Id that is no group: its text is the gateway's
// business (RFC 2865 §5.11), so that settings of our own need no vendor number.
const ownSetting = "bridgehead:"

func filterID(f *filling, b []byte) error {
	setting, own := strings.CutPrefix(string(b), ownSetting)
	if !own {
		return first(&f.Group, b)
	}
	key, value, _ := strings.Cut(setting, "=")
	into := map[string]*uint64{"rate-up": &f.RateUp, "rate-down": &f.RateDown}[key]
	if into == nil {
		return fmt.Errorf("%.60q is no setting, expected rate-up or rate-down", key)
	}
	n, err := parseRate(value)
	if err == nil {
		bound(into, n)
	}
	return err
}

// tunnelGroup leaves out the tag in front (RFC 2868 §3.6).
func tunnelGroup(f *filling, b []byte) error {
	if len(b) > 0 && b[0] <= 0x1F {
		b = b[1:]
	}
	return first(&f.tunnelGroup, b)
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
func framedIP(f *filling, b []byte) error {
	if len(b) == 4 && binary.BigEndian.Uint32(b) >= 0xFFFFFFFE {
		return nil
	}
	return framed(4)(f, b)
}

// framed adds an address of the client's own.
func framed(size int) func(*filling, []byte) error {
	return func(f *filling, b []byte) error {
		a, err := address(b, size)
		if err == nil {
			f.Addresses = append(f.Addresses, a)
		}
		return err
	}
}

func dns(size int) func(*filling, []byte) error {
	return func(f *filling, b []byte) error {
		a, err := address(b, size)
		if err == nil {
			f.DNS = append(f.DNS, a)
		}
		return err
	}
}

// route adds a network that the client reaches through the tunnel (RFC 2865
// §5.22, RFC 3162 §2.5): prefix, gateway, metrics. The latter two have no
// sense in a tunnel. Without a prefix length an IPv4 address has the one of its
// class, which nobody means today: a host is taken.
func route(f *filling, b []byte) error {
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
	f.Routes = append(f.Routes, p.Masked())
	return nil
}

// class keeps what accounting gives back to the server (RFC 2865 §5.25).
func class(f *filling, b []byte) error {
	f.Class = append(f.Class, append([]byte(nil), b...))
	return nil
}

// portLimit bounds the user's sessions (RFC 2865 §5.42).
func portLimit(f *filling, b []byte) error {
	n, err := number(b)
	if err != nil {
		return err
	}
	if n == 0 || n > 1<<20 {
		return fmt.Errorf("%d sessions, expected 1 to %d", n, 1<<20)
	}
	f.MaxSessions = int(n)
	return nil
}

// chargeableUser takes what accounting gives back to the server. A NUL is no
// identity (RFC 4372 §2.1).
func chargeableUser(f *filling, b []byte) error {
	if f.ChargeableUser == nil && string(b) != "\x00" {
		f.ChargeableUser = append([]byte(nil), b...)
	}
	return nil
}
