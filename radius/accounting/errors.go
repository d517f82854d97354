package accounting

import (
	"errors"
	"fmt"
	"syscall"

	"bridgehead/auth"
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

// Cause implements auth.UnaccountedError.
func (e *StoreError) Cause() auth.Cause { return auth.CauseAccountingNotWritten }

// FullError tells that the spool holds as much as it may.
type FullError struct {
	Limit int64 // octets
}

func (e *FullError) Error() string {
	return fmt.Sprintf("the accounting spool is full (%d octets): have the RADIUS server answer, or raise accounting.spool_limit", e.Limit)
}

// Cause implements auth.UnaccountedError.
func (e *FullError) Cause() auth.Cause { return auth.CauseAccountingFull }

// UnansweredError tells that no server has answered the Start of a session,
// without which that is not to come up.
type UnansweredError struct{ Err error }

func (e *UnansweredError) Error() string {
	return fmt.Sprintf("no RADIUS server answered the session's Accounting-Start, which accounting.required asks for: %v", e.Err)
}

func (e *UnansweredError) Unwrap() error { return e.Err }

// Cause implements auth.UnaccountedError.
func (e *UnansweredError) Cause() auth.Cause { return auth.CauseAccountingUnanswered }

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
