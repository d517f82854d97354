package xfrm

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// change is a batch of requests, and what follows from it.
type change struct {
	steps  []step
	commit []func() // once all of it is done
}

type step struct {
	do       request
	undo     request // has no body if nothing undoes it
	tolerant bool    // the object may be missing already
	answered func(body []byte) error
	missing  func() // told if it is; may be nil
}

// add adds a request with what undoes it.
func (c *change) add(do, undo request) { c.steps = append(c.steps, step{do: do, undo: undo}) }

// remove adds a request that nothing undoes and that may find nothing.
func (c *change) remove(do request) { c.steps = append(c.steps, step{do: do, tolerant: true}) }

// retire adds the removal of a state, and the reading, just before, of what it
// has carried.
func (c *change) retire(id stateID, into *tally) { c.retireLimited(id, into, counters{}) }

// retireLimited is retire for a state that may have come to its limit, and is
// gone then; known is what it had carried some packets before.
func (c *change) retireLimited(id stateID, into *tally, known counters) {
	gone := func() { into.add(known) }
	c.steps = append(c.steps, step{do: readState(id), tolerant: true, missing: gone, answered: func(body []byte) error {
		last, err := parseCounters(body)
		if err == nil {
			into.add(last)
		}
		return err
	}})
	c.remove(deleteState(id))
}

// run makes a change. If the kernel refuses any of it the rest is undone.
func (p *Plane) run(c *change) error {
	if len(c.steps) == 0 {
		return nil
	}
	requests := make([]request, len(c.steps))
	for i, s := range c.steps {
		requests[i] = s.do
	}
	answers, err := p.link.do(requests)
	if err != nil {
		return err
	}
	var undo []request
	for i, a := range answers {
		s := &c.steps[i]
		fault := a.err
		switch {
		case fault != nil && s.tolerant:
			if fault = unlessMissing(fault); fault == nil && s.missing != nil {
				s.missing()
			}
		case fault == nil && s.answered != nil:
			fault = s.answered(a.body)
		case fault == nil && s.undo.body != nil:
			undo = append(undo, s.undo)
		}
		if err == nil {
			err = fault
		}
	}
	if err == nil {
		for _, f := range c.commit {
			f()
		}
		return nil
	}
	slices.Reverse(undo)
	_, failed := p.link.do(undo)
	return errors.Join(err, failed)
}

// unlessMissing drops the error that what was to be deleted is not there.
func unlessMissing(err error) error {
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}
