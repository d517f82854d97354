package admin

import "fmt"

// NotRunningError tells that nobody listens on the socket.
type NotRunningError struct {
	Socket string
	Err    error
}

func (e *NotRunningError) Error() string {
	return fmt.Sprintf("no gateway runs behind %s; start one with `bridgehead serve` or name its socket with --control", e.Socket)
}

func (e *NotRunningError) Unwrap() error { return e.Err }

// DeniedError tells that the caller may not use the socket.
type DeniedError struct {
	Socket string
	Err    error
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("%s may be used by root and its group only; use sudo, or join the group", e.Socket)
}

func (e *DeniedError) Unwrap() error { return e.Err }

// TimeoutError tells that the gateway didn't answer in time.
type TimeoutError struct {
	Socket string
	Err    error
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("the gateway behind %s did not answer in time; see its log", e.Socket)
}

func (e *TimeoutError) Unwrap() error { return e.Err }

// RefusedError is the gateway's own "no", in its words.
type RefusedError struct{ Message string }

func (e *RefusedError) Error() string { return e.Message }

// SocketError tells why the control socket could not be made.
type SocketError struct {
	Socket string
	Remedy string
	Err    error
}

func (e *SocketError) Error() string {
	return fmt.Sprintf("control socket %s: %v; %s", e.Socket, e.Err, e.Remedy)
}

func (e *SocketError) Unwrap() error { return e.Err }
