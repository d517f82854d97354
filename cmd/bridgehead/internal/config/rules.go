package config

import (
	"fmt"
	"slices"
	"strings"
)

// Words of auth.outage: what follows where a backend of several can't be asked.
const (
	OutageRefuse = "refuse" // the login: nobody can tell whether the backend knows the user
	OutageNext   = "next"   // the next backend is asked
)

// Rule is [auth.rules.NAME]: users who have a backend, or several, of their own.
// It holds where each list that is not empty has what the user claims.
type Rule struct {
	Name     string
	Realms   []string // "example.org" of "alice@example.org"
	Domains  []string // "CORP" of "CORP\alice"
	Profiles []string // names that clients ask the gateway for
	Backends []string // required
}

// BreakGlass is [auth.break_glass]: accounts for the time in which LDAP or
// RADIUS can't be asked.
type BreakGlass struct {
	Path string // a users file; default "": none
}

// Setting is the path of one of the rule's settings.
func (r Rule) Setting(key string) string { return "auth.rules." + r.Name + "." + key }

// Uses tells whether some user is decided about by a backend.
func (a Auth) Uses(backend string) bool {
	return slices.Contains(a.Backends, backend) || slices.ContainsFunc(a.Rules, func(r Rule) bool { return slices.Contains(r.Backends, backend) })
}

// Name is the backends of users whom no rule matches, in one word.
func (a Auth) Name() string { return strings.Join(a.Backends, ",") }

// Routed tells whether there is more to decide than one backend does.
func (a Auth) Routed() bool {
	return len(a.Backends) > 1 || len(a.Rules) > 0 || a.BreakGlass.Path != ""
}

// ruleTable is [auth.rules.NAME].
var ruleTable = table{
	name: "auth.rules", one: "rule", after: "auth", example: `realms = ["example.org"] and backend = "radius"`,
	settings: func(name string) []setting {
		path := Rule{Name: name}.Setting
		rule := func(c *Config) *Rule { return c.rule(name) }
		return []setting{
			many(path("realms"), `realms of the users whom the rule is for: "example.org" of "alice@example.org"`, wordKind(`a realm, such as "example.org"`), func(c *Config) *[]string { return &rule(c).Realms }),
			many(path("domains"), `the same by domain: "CORP" of "CORP\alice"`, wordKind(`a domain, such as "CORP"`), func(c *Config) *[]string { return &rule(c).Domains }),
			many(path("profiles"), "the same by the name that the client asks the gateway for (remote id)", wordKind(`a name, such as "staff.example.org"`), func(c *Config) *[]string { return &rule(c).Profiles }),
			need(words(path("backend"), "who decides about them", backendKind(), func(c *Config) *[]string { return &rule(c).Backends })),
		}
	},
	names: func(c *Config) []string {
		var list []string
		for _, r := range c.Auth.Rules {
			list = append(list, r.Name)
		}
		return list
	},
	reserved: "default", where: "who decides about all others is auth.backend",
}

// rule gives a rule by its name; it is made where it is new.
func (c *Config) rule(name string) *Rule {
	for i := range c.Auth.Rules {
		if c.Auth.Rules[i].Name == name {
			return &c.Auth.Rules[i]
		}
	}
	c.Auth.Rules = append(c.Auth.Rules, Rule{Name: name})
	return &c.Auth.Rules[len(c.Auth.Rules)-1]
}

// wordKind is a text that is not empty and has no blanks.
func wordKind(expected string) kind[string] {
	k := textKind(expected, 253)
	parse := k.parse
	k.parse = func(v *value) (string, error) {
		if v.text == "" || strings.ContainsAny(v.text, " @\\") {
			return "", &advice{message: "is no such name"}
		}
		return parse(v)
	}
	return k
}

// validateRules checks who is asked, and in what order.
func (c *Config) validateRules() []Problem {
	problems := c.validateChain("auth.backend", c.Auth.Backends)
	for _, name := range c.namesIn(ruleTable) {
		r := Rule{Name: name}
		if i := slices.IndexFunc(c.Auth.Rules, func(o Rule) bool { return o.Name == name }); i >= 0 {
			r = c.Auth.Rules[i]
		}
		if len(r.Realms)+len(r.Domains)+len(r.Profiles) == 0 && !c.misread(r.Setting("realms")) && !c.misread(r.Setting("domains")) && !c.misread(r.Setting("profiles")) {
			problems = append(problems, c.At(r.Setting("realms"), -1, fmt.Sprintf("[auth.rules.%s] has nothing to match", name), "expected realms, domains or profiles; who decides about all others is auth.backend").As(CauseMissing))
		}
		if c.entries[r.Setting("backend")] != nil {
			problems = append(problems, c.validateChain(r.Setting("backend"), r.Backends)...)
		}
	}
	if c.Auth.BreakGlass.Path == "" {
		return problems
	}
	const path = "auth.break_glass.path"
	if !c.Auth.Uses(BackendRADIUS) && !c.Auth.Uses(BackendLDAP) {
		problems = append(problems, c.Warn(path, -1, path+": no backend is in use that can be unavailable", "nobody can log in with these accounts: take it out, or put their users into auth.file.path"))
	}
	problems = append(problems, c.needFile(path, -1, c.Auth.BreakGlass.Path, "make it with: bridgehead users add NAME --file "+c.Auth.BreakGlass.Path)...)
	return append(problems, c.private(path, -1, c.Auth.BreakGlass.Path)...)
}

// validateChain checks the backends of one chain.
func (c *Config) validateChain(setting string, list []string) []Problem {
	var problems []Problem
	if len(list) == 0 && !c.misread(setting) {
		problems = append(problems, c.At(setting, -1, setting+": names no backend", `expected "file", or a list such as ["file", "radius"]`))
	}
	for i, b := range list {
		switch {
		case slices.Contains(list[:i], b):
			problems = append(problems, c.At(setting, i, fmt.Sprintf("%s: %q is there twice", setting, b), "name each once"))
		case b == BackendRADIUS && i < len(list)-1:
			problems = append(problems, c.At(setting, i, setting+`: "radius" stands before others, which would never be asked: RADIUS can't tell a user whom it does not know from a wrong password`,
				fmt.Sprintf("put it last: %s", quotedList(append(slices.DeleteFunc(slices.Clone(list), func(o string) bool { return o == b }), b)))))
		}
	}
	return problems
}

func quotedList(list []string) string {
	return `["` + strings.Join(list, `", "`) + `"]`
}
