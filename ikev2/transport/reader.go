package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// bufferLen holds the longest UDP payload, and the longest run of
	// datagrams that the kernel coalesces.
	bufferLen = 1 << 16
	// batchLen is the number of buffers that one recvmmsg fills.
	batchLen = 32

	markerLen    = 4  // non-ESP marker, RFC 3948 §2.2
	ikeHeaderLen = 28 // RFC 7296 §3.1
	minESPLen    = 10 // SPI, sequence number, pad length, next header: RFC 4303 §2
	minSPI       = 256
	ipv4MinLen   = 20
)

// reader receives from one socket. All its memory is allocated once; pages of
// its buffers that no datagram reached are never resident.
type reader struct {
	t *Transport
	s *socket
	h Handler

	hdrs    []unix.Mmsghdr
	iovs    []unix.Iovec
	names   []unix.RawSockaddrInet6
	control []byte
	data    []byte
	dropped uint32 // the kernel's counter as last seen

	ike []Datagram
	esp []ESPDatagram

	// Result of receive, a method value made once because a closure a call
	// would be an allocation a call.
	receive func(fd uintptr) bool
	n       int
	errno   syscall.Errno
}

func newReader(t *Transport, s *socket, h Handler) *reader {
	r := &reader{
		t: t, s: s, h: h,
		hdrs:    make([]unix.Mmsghdr, batchLen),
		iovs:    make([]unix.Iovec, batchLen),
		names:   make([]unix.RawSockaddrInet6, batchLen),
		control: make([]byte, batchLen*controlLen),
		data:    make([]byte, batchLen*bufferLen),
	}
	for i := range r.hdrs {
		r.iovs[i].Base = &r.data[i*bufferLen]
		r.iovs[i].SetLen(bufferLen)
		h := &r.hdrs[i].Hdr
		h.Name = (*byte)(unsafe.Pointer(&r.names[i]))
		h.Iov = &r.iovs[i]
		h.SetIovlen(1)
		h.Control = &r.control[i*controlLen]
	}
	r.receive = r.recvmmsg
	return r
}

// run receives until the socket is closed or told to stop.
func (r *reader) run() error {
	for {
		for i := range r.hdrs {
			r.hdrs[i].Hdr.Namelen = unix.SizeofSockaddrInet6
			r.hdrs[i].Hdr.SetControllen(controlLen)
		}
		err := r.s.raw.Read(r.receive)
		switch {
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return fmt.Errorf("receive on port %d: %w", r.s.port, err)
		case r.errno == unix.ENOTSOCK, r.errno == unix.EBADF, r.errno == unix.EINVAL, r.errno == unix.EFAULT:
			return fmt.Errorf("receive on port %d: %w", r.s.port, r.errno)
		case r.errno != 0:
			continue // an ICMP error or want of memory: it concerns one datagram
		}
		r.deliver()
	}
}

func (r *reader) recvmmsg(fd uintptr) bool {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.hdrs[0])),
			uintptr(len(r.hdrs)), unix.MSG_DONTWAIT, 0, 0)
		r.n, r.errno = int(n), errno
		switch errno {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		}
		return true
	}
}

// deliver sorts what was received and gives it to the handler.
func (r *reader) deliver() {
	r.ike, r.esp = r.ike[:0], r.esp[:0]
	for i := range r.n {
		h := &r.hdrs[i]
		a := parseControl(r.control[i*controlLen:][:h.Hdr.Controllen])
		if a.overflown {
			r.t.counters.kernel.Add(uint64(a.dropped - r.dropped)) // wraps with the kernel's
			r.dropped = a.dropped
		}
		remote := getAddr(&r.names[i])
		switch {
		case h.Hdr.Flags&unix.MSG_TRUNC != 0:
			r.t.counters.truncated.Add(1)
		case r.s.kind != kindRaw && remote.Port() == 0:
			r.t.counters.badSource.Add(1)
		default:
			r.sort(r.data[i*bufferLen:][:h.Len], remote, a)
		}
	}
	if len(r.esp) > 0 {
		r.t.counters.espReceived.Add(uint64(len(r.esp)))
		r.h.HandleESP(r.esp)
	}
	if len(r.ike) > 0 {
		r.t.counters.ikeReceived.Add(uint64(len(r.ike)))
		r.h.HandleIKE(r.ike)
	}
}

// sort takes one buffer apart into datagrams and those to IKE and ESP.
func (r *reader) sort(b []byte, remote netip.AddrPort, a ancillary) {
	local := netip.AddrPortFrom(a.local, r.s.port)
	if r.s.kind == kindRaw {
		r.sortRaw(b, netip.AddrPortFrom(remote.Addr(), 0), local, a.ecn)
		return
	}
	size := a.segment
	if size <= 0 || size > len(b) {
		size = len(b)
	}
	for {
		n := min(size, len(b))
		d := b[:n:n]
		if r.s.kind == kindIKE {
			r.addIKE(Datagram{Data: d, Local: local, Remote: remote})
		} else {
			r.sortNATT(d, local, remote, a.ecn)
		}
		if b = b[n:]; len(b) == 0 {
			return
		}
	}
}

// sortNATT tells IKE, ESP and keepalives apart (RFC 3948 §2).
func (r *reader) sortNATT(d []byte, local, remote netip.AddrPort, ecn uint8) {
	switch {
	case len(d) == 1 && d[0] == 0xff:
		r.t.counters.keepalives.Add(1)
	case len(d) < markerLen:
		r.t.counters.runtESP.Add(1)
	case binary.BigEndian.Uint32(d) == 0:
		r.addIKE(Datagram{Data: d[markerLen:], Local: local, Remote: remote})
	default:
		r.addESP(ESPDatagram{Data: d, Local: local, Remote: remote, Encap: true, ECN: ecn})
	}
}

// sortRaw takes the IPv4 header off, which raw sockets give with the packet;
// IPv6's they do not (raw(7), RFC 3542 §3).
func (r *reader) sortRaw(b []byte, remote, local netip.AddrPort, ecn uint8) {
	if !r.s.v6 {
		if len(b) < ipv4MinLen {
			r.t.counters.runtESP.Add(1)
			return
		}
		n := int(b[0]&15) * 4
		if n < ipv4MinLen || n > len(b) {
			r.t.counters.runtESP.Add(1)
			return
		}
		b = b[n:]
	}
	r.addESP(ESPDatagram{Data: b[:len(b):len(b)], Local: local, Remote: remote, ECN: ecn})
}

func (r *reader) addIKE(d Datagram) {
	if len(d.Data) < ikeHeaderLen {
		r.t.counters.runtIKE.Add(1)
		return
	}
	r.ike = append(r.ike, d)
}

func (r *reader) addESP(d ESPDatagram) {
	switch {
	case len(d.Data) < minESPLen:
		r.t.counters.runtESP.Add(1)
	case binary.BigEndian.Uint32(d.Data) < minSPI:
		r.t.counters.reservedSPI.Add(1)
	default:
		r.esp = append(r.esp, d)
	}
}
