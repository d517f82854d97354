package xfrm

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"bridgehead/ikev2/esp"
)

var (
	errTruncated        = errors.New("the kernel's answer is shorter than its type says")
	errNoSelectors      = errors.New("no pair of traffic selectors has a packet that both match")
	errTooManySelectors = fmt.Errorf("the traffic selectors take more than %d prefixes and port masks; use ranges that begin and end at powers of two", maxSelectors)
	errSequence         = errors.New("the sequence numbers of the outbound SA are nearly used up; rekey it first (RFC 4303 §3.3.3)")
)

// KernelError is a refusal by the kernel. Its text ends in what to do.
type KernelError struct {
	Doing   string     // "add state 0a0b0c0d to 192.0.2.1"
	Errno   unix.Errno // the kernel's error number
	Message string     // the kernel's extended message; empty if it sent none
}

// Error gives the kernel's reason and, where there is one, the remedy.
func (e *KernelError) Error() string {
	text := fmt.Sprintf("xfrm: %s: %v", e.Doing, e.Errno)
	if e.Message != "" {
		text += " (" + e.Message + ")"
	}
	if remedy := e.remedy(); remedy != "" {
		text += ": " + remedy
	}
	return text
}

// Unwrap gives the error number.
func (e *KernelError) Unwrap() error { return e.Errno }

func (e *KernelError) remedy() string {
	switch e.Errno {
	case unix.EPERM, unix.EACCES:
		return "run as root or with CAP_NET_ADMIN"
	case unix.EPROTONOSUPPORT, unix.EPROTOTYPE:
		return "the kernel lacks ESP: load xfrm_user, esp4 and esp6 with modprobe, or choose the userspace data plane"
	case unix.ENOSYS, unix.ENOENT:
		return "the kernel lacks a cipher: load the crypto modules (gcm, authenc, cbc, chacha20poly1305), or choose other algorithms"
	case unix.ESRCH:
		return "another program removed it; the Child SA must be renewed"
	case unix.EEXIST:
		return "another program has it: see 'ip xfrm state' and 'ip xfrm policy', and stop the other IPsec daemon"
	case unix.ENOBUFS, unix.ENOMEM:
		return "the kernel is short of memory or the socket's buffer is full: raise net.core.rmem_max"
	}
	return ""
}

// ConflictError refuses a Child SA that collides with an installed one. The
// caller chose the ID or the inbound SPI twice; or two peers behind one address
// chose the same outbound SPI, which the kernel cannot tell apart.
type ConflictError struct {
	ID       esp.ChildID
	SPI      uint32 // 0 if the ID is what collides
	Outbound bool   // the SPI is the peer's choice
}

// Error names what collides.
func (e *ConflictError) Error() string {
	if e.Outbound {
		return fmt.Sprintf("xfrm: child %d: outbound SPI %08x is in use by another peer at the same address; refuse it, the peer will choose another", e.ID, e.SPI)
	}
	if e.SPI != 0 {
		return fmt.Sprintf("xfrm: child %d: inbound SPI %08x is in use", e.ID, e.SPI)
	}
	return fmt.Sprintf("xfrm: child %d is installed already", e.ID)
}

// Unwrap gives esp.ErrSPIInUse where the peer is to choose another SPI.
func (e *ConflictError) Unwrap() error {
	if e.Outbound {
		return esp.ErrSPIInUse
	}
	return nil
}

// UnknownChildError is a Child SA that is not installed.
type UnknownChildError struct{ ID esp.ChildID }

// Error names the Child SA.
func (e *UnknownChildError) Error() string {
	return fmt.Sprintf("xfrm: child %d is not installed", e.ID)
}

// ChildError refuses a Child SA that the kernel's form cannot express.
type ChildError struct {
	ID  esp.ChildID
	Err error
}

// Error names the Child SA and the reason.
func (e *ChildError) Error() string { return fmt.Sprintf("xfrm: child %d: %v", e.ID, e.Err) }

// Unwrap gives the reason.
func (e *ChildError) Unwrap() error { return e.Err }
