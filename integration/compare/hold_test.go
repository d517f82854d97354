//go:build bench

package compare

import (
	"bufio"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// hold establishes n sessions and gives a function that ends them all.
func (s *scene) hold(alg suites, n, workers int) (release func()) {
	s.t.Helper()
	args := s.benchCommand(user, alg, "-n", strconv.Itoa(n), "-w", strconv.Itoa(workers), "--hold")
	cmd := s.client.Command(args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(password + "\n")
	progress, err := cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	guard := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() }) // ends the lines below
	defer guard.Stop()
	want := strconv.Itoa(n) + " sessions are up"
	var seen []string
	for lines := bufio.NewScanner(progress); ; {
		if !lines.Scan() {
			_ = cmd.Process.Kill()
			s.t.Fatalf("%q never came: %s", want, strings.Join(seen, "\n"))
		}
		if strings.HasPrefix(lines.Text(), want) {
			break
		}
		seen = append(seen, lines.Text())
	}
	return func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		if err := cmd.Wait(); err != nil {
			s.t.Logf("bench --hold ended: %v", err)
		}
	}
}
