package auth_test

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"bridgehead/auth"
)

// TestFilterRule reads rules and writes them back in their plainest form.
func TestFilterRule(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"permit in ip from any to 192.0.2.0/24", ""},
		{"deny out tcp from any 25 to any", ""},
		{"permit in udp from assigned to 2001:db8::53 53,5353,60000-61000", ""},
		{"deny in ip from !assigned to any", ""},
		{"permit out tcp from !192.0.2.0/24 443 to any established", ""},
		{"permit in tcp from any to any setup", ""},
		{"permit in 6 from any to any", "permit in tcp from any to any"},
		{"permit in 112 from any to any", ""},
		{"permit in ipv6-icmp from any to any", "permit in icmpv6 from any to any"},
		{" deny  in\tip from 192.0.2.10/24 to any ", "deny in ip from 192.0.2.0/24 to any"},
		{"deny in ip from 192.0.2.10/32 to ::/0", "refused"},
		{"deny in ip from 0.0.0.0/0 to any", ""},
	} {
		r, err := auth.ParseFilterRule(tt.text)
		if tt.want == "refused" {
			if err == nil {
				t.Errorf("%q was read as %v", tt.text, r)
			}
			continue
		}
		if tt.want == "" {
			tt.want = tt.text
		}
		if err != nil || r.String() != tt.want {
			t.Errorf("%q is %q, %v, want %q", tt.text, r, err, tt.want)
		}
	}
}

// TestFilterRuleRefused shows that nothing is dropped silently.
func TestFilterRuleRefused(t *testing.T) {
	for text, says := range map[string]string{
		"":                                                                `"permit" or "deny"`,
		"allow in ip from any to any":                                     `"allow"`,
		"permit both ip from any to any":                                  `"both"`,
		"permit in ip to any":                                             `"from"`,
		"permit in ip from any":                                           `"to"`,
		"permit in ip from any to":                                        `no address`,
		"permit in 0 from any to any":                                     "no IP protocol",
		"permit in 256 from any to any":                                   "no IP protocol",
		"permit in ip from any 25 to any":                                 "ports go with",
		"permit in tcp from any 0x19 to any":                              "no port",
		"permit in tcp from any 26-25 to any":                             "no port",
		"permit in tcp from any 65536 to any":                             "no port",
		"permit in ip from !any to any":                                   "matches nothing",
		"permit in ip from 192.0.2.0/33 to any":                           "no address or prefix",
		"permit in ip from 192.0.2.1 to 2001:db8::1":                      "one end is IPv4",
		"permit in ip from ::ffff:192.0.2.1 to any":                       "no address",
		"permit in ip from fe80::1%eth0 to any":                           "no address",
		"permit in ip from any to any frag":                               `"frag"`,
		"permit in tcp from any to any tcpflags syn":                      `"tcpflags"`,
		"permit in icmp from any to any icmptypes 8":                      `"icmptypes"`,
		"permit in udp from any to any established":                       "tcp only",
		"permit in tcp from any to any established setup":                 "no segment",
		"permit in tcp from any " + strings.Repeat("1,", 16) + "1 to any": "17 port ranges",
		"permit in tcp from any to any " + strings.Repeat("x", 1024):      "octets",
	} {
		_, err := auth.ParseFilterRule(text)
		var refused *auth.FilterError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, expected to hear %q", text, err, says)
		}
	}
	if _, err := auth.ParseFilter(make([]string, auth.MaxFilterRules+1)); err == nil || !strings.Contains(err.Error(), "129 rules") {
		t.Errorf("a filter too long: %v", err)
	}
}

// TestAssignFilter puts a client's addresses into its rules.
func TestAssignFilter(t *testing.T) {
	filter, err := auth.ParseFilter([]string{
		"permit in ip from assigned to any",
		"deny in ip from !assigned to 192.0.2.0/24",
		"permit out tcp from any 443 to any",
		"permit in ip from assigned to 2001:db8::/32",
	})
	if err != nil {
		t.Fatal(err)
	}
	v4, v6 := netip.MustParseAddr("10.1.0.7"), netip.MustParseAddr("2001:db8::7")
	for _, tt := range []struct {
		own  []netip.Addr
		want []string
	}{
		{[]netip.Addr{v4, v6}, []string{
			"permit in ip from 10.1.0.7 to any", "permit in ip from 2001:db8::7 to any",
			"deny in ip from !10.1.0.7 to 192.0.2.0/24",
			"permit out tcp from any 443 to any",
			"permit in ip from 2001:db8::7 to 2001:db8::/32",
		}},
		{[]netip.Addr{v4}, []string{
			"permit in ip from 10.1.0.7 to any",
			"deny in ip from !10.1.0.7 to 192.0.2.0/24",
			"permit out tcp from any 443 to any",
			"permit in ip from assigned to 2001:db8::/32", // matches nothing, but counts as the last rule
		}},
	} {
		var got []string
		for _, r := range auth.AssignFilter(filter, tt.own) {
			got = append(got, r.String())
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("with %v: %q", tt.own, got)
		}
	}
}

func FuzzParseFilterRule(f *testing.F) {
	for _, s := range []string{
		"permit in ip from any to 192.0.2.0/24", "deny out tcp from any 25 to any", "permit in udp from assigned to 2001:db8::53 53,5353,60000-61000",
		"deny in ip from !assigned to any", "permit out tcp from !192.0.2.0/24 443 to any established", "permit in 41 from any to ::/0",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := auth.ParseFilterRule(text)
		if err != nil {
			return
		}
		again, err := auth.ParseFilterRule(r.String())
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Errorf("%q became %q and then %q, %v", text, r, again, err)
		}
	})
}
