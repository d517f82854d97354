package lab

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// Program is the path of the program under test: $BRIDGEHEAD, or built into a
// folder.
func Program(folder string) (string, error) {
	if given := os.Getenv("BRIDGEHEAD"); given != "" {
		return filepath.Abs(given)
	}
	path := filepath.Join(folder, "bridgehead")
	out, err := exec.Command("go", "build", "-o", path, "bridgehead/cmd/bridgehead").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
}

// Listens tells whether a program takes connections on a Unix socket. That the
// file is there does not say so: it comes a moment before.
func Listens(socket string) bool {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
