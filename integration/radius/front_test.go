package radius_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/vendors/microsoft"

	"bridgehead/auth"
)

// front lets a RADIUS client log in to an auth.Backend: it stands where IKE
// does, so that eapol_test can be the client of the gateway's EAP. It carries
// one login.
type front struct {
	t       testing.TB
	conn    net.PacketConn
	backend auth.Backend
	secret  []byte

	mu   sync.Mutex
	last auth.Step
}

func newFront(t testing.TB, b auth.Backend, secret string) *front {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{t: t, conn: conn, backend: b, secret: []byte(secret)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.serve()
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return f
}

// step is the last one.
func (f *front) step() auth.Step {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

func (f *front) serve() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conv, err := f.backend.Begin(ctx, testPeer())
	if err != nil {
		f.t.Error(err)
		return
	}
	defer conv.Close()
	first, err := conv.Next(ctx, nil)
	if err != nil {
		f.t.Error(err)
		return
	}
	buf := make([]byte, codec.MaxPacketLength)
	var seen, answer []byte // the last request's authenticator, and its answer
	for {
		n, from, err := f.conn.ReadFrom(buf)
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				f.t.Error(err)
			}
			return
		}
		q, err := codec.Parse(buf[:n], f.secret)
		if err != nil {
			f.t.Error(err)
			return
		}
		if !bytes.Equal(seen, q.Authenticator[:]) { // else it comes again
			response := bytes.Clone(rfc2869.EAPMessage_Get(q))
			if seen == nil {
				response[1] = first.Packet[1] // eapol_test asked itself for the identity
			}
			step, err := conv.Next(ctx, response)
			if err != nil {
				f.t.Error(err)
				return
			}
			f.mu.Lock()
			f.last = step
			f.mu.Unlock()
			seen, answer = bytes.Clone(q.Authenticator[:]), f.encode(q, step)
		}
		if _, err := f.conn.WriteTo(answer, from); err != nil && !errors.Is(err, os.ErrClosed) {
			f.t.Error(err)
		}
	}
}

// encode makes the RADIUS answer for a step; an Accept has the MSK as keys.
func (f *front) encode(q *codec.Packet, step auth.Step) []byte {
	r := q.Response(codec.CodeAccessChallenge)
	var err error
	switch step.Verdict {
	case auth.Continue:
		r.Add(rfc2865.State_Type, codec.Attribute("s"))
	case auth.Accept:
		r.Code = codec.CodeAccessAccept
		err = errors.Join(microsoft.MSMPPERecvKey_Add(r, step.Grant.MSK[:32]), microsoft.MSMPPESendKey_Add(r, step.Grant.MSK[32:]))
	default:
		r.Code = codec.CodeAccessReject
	}
	if err = errors.Join(err, rfc2869.EAPMessage_Set(r, step.Packet)); err != nil {
		f.t.Error(err)
	}
	return sign(f.t, r, f.secret)
}

// sign encodes a reply with a Message-Authenticator, its last attribute.
func sign(t testing.TB, r *codec.Packet, secret []byte) []byte {
	r.Add(rfc2869.MessageAuthenticator_Type, make([]byte, md5.Size))
	b, err := r.MarshalBinary()
	if err != nil {
		t.Error(err)
		return nil
	}
	mac := hmac.New(md5.New, secret)
	mac.Write(b)
	copy(b[len(b)-md5.Size:], mac.Sum(nil))
	seal(b, secret)
	return b
}

// seal makes the Response Authenticator of a reply that has its request's.
func seal(b, secret []byte) {
	h := md5.New()
	h.Write(b)
	h.Write(secret)
	h.Sum(b[4:4])
}
