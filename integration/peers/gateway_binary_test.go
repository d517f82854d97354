package peers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"bridgehead/integration/lab"
)

// scratch is the folder of what all tests of a run share.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "peers-*"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err = os.Chmod(scratch, 0o755); err != nil { // other users run the program, too
		fmt.Fprintln(os.Stderr, err)
	}
	code := m.Run()
	if err := os.RemoveAll(scratch); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// built is the program under test: $BRIDGEHEAD, or built once for the run.
var built = sync.OnceValues(func() (string, error) { return lab.Program(scratch) })

func program(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// outcome is what a command line printed and its exit code.
type outcome struct {
	code     int
	out, err string
}

func (o outcome) String() string { return fmt.Sprintf("exit %d\n%s%s", o.code, o.out, o.err) }

// bridgehead runs a verb of the program in a machine to its end.
func bridgehead(t *testing.T, n *lab.Namespace, stdin string, args ...string) outcome {
	t.Helper()
	return finish(t, n.Command(program(t), args...), stdin)
}

func finish(t *testing.T, cmd *exec.Cmd, stdin string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatalf("%s: %v", strings.Join(cmd.Args, " "), err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// The parts of the program's JSON that the tests look at.
type (
	session struct {
		ID, User, Identity, Peer, Client, IKE, ESP string
		Addresses                                  []string
		BytesIn                                    uint64 `json:"bytes_in"`
		BytesOut                                   uint64 `json:"bytes_out"`
	}
	refusal struct {
		Peer, User, Client, Cause, Text, Advice string
		Silent                                  bool
		Likely                                  []string
		Evidence                                []struct{ Key, Value string }
	}
	event struct{ Kind, User, Cause, Text string }
	state struct {
		Sessions int
		HalfOpen int `json:"half_open"`
		Pools    []struct {
			Family string
			Size   uint64
			InUse  uint64 `json:"in_use"`
		}
		Logins struct{ Accepted, Refused, Silent uint64 }
	}
)

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return v
}
