//go:build bench

package compare

import (
	"bufio"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// hold establishes n sessions and gives a function that ends them all.
func (s *scene) hold(alg suites, n, workers int) (release func()) {
	s.t.Helper()
	args := s.benchCommand(alg, "-n", strconv.Itoa(n), "-w", strconv.Itoa(workers), "--hold")
	cmd := s.client.Command(args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(password + "\n")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	guard := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() }) // a report that never comes fails below
	defer guard.Stop()
	var r benchReport
	if err := json.NewDecoder(lines).Decode(&r); err != nil || r.Logins != n {
		_ = cmd.Process.Kill()
		s.t.Fatalf("holding %d sessions: %v, %+v", n, err, r)
	}
	return func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		if err := cmd.Wait(); err != nil {
			s.t.Logf("bench --hold ended: %v", err)
		}
	}
}
