package transport

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// portHolder names the process that has UDP port bound, or "" when it cannot
// be seen: in another namespace, or without the right to look.
func portHolder(port uint16) string {
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"} {
		if b, err := os.ReadFile(table); err == nil {
			socketInodes(b, port, inodes)
		}
	}
	if len(inodes) == 0 {
		return ""
	}
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return ""
	}
	for _, fd := range fds {
		link, err := os.Readlink(fd)
		if err != nil || !inodes[link] {
			continue
		}
		process := filepath.Dir(filepath.Dir(fd))
		name, err := os.ReadFile(filepath.Join(process, "comm"))
		if err != nil {
			return ""
		}
		return fmt.Sprintf("%s (pid %s)", bytes.TrimSpace(name), filepath.Base(process))
	}
	return ""
}

// socketInodes adds the sockets bound to port from a table of proc(5) net/udp,
// in the form in which /proc/PID/fd names them.
func socketInodes(table []byte, port uint16, inodes map[string]bool) {
	suffix := fmt.Sprintf(":%04X", port)
	for lines := bufio.NewScanner(bytes.NewReader(table)); lines.Scan(); {
		const localAddress, inode = 1, 9
		if f := strings.Fields(lines.Text()); len(f) > inode && strings.HasSuffix(f[localAddress], suffix) {
			inodes["socket:["+f[inode]+"]"] = true
		}
	}
}
