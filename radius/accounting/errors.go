package accounting

import (
	"errors"
	"fmt"
	"syscall"

	"bridgehead/auth"
)

// Causes of a login that is refused because no account can be kept of it.
const (
	CauseFull       auth.Cause = "accounting-spool-full"
	CauseStore      auth.Cause = "accounting-not-written"
	CauseUnanswered auth.Cause = "accounting-unanswered"
)

// ErrClosed tells that the Spool was closed.
var ErrClosed = errors.New("the accounting spool is closed")

// StoreError is a fault of the spool's file.
type StoreError struct {
	Path string
	Err  error
}

func (e *StoreError) Error() string {
	text := fmt.Sprintf("accounting spool %s: %v", e.Path, e.Err)
	if errors.Is(e.Err, syscall.ENOSPC) || errors.Is(e.Err, syscall.EDQUOT) {
		text += "; make room on the disk, no login is possible before"
	}
	return text
}

func (e *StoreError) Unwrap() error { return e.Err }

// Cause names the fault for a login that is refused over it.
func (e *StoreError) Cause() auth.Cause { return CauseStore }

// FullError tells that the spool holds as much as it may.
type FullError struct {
	Limit int64 // octets
}

func (e *FullError) Error() string {
	return fmt.Sprintf("the accounting spool is full (%d octets): have the RADIUS server answer, or raise accounting.spool_limit", e.Limit)
}

// Cause names the fault for a login that is refused over it.
func (e *FullError) Cause() auth.Cause { return CauseFull }

// UnansweredError tells that no server has answered the Start of a session,
// without which that is not to come up.
type UnansweredError struct{ Err error }

func (e *UnansweredError) Error() string {
	return fmt.Sprintf("no RADIUS server answered the session's Accounting-Start, which accounting.required asks for: %v", e.Err)
}

func (e *UnansweredError) Unwrap() error { return e.Err }

// Cause names the fault for a login that is refused over it.
func (e *UnansweredError) Cause() auth.Cause { return CauseUnanswered }

// UnsavedError tells that the disk did not take the last records.
type UnsavedError struct {
	Path   string
	Writes int
}

func (e *UnsavedError) Error() string {
	return fmt.Sprintf("accounting spool %s: the disk did not take the last %d writes, and they are lost; make room on it", e.Path, e.Writes)
}

// UnknownError is a session that no account is kept of.
type UnknownError struct{ Session string }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("no account is kept of session %.40q", e.Session)
}
