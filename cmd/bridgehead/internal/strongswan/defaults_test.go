package strongswan

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// silent is a site that leaves to strongSwan's defaults what it can.
const silent = `config setup
conn rw
	auto=add
	leftcert=server.pem
	leftid=@vpn.example.org
	leftsubnet=0.0.0.0/0
	rightauth=eap-mschapv2
	rightsourceip=192.0.2.0/25
`

// silentSwanctl is the same in swanctl.conf.
const silentSwanctl = `connections { rw {
	local { certs = server.pem
	id = vpn.example.org }
	remote { auth = eap-mschapv2 }
	children { net { local_ts = 0.0.0.0/0
	} }
	pools = v4
} }
pools { v4 { addrs = 192.0.2.0/25 } }
`

// TestDefaults holds what becomes of directives that are not set: how old
// behaviour is brought back, by directive, or that it is written.
func TestDefaults(t *testing.T) {
	const (
		ipsec  = "ipsec.conf"
		suites = ", with those that clients use by now (ipsec statusall, swanctl --list-sas)"
		unique = "unique = \"replace\" # uniqueids is not set: yes\n"
	)
	all := map[string]string{
		"dpdaction": `ike.dpd = "0"`, "lifetime": `esp.rekey_time = "51m"`, "reauth": `sessions.timeout = "171m", which ends them`,
		"ike": "ike.proposals" + suites, "esp": "esp.proposals" + suites,
	}
	swanctl := map[string]string{
		"dpd_delay": `ike.dpd = "0"`, "rekey_time": `ike.rekey_time = "4h"`, "children.rekey_time": `esp.rekey_time = "1h"`,
		"proposals": "ike.proposals" + suites, "esp_proposals": "esp.proposals" + suites,
	}
	but := func(left map[string]string, changes ...string) map[string]string {
		left = maps.Clone(left)
		for _, c := range changes {
			directive, restore, kept := strings.Cut(c, "=")
			delete(left, directive)
			if kept {
				left[directive] = restore
			}
		}
		return left
	}
	for name, c := range map[string]struct {
		file, below, added string
		want               map[string]string
		replace            bool // unique is written
	}{
		"nothing set":                {ipsec, "", "", all, true},
		"uniqueids=no":               {ipsec, "config setup", "uniqueids=no", all, false},
		"uniqueids empty":            {ipsec, "config setup", "uniqueids=no\n\tuniqueids=", all, true},
		"rekey=no":                   {ipsec, "conn rw", "rekey=no", but(all, "lifetime", "reauth"), true},
		"rekey=yes":                  {ipsec, "conn rw", "rekey=yes", but(all, "lifetime"), true},
		"reauth=no":                  {ipsec, "conn rw", "reauth=no", but(all, "reauth", `ikelifetime=ike.rekey_time = "171m"`), true},
		"reauth=no, a lifetime":      {ipsec, "conn rw", "reauth=no\n\tikelifetime=8h", but(all, "reauth"), true},
		"a margin":                   {ipsec, "conn rw", "margintime=10m", but(all, `lifetime=esp.rekey_time = "50m"`, `reauth=sessions.timeout = "170m", which ends them`), true},
		"dpdaction=none":             {ipsec, "conn rw", "dpdaction=none", but(all, "dpdaction"), true},
		"dpddelay alone":             {ipsec, "conn rw", "dpddelay=60s", all, true},
		"suites":                     {ipsec, "conn rw", "ike=aes256-sha256-modp2048!\n\tesp=aes256-sha256!", but(all, "ike", "esp"), true},
		"swanctl.conf":               {"swanctl.conf", "", "", swanctl, false},
		"swanctl.conf, no rekeys":    {"swanctl.conf", "pools = v4", "rekey_time = 0", but(swanctl, "rekey_time"), false},
		"swanctl.conf, reauth_time":  {"swanctl.conf", "pools = v4", "reauth_time = 3h", but(swanctl, "rekey_time"), false},
		"swanctl.conf, a life time":  {"swanctl.conf", "0.0.0.0/0", "life_time = 11h", but(swanctl, `children.rekey_time=esp.rekey_time = "10h"`), false},
		"swanctl.conf, child rekeys": {"swanctl.conf", "0.0.0.0/0", "rekey_time = 2h", but(swanctl, "children.rekey_time"), false},
		"swanctl.conf, liveness":     {"swanctl.conf", "pools = v4", "dpd_delay = 0", but(swanctl, "dpd_delay"), false},
	} {
		t.Run(name, func(t *testing.T) {
			text, read := silent, func() (*Result, error) { return ReadIPsec(ipsec, "ipsec.secrets", Options{}) }
			if c.file != ipsec {
				text, read = silentSwanctl, func() (*Result, error) { return ReadSwanctl(c.file, Options{}) }
			}
			if c.added != "" {
				text = strings.Replace(text, c.below, c.below+"\n\t"+c.added, 1)
			}
			folder(t, map[string]string{c.file: text, "ipsec.secrets": ": RSA server.pem\n", "private/server.pem": ""})
			r, err := read()
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, d := range r.Report.Defaults {
				got[d.Directive] = d.Restore
				if d.StrongSwan == "" || d.Bridgehead == "" {
					t.Errorf("%+v", d)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("left at bridgehead's default: %s", diff)
			}
			if strings.Contains(string(r.Config()), unique) != c.replace {
				t.Errorf("unique is to be written: %v\n%s", c.replace, r.Config())
			}
		})
	}
}

// Settings that a child section inherits are the child's, wherever they stand.
func TestInheritedRekeyTimeIsTheChilds(t *testing.T) {
	text := strings.Replace(silentSwanctl, "children { net {", "rekey_time = 0\n\tchildren { net : short {", 1) + "short { rekey_time = 20m }\n"
	folder(t, map[string]string{"swanctl.conf": text, "private/server.pem": ""})
	r, err := ReadSwanctl("swanctl.conf", Options{})
	if err != nil || !strings.Contains(string(r.Config()), "[esp]\nrekey_time = \"20m\"") || strings.Contains(string(r.Config()), "[ike]") {
		t.Errorf("%v\n%s", err, r.Config())
	}
}
