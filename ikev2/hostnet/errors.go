package hostnet

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Error is a change or a question that the system refused.
type Error struct {
	Op     string // what was to be done, such as "set net.ipv4.ip_forward to 1"
	Err    error
	Remedy string // what the operator can do; may be empty
}

// Error names the operation, its cause and the remedy.
func (e *Error) Error() string {
	s := fmt.Sprintf("cannot %s: %v", e.Op, e.Err)
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// BusyError reports a journal that another running process holds.
type BusyError struct{ Path string }

// Error names the journal.
func (e *BusyError) Error() string {
	return fmt.Sprintf("network journal %s is in use by another running process; stop that one, or give this one a journal of its own", e.Path)
}

// JournalError reports a journal that cannot be read, so that what a crashed
// process left cannot be undone completely.
type JournalError struct {
	Path string
	Line int // 0 if no line is to blame
	Err  error
}

// Error names the place and the remedy.
func (e *JournalError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("network journal %s: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("network journal %s:%d: %v; undo by hand what the line names, then delete the file", e.Path, e.Line, e.Err)
}

// Unwrap gives the cause.
func (e *JournalError) Unwrap() error { return e.Err }

// ConfigError refuses a configuration before anything is changed.
type ConfigError struct{ Detail string }

// Error says what is wrong.
func (e *ConfigError) Error() string { return e.Detail }

// failed wraps err, if there is one, with the remedy that its cause suggests.
func failed(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{Op: fmt.Sprintf(format, args...), Err: err, Remedy: remedy(err)}
}

func remedy(err error) string {
	switch {
	case errors.Is(err, syscall.EROFS):
		return "kernel settings are read-only here, as in a container or a hardened service: set it on the host (sysctl.d), or start the container with --sysctl"
	case errors.Is(err, fs.ErrPermission):
		return "run as root, or give the program CAP_NET_ADMIN"
	case errors.Is(err, syscall.EEXIST):
		return "something else has configured it already: remove that first"
	case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.EPROTONOSUPPORT), errors.Is(err, syscall.EAFNOSUPPORT):
		return "the kernel lacks this feature: load the module, or leave the feature out of the configuration"
	}
	return ""
}
