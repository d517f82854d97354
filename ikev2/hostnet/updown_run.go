package hostnet

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// afterExit is how long the output of a program is read that has ended, but
// has left others behind that hold it open.
const afterExit = time.Second

// call runs the program for one family and logs what it says.
func (s *Script) call(ctx context.Context, t told, f Family, up bool) {
	if ctx.Err() != nil {
		return
	}
	verb := verbOf(f, up)
	logger := s.cfg.Logger.With(slog.String("session", t.Session.ID), slog.String("verb", verb))
	timed, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	cmd := exec.CommandContext(timed, s.cfg.Command[0], s.cfg.Command[1:]...)
	cmd.Env = s.environment(t, f, verb)
	cmd.Dir = "/"
	// A group of its own, so that the limit ends its children, too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
			return err
		}
		return os.ErrProcessDone
	}
	cmd.WaitDelay = afterExit
	out := &output{logger: logger}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	out.end()
	switch {
	case errors.Is(err, exec.ErrWaitDelay):
		err = nil // it has ended, and well; a child of its lives on
	case ctx.Err() != nil:
		err = errors.New("killed, for the gateway stops")
	case timed.Err() != nil:
		err = fmt.Errorf("killed, for it ran longer than %s", s.cfg.Timeout)
	case out.read > maxOutput:
		err = errFlood
	}
	if err != nil {
		logger.Warn("the updown script failed", slog.String("script", s.cfg.Command[0]), slog.Any("error", err))
	}
}

// verbOf is PLUTO_VERB. Selectors are always those of clients, never of the
// gateway itself, so that no verb ends in "host".
func verbOf(f Family, up bool) string {
	verb := "down-client"
	if up {
		verb = "up-client"
	}
	if f == IPv6 {
		verb += "-v6"
	}
	return verb
}

// environment is what strongSwan's updown plugin gives its script (version 1.1
// of that interface), as far as it applies, and nothing of our own but PATH and,
// of a user who is in a group, BRIDGEHEAD_GROUP.
func (s *Script) environment(t told, f Family, verb string) []string {
	n := t.Session
	client := firstIn(f, n.Addresses)
	env := []string{
		"PATH=" + cmp.Or(os.Getenv("PATH"), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
		"PLUTO_VERSION=1.1",
		"PLUTO_VERB=" + verb,
		"PLUTO_CONNECTION=" + s.cfg.Connection,
		"PLUTO_INTERFACE=" + t.Interface,
		fmt.Sprintf("PLUTO_REQID=%d", t.Number),
		"PLUTO_PROTO=esp",
		fmt.Sprintf("PLUTO_UNIQUEID=%d", t.Number),
		"PLUTO_ME=" + host(n.Local.Addr()),
		"PLUTO_MY_ID=" + n.LocalID,
		"PLUTO_MY_CLIENT=" + reachable(f, n.Subnets).String(),
		"PLUTO_MY_PORT=0",
		"PLUTO_MY_PROTOCOL=0",
		"PLUTO_PEER=" + host(n.Remote.Addr()),
		"PLUTO_PEER_ID=" + n.RemoteID,
		fmt.Sprintf("PLUTO_PEER_CLIENT=%v/%d", client, client.BitLen()),
		"PLUTO_PEER_PORT=0",
		"PLUTO_PEER_PROTOCOL=0",
		"PLUTO_XAUTH_ID=" + n.User,
		"PLUTO_PEER_SOURCEIP=" + n.Addresses[0].String(),
	}
	for _, a := range n.Addresses {
		env = append(env, fmt.Sprintf("PLUTO_PEER_SOURCEIP%d_1=%v", familyOf(a), a))
	}
	if n.Encap {
		env = append(env, fmt.Sprintf("PLUTO_UDP_ENC=%d", n.Remote.Port()))
	}
	if n.Group != "" {
		env = append(env, "BRIDGEHEAD_GROUP="+n.Group)
	}
	for i, e := range env {
		env[i] = clean(e)
	}
	return env
}

func host(a netip.Addr) string { return a.Unmap().WithZone("").String() }

func firstIn(f Family, list []netip.Addr) netip.Addr {
	for _, a := range list {
		if familyOf(a) == f {
			return a
		}
	}
	return netip.Addr{}
}

// reachable is what a client may reach of a family: the first of several, since
// the program is called once for each.
func reachable(f Family, subnets []netip.Prefix) netip.Prefix {
	for _, p := range subnets {
		if familyOf(p.Addr()) == f {
			return p
		}
	}
	if f == IPv4 {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

// clean takes control characters out, and what is not UTF-8: peers choose their
// identities.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

// interfaceOf names the interface that has an address, like strongSwan
// "unknown" if none has.
func interfaceOf(a netip.Addr) string {
	links, err := net.Interfaces()
	if err != nil {
		return "unknown"
	}
	for _, l := range links {
		addrs, err := l.Addrs()
		if err != nil {
			continue
		}
		for _, n := range addrs {
			if p, err := netip.ParsePrefix(n.String()); err == nil && p.Addr() == a.Unmap().WithZone("") {
				return l.Name
			}
		}
	}
	return "unknown"
}

// Limits of what a run may say. A program that says more than maxOutput has its
// output closed, which ends most.
const (
	maxLine   = 500     // octets
	maxLines  = 100     // that are logged
	maxOutput = 1 << 20 // octets
)

var errFlood = fmt.Errorf("it wrote more than %d octets", maxOutput)

// output logs what a program says, a line at a time.
type output struct {
	logger  *slog.Logger
	line    []byte // not ended yet, at most maxLine
	lines   int
	skipped int // lines that were not logged
	read    int
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	n := len(b)
	if o.read += n; o.read > maxOutput {
		return 0, errFlood
	}
	for len(b) > 0 {
		part, rest, ended := bytes.Cut(b, []byte{'\n'})
		o.line = append(o.line, part[:min(len(part), maxLine-len(o.line))]...)
		if b = rest; ended {
			o.flush()
		}
	}
	return n, nil
}

func (o *output) flush() {
	text := clean(string(o.line))
	o.line = o.line[:0]
	switch {
	case text == "":
	case o.lines == maxLines:
		o.skipped++
	default:
		o.lines++
		o.logger.Info("updown: " + text)
	}
}

// end logs what is left.
func (o *output) end() {
	o.flush()
	if o.skipped > 0 {
		o.logger.Info(fmt.Sprintf("updown: and %d lines more", o.skipped))
	}
}
