package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// validateDAE checks who may end and change sessions.
func (c *Config) validateDAE() []Problem {
	var problems []Problem
	d := &c.DAE
	udp := slices.ContainsFunc(d.Clients, func(c DAEClient) bool { return c.Secret != "" })
	overTLS := slices.ContainsFunc(d.Clients, func(c DAEClient) bool { return len(c.TLSNames) > 0 })
	const nobody = "add who may send requests with [dae.clients.NAME]"
	if len(d.Listen) > 0 && !udp {
		problems = append(problems, c.Warn("dae.listen", -1, "dae.listen: no client has a secret, so that every request over UDP is dropped", nobody))
	}
	if len(d.TLS.Listen) > 0 && !overTLS {
		problems = append(problems, c.Warn("dae.tls.listen", -1, "dae.tls.listen: no client has a tls_name, so that every connection is closed", nobody))
	}
	if len(d.Clients) > 0 && !d.Used() {
		problems = append(problems, c.Warn(d.Clients[0].Setting("address"), -1, "[dae.clients."+d.Clients[0].Name+"]: nobody listens to it", `expected listen = ["0.0.0.0", "::"] in [dae] or [dae.tls]`))
	}
	seen := map[netip.Prefix]string{}
	for _, client := range d.Clients {
		problems = append(problems, c.validateDAEClient(client)...)
		for i, p := range client.Addresses {
			if other, twice := seen[p]; twice && client.Secret != "" {
				problems = append(problems, c.At(client.Setting("address"), i, fmt.Sprintf("%s: %s is an address of %s, too", client.Setting("address"), p, other), "the secret is chosen by the address, so take it out of one"))
			} else if client.Secret != "" {
				seen[p] = client.Name
			}
		}
	}
	return append(problems, c.validateDAETLS()...)
}

// validateDAEClient checks one client and the secret that it names.
func (c *Config) validateDAEClient(d DAEClient) []Problem {
	var problems []Problem
	warn := func(key, message, hint string) {
		problems = append(problems, c.Warn(d.Setting(key), -1, d.Setting(key)+": "+message, hint))
	}
	if d.Unsigned {
		warn("message_authenticator", "a request without one is protected by a digest alone that attacks on MD5 wear down", "have the client add Message-Authenticator, and take this out")
	}
	if d.Undated {
		warn("event_timestamp", "whoever recorded a request without one can send it again later", "have the client add Event-Timestamp, and take this out")
	}
	if d.NoDisconnect && d.NoChange {
		warn("disconnect", "the client may do nothing", "allow disconnect or coa, or take the client out")
	}
	if beyondLoopback(c.DAE.Listen) && d.Secret != "" {
		for i, p := range d.Addresses {
			if p.Bits() == 0 {
				problems = append(problems, c.Warn(d.Setting("address"), i, d.Setting("address")+": everybody may try to guess this client's secret", "expected the addresses of the RADIUS servers"))
			}
		}
	}
	secret := d.Setting("secret_file")
	switch {
	case d.Secret == "" && len(d.TLSNames) == 0 && !c.misread(secret) && !c.misread(d.Setting("tls_name")):
		problems = append(problems, c.At(secret, -1, fmt.Sprintf("[dae.clients.%s] lacks \"secret_file\"", d.Name), "put what the client shares with this gateway into a file of mode 0600; over TLS set tls_name instead").As(CauseMissing))
	case d.Secret != "" && !strings.HasPrefix(d.Secret, CredentialPrefix):
		problems = append(problems, c.needSecret(secret, d.Secret, "expected a file with what the client shares with this gateway")...)
		problems = append(problems, c.private(secret, -1, d.Secret)...)
	}
	return problems
}

// validateDAETLS checks the certificates of the TLS side.
func (c *Config) validateDAETLS() []Problem {
	t := c.DAE.TLS
	if len(t.Listen) == 0 {
		return nil
	}
	var problems []Problem
	if t.CA == "" && !c.misread("dae.tls.ca") {
		problems = append(problems, c.At("dae.tls.ca", -1, `[dae.tls] lacks "ca"`, "expected a PEM file with who may sign the clients' certificates").As(CauseMissing))
	}
	if (t.Certificate == "") != (t.Key == "") {
		problems = append(problems, c.At("dae.tls.certificate", -1, "dae.tls.certificate: a certificate and its key go together", "expected both dae.tls.certificate and dae.tls.key, or neither"))
	}
	for _, f := range []struct{ setting, path, what string }{
		{"dae.tls.ca", t.CA, "who may sign the clients' certificates"},
		{"dae.tls.certificate", t.Certificate, "the gateway's certificate"},
		{"dae.tls.key", t.Key, "the key of that certificate"},
	} {
		if f.path != "" {
			problems = append(problems, c.needFile(f.setting, -1, f.path, "expected a PEM file with "+f.what)...)
		}
	}
	if t.Key != "" {
		problems = append(problems, c.private("dae.tls.key", -1, t.Key)...)
	}
	return problems
}
