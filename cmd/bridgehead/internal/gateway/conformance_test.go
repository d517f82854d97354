package gateway

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bridgehead/auth"
	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/integration/lab"
)

// policyOfGroups is what every backend's users of the group staff get.
const policyOfGroups = `[pools.staff]
addresses = ["192.0.2.128/26"]
[groups.staff]
pool = "staff"
dns = "192.0.2.53"
routes = "10.0.0.0/8"
idle_timeout = "30m"
max_sessions = 3
when_full = "oldest"
rate_up = "10M"
`

// The same users in the words of a file, of FreeRADIUS and of a directory, whose
// attributes have no word for rates.
const (
	conformFile = `group group=staff
fixed group=staff ip4=192.0.2.201 ip6=2001:db8::c9 session_timeout=1h
barred disabled
own group=staff ip4=192.0.2.200 dns=192.0.2.54 routes=10.9.0.0/16 session_timeout=1h idle_timeout=10m max_sessions=1 rate_down=50M
`
	conformRADIUS = `plain	Cleartext-Password := "a good password"
fixed	Cleartext-Password := "a good password"
	Filter-Id = "staff", Framed-IP-Address = 192.0.2.201, Framed-IPv6-Address = 2001:db8::c9, Session-Timeout = 3600
group	Cleartext-Password := "a good password"
	Filter-Id = "staff"
own	Cleartext-Password := "a good password"
	Filter-Id = "staff", Filter-Id += "bridgehead:rate-down=50M", Framed-IP-Address = 192.0.2.200, MS-Primary-DNS-Server = 192.0.2.54, Framed-Route = "10.9.0.0/16", Session-Timeout = 3600, Idle-Timeout = 600, Port-Limit = 1
`
)

// conformLDAP starts a directory with the same users, and gives the settings
// that lead to it.
func conformLDAP(t *testing.T, l *lab.Lab, hash auth.NTHash) string {
	t.Helper()
	authority := lab.NewCA(t, "LDAP test CA", lab.ECDSA256)
	user := func(name string, more ...string) string {
		return lab.SlapdUser(name, fmt.Sprintf("%X", hash[:]), more...)
	}
	slapd := l.StartSlapd(lab.SlapdConfig{
		Password: "directory test", Authority: authority, Server: authority.NewServer(lab.RSA2048, 3600e9, "127.0.0.1"),
		Entries: user("plain") + user("group") + user("fixed", "l: 192.0.2.201", "street: 2001:db8::c9", "employeeNumber: 3600") +
			user("barred", "sambaAcctFlags: [UD         ]") +
			fmt.Sprintf("dn: cn=vpn-staff,ou=groups,%[1]s\nobjectClass: groupOfNames\ncn: vpn-staff\nmember: uid=group,ou=people,%[1]s\nmember: uid=fixed,ou=people,%[1]s\n\n", lab.SlapdBase),
	})
	write(t, "ldap.password", "directory test\n")
	return fmt.Sprintf("[auth.ldap]\nservers = [%q]\nplaintext = true\nbind_dn = %q\npassword_file = \"ldap.password\"\nbase = \"ou=people,%[3]s\"\n"+
		"attributes.ipv4 = \"l\"\nattributes.ipv6 = \"street\"\nattributes.session_timeout = \"employeeNumber\"\n"+
		"groups.base = \"ou=groups,%[3]s\"\ngroups.map = [\"vpn-staff -> staff\"]\n", slapd.URL(), lab.SlapdDN, lab.SlapdBase)
}

// conformed is what a login has to come to, whatever the backend.
type conformed struct {
	Verdict, Told string
	Grant         []LoginEvidence
}

// TestEveryBackendGivesTheSame: the same users get the same Grant, and the
// client sees the same, whether a file decides, a directory, FreeRADIUS with
// either method, or several of them behind one another. Left out is what a
// backend has no word for: rates in the directory, and in FreeRADIUS' users file
// an account that is barred.
func TestEveryBackendGivesTheSame(t *testing.T) {
	file := site(t)
	base, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	hash := auth.HashPassword([]byte("a good password"))
	var users strings.Builder
	for line := range strings.Lines("plain \n" + conformFile) {
		name, settings, _ := strings.Cut(strings.TrimSpace(line), " ")
		fmt.Fprintf(&users, "%s $nt$%x %s\n", name, hash[:], settings)
	}
	write(t, "users", users.String())
	write(t, "nobody", "somebody $nt$"+fmt.Sprintf("%x", hash[:])+"\n")
	authority := lab.NewCA(t, "RADIUS test CA", lab.ECDSA256)
	scene := lab.New(t)
	directory := conformLDAP(t, scene, hash)
	server := scene.StartFreeRADIUS(lab.FreeRADIUSConfig{
		Secret: "twenty octets and more", Users: conformRADIUS, Authority: authority, Quiet: true,
		Server: authority.NewServer(lab.RSA2048, 3600e9, "radius.example.org", "127.0.0.1"),
	})
	write(t, "radius.secret", "twenty octets and more\n")
	text := string(base) + policyOfGroups + fmt.Sprintf("[radius.one]\naddress = %q\nsecret_file = \"radius.secret\"\n", server.Address())
	elsewhere := strings.Replace(text, `path = "users"`, `path = "nobody"`, 1)
	var first map[string]conformed
	for _, b := range []struct{ name, text, without string }{
		{"file", text, ""},
		{"LDAP", text + "[auth]\nbackend = \"ldap\"\n" + directory, "own"},
		{"file before LDAP, in LDAP", elsewhere + "[auth]\nbackend = [\"file\", \"ldap\"]\n" + directory, "own"},
		{"LDAP before file, in LDAP", elsewhere + "[auth]\nbackend = [\"ldap\", \"file\"]\n" + directory, "own"},
		{"RADIUS with EAP", text + "[auth]\nbackend = \"radius\"\n", "barred"},
		{"RADIUS with MS-CHAPv2", text + "[auth]\nbackend = \"radius\"\nradius.method = \"mschapv2\"\n", "barred"},
		{"file before RADIUS, in the file", text + "[auth]\nbackend = [\"file\", \"radius\"]\n", ""},
		{"file before RADIUS with EAP, in RADIUS", elsewhere + "[auth]\nbackend = [\"file\", \"radius\"]\n", "barred"},
		{"file before RADIUS with MS-CHAPv2, in RADIUS", elsewhere + "[auth]\nbackend = [\"file\", \"radius\"]\nradius.method = \"mschapv2\"\n", "barred"},
	} {
		write(t, file, b.text)
		c := loaded(t, file)
		got := map[string]conformed{}
		for _, l := range conformLogins {
			if l.User != b.without {
				got[l.User+" "+string(l.Password)] = conform(t, c, l)
			}
		}
		if first == nil {
			first = got
			seen(t, first)
		}
		want := maps.Clone(first)
		maps.DeleteFunc(want, func(login string, _ conformed) bool {
			return b.without != "" && strings.HasPrefix(login, b.without+" ")
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-file +it):\n%s", b.name, diff)
		}
	}
}

