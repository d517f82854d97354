package transport

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// ConfigError is a Config that cannot be listened on.
type ConfigError struct{ Reason string }

func (e *ConfigError) Error() string { return "transport: " + e.Reason }

func (c Config) validate() error {
	if c.IKEPort != 0 && c.IKEPort == c.NATTPort {
		return &ConfigError{fmt.Sprintf("IKE and NAT traversal cannot share port %d: give them two", c.IKEPort)}
	}
	for _, a := range c.Addresses {
		if !a.IsValid() || a.IsMulticast() {
			return &ConfigError{fmt.Sprintf("cannot listen on address %q: give a unicast address of this host", a)}
		}
	}
	return nil
}

// ListenError is a socket that could not be opened. Its text ends in what the
// operator can do.
type ListenError struct {
	Port    uint16     // 0 for IP protocol 50
	Address netip.Addr // unspecified for all addresses of its family
	Holder  string     // who has the port, e.g. "charon (pid 812)"; empty if unknown
	Err     error
}

func newListenError(k kind, a netip.Addr, port uint16, err error) *ListenError {
	e := &ListenError{Port: port, Address: a, Err: err}
	if k != kindRaw && errors.Is(err, syscall.EADDRINUSE) {
		e.Holder = portHolder(port)
	}
	return e
}

func (e *ListenError) Error() string {
	what := "IP protocol 50 (ESP)"
	if e.Port != 0 {
		what = fmt.Sprintf("UDP port %d", e.Port)
	}
	return fmt.Sprintf("listen on %s of %s: %v: %s", what, e.Address, e.Err, e.remedy())
}

func (e *ListenError) remedy() string {
	holder := e.Holder
	if holder == "" {
		holder = "another process"
	}
	switch {
	case errors.Is(e.Err, syscall.EADDRINUSE):
		return holder + " has it: stop it, or choose other ports with ike_port and nat_port in [server]"
	case (errors.Is(e.Err, syscall.EPERM) || errors.Is(e.Err, syscall.EACCES)) && e.Port == 0:
		return "CAP_NET_RAW is missing: run as root or grant the capability"
	case errors.Is(e.Err, syscall.EPERM), errors.Is(e.Err, syscall.EACCES):
		return "CAP_NET_BIND_SERVICE is missing: run as root, grant the capability, or choose ports above 1023 with ike_port and nat_port in [server]"
	case errors.Is(e.Err, syscall.EADDRNOTAVAIL):
		return "this host has no such address: add it to an interface or correct listen in [server]"
	}
	return "see `ip address` and `ss -uanp`"
}

// Unwrap is the operating system's error.
func (e *ListenError) Unwrap() error { return e.Err }

// SendError is a datagram that the kernel did not take. It is never fatal: the
// peer or its route is at fault, or a queue is full.
type SendError struct {
	Local, Remote netip.AddrPort
	Err           error
}

func (e *SendError) Error() string {
	return fmt.Sprintf("send from %s to %s: %v", e.Local, e.Remote, e.Err)
}

// Unwrap is the operating system's error.
func (e *SendError) Unwrap() error { return e.Err }

// Errors of SendError that do not come from the operating system.
var (
	// ErrNoSocket means that nothing listens on the Local address.
	ErrNoSocket = errors.New("no socket is bound to the local address and port")
	// ErrTooLong means that the datagram exceeds what UDP can carry.
	ErrTooLong = errors.New("longer than a UDP datagram")
)
