package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bridgehead/ikev2/initiator"
)

func (a *app) probeCommand() *cobra.Command {
	var (
		d      dialFlags
		asJSON bool
	)
	c := &cobra.Command{
		Use:   "probe ADDRESS",
		Short: "Log in to a gateway, any maker's, and show each step with its time",
		Long: `Probe makes a complete login and logout with user and password, without a
tunnel, and shows what the gateway did. It works with every IKEv2 gateway that
speaks EAP-MSCHAPv2. The exit code is 0 if the login was complete, 4 if user or
password were refused, 5 if the gateway did not answer, else 1.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			conf, err := d.config(c.Context(), a, args[0])
			if err != nil {
				return err
			}
			defer conf.Password.Wipe()
			ctx, cancel := context.WithTimeout(c.Context(), d.patience)
			defer cancel()
			stop := a.progress(func() string { return "waiting for " + args[0] })
			report := initiator.Probe(ctx, conf)
			stop()
			if asJSON {
				err = a.printJSON(report)
			} else {
				err = a.printProbe(report)
			}
			if err != nil {
				return err
			}
			return verdictError(report.Verdict)
		},
	}
	d.add(c)
	jsonFlag(c, &asJSON)
	return c
}

func (a *app) printProbe(r initiator.ProbeReport) error {
	rows := [][]string{}
	for _, s := range r.Steps {
		rows = append(rows, []string{"  ok", string(s.Step), fmt.Sprintf("%8.1f ms", float64(s.Time))})
	}
	if r.Verdict == initiator.VerdictOK {
		rows = append(rows, []string{"  ok", "logout", fmt.Sprintf("%8.1f ms", float64(r.Logout))})
	} else if r.FailedAt != "" {
		rows = append(rows, []string{"  FAILED", string(r.FailedAt)})
	}
	if err := a.table(rows...); err != nil {
		return err
	}
	var facts [][]string
	fact := func(key, value string) {
		if value != "" {
			facts = append(facts, []string{"  " + key, value})
		}
	}
	fact("address", r.Address)
	fact("IKE", r.Suite)
	fact("ESP", r.ESP)
	fact("identity", r.Identity)
	if r.Cert != nil {
		fact("certificate", fmt.Sprintf("%s, %s, for %s; %d days left; %d sent", r.Cert.Subject, r.Cert.Key, strings.Join(distinct(r.Cert.Names), ", "), r.Cert.DaysLeft, r.Cert.ChainSent))
	}
	fact("signature", r.Signature)
	fact("EAP", r.EAP)
	fact("addresses", words(r.Addresses))
	fact("DNS", words(r.DNS))
	fact("domains", strings.Join(r.Domains, " "))
	fact("reaches", words(r.Routes))
	if len(facts) > 0 {
		fmt.Fprintln(a.out)
		if err := a.table(facts...); err != nil {
			return err
		}
	}
	fmt.Fprintln(a.out)
	if r.Verdict == initiator.VerdictOK {
		_, err := fmt.Fprintf(a.out, "%s: the login took %.1f ms\n", a.paint(green, string(r.Verdict)), float64(r.Total))
		return err
	}
	_, err := fmt.Fprintf(a.out, "%s: %s\n", a.paint(red, string(r.Verdict)), visible(r.Error))
	return err
}

// distinct leaves out what came before: an address stands twice in a good
// certificate, as iPAddress and as dNSName.
func distinct(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func words[T fmt.Stringer](list []T) string {
	texts := make([]string, len(list))
	for i, x := range list {
		texts[i] = x.String()
	}
	return strings.Join(texts, " ")
}
