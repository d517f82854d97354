package ikev2

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// gatedJob runs until its gate opens.
type gatedJob struct {
	job
	gate <-chan struct{}
}

func (*gatedJob) pool() pool                    { return poolHost }
func (j *gatedJob) Run(context.Context, *works) { <-j.gate }

// Key exchanges of logins that just begin wait for whatever else there is.
func TestLoginsThatBeginWaitForTheOthers(t *testing.T) {
	var ran []string
	w := &workers{limit: 1}
	w.run = func(j Job) {
		switch j := j.(type) {
		case *gatedJob:
			<-j.gate
		case *keyExchange:
			ran = append(ran, fmt.Sprint("opening ", j.opening))
		case *signature:
			ran = append(ran, "signature")
		}
	}
	gate := make(chan struct{})
	w.submit(&gatedJob{gate: gate})
	for _, j := range []Job{&keyExchange{opening: true}, &signature{}, &keyExchange{opening: true}, &keyExchange{}} {
		w.submit(j)
	}
	close(gate)
	w.wait()
	if want := []string{"signature", "opening false", "opening true", "opening true"}; !slices.Equal(ran, want) {
		t.Errorf("the order was %q", ran)
	}
}

func TestWorkersRunEveryJobWithinTheirLimit(t *testing.T) {
	const jobs, limit, keep = 200, 4, 2
	var ran, at, most atomic.Int32
	var done sync.WaitGroup
	w := &workers{limit: limit, keep: keep}
	w.run = func(j Job) {
		n := at.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		j.Run(t.Context(), nil)
		at.Add(-1)
		ran.Add(1)
		done.Done()
	}
	for range 3 { // workers that stayed take the jobs of the next round
		gate := make(chan struct{})
		done.Add(jobs)
		for range jobs {
			w.submit(&gatedJob{gate: gate})
		}
		close(gate)
		done.Wait()
	}
	w.wait()
	if ran.Load() != 3*jobs {
		t.Errorf("%d jobs ran, want %d", ran.Load(), 3*jobs)
	}
	if most.Load() > limit {
		t.Errorf("%d jobs ran at once, the limit is %d", most.Load(), limit)
	}
	if w.running != 0 || len(w.idle) != 0 {
		t.Errorf("after wait %d run and %d wait for jobs", w.running, len(w.idle))
	}
}
