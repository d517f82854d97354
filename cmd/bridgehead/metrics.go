package main

import "github.com/spf13/cobra"

func (a *app) metricsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "metrics",
		Short: "Print the gateway's metrics in Prometheus' form",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			g, ctx, cancel := a.gateway(c)
			defer cancel()
			return g.Metrics(ctx, a.out)
		},
	}
}
