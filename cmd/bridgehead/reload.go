package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Have the gateway read its configuration and users again",
		Long: `Reload takes over all of the new configuration or, if anything is wrong with it,
nothing. Sessions stay up. What can't change without a restart is named.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			g, ctx, cancel := a.gateway(c)
			defer cancel()
			r, err := g.Reload(ctx)
			if err != nil {
				return err
			}
			for _, what := range r.Changed {
				fmt.Fprintln(a.out, "changed:", what)
			}
			for _, what := range r.Restart {
				fmt.Fprintln(a.out, "needs a restart:", what)
			}
			if len(r.Changed)+len(r.Restart) == 0 {
				fmt.Fprintln(a.out, "nothing has changed")
			}
			return nil
		},
	}
}
