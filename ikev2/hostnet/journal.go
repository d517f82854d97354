package hostnet

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// journal is the file in which changes are written down before they are made:
// one record a line, in JSON, synced. The process that holds its lock owns it;
// the kernel frees the lock of a process that died.
type journal struct {
	path string
	file *os.File
}

// record is a change and the boot of the machine in which it was made. The next
// boot begins without it, and what looks like it then is somebody else's.
type record struct {
	Boot string `json:"boot,omitempty"` // empty: unknown
	entry
}

// bootID names the boot that is running; empty if the kernel does not tell.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(b))
}

// outlived tells whether the machine was booted again since.
func (r record) outlived() bool {
	now := bootID()
	return r.Boot != "" && now != "" && r.Boot != now
}

// openJournal locks the file at path, creating it where it is missing.
func openJournal(path string) (*journal, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, &JournalError{Path: path, Err: err}
	}
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return nil, &JournalError{Path: path, Err: err}
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, &BusyError{Path: path}
			}
			return nil, &JournalError{Path: path, Err: err}
		}
		if sameFile(f, path) {
			return &journal{path: path, file: f}, nil
		}
		f.Close() // its owner removed it between our opening and locking it
	}
}

func sameFile(f *os.File, path string) bool {
	ours, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(ours, there)
}

// checked is a line of a journal, which refuses what this package would not
// have written.
type checked interface{ check() error }

// records reads the changes that are written down.
func (j *journal) records() ([]record, error) { return readLines[record](j) }

// readLines reads what is written down. A last line without its end was being
// written when the process died, so what it announced was never done.
func readLines[T checked](j *journal) ([]T, error) {
	if _, err := j.file.Seek(0, io.SeekStart); err != nil {
		return nil, &JournalError{Path: j.path, Err: err}
	}
	text, err := io.ReadAll(j.file)
	if err != nil {
		return nil, &JournalError{Path: j.path, Err: err}
	}
	lines := bytes.Split(text, []byte("\n"))
	var all []T
	for i, line := range lines[:len(lines)-1] {
		var r T
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&r); err != nil {
			return nil, &JournalError{Path: j.path, Line: i + 1, Err: err}
		}
		if err := r.check(); err != nil {
			return nil, &JournalError{Path: j.path, Line: i + 1, Err: err}
		}
		all = append(all, r)
	}
	return all, nil
}

// add writes e down and returns once it is on the disk.
func (j *journal) add(e entry) error { return j.write(record{Boot: bootID(), entry: e}, onDisk) }

// durability is what a line must survive.
type durability bool

const (
	// inKernel is for what a reboot undoes by itself: the kernel keeps the line
	// for as long as it keeps what the line is about.
	inKernel durability = false
	// onDisk is for what outlives a power failure.
	onDisk durability = true
)

// write appends a line. One that did not fit on the disk is taken back: what
// follows it could not be read.
func (j *journal) write(v any, d durability) error {
	info, err := j.file.Stat()
	if err != nil {
		return &JournalError{Path: j.path, Err: err}
	}
	line, err := json.Marshal(v)
	if err == nil {
		_, err = j.file.Write(append(line, '\n'))
	}
	if err == nil && d == onDisk {
		err = j.file.Sync()
	}
	if err != nil {
		return &JournalError{Path: j.path, Err: errors.Join(err, j.file.Truncate(info.Size()))}
	}
	return nil
}

// replace puts other lines in the place of all there are, at once: a process
// that dies meanwhile leaves the old ones or the new ones.
func (j *journal) replace(lines []byte) error {
	fresh := j.path + ".new"
	f, err := os.OpenFile(fresh, os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return &JournalError{Path: j.path, Err: err}
	}
	// Whoever opens the journal from now on must find it locked.
	if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
		_, err = f.Write(lines)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(fresh, j.path)
	}
	if err != nil {
		return &JournalError{Path: j.path, Err: errors.Join(err, f.Close(), os.Remove(fresh))}
	}
	old := j.file
	j.file = f
	if err := old.Close(); err != nil {
		return &JournalError{Path: j.path, Err: err}
	}
	return nil
}

// remove deletes the journal: nothing is left to undo.
func (j *journal) remove() error {
	return errors.Join(os.Remove(j.path), j.file.Close())
}

// keep leaves the journal for the next process.
func (j *journal) keep() error { return j.file.Close() }
