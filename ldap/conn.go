package ldap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	client "github.com/go-ldap/ldap/v3"

	"bridgehead/auth"
)

// startTLS is the name of the operation (RFC 4511 §4.14.1).
const startTLS = "1.3.6.1.4.1.1466.20037"

// mostAnswer bounds what one search may bring, octets.
const mostAnswer = 4 << 20

// bounded counts what a server sends, and fails once it is too much.
type bounded struct {
	net.Conn
	left atomic.Int64
}

var errTooMuch = errors.New("the server sends more than 4 MiB for one search")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left.Load() <= 0 {
		return 0, errTooMuch
	}
	n, err := b.Conn.Read(p)
	b.left.Add(-int64(n))
	return n, err
}

// conn is a connection to a server, bound and used by one login at a time.
type conn struct {
	*client.Conn
	raw    *bounded
	server *server
	used   time.Time         // when it was given back
	ends   time.Time         // of the server's certificate; zero without TLS
	cut    func() (cut bool) // stops the watch over the context of its use
}

// dial connects, protects and binds within the time for it. The steps' errors
// are *stepError.
func (d *Directory) dial(ctx context.Context, s *server) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.config.ConnectTimeout)
	defer cancel()
	var dialer net.Dialer
	tcp, err := dialer.DialContext(ctx, s.Network, s.Address)
	if err != nil {
		return nil, &stepError{auth.CauseLDAPUnreachable, s.URL, err}
	}
	c := &conn{raw: &bounded{Conn: tcp}, server: s}
	c.raw.left.Store(mostAnswer)
	stop := context.AfterFunc(ctx, func() { _ = tcp.Close() }) // ends whatever is under way
	defer stop()
	fail := func(cause auth.Cause, err error) (*conn, error) {
		_ = tcp.Close() // it is of no use
		if ctx.Err() != nil {
			cause, err = auth.CauseLDAPTimeout, fmt.Errorf("no answer within %s", d.config.ConnectTimeout)
		}
		return nil, &stepError{cause, s.URL, err}
	}
	var wire net.Conn = c.raw
	if !s.Plain {
		if wire, err = d.protect(ctx, c, s.Endpoint); err != nil {
			return fail(causeOfTLS(err), err)
		}
	}
	c.Conn = client.NewConn(wire, !s.Plain)
	c.Start()
	if err := d.bind(c.Conn); err != nil {
		return fail(causeOf(err, auth.CauseLDAPBindRefused), err)
	}
	if !stop() {
		return fail(auth.CauseLDAPTimeout, ctx.Err())
	}
	return c, nil
}

// protect puts TLS on a connection, by StartTLS unless it begins with it.
func (d *Directory) protect(ctx context.Context, c *conn, e Endpoint) (net.Conn, error) {
	if !e.Immediate {
		if err := requestTLS(c.raw); err != nil {
			return nil, err
		}
	}
	config := &tls.Config{}
	if d.config.TLS != nil {
		config = d.config.TLS.Clone()
	}
	config.MinVersion = tls.VersionTLS12
	if config.ServerName == "" {
		config.ServerName = e.Host
	}
	protected := tls.Client(c.raw, config)
	if err := protected.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	c.ends = protected.ConnectionState().PeerCertificates[0].NotAfter
	return protected, nil
}

// requestTLS asks for TLS (RFC 4511 §4.14). It reads not an octet beyond the
// answer: what follows it in plain text is no answer of the server's.
func requestTLS(c net.Conn) error {
	packet := ber.NewSequence("")
	packet.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, 1, ""))
	request := ber.Encode(ber.ClassApplication, ber.TypeConstructed, client.ApplicationExtendedRequest, nil, "")
	request.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, startTLS, ""))
	packet.AppendChild(request)
	if _, err := c.Write(packet.Bytes()); err != nil {
		return err
	}
	answer, err := ber.ReadPacket(c)
	if err != nil {
		return err
	}
	if err := client.GetLDAPError(answer); err != nil {
		return fmt.Errorf("the server refuses StartTLS: %w", err)
	}
	return nil
}

func (d *Directory) bind(c *client.Conn) error {
	switch {
	case d.config.External:
		return c.ExternalBind()
	case d.config.BindDN != "":
		return c.Bind(d.config.BindDN, string(d.config.Password))
	}
	return nil
}

// watch has a use of the connection end with its context, which costs the
// connection: what a server answers too late must not answer the next search.
func (c *conn) watch(ctx context.Context) {
	c.raw.left.Store(mostAnswer)
	c.cut = context.AfterFunc(ctx, func() { _ = c.raw.Close() })
}

// discard closes the connection without a word to a server that may not listen.
func (c *conn) discard() {
	_ = c.raw.Close() // first, or closing could wait for a write
	_ = c.Close()     // it says that it is closed
}

// stepError is why a server could not be asked.
type stepError struct {
	cause  auth.Cause
	server string
	err    error
}

func (e *stepError) Error() string { return e.server + ": " + e.err.Error() }
func (e *stepError) Unwrap() error { return e.err }

// reason is what the log and "bridgehead why" get to know.
func (e *stepError) reason() auth.Reason {
	return auth.Reason{Cause: e.cause, Evidence: []auth.Evidence{{Key: "server", Value: e.server}, {Key: "error", Value: printable(e.err.Error())}}}
}

// causeOfTLS names what went wrong before the bind.
func causeOfTLS(err error) auth.Cause {
	var (
		verification *tls.CertificateVerificationError
		hostname     x509.HostnameError
		alert        tls.AlertError
		header       tls.RecordHeaderError
		refused      *client.Error
	)
	if errors.As(err, &verification) || errors.As(err, &hostname) || errors.As(err, &alert) || errors.As(err, &header) || errors.As(err, &refused) {
		return auth.CauseLDAPTLS
	}
	return auth.CauseLDAPUnreachable
}

// causeOf names what a server's answer means, or other where it is of no such
// kind.
func causeOf(err error, other auth.Cause) auth.Cause {
	var e *client.Error
	if !errors.As(err, &e) {
		return other
	}
	switch e.ResultCode {
	case client.ErrorNetwork:
		return auth.CauseLDAPUnreachable
	case client.LDAPResultConfidentialityRequired:
		return auth.CauseLDAPTLS
	case client.LDAPResultInvalidCredentials, client.LDAPResultInappropriateAuthentication, client.LDAPResultStrongAuthRequired:
		return auth.CauseLDAPBindRefused
	case client.LDAPResultNoSuchObject:
		return auth.CauseLDAPNoBase
	case client.LDAPResultInsufficientAccessRights:
		return auth.CauseLDAPNoRights
	case client.LDAPResultReferral:
		return auth.CauseLDAPReferral
	case client.LDAPResultSizeLimitExceeded, client.LDAPResultTimeLimitExceeded, client.LDAPResultAdminLimitExceeded:
		return auth.CauseLDAPLimit
	case client.LDAPResultBusy, client.LDAPResultUnavailable:
		return auth.CauseLDAPTimeout
	}
	return other
}
