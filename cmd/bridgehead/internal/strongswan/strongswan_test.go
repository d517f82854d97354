package strongswan

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// folder makes a temporary folder the current one, with these files.
func folder(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// suggest stands in for the program's.
func suggest(word string, known []string) string {
	for _, k := range known {
		if len(k) == len(word) && len(k) > 2 && k[:2] == word[:2] {
			return k
		}
	}
	return ""
}

// shown is a result as the golden files have it.
func shown(r *Result, err error) string {
	if err != nil {
		return err.Error() + "\n"
	}
	var b strings.Builder
	for _, d := range r.Report.Directives {
		fmt.Fprintf(&b, "%s [%s] %s=%s: %s: %s\n", d.Place.line(), d.Section, d.Name, d.Value, d.Outcome, d.Note)
	}
	for _, d := range r.Report.Defaults {
		fmt.Fprintf(&b, "default: %s: %s; here %s; %s\n", d.Directive, d.StrongSwan, d.Bridgehead, d.Restore)
	}
	for _, n := range r.Report.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	fmt.Fprintf(&b, "%d users\n---\n%s", r.Report.Users, r.Config())
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(read(t, name), got); diff != "" {
		t.Errorf("%s: -want +got:\n%s", name, diff)
	}
}

// ipsec imports files that the test made in the current folder.
func ipsec(o Options) (*Result, error) {
	o.Suggest = suggest
	return ReadIPsec("ipsec.conf", "ipsec.secrets", o)
}

func TestSeed(t *testing.T) {
	want, err := filepath.Abs("testdata/seed.golden")
	if err != nil {
		t.Fatal(err)
	}
	folder(t, map[string]string{"ipsec.conf": read(t, "testdata/seed/ipsec.conf"), "ipsec.secrets": read(t, "testdata/seed/ipsec.secrets")})
	r, err := ipsec(Options{Name: "vpn.example.org"})
	here, _ := os.Getwd()
	golden(t, want, strings.ReplaceAll(shown(r, err), here, "HERE"))
}

// site is a setup of several files and connections, with most of what the
// grammar knows.
var site = map[string]string{
	"ipsec.conf": `version 2.0
config setup
	charondebug = "ike 2, cfg 3"
	uniqueids=never
	uniqeids=no

ca intermediate
	cacert=issuing.pem
	crluri=http://ca.example.org/crl

conn %default
	keyexchange=ikev2
	ike=aes256-sha256-modp2048,3des-md5-modp1024
	left=192.0.2.1  # ours
	dpdaction=hold

conn old-phones
	keyexchange=ikev1
	auto=add
	rightauth=xauth

conn base
	leftcert="my cert.pem"
	leftid=@vpn.example.org
	rightdns=10.0.0.53
	dpdaction=none

include conf.d/*.conf
`,
	"conf.d/10-staff.conf": `conn staff
	also=base
	rightauth=eap-radius
	leftsubnet=10.0.0.1/8, fd00::/8
	rightsourceip=10.9.0.10-10.9.0.99,10.8.0.5/24,10.7.0.1
	esp=aes256gcm16,aes128-sha1!
	rightdns=10.0.0.54
	forceencaps=yes
	auto=route
	dpdaction=
	rightid=%any
`,
	"conf.d/20-staff.conf": "conn staff\n  leftfirewall=yes\n  compress=no\n",
	"ipsec.secrets": `: ECDSA server.pem
: PSK "for phones"
alice CORP\bob : EAP "s3cret pass"
alice : XAUTH "s3cret pass"
carol : NTLM 0x8846f7eaee8fb117ad06bdd830b7586c
dave : EAP 0sZ2VoZWlt
`,
}

func TestSite(t *testing.T) {
	want, err := filepath.Abs("testdata/site.golden")
	if err != nil {
		t.Fatal(err)
	}
	folder(t, site)
	r, err := ipsec(Options{})
	here, _ := os.Getwd()
	golden(t, want, strings.ReplaceAll(shown(r, err), here, "HERE"))
}

// with gives the site's files with one of them changed.
func with(name, old, new string) map[string]string {
	files := make(map[string]string)
	for k, v := range site {
		files[k] = v
	}
	files[name] = strings.Replace(files[name], old, new, 1)
	return files
}

// TestRefused holds what is refused, at which place, with what is said.
func TestRefused(t *testing.T) {
	const conf, staff, secret = "ipsec.conf", "conf.d/10-staff.conf", "ipsec.secrets"
	flattened := map[string]string{conf: read(t, "testdata/flattened.conf"), secret: read(t, "testdata/seed/ipsec.secrets")}
	swallowed := map[string]string{conf: read(t, "testdata/seed/ipsec.conf"), secret: read(t, "testdata/flattened.secrets")}
	deep := with(staff, "", "include deeper\n")
	deep["conf.d/deeper"] = "include deeperx\n"
	for i, name := 0, "conf.d/deeper"; i < maxDepth; i++ {
		name += "x"
		deep[name] = "include " + filepath.Base(name) + "x\n"
	}
	unreadable := with(secret, "dave :", "include folder\ndave :")
	unreadable["folder/file"] = ""
	cases := map[string]struct {
		files  map[string]string
		o      Options
		prefix string // of a line of the error
	}{
		"flattened listing":       {flattened, Options{Name: "x.org"}, `ipsec.conf:1:14: expected nothing behind "config setup": settings stand below it, one a line and indented; has the file lost its line breaks?`},
		"flattened secrets":       {swallowed, Options{Name: "x.org"}, "ipsec.secrets:1:1: this comment swallows 3 secrets"},
		"no section":              {with(conf, "conn base", "con base"), Options{}, "ipsec.conf:22:1: expected config setup, conn NAME, ca NAME or include FILE"},
		"no indentation":          {with(conf, "\tleftid=", "leftid="), Options{}, "ipsec.conf:24:1: expected a blank before the setting"},
		"setting above sections":  {with(conf, "version 2.0", " a=b"), Options{}, "ipsec.conf:1:2: expected a section above the setting"},
		"no value":                {with(conf, "uniqueids=never", "uniqueids never"), Options{}, "ipsec.conf:4:2: expected NAME = VALUE"},
		"section indented":        {with(conf, "conn base", " conn base"), Options{}, "ipsec.conf:22:2: expected NAME = VALUE; conn begins a section at the start of a line only"},
		"two settings a line":     {with(conf, "uniqueids=never", "uniqueids=never left=1"), Options{}, "ipsec.conf:4:22: expected no equals sign within a value"},
		"quote left open":         {with(conf, `"my cert.pem"`, `"my cert.pem`), Options{}, "ipsec.conf:23:11: the quote is never closed"},
		"control character":       {with(conf, "uniqueids", "unique\x1bids"), Options{}, "ipsec.conf:4:8: expected text in UTF-8 without control characters"},
		"not UTF-8":               {with(conf, "uniqueids", "uniqueid\xff"), Options{}, "ipsec.conf:4:10: expected text in UTF-8"},
		"config what":             {with(conf, "config setup", "config stup"), Options{}, "ipsec.conf:2:8: expected setup behind config"},
		"section without name":    {with(conf, "conn base", "conn"), Options{}, "ipsec.conf:22:5: expected the section's name behind conn"},
		"include without name":    {with(conf, "include conf.d/*.conf", "include # nothing"), Options{}, "ipsec.conf:28:1: expected one file or pattern behind include"},
		"include of itself":       {with(staff, "conn staff", "include ../ipsec.conf\nconn staff"), Options{}, "conf.d/10-staff.conf:1:1: ipsec.conf includes itself"},
		"includes too deep":       {deep, Options{}, "conf.d/deeperxxxxxxx:1:1: expected includes at most 10 deep"},
		"also of nothing":         {with(staff, "also=base", "also=bane"), Options{}, `conf.d/10-staff.conf:2:7: no section "conn bane"; did you mean "base"?`},
		"also in a circle":        {with(conf, "leftid=", "also=staff\n\tleftid="), Options{}, `conf.d/10-staff.conf:2:7: "conn base" inherits from itself by this`},
		"no time":                 {with(staff, "dpdaction=", "dpdaction=clear\n\tdpddelay=soon"), Options{}, "conf.d/10-staff.conf:11:11: dpddelay: expected a time such as 30s"},
		"no prefix":               {with(staff, "10.0.0.1/8", "10.0.0.1/88"), Options{}, "conf.d/10-staff.conf:4:13: leftsubnet: expected prefixes"},
		"port in leftsubnet":      {with(staff, "fd00::/8", "fd00::/8[tcp/80]"), Options{}, "conf.d/10-staff.conf:4:13: leftsubnet: expected prefixes such as 10.0.0.0/8 separated by commas, without protocols and ports"},
		"leftsubnet missing":      {with(staff, "leftsubnet=", "#"), Options{}, `conf.d/10-staff.conf:1:1: "staff" doesn't say what clients may reach`},
		"pool of a plugin":        {with(staff, "10.9.0.10-10.9.0.99", "%dhcp"), Options{}, `conf.d/10-staff.conf:5:16: rightsourceip: "%dhcp" takes addresses from elsewhere`},
		"pool that is none":       {with(staff, "10.9.0.10-10.9.0.99", "10.9.0.10-10.9.0.9"), Options{}, "conf.d/10-staff.conf:5:16: rightsourceip: expected a prefix such as"},
		"no pool":                 {with(staff, "rightsourceip=", "#"), Options{}, `conf.d/10-staff.conf:1:1: "staff" gives its clients no addresses`},
		"no name server":          {with(staff, "10.0.0.54", "ns.example.org"), Options{}, "conf.d/10-staff.conf:7:11: rightdns: expected addresses of name servers"},
		"no usable cipher":        {with(staff, "aes256gcm16,aes128-sha1", "3des-md5"), Options{}, "conf.d/10-staff.conf:6:6: esp: expected a cipher suite that bridgehead has: 3des: not supported"},
		"some identities alone":   {with(staff, "rightid=%any", "rightid=*@example.org"), Options{}, "conf.d/10-staff.conf:11:2: rightid lets certain identities in alone, and bridgehead can't; take the line out to do without it"},
		"some addresses alone":    {with(staff, "rightid=%any", "right=10.0.0.0/8"), Options{}, "conf.d/10-staff.conf:11:2: right lets certain addresses in alone"},
		"one identity alone":      {with(staff, "rightid=%any", "eap_identity=alice"), Options{}, "conf.d/10-staff.conf:11:2: eap_identity lets one identity in alone"},
		"ports alone":             {with(staff, "rightid=%any", "leftprotoport=tcp/80"), Options{}, "conf.d/10-staff.conf:11:2: leftprotoport limits what clients may reach"},
		"two authentications":     {with(staff, "rightid=%any", "rightauth2=pubkey"), Options{}, `conf.d/10-staff.conf:1:1: "staff" can't be taken over: it asks for a second authentication`},
		"clients by certificate":  {with(staff, "eap-radius", "pubkey"), Options{}, `conf.d/10-staff.conf:1:1: "staff" can't be taken over: its clients don't log in with a name and a password`},
		"gateway by shared key":   {with(staff, "rightid=%any", "leftauth=psk"), Options{}, `conf.d/10-staff.conf:1:1: "staff" can't be taken over: the gateway must prove itself by a certificate there (leftauth=pubkey), not by psk`},
		"not loaded":              {with(staff, "auto=route", "auto=ignore"), Options{}, `conf.d/10-staff.conf:1:1: "staff" can't be taken over: strongSwan doesn't load it`},
		"IKEv1":                   {site, Options{Connection: "old-phones"}, `ipsec.conf:17:1: "old-phones" can't be taken over: it is for IKEv1`},
		"no such connection":      {site, Options{Connection: "stuff"}, `ipsec.conf: no connection "stuff"`},
		"several connections":     {with(conf, "leftid=", "auto=add\n\trightauth=eap\n\tleftid="), Options{}, `ipsec.conf:22:1: "base" is one of 2 connections that could be taken over; choose one with --conn NAME`},
		"smartcard":               {with(conf, `"my cert.pem"`, "%smartcard:50"), Options{}, "ipsec.conf:23:2: leftcert: keys and certificates on smartcards aren't supported"},
		"no certificate":          {with(conf, `leftcert="my cert.pem"`, ""), Options{}, `conf.d/10-staff.conf:1:1: "staff" names no certificate`},
		"no name":                 {with(conf, "leftid=@vpn.example.org", ""), Options{}, "ipsec.conf:23:11: the name that clients type can't be taken from HERE/ipsec.d/certs/my cert.pem: no such file or directory; give it with --name NAME"},
		"no key":                  {with(secret, ": ECDSA", "#"), Options{}, "ipsec.conf:23:11: no private key for HERE/ipsec.d/certs/my cert.pem"},
		"key with a passphrase":   {with(secret, "server.pem", `server.pem "opensesame"`), Options{}, "ipsec.secrets:1:1: the key HERE/ipsec.d/private/server.pem has a passphrase"},
		"secret in the open":      {with(secret, `"s3cret pass"`, "s3cret pass"), Options{}, "ipsec.secrets:3:29: expected nothing behind the secret"},
		"user with two passwords": {with(secret, "carol", "alice"), Options{}, `ipsec.secrets:5:1: "alice" stands at ipsec.secrets:3 already`},
		"include unreadable":      {unreadable, Options{}, "ipsec.secrets:6:1: can't read"},
		"password for everybody":  {with(secret, "dave", "%any"), Options{}, "ipsec.secrets:6:1: a password for everybody is not taken"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			folder(t, c.files)
			here, err := os.Getwd()
			if err != nil {
				t.Fatal(err)
			}
			r, err := ipsec(c.o)
			if err == nil {
				t.Fatalf("taken over:\n%s", shown(r, nil))
			}
			said := strings.ReplaceAll(err.Error(), here, "HERE")
			if !strings.Contains("\n"+said, "\n"+c.prefix) {
				t.Errorf("got\n%s\nwant a line that begins\n%s", said, c.prefix)
			}
			if !strings.HasSuffix(said, "nothing was taken over") {
				t.Errorf("the end isn't said: %s", said)
			}
			for _, secret := range []string{"s3cret", "opensesame", "for phones", "geheim", "8846f7", "password1"} {
				if strings.Contains(said, secret) {
					t.Errorf("%q stands in the error: %s", secret, said)
				}
			}
		})
	}
}
