package xfrm

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// EncapError is a UDP socket that the kernel does not decapsulate ESP on.
type EncapError struct{ Err error }

// Error ends in the remedy.
func (e *EncapError) Error() string {
	return fmt.Sprintf("xfrm: decapsulate ESP on the UDP socket: %v: needs Linux 5.8 for IPv6; load esp4 and esp6, or choose the userspace data plane", e.Err)
}

// Unwrap gives the error number.
func (e *EncapError) Unwrap() error { return e.Err }

// EnableUDPEncap makes the kernel take ESP packets that arrive on a UDP socket
// (RFC 3948): the socket then delivers only what begins with the non-ESP
// marker, and keepalives no more. The socket must not have UDP_GRO set, since
// the kernel takes what GRO has joined for one ESP packet. The error is an
// *EncapError.
func EnableUDPEncap(conn syscall.Conn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return &EncapError{err}
	}
	var set error
	if err := raw.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_ENCAP, encapESPInUDP)
	}); err != nil {
		return &EncapError{err}
	}
	if set != nil {
		return &EncapError{set}
	}
	return nil
}
