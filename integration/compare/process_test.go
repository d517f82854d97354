//go:build bench

package compare

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bridgehead/integration/lab"
)

// clockTick is what the kernel counts processor time in (USER_HZ).
const clockTick = 10 * time.Millisecond

// cpuTime is the processor time that a process has used, its threads and the
// kernel's work for it included.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	return ticksOf(t, pid, 11, 13) // utime, stime
}

// cpuTimeOfAll is cpuTime with that of the programs which the process started
// and which have ended.
func cpuTimeOfAll(t *testing.T, pid int) time.Duration {
	t.Helper()
	return ticksOf(t, pid, 11, 15) // and cutime, cstime
}

// settledTime is cpuTimeOfAll once it has stood still for a while: what the
// logins have started runs on behind them.
func settledTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	const still = 300 * time.Millisecond
	last, since := cpuTimeOfAll(t, pid), time.Now()
	lab.Eventually(t, time.Minute, "the gateway to have nothing to do", func() bool {
		if now := cpuTimeOfAll(t, pid); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > still
	})
	return last
}

// ticksOf adds up fields of /proc/PID/stat, counted from behind the name.
func ticksOf(t *testing.T, pid, from, to int) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ") // the name may hold anything
	fields := strings.Fields(rest)
	var ticks int64
	for _, f := range fields[from:to] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick
}

// resident is a process's resident memory in octets.
func resident(t *testing.T, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatalf("no VmRSS of process %d", pid)
	return 0
}

// spread is the median of repeated measurements with the least and the most.
type spread struct{ median, least, most float64 }

func spreadOf(values []float64) spread {
	v := slices.Sorted(slices.Values(values))
	if len(v) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	return spread{(v[(len(v)-1)/2] + v[len(v)/2]) / 2, v[0], v[len(v)-1]}
}

func (s spread) String() string { return fmt.Sprintf("%.2f (%.2f to %.2f)", s.median, s.least, s.most) }

// ratios divides pairwise: the two of a pair were measured one right after
// the other.
func ratios(ours, theirs []float64) spread {
	q := make([]float64, len(ours))
	for i := range ours {
		q[i] = ours[i] / theirs[i]
	}
	return spreadOf(q)
}

// row prints a line of the table.
func row(what, unit string, ours, theirs []float64, goal string) {
	fmt.Printf("| %s | %s | %s | %s | **%s** | %s |\n", what, unit, spreadOf(ours), spreadOf(theirs), ratios(ours, theirs), goal)
}
