package config

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"
)

// minStepTime leaves time for one retransmission (RFC 5080 §2.2.1).
const minStepTime = 3 * time.Second

// validateRADIUS checks the servers, and that there is one where they are to
// decide.
func (c *Config) validateRADIUS() []Problem {
	var problems []Problem
	if c.Auth.Uses(BackendRADIUS) && len(c.namesIn(radiusTable)) == 0 {
		problems = append(problems, c.At("auth.backend", -1, "auth.backend: no RADIUS server is named", `expected [radius.NAME] and below it address = "192.0.2.10" and secret_file = "/etc/bridgehead/radius.secret"`).As(CauseMissing))
	}
	if t := c.Auth.RADIUS.StepTime; t > 0 && t < minStepTime {
		problems = append(problems, c.At("auth.radius.step_time", -1, fmt.Sprintf("auth.radius.step_time: %s leaves no time to ask again for what was lost", t), `expected 3s or more; "0" leaves it to ike.login_timeout`))
	} else if t > 0 && t >= c.IKE.LoginTimeout {
		problems = append(problems, c.Warn("auth.radius.step_time", -1, fmt.Sprintf("auth.radius.step_time: a login ends after %s already", shortDuration(c.IKE.LoginTimeout)), "set ike.login_timeout to more than step_time where users answer a phone"))
	}
	realms := map[string]RADIUSServer{}
	for _, s := range c.RADIUS {
		problems = append(problems, c.validateRADIUSServer(s)...)
		for i, r := range s.Realms {
			if other, ok := realms[r]; ok && !other.sameRealms(s) {
				problems = append(problems, c.At(s.Setting("realms"), i, fmt.Sprintf("%s: %s is among the realms of %s, too, which has others", s.Setting("realms"), r, other.Name), "servers that stand in for each other have the same realms"))
			} else if !ok {
				realms[r] = s
			}
		}
	}
	return problems
}

// validateRADIUSServer checks one server and the files that it names.
func (c *Config) validateRADIUSServer(s RADIUSServer) []Problem {
	var problems []Problem
	if s.Unsigned {
		problems = append(problems, c.Warn(s.Setting("message_authenticator"), -1, s.Setting("message_authenticator")+": an answer without one can be forged by whoever is on the way (CVE-2024-3596)", `update the server and take this out, or keep the network between the two to yourself; beside EAP it has no effect`))
	}
	secret := s.Setting("secret_file")
	if !s.TLS.Used() {
		if s.Secret == "" && c.misread(secret) {
			return problems
		}
		if s.Secret == "" {
			return append(problems, c.At(secret, -1, fmt.Sprintf("[radius.%s] lacks \"secret_file\"", s.Name), "put what the server shares with this gateway into a file of mode 0600; over TLS set tls instead").As(CauseMissing))
		}
		if strings.HasPrefix(s.Secret, CredentialPrefix) {
			return problems // only the service sees it
		}
		problems = append(problems, c.needSecret(secret, s.Secret, "expected a file with what the server shares with this gateway")...)
		return append(problems, c.private(secret, -1, s.Secret)...)
	}
	if s.Secret != "" {
		problems = append(problems, c.At(secret, -1, secret+": over TLS the secret is fixed (RFC 6614 §2.3)", "take it out; the certificates keep strangers away"))
	}
	for _, f := range []struct{ key, path, what string }{
		{"tls.ca", s.TLS.CA, "who may sign the server's certificate"},
		{"tls.certificate", s.TLS.Certificate, "the gateway's certificate, which the server asks for (RFC 6614 §2.3)"},
		{"tls.key", s.TLS.Key, "the key of the gateway's certificate"},
	} {
		if f.path == "" && c.misread(s.Setting(f.key)) {
			continue
		}
		if f.path == "" {
			problems = append(problems, c.At(s.Setting(f.key), -1, fmt.Sprintf("[radius.%s] lacks %q", s.Name, f.key), "expected a PEM file with "+f.what).As(CauseMissing))
			continue
		}
		problems = append(problems, c.needFile(s.Setting(f.key), -1, f.path, "expected a PEM file with "+f.what)...)
	}
	if _, err := os.Stat(s.TLS.Key); err == nil {
		problems = append(problems, c.private(s.Setting("tls.key"), -1, s.TLS.Key)...)
	}
	return problems
}

// misread tells that a setting that is empty was set to something that could
// not be read, which is reported already.
func (c *Config) misread(setting string) bool {
	e := c.entries[setting]
	return e != nil && (e.value.text != "" || e.value.kind != unstable.String)
}
