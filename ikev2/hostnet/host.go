package hostnet

import "errors"

// Host is the set of changes that this process has made to its machine.
type Host struct {
	journal *journal
	done    []change
}

// Open starts with the journal at path. What a process that crashed since the
// machine was booted has left there is undone first; restored describes it. The
// error is a *BusyError, a *JournalError, or *Error values joined.
func Open(path string) (h *Host, restored []string, err error) {
	j, err := openJournal(path)
	if err != nil {
		return nil, nil, err
	}
	left, err := j.records()
	if err != nil {
		return nil, nil, errors.Join(err, j.keep())
	}
	h = &Host{journal: j}
	for _, r := range left {
		if !r.outlived() {
			h.done = append(h.done, r.change())
		}
	}
	restored = h.Changes()
	if err := h.undo(); err != nil {
		return nil, nil, errors.Join(err, j.keep())
	}
	if err := j.file.Truncate(0); err != nil {
		return nil, nil, errors.Join(&JournalError{Path: path, Err: err}, j.keep())
	}
	return h, restored, nil
}

// Restore undoes what a process that crashed has left in the journal at path,
// and removes the journal.
func Restore(path string) (restored []string, err error) {
	h, restored, err := Open(path)
	if err != nil {
		return nil, err
	}
	return restored, h.Close()
}

// Changes describes what Close will undo, in the order in which it was done,
// one sentence each.
func (h *Host) Changes() []string {
	texts := make([]string, len(h.done))
	for i, c := range h.done {
		texts[i] = c.String()
	}
	return texts
}

// Close undoes all changes, the last first. Where one cannot be undone the
// others still are, and the journal stays for the next attempt.
func (h *Host) Close() error {
	if err := h.undo(); err != nil {
		return errors.Join(err, h.journal.keep())
	}
	return h.journal.remove()
}

func (h *Host) undo() error {
	var errs []error
	for i := len(h.done) - 1; i >= 0; i-- {
		errs = append(errs, h.done[i].undo())
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	h.done = nil
	return nil
}

// apply makes the changes in order. When one fails, those made before it stay
// until Close.
func (h *Host) apply(plan []entry) error {
	for _, e := range plan {
		if err := h.journal.add(e); err != nil {
			return err
		}
		c := e.change()
		h.done = append(h.done, c)
		if err := c.apply(); err != nil {
			return err
		}
	}
	return nil
}
