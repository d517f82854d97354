package lease

import (
	"fmt"
	"net/netip"
	"strings"
)

// Family tells IPv4 from IPv6 in errors and usage.
type Family uint8

// Families, by their usual numbers.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// String gives "IPv4" or "IPv6".
func (f Family) String() string { return fmt.Sprintf("IPv%d", uint8(f)) }

// RangeError tells that a configured prefix or range can't be used.
type RangeError struct {
	Text    string // as configured
	Problem string
	Err     error // the parser's own, or nil
}

func (e *RangeError) Error() string {
	return fmt.Sprintf("address range %q: %s; write a prefix such as 192.0.2.0/25 or a range such as 192.0.2.10-192.0.2.20", e.Text, e.Problem)
}

func (e *RangeError) Unwrap() error { return e.Err }

// ConfigError tells that pools can't stand beside each other.
type ConfigError struct {
	Pool    string
	Problem string
}

func (e *ConfigError) Error() string { return fmt.Sprintf("address pool %q: %s", e.Pool, e.Problem) }

// UnknownPoolError tells that a session asked for a pool nobody configured.
type UnknownPoolError struct {
	Pool  string
	Known []string
}

func (e *UnknownPoolError) Error() string {
	return fmt.Sprintf("no address pool is named %q; configured: %s", e.Pool, strings.Join(e.Known, ", "))
}

// ExhaustedError tells that a pool has no address of a family left, or never
// had one when Size is zero.
type ExhaustedError struct {
	Pool   string
	Family Family
	Size   uint64 // addresses that the pool can give in this family
}

func (e *ExhaustedError) Error() string {
	if e.Size == 0 {
		return fmt.Sprintf("address pool %q has no %v addresses; add a range of that family", e.Pool, e.Family)
	}
	return fmt.Sprintf("all %d %v addresses of pool %q are in use; enlarge the pool or disconnect idle sessions", e.Size, e.Family, e.Pool)
}

// InUseError tells that the fixed address of one identity is held by a
// session of another.
type InUseError struct {
	Addr     netip.Addr
	Identity string // who holds it
	Holder   string // the session that holds it
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("the fixed address %v is in use by %q (session %s); give each user a fixed address of their own, or disconnect that session", e.Addr, e.Identity, e.Holder)
}

// DuplicateHolderError tells that a session asked for a second lease.
type DuplicateHolderError struct{ Holder string }

func (e *DuplicateHolderError) Error() string {
	return fmt.Sprintf("session %s holds a lease already; release it first", e.Holder)
}

// HeldError is a store's answer to a claim on an address that somebody else
// holds there, such as another gateway that shares the store.
type HeldError struct {
	Addr   netip.Addr
	Holder string
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("%v is held by session %s", e.Addr, e.Holder)
}

// StoreError tells that the store failed; no address was promised.
type StoreError struct {
	Op  string
	Err error
}

func (e *StoreError) Error() string { return fmt.Sprintf("lease store: %s: %v", e.Op, e.Err) }

func (e *StoreError) Unwrap() error { return e.Err }

// ReleasedError tells that the session ended while it was given its lease.
type ReleasedError struct{ Holder string }

func (e *ReleasedError) Error() string {
	return fmt.Sprintf("session %s ended before its lease was written", e.Holder)
}
