//go:build bench

package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"bridgehead/integration/lab"
)

const (
	gatewayName    = "vpn.example.org"
	gatewayAddress = "10.77.0.1"
	clientAddress  = "10.77.0.2"
	user           = "alice"
	password       = "correct horse battery"
	// insideAddress is what lies behind the gateway.
	insideAddress = "10.99.0.1"
)

// suites are the algorithms compared, in strongSwan's notation, which
// bridgehead reads too.
type suites struct{ name, ike, esp string }

var (
	modp2048 = suites{"aes256-sha256-modp2048", "aes256-sha256-modp2048", "aes256-sha256"}
	x25519   = suites{"aes128gcm16-prfsha256-x25519", "aes128gcm16-prfsha256-curve25519", "aes128gcm16"}
)

// scene is a gateway's and a client's machine, joined by one link.
type scene struct {
	*lab.Lab
	t               *testing.T
	gateway, client *lab.Namespace
	root, issuing   *lab.Certificate
	server          *lab.Certificate
	rootFile        string
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{Lab: lab.New(t), t: t}
	s.gateway, s.client = s.Namespace("gate"), s.Namespace("client")
	s.Link(s.gateway, []string{gatewayAddress + "/24"}, s.client, []string{clientAddress + "/24"})
	s.gateway.AddAddress("lo", insideAddress+"/32")
	s.gateway.Forward()
	s.root = lab.NewCA(t, "Bench Root", lab.RSA2048)
	s.issuing = s.root.NewIntermediate("Bench Issuing", lab.RSA2048)
	s.server = s.issuing.NewServer(lab.RSA2048, 24*time.Hour, gatewayName, gatewayAddress)
	s.rootFile = filepath.Join(s.Dir("client"), "root.pem")
	s.root.Write(s.rootFile)
	return s
}

// daemon is a gateway being measured.
type daemon interface {
	Pid() int
	Stop(grace time.Duration) error
	Log() string
}

// contender is one of the two products.
type contender struct {
	name  string
	start func(*scene, suites) daemon
}

var contenders = []contender{{"bridgehead", startBridgehead}, {"charon", startCharon}}

// bridgeheadBinary is the program built by make.
func bridgeheadBinary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("BRIDGEHEAD")
	if path == "" {
		t.Fatal("BRIDGEHEAD must name the program; 'make bench' does it")
	}
	return path
}

func startBridgehead(s *scene, alg suites) daemon {
	s.t.Helper()
	dir := s.Dir("bridgehead")
	users := filepath.Join(dir, "users")
	add := s.gateway.Command(bridgeheadBinary(s.t), "users", "add", user, "--file", users)
	add.Stdin = strings.NewReader(password + "\n")
	if out, err := add.CombinedOutput(); err != nil {
		s.t.Fatalf("users add: %v\n%s", err, out)
	}
	return s.serve(dir, alg, fmt.Sprintf("[auth.file]\npath = %q\n", users))
}

// serve starts bridgehead with its files in dir and a backend.
func (s *scene) serve(dir string, alg suites, backend string) daemon {
	s.t.Helper()
	s.server.Write(filepath.Join(dir, "server.pem"))
	s.server.WriteKey(filepath.Join(dir, "server.key"))
	s.issuing.Write(filepath.Join(dir, "issuing.pem"))
	config := fmt.Sprintf(`[server]
name = %q
certificate = "server.pem"
key = "server.key"
chain = "issuing.pem"
[addresses]
pools = ["10.64.0.0/16", "2001:db8::/96"]
[ike]
proposals = %q
half_open_per_address = 10000
cookie_threshold = 10000
[esp]
proposals = %q
%s[log]
level = "warn"
[paths]
state = %q
control = %q
`, gatewayName, alg.ike, alg.esp, backend, dir, filepath.Join(dir, "control.sock"))
	file := filepath.Join(dir, "bridgehead.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		s.t.Fatal(err)
	}
	p := s.gateway.Start(15*time.Second, bridgeheadBinary(s.t), "serve", "--config", file)
	lab.Eventually(s.t, 10*time.Second, "bridgehead to serve", func() bool {
		select {
		case <-p.Exited():
			s.t.Fatalf("bridgehead ended:\n%s", p.Log())
		default:
		}
		_, err := os.Stat(filepath.Join(dir, "control.sock"))
		return err == nil
	})
	return p
}

func startCharon(s *scene, alg suites) daemon {
	s.t.Helper()
	return s.startCharon(alg, "eap-mschapv2", fmt.Sprintf("secrets { eap-1 { id = %s\n  secret = %q } }\n", user, password), "")
}

// startCharon starts strongSwan with a way to judge users, and what that needs
// of secrets and settings.
func (s *scene) startCharon(alg suites, judge, secrets, settings string) daemon {
	s.t.Helper()
	return s.gateway.StartCharon(lab.CharonConfig{
		Connections: fmt.Sprintf(`connections { rw {
  version = 2
  pools = p4, p6
  send_certreq = no
  unique = never
  proposals = %s
  local { auth = pubkey
          certs = gw.pem
          id = %s }
  remote { auth = %s
           eap_id = %%any }
  children { net { local_ts = 0.0.0.0/0, ::/0
                   esp_proposals = %s } }
} }
%spools { p4 { addrs = 10.64.0.0/16 }
        p6 { addrs = 2001:db8::/96 } }
`, alg.ike, gatewayName, judge, alg.esp, secrets),
		Settings:     "dos_protection = no\n  ikesa_table_size = 4096\n  ikesa_table_segments = 16\n  " + settings,
		Certificates: map[string]*lab.Certificate{"gw.pem": s.server},
		Authorities:  map[string]*lab.Certificate{"issuing.pem": s.issuing},
	})
}

// benchReport is what the comparison reads of "bridgehead bench --json".
type benchReport struct {
	Logins int     `json:"logins"`
	Failed int     `json:"failed"`
	Rate   float64 `json:"logins_per_second"`
	Error  string  `json:"error"`
}

// benchCommand is "bridgehead bench" with arguments added, as the client.
func (s *scene) benchCommand(name string, alg suites, args ...string) []string {
	return append([]string{bridgeheadBinary(s.t), "bench", gatewayAddress, "--json", "--user", name,
		"--server-name", gatewayName, "--ca", s.rootFile, "--ike", alg.ike, "--esp", alg.esp}, args...)
}

// logins runs n complete logins and logouts by workers.
func (s *scene) logins(alg suites, n, workers int) benchReport {
	s.t.Helper()
	return s.loginsAs(user, password, alg, n, workers)
}

// loginsAs is logins of another user.
func (s *scene) loginsAs(name, password string, alg suites, n, workers int) benchReport {
	s.t.Helper()
	args := s.benchCommand(name, alg, "-n", strconv.Itoa(n), "-w", strconv.Itoa(workers))
	cmd := s.client.Command(args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(password + "\n")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var r benchReport
	if jsonErr := json.Unmarshal(out, &r); jsonErr != nil || err != nil || r.Failed > 0 || r.Logins != n {
		s.t.Fatalf("bench: %v, %v\n%s%s", err, jsonErr, out, stderr.String())
	}
	return r
}
