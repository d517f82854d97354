package strongswan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// gate is a swanctl.conf with most of what its grammar knows.
var gate = map[string]string{
	"swanctl.conf": `# a comment
base {
	version = 2
	send_cert = always
	proposals = aes256-sha256-modp1024, default
	dpd_delay = 90s
}
lifes : connections.rw { }
unused { key = value }
connections {
	rw : base {
		dpd_delay = 300   # overrides
		local {
			auth = pubkey
			certs = server.pem
			id = vpn.example.org
		}
		remote {
			auth = eap-mschapv2
			eap_id = %any
			send = nothing
		}
		children
		{
			net {
				local_ts = 0.0.0.0/0,::/0
				esp_proposals = aes256gcm16
				updown = /usr/lib/ipsec/_updown
				rekey_time = 0
			}
			other { local_ts = 10.0.0.0/8 }
		}
		pools = v4, v6
		unique = replace
		rekey_time = 0s
	}
	site {
		version = 1
		remote_addrs = 192.0.2.7
	}
}
pools {
	v4 { addrs = 192.0.2.0/25
	     dns = 192.0.2.200, 2001:db8::53 }
	v6 { addrs = 2001:db8:1::/96
	     subnet = 10.0.0.0/8 }
	v7 { addrs = 2001:db8:7::/96 }
}
authorities { ca { cacert = issuing.pem } }
include users.conf
include nothing/*.conf
`,
	"users.conf": `secrets {
	eap-alice { id = alice
	            secret = "s3cret pass" }
	eap-more { id-a = bob
	           id-b = alice
	           secret = "s3cret pass" }
	ntlm-carol { id = carol
	             secret = 0x8846f7eaee8fb117ad06bdd830b7586c }
	ike-site { secret = "for site" }
	private-x { file = server.key }
}
`,
	"private/server.key": "unreadable",
}

func TestSwanctl(t *testing.T) {
	want, err := filepath.Abs("testdata/swanctl.golden")
	if err != nil {
		t.Fatal(err)
	}
	folder(t, gate)
	r, err := ReadSwanctl("swanctl.conf", Options{Suggest: suggest})
	here, _ := os.Getwd()
	golden(t, want, strings.ReplaceAll(shown(r, err), here, "HERE"))
}

