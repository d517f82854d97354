package xfrm

import (
	"encoding/binary"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// batchLimit bounds the messages of one round trip: the kernel answers all
	// before the first answer is read, into a buffer of 208 KB by default.
	batchLimit = 64
	// patience bounds the wait for the kernel's answers, which come at once but
	// for a module that is loaded first.
	patience   = 30 * time.Second
	bufferSize = 4 << 20 // octets asked for the socket's receive buffer
)

// socket is a netlink socket of the XFRM family. One goroutine at a time uses
// it.
type socket struct {
	file   *os.File
	raw    syscall.RawConn
	seq    uint32
	buffer []byte
	rounds int // round trips made
}

// openSocket opens a socket in the network namespace of the calling thread. It
// receives the events of the groups.
func openSocket(groups ...int) (*socket, error) {
	refuse := func(doing string, err error) (*socket, error) {
		errno, _ := err.(unix.Errno)
		return nil, &KernelError{Doing: doing, Errno: errno}
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_XFRM)
	if err != nil {
		return refuse("open a netlink socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return refuse("bind a netlink socket", err)
	}
	for _, g := range groups {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g); err != nil {
			unix.Close(fd)
			return refuse("subscribe to events", err)
		}
	}
	// Errors carry text, and do not carry the request with its keys back. Old
	// kernels do without.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bufferSize)
	file := os.NewFile(uintptr(fd), "netlink-xfrm")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return refuse("open a netlink socket", err)
	}
	return &socket{file: file, raw: raw, buffer: make([]byte, 1<<17)}, nil
}

func (s *socket) close() error { return s.file.Close() }

// answer is what the kernel made of one request.
type answer struct {
	err  error // a *KernelError
	body []byte
}

// do sends the requests, as few batches as the limit allows, and gives an
// answer for each. A batch once sent is seen to its end. The kernel works through all of them whether or not one
// fails. The error is for when answers are missing. It wipes the requests.
func (s *socket) do(requests []request) ([]answer, error) {
	answers := make([]answer, len(requests))
	for at := 0; at < len(requests); at += batchLimit {
		end := min(at+batchLimit, len(requests))
		if err := s.round(requests[at:end], answers[at:end]); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// round is one round trip.
func (s *socket) round(requests []request, answers []answer) error {
	s.rounds++
	first := s.seq + 1
	var b []byte
	for _, r := range requests {
		s.seq++
		b = appendMessage(b, r, unix.NLM_F_REQUEST|unix.NLM_F_ACK, s.seq)
		clear(r.body)
	}
	err := s.send(b)
	clear(b)
	if err != nil {
		return err
	}
	for missing := len(requests); missing > 0; {
		ms, err := s.receive()
		if err != nil {
			return err
		}
		for _, m := range ms {
			i := int(m.seq - first)
			if i < 0 || i >= len(requests) {
				continue // of a round that was given up
			}
			if m.kind != unix.NLMSG_ERROR {
				answers[i].body = append([]byte(nil), m.body...)
				continue
			}
			errno, text, err := parseAck(m.body)
			if err != nil {
				return fmt.Errorf("xfrm: %s: %w", requests[i].what, err)
			}
			if errno != 0 {
				answers[i].err = &KernelError{requests[i].what, errno, text}
			}
			missing--
		}
	}
	return nil
}

// dump calls each for every object of a kind. The body, wiped afterwards, is
// valid during the call.
func (s *socket) dump(r request, each func(body []byte) error) error {
	s.rounds++
	s.seq++
	if err := s.send(appendMessage(nil, r, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, s.seq)); err != nil {
		return err
	}
	for {
		ms, err := s.receive()
		if err != nil {
			return err
		}
		for _, m := range ms {
			switch {
			case m.seq != s.seq:
			case m.kind == unix.NLMSG_DONE:
				return nil
			case m.kind == unix.NLMSG_ERROR:
				errno, text, err := parseAck(m.body)
				if err != nil {
					return err
				}
				return &KernelError{r.what, errno, text}
			default:
				err := each(m.body)
				clear(m.body)
				if err != nil {
					return err
				}
			}
		}
	}
}

func appendMessage(b []byte, r request, flags uint16, seq uint32) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(unix.NLMSG_HDRLEN+len(r.body)))
	b = binary.NativeEndian.AppendUint16(b, r.kind)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = append(b, r.body...)
	return append(b, make([]byte, -len(r.body)&3)...)
}

func (s *socket) send(b []byte) error {
	if err := s.file.SetDeadline(time.Now().Add(patience)); err != nil {
		return fmt.Errorf("xfrm: netlink socket: %w", err)
	}
	var sent error
	err := s.raw.Write(func(fd uintptr) bool {
		sent = unix.Sendto(int(fd), b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		return sent != unix.EAGAIN
	})
	if err == nil {
		err = sent
	}
	if err != nil {
		return fmt.Errorf("xfrm: send to the kernel: %w", err)
	}
	return nil
}

// receive gives the messages of one datagram from the kernel, valid until the
// next call.
func (s *socket) receive() ([]message, error) {
	for {
		var n int
		var from unix.Sockaddr
		var received error
		err := s.raw.Read(func(fd uintptr) bool {
			n, from, received = unix.Recvfrom(int(fd), s.buffer, 0)
			return received != unix.EAGAIN
		})
		if err == nil {
			err = received
		}
		if err != nil {
			return nil, fmt.Errorf("xfrm: receive from the kernel: %w", err)
		}
		if sender, ok := from.(*unix.SockaddrNetlink); ok && sender.Pid == 0 {
			return parseMessages(s.buffer[:n])
		}
	}
}
