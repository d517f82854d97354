//go:build bench

package compare

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	fmt.Printf("%s, %d processors, median (least to most) of %d pairs\n\n", processor(), runtime.NumCPU(), repeats)
	fmt.Println("| what | unit | bridgehead | strongSwan | ratio | goal |")
	fmt.Println("|---|---|---|---|---|---|")
	os.Exit(m.Run())
}

// processor is the model's name.
func processor() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(name), ":"))
		}
	}
	return runtime.GOARCH
}

const (
	repeats   = 5
	loginsRun = 400
	workers   = 4
)

// TestLoginCPU compares the gateway's processor time for one complete login
// and logout.
func TestLoginCPU(t *testing.T) {
	for _, alg := range []suites{modp2048, x25519} {
		figures := make(map[string][]float64)
		for i := range repeats {
			for _, c := range contenders {
				t.Run(fmt.Sprintf("%s-%s-%d", c.name, alg.name, i), func(t *testing.T) { // so that each scene ends before the next
					s := newScene(t)
					d := c.start(s, alg)
					s.logins(alg, 50, workers) // warm
					before := cpuTime(t, d.Pid())
					s.logins(alg, loginsRun, workers)
					used := cpuTime(t, d.Pid()) - before
					figures[c.name] = append(figures[c.name], float64(used.Microseconds())/1000/loginsRun)
				})
			}
		}
		row("gateway CPU per login and logout, "+alg.name, "ms", figures["bridgehead"], figures["charon"], "0.80 or less")
	}
}

const sessions = 2000

// TestMemoryPerSession compares the resident memory that established sessions
// add.
func TestMemoryPerSession(t *testing.T) {
	figures := make(map[string][]float64)
	for i := range repeats {
		for _, c := range contenders {
			t.Run(fmt.Sprintf("%s-%d", c.name, i), func(t *testing.T) {
				s := newScene(t)
				d := c.start(s, x25519)
				s.logins(x25519, 20, workers) // what is allocated once is there
				before := resident(t, d.Pid())
				release := s.hold(x25519, sessions, workers)
				time.Sleep(2 * time.Second) // what the logins left behind is given back
				grown := resident(t, d.Pid()) - before
				release()
				figures[c.name] = append(figures[c.name], float64(grown)/1000/sessions)
			})
		}
	}
	row(fmt.Sprintf("resident memory per session at %d", sessions), "KB", figures["bridgehead"], figures["charon"], "20 KB or less")
}
