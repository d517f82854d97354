package peers

import (
	"context"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/initiator"
	"bridgehead/integration/lab"
	"bridgehead/integration/profiles"
)

// serveSplit starts the gateway for clients that reach the network behind it
// and nothing else, with its authority at hand, and gives its configuration.
func (s *site) serveSplit(t *testing.T, more string) string {
	t.Helper()
	file := s.writeConfig(t, "")
	root := filepath.Join(s.dir, "root.pem")
	s.root.Write(root)
	extra := fmt.Sprintf("[server]\nchain = [%q, %q]\n[addresses]\nsubnets = [\"10.99.0.0/24\", \"fd00:99::/64\"]\n%s",
		filepath.Join(s.dir, "issuing.pem"), root, more)
	folder := filepath.Join(s.dir, "conf.d")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "split.toml"), []byte(extra), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(t, "serve", "--config", file)
	return file
}

// TestProfileOfMovedPorts sends strongSwan to a gateway that listens elsewhere.
func TestProfileOfMovedPorts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	folder := filepath.Join(s.dir, "conf.d")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "ports.toml"), []byte("[server]\nike_port = 5500\nnat_port = 5501\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := s.profile(t, s.serveSplit(t, ""), "strongswan", "My VPN", user)
	c := s.newClient(t, "client")
	name := strings.TrimSuffix(p.File, ".conf")
	charon := s.swanctl(t, c, s.resolved(p.Text), fmt.Sprintf("secrets { eap-x { id = %s\nsecret = %q } }", user, password))
	charon.Swanctl("--initiate", "--child", name, "--timeout", "60")
	c.reaches(t, "on other ports", s.sessionFrom(t, c).Addresses)
	charon.Swanctl("--terminate", "--ike", name)
	s.nobodyIn(t)
}

// profiled is what `profile --json` prints.
type profiled struct{ File, Text, IKE, ESP string }

// profile has the program write a client's profile.
func (s *site) profile(t *testing.T, file, client, name, user string) profiled {
	t.Helper()
	got := bridgehead(t, s.gateway, "", "profile", client, "--config", file, "--name", name, "--user", user, "--json")
	if got.code != 0 || strings.Contains(got.out, password) {
		t.Fatalf("profile %s: %s", client, got)
	}
	return decode[profiled](t, got.out)
}

// TestProfilesLetEmulatedClientsIn sets emulated clients up by what the program
// writes for the real ones: each logs in with the suite that its profile
// says, renews its keys, and leaves.
func TestProfilesLetEmulatedClientsIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.newClient(t, "client")
	const both = "10.99.0.0/24 fd00:99::/64"
	for _, conf := range []struct{ name, more string }{
		{"defaults", ""},
		{"the setup guide's suites", "[ike]\nproposals = \"aes256-aes192-aes128-sha384-sha256-sha1-modp3072-modp2048-modp1536-modp1024!\"\n" +
			"[esp]\nproposals = \"aes256-aes192-aes128-sha384-sha256-sha1!\"\n"},
		{"a key exchange in rekeys", "[ike]\nproposals = \"aes256-sha256-modp2048\"\n[esp]\nproposals = \"aes256gcm16-x25519-ecp384\"\n"},
	} {
		t.Run(conf.name, func(t *testing.T) {
			file := s.serveSplit(t, conf.more)
			for _, client := range []struct {
				name    string
				read    func(string) (*profiles.Setup, error)
				as      *initiator.Profile
				reaches string
			}{
				// It asks a DHCP server for its routes, by broadcast.
				{"windows", profiles.Windows, initiator.Windows10DH2048(), "10.99.0.0/24 255.255.255.255/32 fd00:99::/64"},
				// It sets no routes of IPv6 but ::/0, thus gets no address.
				{"apple", profiles.Apple, initiator.Apple(), "10.99.0.0/24"},
				{"android", profiles.Android, initiator.DefaultProfile(), both}, // the strongSwan app
				{"networkmanager", func(text string) (*profiles.Setup, error) { return profiles.NetworkManager(text, t.TempDir()) }, initiator.DefaultProfile(), both},
			} {
				p := s.profile(t, file, client.name, "My VPN", user)
				setup, err := client.read(p.Text)
				if err != nil {
					t.Fatalf("%s: %v\n%s", client.name, err, p.Text)
				}
				s.visit(t, c, client.name, setup, client.as, client.reaches)
			}
			if err := s.process.Stop(15 * time.Second); err != nil {
				t.Error(err)
			}
		})
	}
}

