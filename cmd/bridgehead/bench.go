package main

import (
	"fmt"
	"sync/atomic"

	"github.com/spf13/cobra"

	"bridgehead/ikev2/initiator"
)

func (a *app) benchCommand() *cobra.Command {
	var (
		d              dialFlags
		asJSON, hold   bool
		logins, worker int
	)
	c := &cobra.Command{
		Use:   "bench ADDRESS",
		Short: "Measure logins: rate and latencies",
		Long: `Bench makes complete logins and logouts against a gateway, any maker's, by
several workers at once. The exit code is 1 if any of them failed.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if logins < 1 || worker < 1 {
				return usage("--logins and --workers", fmt.Errorf("expected numbers from 1 on"))
			}
			conf, err := d.config(c.Context(), a, args[0])
			if err != nil {
				return err
			}
			defer conf.Password.Wipe()
			var begun atomic.Int64
			stop := a.progress(func() string { return fmt.Sprintf("%d of %d logins begun", begun.Load(), logins) })
			report, err := initiator.Load(c.Context(), initiator.LoadConfig{
				Config: conf, N: logins, Workers: worker, Timeout: d.patience, Hold: hold,
				Each: func(int, *initiator.Config) { begun.Add(1) },
				Held: func(r initiator.LoadReport) {
					fmt.Fprintf(a.err, "%d sessions are up; Ctrl-C logs them out\n", r.Logins)
				},
			})
			stop()
			if err != nil && !(hold && c.Context().Err() != nil) {
				return failureError(err)
			}
			if asJSON {
				err = a.printJSON(report)
			} else {
				err = a.printLoad(report)
			}
			if err == nil && report.Failed > 0 {
				return errSaid
			}
			return err
		},
	}
	d.add(c)
	jsonFlag(c, &asJSON)
	c.Flags().IntVarP(&logins, "logins", "n", 100, "how many logins")
	c.Flags().IntVarP(&worker, "workers", "w", 2, "how many at once")
	c.Flags().BoolVar(&hold, "hold", false, "keep all sessions up until Ctrl-C")
	return c
}

func (a *app) printLoad(r initiator.LoadReport) error {
	fmt.Fprintf(a.out, "%d logins in %.2f s by %d workers: %.1f a second; %d failed\n\n",
		r.Logins, float64(r.Elapsed)/1000, r.Workers, r.Rate, r.Failed)
	rows := [][]string{{"MILLISECONDS", "P50", "P90", "P99", "MAX"}}
	row := func(name string, l initiator.Latency) {
		cells := []string{name}
		for _, v := range []initiator.Milliseconds{l.P50, l.P90, l.P99, l.Max} {
			cells = append(cells, fmt.Sprintf("%.2f", float64(v)))
		}
		rows = append(rows, cells)
	}
	row("login", r.Login)
	for _, s := range r.Steps {
		row("  "+string(s.Step), s.Latency)
	}
	row("logout", r.Logout)
	if err := a.table(rows...); err != nil {
		return err
	}
	for verdict, n := range r.Failures {
		fmt.Fprintf(a.out, "%d x %s\n", n, verdict)
	}
	if r.Error != "" {
		fmt.Fprintf(a.out, "the first failure: %s\n", visible(r.Error))
	}
	return nil
}
