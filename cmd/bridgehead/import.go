package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/cmd/bridgehead/internal/strongswan"
)

// imported is what `import --json` prints.
type imported struct {
	OK       bool                 `json:"ok"`               // the input was taken over, and written unless it was a dry run
	Written  []string             `json:"written"`          // paths of the files made; none with --dry-run
	Problems []strongswan.Problem `json:"problems"`         // why nothing was taken over
	Report   *strongswan.Report   `json:"report,omitempty"` // what became of each directive
	Config   string               `json:"config,omitempty"` // bridgehead.toml
	Error    string               `json:"error,omitempty"`  // why nothing was written
}

// importFlags is the command line of import.
type importFlags struct {
	from, secrets, swanctl string
	to                     string
	options                strongswan.Options
	dryRun, force, asJSON  bool
}

func (a *app) importCommand() *cobra.Command {
	o := importFlags{options: strongswan.Options{Suggest: config.Nearest}}
	c := &cobra.Command{
		Use:   "import",
		Short: "Take over the configuration and the users of a strongSwan gateway",
		Long: `Import reads ipsec.conf with ipsec.secrets, or swanctl.conf, and writes a
bridgehead.toml and a file of users that mean the same. The users file holds NT
hashes, never a password. Where RADIUS servers decide (eap-radius), they are
taken from strongswan.conf, each secret in a file of its own. A report names every directive with what became of
it. Nothing is taken over by halves: input that can't be read, or that would
let in more people without what bridgehead lacks, is refused with its place.
The exit code is then 78.`,
		Example: `  bridgehead import --dry-run
  bridgehead import --from /etc/ipsec.conf --to /etc/bridgehead
  bridgehead import --swanctl /etc/swanctl/swanctl.conf --to /etc/bridgehead`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if f := c.Flags(); f.Changed("swanctl") && (f.Changed("from") || f.Changed("secrets")) {
				return usage("--swanctl", errors.New("stands in place of --from and --secrets; give one or the other"))
			}
			return a.importStrongSwan(o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.from, "from", "/etc/ipsec.conf", "strongSwan's `FILE` of connections")
	f.StringVar(&o.secrets, "secrets", "", "strongSwan's `FILE` of secrets; without it, ipsec.secrets beside the other")
	f.StringVar(&o.swanctl, "swanctl", "", "swanctl.conf as `FILE`, in place of the two others")
	f.StringVar(&o.options.StrongSwan, "strongswan", "", "strongswan.conf as `FILE`, for the servers of eap-radius; without it, strongswan.conf where it is by default")
	f.StringVar(&o.to, "to", filepath.Dir(config.DefaultFile), "`FOLDER` for bridgehead.toml and users")
	f.StringVar(&o.options.Connection, "conn", "", "`NAME` of the connection to take over, where several could be")
	f.StringVar(&o.options.Name, "name", "", "`NAME` that clients type; without it, as the input or the certificate says")
	f.BoolVar(&o.dryRun, "dry-run", false, "write nothing, and show what would be written")
	f.BoolVar(&o.force, "force", false, "replace files that are there")
	jsonFlag(c, &o.asJSON)
	return c
}

// importStrongSwan runs the verb and prints what came of it.
func (a *app) importStrongSwan(o importFlags) error {
	result, err := readStrongSwan(o)
	written := []string{}
	if err == nil && !o.dryRun {
		if err = result.Write(o.to, o.force); err == nil {
			written = result.Files(o.to)
		}
	}
	broken := new(strongswan.Error)
	wrongInput := errors.As(err, &broken)
	if o.asJSON {
		said := imported{OK: err == nil, Written: written, Problems: []strongswan.Problem{}}
		switch {
		case wrongInput:
			said.Problems = broken.Problems
			err = &codedError{exitConfig, errSaid}
		case err != nil:
			said.Error = err.Error()
			err = errSaid
		}
		if result != nil {
			said.Report, said.Config = &result.Report, string(result.Config())
		}
		return errors.Join(a.printJSON(said), err)
	}
	switch {
	case wrongInput:
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintln(a.err, visible(line)) // the place first, for editors that jump to it
		}
		return &codedError{exitConfig, errSaid}
	case result == nil:
		return err
	}
	if said := a.printImport(result, written); said != nil {
		return errors.Join(said, err)
	}
	return err
}

func readStrongSwan(o importFlags) (*strongswan.Result, error) {
	if o.swanctl != "" {
		return strongswan.ReadSwanctl(o.swanctl, o.options)
	}
	if o.secrets == "" {
		o.secrets = filepath.Join(filepath.Dir(o.from), "ipsec.secrets")
	}
	return strongswan.ReadIPsec(o.from, o.secrets, o.options)
}

// printImport prints the report, and the configuration where none was written.
func (a *app) printImport(result *strongswan.Result, written []string) error {
	r := &result.Report
	rows := [][]string{{"FROM", "DIRECTIVE", "OUTCOME", "NOTE"}}
	for _, d := range r.Directives {
		rows = append(rows, []string{fmt.Sprintf("%s:%d", d.File, d.Line), d.Name, string(d.Outcome), d.Note})
	}
	if err := a.table(rows...); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "\n%q: %d directives taken over, %d not needed, %d not supported; %d users\n",
		r.Connection, r.Count(strongswan.TakenOver), r.Count(strongswan.NotNeeded), r.Count(strongswan.NotSupported), r.Users)
	for _, n := range r.Notes {
		fmt.Fprintf(a.out, "Note: %s\n", visible(n))
	}
	if err := a.printDefaults(r.Defaults); err != nil {
		return err
	}
	if len(written) == 0 {
		_, err := fmt.Fprintf(a.out, "\nNothing was written. This would be bridgehead.toml:\n\n%s", result.Config())
		return err
	}
	for _, path := range written {
		fmt.Fprintln(a.out, "written:", path)
	}
	_, err := fmt.Fprintf(a.out, "Next: bridgehead check --config %s\n", written[0])
	return err
}

// printDefaults prints what the input leaves to defaults that differ.
func (a *app) printDefaults(list []strongswan.Default) error {
	if len(list) == 0 {
		return nil
	}
	rows := [][]string{{"NOT SET", "IN STRONGSWAN", "IN BRIDGEHEAD", "AS IT WAS"}}
	for _, d := range list {
		rows = append(rows, []string{d.Directive, d.StrongSwan, d.Bridgehead, d.Restore})
	}
	fmt.Fprintf(a.out, "\nLeft at bridgehead's default, where strongSwan's is another:\n")
	return a.table(rows...)
}
