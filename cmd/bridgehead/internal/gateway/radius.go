package gateway

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"bridgehead/auth"
	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/radius"
)

// radiusPlan is what a configuration says of RADIUS, with the secrets and
// certificates that it names.
type radiusPlan struct {
	groups []radiusGroup
	mark   string // a digest of all of it
}

// radiusGroup is servers that know the same users.
type radiusGroup struct {
	realms  []string // none: everybody else
	servers []radius.ServerConfig
}

// readRADIUS reads what a configuration says of RADIUS. The error is the first
// thing that keeps it from being used.
func readRADIUS(c *config.Config) (*radiusPlan, error) {
	plan, problems := planServers(c, true)
	if _, err := config.Judge(problems); err != nil {
		return nil, err
	}
	return plan, nil
}

// planRADIUS is readRADIUS with all that is wrong, also with servers that are not
// in use.
func planRADIUS(c *config.Config) (*radiusPlan, []config.Problem) { return planServers(c, false) }

// planServers reads all servers, or only those in use.
func planServers(c *config.Config, only bool) (*radiusPlan, []config.Problem) {
	var (
		plan     radiusPlan
		problems []config.Problem
		digest   = sha256.New()
	)
	for _, e := range c.Explain() {
		if section, _, _ := strings.Cut(e.Setting, "."); section == "radius" || section == "groups" || section == "auth" && !strings.HasPrefix(e.Setting, "auth.file.") || e.Setting == "server.name" || e.Setting == "ike.login_timeout" {
			fmt.Fprintln(digest, e.Setting, e.Value)
		}
	}
	servers := c.RADIUSGroups()
	if !c.Auth.Uses(config.BackendRADIUS) && c.Accounting.Backend != config.AccountingRADIUS && only {
		servers = nil
	}
	for _, list := range servers {
		group := radiusGroup{realms: list[0].Realms}
		for _, s := range list {
			r := serverReader{server: s, partnerFiles: partnerFiles{config: c, setting: s.Setting, digest: digest}}
			group.servers = append(group.servers, r.read())
			problems = append(problems, r.problems...)
		}
		plan.groups = append(plan.groups, group)
	}
	plan.mark = hex.EncodeToString(digest.Sum(nil))
	return &plan, problems
}

// serverReader reads one [radius.NAME] and the files it names.
type serverReader struct {
	partnerFiles
	server config.RADIUSServer
}

func (r *serverReader) read() radius.ServerConfig {
	s := r.server
	out := radius.ServerConfig{
		Name: s.Name, Address: s.Endpoint(), Source: s.Source, Priority: s.Priority, Weight: s.Weight,
		AllowUnsigned: s.Unsigned, NoStatusServer: !s.StatusServer, NASIdentifier: nasIdentifier(r.config),
		Retransmission: radius.Retransmission{Total: stepTime(r.config)},
	}
	if r.config.Accounting.Backend == config.AccountingRADIUS && (s.Accounting != "" || !s.TLS.Used()) { // else over the same connection
		out.Accounting = s.AccountingEndpoint()
	}
	if s.TLS.Used() {
		out.TLS = r.tls()
		return out
	}
	out.Secret = r.secret(s.Secret)
	return out
}

// tls reads whom to trust and the gateway's own certificate.
func (r *serverReader) tls() *tls.Config {
	t := r.server.TLS
	out := &tls.Config{ServerName: t.Name, MinVersion: tls.VersionTLS12, RootCAs: r.authority("tls.ca", t.CA)}
	if pair, ok := r.certificate("tls.certificate", t.Certificate, t.Key); ok {
		out.Certificates = []tls.Certificate{pair}
	}
	return out
}

// nasIdentifier is the gateway's name to the servers.
func nasIdentifier(c *config.Config) string {
	if id := c.Auth.RADIUS.NASIdentifier; id != "" {
		return id
	}
	return c.Server.Name
}

// stepTime is how long one answer is waited for: by default so long that the
// client still hears of an outage before its login ends.
func stepTime(c *config.Config) time.Duration {
	if t := c.Auth.RADIUS.StepTime; t > 0 {
		return t
	}
	const before = 10 * time.Second
	return max(c.IKE.LoginTimeout-before, c.IKE.LoginTimeout/2)
}

// open begins to watch the servers and makes the backend over them and what
// else there is.
func (p *radiusPlan) open(c *config.Config, m *members, o radius.Options) (*authority, error) {
	realms := map[string]*radius.Group{}
	a := &authority{mark: p.mark, realms: realms}
	for _, g := range p.groups {
		name := "others"
		if len(g.realms) > 0 {
			name = strings.Join(g.realms, ",")
		}
		group, err := radius.NewGroup(name, g.servers, o)
		if err != nil {
			a.retire()
			return nil, errors.Join(err)
		}
		a.groups = append(a.groups, group)
		if len(g.realms) == 0 {
			a.others = group
		}
		for _, r := range g.realms {
			realms[r] = group
		}
	}
	m.others, m.realms = a.others, realms
	var err error
	if c.Auth.Uses(config.BackendLDAP) {
		if a.directory, err = openDirectory(c, m.log); err != nil {
			a.retire()
			return nil, err
		}
		m.directory = a.directory
	}
	if a.backend, err = m.backend(c); err != nil {
		a.retire()
		return nil, err
	}
	return a, nil
}

// radiusVerifier has servers judge answers of EAP-MSCHAPv2.
func radiusVerifier(c *config.Config, others *radius.Group, realms map[string]*radius.Group) (auth.Verifier, error) {
	return radius.NewVerifier(radius.VerifierConfig{
		Group: others, Realms: realms, NASIdentifier: nasIdentifier(c), StationPort: c.Auth.RADIUS.StationPort, StepTime: stepTime(c),
	})
}

// radiusBackend passes EAP on to servers.
func radiusBackend(c *config.Config, others *radius.Group, realms map[string]*radius.Group) (auth.Backend, error) {
	r := c.Auth.RADIUS
	return radius.NewBackend(radius.BackendConfig{
		Group: others, Realms: realms, NASIdentifier: nasIdentifier(c), StationPort: r.StationPort, StepTime: stepTime(c),
		FramedMTU: r.FramedMTU, Start: map[string]radius.Start{
			config.IdentityClient: radius.AskClient, config.IdentityServer: radius.AskServer, config.IdentityIKE: radius.AssumeIDi,
		}[r.Identity],
	})
}

// checkRADIUS reads the secrets and certificates of the servers. That there are
// no credentials is no mistake: only the service has them.
func checkRADIUS(c *config.Config) []config.Problem {
	_, problems := planRADIUS(c)
	for i := range problems {
		if problems[i].Cause == config.CauseNoCredentials {
			problems[i].Severity = config.SeverityWarning
		}
	}
	return problems
}
