package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"bridgehead/cmd/bridgehead/internal/admin"
	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/cmd/bridgehead/internal/gateway"
	"bridgehead/ikev2"
)

func (a *app) quickstartCommand() *cobra.Command {
	var (
		o                  = gateway.QuickOptions{Random: rand.Reader}
		listen, pools, dns []string
		level              slog.Level
	)
	c := &cobra.Command{
		Use:   "quickstart",
		Short: "Run a gateway for a trial: no files to write, one command",
		Long: `Quickstart makes a certificate and a user, turns this host into a gateway, says
what to do at the client, and reports who logs in. Ctrl-C ends it and puts the
host's network back as it was. The certificate stays in the folder given by
--state, so that clients need not be set up anew the next time.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if o.Listen, err = parseAll(listen, parseAddress); err != nil {
				return usage("--listen", err)
			}
			if o.Pools, err = parseAll(pools, config.ParsePool); err != nil {
				return usage("--pool", err)
			}
			if o.DNS, err = parseAll(dns, parseAddress); err != nil {
				return usage("--dns", err)
			}
			o.Control = a.control
			return a.quickstart(c.Context(), o, level)
		},
	}
	f := c.Flags()
	a.controlFlag(c)
	f.StringVar(&o.State, "state", "/var/lib/bridgehead/quickstart", "`FOLDER` for all that is made")
	f.StringVar(&o.Name, "name", "", "the `NAME` clients type; without it, this host's address")
	f.StringSliceVar(&listen, "listen", nil, "`ADDRESS` to listen on; without it, all")
	f.Uint16Var(&o.IKEPort, "port", config.Default().Server.IKEPort, "UDP `PORT` of IKE; clients' own software knows 500 only")
	f.Uint16Var(&o.NATTPort, "nat-port", config.Default().Server.NATTPort, "UDP `PORT` of IKE and ESP behind NAT; clients' own software knows 4500 only")
	f.StringVar(&o.User, "user", "alice", "`NAME` of the user")
	f.BoolVar(&o.NewPassword, "new-password", false, "make a new password for a user of an earlier run")
	f.StringSliceVar(&pools, "pool", nil, "`PREFIX` for clients; without it, one of each family that is free here")
	f.StringSliceVar(&dns, "dns", nil, "name server's `ADDRESS` for clients; without it, this host's")
	f.TextVar(&level, "log-level", slog.LevelError, "debug, info, warn or error")
	return c
}

// usage is an error of the command line found after its parsing.
func usage(flag string, err error) error {
	return &codedError{exitUsage, fmt.Errorf("%s: %w", flag, err)}
}

func (a *app) quickstart(ctx context.Context, o gateway.QuickOptions, level slog.Level) (err error) {
	q, err := gateway.PrepareQuickstart(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	// The lines below are the log of a trial; the other one is for trouble.
	adjust := func(c *config.Config) { c.Log.Level = level }
	adjust(q.Config)
	logger := gateway.NewLogger(a.err, q.Config.Log, new(slog.LevelVar))
	g, err := gateway.New(ctx, q.Config, gateway.Options{Logger: logger, Version: build().Version, File: q.File, Adjust: adjust})
	if err != nil {
		return fmt.Errorf("not started: %w", err)
	}
	q.Notes = append(q.Notes, g.Cautions()...)
	a.welcome(q, g.Listening())
	follower := g.Journal().Follow()
	told := make(chan struct{})
	go func() { // ends with the journal, which ends with the gateway
		defer close(told)
		for e := range follower.Events() {
			a.tell(e)
		}
	}()
	err = g.Run(ctx)
	follower.Close()
	<-told
	if err == nil {
		fmt.Fprintln(a.out, "stopped; this host's network is as it was before")
	}
	return err
}

// tell writes one line for an event that a person wants to see.
func (a *app) tell(e admin.Event) {
	switch e.Kind {
	case admin.KindUp:
		fmt.Fprintf(a.out, "%s  %s  %s\n", e.Time.Local().Format("15:04:05"), a.paint(green, "in "), visible(e.Text))
	case admin.KindDown:
		fmt.Fprintf(a.out, "%s  %s  %s\n", e.Time.Local().Format("15:04:05"), a.paint(bold, "out"), visible(e.Text))
	case admin.KindRefused, admin.KindSilent:
		fmt.Fprintf(a.out, "%s  %s  %s (more: bridgehead why%s)\n", e.Time.Local().Format("15:04:05"), a.paint(red, "no "), visible(e.Text), controlHint(a))
	}
}

// controlHint is the flag that the other verbs need to find this gateway.
func controlHint(a *app) string {
	if a.control == config.DefaultControl {
		return ""
	}
	return " --control " + a.control
}

// welcome says what to type and to import at each client.
func (a *app) welcome(q *gateway.Quickstart, listening []string) {
	password := q.Password
	if password == "" {
		password = "the one of the first run (another: --new-password)"
	}
	pools := make([]string, len(q.Config.Addresses.Pools))
	for i, p := range q.Config.Addresses.Pools {
		pools[i] = p.String()
	}
	fmt.Fprintf(a.out, "%s\n\n", a.paint(bold, "The gateway runs."))
	rows := [][]string{
		{"  server", q.Names[0]},
		{"  user", q.User},
		{"  password", password},
		{"  certificate authority", q.CA},
		{"  listening", strings.Join(listening, "; ")},
		{"  clients get", strings.Join(pools, ", ")},
	}
	if len(q.Names) > 1 {
		rows = append(rows, []string{"  also named", strings.Join(q.Names[1:], ", ")})
	}
	_ = a.table(rows...) // a broken terminal is no reason to stop the gateway
	fmt.Fprint(a.out, "\n", clientHelp(q), "\n")
	for _, n := range q.Notes {
		fmt.Fprintf(a.out, "Note: %s\n", n)
	}
	fmt.Fprintf(a.out, "Also: bridgehead status%s, sessions, why. As a service: bridgehead serve --config %s\n", controlHint(a), q.File)
	fmt.Fprintf(a.out, "Ctrl-C ends it. Logins and logouts follow.\n\n")
}

// clientHelp is the shortest way to a connection for each kind of client.
func clientHelp(q *gateway.Quickstart) string {
	server := q.Names[0]
	return fmt.Sprintf(`At the client (copy %[2]s to it first):
  Windows     as administrator in PowerShell:
                Import-Certificate -FilePath ca.pem -CertStoreLocation Cert:\LocalMachine\Root
                Add-VpnConnection -Name bridgehead -ServerAddress %[1]s -TunnelType Ikev2 -AuthenticationMethod Eap -EncryptionLevel Maximum
                Add-VpnConnectionRoute -ConnectionName bridgehead -DestinationPrefix ::/1
                Add-VpnConnectionRoute -ConnectionName bridgehead -DestinationPrefix 8000::/1
                %[4]s
  Apple       open ca.pem and trust it; Settings, VPN, IKEv2: server and remote ID %[1]s, user name and password
  Android     install ca.pem as a CA certificate; Settings, VPN, IKEv2/IPSec MSCHAPv2: server and identifier %[1]s
              or the strongSwan app: server %[1]s, IKEv2 EAP, the CA certificate chosen
  Linux       charon-cmd --cert ca.pem --host %[1]s --remote-identity %[1]s --identity %[3]s --profile ikev2-eap
  any of them from outside, without a tunnel: bridgehead probe %[1]s --ca ca.pem --user %[3]s
`, server, q.CA, q.User, ikev2.WindowsSettings("bridgehead"))
}