// conformLogins are tried with each backend. Those with odd names are nobody's.
var conformLogins = []LoginTest{
	{User: "plain", Password: auth.Secret("a good password")}, {User: "group", Password: auth.Secret("a good password")},
	{User: "own", Password: auth.Secret("a good password")}, {User: "fixed", Password: auth.Secret("a good password")},
	{User: "barred", Password: auth.Secret("a good password")}, {User: "barred", Password: auth.Secret("wrong")},
	{User: "own", Password: auth.Secret("wrong")}, {User: "fixed", Password: auth.Secret("wrong")}, {User: "unknown", Password: auth.Secret("wrong")},
	{User: "*", Password: auth.Secret("a good password")}, {User: "pla*", Password: auth.Secret("a good password")},
	{User: "plain)(uid=*", Password: auth.Secret("a good password")}, {User: "uid=plain,ou=people", Password: auth.Secret("a good password")},
}

// conform makes a login, and leaves out what tells the backends apart for the
// operator alone.
func conform(t *testing.T, c *config.Config, l LoginTest) conformed {
	t.Helper()
	r, err := TestLogin(t.Context(), c, l)
	if err != nil {
		t.Fatal(err)
	}
	r.Grant = slices.DeleteFunc(r.Grant, func(e LoginEvidence) bool { return e.Key == "rule" || e.Key == "backend" })
	told, _, _ := strings.Cut(r.Told, "): ") // the code; a server has words of its own behind it
	return conformed{r.Verdict, told, r.Grant}
}

// seen checks what the file gives, against which the others are held.
func seen(t *testing.T, got map[string]conformed) {
	t.Helper()
	for login, want := range map[string]string{
		"plain a good password":  "accepted [{name plain}]",
		"group a good password":  "accepted [{name group} {pool staff} {DNS 192.0.2.53} {routes 10.0.0.0/8} {idle timeout 30m0s} {group staff} {sessions at most 3} {rate up 10000000 bit/s} {policy of group staff gives pool, dns, routes, idle_timeout, max_sessions, when_full, rate_up}]",
		"own a good password":    "accepted [{name own} {addresses 192.0.2.200} {pool staff} {DNS 192.0.2.54} {routes 10.9.0.0/16} {session timeout 1h0m0s} {idle timeout 10m0s} {group staff} {sessions at most 1} {rate up 10000000 bit/s} {rate down 50000000 bit/s} {policy of group staff gives pool, when_full, rate_up}]",
		"fixed a good password":  "accepted [{name fixed} {addresses 192.0.2.201 2001:db8::c9} {pool staff} {DNS 192.0.2.53} {routes 10.0.0.0/8} {session timeout 1h0m0s} {idle timeout 30m0s} {group staff} {sessions at most 3} {rate up 10000000 bit/s} {policy of group staff gives pool, dns, routes, idle_timeout, max_sessions, when_full, rate_up}]",
		"barred a good password": "refused []", "barred wrong": "refused []", "* a good password": "refused []",
		"own wrong":     "refused []",
		"unknown wrong": "refused []",
	} {
		g := got[login]
		if have := fmt.Sprint(g.Verdict, " ", g.Grant); have != want {
			t.Errorf("%s: %s, expected %s", login, have, want)
		}
	}
	for _, login := range []string{"own wrong", "fixed wrong", "barred wrong", "* a good password"} {
		if got[login].Told != got["unknown wrong"].Told || got[login].Told == "" {
			t.Errorf("%s shows %q, an unknown user %q", login, got[login].Told, got["unknown wrong"].Told)
		}
	}
	if told := got["barred a good password"].Told; !strings.Contains(told, "647") {
		t.Errorf("a barred account shows %q to who knows the password", told)
	}
}

// TestBreakGlassOfTheGateway: the account works while the server is silent.
func TestBreakGlassOfTheGateway(t *testing.T) {
	file, text := radiusSite(t)
	write(t, file, text+"[auth.radius]\nstep_time = \"3s\"\n[auth.break_glass]\npath = \"users\"\n")
	r, err := TestLogin(t.Context(), loaded(t, file), LoginTest{User: "alice", Password: auth.Secret("a good password")})
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != LoginAccepted || !slices.ContainsFunc(r.Grant, func(e LoginEvidence) bool { return e.Key == "break glass" }) {
		t.Errorf("%s: %s %+v", r.Verdict, r.Cause, r.Grant)
	}
}
