package main

import (
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bridgehead/cmd/bridgehead/internal/pki"
	"bridgehead/cmd/bridgehead/internal/provision"
	read "bridgehead/integration/profiles"
)

const profilePassword = "a good password"

// profileSite makes a gateway's files in a folder of their own, which becomes
// the current one, and gives its authority. chain is the [server] chain.
func profileSite(t *testing.T, chain, more string) *pki.Issued {
	t.Helper()
	t.Chdir(t.TempDir())
	issued, err := pki.Store{Dir: ".", Random: rand.Reader}.Ensure([]string{"vpn.example.org"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if got := bridgehead(t, profilePassword+"\n", "users", "add", "alice", "--file", "users"); got.code != exitDone {
		t.Fatal(got)
	}
	text := fmt.Sprintf("[server]\nname = \"vpn.example.org\"\ncertificate = %q\nkey = %q\nchain = %s\n"+
		"[auth.file]\npath = \"users\"\n[addresses]\npools = [\"10.9.0.0/24\", \"fd00:9::/64\"]\n%s", issued.CertificatePath, issued.KeyPath, chain, more)
	if err := os.WriteFile("b.toml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return issued
}

// TestProfile writes every kind from one configuration.
func TestProfile(t *testing.T) {
	issued := profileSite(t, `"ca.pem"`, "subnets = [\"10.0.0.0/8\"]\ndns = \"10.0.0.53\"\ndomains = \"corp.example.org\"\n[ike]\nproposals = \"aes256-sha256-modp2048\"\n")
	for _, c := range provision.Clients() {
		args := []string{"profile", string(c), "--config", "b.toml", "--user", "alice", "--name", "Work & Home"}
		printed := bridgehead(t, "", args...)
		if printed.code != exitDone || strings.Contains(printed.out, profilePassword) {
			t.Fatalf("%s: %s", c, printed)
		}
		file := filepath.Join(t.TempDir(), "out")
		if got := bridgehead(t, "", append(args, "-o", file)...); got.code != exitDone || got.out != "" || got.err != printed.err {
			t.Errorf("%s -o: %s", c, got)
		}
		if written, err := os.ReadFile(file); err != nil || string(written) != printed.out {
			t.Errorf("%s -o: %q, %v", c, written, err)
		}
		var p provision.Profile
		asJSON := bridgehead(t, "", append(args, "--json")...)
		if err := json.Unmarshal([]byte(asJSON.out), &p); err != nil || asJSON.code != exitDone || asJSON.err != "" {
			t.Fatalf("%s --json: %v, %s", c, err, asJSON)
		}
		if p.Client != c || p.Text != printed.out || p.IKE != "aes256-sha256-modp2048" || p.ESP != "aes256gcm16" || p.Notes == nil {
			t.Errorf("%s --json: %+v", c, p)
		}
		for _, n := range p.Notes {
			if !strings.Contains(printed.err, "Note: "+n+"\n") {
				t.Errorf("%s: %q is not in %q", c, n, printed.err)
			}
		}
	}
	windows, err := read.Windows(bridgehead(t, "", "profile", "windows", "--config", "b.toml").out)
	if err != nil {
		t.Fatal(err)
	}
	if windows.Name != "My VPN" || !windows.Root.Equal(issued.Authority) || windows.Everything || fmt.Sprint(windows.Routes, windows.Domains) != "[10.0.0.0/8] [corp.example.org]" {
		t.Errorf("%+v", windows)
	}
}

// TestProfileOfAPublicAuthority has no root at hand and imports none.
func TestProfileOfAPublicAuthority(t *testing.T) {
	issued := profileSite(t, "[]", "")
	leaf := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issued.Server.Raw})
	if err := os.WriteFile(issued.CertificatePath, leaf, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := read.Apple(bridgehead(t, "", "profile", "apple", "--config", "b.toml").out)
	if err != nil || s.Root != nil {
		t.Errorf("%+v, %v", s, err)
	}
	windows := bridgehead(t, "", "profile", "windows", "--config", "b.toml").out
	if strings.Contains(windows, "Import-Certificate") || !strings.Contains(windows, "Add-VpnConnectionRoute \"My VPN\" 8000::/1\n") {
		t.Error(windows)
	}
}

func TestProfileRefusals(t *testing.T) {
	profileSite(t, `"ca.pem"`, "[ike]\nproposals = \"chacha20poly1305-prfsha256-x25519\"\n")
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"profile --config b.toml", exitUsage, "arg"},
		{"profile windws --config b.toml", exitUsage, "did you mean windows?"},
		{"profile amiga --config b.toml", exitUsage, "networkmanager"},
		{"profile apple --config b.toml --name .\t.", exitUsage, "cannot be seen"},
		{"profile windows --config b.toml --name a:b", exitUsage, "Windows allows none of"},
		{"profile windows --config b.toml", exitFailed, "aes256-sha256-modp2048"},
		{"profile android --config none.toml", exitConfig, "none.toml:1:1"},
		{"profile android --config b.toml -o no/folder/x", exitFailed, "no/folder/x"},
	} {
		if got := bridgehead(t, "", strings.Split(c.args, " ")...); got.code != c.code || got.out != "" || !strings.Contains(got.err, c.says) {
			t.Errorf("%s: got %s\nwant exit %d and %q", c.args, got, c.code, c.says)
		}
	}
}
