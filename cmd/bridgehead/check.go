package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/cmd/bridgehead/internal/gateway"
)

// checked is what `check --json` prints.
type checked struct {
	OK           bool                  `json:"ok"`                     // there is no error
	Problems     []config.Problem      `json:"problems"`               // errors and warnings of all, in the order of files and lines
	Plane        string                `json:"plane,omitempty"`        // how traffic would be moved on this host, and why; only of one configuration without an error
	Servers      []gateway.ServerTrial `json:"servers,omitempty"`      // RADIUS servers that were asked; only of one configuration without an error
	Settings     []config.Explained    `json:"settings,omitempty"`     // with --explain
	Certificates []gateway.SentChain   `json:"certificates,omitempty"` // with --explain, as clients get them
	Sites        []checkedSite         `json:"sites,omitempty"`        // each configuration, where several were named
}

// checkedSite is one of several configurations.
type checkedSite struct {
	File     string           `json:"file"`     // its bridgehead.toml
	OK       bool             `json:"ok"`       // there is no error
	Problems []config.Problem `json:"problems"` // its errors and warnings
}

func (a *app) checkCommand() *cobra.Command {
	var (
		file            string
		explain, asJSON bool
		offline         bool
	)
	c := &cobra.Command{
		Use:   "check [FILE|FOLDER]...",
		Short: "Check the configuration and the files it names",
		Long: `Check reads the configuration and everything it names, and reports every
mistake at once: what is wrong and where, what to do, and what clients would
show. RADIUS servers are asked whether they live, have the same secret and sign
their answers, with a login of a user that nobody has, bridgehead-check; one
that does not answer is a warning. Nothing is started. The exit code is 78 if
there is an error.

Several configurations are checked by their names; a folder stands for the
bridgehead.toml in it, or for those in its folders.`,
		Example: `  bridgehead check
  bridgehead check --explain
  bridgehead check site1.toml site2.toml
  bridgehead check /srv/gateways`,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) > 0 && c.Flags().Changed("config"):
				return usage("--config", errors.New("stands in place of the names behind check; give one or the other"))
			case len(args) == 0:
				return a.check(c.Context(), file, explain, asJSON, offline)
			}
			sites, err := findSites(args)
			switch {
			case err != nil:
				return err
			case len(sites) == 1:
				return a.check(c.Context(), sites[0], explain, asJSON, offline)
			case explain:
				return usage("--explain", errors.New("is for one configuration"))
			}
			return a.checkSites(c.Context(), sites, asJSON, offline)
		},
	}
	configFlag(c, &file)
	c.Flags().BoolVar(&offline, "offline", false, "ask no server over the network")
	c.Flags().BoolVar(&explain, "explain", false, "print every setting as understood, with where it came from, and the certificates as they are sent")
	jsonFlag(c, &asJSON)
	return c
}

// configFlag adds --config.
func configFlag(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "config", config.DefaultFile, "configuration `FILE`; conf.d/*.toml beside it is read, too")
}

// findSites gives the configurations that the arguments name.
func findSites(args []string) ([]string, error) {
	name := filepath.Base(config.DefaultFile)
	var sites []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil || !info.IsDir() {
			sites = append(sites, arg) // what can't be read is said when it is checked
			continue
		}
		own := filepath.Join(arg, name)
		if _, err := os.Stat(own); err == nil {
			sites = append(sites, own)
			continue
		}
		below, err := os.ReadDir(arg) // sorted
		if err != nil {
			return nil, err
		}
		found := len(sites)
		for _, e := range below {
			if file := filepath.Join(arg, e.Name(), name); e.IsDir() && isFile(file) {
				sites = append(sites, file)
			}
		}
		if len(sites) == found {
			return nil, usage(arg, fmt.Errorf("holds no %s, and none of its folders does", name))
		}
	}
	return sites, nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// check checks one configuration.
func (a *app) check(ctx context.Context, file string, explain, asJSON, offline bool) error {
	c, warnings, servers, err := a.examine(ctx, file, offline)
	var sent []gateway.SentChain
	if err == nil && explain {
		if sent, err = gateway.SentChains(c); err != nil {
			return err
		}
	}
	if asJSON {
		result := checked{OK: err == nil, Problems: problemsOf(warnings, err), Servers: servers, Certificates: sent}
		if c != nil {
			result.Plane = a.planeOf(c)
		}
		if explain && c != nil {
			result.Settings = c.Explain()
		}
		return errors.Join(a.printJSON(result), quietly(err))
	}
	if err != nil {
		return err
	}
	for _, w := range warnings {
		fmt.Fprintln(a.out, w)
	}
	if explain {
		a.explain(c, sent)
		return nil
	}
	_, err = fmt.Fprintf(a.out, "%s: %s\ntraffic: %s\n", c.File(), a.paint(green, "good"), a.planeOf(c))
	for _, s := range servers {
		fmt.Fprintf(a.out, "RADIUS %s, %s: %s\n", s.Server, s.Use, s)
	}
	return err
}

