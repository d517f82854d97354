package hostnet

import (
	"bytes"
	"encoding/json"
	"errors"
)

// ledger is a journal of things that come and go. It holds what a process that
// dies leaves behind, and stays as small as that is.
type ledger[T checked] struct {
	journal *journal
	live    map[string]T
	lines   int // in the file
	compact int // the number of lines at which the file is written anew
}

// minCompact spares a small file.
const minCompact = 256

// note is a line of a ledger: a thing, or, without one, that the thing of that
// key is gone.
type note[T checked] struct {
	Key   string `json:"key"`
	Thing *T     `json:"thing,omitempty"`
}

func (n note[T]) check() error {
	if n.Key == "" {
		return errors.New("the key is missing")
	}
	if n.Thing == nil {
		return nil
	}
	return (*n.Thing).check()
}

// openLedger starts with what is left in the journal at path.
func openLedger[T checked](path string) (*ledger[T], error) {
	j, err := openJournal(path)
	if err != nil {
		return nil, err
	}
	notes, err := readLines[note[T]](j)
	if err != nil {
		return nil, errors.Join(err, j.keep())
	}
	l := &ledger[T]{journal: j, live: make(map[string]T)}
	for _, n := range notes {
		if n.Thing != nil {
			l.live[n.Key] = *n.Thing
		} else {
			delete(l.live, n.Key)
		}
	}
	if err := l.rewrite(); err != nil { // also without the torn end of a line
		return nil, errors.Join(err, j.keep())
	}
	return l, nil
}

// put writes a thing down before it is made.
func (l *ledger[T]) put(key string, thing T, d durability) error {
	if err := l.journal.write(note[T]{key, &thing}, d); err != nil {
		return err
	}
	l.lines++
	l.live[key] = thing
	return nil
}

// drop notes that a thing is gone. The line may be lost with the machine: what
// is gone can be undone once more.
func (l *ledger[T]) drop(key string) error {
	if _, ok := l.live[key]; !ok {
		return nil
	}
	if err := l.journal.write(note[T]{Key: key}, inKernel); err != nil {
		return err
	}
	l.lines++
	delete(l.live, key)
	if l.lines < l.compact {
		return nil
	}
	return l.rewrite()
}

// rewrite leaves only the living in the file.
func (l *ledger[T]) rewrite() error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	for key, thing := range l.live {
		if err := e.Encode(note[T]{key, &thing}); err != nil {
			return &JournalError{Path: l.journal.path, Err: err}
		}
	}
	l.compact = max(minCompact, 2*l.lines) // where the disk is full, try again later
	if err := l.journal.replace(b.Bytes()); err != nil {
		return err
	}
	l.lines = len(l.live)
	l.compact = max(minCompact, 3*l.lines)
	return nil
}

// close removes the file unless something is left in it.
func (l *ledger[T]) close() error {
	if len(l.live) > 0 {
		return l.journal.keep()
	}
	return l.journal.remove()
}
