package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// StartCharonCmd runs Debian's charon-cmd in n, args beginning with the
// program's name, and answers its question for the password. Settings, which
// may be empty, are added to its section of strongswan.conf. ESP is in
// userspace, as with StartCharon.
func (n *Namespace) StartCharonCmd(settings, password string, args ...string) *Process {
	n.t.Helper()
	dir := n.lab.Dir("charon-cmd-" + n.Name)
	conf := filepath.Join(dir, "strongswan.conf")
	text := fmt.Sprintf(`charon-cmd {
  load = %s
  plugins { resolve { file = %s/resolv.conf } }
  filelog { stderr { default = 1
    flush_line = yes } }
  %s
}
`, charonPlugins, dir, settings)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
	cmd := n.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "STRONGSWAN_CONF="+conf)
	cmd.Stdin = strings.NewReader(password + "\n")
	// Without a terminal of its own it asks on standard input.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return n.StartCommand(5*time.Second, cmd)
}
