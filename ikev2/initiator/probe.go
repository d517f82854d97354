package initiator

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// Milliseconds is a duration that JSON shows as a number of milliseconds.
type Milliseconds float64

func milliseconds(d time.Duration) Milliseconds {
	return Milliseconds(float64(d.Microseconds()) / 1000)
}

// ProbeReport is a complete login seen from the outside.
type ProbeReport struct {
	Server     string         `json:"server"`                // as it was given
	Address    string         `json:"address,omitempty"`     // that was tried
	ServerName string         `json:"server_name"`           // that the certificate must carry
	Verdict    Verdict        `json:"verdict"`               // what came of it
	FailedAt   Step           `json:"failed_at,omitempty"`   // empty if nothing failed
	Error      string         `json:"error,omitempty"`       // what failed and what to do
	Steps      []ReportedStep `json:"steps"`                 // in their order, the failed one left out
	Total      Milliseconds   `json:"total_ms"`              // of the login
	Logout     Milliseconds   `json:"logout_ms,omitempty"`   // 0 if it was not reached
	Suite      string         `json:"ike,omitempty"`         // chosen by the gateway, strongSwan's notation
	ESP        string         `json:"esp,omitempty"`         // the same of the Child SA
	Group      string         `json:"group,omitempty"`       // asked for instead of our first
	Cookie     bool           `json:"cookie"`                // it asked for a cookie
	Fragments  bool           `json:"fragmentation"`         // it takes fragments (RFC 7383)
	NAT        bool           `json:"nat"`                   // in front of this end, or announced by it
	GatewayNAT bool           `json:"gateway_nat"`           // in front of the gateway, or announced by it
	Identity   string         `json:"identity,omitempty"`    // IDr
	Signature  string         `json:"signature,omitempty"`   // AUTH method
	Cert       *ReportedCert  `json:"certificate,omitempty"` // the gateway's, if one came
	EAP        string         `json:"eap,omitempty"`         // method
	Addresses  []netip.Prefix `json:"addresses,omitempty"`   // inner ones it gave
	DNS        []netip.Addr   `json:"dns,omitempty"`         // name servers it gave
	Domains    []string       `json:"domains,omitempty"`     // to be resolved there (RFC 8598)
	Routes     []netip.Prefix `json:"routes,omitempty"`      // what it lets this client reach
	Err        error          `json:"-"`                     // a Failure, nil if the login was complete
}

// ReportedStep is a step and its time.
type ReportedStep struct {
	Step Step         `json:"step"` // of the login
	Time Milliseconds `json:"ms"`   // it took
}

// ReportedCert is the gateway's certificate.
type ReportedCert struct {
	Subject   string    `json:"subject"`    // distinguished name
	Issuer    string    `json:"issuer"`     // distinguished name of who signed it
	Names     []string  `json:"names"`      // subject alternative names
	Key       string    `json:"key"`        // kind and size
	NotAfter  time.Time `json:"not_after"`  // when it ends
	DaysLeft  int       `json:"days_left"`  // until then
	ChainSent int       `json:"chain_sent"` // certificates sent, its own included
}

// Probe logs in to a gateway, any maker's, logs out again and reports on it.
// It never fails: the report's Verdict tells what happened. ctx bounds the
// whole.
func Probe(ctx context.Context, cfg Config) ProbeReport {
	cfg = cfg.withDefaults()
	r := ProbeReport{Server: cfg.Server, ServerName: cfg.certificateName(), Verdict: VerdictOK, Steps: []ReportedStep{}}
	to, resolving, err := resolve(ctx, cfg)
	if err != nil {
		r.fail(err)
		return r
	}
	r.Address = to.remote.String()
	c, closeSockets, err := listen(to.local)
	if err != nil {
		r.fail(err)
		return r
	}
	defer closeSockets()
	s, err := c.start(cfg, to, resolving)
	if err == nil {
		err = s.await(ctx)
	}
	if err != nil {
		r.fail(err)
	}
	if s == nil {
		return r
	}
	r.show(s, cfg.Now())
	if err == nil {
		began := cfg.Now()
		if err := s.Close(ctx); err != nil {
			r.fail(err)
		}
		r.Logout = milliseconds(cfg.Now().Sub(began))
	}
	return r
}

// fail names the first failure.
func (r *ProbeReport) fail(err error) {
	if r.Err != nil {
		return
	}
	r.Err, r.Error, r.Verdict = err, err.Error(), VerdictUnknownOutcome
	var f Failure
	if errors.As(err, &f) {
		r.Verdict, r.FailedAt = f.Verdict(), f.At()
	}
}

// show takes over what the gateway showed, as far as the login came.
func (r *ProbeReport) show(s *Session, now time.Time) {
	var total time.Duration
	for _, step := range s.Steps() {
		r.Steps = append(r.Steps, ReportedStep{step.Step, milliseconds(step.Duration)})
		total += step.Duration
	}
	r.Total = milliseconds(total)
	shown := s.Result()
	r.Suite, r.ESP, r.Group, r.Cookie, r.Fragments = shown.IKE, shown.ESP, shown.Group, shown.Cookie, shown.Fragments
	r.NAT, r.GatewayNAT, r.Identity, r.Signature, r.EAP = shown.NATLocal, shown.NATRemote, shown.Server, shown.Signature, shown.Method
	r.Addresses, r.DNS, r.Domains = shown.Config.Addresses, shown.Config.DNS, shown.Config.Domains
	r.Routes = Prefixes(shown.RemoteSelectors)
	if c := shown.Certificate; c.Sent > 0 {
		r.Cert = &ReportedCert{
			Subject: c.Subject, Issuer: c.Issuer, Names: append([]string{}, c.Names...), Key: c.Key, NotAfter: c.NotAfter,
			DaysLeft: int(c.NotAfter.Sub(now).Hours() / 24), ChainSent: c.Sent,
		}
	}
}
