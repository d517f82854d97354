package hostnet

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// crashJournal names the journal of a process that is to be killed.
const crashJournal = "HOSTNET_TEST_CRASH_JOURNAL"

// roles are what this program does instead of testing when the variable is set;
// it is then called with its value.
var roles = map[string]func(string){
	crashJournal:    applyUntilKilled,
	announceJournal: announceUntilKilled,
	scriptJournal:   runScript,
}

func TestMain(m *testing.M) {
	for variable, role := range roles {
		if value := os.Getenv(variable); value != "" {
			role(value)
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// applyUntilKilled is the process that TestKilledProcessIsCleanedUpAfter kills.
func applyUntilKilled(path string) {
	h, _, err := Open(path)
	if err == nil {
		err = h.ApplyGateway(fullGateway("tun-test"))
	}
	fmt.Println("applied", err)
	waitToBeKilled()
}

func waitToBeKilled() {
	_, _ = io.Copy(io.Discard, os.Stdin) // which ends if the test dies first
}

// victim is a process in a role, in the network namespace of the test's thread.
type victim struct {
	t   testing.TB
	cmd *exec.Cmd
	out *bufio.Reader
}

func startVictim(t testing.TB, role, value string) *victim {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"="+value)
	_, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Stderr = os.Stderr
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }) // again, where the test has
	return &victim{t, cmd, bufio.NewReader(out)}
}

// says waits for a line.
func (v *victim) says(want string) {
	v.t.Helper()
	line, err := v.out.ReadString('\n')
	if err != nil || line != want+"\n" {
		v.t.Fatalf("the process said %q, %v, want %q", line, err, want)
	}
}

func (v *victim) kill() {
	v.t.Helper()
	must(v.t, v.cmd.Process.Kill())
	_ = v.cmd.Wait() // reports the kill
}

func TestKilledProcessIsCleanedUpAfter(t *testing.T) {
	newNamespace(t).enter()
	addTUN(t, "tun-test")
	before := snapshot(t)
	path := filepath.Join(t.TempDir(), "j")
	victim := startVictim(t, crashJournal, path)
	victim.says("applied <nil>")
	if _, err := Restore(path); !errors.As(err, new(*BusyError)) {
		t.Errorf("restoring under a running process: %v", err)
	}
	if during := snapshot(t); during == before {
		t.Error("the process changed nothing")
	}
	victim.kill()

	restored, err := Restore(path)
	must(t, err)
	if !slices.Contains(restored, "net.ipv4.ip_forward = 1 (was 0)") {
		t.Errorf("restored %q", restored)
	}
	sameSnapshot(t, before, snapshot(t))
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("journal after restoring: %v", err)
	}
}

// A process can die after any change, and between a change's line in the
// journal and the change.
func TestEveryMomentOfACrashIsRestored(t *testing.T) {
	newNamespace(t).enter()
	addTUN(t, "tun-test")
	before := snapshot(t)
	plan, err := fullGateway("tun-test").plan()
	must(t, err)
	if len(plan) < 8 {
		t.Fatalf("only %d changes planned", len(plan))
	}
	for n := range plan {
		path := filepath.Join(t.TempDir(), "j")
		h := open(t, path)
		must(t, h.apply(plan[:n]))
		must(t, h.journal.add(plan[n]))
		must(t, h.journal.keep())
		if _, err := Restore(path); err != nil {
			t.Fatalf("after %d changes: %v", n, err)
		}
		if sameSnapshot(t, before, snapshot(t)); t.Failed() {
			t.Fatalf("crash after %d changes, at %v", n, plan[n].change())
		}
	}
}

// The next start undoes what is left and goes on with the same journal.
func TestOpenAfterACrash(t *testing.T) {
	newNamespace(t).enter()
	addTUN(t, "tun-test")
	before := snapshot(t)
	path := filepath.Join(t.TempDir(), "j")
	h := open(t, path)
	must(t, h.ApplyGateway(fullGateway("tun-test")))
	must(t, h.journal.keep())

	h, restored, err := Open(path)
	must(t, err)
	if len(restored) == 0 || len(h.Changes()) != 0 {
		t.Errorf("restored %q, now %q", restored, h.Changes())
	}
	sameSnapshot(t, before, snapshot(t))
	must(t, h.ApplyGateway(fullGateway("tun-test")))
	must(t, h.Close())
	sameSnapshot(t, before, snapshot(t))
}

// A table left by a process whose journal was lost is replaced.
func TestStaleTableIsReplaced(t *testing.T) {
	newNamespace(t).enter()
	addTUN(t, "tun-test")
	run(t, "nft add table inet bridgehead-test")
	run(t, "nft add chain inet bridgehead-test stale")
	h := open(t, filepath.Join(t.TempDir(), "j"))
	must(t, h.ApplyGateway(fullGateway("tun-test")))
	if rules := run(t, "nft list ruleset"); strings.Contains(rules, "stale") || strings.Count(rules, "masquerade") != 2 {
		t.Errorf("rules\n%s", rules)
	}
	must(t, h.Close())
	if rules := run(t, "nft list ruleset"); rules != "" {
		t.Errorf("rules left\n%s", rules)
	}
}

