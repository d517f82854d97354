package router

import (
	"context"
	"io"
	"slices"
	"strings"

	"bridgehead/auth"
	"bridgehead/auth/mschapv2"
)

// DefaultRule is the name of what holds for users whom no rule matches.
const DefaultRule = "default"

// Rule sends some users to a chain of their own. It matches where each list
// that is not empty has what the user claims; letters' case does not matter.
type Rule struct {
	Name     string
	Realms   []string // "example.org" of "alice@example.org"
	Domains  []string // "CORP" of "CORP\alice"
	Profiles []string // names that clients ask the gateway for
	Chain    Chain
}

// Config of New.
type Config struct {
	Rules      []Rule // the first that matches holds
	Default    Chain  // of users whom none matches
	ServerName string // to clients of EAP-MSCHAPv2
	Rand       io.Reader
	// BreakGlass hears of each login with a break-glass account; nil: nobody does.
	BreakGlass func(user, session string)
}

// Router is an auth.Backend over several others, which stay the caller's to
// close. It is safe for concurrent use.
type Router struct {
	rules      []Rule // the last one matches everybody
	options    mschapv2.Options
	passes     bool // some member has whole conversations
	changes    bool // some member can change passwords
	breakGlass func(user, session string)
}

// New makes a router. The error is a *ConfigError.
func New(c Config) (*Router, error) {
	r := &Router{
		rules:   append(slices.Clone(c.Rules), Rule{Name: DefaultRule, Chain: c.Default}),
		options: mschapv2.Options{ServerName: c.ServerName, Rand: c.Rand}, breakGlass: c.BreakGlass,
	}
	for i := range r.rules {
		rule := &r.rules[i]
		if err := rule.Chain.check(rule.Name); err != nil {
			return nil, err
		}
		if i < len(c.Rules) && len(rule.Realms)+len(rule.Domains)+len(rule.Profiles) == 0 {
			return nil, &ConfigError{rule.Name, "expected a realm, a domain or a profile"}
		}
		if last := rule.Chain.last(); last != nil {
			_, changes := last.Verifier.(auth.PasswordChanger)
			r.passes, r.changes = r.passes || last.Backend != nil, r.changes || changes
		}
	}
	return r, nil
}

// matches tells whether the rule holds for a name and a profile.
func (r *Rule) matches(n auth.Name, profile string) bool {
	has := func(list []string, s string) bool {
		return len(list) == 0 || s != "" && slices.ContainsFunc(list, func(o string) bool { return strings.EqualFold(o, s) })
	}
	return has(r.Realms, n.Realm) && has(r.Domains, n.Domain) && has(r.Profiles, profile)
}

// route is the rule for a user.
func (r *Router) route(name, profile string) *Rule {
	n := auth.SplitName(name)
	for i := range r.rules[:len(r.rules)-1] {
		if r.rules[i].matches(n, profile) {
			return &r.rules[i]
		}
	}
	return &r.rules[len(r.rules)-1]
}

// Begin implements auth.Backend.
func (r *Router) Begin(ctx context.Context, peer auth.Peer) (auth.Conversation, error) {
	j := &judge{router: r, peer: peer}
	var v auth.Verifier = j
	if r.changes {
		v = changer{j}
	}
	c, err := mschapv2.NewBackend(v, r.options).Begin(ctx, peer)
	if err != nil {
		return nil, err
	}
	return &conversation{router: r, peer: peer, judge: j, own: c}, nil
}
