//go:build uml

package uml

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestXFRM runs the tests of the kernel data plane, and once the benchmark of
// many Child SAs, in a kernel that has ESP.
func TestXFRM(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "xfrm.test")
	build := exec.Command("go", "test", "-c", "-tags", "uml", "-o", binary, "bridgehead/ikev2/xfrm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, out)
	}
	output, status := Machine{Limit: 6 * time.Minute, Dir: "../../ikev2/xfrm"}.Run(t, binary, "-test.v", "-test.timeout", "300s",
		"-test.bench", ".", "-test.benchtime", "1x")
	t.Log("\n" + output)
	if status != 0 {
		t.Errorf("the tests ended with status %d", status)
	}
}
