package radius

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"

	"bridgehead/auth"
	"bridgehead/auth/eap"
)

// Fault is what is wrong between the gateway and a server.
type Fault uint8

// Faults, as far as they can be told apart from the gateway's side.
const (
	NoFault        Fault = iota
	NothingListens       // the host says so (ICMP, or a TCP reset)
	Unreachable          // there is no way to the host, or no such name
	Silence              // filtered, or the server takes the gateway for a stranger, or the secrets differ
	WrongSecret          // it answers with another secret than the gateway's
	NotSigned            // its answers lack the Message-Authenticator
	NoLogin              // Status-Server is answered, a login is not
	NoStatus             // a login is answered, Status-Server is not
	TLSName              // its certificate is for another name
	TLSAuthority         // its certificate is of an authority that the gateway does not trust
	TLSExpired           // its certificate is not good at this time
	TLSRefused           // it refuses the gateway's certificate
	TLSFailed            // any other fault of TLS
)

// Finding is what a trial of a server showed.
type Finding struct {
	Fault     Fault
	Err       error         // what was seen of the fault; may be nil
	RoundTrip time.Duration // of the answer; zero: there was none
	Signed    bool          // the answer to a login had a Message-Authenticator
	Ends      time.Time     // of the server's certificate; zero: it was not seen
}

// Trial is what a server is asked.
type Trial uint8

// Trials. Both logins are those of a user that nobody has.
const (
	TryEAP      Trial = iota // Status-Server, and a login that begins with an EAP identity
	TryMSCHAPv2              // Status-Server, and a login with MS-CHAPv2 (RFC 2548)
	TryStatus                // Status-Server alone, as on a port for accounting
)

// trialUser is the user that nobody has.
const trialUser = "bridgehead-check"

// Times of a trial.
const (
	trialTime = 4 * time.Second
	trialWait = 3 * time.Second // for a sign of life
)

// Examine asks a server, and tells what is wrong where it does not answer as it
// should. The error tells that the configuration can't work, or that ctx ended.
func Examine(ctx context.Context, c ServerConfig, trial Trial, o Options) (Finding, error) {
	asksStatus := !c.NoStatusServer || trial == TryStatus
	c.NoStatusServer = true // it is asked once, by the trial
	c.Retransmission = Retransmission{Initial: time.Second, Count: 3, Total: trialTime}
	c.Health = Health{Probe: trialWait}
	var ends time.Time
	if c.TLS != nil {
		c.TLS = c.TLS.Clone()
		c.TLS.VerifyConnection = func(s tls.ConnectionState) error {
			ends = s.PeerCertificates[0].NotAfter // Close waits for whoever dials
			return nil
		}
	}
	s, err := NewServer(c, o)
	if err != nil {
		return Finding{}, err
	}
	f := s.examine(ctx, trial, asksStatus)
	s.Close()
	f.Ends = ends
	if ctx.Err() != nil {
		return Finding{}, context.Cause(ctx)
	}
	return f, nil
}

// examine is Examine for a server that sends no Status-Server by itself.
func (s *Server) examine(ctx context.Context, trial Trial, asksStatus bool) (f Finding) {
	var (
		status, login error
		reply         *Reply
		asked         sync.WaitGroup
	)
	try, decide := context.WithCancel(ctx)
	defer decide()
	if asksStatus {
		asked.Go(func() { status = s.probe(try) })
	}
	if trial != TryStatus {
		asked.Go(func() { reply, login = s.Exchange(try, trial.attributes(s.options.Rand)) })
	}
	over := make(chan struct{})
	go func() { asked.Wait(); close(over) }()
	s.untilDecided(over)
	decide()
	<-over
	figures := s.Figures()
	f.RoundTrip = figures.RoundTrip
	if reply != nil {
		_, f.Signed = join(reply.Attributes, rfc2869.MessageAuthenticator_Type)
	}
	f.judge(figures, s.lastFault(), status, login)
	if f.Fault == Silence && s.config.TLS == nil && trial != TryStatus && s.answersOtherSecret(ctx) {
		f.Fault = WrongSecret
	}
	return f
}

// untilDecided waits until a trial is over, or the network has said twice why it
// can't succeed: once may be chance.
func (s *Server) untilDecided(over <-chan struct{}) {
	const often = 50 * time.Millisecond
	ticker := time.NewTicker(often)
	defer ticker.Stop()
	for {
		select {
		case <-over:
			return
		case <-ticker.C:
		}
		f := s.Figures()
		if f.Answers == 0 && f.ConnectFailures+f.LinkFault > 1 && faultOf(s.lastFault(), f.TLS) != Silence {
			return
		}
	}
}

