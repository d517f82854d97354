package peers

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bridgehead/integration/lab"
)

// TestCheckProvesRADIUSServers has check name each fault between the gateway and
// FreeRADIUS, and nothing where there is none.
func TestCheckProvesRADIUSServers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	authority, foreign := lab.NewCA(t, "RADIUS test CA", lab.ECDSA256), lab.NewCA(t, "Foreign CA", lab.ECDSA256)
	server := s.freeRADIUSOf(authority, authority.NewServer(lab.RSA2048, 30*24*time.Hour, "radius.example.org"), "")
	s.secretFile(t, radiusSecret)
	for name, c := range map[string]*lab.Certificate{"known": authority.NewClient(lab.ECDSA256, gatewayName), "stranger": foreign.NewClient(lab.ECDSA256, gatewayName)} {
		c.Write(filepath.Join(s.dir, name+".pem"))
		c.WriteKey(filepath.Join(s.dir, name+".key"))
	}
	authority.Write(filepath.Join(s.dir, "authority.pem"))
	foreign.Write(filepath.Join(s.dir, "foreign.pem"))
	overTLS := func(changes ...string) string {
		return "[auth]\nbackend = \"radius\"\n[radius.campus]\naddress = \"127.0.0.1:1812\"\n" + strings.NewReplacer(changes...).Replace(
			`tls = { ca = "authority.pem", certificate = "known.pem", key = "known.key", name = "radius.example.org" }`) + "\n"
	}
	overUDP := fmt.Sprintf(overRADIUS, s.dir)
	accounted := overUDP + "[accounting]\nbackend = \"radius\"\n"
	for _, test := range []struct {
		name, config, secret string
		faults               []string // of the servers' uses, in order; "" for none
		seen                 string
	}{
		{"good", overUDP, radiusSecret, []string{""}, "signs its answers"},
		{"good with MS-CHAPv2", overUDP + "[auth.radius]\nmethod = \"mschapv2\"\n", radiusSecret, []string{""}, "signs its answers"},
		{"good with accounting", accounted, radiusSecret, []string{"", ""}, "campus, accounting: UDP at 127.0.0.1:1813"},
		{"accounting nowhere", strings.Replace(accounted, "[accounting]", "accounting = \"127.0.0.1:1899\"\n[accounting]", 1), radiusSecret, []string{"", "radius-nothing-listens"}, "radius.campus.accounting: accounting: nothing listens at 127.0.0.1:1899"},
		{"nothing listens", strings.Replace(overUDP, `"127.0.0.1"`, `"127.0.0.1:1899"`, 1), radiusSecret, []string{"radius-nothing-listens"}, "connection refused"},
		{"no way", strings.Replace(overUDP, `"127.0.0.1"`, `"203.0.113.9"`, 1) + "source = \"192.0.2.77\"\n", radiusSecret, []string{"radius-unreachable"}, "cannot assign"},
		{"filtered", strings.Replace(overUDP, `"127.0.0.1"`, `"127.0.0.1:1898"`, 1), radiusSecret, []string{"radius-silent"}, "the secrets differ. Its log tells"},
		{"wrong secret", overUDP, "another secret than that of the server", []string{"radius-wrong-secret"}, "has another secret"},
		{"signed needlessly optional", overUDP + "message_authenticator = \"optional\"\n", radiusSecret, []string{""}, "signs its answers\n"},
		{"TLS", overTLS(), "", []string{""}, "its certificate ends"},
		{"TLS, another name", overTLS("radius.example.org", "radius.example.net"), "", []string{"radius-tls-name"}, "radius.example.org"},
		{"TLS, another authority", overTLS("authority.pem", "foreign.pem"), "", []string{"radius-tls-authority"}, "unknown authority"},
		{"TLS, a stranger", overTLS("known", "stranger"), "", []string{"radius-tls-refused"}, "refuses the gateway's certificate"},
	} {
		if test.secret != "" {
			s.secretFile(t, test.secret)
		}
		if test.name == "filtered" {
			s.gateway.Run("nft", "add table inet filtered; add chain inet filtered in { type filter hook input priority 0; }; add rule inet filtered in udp dport 1898 drop")
		}
		file := s.writeConfig(t, test.config)
		asJSON := bridgehead(t, s.gateway, "", "check", "--config", file, "--json")
		found := decode[struct {
			OK      bool
			Servers []struct{ Fault string }
		}](t, asJSON.out)
		var faults []string
		for _, f := range found.Servers {
			faults = append(faults, f.Fault)
		}
		if asJSON.code != 0 || !found.OK || !slices.Equal(faults, test.faults) {
			t.Errorf("%s: faults %q, want %q: %s", test.name, faults, test.faults, asJSON)
		}
		plain := bridgehead(t, s.gateway, "", "check", "--config", file)
		if !strings.Contains(plain.out, test.seen) {
			t.Errorf("%s: %q is not in %s", test.name, test.seen, plain)
		}
		for _, hidden := range []string{radiusSecret, test.secret} {
			if hidden != "" && strings.Contains(plain.out+asJSON.out, hidden) {
				t.Errorf("%s: %q is shown", test.name, hidden)
			}
		}
	}
	if strings.Contains(server.Log(), "Login OK") {
		t.Error("somebody logged in")
	}
	file := s.writeConfig(t, strings.Replace(overUDP, `"127.0.0.1"`, `"127.0.0.1:1899"`, 1))
	if got := bridgehead(t, s.gateway, "", "check", "--config", file, "--offline"); got.code != 0 || strings.Contains(got.out, "1899") {
		t.Errorf("offline: %s", got)
	}
}
