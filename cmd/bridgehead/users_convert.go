package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"bridgehead/auth/secrets"
	"bridgehead/auth/secrets/convert"
)

// converted is what `users convert --json` prints; no hash is in it.
type converted struct {
	From    string         `json:"from"`            // the file that was read
	To      string         `json:"to"`              // the users file; empty where none was written
	Users   int            `json:"users"`           // taken over
	Left    int            `json:"left"`            // lines that were not taken over
	Remarks int            `json:"remarks"`         // of lines that lose nothing by it
	Lines   []convert.Line `json:"lines"`           // what became of each line
	Error   string         `json:"error,omitempty"` // why nothing was written
}

func (a *app) usersConvert() *cobra.Command {
	var (
		format                string
		dryRun, force, asJSON bool
	)
	c := &cobra.Command{
		Use:   "convert FROM FILE",
		Short: "Make a users file of another program's, with NT hashes in place of passwords",
		Long: `Convert reads the users of strongSwan's ipsec.secrets, Samba's smbpasswd,
FreeRADIUS' users or a CSV file, and writes a users file with NT hashes. A
report names each line with what became of it; no password stands in it or in
the file.

A CSV file has a heading: name, then password or nt_hash, then any of group,
pool, pool6, ip4, ip6, dns, routes, domains, session_timeout, idle_timeout,
max_sessions, rate_up, rate_down and disabled (yes or no).`,
		Example: `  bridgehead users convert /etc/ipsec.secrets --dry-run
  bridgehead users convert /etc/ipsec.secrets /etc/bridgehead/users
  bridgehead users convert people.csv /etc/bridgehead/users --force`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 && !dryRun {
				return usage("FILE", errors.New("name the users file to write, or give --dry-run"))
			}
			result, err := convert.Read(args[0], convert.Format(format))
			if err != nil {
				return err
			}
			said := converted{From: args[0], Users: len(result.Users), Left: result.Count(convert.NotTakenOver), Remarks: result.Count(convert.Remark), Lines: result.Lines}
			if !dryRun {
				if err = secrets.Write(args[1], result.Users, force); err == nil {
					said.To = args[1]
				}
			}
			return errors.Join(a.printConverted(said, err, asJSON), err)
		},
	}
	c.Flags().StringVar(&format, "format", "", "`FORMAT` of FROM: ipsec.secrets, smbpasswd, freeradius or csv; without it, as the name says")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "write nothing")
	c.Flags().BoolVar(&force, "force", false, "replace a FILE that is there")
	jsonFlag(c, &asJSON)
	return c
}

// printConverted prints the report.
func (a *app) printConverted(said converted, failed error, asJSON bool) error {
	if asJSON {
		if failed != nil {
			said.Error = failed.Error()
		}
		if said.Lines == nil {
			said.Lines = []convert.Line{}
		}
		return a.printJSON(said)
	}
	rows := [][]string{{"FROM", "USER", "OUTCOME", "NOTE"}}
	for _, l := range said.Lines {
		place := l.File
		if l.Line > 0 {
			place = fmt.Sprintf("%s:%d:%d", l.File, l.Line, l.Column)
		}
		rows = append(rows, []string{place, orDash(l.User), string(l.Outcome), l.Note})
	}
	if err := a.table(rows...); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "\n%d users taken over, %d lines not taken over, %d remarks\n", said.Users, said.Left, said.Remarks)
	if said.To == "" {
		_, err := fmt.Fprintln(a.out, "Nothing was written.")
		return err
	}
	_, err := fmt.Fprintf(a.out, "written: %s\nPasswords in the clear are still in %s: remove it once nothing reads it any more.\n", visible(said.To), visible(said.From))
	return err
}
