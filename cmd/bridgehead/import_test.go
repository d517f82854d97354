package main

import (
	"crypto/rand"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bridgehead/cmd/bridgehead/internal/pki"
)

// here is the current folder.
func here(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// documented makes the documented strongSwan setup below the current folder:
// its files as they are, but for the certificate's place.
func documented(t *testing.T) {
	t.Helper()
	files := map[string]string{"etc/ipsec.d/secrets/myvpn": "user3 : EAP \"password3\"\n"}
	for _, name := range []string{"ipsec.conf", "ipsec.secrets", "proxyndp.updown"} {
		text, err := os.ReadFile(filepath.Join("internal/strongswan/testdata/seed", name))
		if err != nil {
			t.Fatal(err)
		}
		files["etc/"+name] = string(text)
	}
	t.Chdir(t.TempDir())
	issued, err := pki.Store{Dir: here(t), Random: rand.Reader}.Ensure([]string{"vpn.example.org"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(issued.AuthorityPath)
	if err != nil {
		t.Fatal(err)
	}
	files["etc/ipsec.d/cacerts/ca.pem"] = string(authority)
	paths := strings.NewReplacer("/etc/ssl/private/vpn-server.crt", issued.CertificatePath, "/etc/ssl/private/vpn-server.key", issued.KeyPath,
		"/etc/strongswan.d/proxyndp.updown", filepath.Join(here(t), "etc/proxyndp.updown"))
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(paths.Replace(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod("etc/proxyndp.updown", 0o700); err != nil {
		t.Fatal(err)
	}
}

// noPasswords searches what was printed, and every file but those the site had.
func noPasswords(t *testing.T, o outcome) {
	t.Helper()
	holds := func(text string) bool {
		return strings.Contains(text, "password1") || strings.Contains(text, "password2") || strings.Contains(text, "password3")
	}
	if holds(o.out) || holds(o.err) {
		t.Errorf("a password is printed: %v", o)
	}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path, "etc/") {
			return err
		}
		text, err := os.ReadFile(path)
		if holds(string(text)) {
			t.Errorf("%s holds a password", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// RADIUS servers that decide with strongSwan do so here: what was written is a
// configuration that check takes.
func TestImportOfRADIUSServers(t *testing.T) {
	documented(t)
	text, err := os.ReadFile("etc/ipsec.conf")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"etc/ipsec.conf":      strings.Replace(string(text), "rightauth=eap-mschapv2", "rightauth=eap-radius", 1),
		"etc/strongswan.conf": "charon { plugins { eap-radius {\n accounting = yes\n server = 192.0.2.10\n secret = \"opensesame, sixteen\"\n dae { enable = yes\n secret = \"opensesame, eighteen\" }\n} } }\n",
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := bridgehead(t, "", "import", "--from", "etc/ipsec.conf", "--to", "new")
	if got.code != exitDone || !strings.Contains(got.out, "written: new/radius-server.secret") || strings.Contains(got.out+got.err, "opensesame") {
		t.Fatalf("%s", got)
	}
	if got = bridgehead(t, "", "check", "--config", "new/bridgehead.toml", "--offline"); got.code != exitDone || strings.Contains(got.out, "radius.") || strings.Contains(got.out, "dae.") {
		t.Errorf("%s", got)
	}
}

func TestImportedSetupIsGood(t *testing.T) {
	documented(t)
	o := bridgehead(t, "", "import", "--from", "etc/ipsec.conf", "--to", "new/bridgehead")
	if o.code != exitDone || !strings.Contains(o.out, "etc/ipsec.d/secrets/myvpn:1 ") || !strings.Contains(o.out, "3 users\n") {
		t.Fatal(o)
	}
	noPasswords(t, o)
	o = bridgehead(t, "", "check", "--config", "new/bridgehead/bridgehead.toml", "--explain")
	if o.code != exitDone {
		t.Fatal(o)
	}
	for _, line := range []string{
		`name = "vpn.example.org"  # new/bridgehead/bridgehead.toml:4`,
		`pools = ["192.0.2.0/25", "2001:db8::/96"]`,
		`dns = ["192.0.2.200", "192.0.2.201", "2001:db8:8000::53:1", "2001:db8:8000::53:2"]`,
		`proposals = "aes256-aes192-aes128-sha384-sha256-sha1-modp3072-modp2048-modp1536-modp1024"`,
		`path = "new/bridgehead/users"`,
		`updown = "` + filepath.Join(here(t), "etc/proxyndp.updown") + `"`,
	} {
		if !strings.Contains(o.out, "\n"+line) {
			t.Errorf("no line %s in\n%s", line, o.out)
		}
	}
	if o = bridgehead(t, "", "users", "list", "--file", "new/bridgehead/users"); !strings.Contains(o.out, "user3") {
		t.Error(o)
	}
	before, err := os.ReadFile("new/bridgehead/users")
	if err != nil {
		t.Fatal(err)
	}
	if o = bridgehead(t, "", "import", "--from", "etc/ipsec.conf", "--to", "new/bridgehead"); o.code != exitFailed || !strings.Contains(o.err, "exists; nothing was written") {
		t.Error(o)
	}
	if after, err := os.ReadFile("new/bridgehead/users"); err != nil || string(after) != string(before) {
		t.Errorf("users are others: %v", err)
	}
	if o = bridgehead(t, "", "import", "--from", "etc/ipsec.conf", "--to", "new/bridgehead", "--force"); o.code != exitDone {
		t.Error(o)
	}
}

func TestImportDryRunWritesNothing(t *testing.T) {
	documented(t)
	o := bridgehead(t, "", "import", "--from", "etc/ipsec.conf", "--to", "new", "--dry-run")
	if o.code != exitDone || !strings.Contains(o.out, "Nothing was written") || !strings.Contains(o.out, "[server]\n") {
		t.Error(o)
	}
	noPasswords(t, o)
	if _, err := os.Stat("new"); err == nil {
		t.Error("the folder was made")
	}
}

// What the input leaves to defaults that differ is told with the remedy, and
// nothing of it where all is set.
func TestImportTellsOfDefaults(t *testing.T) {
	documented(t)
	const said = "Left at bridgehead's default"
	o := bridgehead(t, "", "import", "--from", "etc/ipsec.conf", "--to", "new", "--dry-run")
	if o.code != exitDone || strings.Contains(o.out, said) {
		t.Error(o)
	}
	text, err := os.ReadFile("etc/ipsec.conf")
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "rekey=") && !strings.Contains(line, "uniqueids=") {
			kept = append(kept, line)
		}
	}
	if err := os.WriteFile("etc/ipsec.conf", []byte(strings.Join(kept, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	o = bridgehead(t, "", "import", "--from", "etc/ipsec.conf", "--to", "new")
	if o.code != exitDone || !strings.Contains(o.out, said) || !strings.Contains(o.out, `esp.rekey_time = "51m"`) || !strings.Contains(o.out, "uniqueids isn't set") {
		t.Error(o)
	}
	if o = bridgehead(t, "", "check", "--config", "new/bridgehead.toml", "--explain"); o.code != exitDone || !strings.Contains(o.out, "unique = \"replace\"") {
		t.Error(o)
	}
}

func TestImportRefusals(t *testing.T) {
	documented(t)
	if err := os.WriteFile("etc/flat.conf", []byte("config setup uniqueids=no conn myvpn auto=add\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"flattened":    {[]string{"--from", "etc/flat.conf"}, exitConfig, "\netc/flat.conf:1:14: expected nothing behind"},
		"missing":      {[]string{"--from", "etc/none.conf"}, exitConfig, "\netc/none.conf: no such file or directory"},
		"two inputs":   {[]string{"--from", "etc/ipsec.conf", "--swanctl", "x"}, exitUsage, "swanctl"},
		"unknown flag": {[]string{"--form", "etc/ipsec.conf"}, exitUsage, "did you mean --from?"},
	} {
		t.Run(name, func(t *testing.T) {
			o := bridgehead(t, "", append([]string{"import", "--to", "new"}, c.args...)...)
			if o.code != c.code || !strings.Contains("\n"+o.err, c.says) {
				t.Error(o)
			}
			noPasswords(t, o)
			if _, err := os.Stat("new"); err == nil {
				t.Error("something was written")
			}
		})
	}
}

func TestImportJSON(t *testing.T) {
	documented(t)
	o := bridgehead(t, "", "import", "--from", "etc/ipsec.conf", "--to", "new", "--json")
	var said imported
	if err := json.Unmarshal([]byte(o.out), &said); err != nil || o.code != exitDone {
		t.Fatal(err, o)
	}
	if !said.OK || len(said.Written) != 2 || said.Report.Users != 3 || said.Report.Connection != "myvpn" {
		t.Errorf("%+v", said)
	}
	noPasswords(t, o)
	o = bridgehead(t, "", "import", "--from", "etc/ipsec.conf", "--to", "new", "--json")
	if err := json.Unmarshal([]byte(o.out), &said); err != nil || o.code != exitFailed || said.OK || said.Error == "" {
		t.Error(err, o)
	}
	o = bridgehead(t, "", "import", "--from", "etc/ipsec.secrets", "--to", "new", "--json")
	said = imported{}
	if err := json.Unmarshal([]byte(o.out), &said); err != nil || o.code != exitConfig || said.OK || len(said.Problems) == 0 || said.Problems[0].Line != 1 {
		t.Error(err, o)
	}
	noPasswords(t, o)
}
