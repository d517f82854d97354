package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bridgehead/auth"
	"bridgehead/cmd/bridgehead/internal/gateway"
)

func (a *app) authCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "auth",
		Short: "Try who decides who may come in",
	}
	c.AddCommand(a.authTestCommand())
	return c
}

func (a *app) authTestCommand() *cobra.Command {
	var (
		file, passwordFile string
		from               addressFlag
		test               gateway.LoginTest
		brief, asJSON      bool
	)
	c := &cobra.Command{
		Use:   "test USER",
		Short: "Log a user in with the configured backend and show every packet",
		Long: `Test makes a whole login with EAP-MSCHAPv2 from the gateway's side, with the
backend that the configuration names, and shows every packet with its time and
its attributes by name; passwords, keys and what EAP carries are left out. No
client is needed, no running gateway is touched. The password comes from the
terminal, standard input or a file. The exit code is 0 if the user was accepted,
4 if refused, 5 if nobody answered, else 1.`,
		Example: `  bridgehead auth test alice
  bridgehead auth test alice@example.org --client windows --brief
  bridgehead auth test alice --password-file /run/secrets/alice --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			conf, warnings, err := gateway.LoadConfig(file)
			if err != nil {
				return err
			}
			for _, w := range warnings {
				if strings.HasPrefix(w.Setting, "auth.") || strings.HasPrefix(w.Setting, "radius.") {
					fmt.Fprintln(a.err, w)
				}
			}
			test.User, test.From = args[0], from.Addr
			if test.Password, err = a.loginPassword(c.Context(), test.User, passwordFile); err != nil {
				return err
			}
			defer test.Password.Wipe()
			stop := a.progress(func() string { return "waiting for the backend" })
			report, err := gateway.TestLogin(c.Context(), conf, test)
			stop()
			if err != nil {
				return err
			}
			if asJSON {
				err = a.printJSON(report)
			} else {
				err = a.printLogin(report, brief)
			}
			return errors.Join(err, loginError(report))
		},
	}
	configFlag(c, &file)
	c.Flags().StringVar(&passwordFile, "password-file", "", "`FILE` with the password in its first line")
	c.Flags().StringVar(&test.Identity, "identity", "", "EAP `IDENTITY` where it is not the user's name")
	c.Flags().StringVar(&test.Client, "client", "", "`KIND` of client to play: windows, android, or any other name")
	c.Flags().Var(&from, "from", "client's `ADDRESS`, which servers get as Calling-Station-Id")
	c.Flags().BoolVar(&brief, "brief", false, "leave the attributes out")
	jsonFlag(c, &asJSON)
	return c
}

// loginPassword gets the password of a login from a file, or from whom a new one
// would come from.
func (a *app) loginPassword(ctx context.Context, user, file string) (auth.Secret, error) {
	if file == "" {
		return a.readPassword(ctx, "Password of "+visible(user), false)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	return readLine(bytes.NewReader(text))
}

// loginError is the exit code of a login.
func loginError(r *gateway.LoginReport) error {
	switch {
	case r.Verdict == gateway.LoginAccepted:
		return nil
	case r.Verdict == gateway.LoginRefused:
		return &codedError{exitDenied, errSaid}
	case r.Unanswered():
		return &codedError{exitTimeout, errSaid}
	}
	return errSaid
}

// printLogin prints the packets, then what came of them.
func (a *app) printLogin(r *gateway.LoginReport, brief bool) error {
	for _, h := range r.Hops {
		line := fmt.Sprintf("%10s  %s → %s  %s", milliseconds(h.At), h.From, h.To, h.Packet)
		if h.RoundTrip > 0 {
			line += ", after " + milliseconds(h.RoundTrip)
		}
		if h.Note != "" {
			line += " (" + h.Note + ")"
		}
		fmt.Fprintln(a.out, visible(line))
		if brief || h.Again {
			continue
		}
		for _, attribute := range h.Attributes {
			fmt.Fprintf(a.out, "%14s%s = %s\n", "", visible(attribute.Key), visible(attribute.Value))
		}
	}
	colour := red
	if r.Verdict == gateway.LoginAccepted {
		colour = green
	}
	fmt.Fprintf(a.out, "\n%s: %s by %s, in %s\n", visible(r.User), a.paint(colour, r.Verdict), r.Backend, milliseconds(r.Took))
	rows := [][]string{}
	fact := func(key, value string) {
		if value != "" {
			rows = append(rows, []string{"  " + key, value})
		}
	}
	for _, g := range r.Grant {
		fact(g.Key, g.Value)
	}
	fact("cause", r.Cause)
	fact("what", r.Text)
	fact("told", r.Told)
	for _, e := range r.Evidence {
		fact(e.Key, e.Value)
	}
	fact("advice", r.Advice)
	fact("session id", r.Session)
	return a.table(rows...)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