func TestSwanctlRefused(t *testing.T) {
	change := func(name, old, new string) map[string]string {
		files := map[string]string{}
		for k, v := range gate {
			files[k] = v
		}
		if !strings.Contains(files[name], old) {
			t.Fatalf("%s has no %q", name, old)
		}
		files[name] = strings.Replace(files[name], old, new, 1)
		return files
	}
	const conf, users = "swanctl.conf", "users.conf"
	for name, c := range map[string]struct {
		files  map[string]string
		prefix string
	}{
		"flattened":            {map[string]string{conf: `connections { rw { local { auth = pubkey certs = server.pem } } }`}, `swanctl.conf:1:48: expected no equals sign within a value`},
		"section left open":    {change(conf, "authorities { ca { cacert = issuing.pem } }", "authorities { ca { cacert = issuing.pem }"), "swanctl.conf:49:1: the section is never closed"},
		"brace too many":       {change(conf, "# a comment", "}"), "swanctl.conf:1:1: expected no }"},
		"neither = nor {":      {change(conf, "version = 2", "version 2"), "swanctl.conf:3:10: expected = or { behind the name"},
		"name with a dot":      {change(conf, "version = 2", "a.version = 2"), "swanctl.conf:3:2: expected NAME = VALUE, NAME { or }"},
		"quote left open":      {change(users, `secret = "s3cret pass" }`, `secret = "s3cret pass }`), "users.conf:3:23: the quote is never closed"},
		"reference to nothing": {change(conf, "rw : base", "rw : bse"), `swanctl.conf:11:7: no section "bse"`},
		"reference to no name": {change(conf, "rw : base", "rw : "), "swanctl.conf:11:8: expected the name of a section to inherit from"},
		"include of itself":    {change(conf, "include users.conf", "include swanctl.conf"), "swanctl.conf:50:1: swanctl.conf includes itself"},
		"include without name": {change(conf, "include users.conf", "include #"), "swanctl.conf:50:1: expected one file or pattern behind include"},
		"no such pool":         {change(conf, "pools = v4, v6", "pools = v4, w6"), `swanctl.conf:33:11: no pool "w6"`},
		"sections too deep":    {map[string]string{conf: strings.Repeat("a{", 11) + strings.Repeat("}", 11)}, "swanctl.conf:1:21: expected sections at most 10 deep"},
		"second round":         {change(conf, "children\n", "remote-2 { auth = pubkey }\nchildren\n"), `swanctl.conf:11:2: "rw" can't be taken over: it asks for a second authentication`},
		"no traffic selector":  {change(conf, "local_ts = 0.0.0.0/0,::/0", ""), `swanctl.conf:11:2: "rw" doesn't say what clients may reach`},
		"dynamic selector":     {change(conf, "local_ts = 0.0.0.0/0,::/0", "local_ts = dynamic"), "swanctl.conf:26:16: local_ts: dynamic is the gateway's own address"},
		"no id":                {change(users, "id = alice", ""), "users.conf:2:2: a password for everybody is not taken"},
		"no secret":            {change(users, `secret = 0x8846f7eaee8fb117ad06bdd830b7586c`, ""), `users.conf:7:2: expected secret = "…" in this section`},
		"short NT hash":        {change(users, `0x8846f7eaee8fb117ad06bdd830b7586c`, "0x8846f7"), "users.conf:8:24: expected an NT hash of 16 octets"},
		"half a digit":         {change(users, `0x8846f7eaee8fb117ad06bdd830b7586c`, "0x8846f"), "users.conf:8:24: expected pairs of hexadecimal digits behind 0x"},
		"empty password":       {change(users, `"s3cret pass"`, `""`), "users.conf:2:"},
		"two passwords":        {change(users, "id-b = alice", "id-b = carol"), `users.conf:7:20: "carol" has another password already`},
		"%any":                 {change(users, "id-b = alice", "id-b = %any"), "users.conf:5:20: a password for everybody is not taken"},
		"encrypted key":        {change(users, "file = server.key", "file = server.key\nsecret = opensesame"), "users.conf:10:14: the key HERE/private/server.key has a passphrase"},
	} {
		t.Run(name, func(t *testing.T) {
			folder(t, c.files)
			here, err := os.Getwd()
			if err != nil {
				t.Fatal(err)
			}
			r, err := ReadSwanctl(conf, Options{Suggest: suggest})
			if err == nil {
				t.Fatalf("taken over:\n%s", shown(r, nil))
			}
			said := strings.ReplaceAll(err.Error(), here, "HERE")
			if !strings.Contains("\n"+said, "\n"+c.prefix) {
				t.Errorf("got\n%s\nwant a line that begins\n%s", said, c.prefix)
			}
			for _, secret := range []string{"s3cret", "opensesame", "for site", "8846f"} {
				if strings.Contains(said, secret) {
					t.Errorf("%q stands in the error: %s", secret, said)
				}
			}
		})
	}
}

func TestMistypedSecretIsNotShown(t *testing.T) {
	files := map[string]string{}
	for k, v := range gate {
		files[k] = v
	}
	files["users.conf"] = strings.Replace(files["users.conf"], "ike-site { secret", "eap-x { id = x\n secret = y\n secrte", 1)
	folder(t, files)
	r, err := ReadSwanctl("swanctl.conf", Options{Suggest: suggest})
	if s := shown(r, err); err != nil || strings.Contains(s, "for site") || !strings.Contains(s, "[secrets.eap-x] secrte=: not supported") {
		t.Error(s)
	}
}

// TestReferencesEnd feeds sections that inherit from what holds them.
func TestReferencesEnd(t *testing.T) {
	var wide strings.Builder
	wide.WriteString("connections {\n")
	for range 40 {
		wide.WriteString("c" + strings.Repeat("x", wide.Len()%50) + " : connections { }\n")
	}
	wide.WriteString("}\n")
	for name, text := range map[string]string{
		"itself": "connections : connections { }\n",
		"parent": "connections { a : connections { } }\n",
		"wide":   wide.String(),
	} {
		t.Run(name, func(t *testing.T) {
			folder(t, map[string]string{"swanctl.conf": text})
			if _, err := ReadSwanctl("swanctl.conf", Options{}); err == nil {
				t.Error("taken over")
			}
		})
	}
}
