package ikev2

import "sync"

// workers run jobs of one pool, up to a number at once; the rest wait in
// order. Only SAs start jobs, each a few at a time, so the limits on SAs
// bound the queue. A worker's goroutine begins with a job and ends when the
// queue is empty.
type workers struct {
	limit int
	run   func(Job)

	mu      sync.Mutex
	queue   []Job // guarded by mu
	running int   // guarded by mu
	ended   sync.WaitGroup
}

// submit starts a job now or as soon as a worker is free. It never blocks.
func (w *workers) submit(j Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running < w.limit {
		w.running++
		w.ended.Add(1)
		go w.work(j)
		return
	}
	w.queue = append(w.queue, j)
}

func (w *workers) work(j Job) {
	defer w.ended.Done()
	for j != nil {
		w.run(j)
		j = w.take()
	}
}

// take gives the next job; nil ends the worker.
func (w *workers) take() Job {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		w.queue = nil
		w.running--
		return nil
	}
	j := w.queue[0]
	w.queue[0] = nil
	w.queue = w.queue[1:]
	return j
}

// wait returns when no job is running or waiting.
func (w *workers) wait() { w.ended.Wait() }