// examine reads a configuration with all that it names, and asks its servers
// unless told not to.
func (a *app) examine(ctx context.Context, file string, offline bool) (*config.Config, []config.Problem, []gateway.ServerTrial, error) {
	c, warnings, err := gateway.LoadConfig(file)
	if err != nil || offline {
		return c, warnings, nil, err
	}
	stop := a.progress(func() string { return "asking the servers" })
	servers, found, err := gateway.ExamineServers(ctx, c)
	stop()
	if err != nil {
		return nil, nil, nil, err
	}
	warnings, err = config.Judge(append(warnings, found...))
	return c, warnings, servers, err
}

// planeOf tells which data plane a configuration gets on this host, and why.
func (a *app) planeOf(c *config.Config) string {
	if a.explainPlane != nil {
		return a.explainPlane(c)
	}
	return gateway.ExplainPlane(c)
}

// problemsOf gives all that LoadConfig found.
func problemsOf(warnings []config.Problem, err error) []config.Problem {
	if broken := new(config.Error); errors.As(err, &broken) {
		return broken.Problems
	}
	if warnings == nil {
		return []config.Problem{}
	}
	return warnings
}

// quietly keeps the exit code of a broken configuration, whose problems were
// printed.
func quietly(err error) error {
	if broken := new(config.Error); errors.As(err, &broken) {
		return &codedError{exitConfig, errSaid}
	}
	return err
}

// checkSites checks several configurations: all that is wrong, then a table.
func (a *app) checkSites(ctx context.Context, files []string, asJSON, offline bool) error {
	result := checked{OK: true, Problems: []config.Problem{}}
	var failed error
	for _, file := range files {
		_, warnings, _, err := a.examine(ctx, file, offline)
		found := problemsOf(warnings, err)
		result.Sites = append(result.Sites, checkedSite{File: file, OK: err == nil, Problems: found})
		result.Problems = append(result.Problems, found...)
		if err != nil {
			result.OK, failed = false, quietly(err)
		}
	}
	if asJSON {
		return errors.Join(a.printJSON(result), failed)
	}
	rows := [][]string{{"CONFIGURATION", "RESULT", "FOUND"}}
	for _, s := range result.Sites {
		for _, p := range s.Problems {
			fmt.Fprintf(a.out, "%s\n", p)
		}
		rows = append(rows, []string{s.File, s.result(), strings.Join(s.causes(), ", ")})
	}
	if len(result.Problems) > 0 {
		fmt.Fprintln(a.out)
	}
	return errors.Join(a.table(rows...), failed)
}

// result is how usable a configuration is, in a word.
func (s checkedSite) result() string {
	switch {
	case !s.OK:
		return "can't be used"
	case len(s.Problems) > 0:
		return "warnings"
	}
	return "good"
}

// causes are what was found, each once.
func (s checkedSite) causes() []string {
	var list []string
	for _, p := range s.Problems {
		if !slices.Contains(list, string(p.Cause)) {
			list = append(list, string(p.Cause))
		}
	}
	return list
}

// explain prints the configuration as TOML that could be loaded again.
func (a *app) explain(c *config.Config, sent []gateway.SentChain) {
	section := ""
	for _, e := range c.Explain() {
		if e.Section() != section {
			section = e.Section()
			fmt.Fprintf(a.out, "\n[%s]\n", section)
		}
		origin := e.Origin
		if e.Setting == config.SettingPlane {
			origin += "; on this host " + a.planeOf(c)
		}
		fmt.Fprintf(a.out, "# %s\n%s = %s  # %s\n", e.About, e.Key(), e.Value, origin)
	}
	fmt.Fprint(a.out, "\n# What clients are sent:\n")
	for _, s := range sent {
		fmt.Fprintf(a.out, "# %s: %s, %s, until %s\n", visible(s.File), visible(s.Chain[0]), s.Key, s.Ends)
		for _, issuer := range s.Chain[1:] {
			fmt.Fprintf(a.out, "#   issued by %s\n", visible(issuer))
		}
		if s.Root != "" {
			fmt.Fprintf(a.out, "#   issued by %s, a root, which is left out: clients have it or don't trust it\n", visible(s.Root))
		}
		if s.Reordered {
			fmt.Fprint(a.out, "#   put into this order: the file has another\n")
		}
	}
}
