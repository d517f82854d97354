package main

import (
	"context"
	"errors"
	"fmt"

	"bridgehead/cmd/bridgehead/internal/admin"
	"bridgehead/cmd/bridgehead/internal/config"
)

// Exit codes; scripts rely on them.
const (
	exitDone       = 0
	exitFailed     = 1  // failed, or nothing found
	exitUsage      = 2  // the command line is wrong
	exitNotRunning = 3  // no gateway behind the socket
	exitDenied     = 4  // the caller may not
	exitTimeout    = 5  // no answer in time
	exitConfig     = 78 // the configuration is wrong (EX_CONFIG of sysexits.h)
)

// errSaid ends a command with exitFailed whose output says why already.
var errSaid = errors.New("failed")

// codedError ends a command with a code of its own choice.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// exit prints an error and gives the exit code for it.
func (a *app) exit(err error) int {
	if err == nil {
		return exitDone
	}
	code := a.exitCode(err)
	if !errors.Is(err, errSaid) {
		if broken := new(config.Error); errors.As(err, &broken) {
			fmt.Fprintln(a.err, broken)
		} else {
			fmt.Fprintln(a.err, "bridgehead:", err)
		}
	}
	return code
}

// exitCode maps an error to its code.
func (a *app) exitCode(err error) int {
	var (
		coded      *codedError
		broken     *config.Error
		notRunning *admin.NotRunningError
		denied     *admin.DeniedError
		timeout    *admin.TimeoutError
	)
	switch {
	case !a.begun:
		return exitUsage
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &broken):
		return exitConfig
	case errors.As(err, &notRunning):
		return exitNotRunning
	case errors.As(err, &denied):
		return exitDenied
	case errors.As(err, &timeout), errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	}
	return exitFailed
}
