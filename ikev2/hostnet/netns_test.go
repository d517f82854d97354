package hostnet

import (
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// namespace is a network namespace of its own, which lives as long as the test.
type namespace struct {
	t      testing.TB
	handle netns.NsHandle
}

// newNamespace makes a namespace and leaves the calling thread, locked from now
// on, where it was.
func newNamespace(t testing.TB) *namespace {
	t.Helper()
	runtime.LockOSThread()
	before, err := netns.Get()
	must(t, err)
	defer before.Close()
	fresh, err := netns.New()
	must(t, err)
	t.Cleanup(func() { fresh.Close() })
	ns := &namespace{t: t, handle: fresh}
	lo, err := netlink.LinkByName("lo")
	must(t, err)
	must(t, netlink.LinkSetUp(lo))
	must(t, netns.Set(before))
	return ns
}

// enter moves the test's thread into the namespace until the test ends or
// enters another.
func (ns *namespace) enter() {
	ns.t.Helper()
	runtime.LockOSThread() // never unlocked: the thread dies with the test
	must(ns.t, netns.Set(ns.handle))
}

// in runs f in the namespace, on a thread of its own, and waits for it.
func (ns *namespace) in(f func() error) {
	ns.t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := netns.Set(ns.handle)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	must(ns.t, <-done)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run executes a command in the thread's namespace; words are split at spaces.
func run(t testing.TB, format string, args ...any) string {
	t.Helper()
	words := strings.Fields(fmt.Sprintf(format, args...))
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", words, err, out)
	}
	return string(out)
}

// addTUN makes a persistent TUN link that has been up before: the first time
// changes its queueing discipline for good.
func addTUN(t testing.TB, name string) {
	t.Helper()
	run(t, "ip tuntap add dev %s mode tun", name)
	run(t, "ip link set %s up", name)
	run(t, "ip link set %s down", name)
}

// snapshot is all that this package may touch: settings, links, addresses,
// routes and nftables rules.
func snapshot(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	for _, root := range []string{"net/ipv4/ip_forward", "net/ipv4/conf", "net/ipv6/conf"} {
		must(t, filepath.WalkDir(sysctlRoot+root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if value, err := os.ReadFile(path); err == nil { // some are write-only or unset
				fmt.Fprintf(&b, "%s = %s", path, value)
			}
			return nil
		}))
	}
	b.WriteString(run(t, "ip -details address show"))
	b.WriteString(run(t, "ip -4 route show table all"))
	b.WriteString(run(t, "ip -6 route show table all"))
	b.WriteString(run(t, "nft list ruleset"))
	return b.String()
}

func sameSnapshot(t testing.TB, before, after string) {
	t.Helper()
	if before == after {
		return
	}
	was, is := strings.Split(before, "\n"), strings.Split(after, "\n")
	t.Errorf("not restored:\n- %s\n+ %s", strings.Join(missing(was, is), "\n- "), strings.Join(missing(is, was), "\n+ "))
}

// missing gives the lines of a that b has not.
func missing(a, b []string) []string {
	there := map[string]bool{}
	for _, line := range b {
		there[line] = true
	}
	var lines []string
	for _, line := range a {
		if !there[line] {
			lines = append(lines, line)
		}
	}
	return lines
}

// connect makes a pair of links between two namespaces.
func connect(t testing.TB, a *namespace, nameA string, b *namespace, nameB string) {
	t.Helper()
	a.in(func() error {
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: nameA}, PeerName: nameB, PeerNamespace: netlink.NsFd(b.handle),
		})
	})
}

// configure gives a link its addresses, without duplicate address detection,
// and brings it up.
func configure(t testing.TB, name string, addrs ...string) {
	t.Helper()
	run(t, "ip link set %s up", name)
	for _, a := range addrs {
		if strings.Contains(a, ":") {
			run(t, "ip address add %s dev %s nodad", a, name)
			awaitLocal(t, a)
		} else {
			run(t, "ip address add %s dev %s", a, name)
		}
	}
}

// awaitLocal returns once the kernel, which does so in the background, has made
// an IPv6 address its own.
func awaitLocal(t testing.TB, prefix string) {
	t.Helper()
	addr, _, _ := strings.Cut(prefix, "/")
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if strings.Contains(run(t, "ip -6 route show table local"), "local "+addr+" ") {
			return
		}
	}
	t.Fatalf("the kernel never took %s up", addr)
}

// maxSegment is the MSS that a TCP connection may send with.
func maxSegment(c net.Conn) (int, error) {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var size int
	var inner error
	err = raw.Control(func(fd uintptr) { size, inner = getMaxSegment(int(fd)) })
	if err == nil {
		err = inner
	}
	return size, err
}
