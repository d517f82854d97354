package ldap

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	client "github.com/go-ldap/ldap/v3"

	"bridgehead/auth"
	"bridgehead/integration/lab"
	"bridgehead/ldap"
)

const password = "directory test"

var (
	aliceHash = auth.HashPassword([]byte("sesame"))
	aliceHex  = strings.ToUpper(hex.EncodeToString(aliceHash[:]))
	people    = "ou=people," + lab.SlapdBase
)

// scene is a directory server with everybody in it.
type scene struct {
	*lab.Slapd
	authority *lab.Certificate
}

func start(t testing.TB, adapt func(*lab.SlapdConfig)) *scene {
	t.Helper()
	l := lab.New(t)
	authority := lab.NewCA(t, "LDAP test CA", lab.ECDSA256)
	c := lab.SlapdConfig{
		Password: password, Authority: authority, Server: authority.NewServer(lab.RSA2048, time.Hour, "127.0.0.1"),
		Entries: lab.SlapdUser("alice", aliceHex, "sambaAcctFlags: [U          ]", "l: 10.7.0.9", "employeeNumber: 3600") +
			lab.SlapdUser("disabled", aliceHex, "sambaAcctFlags: [UD         ]") +
			lab.SlapdUser("locked", aliceHex, "sambaAcctFlags: [UL         ]") +
			lab.SlapdUser("over", aliceHex, "sambaKickoffTime: 1000000000") +
			lab.SlapdUser("stale", aliceHex, "sambaPwdMustChange: 0") +
			lab.SlapdUser("odd", aliceHex[1:]) + lab.SlapdUser("zero", strings.Repeat("0", 32)) + lab.SlapdUser("none", "") +
			lab.SlapdUser("badattr", aliceHex, "l: everywhere") +
			lab.SlapdUser("twin", aliceHex) + strings.ReplaceAll(lab.SlapdUser("twin", aliceHex), "dn: uid=twin,ou=people", "dn: uid=twin,ou=services") +
			fmt.Sprintf("dn: uid=irene,%s\nobjectClass: inetOrgPerson\nobjectClass: ipaNTUserAttrs\nuid: irene\ncn: Irene\nsn: I\nipaNTSecurityIdentifier: S-1\nipaNTHash: %s\n\n", people, "sixteen octets !") +
			fmt.Sprintf("dn: cn=vpn,ou=groups,%[1]s\nobjectClass: groupOfNames\ncn: vpn\nmember: uid=alice,%[2]s\n\ndn: cn=all,ou=groups,%[1]s\nobjectClass: groupOfNames\ncn: all\nmember: cn=vpn,ou=groups,%[1]s\n\n", lab.SlapdBase, people),
	}
	if adapt != nil {
		adapt(&c)
	}
	return &scene{l.StartSlapd(c), authority}
}

// config is a directory over the server, protected by StartTLS.
func (s *scene) config() ldap.Config {
	return ldap.Config{
		Servers: []string{s.URL()}, TLS: &tls.Config{RootCAs: s.authority.Pool()}, BindDN: lab.SlapdDN, Password: auth.Secret(password),
		Base: lab.SlapdBase, Timeout: 2 * time.Second,
	}
}

