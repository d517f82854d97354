package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/cmd/bridgehead/internal/gateway"
)

// checked is what `check --json` prints.
type checked struct {
	OK       bool               `json:"ok"`                 // there is no error
	Problems []config.Problem   `json:"problems"`           // errors and warnings, in the order of files and lines
	Settings []config.Explained `json:"settings,omitempty"` // with --explain
}

func (a *app) checkCommand() *cobra.Command {
	var (
		file            string
		explain, asJSON bool
	)
	c := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and the files it names",
		Long: `Check reads the configuration and everything it names, and reports every
mistake at once. Nothing is started. The exit code is 78 if there is an error.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.check(file, explain, asJSON)
		},
	}
	configFlag(c, &file)
	c.Flags().BoolVar(&explain, "explain", false, "print every setting as understood, with where it came from")
	jsonFlag(c, &asJSON)
	return c
}

// configFlag adds --config.
func configFlag(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "config", config.DefaultFile, "configuration `FILE`; conf.d/*.toml beside it is read, too")
}

func (a *app) check(file string, explain, asJSON bool) error {
	c, warnings, err := gateway.LoadConfig(file)
	if asJSON {
		result := checked{OK: err == nil, Problems: warnings}
		if broken := new(config.Error); errors.As(err, &broken) {
			result.Problems = broken.Problems
			err = &codedError{exitConfig, errSaid}
		}
		if result.Problems == nil {
			result.Problems = []config.Problem{}
		}
		if explain && c != nil {
			result.Settings = c.Explain()
		}
		return errors.Join(a.printJSON(result), err)
	}
	if err != nil {
		return err
	}
	for _, w := range warnings {
		fmt.Fprintln(a.out, w)
	}
	if explain {
		a.explain(c)
		return nil
	}
	_, err = fmt.Fprintf(a.out, "%s: %s\n", c.File(), a.paint(green, "good"))
	return err
}

// explain prints the configuration as TOML that could be loaded again.
func (a *app) explain(c *config.Config) {
	section := ""
	for _, e := range c.Explain() {
		if e.Section() != section {
			section = e.Section()
			fmt.Fprintf(a.out, "\n[%s]\n", section)
		}
		fmt.Fprintf(a.out, "# %s\n%s = %s  # %s\n", e.About, e.Key(), e.Value, e.Origin)
	}
}
