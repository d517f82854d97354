package message

import (
	"net/netip"
	"testing"
)

func TestSelectorOfAPrefix(t *testing.T) {
	for prefix, want := range map[string][2]string{
		"0.0.0.0/0":        {"0.0.0.0", "255.255.255.255"},
		"192.0.2.77/25":    {"192.0.2.0", "192.0.2.127"},
		"192.0.2.1/32":     {"192.0.2.1", "192.0.2.1"},
		"::/0":             {"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"2001:db8::1/97":   {"2001:db8::", "2001:db8::7fff:ffff"},
		"2001:db8::5/128":  {"2001:db8::5", "2001:db8::5"},
		"198.51.100.64/27": {"198.51.100.64", "198.51.100.95"},
	} {
		got := SelectorOf(netip.MustParsePrefix(prefix))
		if (Selector{EndPort: 65535, Start: netip.MustParseAddr(want[0]), End: netip.MustParseAddr(want[1])}) != got {
			t.Errorf("%s: %+v, want %v", prefix, got, want)
		}
	}
}
