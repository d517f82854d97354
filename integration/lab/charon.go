package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// charonPath is where Debian's package strongswan-charon puts the daemon.
const charonPath = "/usr/lib/ipsec/charon"

// charonPlugins are what a gateway or a client with user and password needs,
// with ESP in userspace over a TUN device: no ESP in the kernel is required.
const charonPlugins = "random nonce aes sha1 sha2 md4 md5 mgf1 hmac kdf gcm chapoly curve25519 openssl pem pkcs1 pkcs8 " +
	"x509 pubkey constraints kernel-libipsec kernel-netlink resolve socket-default vici updown eap-identity eap-mschapv2 eap-md5 eap-radius"

// FullTunnel are settings with which a strongSwan client that has ESP in
// userspace can send everything through the tunnel, the addresses around the
// gateway's own included: its own packets are marked and pass the tunnel by.
const FullTunnel = `plugins { kernel-libipsec { allow_peer_ts = yes }
            kernel-netlink { fwmark = !0x42 }
            socket-default { fwmark = 0x42 } }`

// Charon is a running strongSwan.
type Charon struct {
	*Process
	ns  *Namespace
	dir string
	t   testing.TB
}

// CharonConfig is one strongSwan.
type CharonConfig struct {
	// Connections is the text of swanctl.conf: connections, secrets, pools.
	Connections string
	// Settings is added to the section "charon" of strongswan.conf.
	Settings string
	// Certificates, Authorities: what swanctl finds in x509 and x509ca by
	// file name, such as gw.pem. Certificates come with their keys.
	Certificates map[string]*Certificate
	Authorities  map[string]*Certificate
	// KernelESP has the kernel do ESP instead of the daemon itself.
	KernelESP bool
	// LogLevel is charon's default log level; 0 means 1.
	LogLevel int
}

// StartCharon runs strongSwan in n with all its state in a folder of the
// scene, in a mount namespace of its own so that several run side by side. It
// returns when the daemon has loaded its connections.
func (n *Namespace) StartCharon(c CharonConfig) *Charon {
	n.t.Helper()
	dir := n.lab.Dir("charon-" + n.Name)
	s := &Charon{ns: n, dir: dir, t: n.t}
	s.writeConfig(c)
	// charon writes its pid file to /run: each has its own.
	const script = `mount --make-rprivate / && mount --bind "$1" /run && shift && exec "$@"`
	cmd := n.Command("unshare", "-m", "sh", "-c", script, "-", n.lab.Dir("run-"+n.Name), charonPath)
	cmd.Env = append(os.Environ(), "STRONGSWAN_CONF="+filepath.Join(dir, "strongswan.conf"))
	s.Process = n.StartCommand(5*time.Second, cmd)
	Eventually(n.t, Patience, "charon's control socket in "+dir, func() bool {
		select {
		case <-s.Exited():
			n.t.Fatalf("charon ended:\n%s", s.Log())
		default:
		}
		return Listens(filepath.Join(dir, "vici"))
	})
	s.Swanctl("--load-all", "--noprompt")
	n.t.Cleanup(func() {
		if n.t.Failed() {
			n.t.Logf("charon in %s:\n%s", n.Name, s.Log())
		}
	})
	return s
}

// Load replaces the connections, secrets and pools by those of a new
// swanctl.conf. IKE SAs that are up stay.
func (s *Charon) Load(connections string) {
	s.t.Helper()
	s.write("swanctl/swanctl.conf", connections)
	s.Swanctl("--load-all", "--clear", "--noprompt")
}

// Trust makes an authority the only one; it takes effect with the next Load.
func (s *Charon) Trust(authority *Certificate) {
	s.t.Helper()
	dir := filepath.Join(s.dir, "swanctl/x509ca")
	if err := os.RemoveAll(dir); err != nil {
		s.t.Fatal(err)
	}
	authority.Write(filepath.Join(dir, "only.pem"))
}

func (s *Charon) writeConfig(c CharonConfig) {
	s.t.Helper()
	level := max(c.LogLevel, 1)
	plugins := charonPlugins
	if c.KernelESP {
		plugins = strings.Replace(plugins, " kernel-libipsec", "", 1)
	}
	s.write("strongswan.conf", fmt.Sprintf(`charon {
  load = %s
  plugins { vici { socket = unix://%s/vici }
            resolve { file = %s/resolv.conf } }
  filelog { stderr { default = %d
    flush_line = yes } }
  %s
}
swanctl { load = random nonce aes sha1 sha2 hmac openssl pem pkcs1 pkcs8 x509 pubkey constraints }
`, plugins, s.dir, s.dir, level, c.Settings))
	s.write("swanctl/swanctl.conf", c.Connections)
	for name, cert := range c.Certificates {
		cert.Write(filepath.Join(s.dir, "swanctl/x509", name))
		cert.WriteKey(filepath.Join(s.dir, "swanctl/private", name+".key"))
	}
	for name, cert := range c.Authorities {
		cert.Write(filepath.Join(s.dir, "swanctl/x509ca", name))
	}
}

func (s *Charon) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// Resolvers is the resolv.conf that the daemon has written; empty if it has
// none.
func (s *Charon) Resolvers() string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "resolv.conf"))
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	return string(text)
}

// Swanctl runs swanctl against this daemon, such as Swanctl("--list-sas"),
// and fails the test if it fails.
func (s *Charon) Swanctl(args ...string) string {
	s.t.Helper()
	out, err := s.TrySwanctl(args...)
	if err != nil {
		s.t.Fatalf("swanctl %v: %v\n%s", args, err, out)
	}
	return out
}

// TrySwanctl is Swanctl for a command that may fail.
func (s *Charon) TrySwanctl(args ...string) (string, error) {
	cmd := exec.Command("swanctl", append(args, "--uri", "unix://"+filepath.Join(s.dir, "vici"))...)
	cmd.Env = append(os.Environ(), "SWANCTL_DIR="+filepath.Join(s.dir, "swanctl"), "STRONGSWAN_CONF="+filepath.Join(s.dir, "strongswan.conf"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}
