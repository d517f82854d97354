package main

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/cmd/bridgehead/internal/gateway"
)

func (a *app) serveCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long: `Serve runs the gateway in the foreground until SIGTERM or Ctrl-C. It tells the
clients good-bye then and leaves the host's network as it was. SIGHUP has it
read its configuration and users again.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			conf, warnings, err := gateway.LoadConfig(file)
			if err != nil {
				return err
			}
			adjust := func(conf *config.Config) {
				if c.Flags().Changed("control") {
					conf.Paths.Control = a.control
				}
			}
			adjust(conf)
			level := new(slog.LevelVar)
			logger := gateway.NewLogger(a.err, conf.Log, level)
			for _, w := range warnings {
				logger.Warn(w.String())
			}
			g, err := gateway.New(c.Context(), conf, gateway.Options{
				Logger: logger, Level: level, Version: build().Version, File: file, Adjust: adjust,
			})
			if err != nil {
				return fmt.Errorf("not started: %w", err)
			}
			return g.Run(c.Context())
		},
	}
	configFlag(c, &file)
	a.controlFlag(c)
	return c
}
