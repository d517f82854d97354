package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/auth/secrets"
	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/ikev2"
	"bridgehead/ldap"
)

// site makes a folder current that holds a good configuration with its files.
func site(t *testing.T) string {
	t.Helper()
	t.Chdir(t.TempDir())
	if _, err := makeAuthority(".", []string{"vpn.example.org"}); err != nil {
		t.Fatal(err)
	}
	if err := secrets.Add("users", secrets.User{Name: "alice", Hash: auth.HashPassword([]byte("a good password"))}); err != nil {
		t.Fatal(err)
	}
	const text = `[server]
name = "vpn.example.org"
certificate = "server.pem"
key = "server.key"
chain = "ca.pem"
[addresses]
pools = ["192.0.2.0/25", "192.0.2.200-192.0.2.203"]
[auth.file]
path = "users"
`
	write(t, "bridgehead.toml", text)
	return "bridgehead.toml"
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoadConfigJudgesTheFilesToo(t *testing.T) {
	file := site(t)
	c, warnings, err := LoadConfig(file)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v %v", warnings, err)
	}
	ids, err := loadIdentities(c)
	if err != nil || len(ids.list) != 1 || !ids.equal(ids) {
		t.Fatalf("%v %v", ids, err)
	}

	otherKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(otherKey)
	if err != nil {
		t.Fatal(err)
	}
	write(t, "other.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	write(t, "garbage.pem", "no certificate")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{"server.key", "other.key", "bridgehead.toml:4:7: server.key: "},
		{"server.pem", "garbage.pem", "bridgehead.toml:3:15: server.certificate: garbage.pem: "},
		{"server.key", "garbage.pem", "bridgehead.toml:4:7: server.key: garbage.pem: "},
		{"ca.pem", "garbage.pem", "bridgehead.toml:5:9: server.chain: garbage.pem: "},
		{"vpn.example.org", "vpn.example.net", "bridgehead.toml:3:15: warning: server.certificate: the certificate is for vpn.example.org, not for vpn.example.net"},
		{"ca.pem", "server.pem", ""},
		{`"users"`, `"garbage.pem"`, "garbage.pem:1:4: warning: "},
	} {
		write(t, file, strings.Replace(string(good), c.old, c.new, 1))
		_, warnings, err := LoadConfig(file)
		said := ""
		if err != nil {
			said = err.Error()
		}
		for _, w := range warnings {
			said += w.String() + "\n"
		}
		if !strings.Contains(said, c.want) {
			t.Errorf("%s for %s: got\n%s\nwant %s", c.new, c.old, said, c.want)
		}
	}
}

