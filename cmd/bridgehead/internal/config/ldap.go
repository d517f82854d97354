package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"bridgehead/ldap"
)

// AuthLDAP is [auth.ldap]: a directory that shows the gateway NT hashes.
type AuthLDAP struct {
	Servers        []string // URLs, best first; or Domain
	Domain         string   // whose DNS SRV records name servers; default "": none
	Plaintext      bool     // ldap:// on loopback without TLS; default false
	BindDN         string
	Password       string // a file, or CredentialPrefix and a name
	External       bool   // SASL EXTERNAL in place of BindDN; default false
	Base           string
	Scope          string // ScopeSubtree or ScopeOne; default ScopeSubtree
	Filter         string // default ldap.DefaultFilter
	DN             string // default "": Base and Filter
	Name           string // attribute; default "uid"
	Exact          bool   // default false
	Hash           []string
	Pool           int           // connections; default ldap.DefaultPool
	ConnectTimeout time.Duration // default 1s
	Timeout        time.Duration // default 3s
	CA             string        // default "": the system's authorities
	ServerName     string
	Certificate    string
	Key            string
	GroupBase      string
	GroupFilter    string
	GroupDepth     int
	GroupMap       []ldap.GroupPolicy
	GroupRequire   []string
	Attributes     ldap.Attributes
}

// Words of auth.ldap.scope.
const (
	ScopeSubtree = "subtree"
	ScopeOne     = "one"
)

// defaultLDAP is [auth.ldap] where nothing is said.
func defaultLDAP() AuthLDAP {
	return AuthLDAP{
		Scope: ScopeSubtree, Filter: ldap.DefaultFilter, Name: ldap.DefaultNameAttr, Hash: ldap.DefaultHash, Pool: ldap.DefaultPool,
		ConnectTimeout: ldap.DefaultConnectTimeout, Timeout: ldap.DefaultTimeout, GroupFilter: ldap.DefaultGroupFilter,
	}
}

func ldapText(key, about, expected string, at func(*AuthLDAP) *string) setting {
	return one("auth.ldap."+key, about, textKind(expected, 1024), func(c *Config) *string { return at(&c.Auth.LDAP) })
}

func ldapAttribute(key, about string, at func(*ldap.Attributes) *string) setting {
	return ldapText("attributes."+key, about+`; "": none`, `an attribute's name, such as "radiusFramedIPAddress"`, func(l *AuthLDAP) *string { return at(&l.Attributes) })
}

func ldapList(key, about, expected string, at func(*AuthLDAP) *[]string) setting {
	return many("auth.ldap."+key, about, textKind(expected, 1024), func(c *Config) *[]string { return at(&c.Auth.LDAP) })
}

