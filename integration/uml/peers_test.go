//go:build uml

package uml

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestPeers runs the tests of the gateway with kernel ESP, and some that know
// of no data plane, where it is found by itself.
func TestPeers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	binary, program := filepath.Join(dir, "peers.test"), filepath.Join(dir, "bridgehead")
	for _, build := range [][]string{
		{"test", "-c", "-tags", "uml", "-o", binary, "bridgehead/integration/peers"},
		{"build", "-o", program, "bridgehead/cmd/bridgehead"},
	} {
		if out, err := exec.Command("go", build...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", build, err, out)
		}
	}
	const script = `mkdir -p /dev/shm && mount -t tmpfs tmpfs /dev/shm && export BRIDGEHEAD=$1 TMPDIR=/dev/shm && shift && exec "$@"`
	output, status := Machine{Memory: "768M", Limit: 9 * time.Minute, Dir: "../peers"}.Run(t, "bash", "-c", script, "-", program,
		binary, "-test.v", "-test.parallel", "4", "-test.timeout", "500s", "-test.run",
		"^Test(Kernel.*|SwanctlWorksThroughTheGateway|DocumentedScriptThroughTheGateway|ClientsAreNeighboursOfTheSegment|MovesLoseNoPacket)$")
	t.Log("\n" + output)
	if status != 0 {
		t.Errorf("the tests ended with status %d", status)
	}
}
