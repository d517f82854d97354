package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"bridgehead/cmd/bridgehead/internal/admin"
	"bridgehead/cmd/bridgehead/internal/config"
)

// app is the program's surroundings and what its global flags say. A test
// gives it buffers.
type app struct {
	in       io.Reader
	out, err io.Writer
	now      func() time.Time

	explainPlane func(*config.Config) string // nil: gateway.ExplainPlane

	control string        // --control
	timeout time.Duration // --timeout
	begun   bool          // the command line was understood
}

// run executes one command line and gives the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	return a.exit(root.ExecuteContext(ctx))
}

// root is the whole tree of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "bridgehead",
		Short: "An IKEv2 gateway for road warriors",
		Long: `bridgehead lets people with the VPN client of their system into a network:
name and password, IPv4 and IPv6, nothing to install on the client.

Try it:   sudo bridgehead quickstart
Run it:   bridgehead check && sudo bridgehead serve`,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRun: func(*cobra.Command, []string) {
			a.begun = true
		},
	}
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run a gateway:"},
		&cobra.Group{ID: "look", Title: "Look after a running one:"},
		&cobra.Group{ID: "try", Title: "Try a gateway from outside:"},
	)
	root.SetFlagErrorFunc(suggestFlag)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	look := []*cobra.Command{
		a.statusCommand(), a.sessionsCommand(), a.disconnectCommand(), a.whyCommand(), a.reloadCommand(), a.metricsCommand(),
	}
	for _, c := range look {
		a.controlFlag(c)
		c.Flags().DurationVar(&a.timeout, "timeout", 10*time.Second, "how long to wait for the gateway")
	}
	add("run", a.quickstartCommand(), a.serveCommand(), a.checkCommand(), a.usersCommand(), a.authCommand(), a.profileCommand(), a.importCommand())
	add("look", append(look, a.eventsCommand())...)
	add("try", a.probeCommand(), a.benchCommand(), a.connectCommand())
	add("", a.versionCommand())
	return root
}

// controlFlag adds --control.
func (a *app) controlFlag(c *cobra.Command) {
	c.Flags().StringVar(&a.control, "control", config.DefaultControl, "the gateway's control `SOCKET`")
}

// suggestFlag adds the flag that was most likely meant.
func suggestFlag(c *cobra.Command, err error) error {
	unknown := new(pflag.NotExistError)
	if !errors.As(err, &unknown) {
		return fmt.Errorf("%w\nsee `%s --help`", err, c.CommandPath())
	}
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	c.InheritedFlags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if near := config.Nearest(unknown.GetSpecifiedName(), known); near != "" {
		return fmt.Errorf("%w; did you mean --%s?", err, near)
	}
	return fmt.Errorf("%w; see `%s --help`", err, c.CommandPath())
}

// gateway is the client of the running gateway, with the context that bounds
// one question.
func (a *app) gateway(c *cobra.Command) (*admin.Client, context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(c.Context(), a.timeout)
	return admin.NewClient(a.control), ctx, cancel
}
