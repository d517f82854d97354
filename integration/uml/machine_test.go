//go:build uml

package uml

import (
	"strings"
	"testing"
)

// TestStatusAndOutput: the command's own, and its words as they are.
func TestStatusAndOutput(t *testing.T) {
	output, status := Machine{}.Run(t, "bash", "-c", "uname -m; echo \"it's $1\"; exit 7", "bash", "two  words")
	if lines := strings.Split(output, "\n"); status != 7 || len(lines) != 3 || lines[1] != "it's two  words" {
		t.Errorf("status %d, output %q", status, output)
	}
}
