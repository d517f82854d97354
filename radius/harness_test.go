package radius

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2869"

	"bridgehead/auth"
)

const testSecret = "any octets: \x00\xff '\"#\\ end"

func seeded(seed byte) io.Reader { return &locked{r: rand.NewChaCha8([32]byte{seed})} }

// locked is randomness for several goroutines.
type locked struct {
	mu sync.Mutex
	r  io.Reader
}

func (l *locked) Read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Read(b)
}

// wire is a server in memory: answer gives the replies to one packet. It has
// no clock of its own, so that a test in a bubble moves time.
type wire struct {
	answer func(q []byte) [][]byte
	mu     sync.Mutex
	seen   [][]byte // all packets
	dials  int
	down   error // dialing fails with it
}

func (w *wire) dial(context.Context) (link, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dials++
	if w.down != nil {
		return nil, w.down
	}
	return &memoryLink{wire: w, in: make(chan []byte, 4096), done: make(chan struct{})}, nil
}

func (w *wire) packets() [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([][]byte(nil), w.seen...)
}

func (w *wire) set(answer func(q []byte) [][]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = answer
}

type memoryLink struct {
	wire *wire
	in   chan []byte
	done chan struct{}
	once sync.Once
}

func (l *memoryLink) send(b []byte) error {
	l.wire.mu.Lock()
	defer l.wire.mu.Unlock()
	l.wire.seen = append(l.wire.seen, bytes.Clone(b))
	for _, r := range l.wire.answer(b) {
		l.in <- r
	}
	return nil
}

func (l *memoryLink) receive(buf []byte) (int, error) {
	select {
	case b := <-l.in:
		return copy(buf, b), nil
	case <-l.done:
		return 0, net.ErrClosed
	}
}

func (l *memoryLink) broken(err error) bool { return errors.Is(err, net.ErrClosed) }
func (l *memoryLink) Close() error          { l.once.Do(func() { close(l.done) }); return nil }

// signing says what is right about a reply's authenticators.
type signing int

const (
	signed signing = iota
	unsigned
	wrongMAC
	wrongAuthenticator
	twoMACs
	shortMAC
)

// reply is an answer to q.
func reply(q []byte, code codec.Code, how signing, attrs ...*codec.AVP) []byte {
	p := codec.Packet{Code: code, Identifier: q[1], Attributes: attrs, Secret: []byte(testSecret)}
	copy(p.Authenticator[:], q[4:headerLen])
	mac := &codec.AVP{Type: rfc2869.MessageAuthenticator_Type, Attribute: make([]byte, md5.Size)}
	switch how {
	case unsigned:
	case twoMACs:
		p.Attributes = append(p.Attributes, mac, mac)
	case shortMAC:
		p.Attributes = append(p.Attributes, &codec.AVP{Type: rfc2869.MessageAuthenticator_Type, Attribute: make([]byte, 3)})
	default:
		p.Attributes = append(p.Attributes, mac)
	}
	b, err := p.MarshalBinary()
	if err != nil {
		panic(err)
	}
	if how == signed || how == wrongAuthenticator || how == wrongMAC {
		h := hmac.New(md5.New, []byte(testSecret))
		h.Write(b)
		copy(b[len(b)-md5.Size:], h.Sum(nil))
	}
	if how == wrongMAC {
		b[len(b)-1]++
	}
	seal(b)
	if how == wrongAuthenticator {
		b[4]++
	}
	return b
}

// seal makes the Response Authenticator of a packet that has its request's.
func seal(b []byte) {
	h := md5.New()
	h.Write(b)
	h.Write([]byte(testSecret))
	h.Sum(b[4:4])
}

// honest answers every Access-Request with the code, and Status-Server.
func honest(code codec.Code, attrs ...*codec.AVP) func([]byte) [][]byte {
	return func(q []byte) [][]byte {
		if codec.Code(q[0]) == codec.CodeStatusServer {
			return [][]byte{reply(q, codec.CodeAccessAccept, unsigned)}
		}
		return [][]byte{reply(q, code, signed, attrs...)}
	}
}

func silence([]byte) [][]byte { return nil }

// onlyStatus answers Status-Server alone: the server lives, but is slow.
func onlyStatus(q []byte) [][]byte {
	if codec.Code(q[0]) == codec.CodeStatusServer {
		return honest(0)(q)
	}
	return nil
}

func avp(t codec.Type, value string) *codec.AVP { return &codec.AVP{Type: t, Attribute: []byte(value)} }

// newTestServer is a Server whose link is the wire. The test closes it within
// its bubble.
func newTestServer(t *testing.T, w *wire, change func(*ServerConfig)) *Server {
	t.Helper()
	c := ServerConfig{Name: "one", Address: "192.0.2.1:1812", Secret: auth.Secret(testSecret)}
	if change != nil {
		change(&c)
	}
	if err := c.complete(); err != nil {
		t.Fatal(err)
	}
	return newServer(c, Options{Rand: seeded(1)}, w.dial)
}

// authentic tells whether a request's Message-Authenticator is its first
// attribute and right.
func authentic(q []byte) bool {
	if len(q) < headerLen+macLen || q[headerLen] != byte(rfc2869.MessageAuthenticator_Type) || q[headerLen+1] != macLen {
		return false
	}
	zeroed := bytes.Clone(q)
	clear(zeroed[headerLen+2 : headerLen+macLen])
	h := hmac.New(md5.New, []byte(testSecret))
	h.Write(zeroed)
	return hmac.Equal(h.Sum(nil), q[headerLen+2:headerLen+macLen]) && int(binary.BigEndian.Uint16(q[2:])) == len(q)
}

func requests(packets [][]byte, code codec.Code) [][]byte {
	var list [][]byte
	for _, p := range packets {
		if codec.Code(p[0]) == code {
			list = append(list, p)
		}
	}
	return list
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
