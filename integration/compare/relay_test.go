//go:build bench

package compare

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"bridgehead/integration/lab"
)

// accessRequest is the code of the requests that are delayed and counted.
const accessRequest = 1

// relay stands before a RADIUS server and holds back its answers to
// Access-Requests, as one does that asks a person's phone. Status-Server it
// lets pass.
type relay struct {
	address string // where it serves, in the namespace
	to      string
	delay   time.Duration
	front   net.PacketConn

	mu      sync.Mutex
	backs   map[netip.AddrPort]net.Conn // to the server, one for each socket of the client
	waiting map[question]bool           // whether the server has answered it
	most    int                         // Access-Requests that waited at once
}

// question is one request, however often it is sent.
type question struct {
	from netip.AddrPort
	id   byte
	auth [16]byte
}

// newRelay serves in ns until the test ends.
func newRelay(t *testing.T, ns *lab.Namespace, to string, delay time.Duration) *relay {
	t.Helper()
	r := &relay{to: to, delay: delay, backs: make(map[netip.AddrPort]net.Conn), waiting: make(map[question]bool)}
	var err error
	ns.Do(func() { r.front, err = net.ListenPacket("udp", "127.0.0.1:0") })
	if err != nil {
		t.Fatal(err)
	}
	r.address = r.front.LocalAddr().String()
	done := make(chan struct{})
	go func() {
		defer close(done)
		ns.Do(r.serve) // all its sockets are opened here
	}()
	t.Cleanup(func() {
		r.front.Close()
		<-done
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, b := range r.backs {
			b.Close()
		}
	})
	return r
}

// inFlight is how many Access-Requests have waited at once at most.
func (r *relay) inFlight() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.most
}

func (r *relay) serve() {
	buf := make([]byte, 4096)
	for {
		n, addr, err := r.front.ReadFrom(buf)
		if err != nil {
			return
		}
		if n < 20 {
			continue
		}
		from := addr.(*net.UDPAddr).AddrPort()
		back, err := r.back(from)
		if err != nil {
			return
		}
		if buf[0] == accessRequest && r.repeated(question{from: from, id: buf[1], auth: [16]byte(buf[4:20])}) {
			continue // its answer is on the way
		}
		_, _ = back.Write(buf[:n]) // the client sends again
	}
}

// repeated tells whether a request has its answer already, and else has it wait
// for it.
func (r *relay) repeated(q question) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[q] {
		return true
	}
	r.waiting[q] = false
	r.most = max(r.most, len(r.waiting))
	return false
}

// back is the socket to the server for one socket of the client.
func (r *relay) back(from netip.AddrPort) (net.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.backs[from]; b != nil {
		return b, nil
	}
	b, err := net.Dial("udp", r.to)
	if err != nil {
		return nil, err
	}
	r.backs[from] = b
	go r.answers(b, from)
	return b, nil
}

func (r *relay) answers(b net.Conn, to netip.AddrPort) {
	for {
		answer := make([]byte, 4096)
		n, err := b.Read(answer)
		if err != nil {
			return
		}
		answer = answer[:n]
		question, delayed := r.asked(to, answer)
		if !delayed {
			_, _ = r.front.WriteTo(answer, net.UDPAddrFromAddrPort(to))
			continue
		}
		time.AfterFunc(r.delay, func() {
			r.mu.Lock()
			delete(r.waiting, question)
			r.mu.Unlock()
			_, _ = r.front.WriteTo(answer, net.UDPAddrFromAddrPort(to))
		})
	}
}

// asked finds the Access-Request that an answer is for.
func (r *relay) asked(from netip.AddrPort, answer []byte) (question, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for q, answered := range r.waiting {
		if q.from == from && len(answer) > 1 && q.id == answer[1] && !answered {
			r.waiting[q] = true
			return q, true
		}
	}
	return question{}, false
}
