package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"bridgehead/cmd/bridgehead/internal/admin"
)

// refusalList is what `why --json` prints.
type refusalList struct {
	Refusals []admin.Refusal `json:"refusals"` // newest first
}

func (a *app) whyCommand() *cobra.Command {
	var (
		asJSON bool
		most   int
	)
	c := &cobra.Command{
		Use:   "why [USER|SESSION|PEER]",
		Short: "Explain recent refusals and silences",
		Long: `Why tells which logins came to nothing, what the gateway saw, and what to do.
PEER is an address or a prefix.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			about := strings.Join(args, "")
			g, ctx, cancel := a.gateway(c)
			defer cancel()
			list, err := g.Why(ctx, about)
			if err != nil {
				return err
			}
			list = list[:min(len(list), most)]
			switch {
			case asJSON:
				err = a.printJSON(refusalList{list})
			case len(list) == 0:
				_, err = fmt.Fprintln(a.out, "nothing was refused lately")
			default:
				a.printRefusals(list)
			}
			if err == nil && about != "" && len(list) == 0 {
				return errSaid
			}
			return err
		},
	}
	jsonFlag(c, &asJSON)
	c.Flags().IntVarP(&most, "number", "n", 10, "how many to print at most")
	return c
}

// printRefusals writes a short paragraph each, newest first.
func (a *app) printRefusals(list []admin.Refusal) {
	for i, r := range list {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		who := r.Who() + " from " + r.Peer
		if r.Client != "" {
			who += " (" + r.Client + ")"
		}
		fmt.Fprintf(a.out, "%s  %s  %s\n", r.Time.Local().Format("2006-01-02 15:04:05"), a.paint(bold, visible(who)), a.paint(red, r.Cause))
		fmt.Fprintf(a.out, "  %s\n", visible(r.Text))
		for _, e := range r.Evidence {
			fmt.Fprintf(a.out, "    %s: %s\n", visible(e.Key), visible(e.Value))
		}
		if len(r.Quirks) > 0 {
			fmt.Fprintf(a.out, "    allowances made: %s\n", visible(strings.Join(r.Quirks, " ")))
		}
		if r.Advice != "" {
			fmt.Fprintf(a.out, "  > %s\n", visible(r.Advice))
		}
		for _, line := range r.Remedy {
			fmt.Fprintf(a.out, "    %s\n", visible(line))
		}
		if len(r.Likely) > 0 {
			fmt.Fprintln(a.out, "  What may lie behind it, the likeliest first:")
		}
		for i, cause := range r.Likely {
			fmt.Fprintf(a.out, "    %d. %s\n", i+1, visible(cause))
		}
	}
}
