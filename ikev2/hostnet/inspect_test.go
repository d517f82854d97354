package hostnet

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestInspect(t *testing.T) {
	newNamespace(t).enter()
	addTUN(t, "tun-test")
	addTUN(t, "eth.7")
	facts, err := Inspect()
	must(t, err)
	if facts.Forwarding[IPv4] || facts.Forwarding[IPv6] || len(facts.ForwardDrops) != 0 || len(facts.Families) != 2 {
		t.Errorf("fresh machine: %+v", facts)
	}

	run(t, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
	run(t, "sysctl -qw net.ipv4.conf.eth/7.forwarding=0 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0")
	run(t, "sysctl -qw net.ipv4.conf.eth/7.rp_filter=1 net.ipv4.conf.tun-test.rp_filter=2")
	run(t, "nft add table ip filter")
	for _, chain := range []struct{ name, spec string }{
		{"FORWARD", "{ type filter hook forward priority 0; policy drop; }"},
		{"INPUT", "{ type filter hook input priority 0; policy drop; }"},
		{"open", "{ type filter hook forward priority 1; policy accept; }"},
	} {
		run(t, "nft add chain ip filter %s %s", chain.name, chain.spec)
	}
	facts, err = Inspect()
	must(t, err)
	if !facts.Forwarding[IPv4] || !facts.Forwarding[IPv6] {
		t.Errorf("forwarding %v", facts.Forwarding)
	}
	if got := facts.NotForwarding[IPv4]; !slices.Equal(got, []string{"eth.7"}) {
		t.Errorf("not forwarding: %v", got)
	}
	if !slices.Equal(facts.StrictReversePath, []string{"eth.7"}) {
		t.Errorf("strict reverse path on %v", facts.StrictReversePath)
	}
	if want := []ForwardDrop{{"ip", "filter", "FORWARD"}}; !slices.Equal(facts.ForwardDrops, want) {
		t.Fatalf("forward chains that drop: %v, want %v", facts.ForwardDrops, want)
	}
	for _, command := range facts.ForwardDrops[0].Remedy("tun-test") {
		run(t, "%s", strings.ReplaceAll(command, `"`, "")) // no shell here takes the quotes off
	}
	if rules := run(t, "nft list chain ip filter FORWARD"); strings.Count(rules, "accept") != 2 {
		t.Errorf("after the remedy:\n%s", rules)
	}
}

func TestSysctlLines(t *testing.T) {
	newNamespace(t).enter()
	addTUN(t, "eth.7")
	for _, line := range []string{ForwardingSysctl(IPv4), ForwardingSysctl(IPv6), AcceptRASysctl("eth.7")} {
		run(t, "sysctl -qw %s", strings.ReplaceAll(line, " ", ""))
	}
	for key, want := range map[sysctl]string{
		"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1", "net/ipv6/conf/eth.7/accept_ra": "2",
	} {
		if got, err := key.read(); err != nil || got != want {
			t.Errorf("%v = %s, %v", key, got, err)
		}
	}
}

// Without CAP_NET_ADMIN the first change fails with the remedy.
func TestWithoutRights(t *testing.T) {
	newNamespace(t).enter()
	addTUN(t, "tun-test")
	before := snapshot(t)
	h := open(t, filepath.Join(t.TempDir(), "j"))
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	must(t, unix.Capget(&header, &caps[0]))
	reduced := caps
	reduced[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	must(t, unix.Capset(&header, &reduced[0])) // this thread alone
	err := h.ApplyGateway(fullGateway("tun-test"))
	must(t, unix.Capset(&header, &caps[0]))
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "run as root, or give the program CAP_NET_ADMIN") {
		t.Errorf("got %v", err)
	}
	must(t, h.Close())
	sameSnapshot(t, before, snapshot(t))
}

func TestRemedies(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{syscall.EPERM, "run as root"}, {syscall.EACCES, "CAP_NET_ADMIN"}, {syscall.EROFS, "--sysctl"},
		{syscall.EEXIST, "remove that first"}, {syscall.EOPNOTSUPP, "load the module"},
	} {
		err := failed(&fs.PathError{Op: "open", Path: "x", Err: c.err}, "set %s", "y")
		if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "cannot set y: ") {
			t.Errorf("%v: %v", c.err, err)
		}
	}
	if err := failed(nil, "anything"); err != nil {
		t.Errorf("no failure gave %v", err)
	}
}