// ldapSettings are those of [auth.ldap].
var ldapSettings = []setting{
	ldapList("servers", "URLs of the servers, best first: ldap:// (StartTLS), ldaps:// or ldapi://", `a URL, such as "ldap://ldap.example.org"`, func(l *AuthLDAP) *[]string { return &l.Servers }),
	one("auth.ldap.domain", `domain whose DNS SRV records name servers; "": none`, optional(domainKind()), func(c *Config) *string { return &c.Auth.LDAP.Domain }),
	one("auth.ldap.plaintext", "ldap:// without TLS, which only a server on loopback may have", boolKind(), func(c *Config) *bool { return &c.Auth.LDAP.Plaintext }),
	ldapText("bind_dn", `DN of the gateway's own account; "": anonymous`, `a DN, such as "cn=vpn,ou=services,dc=example,dc=org"`, func(l *AuthLDAP) *string { return &l.BindDN }),
	one("auth.ldap.password_file", `file with its password, or "credential:NAME" of systemd`, optional(secretKind()), func(c *Config) *string { return &c.Auth.LDAP.Password }),
	one("auth.ldap.external", "SASL EXTERNAL in place of both, over ldapi:// or with tls.certificate", boolKind(), func(c *Config) *bool { return &c.Auth.LDAP.External }),
	ldapText("base", "where users are searched for", `a DN, such as "ou=people,dc=example,dc=org"`, func(l *AuthLDAP) *string { return &l.Base }),
	one("auth.ldap.scope", "how far below it", choice(ScopeSubtree, ScopeOne), func(c *Config) *string { return &c.Auth.LDAP.Scope }),
	ldapText("filter", "which entry is a user's; {name}, {user}, {realm} and {domain} are of the name", `a filter, such as "(uid={name})"`, func(l *AuthLDAP) *string { return &l.Filter }),
	ldapText("dn", `the same as a DN in place of base and filter; "": none`, `a DN, such as "uid={user},ou=people,dc=example,dc=org"`, func(l *AuthLDAP) *string { return &l.DN }),
	ldapText("name_attribute", "attribute with the user's name", `an attribute's name, such as "uid"`, func(l *AuthLDAP) *string { return &l.Name }),
	one("auth.ldap.exact_case", "names in another case than the directory's are nobody's", boolKind(), func(c *Config) *bool { return &c.Auth.LDAP.Exact }),
	ldapList("hash", "attributes with NT hashes, of which the first that is there counts", `an attribute's name, such as "sambaNTPassword"`, func(l *AuthLDAP) *[]string { return &l.Hash }),
	one("auth.ldap.pool", "connections at most", number(1, 256), func(c *Config) *int { return &c.Auth.LDAP.Pool }),
	one("auth.ldap.connect_timeout", "how long connection, TLS and bind may take together", durationKind(), func(c *Config) *time.Duration { return &c.Auth.LDAP.ConnectTimeout }),
	one("auth.ldap.timeout", "how long one search may take", durationKind(), func(c *Config) *time.Duration { return &c.Auth.LDAP.Timeout }),

	one("auth.ldap.tls.ca", `PEM file with who may sign the servers' certificates; "": whom the system trusts`, optional(pathKind()), func(c *Config) *string { return &c.Auth.LDAP.CA }),
	one("auth.ldap.tls.name", `name in their certificates; "": the host of the URL`, optional(certificateNameKind()), func(c *Config) *string { return &c.Auth.LDAP.ServerName }),
	one("auth.ldap.tls.certificate", `PEM file with the gateway's own certificate; "": none`, optional(pathKind()), func(c *Config) *string { return &c.Auth.LDAP.Certificate }),
	one("auth.ldap.tls.key", "PEM file with its key", optional(pathKind()), func(c *Config) *string { return &c.Auth.LDAP.Key }),

	ldapText("groups.base", `where groups are searched for; "": memberOf of the user tells`, `a DN, such as "ou=groups,dc=example,dc=org"`, func(l *AuthLDAP) *string { return &l.GroupBase }),
	ldapText("groups.filter", "which are a user's; {dn} is the user's entry", `a filter, such as "(member={dn})"`, func(l *AuthLDAP) *string { return &l.GroupFilter }),
	one("auth.ldap.groups.depth", "levels of groups in groups", number(0, 10), func(c *Config) *int { return &c.Auth.LDAP.GroupDepth }),
	many("auth.ldap.groups.map", "policies of groups, the first that fits counts", groupMapKind(), func(c *Config) *[]ldap.GroupPolicy { return &c.Auth.LDAP.GroupMap }),
	ldapList("groups.require", "groups of which a user must be in one; none listed: no matter", `a group's name or DN`, func(l *AuthLDAP) *[]string { return &l.GroupRequire }),

	ldapAttribute("ipv4", "attribute with a user's own IPv4 address", func(a *ldap.Attributes) *string { return &a.IPv4 }),
	ldapAttribute("ipv6", "the same for IPv6", func(a *ldap.Attributes) *string { return &a.IPv6 }),
	ldapAttribute("pool", "with the name of a pool", func(a *ldap.Attributes) *string { return &a.Pool }),
	ldapAttribute("pool6", "with that of the IPv6 address", func(a *ldap.Attributes) *string { return &a.Pool6 }),
	ldapAttribute("dns", "with name servers", func(a *ldap.Attributes) *string { return &a.DNS }),
	ldapAttribute("routes", "with prefixes that the user may reach", func(a *ldap.Attributes) *string { return &a.Routes }),
	ldapAttribute("domains", "with domains resolved through the tunnel", func(a *ldap.Attributes) *string { return &a.Domains }),
	ldapAttribute("group", "with the name of a policy", func(a *ldap.Attributes) *string { return &a.Group }),
	ldapAttribute("session_timeout", "with the longest time of a session, seconds", func(a *ldap.Attributes) *string { return &a.SessionTimeout }),
	ldapAttribute("idle_timeout", "with the longest time without traffic, seconds", func(a *ldap.Attributes) *string { return &a.IdleTimeout }),
	ldapAttribute("max_sessions", "with the number of sessions", func(a *ldap.Attributes) *string { return &a.MaxSessions }),
}

