package dae

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	codec "layeh.com/radius"

	"bridgehead/auth"
)

// serving runs a part of the server until the test ends.
func serving(t *testing.T, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Error("the server does not end")
		}
	}
	t.Cleanup(stop)
	return stop
}

// loopback is a server for clients on loopback, with the real clock.
func loopback(t *testing.T) *bench {
	t.Helper()
	b := newBench(t, nil)
	b.now = time.Now()
	err := b.Configure(Config{Clients: []Client{{
		Name: "here", Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		Secret: auth.Secret(testSecret), TLSNames: []string{"radius.example.org"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The answer comes from the address that was asked, also where the socket
// listens on all.
func TestUDP(t *testing.T) {
	for listen, ask := range map[string]string{"127.0.0.1:0": "127.0.0.1", "0.0.0.0:0": "127.0.0.7", "[::1]:0": "::1", "[::]:0": "::1"} {
		t.Run(listen, func(t *testing.T) {
			b := loopback(t)
			socket, err := Listen(netip.MustParseAddrPort(listen))
			if err != nil {
				t.Fatal(err)
			}
			stop := serving(t, func(ctx context.Context) error { return b.ServeUDP(ctx, socket) })
			// A connected socket takes answers from no other address.
			conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ask), socket.Addr().Port())))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			q := b.disconnect(session(phone.ID)).wire()
			exchange(t, conn, q, func(buf []byte) (int, error) { return conn.Read(buf) })
			b.wantEnded(phone.ID)
			stop()
			if again, err := Listen(socket.Addr()); err != nil {
				t.Errorf("the socket is not closed: %v", err)
			} else {
				again.Close()
			}
		})
	}
}

func exchange(t *testing.T, conn net.Conn, q []byte, read func([]byte) (int, error)) {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(q); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := read(buf)
	if err != nil {
		t.Fatal(err)
	}
	secret := testSecret
	if _, over := conn.(*tls.Conn); over {
		secret = "radsec"
	}
	if a, err := verifyAnswer(buf[:n], q, secret); err != nil || a.code != codec.CodeDisconnectACK {
		t.Fatalf("answered %+v, %v", a, err)
	}
}

// issuer makes certificates.
type issuer struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{t: t}
	c := i.issue(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	i.cert, i.key = c.Leaf, c.PrivateKey.(*ecdsa.PrivateKey)
	return i
}

func (i *issuer) issue(template *x509.Certificate) tls.Certificate {
	i.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	template.SerialNumber, template.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: "test"}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := i.cert, i.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		i.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		i.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (i *issuer) named(name string, use x509.ExtKeyUsage) tls.Certificate {
	return i.issue(&x509.Certificate{DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{use}})
}

func (i *issuer) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(i.cert)
	return p
}

// Over TLS the certificate takes the place of the secret: its name and address
// tell the client, and neither signature nor date is needed.
func TestTLS(t *testing.T) {
	ours, foreign := newIssuer(t), newIssuer(t)
	b := loopback(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{ours.named("vpn.example.org", x509.ExtKeyUsageServerAuth)}, ClientCAs: ours.pool()}
	stop := serving(t, func(ctx context.Context) error { return b.ServeTLS(ctx, l, func() *tls.Config { return config }) })
	dial := func(certificates ...tls.Certificate) *tls.Conn {
		t.Helper()
		conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: ours.pool(), ServerName: "vpn.example.org", Certificates: certificates})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	request := func(id string) []byte {
		d := b.disconnect(session(id))
		d.secret, d.unsigned, d.attrs = "radsec", true, d.attrs[:1]
		return d.wire()
	}
	framed := func(conn *tls.Conn) func([]byte) (int, error) {
		return func(buf []byte) (int, error) {
			if _, err := io.ReadFull(conn, buf[:20]); err != nil {
				return 0, err
			}
			n := int(buf[2])<<8 | int(buf[3])
			_, err := io.ReadFull(conn, buf[20:n])
			return n, err
		}
	}
	conn := dial(ours.named("radius.example.org", x509.ExtKeyUsageClientAuth))
	exchange(t, conn, request(phone.ID), framed(conn))
	exchange(t, conn, request(laptop.ID), framed(conn))
	b.wantEnded(phone.ID, laptop.ID)

	for name, certificates := range map[string][]tls.Certificate{
		"another name":          {ours.named("other.example.org", x509.ExtKeyUsageClientAuth)},
		"another authority":     {foreign.named("radius.example.org", x509.ExtKeyUsageClientAuth)},
		"a server's":            {ours.named("radius.example.org", x509.ExtKeyUsageServerAuth)},
		"no certificate at all": nil,
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(certificates...)
			if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write(request(desk.ID)); err != nil {
				return // turned away already
			}
			if n, err := conn.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read %d octets, %v", n, err)
			}
		})
	}
	b.wantEnded(phone.ID, laptop.ID)

	t.Run("a client that is taken out by a reload", func(t *testing.T) {
		if err := b.Configure(Config{}); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(request(desk.ID)); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("read %d octets, %v", n, err)
		}
		plain, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer plain.Close()
		if n, err := plain.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("a connection from nobody's address: %d octets, %v", n, err)
		}
	})
	stop()
	b.wantEnded(phone.ID, laptop.ID)
}
