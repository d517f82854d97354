package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"bridgehead/auth"
)

// Group is [groups.NAME]: what the users of a group get, whatever backend knows
// them. What a user has of his own wins.
type Group struct {
	Name           string
	Pool           string // [pools.NAME]; default "": the default one
	Pool6          string // the same for IPv6; default "": as Pool
	DNS            []netip.Addr
	Routes         []netip.Prefix // what they may reach
	Domains        []string       // split DNS
	SessionTimeout time.Duration
	IdleTimeout    time.Duration
	MaxSessions    int // of each user; default 0: any number
	WhenFull       auth.WhenFull
	Filter         []auth.FilterRule
	RateUp         uint64 // bits a second from each client; default 0: no limit
	RateDown       uint64 // the same to each client
}

// Setting is the path of one of the group's settings.
func (g Group) Setting(key string) string { return "groups." + g.Name + "." + key }

// groupTable is [groups.NAME].
var groupTable = table{
	name: "groups", one: "group", after: "auth.break_glass", example: `routes = ["10.0.0.0/8"]`,
	settings: func(name string) []setting {
		path := Group{Name: name}.Setting
		group := func(c *Config) *Group { return c.Group(name) }
		poolName := wordKind(`the name of a pool, such as "staff" for [pools.staff]`)
		return []setting{
			one(path("pool"), `pool of their addresses; "": addresses.pools`, optional(poolName), func(c *Config) *string { return &group(c).Pool }),
			one(path("pool6"), `the same for IPv6; "": as pool`, optional(poolName), func(c *Config) *string { return &group(c).Pool6 }),
			many(path("dns"), "their name servers; none listed: addresses.dns", addressKind(), func(c *Config) *[]netip.Addr { return &group(c).DNS }),
			many(path("routes"), "what they may reach; none listed: addresses.subnets", prefixKind(), func(c *Config) *[]netip.Prefix { return &group(c).Routes }),
			many(path("domains"), "domains that they resolve through the tunnel; none listed: addresses.domains", domainKind(), func(c *Config) *[]string { return &group(c).Domains }),
			one(path("session_timeout"), `the longest that a session lasts; "0": as sessions.timeout`, durationKind(), func(c *Config) *time.Duration { return &group(c).SessionTimeout }),
			one(path("idle_timeout"), `the same without traffic; "0": as sessions.idle_timeout`, durationKind(), func(c *Config) *time.Duration { return &group(c).IdleTimeout }),
			one(path("max_sessions"), "sessions that each user may have at once; 0: any number", number(0, 1<<20), func(c *Config) *int { return &group(c).MaxSessions }),
			one(path("when_full"), `what gives way to one more: the login itself ("deny"), or the user's "oldest" or "newest" session`, whenFullKind(), func(c *Config) *auth.WhenFull { return &group(c).WhenFull }),
			many(path("filter"), "packets that pass, in the words of NAS-Filter-Rule (RFC 6733); none listed: all", filterKind(), func(c *Config) *[]auth.FilterRule { return &group(c).Filter }),
			one(path("rate_up"), `bits a second from each client, such as "10M"; "0": no limit`, rateKind(), func(c *Config) *uint64 { return &group(c).RateUp }),
			one(path("rate_down"), "the same to each client", rateKind(), func(c *Config) *uint64 { return &group(c).RateDown }),
		}
	},
	names: func(c *Config) []string {
		var list []string
		for _, g := range c.Groups {
			list = append(list, g.Name)
		}
		return list
	},
}

// Group gives a group by its name; it is made where it is new.
func (c *Config) Group(name string) *Group {
	for i := range c.Groups {
		if c.Groups[i].Name == name {
			return &c.Groups[i]
		}
	}
	c.Groups = append(c.Groups, Group{Name: name})
	return &c.Groups[len(c.Groups)-1]
}

// GroupNames are the names of the groups, those included that hold nothing.
func (c *Config) GroupNames() []string { return c.namesIn(groupTable) }

// validateGroups checks that the pools that groups name are there.
func (c *Config) validateGroups() []Problem {
	var problems []Problem
	for _, g := range c.Groups {
		for _, p := range []struct{ key, pool string }{{"pool", g.Pool}, {"pool6", g.Pool6}} {
			if p.pool != "" && !slices.ContainsFunc(c.AllPools(), func(n NamedPool) bool { return n.Name == p.pool }) {
				problems = append(problems, c.At(g.Setting(p.key), -1, fmt.Sprintf("%s: there is no pool %q", g.Setting(p.key), p.pool), "add it with [pools."+p.pool+"]").As(CauseUnknownPool))
			}
		}
		if g.WhenFull != auth.DenyLogin && g.MaxSessions == 0 {
			problems = append(problems, c.Warn(g.Setting("when_full"), -1, g.Setting("when_full")+": users who name no max_sessions of their own are never full", "set max_sessions beside it"))
		}
	}
	return problems
}

// whenFullWords are the words of auth.WhenFull, by its values.
var whenFullWords = []string{auth.DenyLogin: "deny", auth.EndOldest: "oldest", auth.EndNewest: "newest"}

func whenFullKind() kind[auth.WhenFull] {
	words := choice(whenFullWords...)
	return kind[auth.WhenFull]{unstable.String, words.expected, func(v *value) (auth.WhenFull, error) {
		w, err := words.parse(v)
		return auth.WhenFull(max(slices.Index(whenFullWords, w), 0)), err
	}, func(w auth.WhenFull) string { return quoted(whenFullWords[w]) }}
}

func filterKind() kind[auth.FilterRule] {
	return kind[auth.FilterRule]{unstable.String, `a rule, such as "permit in tcp from assigned to 10.0.0.0/8 443"`, parseText(func(s string) (auth.FilterRule, error) {
		r, err := auth.ParseFilterRule(s)
		if err != nil {
			return r, fmt.Errorf("is no filter rule: %w", err)
		}
		return r, nil
	}), quoted[auth.FilterRule]}
}

// rateKind is bits a second, with K, M or G for thousands.
func rateKind() kind[uint64] {
	const units = "KMG"
	return kind[uint64]{unstable.String, `bits a second, such as "10M" or "0"`, parseText(func(s string) (uint64, error) {
		factor := uint64(1)
		if n := len(s); n > 0 {
			if i := strings.IndexByte(units, s[n-1]); i >= 0 {
				s, factor = s[:n-1], []uint64{1e3, 1e6, 1e9}[i]
			}
		}
		n, err := strconv.ParseUint(s, 10, 40)
		if err != nil || n > 1e12/factor {
			return 0, errors.New("is no rate")
		}
		return n * factor, nil
	}), func(n uint64) string {
		unit := ""
		for i := 0; i < len(units) && n > 0 && n%1000 == 0; i++ {
			n, unit = n/1000, units[i:i+1]
		}
		return quoted(strconv.FormatUint(n, 10) + unit)
	}}
}
