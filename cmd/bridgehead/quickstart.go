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
			var log *slog.Level
			if c.Flags().Changed("log-level") {
				log = &level
			}
			return a.quickstart(c.Context(), o, log)
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
	f.TextVar(&level, "log-level", slog.LevelError, "write the log of a service, too: debug, info, warn or error; without it, errors take one line each")
	return c
}

// usage is an error of the command line found after its parsing.
func usage(flag string, err error) error {
	return &codedError{exitUsage, fmt.Errorf("%s: %w", flag, err)}
}

// quickstart runs the trial. log is the level of the log that a service
// writes; nil: there is none, errors stand among the lines of the trial.
func (a *app) quickstart(ctx context.Context, o gateway.QuickOptions, log *slog.Level) (err error) {
	stop := a.progress(func() string { return "making keys" })
	q, err := gateway.PrepareQuickstart(o)
	stop()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	logger := slog.New(newLineHandler(a.err))
	adjust := func(*config.Config) {}
	if log != nil {
		adjust = func(c *config.Config) { c.Log.Level = *log }
		adjust(q.Config)
		logger = gateway.NewLogger(a.err, q.Config.Log, new(slog.LevelVar))
	}
	g, err := gateway.New(ctx, q.Config, gateway.Options{Logger: logger, Version: build().Version, File: q.File, Adjust: adjust})
	if err != nil {
		return fmt.Errorf("not started: %w", err)
	}
	if left := g.Restored(); len(left) > 0 {
		q.Notes = append(q.Notes, "an earlier run did not come to its end; undone now: "+strings.Join(left, "; "))
	}
	q.Notes = append(q.Notes, g.Cautions()...)
	a.welcome(q, g.Listening())
	told := make(chan struct{})
	go func() { // ends with the journal, which ends with the gateway
		defer close(told)
		a.tellAll(g.Journal())
	}()
	err = g.Run(ctx)
	<-told
	if err == nil {
		fmt.Fprintln(a.out, "stopped; this host's network is as it was before")
	}
	return err
}

// tellAll tells events until the journal ends.
func (a *app) tellAll(j *admin.Journal) {
	for {
		follower := j.Follow()
		for e := range follower.Events() {
			a.tell(e)
		}
		if !follower.Slow() {
			return
		}
		fmt.Fprintf(a.out, "some lines are left out, they came too fast; see them with: %s events%s\n", program(), controlHint(a))
	}
}

// tell writes one line for an event that a person wants to see.
func (a *app) tell(e admin.Event) {
	switch e.Kind {
	case admin.KindUp:
		fmt.Fprintf(a.out, "%s  %s  %s\n", e.Time.Local().Format("15:04:05"), a.paint(green, "in "), visible(e.Text))
	case admin.KindDown:
		fmt.Fprintf(a.out, "%s  %s  %s\n", e.Time.Local().Format("15:04:05"), a.paint(bold, "out"), visible(e.Text))
	case admin.KindRefused, admin.KindSilent:
		fmt.Fprintf(a.out, "%s  %s  %s (more: %s why%s)\n", e.Time.Local().Format("15:04:05"), a.paint(red, "no "), visible(e.Text), program(), controlHint(a))
	}
}

// controlHint is the flag that the other verbs need to find this gateway.
func controlHint(a *app) string {
	if a.control == config.DefaultControl {
		return ""
	}
	return " --control " + a.control
}
