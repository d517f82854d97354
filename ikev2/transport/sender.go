package transport

import (
	"errors"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxPayload is the longest UDP payload over IPv4; over IPv6 20 more fit.
	maxPayload = 65507
	// gsoSegments is the number of datagrams in one segmented send that every
	// kernel takes; newer ones take 128.
	gsoSegments = 64
	// sendBatch is the number of messages after which a Sender flushes by
	// itself, so that its memory is bounded.
	sendBatch = 128
)

// marker is the non-ESP marker (RFC 3948 §2.2). It is never written to.
var marker [markerLen]byte

// Sender collects datagrams and sends them with as few system calls as it can:
// consecutive ones of one size to one Path go out as one segmented send
// (UDP_SEGMENT), all together with one sendmmsg a socket. It allocates nothing
// once grown. One goroutine uses it at a time.
type Sender struct {
	t       *Transport
	hdrs    []unix.Mmsghdr
	names   []unix.RawSockaddrInet6
	control []byte
	iovs    []unix.Iovec
	msgs    []message
	wait    bool // for room in a full queue, instead of dropping
	err     error

	// Arguments and results of transmit and of transmitOrWait, method values
	// made once.
	transmit       func(fd uintptr)
	transmitOrWait func(fd uintptr) (done bool)
	first, n       int
	errno          syscall.Errno
}

// message is one send, of one datagram or of several segments.
type message struct {
	socket    *socket
	path      *Path // of ESP, for comparison with the next
	to        netip.AddrPort
	from      netip.AddrPort
	iov, iovN int
	size      int // of each segment
	last      int // of the last segment, which ends the run when shorter
	total     int
	ecn       uint8
	ike       bool
}

// NewSender makes a Sender for a goroutine that sends ESP. Its Flush waits for
// room in a full queue, which slows the source of the traffic down.
func (t *Transport) NewSender() *Sender { return t.newSender(true) }

func (t *Transport) newSender(wait bool) *Sender {
	s := &Sender{
		t:       t,
		wait:    wait,
		hdrs:    make([]unix.Mmsghdr, sendBatch),
		names:   make([]unix.RawSockaddrInet6, sendBatch),
		control: make([]byte, sendBatch*controlLen),
		msgs:    make([]message, 0, sendBatch),
	}
	s.transmit = s.sendmmsg
	s.transmitOrWait = func(fd uintptr) bool { s.sendmmsg(fd); return s.errno != unix.EAGAIN }
	return s
}

// Add queues one ESP packet to p, with the outer ECN field ecn. Neither p nor
// packet may change before Flush, which is also called when the batch is full;
// its error then comes from the next Flush.
func (s *Sender) Add(p *Path, ecn uint8, packet []byte) {
	if n := len(s.msgs); n > 0 && s.msgs[n-1].extend(p, ecn, packet) {
		s.push(packet)
		s.msgs[n-1].iovN++
		return
	}
	m := message{path: p, from: p.Local, to: p.Remote, ecn: ecn}
	k := kindNATT
	if !p.Encap {
		k = kindRaw
		m.to = netip.AddrPortFrom(p.Remote.Addr(), 0) // a raw socket takes no port (raw(7))
	}
	s.begin(m, k, packet)
}

// extend counts packet to the message if one segmented send can carry both.
func (m *message) extend(p *Path, ecn uint8, packet []byte) bool {
	if !p.Encap || m.path == nil || (m.path != p && *m.path != *p) || m.ecn != ecn || m.socket.noGSO.Load() {
		return false
	}
	if m.last != m.size || len(packet) > m.size || m.iovN == gsoSegments || m.total+len(packet) > maxPayload {
		return false
	}
	m.last = len(packet)
	m.total += len(packet)
	return true
}

// begin starts a message whose first segment is packet.
func (s *Sender) begin(m message, k kind, packet []byte) {
	m.from = netip.AddrPortFrom(numericZone(m.from.Addr()), m.from.Port())
	m.to = netip.AddrPortFrom(numericZone(m.to.Addr()), m.to.Port())
	m.socket = s.t.socketFor(k, m.from.Addr(), m.to.Addr())
	switch {
	case m.socket == nil:
		s.fail(m, 1, ErrNoSocket)
		return
	case len(packet) > maxPayload-markerLen:
		s.fail(m, 1, ErrTooLong)
		return
	}
	if len(s.msgs) == sendBatch {
		s.transmitAll()
	}
	m.iov, m.iovN = len(s.iovs), 1
	m.size, m.last, m.total = len(packet), len(packet), len(packet)
	if m.ike && k == kindNATT {
		m.iovN = 2
		s.push(marker[:])
	}
	s.push(packet)
	s.msgs = append(s.msgs, m)
}

func (s *Sender) push(b []byte) {
	v := unix.Iovec{Base: unsafe.SliceData(b)}
	v.SetLen(len(b))
	s.iovs = append(s.iovs, v)
}

// Flush sends what was added. Its error is one *SendError since the last
// Flush; the others are counted in Stats.
func (s *Sender) Flush() error {
	s.transmitAll()
	err := s.err
	s.err = nil
	return err
}

func (s *Sender) transmitAll() {
	for i := range s.msgs {
		s.fill(i)
	}
	for i := 0; i < len(s.msgs); {
		j := i + 1
		for j < len(s.msgs) && s.msgs[j].socket == s.msgs[i].socket {
			j++
		}
		s.transmitRun(i, j)
		i = j
	}
	clear(s.msgs) // they point to the caller's memory
	clear(s.iovs)
	s.msgs, s.iovs = s.msgs[:0], s.iovs[:0]
}