// visit is one client's whole stay, as its setup has it: it gets an address of
// each family that it reaches something of.
func (s *site) visit(t *testing.T, c *client, name string, setup *profiles.Setup, as *initiator.Profile, reaches string) {
	t.Helper()
	if setup.Root == nil || !setup.Root.Equal(s.root.Certificate) || setup.Server != gatewayName {
		t.Fatalf("%s: server %q, root %v", name, setup.Server, setup.Root)
	}
	as.RekeyESP = setup.ESP.Offer(nil)
	conf := initiator.Config{
		Server: s.outside.IPv4.String(), ServerName: setup.Identity, Roots: s.root.Pool(), RequireServerAuth: true,
		User: user, Password: auth.Secret(password), IKE: setup.IKE, ESP: setup.ESP, Profile: as,
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var session *initiator.Session
	var err error
	c.Do(func() { session, err = initiator.Dial(ctx, conf) })
	if err != nil {
		t.Fatalf("%s: login: %v", name, err)
	}
	r, in := session.Result(), s.sessionFrom(t, c)
	esp := setup.ESP.WithoutKE().String()
	if r.IKE != setup.IKE.String() || r.ESP != esp || in.IKE != r.IKE || in.ESP != esp || in.User != user || len(in.Addresses) != 1+strings.Count(reaches, "fd00:") {
		t.Errorf("%s: set to %s and %s, got %s and %s, the gateway says %+v", name, setup.IKE, setup.ESP, r.IKE, r.ESP, in)
	}
	if remote := initiator.Prefixes(session.Child().Remote); fmt.Sprint(remote) != "["+reaches+"]" {
		t.Errorf("%s reaches %v", name, remote)
	}
	if err := session.RekeyChild(ctx, setup.ESP.String() != esp); err != nil {
		t.Errorf("%s: rekey of the Child SA: %v", name, err)
	}
	if err := session.RekeyIKE(ctx); err != nil {
		t.Errorf("%s: rekey of the IKE SA: %v", name, err)
	}
	if err := session.Liveness(ctx); err != nil {
		t.Errorf("%s: after both rekeys: %v", name, err)
	}
	if err := session.Close(ctx); err != nil {
		t.Errorf("%s: logout: %v", name, err)
	}
	s.nobodyIn(t)
}

// resolved puts the gateway's address where its name would be looked up.
func (s *site) resolved(text string) string {
	for _, before := range []string{"remote_addrs = ", "--host "} {
		text = strings.ReplaceAll(text, before+gatewayName, before+s.outside.IPv4.String())
	}
	return text
}

// passwordSection is what the file's comment has the user write beside it.
var passwordSection = regexp.MustCompile(`#       (secrets .*)\n#         (secret = )"\.\.\."( .*)\n`)

// TestProfilesForStrongSwan does at the client what the comments of the
// swanctl.conf say, with Debian's strongSwan, and with names that need quoting.
func TestProfilesForStrongSwan(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	names := []string{user, `CORP\o'brien "x" = $1; {2}`, "10.1.2.3", "#4", "carol@example.org"}
	for _, name := range names[1:] {
		s.addUser(t, name, password)
	}
	file := s.serveSplit(t, "")
	for i, name := range names {
		p := s.profile(t, file, "strongswan", `My "VPN" \ <&>`, name)
		c := s.newClient(t, fmt.Sprintf("client%d", i))
		s.trustsAsTold(t, p)
		secrets := passwordSection.FindStringSubmatch(p.Text)
		if secrets == nil {
			t.Fatalf("no word of the password in\n%s", p.Text)
		}
		charon := s.swanctl(t, c, s.resolved(p.Text), fmt.Sprintf("%s\n%s\"%s\"%s\n", secrets[1], secrets[2], password, secrets[3]))
		charon.Swanctl("--initiate", "--child", strings.TrimSuffix(p.File, ".conf"), "--timeout", "60")
		in := s.sessionFrom(t, c)
		if in.User != name || in.IKE != p.IKE || in.ESP != p.ESP {
			t.Errorf("%q: session %+v, profile %s and %s", name, in, p.IKE, p.ESP)
		}
		c.reaches(t, name, in.Addresses)
		charon.Swanctl("--terminate", "--ike", strings.TrimSuffix(p.File, ".conf"))
		s.nobodyIn(t)
	}
}

// trustsAsTold runs the command that takes the authority out of the file.
func (s *site) trustsAsTold(t *testing.T, p profiled) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, p.File), []byte(p.Text), 0o600); err != nil {
		t.Fatal(err)
	}
	told := regexp.MustCompile(`#   - The authority: (sed .*) > /etc/swanctl/x509ca/`).FindStringSubmatch(p.Text)
	if told == nil {
		t.Fatalf("no word of the authority in\n%s", p.Text)
	}
	cmd := exec.Command("sh", "-c", told[1])
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if block, rest := pem.Decode(out); block == nil || len(rest) > 0 || !slices.Equal(block.Bytes, s.root.Raw) {
		t.Fatalf("%s gives\n%s", told[1], out)
	}
}

// TestProfileForCharonCmd types the line that the swanctl.conf has in its
// comments.
func TestProfileForCharonCmd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.profile(t, s.serveSplit(t, ""), "strongswan", "My VPN", user)
	told := regexp.MustCompile(`(?m)^#   (charon-cmd .*)$`).FindStringSubmatch(p.Text)
	if told == nil {
		t.Fatalf("no line in\n%s", p.Text)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	s.root.Write(ca)
	line := regexp.MustCompile(`--cert \S+`).ReplaceAllLiteralString(s.resolved(told[1]), "--cert "+ca)
	words, err := exec.Command("sh", "-c", `printf '%s\0' `+line).Output()
	if err != nil {
		t.Fatal(err)
	}
	c := s.newClient(t, "client")
	peer := c.StartCharonCmd("", password, strings.Split(strings.TrimSuffix(string(words), "\x00"), "\x00")...)
	lab.Eventually(t, lab.Patience, "the login of charon-cmd", func() bool {
		select {
		case <-peer.Exited():
			t.Fatalf("charon-cmd ended:\n%s", peer.Log())
		default:
		}
		return len(s.sessions(t)) == 1 && strings.Contains(peer.Log(), "CHILD_SA cmd{1} established")
	})
	in := s.sessionFrom(t, c)
	if in.User != user || in.IKE != p.IKE || in.ESP != p.ESP {
		t.Errorf("session %+v, profile %s and %s", in, p.IKE, p.ESP)
	}
	c.reaches(t, "charon-cmd", in.Addresses)
	if err := peer.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	peer.Code(t, lab.Patience)
	s.nobodyIn(t)
}