func open(t testing.TB, c ldap.Config) *ldap.Directory {
	t.Helper()
	d, err := ldap.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// finds fails unless alice is found with her hash.
func finds(t testing.TB, d *ldap.Directory, when string) {
	t.Helper()
	a, ok, err := d.Lookup(t.Context(), "alice")
	if err != nil || !ok || a.Hash != aliceHash || a.Barred != nil || a.Grant.Name != "alice" {
		t.Fatalf("%s: %+v, %v, %v", when, a, ok, err)
	}
}

// outage is the cause of a failure; empty where there was none.
func outage(err error) auth.Cause {
	var e *auth.OutageError
	if errors.As(err, &e) {
		return e.Reason.Cause
	}
	return ""
}

func TestWaysToTheServer(t *testing.T) {
	s := start(t, nil)
	for name, adapt := range map[string]func(*ldap.Config){
		"StartTLS":         func(*ldap.Config) {},
		"ldaps":            func(c *ldap.Config) { c.Servers = []string{s.SecureURL()} },
		"ldapi":            func(c *ldap.Config) { c.Servers = []string{s.Socket()} },
		"ldapi, EXTERNAL":  func(c *ldap.Config) { c.Servers, c.BindDN, c.External = []string{s.Socket()}, "", true },
		"plain, loopback":  func(c *ldap.Config) { c.Plaintext, c.TLS = true, nil },
		"DN template":      func(c *ldap.Config) { c.DN, c.Base = "uid={user},"+people, "" },
		"second of two":    func(c *ldap.Config) { c.Servers = []string{"ldap://127.0.0.1:1", s.URL()} },
		"one level, exact": func(c *ldap.Config) { c.Base, c.Scope, c.Exact = people, ldap.OneLevel, true },
	} {
		t.Run(name, func(t *testing.T) {
			c := s.config()
			adapt(&c)
			d := open(t, c)
			finds(t, d, name)
			if a, ok, err := d.Lookup(t.Context(), "ALICE"); err != nil || ok == c.Exact || ok && a.Grant.Name != "alice" {
				t.Errorf("in capitals: %+v, %v, %v", a, ok, err)
			}
		})
	}
}

func TestWhoIsNotAnswered(t *testing.T) {
	s := start(t, nil)
	expired := start(t, func(c *lab.SlapdConfig) { c.Server = c.Authority.NewServer(lab.ECDSA256, -time.Minute, "127.0.0.1") })
	for name, test := range map[string]struct {
		of    *scene
		adapt func(*ldap.Config)
		want  auth.Cause
	}{
		"unknown authority": {s, func(c *ldap.Config) { c.TLS = &tls.Config{RootCAs: lab.NewCA(t, "other", lab.ECDSA256).Pool()} }, auth.CauseLDAPTLS},
		"another name":      {s, func(c *ldap.Config) { c.TLS.ServerName = "ldap.example.org" }, auth.CauseLDAPTLS},
		"expired":           {expired, func(*ldap.Config) {}, auth.CauseLDAPTLS},
		"expired, ldaps":    {expired, func(c *ldap.Config) { c.Servers = []string{expired.SecureURL()} }, auth.CauseLDAPTLS},
		"wrong password":    {s, func(c *ldap.Config) { c.Password = auth.Secret("guess") }, auth.CauseLDAPBindRefused},
		"no base":           {s, func(c *ldap.Config) { c.Base = "ou=nobody," + lab.SlapdBase }, auth.CauseLDAPNoBase},
		"another suffix":    {s, func(c *ldap.Config) { c.Base = "dc=example,dc=net" }, auth.CauseLDAPNoBase},
		"nothing listens":   {s, func(c *ldap.Config) { c.Servers = []string{"ldap://127.0.0.1:1"} }, auth.CauseLDAPUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			c := test.of.config()
			test.adapt(&c)
			_, ok, err := open(t, c).Lookup(t.Context(), "alice")
			if ok || outage(err) != test.want {
				t.Errorf("%v, %v, want %s", ok, err, test.want)
			}
		})
	}
}

func TestStatesOfAccounts(t *testing.T) {
	s := start(t, nil)
	c := s.config()
	c.Attributes = ldap.Attributes{IPv4: "l", SessionTimeout: "employeeNumber"}
	d := open(t, c)
	for name, want := range map[string]struct {
		code  int
		cause auth.Cause
	}{
		"disabled": {647, auth.CauseAccountDisabled}, "locked": {647, auth.CauseAccountLocked}, "over": {647, auth.CauseAccountExpired},
		"stale": {648, auth.CausePasswordExpired}, "odd": {691, auth.CauseLDAPBadHash}, "zero": {691, auth.CauseLDAPBadHash},
		"none": {691, auth.CauseLDAPNoHash}, "twin": {691, auth.CauseLDAPSeveral}, "badattr": {649, auth.CauseLDAPBadAttribute},
	} {
		a, ok, err := d.Lookup(t.Context(), name)
		if err != nil || !ok || a.Barred == nil || a.Barred.Code != want.code || a.Barred.Reason.Cause != want.cause {
			t.Errorf("%s: %+v, %v, %v", name, a, ok, err)
		}
		if text := fmt.Sprintf("%+v %v", a, a.Barred); strings.Contains(strings.ToUpper(text), aliceHex[1:]) {
			t.Errorf("%s: the hash is printed", name)
		}
	}
	a, ok, err := d.Lookup(t.Context(), "irene")
	if err != nil || !ok || string(a.Hash[:]) != "sixteen octets !" || a.Barred != nil {
		t.Errorf("irene: %+v, %v, %v", a, ok, err)
	}
	if a, _, _ = d.Lookup(t.Context(), "alice"); len(a.Grant.Addresses) != 1 || a.Grant.Addresses[0] != netip.MustParseAddr("10.7.0.9") || a.Grant.SessionTimeout != time.Hour {
		t.Errorf("alice's own: %+v", a.Grant)
	}
	stranger := s.config()
	stranger.BindDN = lab.SlapdOther
	if a, ok, err := open(t, stranger).Lookup(t.Context(), "alice"); err != nil || !ok || a.Barred == nil || a.Barred.Reason.Cause != auth.CauseLDAPNoHash {
		t.Errorf("without the right to read hashes: %+v, %v, %v", a, ok, err)
	}
}