// fill writes message i in the kernel's form.
func (s *Sender) fill(i int) {
	m, h := &s.msgs[i], &s.hdrs[i].Hdr
	h.Name = (*byte)(unsafe.Pointer(&s.names[i]))
	h.Namelen = putAddr(&s.names[i], m.to)
	h.Iov = &s.iovs[m.iov]
	h.SetIovlen(m.iovN)
	control := s.control[i*controlLen : i*controlLen : (i+1)*controlLen]
	if local := m.from.Addr(); local.IsValid() && !local.IsUnspecified() {
		control = appendPacketInfo(control, local)
	}
	if !m.ike && m.iovN > 1 {
		control = appendSegment(control, m.size)
	}
	if m.ecn != 0 {
		control = appendTrafficClass(control, m.socket.v6, m.ecn)
	}
	h.Control = nil
	if len(control) > 0 {
		h.Control = &control[0]
	}
	h.SetControllen(len(control))
}

// transmitRun sends messages i to j-1, all of one socket. What the kernel
// refuses is retried without segmentation or given up; the rest goes on.
func (s *Sender) transmitRun(i, j int) {
	for i < j {
		n, err := s.send(i, j-i)
		for k := range n {
			s.sent(&s.msgs[i+k])
		}
		i += n
		if err == nil {
			continue
		}
		m := s.msgs[i]
		if segmented := !m.ike && m.iovN > 1; segmented && refusedGSO(err) {
			// EIO: the device lacks checksum offload, for good. EINVAL or
			// EMSGSIZE: a segment exceeds the path MTU and must be fragmented,
			// which segmentation does not do.
			if errors.Is(err, unix.EIO) {
				m.socket.noGSO.Store(true)
			}
			s.sendSegments(i)
		} else {
			s.fail(m, m.datagrams(), err)
		}
		i++
	}
}

func refusedGSO(err error) bool {
	return errors.Is(err, unix.EIO) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EMSGSIZE) ||
		errors.Is(err, unix.EOPNOTSUPP)
}

// sendSegments sends message i datagram by datagram, in the message's own
// slot.
func (s *Sender) sendSegments(i int) {
	s.t.counters.gsoFallbacks.Add(1)
	whole := s.msgs[i]
	for k := range whole.iovN {
		m := &s.msgs[i]
		m.iov, m.iovN = whole.iov+k, 1
		s.fill(i)
		if n, err := s.send(i, 1); n == 1 {
			s.sent(m)
		} else {
			s.fail(*m, 1, err)
		}
	}
}

// send gives n messages from i to the kernel and returns how many it took.
// Only one that waits takes the descriptor's write lock, which it holds while
// it waits: IKE messages and the other cores' packets go past it.
func (s *Sender) send(i, n int) (int, error) {
	s.first, s.n = i, n
	raw := s.msgs[i].socket.raw
	err := raw.Control(s.transmit)
	if err == nil && s.errno == unix.EAGAIN && s.wait {
		err = raw.Write(s.transmitOrWait)
	}
	if err != nil {
		return 0, err
	}
	if s.errno != 0 {
		return 0, s.errno
	}
	return s.n, nil
}

// sendmmsg gives the kernel the n messages from first and leaves in n how many
// it took, or in errno why none.
func (s *Sender) sendmmsg(fd uintptr) {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&s.hdrs[s.first])),
			uintptr(s.n), unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if s.errno = errno; errno == 0 {
			s.n = int(n)
		}
		return
	}
}

func (m *message) datagrams() int {
	if m.ike {
		return 1
	}
	return m.iovN
}

func (s *Sender) sent(m *message) {
	if m.ike {
		s.t.counters.ikeSent.Add(1)
		return
	}
	s.t.counters.espSent.Add(uint64(m.iovN))
}

func (s *Sender) fail(m message, n int, err error) {
	if errors.Is(err, unix.EAGAIN) {
		s.t.counters.sendBlocked.Add(uint64(n))
	} else {
		s.t.counters.sendFailed.Add(uint64(n))
	}
	if s.err == nil {
		s.err = &SendError{Local: m.from, Remote: m.to, Err: err}
	}
}

// socketFor is the socket of kind k that can send from local to remote. A local
// address that is invalid or unspecified leaves the choice to routing.
func (t *Transport) socketFor(k kind, local, remote netip.Addr) *socket {
	var wild *socket
	for _, e := range t.endpoints {
		if e.kind != k || e.addr.Is4() != remote.Is4() {
			continue
		}
		if e.addr == local {
			return e.sockets[0]
		}
		if e.addr.IsUnspecified() || !local.IsValid() || local.IsUnspecified() {
			wild = e.sockets[0]
		}
	}
	return wild
}

// SendIKE sends IKE messages, each from its Local address, with the non-ESP
// marker where Local has the NAT traversal port. It never waits: what a full
// queue refuses is dropped, and IKE's retransmission repairs it. The error is
// one *SendError of possibly several; the remaining datagrams are sent all
// the same.
func (t *Transport) SendIKE(ds []Datagram) error {
	s := t.senders.Get().(*Sender)
	defer t.senders.Put(s)
	for _, d := range ds {
		k := kindIKE
		if d.Local.Port() == t.nattPort {
			k = kindNATT
		}
		s.begin(message{from: d.Local, to: d.Remote, ike: true}, k, d.Data)
	}
	return s.Flush()
}
