package uml

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

//go:embed testdata/xstate.c
var xstate []byte

// modules are loaded before the command; the kernel loads ciphers by itself.
const modules = "esp4 esp6 xfrm_user tun veth dummy"

// initScript is the machine's first process. %[1]s is the scratch directory,
// %[2]s the directory to be in, %[3]s the modules.
const initScript = `#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/net /run/netns
[[ -c /dev/net/tun ]] || mknod /dev/net/tun c 10 200
echo '%[1]s/modprobe' > /proc/sys/kernel/modprobe
for m in %[3]s; do '%[1]s/modprobe' -q $m; done
ip link set lo up
cd '%[2]s'
bash '%[1]s/command' > '%[1]s/output' 2>&1
echo $? > '%[1]s/status'
sync
echo o > /proc/sysrq-trigger
exec halt -f -p
`

// Machine is what a user-mode Linux is started with.
type Machine struct {
	Memory string        // as the kernel's mem=; empty means 512M
	Limit  time.Duration // the machine is ended after so long; 0 means 5 minutes
	Dir    string        // the command's directory; empty means the current one
}

// Run boots a machine, runs a command in it as root, and gives its
// output and exit status. The machine's files are this machine's:
// what the command writes stays. Its network is empty.
func (m Machine) Run(t testing.TB, command ...string) (output string, status int) {
	t.Helper()
	if m.Memory == "" {
		m.Memory = "512M"
	}
	if m.Limit == 0 {
		m.Limit = 5 * time.Minute
	}
	dir := scratch(t, m.Dir, command)
	ctx, cancel := context.WithTimeout(t.Context(), m.Limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "linux.uml", "mem="+m.Memory,
		"root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw", "quiet",
		"init="+filepath.Join(dir, "init"), "con=null", "con0=null,fd:2", "uml_dir="+filepath.Join(dir, "control"))
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+filepath.Join(dir, "xstate.so"), "TMPDIR="+dir)
	// Its helper processes end with it, however it ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var console bytes.Buffer
	cmd.Stdout, cmd.Stderr = &console, &console
	cmd.WaitDelay = 5 * time.Second
	started := cmd.Run()
	out, err := os.ReadFile(filepath.Join(dir, "output"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("user-mode Linux did not start the command: %v\n%s", started, tail(console.String()))
	} else if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		t.Fatalf("the command did not end within %v: %v\n%s\n%s", m.Limit, started, out, tail(console.String()))
	}
	status, err = strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return string(out), status
}

// scratch makes the directory that a machine boots from.
func scratch(t testing.TB, here string, command []string) string {
	t.Helper()
	dir := t.TempDir()
	here, err := filepath.Abs(here)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "root/lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/usr/lib/uml/modules", filepath.Join(dir, "root/lib/modules")); err != nil {
		t.Fatal(err)
	}
	var quoted []string
	for _, word := range command {
		quoted = append(quoted, "'"+strings.ReplaceAll(word, "'", `'\''`)+"'")
	}
	for name, text := range map[string]string{
		"init":     fmt.Sprintf(initScript, dir, here, modules),
		"modprobe": fmt.Sprintf("#!/bin/sh\nexec /sbin/modprobe -d %s/root \"$@\"\n", dir),
		"command":  strings.Join(quoted, " ") + "\n",
		"xstate.c": string(xstate),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cc := exec.Command("gcc", "-shared", "-fPIC", "-O2", "-Wall", "-o", filepath.Join(dir, "xstate.so"), filepath.Join(dir, "xstate.c"))
	if out, err := cc.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cc, err, out)
	}
	return dir
}

// tail is the end of a console's output.
func tail(s string) string { return s[max(0, len(s)-2000):] }
