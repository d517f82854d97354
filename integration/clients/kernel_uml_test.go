//go:build uml

package clients

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bridgehead/integration/uml"
)

// TestMatrixKernel has the same clients go through the same with kernel ESP at
// the gateway, in a kernel that has it. The clients' ESP is in userspace.
func TestMatrixKernel(t *testing.T) {
	t.Parallel()
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	days, err := json.Marshal(idleDays())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "days.json")
	if err := os.WriteFile(file, days, 0o600); err != nil {
		t.Fatal(err)
	}
	output, status := uml.Machine{Memory: "768M", Limit: 8 * time.Minute}.Run(t, "env",
		"BRIDGEHEAD="+program, "PLANE=kernel", "IDLE_DAYS="+file, self, "-test.v", "-test.parallel", "6", "-test.timeout", "450s", "-test.run", "^TestMatrix$")
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "|") {
			fmt.Print(line)
		}
	}
	if status != 0 {
		t.Errorf("the tests ended with status %d\n%s", status, output)
	}
}
