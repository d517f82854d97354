package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"bridgehead/cmd/bridgehead/internal/admin"
)

func (a *app) eventsCommand() *cobra.Command {
	var asJSON, follow bool
	c := &cobra.Command{
		Use:   "events",
		Short: "Show logins, logouts and refusals as they happen",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			err := admin.NewClient(a.control).Events(c.Context(), follow, func(e admin.Event) error {
				return a.printEvent(e, asJSON)
			})
			if errors.Is(err, context.Canceled) {
				return nil // Ctrl-C is how following ends
			}
			return err
		},
	}
	a.controlFlag(c)
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what happens")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line, of a form that stays")
	return c
}

func (a *app) printEvent(e admin.Event, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(a.out).Encode(e)
	}
	_, err := fmt.Fprintf(a.out, "%s  %s\n", e.Time.Local().Format("15:04:05"), visible(e.Text))
	return err
}
