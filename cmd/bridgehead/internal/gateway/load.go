package gateway

import (
	"fmt"
	"slices"
	"strings"

	"bridgehead/auth/secrets"
	"bridgehead/cmd/bridgehead/internal/config"
)

// LoadConfig reads a configuration with everything it names: certificates,
// keys, users, and what of this host it counts on. The error is a *config.Error with all that was found.
func LoadConfig(path string) (*config.Config, []config.Problem, error) {
	c, problems := config.Load(path)
	if c != nil {
		if !blamed(problems, "server.") {
			problems = append(problems, checkIdentities(c)...)
		}
		if !blamed(problems, "ike.") && !blamed(problems, "esp.") {
			problems = append(problems, checkSuites(c)...)
		}
		if !blamed(problems, "auth.") && !blamed(problems, "radius.") {
			problems = append(problems, checkBackend(c)...)
		}
		if !blamed(problems, "dae.") && !blamed(problems, "server.") {
			problems = append(problems, checkDAE(c)...)
		}
		if !blamed(problems, "addresses.") && !blamed(problems, "dataplane.") {
			problems = append(problems, checkHost(c)...)
		}
		if !blamed(problems, "dataplane.") && !blamed(problems, "esp.") {
			problems = append(problems, checkPlane(c)...)
			problems = append(problems, checkLimits(c)...)
		}
	}
	warnings, err := config.Judge(problems)
	if err != nil {
		return nil, nil, err
	}
	return c, warnings, nil
}

// blamed tells whether a setting of a section is wrong already: its files are
// not looked at then.
func blamed(problems []config.Problem, section string) bool {
	return slices.ContainsFunc(problems, func(p config.Problem) bool {
		return p.Severity == config.SeverityError && strings.HasPrefix(p.Setting, section)
	})
}

// format is the file's form as the secrets package names it.
func format(c *config.Config) secrets.Format {
	switch c.Auth.File.Format {
	case config.FormatUsers:
		return secrets.UsersFile
	case config.FormatSecrets:
		return secrets.IPsecSecrets
	}
	return secrets.Auto
}

// checkBackend reads what the backend in use needs, and what servers need in
// any case: accounting may use them.
func checkBackend(c *config.Config) []config.Problem {
	var problems []config.Problem
	if c.Auth.Uses(config.BackendFile) {
		problems = checkUsers(c)
	}
	problems = append(problems, checkLDAP(c)...)
	return append(problems, checkRADIUS(c)...)
}

// checkUsers reads the file of users. A bad line loses only its own user, so
// it is a warning: the others must still come in.
func checkUsers(c *config.Config) []config.Problem {
	f, err := secrets.Open(c.Auth.File.Path, secrets.Options{Format: format(c)})
	if err != nil {
		return []config.Problem{c.At("auth.file.path", -1, "auth.file.path: "+err.Error(), "").As(config.CauseUnreadable)}
	}
	var problems []config.Problem
	for _, p := range f.Problems() {
		if p.Line == 0 { // the file as a whole: others may read it
			problems = append(problems, c.Warn("auth.file.path", -1, "auth.file.path: "+p.File+": "+p.Text, "").As(config.CauseReadableSecret))
			continue
		}
		problems = append(problems, config.Problem{
			Severity: config.SeverityWarning, Cause: config.CauseUsersLine, File: p.File, Line: max(p.Line, 1), Column: max(p.Column, 1), Setting: "auth.file.path", Message: p.Text,
		})
	}
	problems = append(problems, checkUserPools(c)...)
	if f.Len() == 0 {
		problems = append(problems, c.Warn("auth.file.path", -1, "auth.file.path: "+c.Auth.File.Path+" holds no user", "nobody can log in; add one with: "+c.AddUser()).As(config.CauseNoUsers))
	}
	return problems
}

// checkUserPools warns of users who could not get an address.
func checkUserPools(c *config.Config) []config.Problem {
	list, _, err := secrets.List(c.Auth.File.Path)
	if err != nil || format(c) == secrets.IPsecSecrets {
		return nil
	}
	var known []string
	for _, p := range c.AllPools() {
		known = append(known, p.Name)
	}
	hint := "the one pool is " + config.DefaultPool
	if len(known) > 1 {
		hint = "the pools are " + strings.Join(known, ", ")
	}
	var problems []config.Problem
	for _, u := range list {
		if u.Pool != "" && !slices.Contains(known, u.Pool) {
			problems = append(problems, c.Warn("auth.file.path", -1,
				fmt.Sprintf("auth.file.path: user %q names the pool %q, which is not there", u.Name, u.Pool),
				hint+"; add it with [pools."+u.Pool+"]").As(config.CauseUnknownPool))
		}
	}
	problems = append(problems, checkGroups(c, list)...)
	return append(problems, checkPoolSizes(c, list)...)
}
