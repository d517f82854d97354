package lab

import (
	"fmt"
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
