package strongswan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// plugin is a strongswan.conf as Debian lays it out, with most of what
// eap-radius knows.
var plugin = map[string]string{
	"strongswan.conf": `charon {
	threads = 16
	plugins {
		include strongswan.d/charon/*.conf
	}
}
include strongswan.d/*.conf
`,
	"strongswan.d/charon/eap-radius.conf": `eap-radius {
	load = yes
	accounting = yes
	accounting_close_on_timeout = no
	accounting_interval = 300s
	accounting_requires_vip = yes
	accounting_send_class = yes
	class_group = no
	close_all_on_timeout = no
	eap_start = yes
	filter_id = yes
	id_prefix =
	nas_identifier = gate
	station_id_with_port = no
	sockets = 5
	retransmit_tries = 3
	dae {
		enable = yes
		listen = 192.0.2.129
		port = 3800
		secret = "dae s3cret #1"
	}
	forward { ike_to_radius = 1 }
	servers {
		first {
			address = 192.0.2.10
			secret = "s3cret for first"
			secret = "s3cret # \"first\""
			preference = 20
			acct_port = 1646
			port = 1645
		}
		second.campus {
			address = radius.example.org
			secret = s3cretsecond
			source = 192.0.2.129
			preference = 10
			acct_port = 1813
		}
	}
	xauth { general { password = x } }
	acounting = yes
}
`,
	"strongswan.d/other.conf": "libtls { suites = x }\n",
}

// radiusSite is the site with servers that decide.
func radiusSite(t *testing.T, conf map[string]string) {
	t.Helper()
	files := map[string]string{}
	for _, from := range []map[string]string{site, conf} {
		for name, text := range from {
			files[name] = strings.Replace(text, "second.campus", "second_campus", 1)
		}
	}
	folder(t, files)
}

func TestRADIUSServersOfStrongSwan(t *testing.T) {
	want, err := filepath.Abs("testdata/radius.golden")
	if err != nil {
		t.Fatal(err)
	}
	radiusSite(t, plugin)
	r, err := ipsec(Options{})
	here, _ := os.Getwd()
	said := strings.ReplaceAll(shown(r, err), here, "HERE")
	golden(t, want, said)
	if strings.Contains(said, "s3cret") {
		t.Error("a secret is shown")
	}
	if err := r.Write("out", false); err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]string{"radius-first.secret": `s3cret # "first"`, "radius-second_campus.secret": "s3cretsecond", "dae.secret": "dae s3cret #1"} {
		path := filepath.Join("out", name)
		if got := read(t, path); got != secret+"\n" {
			t.Errorf("%s holds %q, want %q", name, got, secret)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if len(contents(t, "out")) != len(r.Files("out")) {
		t.Errorf("written: %v, told: %v", contents(t, "out"), r.Files("out"))
	}
}

// The flat form names one server outside of any section, and leaves the rest to
// defaults.
func TestOneRADIUSServerOfStrongSwan(t *testing.T) {
	radiusSite(t, map[string]string{"radius/strongswan.conf": "charon { plugins { eap-radius {\n server = 192.0.2.10\n secret = s3cret\n accounting = yes\n} } }\ncharon-systemd { plugins { eap-radius {\n server = 2001:db8::10\n port = 1645\n} } }\n"})
	r, err := ipsec(Options{StrongSwan: "radius/strongswan.conf"})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`backend = "radius"`, `[radius.server]`, `address = "[2001:db8::10]:1645"`, `secret_file = "radius-server.secret"`,
		`nas_identifier = "strongSwan" # nas_identifier is not set: strongSwan`, `interim = "0" # accounting_interval is not set`,
	} {
		if !strings.Contains(string(r.Config()), line) {
			t.Errorf("%q is not in\n%s", line, r.Config())
		}
	}
	if strings.Contains(string(r.Config()), "auth.file") {
		t.Errorf("the users file decides, too:\n%s", r.Config())
	}
}

func TestRADIUSServersRefused(t *testing.T) {
	const conf = "strongswan.conf"
	in := func(text string) map[string]string {
		return map[string]string{conf: "charon { plugins { eap-radius {\n" + text + "\n} } }\n"}
	}
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no secret":      {in("servers { a { address = 192.0.2.1 } }"), "strongswan.conf:2:11: the RADIUS server a lacks its address or its secret"},
		"no server":      {in("accounting = no"), "lacks its address or its secret"},
		"no address":     {in("server = http://x\nsecret = s3cret"), "strongswan.conf:2:10: server: expected a DNS name or an address"},
		"no port":        {in("server = a.example\nsecret = s3cret\nport = radius"), "strongswan.conf:4:8: port: expected a port"},
		"not loaded":     {in("server = a.example\nsecret = s3cret\nload = no"), "load: the plugin isn't loaded"},
		"neither nor":    {in("server = a.example\nsecret = s3cret\neap_start = maybe"), "strongswan.conf:4:13: eap_start: expected yes or no"},
		"no secret, DAE": {in("server = a.example\nsecret = s3cret\ndae { enable = yes }"), "dae: expected a secret"},
		"left open":      {map[string]string{conf: "charon {\n"}, "strongswan.conf:1:1: the section is never closed"},
		"same names":     {in("servers { \"a\" { x = y } }"), "expected NAME = VALUE"},
		"preference":     {in("servers { a { address = a.example\n secret = s3cret\n preference = high } }"), "preference: expected a number"},
		"source":         {in("server = a.example\nsecret = s3cret\nsource = eth0"), "source: expected an address"},
	} {
		radiusSite(t, c.files)
		_, err := ipsec(Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// FuzzPlugin feeds any text as eap-radius's settings: each directive is judged,
// or the import fails with places in the text.
func FuzzPlugin(f *testing.F) {
	f.Add(plugin["strongswan.d/charon/eap-radius.conf"])
	f.Add("eap-radius { server = a\n secret = b\n servers : charon { c { address = d } } }")
	f.Fuzz(func(t *testing.T, text string) {
		tr := newTranslator(Options{})
		tr.strongswanConf = "strongswan.conf"
		tr.disk = disk{
			read: func(string, int) ([]byte, error) { return []byte("charon { plugins {\n" + text + "\n} }\n"), nil },
			glob: func(string) ([]string, error) { return nil, nil },
		}
		if !tr.radius() && len(tr.entries) > 0 {
			t.Error("settings were read of a plugin that isn't there")
		}
		for _, e := range tr.entries {
			if e.Outcome == "" && tr.err() == nil {
				t.Errorf("%s %s is not judged", e.Section, e.Name)
			}
			if e.secret && e.Value != "" {
				t.Errorf("%s %s shows its value", e.Section, e.Name)
			}
		}
	})
}
