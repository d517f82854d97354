package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/radius"
)

// ServerTrial is what asking a RADIUS server showed.
type ServerTrial struct {
	Server    string        `json:"server"`          // of [radius.NAME]
	Use       string        `json:"use"`             // "login" or "accounting"
	Address   string        `json:"address"`         // host and port
	Transport string        `json:"transport"`       // "UDP" or "TLS"
	Fault     config.Cause  `json:"fault,omitempty"` // a short name of what is wrong, which stays
	RoundTrip time.Duration `json:"round_trip_ns"`   // nanoseconds; 0: there was no answer
	Signed    bool          `json:"signed"`          // the answer to a login had a Message-Authenticator
	Ends      time.Time     `json:"ends,omitzero"`   // of the server's certificate
	Seen      string        `json:"seen,omitempty"`  // of the fault, for a person
}

// Uses of a server.
const useLogin, useAccounting = "login", "accounting"

// ExamineServers asks every RADIUS server that the configuration uses. What is
// wrong is a warning: a server that is away keeps no gateway from starting. The
// configuration has been found usable.
func ExamineServers(ctx context.Context, c *config.Config) ([]ServerTrial, []config.Problem, error) {
	directory, err := examineDirectory(ctx, c)
	if err != nil || !c.Auth.Uses(config.BackendRADIUS) && c.Accounting.Backend != config.AccountingRADIUS {
		return nil, directory, err
	}
	plan, _ := planRADIUS(c)
	var trials []*serverTrial
	for _, g := range plan.groups {
		for _, s := range g.servers {
			if len(s.Secret) == 0 && s.TLS == nil {
				continue // only the service can read it
			}
			named := c.RADIUS[slices.IndexFunc(c.RADIUS, func(r config.RADIUSServer) bool { return r.Name == s.Name })]
			trials = append(trials, trialsOf(c, named, s)...)
		}
	}
	var asked sync.WaitGroup
	for _, t := range trials {
		asked.Go(func() { t.run(ctx) })
	}
	asked.Wait()
	var (
		list     []ServerTrial
		problems = directory
	)
	for _, t := range trials {
		if t.err != nil {
			return nil, nil, t.err
		}
		list, problems = append(list, t.ServerTrial), append(problems, t.problems...)
	}
	return list, problems, nil
}

// serverTrial is one trial with what it takes.
type serverTrial struct {
	ServerTrial
	config *config.Config
	server config.RADIUSServer
	as     radius.ServerConfig
	trial  radius.Trial

	problems []config.Problem
	err      error
}

// trialsOf are what a server is to be asked: as for a login, and at a port of its
// own for accounting.
func trialsOf(c *config.Config, s config.RADIUSServer, as radius.ServerConfig) []*serverTrial {
	var list []*serverTrial
	add := func(use string, trial radius.Trial, as radius.ServerConfig) {
		t := &serverTrial{config: c, server: s, as: as, trial: trial}
		t.Server, t.Use, t.Address, t.Transport = s.Name, use, as.Address, "UDP"
		if as.TLS != nil {
			t.Transport = "TLS"
		}
		list = append(list, t)
	}
	accounts := as.Accounting
	as.Accounting = ""
	switch {
	case c.Auth.Uses(config.BackendRADIUS) && c.Auth.RADIUS.Method == config.MethodMSCHAPv2:
		add(useLogin, radius.TryMSCHAPv2, as)
	case c.Auth.Uses(config.BackendRADIUS):
		add(useLogin, radius.TryEAP, as)
	}
	switch {
	case c.Accounting.Backend != config.AccountingRADIUS || !s.StatusServer:
	case accounts != "":
		as.Address = accounts
		add(useAccounting, radius.TryStatus, as)
	case !c.Auth.Uses(config.BackendRADIUS): // else the same connection was tried
		add(useAccounting, radius.TryStatus, as)
	}
	return list
}

// serverFault says what a fault is called, where it is set right, and how.
type serverFault struct {
	cause      config.Cause
	key        string // of the server's settings
	text, hint string // of which %s is the address
}

