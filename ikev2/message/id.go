package message

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// String is the identity as a person would write it: an address, a name, a
// distinguished name in the order of RFC 4514, or kind:hex where it has no
// text. The peer chose the octets, so whatever is not printable is escaped
// and the result is safe in a log line.
func (p *ID) String() string {
	switch p.Kind {
	case IDFQDN, IDRFC822Addr:
		return printable(string(p.Data))
	case IDKeyID:
		if isText(p.Data) {
			return printable(string(p.Data))
		}
	case IDIPv4Addr, IDIPv6Addr:
		if a, ok := p.Addr(); ok {
			return a.String()
		}
	case IDDERASN1DN:
		var dn pkix.RDNSequence
		if rest, err := asn1.Unmarshal(p.Data, &dn); err == nil && len(rest) == 0 {
			return printable(dn.String())
		}
	}
	return p.Kind.String() + ":" + hex.EncodeToString(p.Data)
}

// Addr is the address of an ID_IPV4_ADDR or ID_IPV6_ADDR identity of the
// right length; false for any other.
func (p *ID) Addr() (netip.Addr, bool) {
	a, ok := netip.AddrFromSlice(p.Data)
	if !ok || p.Kind == IDIPv4Addr && !a.Is4() || p.Kind == IDIPv6Addr && a.Is4() {
		return netip.Addr{}, false
	}
	return a, p.Kind == IDIPv4Addr || p.Kind == IDIPv6Addr
}

func isText(b []byte) bool {
	return len(b) > 0 && utf8.Valid(b) && !strings.ContainsFunc(string(b), func(r rune) bool { return !unicode.IsPrint(r) })
}

// printable escapes what is not printable and the octets of invalid UTF-8. It
// leaves backslashes alone: the result is to be read, not compared.
func printable(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) {
			for _, c := range []byte(s[:n]) {
				b.WriteString(`\x` + hex.EncodeToString([]byte{c}))
			}
		} else {
			b.WriteRune(r)
		}
		s = s[n:]
	}
	return b.String()
}
