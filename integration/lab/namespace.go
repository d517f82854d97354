package lab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// Namespace is a network namespace: one machine of the scene.
type Namespace struct {
	Name string
	lab  *Lab
	t    testing.TB
}

// Namespace makes a machine. Its loopback is up and it forwards nothing. Its
// IPv6 addresses, the links' own among them, are usable at once: the end of
// duplicate address detection is a change of address, of which a MOBIKE client
// tells its gateway in the midst of whatever a test is showing.
func (l *Lab) Namespace(name string) *Namespace {
	l.t.Helper()
	n := &Namespace{Name: l.prefix + name, lab: l, t: l.t}
	l.run("ip", "netns", "add", n.Name)
	l.t.Cleanup(func() { l.run("ip", "netns", "del", n.Name) })
	n.Run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.default.dad_transmits=0")
	n.Run("ip", "link", "set", "lo", "up")
	return n
}

// Command is a command inside the namespace, not yet started.
func (n *Namespace) Command(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", n.Name, name}, args...)...)
}

// Run runs a command to its end, fails the test if it fails, and gives what it
// wrote to standard output. What else it says is left out: ip complains there of
// other scenes' namespaces that come and go while it looks for a link's peer.
func (n *Namespace) Run(name string, args ...string) string {
	n.t.Helper()
	var out, said strings.Builder
	cmd := n.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		n.t.Fatalf("%s: %s %s: %v\n%s%s", n.Name, name, strings.Join(args, " "), err, out.String(), said.String())
	}
	return out.String()
}

// Try is Run for a command that may fail; it gives all that the command says.
func (n *Namespace) Try(name string, args ...string) (string, error) {
	out, err := n.Command(name, args...).CombinedOutput()
	return string(out), err
}

// Process is a program running in a namespace.
type Process struct {
	cmd    *exec.Cmd
	log    string
	exited chan struct{} // closed when it has ended
	err    error         // set before exited is closed
}

// Start starts a program that runs until it ends itself or the test does; its
// output goes to a file that Log reads. grace is how long it may take to end
// after SIGTERM before it is killed.
func (n *Namespace) Start(grace time.Duration, name string, args ...string) *Process {
	n.t.Helper()
	return n.StartCommand(grace, n.Command(name, args...))
}

// StartCommand is Start for a prepared command.
func (n *Namespace) StartCommand(grace time.Duration, cmd *exec.Cmd) *Process {
	n.t.Helper()
	log, err := os.CreateTemp(n.lab.dir, "log-*")
	if err != nil {
		n.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL // a test that is killed leaves no daemon behind
	if err := cmd.Start(); err != nil {
		n.t.Fatalf("%s: %v", strings.Join(cmd.Args, " "), err)
	}
	p := &Process{cmd: cmd, log: log.Name(), exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	n.t.Cleanup(func() { p.Stop(grace) })
	return p
}

// Stop ends the process: SIGTERM, and SIGKILL after grace. Stopping it again
// does nothing.
func (p *Process) Stop(grace time.Duration) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only if it has ended
	select {
	case <-p.exited:
	case <-time.After(grace):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
	return p.err
}

// Code waits for the process to end, at most for within, and gives its exit
// code; a process ended by a signal has -1.
func (p *Process) Code(t testing.TB, within time.Duration) int {
	t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		t.Fatalf("%s has not ended within %s:\n%s", strings.Join(p.cmd.Args, " "), within, p.Log())
		return 0
	}
}

// Signal sends the process a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Log is what the process has written so far.
func (p *Process) Log() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Do runs f with the calling goroutine's thread inside the namespace: sockets
// that f opens belong to it for good, whatever thread uses them later. f must
// open them on this goroutine.
func (n *Namespace) Do(f func()) {
	n.t.Helper()
	if err := n.enter(f); err != nil {
		n.t.Fatal(err)
	}
}

func (n *Namespace) enter(f func()) error {
	runtime.LockOSThread()
	host, err := netns.Get()
	if err != nil {
		return fmt.Errorf("own namespace: %w", err)
	}
	defer host.Close()
	inside, err := netns.GetFromName(n.Name)
	if err != nil {
		return fmt.Errorf("namespace %s: %w", n.Name, err)
	}
	defer inside.Close()
	if err := netns.Set(inside); err != nil {
		return fmt.Errorf("entering %s: %w", n.Name, err)
	}
	defer func() {
		// A thread that cannot come back must not run anything else: left
		// locked, it ends with its goroutine.
		if netns.Set(host) == nil {
			runtime.UnlockOSThread()
		}
	}()
	f()
	return nil
}

// Link joins two machines with a veth pair; each gets the addresses given,
// such as "10.77.0.1/24". It gives the interfaces' names.
func (l *Lab) Link(a *Namespace, aAddrs []string, b *Namespace, bAddrs []string) (aName, bName string) {
	l.t.Helper()
	l.links++
	aName, bName = fmt.Sprintf("%sa%d", l.prefix, l.links), fmt.Sprintf("%sb%d", l.prefix, l.links)
	l.run("ip", "link", "add", aName, "netns", a.Name, "type", "veth", "peer", "name", bName, "netns", b.Name)
	for _, end := range []struct {
		n     *Namespace
		name  string
		addrs []string
	}{{a, aName, aAddrs}, {b, bName, bAddrs}} {
		for _, addr := range end.addrs {
			end.n.AddAddress(end.name, addr)
		}
		end.n.Run("ip", "link", "set", end.name, "up")
	}
	return aName, bName
}

// AddAddress gives an interface an address. An IPv6 address is usable at once.
func (n *Namespace) AddAddress(link, prefix string) {
	n.t.Helper()
	p, err := netip.ParsePrefix(prefix)
	if err != nil {
		n.t.Fatal(err)
	}
	args := []string{"addr", "add", prefix, "dev", link}
	if p.Addr().Is6() {
		args = append(args, "nodad")
	}
	n.Run("ip", args...)
}

// Forward has the machine route between its interfaces.
func (n *Namespace) Forward() {
	n.t.Helper()
	n.Run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
}

// Masquerade makes the machine a NAT for what leaves by a link, IPv4 only as
// such routers are.
func (n *Namespace) Masquerade(link string) {
	n.t.Helper()
	n.Forward()
	n.Rules(fmt.Sprintf(`table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat
    oifname %q masquerade
  }
}
`, link))
}

// Patience is how long a test waits for what has to come. It bounds what fails:
// a test that passes waits no longer than it takes, which on a busy machine of
// two cores may be many times what it takes on an idle one.
const Patience = time.Minute

// Eventually waits until ok holds, at most for within, and fails the test
// with what it waited for if it never does.
func Eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for !ok() {
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("waited %s for: %s", within, what)
		}
	}
}
