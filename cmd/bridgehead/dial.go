package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// dialFlags are what probe, bench and connect need to log in.
type dialFlags struct {
	user, serverName, ca string
	ike, esp             string
	as                   string
	port, natPort        uint16
	patience             time.Duration
}

func (d *dialFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&d.user, "user", "", "`NAME` to log in with; the password comes from the terminal or standard input")
	f.StringVar(&d.serverName, "server-name", "", "`NAME` to ask for and to find in the certificate; without it, ADDRESS")
	f.StringVar(&d.ca, "ca", "", "PEM `FILE` of the trusted authority; without it, those of the system")
	f.StringVar(&d.ike, "ike", "", "IKE `PROPOSALS` in strongSwan's notation")
	f.StringVar(&d.esp, "esp", "", "ESP `PROPOSALS` in strongSwan's notation")
	f.StringVar(&d.as, "as", "bridgehead", "look like this `CLIENT` on the wire: bridgehead, windows, android, apple, or a version of these such as windows7")
	f.Uint16Var(&d.port, "port", initiator.DefaultIKEPort, "the gateway's UDP `PORT` of IKE")
	f.Uint16Var(&d.natPort, "nat-port", initiator.DefaultNATTPort, "the gateway's UDP `PORT` of IKE and ESP behind NAT")
	f.DurationVar(&d.patience, "patience", 30*time.Second, "how long a login may take")
	if err := c.MarkFlagRequired("user"); err != nil {
		panic(err) // the flag stands a few lines above
	}
}

// profileNamed finds the client that --as names. The error lists those known.
func profileNamed(name string) (*initiator.Profile, error) {
	if name == "windows" {
		return initiator.Windows10(), nil
	}
	known := []string{"windows"}
	for _, p := range initiator.Profiles() {
		if p.Name == name {
			return p, nil
		}
		known = append(known, p.Name)
	}
	return nil, fmt.Errorf("%q is not known; known: %s", name, strings.Join(known, ", "))
}

// config asks for the password and makes the client's configuration.
func (d *dialFlags) config(ctx context.Context, a *app, server string) (initiator.Config, error) {
	c := initiator.Config{Server: server, ServerName: d.serverName, User: d.user, IKEPort: d.port, NATTPort: d.natPort}
	var err error
	if c.Profile, err = profileNamed(d.as); err != nil {
		return c, usage("--as", err)
	}
	if c.IKE, err = parseProposals(message.ProtocolIKE, d.ike); err != nil {
		return c, usage("--ike", err)
	}
	if c.ESP, err = parseProposals(message.ProtocolESP, d.esp); err != nil {
		return c, usage("--esp", err)
	}
	if d.ca != "" {
		if c.Roots, err = readRoots(d.ca); err != nil {
			return c, usage("--ca", err)
		}
	}
	if c.ServerName == "" {
		if name, err := config.ServerName(server); err == nil {
			c.ServerName = name
		}
	}
	c.Password, err = a.readPassword(ctx, "Password of "+visible(d.user), false)
	return c, err
}

func parseProposals(p message.Protocol, s string) (suite.Proposals, error) {
	if s == "" {
		return nil, nil
	}
	return suite.ParseProposals(p, s)
}

func readRoots(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return pool, nil
}

// verdictError gives the exit code of a login's outcome.
func verdictError(v initiator.Verdict) error {
	switch v {
	case initiator.VerdictOK:
		return nil
	case initiator.VerdictNoAnswer, initiator.VerdictInterrupted:
		return &codedError{exitTimeout, errSaid}
	case initiator.VerdictCredentials:
		return &codedError{exitDenied, errSaid}
	}
	return errSaid
}

// failureError is verdictError for an error of the initiator, which it prints.
func failureError(err error) error {
	var f initiator.Failure
	if !errors.As(err, &f) {
		return err
	}
	coded := new(codedError)
	if errors.As(verdictError(f.Verdict()), &coded) {
		return &codedError{coded.code, err}
	}
	return err
}
