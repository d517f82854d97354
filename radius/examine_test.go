package radius

import (
	"context"
	"crypto/md5"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"
)

// otherSecret answers what has no Message-Authenticator alone, with a secret of
// its own, as a server does whose secret is not the gateway's.
func otherSecret(q []byte) [][]byte {
	_, attrs, err := whole(q)
	if _, signed := join(attrs, rfc2869.MessageAuthenticator_Type); err != nil || signed {
		return nil
	}
	b := []byte{byte(codec.CodeAccessReject), q[1], 0, headerLen}
	sum := md5.Sum(append(append(append([]byte(nil), b...), q[4:headerLen]...), "its own secret"...))
	return [][]byte{append(b, sum[:]...)}
}

// replies answers Status-Server and logins each in its way; nil: not at all.
func replies(status, login *signing) func([]byte) [][]byte {
	return func(q []byte) [][]byte {
		how, code := login, codec.CodeAccessReject
		if codec.Code(q[0]) == codec.CodeStatusServer {
			how, code = status, codec.CodeAccessAccept
		}
		if how == nil {
			return nil
		}
		return [][]byte{reply(q, code, *how)}
	}
}

func TestWhatATrialOfAServerShows(t *testing.T) {
	good, bare, wrong := signed, unsigned, wrongAuthenticator
	for _, test := range []struct {
		name   string
		answer func([]byte) [][]byte
		down   error
		change func(*ServerConfig)
		trial  Trial
		status bool
		want   Fault
		signed bool
	}{
		{"all is well", replies(&bare, &good), nil, nil, TryEAP, true, NoFault, true},
		{"all is well with MS-CHAPv2", replies(&bare, &good), nil, nil, TryMSCHAPv2, true, NoFault, true},
		{"no Status-Server wanted", replies(nil, &good), nil, nil, TryEAP, false, NoFault, true},
		{"no Status-Server", replies(nil, &good), nil, nil, TryEAP, true, NoStatus, true},
		{"no login", replies(&bare, nil), nil, nil, TryEAP, true, NoLogin, false},
		{"a port for accounting", replies(&bare, nil), nil, nil, TryStatus, true, NoFault, false},
		{"a port that is silent", silence, nil, nil, TryStatus, true, Silence, false},
		{"not signed", replies(&bare, &bare), nil, nil, TryEAP, true, NotSigned, false},
		{"not signed, and needs not be", replies(&bare, &bare), nil, func(c *ServerConfig) { c.AllowUnsigned = true }, TryEAP, true, NoFault, false},
		{"bad authenticators", replies(&wrong, &wrong), nil, nil, TryEAP, true, WrongSecret, false},
		{"silent", silence, nil, nil, TryEAP, true, Silence, false},
		{"silent to what is signed with another secret", otherSecret, nil, nil, TryEAP, true, WrongSecret, false},
		{"nothing listens", silence, os.NewSyscallError("connect", syscall.ECONNREFUSED), nil, TryEAP, true, NothingListens, false},
		{"no way", silence, os.NewSyscallError("connect", syscall.EHOSTUNREACH), nil, TryEAP, true, Unreachable, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &wire{answer: test.answer, down: test.down}
			s := newTestServer(t, w, func(c *ServerConfig) {
				c.NoStatusServer, c.Retransmission.Total = true, trialTime
				if test.change != nil {
					test.change(c)
				}
			})
			defer s.Close()
			f := s.examine(t.Context(), test.trial, test.status)
			if f.Fault != test.want || f.Signed != test.signed {
				t.Errorf("%s: %+v", test.name, f)
			}
			for _, q := range requests(w.packets(), codec.CodeAccessRequest) {
				_, attrs, err := whole(q)
				if name, _ := join(attrs, rfc2865.UserName_Type); err != nil || string(name) != trialUser {
					t.Errorf("%s: %q is asked for", test.name, name)
				}
			}
		})
	}
}

func TestFaultsOfTheNetwork(t *testing.T) {
	remote := &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}
	for want, errs := range map[Fault][]error{
		Silence:        {nil, context.DeadlineExceeded, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}},
		NothingListens: {syscall.ECONNREFUSED},
		Unreachable:    {&net.DNSError{Err: "no such host"}, syscall.ENETUNREACH, syscall.EADDRNOTAVAIL},
		TLSName:        {x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}},
		TLSAuthority:   {x509.UnknownAuthorityError{}},
		TLSExpired:     {x509.CertificateInvalidError{Reason: x509.Expired}},
		TLSRefused:     {remote, errTurnedAway},
		TLSFailed:      {x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}, errors.New("tls: first record does not look like a TLS handshake")},
	} {
		for _, err := range errs {
			if err != nil {
				err = fmt.Errorf("wrapped: %w", err)
			}
			if got := faultOf(err, true); got != want {
				t.Errorf("%v is fault %d, want %d", err, got, want)
			}
		}
	}
}