// groupMapKind is "GROUP -> POLICY".
func groupMapKind() kind[ldap.GroupPolicy] {
	return kind[ldap.GroupPolicy]{unstable.String, `a directory's group and the policy of its users, such as "vpn-staff -> staff"`, parseText(func(s string) (ldap.GroupPolicy, error) {
		i := strings.LastIndex(s, "->")
		if i < 0 {
			return ldap.GroupPolicy{}, errors.New(`lacks "->"`)
		}
		p := ldap.GroupPolicy{Group: strings.TrimSpace(s[:i]), Policy: strings.TrimSpace(s[i+2:])}
		if p.Group == "" || p.Policy == "" {
			return p, errors.New("lacks one of both")
		}
		return p, nil
	}), func(p ldap.GroupPolicy) string { return quoted(p.Group + " -> " + p.Policy) }}
}

// validateLDAP checks how the settings of a directory that is in use fit.
func (c *Config) validateLDAP() []Problem {
	if !c.Auth.Uses(BackendLDAP) {
		return nil
	}
	var problems []Problem
	l := c.Auth.LDAP
	wrong := func(key string, index int, text, hint string) {
		setting := "auth.ldap." + key
		problems = append(problems, c.At(setting, index, setting+": "+text, hint))
	}
	if len(l.Servers) == 0 && l.Domain == "" {
		wrong("servers", -1, "no LDAP server is named", `expected servers = ["ldap://ldap.example.org"] below [auth.ldap], or domain = "example.org"`)
	}
	if l.Plaintext && l.Domain != "" {
		wrong("plaintext", -1, "servers that DNS names must be spoken to over TLS", "take plaintext out")
	}
	for i, s := range l.Servers {
		if _, err := ldap.ParseURL(s, l.Plaintext); err != nil {
			wrong("servers", i, fmt.Sprintf("%.80q %s", s, err), `expected a URL such as "ldap://ldap.example.org", which StartTLS protects`)
		}
	}
	if l.DN == "" && l.Base == "" {
		wrong("base", -1, "is not set", `expected base = "ou=people,dc=example,dc=org", or dn`)
	}
	if err := ldap.CheckFilter(l.Filter); err != nil {
		wrong("filter", -1, err.Error(), `expected a filter such as "(uid={name})"`)
	}
	if err := ldap.CheckFilter(l.GroupFilter); err != nil {
		wrong("groups.filter", -1, err.Error(), `expected a filter such as "(member={dn})"`)
	}
	if l.DN != "" {
		if err := ldap.CheckDN(l.DN); err != nil {
			wrong("dn", -1, err.Error(), "")
		}
	}
	for key, dn := range map[string]string{"base": l.Base, "bind_dn": l.BindDN, "groups.base": l.GroupBase} {
		if err := ldap.CheckName(dn); err != nil {
			wrong(key, -1, err.Error(), `expected a DN such as "ou=people,dc=example,dc=org"`)
		}
	}
	if i := slices.IndexFunc(l.Hash, func(s string) bool { return strings.EqualFold(s, "userPassword") }); i >= 0 {
		wrong("hash", i, "userPassword is never an NT hash", "expected sambaNTPassword or ipaNTHash")
	}
	switch {
	case l.BindDN != "" && l.Password == "" && !l.External:
		wrong("password_file", -1, "is not set, and a bind without a password proves nothing", "expected a file with the password of bind_dn")
	case l.Password != "" && !strings.HasPrefix(l.Password, CredentialPrefix):
		problems = append(problems, c.needSecret("auth.ldap.password_file", l.Password, "expected a file with the password of bind_dn")...)
		problems = append(problems, c.private("auth.ldap.password_file", -1, l.Password)...)
	}
	if l.ConnectTimeout <= 0 || l.Timeout <= 0 {
		wrong("timeout", -1, "a time limit of 0 never ends", "expected 1s or more for connect_timeout and timeout")
	}
	return problems
}
