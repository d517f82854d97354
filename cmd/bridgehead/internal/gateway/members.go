package gateway

import (
	"fmt"
	"log/slog"

	"bridgehead/auth"
	"bridgehead/auth/mschapv2"
	"bridgehead/auth/router"
	"bridgehead/auth/secrets"
	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/radius"
)

// members are the backends of one configuration, open.
type members struct {
	users     auth.HashStore // nil: not in use
	directory auth.HashStore // the same
	others    *radius.Group  // of the users of no realm in realms
	realms    map[string]*radius.Group
	log       *slog.Logger
	broken    func(user, session string) // hears of break-glass accounts; may be nil
}

// backend is the backend that a configuration makes of them: the only one there
// is as it stands, or several behind rules, and the policy of groups above.
func (m *members) backend(c *config.Config) (auth.Backend, error) {
	b, err := m.unpoliced(c)
	if err != nil {
		return nil, err
	}
	return withGroups(b, c), nil
}

func (m *members) unpoliced(c *config.Config) (auth.Backend, error) {
	known := map[string]router.Member{}
	for _, name := range []string{config.BackendFile, config.BackendLDAP, config.BackendRADIUS} {
		if !c.Auth.Uses(name) {
			continue
		}
		member, err := m.member(c, name)
		if err != nil {
			return nil, err
		}
		known[name] = member
	}
	if !c.Auth.Routed() {
		one := known[c.Auth.Backends[0]]
		switch {
		case one.Store != nil:
			one.Verifier = mschapv2.NewHashVerifier(one.Store)
			fallthrough
		case one.Verifier != nil:
			return mschapv2.NewBackend(one.Verifier, mschapv2.Options{ServerName: c.Server.Name}), nil
		}
		return one.Backend, nil
	}
	glass, err := m.breakGlass(c)
	if err != nil {
		return nil, err
	}
	chain := func(names []string) router.Chain {
		l := router.Chain{SkipOutages: c.Auth.Outage == config.OutageNext, BreakGlass: glass}
		for _, name := range names {
			l.Members = append(l.Members, known[name])
		}
		return l
	}
	r := router.Config{Default: chain(c.Auth.Backends), ServerName: c.Server.Name, BreakGlass: m.broken}
	for _, rule := range c.Auth.Rules {
		r.Rules = append(r.Rules, router.Rule{
			Name: rule.Name, Realms: rule.Realms, Domains: rule.Domains, Profiles: rule.Profiles, Chain: chain(rule.Backends),
		})
	}
	return router.New(r)
}

// member is one backend by its name.
func (m *members) member(c *config.Config, name string) (router.Member, error) {
	one := router.Member{Name: name, Central: name != config.BackendFile}
	var err error
	switch name {
	case config.BackendFile:
		one.Store = m.users
	case config.BackendLDAP:
		one.Store = m.directory
	case config.BackendRADIUS:
		if c.Auth.RADIUS.Method == config.MethodMSCHAPv2 {
			one.Verifier, err = radiusVerifier(c, m.others, m.realms)
		} else {
			one.Backend, err = radiusBackend(c, m.others, m.realms)
		}
	}
	if err == nil && one.Store == nil && one.Verifier == nil && one.Backend == nil {
		err = fmt.Errorf("the backend %q is not open", name)
	}
	return one, err
}

// breakGlass opens the accounts for an outage, if there are any. The file is
// read again when it changes.
func (m *members) breakGlass(c *config.Config) (auth.HashStore, error) {
	path := c.Auth.BreakGlass.Path
	if path == "" {
		return nil, nil
	}
	f, err := secrets.Open(path, secrets.Options{Format: secrets.UsersFile, OnLoad: func(r secrets.Report) {
		if r.Err != nil {
			m.log.Error("break-glass accounts were not read again, those of before stay in force", slog.Any("error", r.Err))
		}
	}})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// checkGroups warns of users of the file whose group is not there, if any is.
func checkGroups(c *config.Config, users []secrets.User) []config.Problem {
	known := map[string]bool{}
	for _, name := range c.GroupNames() {
		known[name] = true
	}
	if len(known) == 0 {
		return nil // groups are for the log then
	}
	var problems []config.Problem
	for _, u := range users {
		if u.Group != "" && !known[u.Group] {
			problems = append(problems, c.Warn("auth.file.path", -1,
				"auth.file.path: user \""+u.Name+"\" is of the group \""+u.Group+"\", which is not there", "add it with [groups."+u.Group+"]").As(config.CauseUnknownGroup))
		}
	}
	return problems
}