func TestNoUsersAreWarnedOf(t *testing.T) {
	file := site(t)
	for _, text := range []string{"", "# nobody yet\n", "alice nohash\n"} {
		write(t, "users", text)
		_, warnings, err := LoadConfig(file)
		if err != nil || len(warnings) == 0 {
			t.Fatalf("%q: %v %v", text, warnings, err)
		}
		const want = "bridgehead.toml:9:8: warning: auth.file.path: users holds no user\n     9 | path = \"users\"\n" +
			"       |        ^~~~~~~ nobody can log in; add one with: bridgehead users add NAME --file users"
		if got := warnings[0].String(); got != want {
			t.Errorf("%q: got\n%s\nwant\n%s", text, got, want)
		}
	}
	if err := os.Remove("users"); err != nil {
		t.Fatal(err)
	}
	_, _, err := LoadConfig(file)
	if want := "make it with: bridgehead users add NAME --file users"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestUsersOfUnknownPoolsAreWarnedOf(t *testing.T) {
	file := site(t)
	for name, pool := range map[string]string{"bob": "staff", "carol": "stuff", "dora": config.DefaultPool} {
		if err := secrets.Add("users", secrets.User{Name: name, Hash: auth.HashPassword([]byte("a good password")), Pool: pool}); err != nil {
			t.Fatal(err)
		}
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, warnings, err := LoadConfig(file)
	if err != nil || len(warnings) != 2 {
		t.Fatalf("%v %v, want two warnings", warnings, err)
	}
	write(t, file, string(good)+"[pools.staff]\naddresses = \"198.51.100.0/28\"\n")
	c, warnings, err := LoadConfig(file)
	if err != nil || len(warnings) != 1 || warnings[0].Message != `auth.file.path: user "carol" names the pool "stuff", which is not there` ||
		warnings[0].Hint != "the pools are default, staff; add it with [pools.stuff]" {
		t.Fatalf("%+v %v", warnings, err)
	}
	if got := fmt.Sprint(poolPrefixes(c)); got != "[192.0.2.0/25 192.0.2.200/30 198.51.100.0/28]" {
		t.Errorf("routes for %s", got)
	}
	if got := fmt.Sprint(differences(c, merge(c, config.Default()))); got != "[server.certificate server.key server.chain auth.file.path]" {
		t.Errorf("a reload without named pools changes %s", got)
	}
	if got := differences(c, config.Default()); !slices.Contains(got, "pools.staff.addresses") {
		t.Errorf("a pool that is gone is no difference: %v", got)
	}
}

func TestEveryMistakeOfAllFilesAtOnce(t *testing.T) {
	file := site(t)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, strings.NewReplacer("192.0.2.0/25", "192.0.2.1/25", "server.key", "server.pem").Replace(string(good)))
	write(t, "users", "alice nohash\n")
	_, _, err = LoadConfig(file)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"addresses.pools: ", "server.key: ", "users:1:7: warning: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
}

// TestReloadableSettingsAreTheMergedOnes keeps reloadable and merge together:
// what is called changed must be in force, what needs a restart must not.
func TestReloadableSettingsAreTheMergedOnes(t *testing.T) {
	running, next := config.Default(), config.Default()
	next.Server = config.Server{Name: "x", Certificates: []string{"x"}, Keys: []string{"x"}, Chain: []string{"x"}, Listen: addrs("192.0.2.9"), IKEPort: 1, NATTPort: 2}
	pool, err := config.ParsePool("192.0.2.0/24")
	if err != nil {
		t.Fatal(err)
	}
	next.Addresses = config.Addresses{Pools: []config.Pool{pool}, DNS: addrs("192.0.2.8"), Subnets: []netip.Prefix{pool.Prefix}, Domains: []string{"x"}, Announce: "x"}
	next.Pools = []config.NamedPool{{Name: "x", Addresses: []config.Pool{pool}}}
	next.IKE = config.IKE{Proposals: next.IKE.Proposals[:1], Order: 1 - running.IKE.Order, FragmentSize: 1, DPD: 1, HalfOpenPerAddress: 1, HalfOpenTotal: 1, CookieThreshold: 1, Rekey: 1, QuirksOff: []ikev2.Quirk{0}}
	next.ESP = config.ESP{Proposals: next.ESP.Proposals[:1], Rekey: 1, RekeyBytes: 1, RekeyPackets: 1}
	next.Sessions = config.Sessions{Unique: ikev2.UniqueKeep, Timeout: 1, Idle: 1}
	next.DataPlane = config.DataPlane{Kind: "x", Device: "x", MTU: 1, OutputMark: 1}
	next.NAT.Masquerade = true
	next.Hooks = config.Hooks{UpDown: "x", Timeout: 1}
	next.Auth = config.Auth{
		Backends: []string{"x"}, Outage: "x", Rules: []config.Rule{{Name: "x", Backends: []string{"x"}}}, BreakGlass: config.BreakGlass{Path: "x"}, File: config.AuthFile{Path: "x", Format: "x"},
		RADIUS: config.AuthRADIUS{Method: "x", Identity: "x", NASIdentifier: "x", FramedMTU: 1, StepTime: 1},
	}
	next.Auth.LDAP = config.AuthLDAP{
		Servers: []string{"x"}, Domain: "x", Plaintext: true, BindDN: "x", Password: "x", External: true, Base: "x", Scope: "x", Filter: "x", DN: "x", Name: "x",
		Exact: true, Hash: []string{"x"}, Pool: 1, ConnectTimeout: 1, Timeout: 1, CA: "x", ServerName: "x", Certificate: "x", Key: "x",
		GroupBase: "x", GroupFilter: "x", GroupDepth: 1, GroupMap: []ldap.GroupPolicy{{Group: "x", Policy: "x"}}, GroupRequire: []string{"x"},
		Attributes: ldap.Attributes{IPv4: "x", IPv6: "x", Pool: "x", Pool6: "x", DNS: "x", Routes: "x", Domains: "x", Group: "x", SessionTimeout: "x", IdleTimeout: "x", MaxSessions: "x"},
	}
	next.RADIUS = []config.RADIUSServer{{Name: "x"}}
	next.Groups = []config.Group{{Name: "x"}}
	next.DAE = config.DAE{
		Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}, Clients: []config.DAEClient{{Name: "x"}},
		TLS: config.DAETLS{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}, CA: "x", Certificate: "x", Key: "x"},
	}
	next.Accounting = config.Accounting{Backend: "x", Interim: 1, SpoolLimit: 1, WhenFull: "x", Required: true}
	next.Log = config.Log{Level: slog.LevelDebug, Format: "x"}
	next.Paths = config.Paths{State: "x", Control: "x"}

	changed := differences(running, next)
	if len(changed) != len(next.Explain()) {
		t.Fatalf("the test leaves settings alone: %d of %d differ", len(changed), len(next.Explain()))
	}
	left := differences(merge(running, next), next)
	for _, setting := range changed {
		stays := false
		for _, l := range left {
			stays = stays || l == setting
		}
		if stays == reloadable(setting) {
			t.Errorf("%s: reloadable says %v, merge leaves it %v", setting, reloadable(setting), stays)
		}
	}
	next.Auth.Backends, next.Auth.Rules[0].Backends = running.Auth.Backends, running.Auth.Backends
	for _, setting := range differences(merge(running, next), next) {
		if strings.HasPrefix(setting, "auth.") {
			t.Errorf("%s needs a restart though the backends are the same", setting)
		}
	}
}