// lastFault is what the network said last.
func (s *Server) lastFault() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// judge names the fault.
func (f *Finding) judge(figures Figures, fault, status, login error) {
	var silent *SilentError
	if fault == nil && errors.As(errors.Join(login, status), &silent) {
		fault = silent.Cause
	}
	switch {
	case status == nil && login == nil:
		return
	case figures.BadAuthenticators > 0:
		f.Fault = WrongSecret
	case figures.Unsigned > 0:
		f.Fault = NotSigned
	case login == nil && figures.Answers > 0:
		f.Fault = NoStatus
		return
	case figures.Answers > 0:
		f.Fault = NoLogin
	default:
		f.Fault = faultOf(fault, figures.TLS)
	}
	f.Err = fault
}

// faultOf names what the network said; silence where it said nothing.
func faultOf(err error, overTLS bool) Fault {
	var (
		name      x509.HostnameError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		remote    *net.OpError
		dns       *net.DNSError
	)
	switch {
	case err == nil, errors.Is(err, context.DeadlineExceeded):
		return Silence
	case errors.Is(err, syscall.ECONNREFUSED):
		return NothingListens
	case errors.As(err, &dns), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return Unreachable
	case errors.As(err, &name):
		return TLSName
	case errors.As(err, &authority):
		return TLSAuthority
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return TLSExpired
	case errors.Is(err, errTurnedAway), errors.As(err, &remote) && remote.Op == "remote error":
		return TLSRefused
	case errors.As(err, &remote) && remote.Timeout():
		return Silence
	case overTLS:
		return TLSFailed
	}
	return Unreachable
}

// attributes are those of a login that nobody's client makes.
func (t Trial) attributes(rand io.Reader) codec.Attributes {
	var a codec.Attributes
	a.Add(rfc2865.UserName_Type, codec.Attribute(trialUser))
	a.Add(rfc2865.NASPortType_Type, codec.NewInteger(uint32(rfc2865.NASPortType_Value_Virtual)))
	if t == TryEAP {
		identity := eap.Packet{Code: eap.CodeResponse, Identifier: 1, Type: eap.TypeIdentity, Data: []byte(trialUser)}
		return split(a, rfc2869.EAPMessage_Type, identity.Append(nil))
	}
	var r auth.MSCHAPv2Response
	for _, b := range [][]byte{r.AuthenticatorChallenge[:], r.PeerChallenge[:], r.NTResponse[:]} {
		if _, err := io.ReadFull(rand, b); err != nil {
			break // what is asked proves nothing anyway
		}
	}
	return append(a, responseAttributes(r)...)
}

// answersOtherSecret tells a server that drops what is not signed with its
// secret from one that drops everything. Many still take a login by password
// without Message-Authenticator, and sign the answer with theirs. User and
// password are nobody's.
func (s *Server) answersOtherSecret(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, trialWait)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return false
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	p := codec.Packet{Code: codec.CodeAccessRequest, Identifier: 1, Secret: s.config.Secret}
	password := make([]byte, 16)
	for _, b := range [][]byte{p.Authenticator[:], password} {
		if _, err := io.ReadFull(s.options.Rand, b); err != nil {
			return false
		}
	}
	hidden, err := codec.NewUserPassword(password, s.config.Secret, p.Authenticator[:])
	if err != nil {
		return false
	}
	p.Add(rfc2865.UserName_Type, codec.Attribute(trialUser))
	p.Add(rfc2865.UserPassword_Type, hidden)
	if id := s.config.NASIdentifier; id != "" {
		p.Add(rfc2865.NASIdentifier_Type, codec.Attribute(id[:min(len(id), maxValue)]))
	}
	q, err := p.MarshalBinary()
	if err != nil || conn.send(q) != nil {
		return false
	}
	buf := make([]byte, codec.MaxPacketLength)
	for ctx.Err() == nil {
		n, err := conn.receive(buf)
		if err != nil {
			return false
		}
		b, _, err := whole(buf[:n])
		if err != nil || b[1] != p.Identifier || !answers(codec.Code(b[0]), codec.CodeAccessRequest) {
			continue
		}
		h := md5.New()
		h.Write(b[:4])
		h.Write(p.Authenticator[:])
		h.Write(b[headerLen:])
		h.Write(s.config.Secret)
		return !hmac.Equal(h.Sum(nil), b[4:headerLen])
	}
	return false
}
