package peers

import (
	"strings"
	"testing"

	"bridgehead/auth"
	"bridgehead/ikev2/initiator"
)

// seedSecrets is an ipsec.secrets with each form of a password, one of them
// broken.
const seedSecrets = `### SSL private key
: RSA /etc/ssl/private/vpn-server.key

### Clients' credentials
double : EAP "pass word"   # with a comment
single : EAP 'pass "word'
bare   : EAP password
hex    : EAP 0x70617373
base64 : EAP 0scGFzcw==
hash   : NTLM 0x8846f7eaee8fb117ad06bdd830b7586c
"two words" other@example.org : XAUTH "shared"
CORP\anna : EAP "corporate"
broken : EAP "never closed
last : EAP "ü ñ"
include ipsec.d/secrets/myvpn
include ipsec.d/secrets/none
`

// login is whether a user of the documented setup is let in.
func (s *seedSite) login(t *testing.T, c *client, user, password string) error {
	t.Helper()
	conf := s.seedDevice(0)
	conf.User, conf.Password = user, auth.Secret(password)
	var session *initiator.Session
	var err error
	c.Do(func() { session, err = initiator.Dial(t.Context(), conf) })
	if err != nil {
		return err
	}
	if in := s.oneSession(t); !strings.HasSuffix(in.User, user[strings.LastIndexByte(user, '\\')+1:]) {
		t.Errorf("%s logs in as %+v", user, in)
	}
	if err := session.Close(t.Context()); err != nil {
		t.Error(err)
	}
	s.nobodyIn(t)
	return nil
}

// TestSeedSecrets has the gateway read an ipsec.secrets as it stands: a line
// that is broken costs nobody else the login.
func TestSeedSecrets(t *testing.T) {
	t.Parallel()
	s := newSeedSite(t)
	s.serveSeed(t, "")
	c := s.newClient(t, "client")
	s.install(t, "etc/ipsec.secrets", seedSecrets, 0o600)
	s.configure(t, "more.toml", "[auth.file]\npath = \"/etc/ipsec.secrets\"\n")
	s.asked(t, "reload")
	for _, u := range []struct{ name, password string }{
		{"double", "pass word"}, {"single", `pass "word`}, {"bare", "password"}, {"hex", "pass"}, {"base64", "pass"}, {"hash", "password"},
		{"two words", "shared"}, {"other@example.org", "shared"}, {`CORP\anna`, "corporate"}, {`ELSEWHERE\bare`, "password"},
		{"last", "ü ñ"}, {"user3", "password3"},
	} {
		if err := s.login(t, c, u.name, u.password); err != nil {
			t.Errorf("%s: %v", u.name, err)
		}
	}
	for _, u := range []struct{ name, password string }{{"broken", "never closed"}, {"anna", "corporate"}, {"user1", seedPassword}, {"bare", "Password"}} {
		if err := s.login(t, c, u.name, u.password); err == nil {
			t.Errorf("%s is let in", u.name)
		}
	}
	for _, want := range []string{"/etc/ipsec.secrets:13:", "/etc/ipsec.secrets:16:"} {
		if !strings.Contains(s.process.Log(), want) {
			t.Errorf("the log says nothing of %s", want)
		}
	}
}

// TestSeedReloadThatFails keeps the old configuration whole, each time.
func TestSeedReloadThatFails(t *testing.T) {
	t.Parallel()
	s := newSeedSite(t)
	s.serveSeed(t, "")
	c := s.newClient(t, "client")
	for _, test := range []struct{ name, file, text, says string }{
		{"a setting", "more.toml", "[addresses]\ndns = [\"192.0.2.53\"]\n[ike]\nproposals = \"aes265-sha256\"\n", "more.toml:4:14: "},
		{"no TOML", "more.toml", "[addresses]\ndns = [\"192.0.2.53\"]\n[ike\n", "more.toml:3:"},
		{"a certificate", "more.toml", "[addresses]\ndns = [\"192.0.2.53\"]\n[server]\nkey = \"/etc/none\"\n", "/etc/none"},
		{"the users", "more.toml", "[addresses]\ndns = [\"192.0.2.53\"]\n[auth.file]\npath = \"/etc/none\"\n", "/etc/none"},
	} {
		s.configure(t, test.file, test.text)
		if got := s.ask(t, "reload"); got.code == 0 || !strings.Contains(got.err, test.says) {
			t.Errorf("%s: %s", test.name, got)
		}
		conf := s.seedDevice(0)
		var session *initiator.Session
		var err error
		c.Do(func() { session, err = initiator.Dial(t.Context(), conf) })
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if dns := session.Result().Config.DNS; len(dns) != 4 || dns[0].String() != seedHost4 {
			t.Errorf("%s: name servers %v", test.name, dns)
		}
		if err := session.Close(t.Context()); err != nil {
			t.Error(err)
		}
		s.nobodyIn(t)
	}
}