func TestTextsForAPerson(t *testing.T) {
	peer := netip.MustParseAddrPort("198.51.100.7:4500")
	up := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	session := ikev2.SessionInfo{
		ID: "00aa", User: "alice", Identity: "10.0.0.9", Remote: peer, Since: up,
		IPv4: netip.MustParseAddr("192.0.2.1"), IPv6: netip.MustParseAddr("2001:db8::1"),
	}
	for want, e := range map[string]ikev2.SessionEvent{
		"alice logged in from 198.51.100.7:4500, gets 192.0.2.1 and 2001:db8::1": {Kind: ikev2.EventUp, Time: up, Session: session},
		"alice logged out after 1m30s: an operator ended the session": {
			Kind: ikev2.EventDown, Time: up.Add(90 * time.Second), Session: session, Cause: ikev2.CauseOperator,
		},
		"alice has new keys: IKE SA": {Kind: ikev2.EventRekeyed, Session: session, Detail: "IKE SA"},
		"alice moved from 198.51.100.7:4500 to 203.0.113.9:4500": {
			Kind: ikev2.EventMoved, Session: session, Detail: "198.51.100.7:4500 to 203.0.113.9:4500",
		},
	} {
		if got := sessionEvent(e).Text; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	r := refusal(&ikev2.Refusal{Peer: peer, Identity: "bob", Text: "UDP is closed.", Evidence: []auth.Evidence{{Key: "a", Value: "b"}}})
	if r.Text != "UDP is closed." || r.Who() != "bob" || len(r.Evidence) != 1 || r.Local != "" {
		t.Errorf("%+v", r)
	}
}

func TestExpiringCertificatesAreWarnedOf(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	soon, later := &x509.Certificate{NotAfter: now.Add(24 * time.Hour)}, &x509.Certificate{NotAfter: now.Add(1000 * time.Hour)}
	if got := expiring([]*x509.Certificate{soon, later}, now); len(got) != 1 || !strings.Contains(got[0], "2026-11-24") {
		t.Errorf("got %q", got)
	}
}