var serverFaults = map[radius.Fault]serverFault{
	radius.NothingListens: {config.CauseRADIUSNothingListens, "address", "nothing listens at %s", "start the server, or correct its port: 1812 for logins, 1813 for accounting, 2083 over TLS"},
	radius.Unreachable:    {config.CauseRADIUSUnreachable, "address", "%s cannot be reached", "look at the name, the routes, and the source address"},
	radius.Silence:        {config.CauseRADIUSSilent, "address", "%s does not answer", "one of three: a firewall on the way; the server has no client entry for this gateway's address; or the secrets differ. Its log tells which"},
	radius.WrongSecret:    {config.CauseRADIUSWrongSecret, "secret_file", "%s has another secret", "put the secret of the server's client entry for this gateway into the file"},
	radius.NotSigned:      {config.CauseRADIUSNotSigned, "message_authenticator", "%s answers without Message-Authenticator, so its answers are not believed", "update the server or have it add one to every reply; beside EAP nothing else will do"},
	radius.NoLogin:        {config.CauseRADIUSNoLogin, "address", "%s lives, but does not answer a login", "look at the server's log for the user bridgehead-check: it may drop unknown users, or lack EAP"},
	radius.NoStatus:       {config.CauseRADIUSNoStatus, "status_server", "%s answers logins, but not Status-Server (RFC 5997)", "enable it at the server (FreeRADIUS: status_server = yes), or set status_server = false: an outage is then noticed by lost logins alone"},
	radius.TLSName:        {config.CauseRADIUSTLSName, "tls.name", "the certificate of %s is for another name", "set tls.name to one of its names"},
	radius.TLSAuthority:   {config.CauseRADIUSTLSAuthority, "tls.ca", "the certificate of %s is of another authority", "put the authority that signed it into tls.ca; the server must send its intermediates"},
	radius.TLSExpired:     {config.CauseRADIUSTLSExpired, "address", "the certificate of %s is not good at this time", "renew it at the server, and look at both clocks"},
	radius.TLSRefused:     {config.CauseRADIUSTLSRefused, "tls.certificate", "%s refuses the gateway's certificate", "it must be for TLS clients, of an authority that the server trusts, and not over; the server's log tells more"},
	radius.TLSFailed:      {config.CauseRADIUSTLSFailed, "address", "no TLS with %s", "the port must be the server's for RADIUS over TLS, usually 2083, with TLS 1.2 or later"},
}

// run asks the server.
func (t *serverTrial) run(ctx context.Context) {
	f, err := radius.Examine(ctx, t.as, t.trial, radius.Options{})
	if err != nil {
		t.err = err
		return
	}
	t.RoundTrip, t.Signed, t.Ends = f.RoundTrip, f.Signed, f.Ends
	if f.Fault != radius.NoFault {
		fault := serverFaults[f.Fault]
		t.Fault = fault.cause
		text := fmt.Sprintf(fault.text, t.Address)
		if f.Err != nil {
			t.Seen = f.Err.Error()
			text += ": " + t.Seen
		}
		t.warn(fault.cause, t.setting(fault.key), text, fault.hint)
	}
	if left := time.Until(f.Ends); !f.Ends.IsZero() && left < soon {
		t.warn(config.CauseRADIUSTLSEnds, "address", fmt.Sprintf("the certificate of %s ends %s", t.Address, f.Ends.Format(time.DateOnly)), "renew it at the server")
	}
	if f.Fault == radius.NoFault && f.Signed && t.server.Unsigned {
		t.warn(config.CauseRADIUSSignsAll, "message_authenticator", t.Address+" signs its answers", `take message_authenticator = "optional" out, and none can be forged`)
	}
}

// setting is where a fault is set right: of an address, that which was asked.
func (t *serverTrial) setting(key string) string {
	if key == "address" && t.Use == useAccounting && t.server.Accounting != "" {
		return "accounting"
	}
	return key
}

func (t *serverTrial) warn(cause config.Cause, key, text, hint string) {
	setting := t.server.Setting(key)
	if t.Use == useAccounting {
		text = "accounting: " + text
	}
	t.problems = append(t.problems, t.config.Warn(setting, -1, setting+": "+text, hint).As(cause))
}

// String is the trial in a line.
func (t ServerTrial) String() string {
	words := []string{fmt.Sprintf("%s at %s", t.Transport, t.Address)}
	if t.Fault != "" {
		words = append(words, string(t.Fault))
	}
	if t.RoundTrip > 0 {
		words = append(words, "answers in "+t.RoundTrip.Round(10*time.Microsecond).String())
	}
	if t.Signed {
		words = append(words, "signs its answers")
	}
	if !t.Ends.IsZero() {
		words = append(words, "its certificate ends "+t.Ends.Format(time.DateOnly))
	}
	return strings.Join(words, ", ")
}