func TestNamesThatAreNoNames(t *testing.T) {
	s := start(t, nil)
	for _, dn := range []string{"", "uid={name}," + people} {
		c := s.config()
		c.DN = dn
		d := open(t, c)
		for _, name := range []string{
			"a*", "*", "alice)(uid=*", "*)(uid=*))(|(uid=*", `alice\2a`, "alice,ou=people", "alice+cn=Alice", "", strings.Repeat("a", 1<<20), "alice\x00", "\xff\xfe",
			`CORP\alice`, "alice@example.org", "alice/", "(&)", `\`, "@", "#616c696365", " alice,", "\"alice\"",
		} {
			if a, ok, err := d.Lookup(t.Context(), name); ok || err != nil {
				t.Errorf("%.40q by %q finds %+v, %v", name, dn, a, err)
			}
		}
		finds(t, d, "after them")
	}
}

func TestGroups(t *testing.T) {
	s := start(t, nil)
	for name, test := range map[string]struct {
		groups ldap.Groups
		policy string
		barred bool
	}{
		"direct":   {ldap.Groups{Map: []ldap.GroupPolicy{{Group: "all", Policy: "everybody"}, {Group: "VPN", Policy: "staff"}}}, "staff", false},
		"nested":   {ldap.Groups{Depth: 1, Map: []ldap.GroupPolicy{{Group: "cn=all,ou=groups," + lab.SlapdBase, Policy: "everybody"}}}, "everybody", false},
		"required": {ldap.Groups{Require: []string{"all"}}, "", true},
		"in it":    {ldap.Groups{Require: []string{"admins", "vpn"}}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.config()
			c.Groups = test.groups
			c.Groups.Base = "ou=groups," + lab.SlapdBase
			a, ok, err := open(t, c).Lookup(t.Context(), "alice")
			if err != nil || !ok || a.Grant.Group != test.policy || (a.Barred != nil) != test.barred || test.barred && a.Barred.Code != 649 {
				t.Errorf("%+v, %v, %v", a, ok, err)
			}
		})
	}
	// memberOf is filled for groups that are made while the server runs.
	s.Administer(t, func(c *client.Conn) error {
		r := client.NewAddRequest("cn=online,ou=groups,"+lab.SlapdBase, nil)
		r.Attribute("objectClass", []string{"groupOfNames"})
		r.Attribute("cn", []string{"online"})
		r.Attribute("member", []string{"uid=alice," + people})
		return c.Add(r)
	})
	c := s.config()
	c.Groups.Map = []ldap.GroupPolicy{{Group: "online", Policy: "staff"}}
	if a, ok, err := open(t, c).Lookup(t.Context(), "alice"); err != nil || !ok || a.Grant.Group != "staff" {
		t.Errorf("memberOf: %+v, %v, %v", a, ok, err)
	}
}

func TestServerFaults(t *testing.T) {
	s := start(t, func(c *lab.SlapdConfig) { c.Idle = 1 })
	d := open(t, s.config())
	finds(t, d, "at first")
	lab.Eventually(t, lab.Patience, "slapd to drop the idle connection", func() bool { return strings.Contains(s.Log(), "(idletimeout)") })
	finds(t, d, "after the server dropped an idle connection")

	if err := s.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	lab.Eventually(t, lab.Patience, "all threads of slapd to stand still", func() bool { return stopped(t, s.Pid()) })
	if _, _, err := d.Lookup(t.Context(), "alice"); outage(err) != auth.CauseLDAPTimeout {
		t.Errorf("hung: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok, err := d.Lookup(gone, "alice"); ok || err == nil {
		t.Error("a login that was given up got an answer")
	}
	if err := s.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	finds(t, d, "the server goes on")

	if err := s.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.Exited()
	if _, _, err := d.Lookup(t.Context(), "alice"); outage(err) != auth.CauseLDAPUnreachable {
		t.Errorf("killed: %v", err)
	}
	second := start(t, nil)
	both := s.config()
	both.Servers = []string{s.URL(), second.URL()}
	both.TLS.RootCAs.AddCert(second.authority.Certificate)
	d2 := open(t, both)
	finds(t, d2, "from the second server")
	if f := d2.Figures(); len(f) != 2 || f[0].Up || !f[1].Up || f[1].Searches != 1 {
		t.Errorf("%+v", f)
	}
	s.Slapd = s.Restart()
	finds(t, d, "restarted")
}

// stopped tells whether every thread of a process is.
func stopped(t *testing.T, pid int) bool {
	t.Helper()
	list, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(list) == 0 {
		t.Fatalf("threads of %d: %v", pid, err)
	}
	for _, path := range list {
		if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), ") T ") {
			return false
		}
	}
	return true
}

func TestExamine(t *testing.T) {
	s, open := start(t, nil), start(t, func(c *lab.SlapdConfig) { c.Open = true })
	stranger := s.config()
	stranger.BindDN = lab.SlapdOther
	for name, test := range map[string]struct {
		config    ldap.Config
		cause     auth.Cause
		anonymous bool
	}{
		"well": {s.config(), "", false}, "shown to all": {open.config(), "", true}, "no right": {stranger, auth.CauseLDAPNoHash, false},
	} {
		f, err := ldap.Examine(t.Context(), test.config)
		if err != nil || len(f) != 1 || f[0].Cause != test.cause || f[0].Anonymous != test.anonymous || f[0].Ends.IsZero() {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

// BenchmarkLookups is how many users a directory finds in a second over its
// default pool.
func BenchmarkLookups(b *testing.B) {
	s := start(b, nil)
	d := open(b, s.config())
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	next := make(chan struct{})
	for range 4 * ldap.DefaultPool {
		all.Go(func() {
			for range next {
				finds(b, d, "benchmark")
			}
		})
	}
	for b.Loop() {
		next <- struct{}{}
	}
	close(next)
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lookups/s")
}