// A change does not outlive the boot it was made in: what looks like it after
// that is the operator's.
func TestChangesOfAnEarlierBootAreLeftAlone(t *testing.T) {
	newNamespace(t).enter()
	for boot, want := range map[string]string{"an earlier one": "1", bootID(): "0"} {
		must(t, sysctl("net/ipv4/ip_forward").write("1"))
		path := filepath.Join(t.TempDir(), "j")
		line := fmt.Sprintf(`{"boot":%q,"forwarding":{"family":4,"old":{"net/ipv4/ip_forward":"0"}}}`+"\n", boot)
		must(t, os.WriteFile(path, []byte(line), 0o600))
		_, err := Restore(path)
		must(t, err)
		if value, err := sysctl("net/ipv4/ip_forward").read(); err != nil || value != want {
			t.Errorf("boot %q: ip_forward %q, %v, want %s", boot, value, err, want)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("journal after restoring: %v", err)
		}
	}
}

// A change that the full disk has no room for is not made, and does not spoil
// the journal for those after it.
func TestJournalOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4k"))
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	j, err := openJournal(filepath.Join(dir, "j"))
	must(t, err)
	defer j.keep()
	long := entry{Table: &tableChange{Name: strings.Repeat("n", 700)}}
	written := 0
	for ; err == nil; written++ {
		err = j.add(long)
	}
	if !errors.Is(err, unix.ENOSPC) || written < 2 {
		t.Fatalf("%d changes, then %v", written, err)
	}
	must(t, unix.Mount("", dir, "", unix.MS_REMOUNT, "size=8k"))
	must(t, j.add(entry{Table: &tableChange{Name: "after"}}))
	all, err := j.records()
	must(t, err)
	if len(all) != written || all[written-1].Table.Name != "after" {
		t.Errorf("%d changes read, want %d", len(all), written)
	}
}

func TestInterfacesThatGoAreLeftOut(t *testing.T) {
	const here, gone = "net/ipv4/conf/lo/forwarding", "net/ipv4/conf/gone/forwarding"
	values, err := readThere([]sysctl{gone, here})
	if _, ok := values[gone]; err != nil || ok || values[here] == "" {
		t.Errorf("%v, %v", values, err)
	}
}

func TestJournalsThatCannotBeTrusted(t *testing.T) {
	newNamespace(t).enter()
	const good = `{"sysctl":{"key":"net/ipv4/ip_forward","old":"1","new":"0"}}` + "\n"
	for _, c := range []struct {
		name, text string
		line       int // of the fault; 0: none
	}{
		{"nothing", "", 0},
		{"torn last line", `{"sysctl":{"key":"net/ip`, 0},
		{"not JSON", good + "garbage\n", 2},
		{"no change", "{}\n", 1},
		{"unknown change", `{"firewall":{}}` + "\n", 1},
		{"path that leads elsewhere", `{"sysctl":{"key":"../../etc/passwd","old":"x","new":"y"}}` + "\n", 1},
		{"unknown family", `{"forwarding":{"family":5}}` + "\n", 1},
		{"address missing", `{"address":{"device":"lo","address":""}}` + "\n", 1},
		{"destination missing", `{"route":{"device":"lo","destination":""}}` + "\n", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "j")
			must(t, os.WriteFile(path, []byte(c.text), 0o600))
			_, err := Restore(path)
			var e *JournalError
			switch {
			case c.line == 0 && err != nil:
				t.Errorf("got %v", err)
			case c.line != 0 && (!errors.As(err, &e) || e.Line != c.line):
				t.Errorf("got %v, want a fault in line %d", err, c.line)
			}
			if text, err := os.ReadFile(path); c.line != 0 && (err != nil || string(text) != c.text) {
				t.Errorf("the journal became %q, %v", text, err)
			}
		})
	}
	if value, err := sysctl("net/ipv4/ip_forward").read(); err != nil || value != "0" {
		t.Errorf("ip_forward %q, %v: a journal with a fault was followed", value, err)
	}
}

func FuzzJournal(f *testing.F) {
	f.Add(`{"sysctl":{"key":"net/ipv4/ip_forward","old":"1","new":"0"}}` + "\n")
	f.Add(`{"forwarding":{"family":6,"old":{"net/ipv6/conf/all/forwarding":"0"}}}` + "\n")
	f.Add(`{"route":{"device":"eth0","destination":"192.0.2.0/24","via":"192.0.2.1"}}` + "\n" + `{"table":{"name":"x"}}` + "\n")
	f.Add(`{"link":{"device":"t","mtu":1,"old_mtu":2}}` + "\n" + `{"address":{"device":"t","address":"::1"}}` + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "j")
		must(t, os.WriteFile(path, []byte(text), 0o600))
		j, err := openJournal(path)
		must(t, err)
		defer j.keep()
		all, err := j.records()
		if err != nil {
			return
		}
		for _, e := range all {
			if e.change().String() == "" {
				t.Errorf("%+v describes itself as nothing", e)
			}
			if e.Address != nil {
				e.Address.netlink()
			}
		}
		if got, want := len(all), strings.Count(text, "\n"); got != want {
			t.Errorf("%d entries from %d lines", got, want)
		}
	})
}
