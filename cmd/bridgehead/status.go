package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bridgehead/cmd/bridgehead/internal/admin"
	"bridgehead/cmd/bridgehead/internal/config"
)

func (a *app) statusCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Tell how the gateway is",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			g, ctx, cancel := a.gateway(c)
			defer cancel()
			s, err := g.Status(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(s)
			}
			return a.printStatus(s)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

func (a *app) printStatus(s admin.Status) error {
	rows := [][]string{
		{"name", s.Name},
		{"up", ago(s.Uptime) + ", version " + s.Version},
		{"listening", strings.Join(s.Listen, ", ")},
		{"backend", s.Backend},
		{"traffic", s.Plane},
		{"sessions", fmt.Sprintf("%d; logins under way: %d", s.Sessions, s.HalfOpen)},
		{"logins", fmt.Sprintf("%d accepted, %d refused, %d left without a word", s.Logins.Accepted, s.Logins.Refused, s.Logins.Silent)},
	}
	if s.Accounting != "" {
		rows = append(rows, []string{"accounting", s.Accounting})
	}
	for _, r := range s.RADIUS {
		rows = append(rows, []string{"RADIUS " + r.Name, radiusLine(r, s.Started.Add(s.Uptime))})
	}
	for _, p := range s.Pools {
		name := "pool "
		if p.Name != config.DefaultPool {
			name += p.Name + " "
		}
		rows = append(rows, []string{name + p.Family, fmt.Sprintf("%d of %d in use", p.InUse, p.Size)})
	}
	for _, w := range s.Warnings {
		rows = append(rows, []string{"warning", w})
	}
	return a.table(rows...)
}

// radiusLine is how a RADIUS server does.
func radiusLine(r admin.RADIUSServer, now time.Time) string {
	line := fmt.Sprintf("%s for %s, %s at %s; %d asked, %d answered", r.State, ago(now.Sub(r.Since)), r.Transport, r.Address, r.Requests, r.Answers)
	if r.RoundTrip > 0 {
		line += fmt.Sprintf(" in %s", r.RoundTrip.Round(10*time.Microsecond))
	}
	for _, n := range []struct {
		count uint64
		what  string
	}{
		{uint64(r.InFlight), "wait"}, {r.Retransmissions, "sent again"}, {r.Timeouts, "never answered"}, {r.Discarded, "replies not authentic"},
	} {
		if n.count > 0 {
			line += fmt.Sprintf(", %d %s", n.count, n.what)
		}
	}
	return line
}
