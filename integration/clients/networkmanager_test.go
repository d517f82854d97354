package clients

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bridgehead/integration/lab"
)

// The files of a machine with a system bus and NetworkManager of its own; %[1]s
// is their folder. Everybody on the bus may do everything. charon-nm is
// NetworkManager's plugin; it has a socket for orders besides.
var desktopFiles = map[string]string{
	"bus.conf": `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=%[1]s/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`,
	"etc/NetworkManager.conf": "[main]\nplugins=keyfile\ndns=none\nrc-manager=unmanaged\nno-auto-default=*\n# in %[1]s\n",
	"etc/VPN/nm-strongswan-service.name": "[VPN Connection]\nname=strongswan\nservice=org.freedesktop.NetworkManager.strongswan\n" +
		"program=/usr/lib/ipsec/charon-nm\n# in %[1]s\n",
	"strongswan.conf": `charon-nm {
  load = ` + "random nonce aes sha1 sha2 md4 md5 mgf1 hmac kdf gcm chapoly curve25519 openssl pem pkcs1 pkcs8 x509 pubkey constraints" +
		` kernel-libipsec kernel-netlink socket-default vici eap-identity eap-mschapv2
  plugins { vici { socket = unix://%[1]s/vici } }
  filelog { log { path = %[1]s/charon.log
    default = 1
    flush_line = yes } }
}
`,
}

// startNetworkManager hides the machine's own files of NetworkManager from the
// one it starts. On a system bus of its own there is no udev to wait for: a
// read-only /sys tells NetworkManager so.
const startNetworkManager = `mount --make-rprivate / && mount --bind "$1/run" /run && mkdir /run/NetworkManager &&
mount --bind "$1/lib" /var/lib/NetworkManager && mount --bind "$1/etc" /etc/NetworkManager &&
mount -o remount,ro /sys && exec NetworkManager --debug`

// desktop is a machine that NetworkManager looks after.
type desktop struct {
	machine
	dir string
	env []string
}

func (s *scene) desktop(t *testing.T) (*desktop, error) {
	d := &desktop{machine: s.machine("nm"), dir: s.Dir("nm")}
	d.env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS=unix:path="+d.dir+"/bus",
		"STRONGSWAN_CONF="+d.dir+"/strongswan.conf", "HOME="+d.dir, "XDG_DATA_HOME=")
	for _, folder := range []string{"run", "lib", "etc/VPN", "etc/system-connections"} {
		if err := os.MkdirAll(filepath.Join(d.dir, folder), 0o755); err != nil {
			return nil, err
		}
	}
	for name, text := range desktopFiles {
		if err := os.WriteFile(filepath.Join(d.dir, name), fmt.Appendf(nil, text, d.dir), 0o644); err != nil {
			return nil, err
		}
	}
	d.Start(5*time.Second, "dbus-daemon", "--nofork", "--nopidfile", "--config-file", d.dir+"/bus.conf")
	if err := within(patience, "the bus", func() (bool, error) {
		return lab.Listens(d.dir + "/bus"), nil
	}); err != nil {
		return nil, err
	}
	cmd := d.Command("unshare", "-m", "sh", "-c", startNetworkManager, "-", d.dir)
	cmd.Env = d.env
	p := d.StartCommand(5*time.Second, cmd)
	t.Cleanup(func() {
		if t.Failed() {
			charon, _ := os.ReadFile(d.dir + "/charon.log")
			t.Logf("NetworkManager:\n%s\ncharon-nm:\n%s", p.Log(), charon)
		}
	})
	return d, d.online()
}

// online has NetworkManager itself bring the machine into the internet: it
// makes no VPN over what it found.
func (d *desktop) online() error {
	err := within(patience, "NetworkManager", func() (bool, error) {
		out, err := d.nmcli("-t", "-f", "STATE", "general")
		return strings.HasPrefix(out, "connected"), err
	})
	if err != nil {
		return err
	}
	_, err = d.nmcli("connection", "add", "type", "ethernet", "con-name", "lan", "ifname", d.uplink.Link,
		"ipv4.method", "manual", "ipv4.addresses", d.uplink.IPv4.String()+"/24", "ipv4.gateway", d.uplink.IPv4.Prev().String(),
		"ipv6.method", "manual", "ipv6.addresses", d.uplink.IPv6.String()+"/64", "ipv6.gateway", d.uplink.IPv6.Prev().String())
	if err == nil {
		_, err = d.nmcli("--wait", "20", "connection", "up", "lan")
	}
	return err
}

func (d *desktop) nmcli(args ...string) (string, error) {
	cmd := exec.Command("nmcli", args...)
	cmd.Env = d.env
	return output(cmd)
}

// output runs a command; the error has what it printed.
func output(cmd *exec.Cmd) (string, error) {
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out), err
}

// vpn sets the VPN up by the script that the program writes for it, and
// connects. Only the gateway's address is put where its name would be
// resolved, and the password is kept: the window that asks for it needs a
// display.
func (d *desktop) vpn(s *scene, user string) error {
	script, err := s.gateway.Try(s.program, "profile", "networkmanager", "--config", filepath.Join(s.dir, "bridgehead.toml"), "--name", "home", "--user", user)
	if err != nil {
		return fmt.Errorf("profile networkmanager: %w\n%s", err, script)
	}
	cmd := exec.Command("sh", "-s")
	cmd.Env = d.env
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(script, "address="+gatewayName, "address="+s.outside.IPv4.String()))
	if _, err := output(cmd); err != nil {
		return err
	}
	if _, err := d.nmcli("connection", "modify", "home", "+vpn.data", "password-flags=0", "vpn.secrets", "password="+password); err != nil {
		return err
	}
	_, err = d.nmcli("--wait", "20", "connection", "up", "home")
	return err
}

// networkManager is the stay of NetworkManager's strongSwan plugin, with no
// desktop around it.
func networkManager(t *testing.T, s *scene, st stay, r *row) {
	r.cells[idleDay] = realClock
	d, err := s.desktop(t)
	if err == nil {
		err = d.vpn(s, st.user)
	}
	var before session
	if err == nil {
		before, err = s.only(st.user)
	}
	if r.cell(t, login, "ok", err); err != nil {
		return
	}
	s.lives(t, d.machine, r, "home", func(args ...string) (string, error) {
		return output(exec.Command("swanctl", append(args, "--uri", "unix://"+d.dir+"/vici")...))
	})
	r.cell(t, move, "ok", s.roams(d.machine, before))
	_, err = d.nmcli("--wait", "20", "connection", "down", "home")
	r.cell(t, logout, "ok", errors.Join(err, s.gone(st.user)))
}
