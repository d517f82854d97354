package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"bridgehead/cmd/bridgehead/internal/admin"
)

func (a *app) disconnectCommand() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "disconnect USER|SESSION|--all",
		Short: "End sessions",
		Args: func(_ *cobra.Command, args []string) error {
			if all == (len(args) == 1) || len(args) > 1 {
				return errors.New("name one user or one session, or say --all")
			}
			return nil
		},
		ValidArgsFunction: a.completeSessions,
		RunE: func(c *cobra.Command, args []string) error {
			which := admin.Selector{All: all}
			g, ctx, cancel := a.gateway(c)
			defer cancel()
			if !all {
				list, err := g.Sessions(ctx)
				if err != nil {
					return err
				}
				which.User = args[0]
				for _, s := range list {
					if s.ID == args[0] {
						which = admin.Selector{Session: s.ID}
					}
				}
			}
			n, err := g.Disconnect(ctx, which)
			if err != nil {
				return err
			}
			if n.Sessions == 0 {
				fmt.Fprintln(a.out, "no such session")
				return errSaid
			}
			_, err = fmt.Fprintf(a.out, "%d ended\n", n.Sessions)
			return err
		},
	}
	c.Flags().BoolVar(&all, "all", false, "end every session")
	return c
}
