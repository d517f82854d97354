package secrets

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// most bounds what a number of a line may say.
const (
	maxTimeout  = 366 * 24 * time.Hour
	maxSessions = 1 << 20
)

// setting is one key=value behind the hash: what the user has of his own, by
// the names of auth.Grant.
type setting struct {
	key, example string
	set          func(u *User, value string) bool
	get          func(u *User) string // empty: not set
}

// settings in the order in which they are written.
var settings = []setting{
	nameSetting("group", "staff", func(u *User) *string { return &u.Group }),
	nameSetting("pool", "staff", func(u *User) *string { return &u.Pool }),
	nameSetting("pool6", "staff", func(u *User) *string { return &u.Pool6 }),
	addrSetting("ip4", "192.0.2.10", true, func(u *User) *netip.Addr { return &u.IPv4 }),
	addrSetting("ip6", "2001:db8::10", false, func(u *User) *netip.Addr { return &u.IPv6 }),
	listSetting("dns", "192.0.2.53,2001:db8::53", func(u *User) *[]netip.Addr { return &u.DNS }, parseHost, netip.Addr.String),
	listSetting("routes", "10.0.0.0/8,2001:db8::/32", func(u *User) *[]netip.Prefix { return &u.Routes }, parseRoute, netip.Prefix.String),
	listSetting("domains", "example.org,example.net", func(u *User) *[]string { return &u.Domains }, parseDomain, func(s string) string { return s }),
	timeSetting("session_timeout", "8h", func(u *User) *time.Duration { return &u.SessionTimeout }),
	timeSetting("idle_timeout", "30m", func(u *User) *time.Duration { return &u.IdleTimeout }),
	{
		key: "max_sessions", example: "2",
		set: func(u *User, value string) (ok bool) {
			n, err := strconv.Atoi(value)
			u.MaxSessions = n
			return err == nil && n > 0 && n <= maxSessions
		},
		get: func(u *User) string { return nonZero(u.MaxSessions, strconv.Itoa) },
	},
	rateSetting("rate_up", "10M", func(u *User) *uint64 { return &u.RateUp }),
	rateSetting("rate_down", "50M", func(u *User) *uint64 { return &u.RateDown }),
}

// Keys are the words that a users file knows behind the hash, in the order in
// which they are written.
func Keys() []string {
	keys := make([]string, 0, len(settings)+1)
	for _, s := range settings {
		keys = append(keys, s.key)
	}
	return append(keys, "disabled")
}

// Set gives the user one of Keys but "disabled", once. The error says what was
// expected.
func (u *User) Set(key, value string) error {
	i := slices.IndexFunc(settings, func(s setting) bool { return s.key == key })
	switch {
	case i < 0:
		return fmt.Errorf("expected one of %s, found %q", strings.Join(Keys(), ", "), key)
	case settings[i].get(u) != "":
		return fmt.Errorf("expected %s= only once", key)
	case value == "" || !settings[i].set(u, value):
		return fmt.Errorf("expected a value such as %s=%s", key, settings[i].example)
	}
	return nil
}

// Setting is what a user has of his own.
type Setting struct{ Key, Value string }

// Settings lists what the user has of his own, as a users file has it, without
// "disabled".
func (u User) Settings() []Setting {
	var list []Setting
	for _, s := range settings {
		if value := s.get(&u); value != "" {
			list = append(list, Setting{s.key, value})
		}
	}
	return list
}

// Equal tells whether a users file has the same line for both.
func (u User) Equal(v User) bool { return string(u.line()) == string(v.line()) }

func nonZero[T comparable](v T, show func(T) string) string {
	var zero T
	if v == zero {
		return ""
	}
	return show(v)
}

func nameSetting(key, example string, field func(*User) *string) setting {
	return setting{
		key: key, example: example,
		set: func(u *User, value string) bool {
			*field(u) = value
			return checkName(value) == ""
		},
		get: func(u *User) string { return *field(u) },
	}
}

func addrSetting(key, example string, is4 bool, field func(*User) *netip.Addr) setting {
	return setting{
		key: key, example: example,
		set: func(u *User, value string) bool {
			a, err := parseHost(value)
			*field(u) = a
			return err == nil && a.Is4() == is4
		},
		get: func(u *User) string { return nonZero(*field(u), netip.Addr.String) },
	}
}

// listSetting holds several values with commas between them.
func listSetting[T any](key, example string, field func(*User) *[]T, parse func(string) (T, error), show func(T) string) setting {
	return setting{
		key: key, example: example,
		set: func(u *User, value string) bool {
			var list []T
			for word := range strings.SplitSeq(value, ",") {
				v, err := parse(word)
				if err != nil {
					return false
				}
				list = append(list, v)
			}
			*field(u) = list
			return true
		},
		get: func(u *User) string {
			words := make([]string, len(*field(u)))
			for i, v := range *field(u) {
				words[i] = show(v)
			}
			return strings.Join(words, ",")
		},
	}
}

var errValue = errors.New("not such a value")

func parseHost(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Is4In6() || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
		return netip.Addr{}, errValue
	}
	return a, nil
}

// parseRoute takes a lone address for a host, and no bits behind the prefix.
func parseRoute(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if a, addrErr := netip.ParseAddr(s); addrErr == nil && a.Zone() == "" {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	if err != nil || p != p.Masked() || p.Addr().Is4In6() {
		return netip.Prefix{}, errValue
	}
	return p, nil
}

// parseDomain takes what can stand as a name of DNS.
func parseDomain(s string) (string, error) {
	if s == "" || len(s) > 253 || strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		return "", errValue
	}
	return s, nil
}

func timeSetting(key, example string, field func(*User) *time.Duration) setting {
	return setting{
		key: key, example: example,
		set: func(u *User, value string) bool {
			d, err := time.ParseDuration(value)
			*field(u) = d
			return err == nil && d >= time.Second && d <= maxTimeout && d%time.Second == 0
		},
		get: func(u *User) string { return nonZero(*field(u), shortDuration) },
	}
}

// shortDuration leaves out the zero units that time.Duration prints.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// rateUnits are thousands, not powers of two.
var rateUnits = []struct {
	letter string
	bits   uint64
}{{"G", 1e9}, {"M", 1e6}, {"k", 1e3}, {"", 1}}

// rateSetting is bits a second.
func rateSetting(key, example string, field func(*User) *uint64) setting {
	return setting{
		key: key, example: example,
		set: func(u *User, value string) bool {
			for _, unit := range rateUnits {
				digits, ok := strings.CutSuffix(value, unit.letter)
				if !ok {
					continue
				}
				n, err := strconv.ParseUint(digits, 10, 32)
				*field(u) = n * unit.bits
				return err == nil && n > 0
			}
			return false
		},
		get: func(u *User) string { return nonZero(*field(u), shortRate) },
	}
}

func shortRate(bits uint64) string {
	for _, unit := range rateUnits {
		if bits%unit.bits == 0 {
			return strconv.FormatUint(bits/unit.bits, 10) + unit.letter
		}
	}
	return "" // the last unit divides all
}
