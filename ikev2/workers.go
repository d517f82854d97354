package ikev2

import "sync"

// workers run jobs of one pool, up to a number at once; the rest wait in
// order, those of logins that just begin behind all others: a flood of these
// must not hold up who has shown more. Only SAs start jobs, each a few at a
// time, so the limits on SAs bound the queue. A few goroutines stay for the
// next job, since growing a fresh stack costs a short job more than its own
// work; all end with wait.
type workers struct {
	limit int // running at once
	keep  int // waiting for the next job at once
	run   func(Job)

	mu      sync.Mutex
	queue   fifo       // guarded by mu
	last    fifo       // jobs that wait for all of queue, guarded by mu
	idle    []chan Job // of the goroutines that wait, guarded by mu
	running int        // guarded by mu
	ending  bool       // guarded by mu
	ended   sync.WaitGroup
}

// submit starts a job now or as soon as a worker is free. It never blocks.
func (w *workers) submit(j Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch n := len(w.idle); {
	case n > 0: // the last to wait, whose stack is the warmest
		w.idle[n-1] <- j
		w.idle = w.idle[:n-1]
		w.running++
	case w.running < w.limit:
		w.running++
		w.ended.Add(1)
		go w.work(j)
	default:
		if k, ok := j.(*keyExchange); ok && k.opening {
			w.last = append(w.last, j)
		} else {
			w.queue = append(w.queue, j)
		}
	}
}

// fifo is jobs in the order they came.
type fifo []Job

func (f *fifo) pop() Job {
	j := (*f)[0]
	(*f)[0] = nil
	if *f = (*f)[1:]; len(*f) == 0 {
		*f = nil // the room it took goes with it
	}
	return j
}

func (w *workers) work(j Job) {
	defer w.ended.Done()
	next := make(chan Job, 1)
	for j != nil {
		w.run(j)
		j = w.take(next)
	}
}

// take gives the next job, which it may wait for; nil ends the worker.
func (w *workers) take(next chan Job) Job {
	w.mu.Lock()
	for _, waiting := range [...]*fifo{&w.queue, &w.last} {
		if len(*waiting) > 0 {
			defer w.mu.Unlock()
			return waiting.pop()
		}
	}
	w.running--
	if w.ending || len(w.idle) >= w.keep {
		w.mu.Unlock()
		return nil
	}
	w.idle = append(w.idle, next)
	w.mu.Unlock()
	return <-next
}

// wait returns when no job is running or waiting, and ends the workers. No
// job may be submitted afterwards.
func (w *workers) wait() {
	w.mu.Lock()
	w.ending = true
	for _, next := range w.idle {
		close(next)
	}
	w.idle = nil
	w.mu.Unlock()
	w.ended.Wait()
}
