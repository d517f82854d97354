package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"log/slog"
	"time"

	"bridgehead/auth"
	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/ldap"
)

// readLDAP reads what a configuration says of the directory, with the files that
// it names, and gives a digest of those.
func readLDAP(c *config.Config) (out ldap.Config, mark string, problems []config.Problem) {
	l := c.Auth.LDAP
	digest := sha256.New()
	files := partnerFiles{config: c, digest: digest, setting: func(key string) string {
		if key == "secret_file" {
			key = "password_file"
		}
		return "auth.ldap." + key
	}}
	out = ldap.Config{
		Servers: l.Servers, Domain: l.Domain, Plaintext: l.Plaintext, BindDN: l.BindDN, External: l.External,
		Base: l.Base, Filter: l.Filter, DN: l.DN, NameAttr: l.Name, Exact: l.Exact, Hash: l.Hash,
		Groups:     ldap.Groups{Base: l.GroupBase, Filter: l.GroupFilter, Depth: l.GroupDepth, Map: l.GroupMap, Require: l.GroupRequire},
		Attributes: l.Attributes, Pool: l.Pool, ConnectTimeout: l.ConnectTimeout, Timeout: l.Timeout,
		TLS: &tls.Config{ServerName: l.ServerName, MinVersion: tls.VersionTLS12},
	}
	if l.Scope == config.ScopeOne {
		out.Scope = ldap.OneLevel
	}
	if l.CA != "" {
		out.TLS.RootCAs = files.authority("tls.ca", l.CA)
	}
	if l.Certificate != "" {
		if pair, ok := files.certificate("tls.certificate", l.Certificate, l.Key); ok {
			out.TLS.Certificates = []tls.Certificate{pair}
		}
	}
	if l.Password != "" {
		out.Password = files.secret(l.Password)
	}
	for _, p := range files.problems {
		if p.Severity == config.SeverityError { // what makes a good secret of RADIUS is no matter here
			problems = append(problems, p)
		}
	}
	return out, hex.EncodeToString(digest.Sum(nil)), problems
}

// openDirectory opens the directory of a configuration. The mark changes with
// the files that it was made from.
func openDirectory(c *config.Config, log *slog.Logger) (*ldap.Directory, error) {
	settings, _, problems := readLDAP(c)
	if _, err := config.Judge(problems); err != nil {
		return nil, err
	}
	settings.Log = log.With(slog.String("backend", config.BackendLDAP))
	return ldap.New(settings)
}

// directoryMark is of the files that a directory in use is made from.
func directoryMark(c *config.Config) string {
	if !c.Auth.Uses(config.BackendLDAP) {
		return ""
	}
	_, mark, _ := readLDAP(c)
	return mark
}

// checkLDAP reads the files. That there are no credentials is no mistake: only
// the service has them.
func checkLDAP(c *config.Config) []config.Problem {
	if !c.Auth.Uses(config.BackendLDAP) {
		return nil
	}
	_, _, problems := readLDAP(c)
	for i := range problems {
		if problems[i].Cause == config.CauseNoCredentials {
			problems[i].Severity = config.SeverityWarning
		}
	}
	return problems
}

// examineDirectory asks each LDAP server what a login needs. What is wrong is a
// warning.
func examineDirectory(ctx context.Context, c *config.Config) ([]config.Problem, error) {
	if !c.Auth.Uses(config.BackendLDAP) {
		return nil, nil
	}
	settings, _, unread := readLDAP(c)
	if len(unread) > 0 {
		return nil, nil // only the service can read it
	}
	found, err := ldap.Examine(ctx, settings)
	if err != nil {
		return nil, err
	}
	var problems []config.Problem
	warn := func(cause config.Cause, text, hint string) {
		problems = append(problems, c.Warn("auth.ldap.servers", -1, "auth.ldap.servers: "+text, hint).As(cause))
	}
	for _, f := range found {
		switch {
		case f.ActiveDirectory:
			warn(config.CauseLDAPActiveDirectory, f.URL+" is an Active Directory, which gives no hash over LDAP", `use auth.backend = "radius" with NPS, or with FreeRADIUS and winbind`)
		case f.Cause != "":
			reason := auth.Reason{Cause: f.Cause}
			warn(config.Cause(f.Cause), f.URL+": "+f.Err.Error(), reason.Advice())
		case f.Anonymous:
			warn(config.CauseLDAPAnonymous, f.URL+" shows NT hashes to whoever asks, and whoever has one can log in", "let only auth.ldap.bind_dn read the attributes of auth.ldap.hash")
		}
		if !f.Ends.IsZero() && time.Until(f.Ends) < soon {
			warn(config.CauseLDAPTLSEnds, "the certificate of "+f.URL+" ends "+f.Ends.Format(time.DateOnly), "renew it at the server")
		}
	}
	return problems, nil
}
