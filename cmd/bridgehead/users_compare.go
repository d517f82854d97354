package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/spf13/cobra"

	"bridgehead/auth/secrets"
	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/cmd/bridgehead/internal/gateway"
)

// compared is what `users compare --json` prints; no hash is in it.
type compared struct {
	File    string               `json:"file"`    // that was read
	With    string               `json:"with"`    // the backend
	Same    int                  `json:"same"`    // users who can be switched
	Others  int                  `json:"others"`  // who can't
	Users   []gateway.Comparison `json:"users"`   // each user of the file
	Problem string               `json:"problem"` // why not all were compared; empty: all were
}

// comparers are the backends that users can be compared with.
var comparers = map[string]func(context.Context, *config.Config, []secrets.User, func(gateway.Comparison)) error{
	config.BackendFile:   gateway.CompareFile,
	config.BackendLDAP:   gateway.CompareLDAP,
	config.BackendRADIUS: gateway.CompareRADIUS,
}

func (a *app) usersCompare() *cobra.Command {
	var (
		file   string
		asJSON bool
	)
	c := &cobra.Command{
		Use:   "compare FILE BACKEND",
		Short: "Show whether each user of a file is known elsewhere with the same password",
		Long: `Compare proves, before users are switched to another backend, that each user
of a users file is known there with the same password; no hash is shown. Of LDAP
the hashes are compared. RADIUS is asked by a whole login of each user, made
with the hash alone. Both are those of the configuration, whatever its
auth.backend says. File compares with the users file of the configuration. The exit code is 0 if all are the
same, else 1. Servers may count refused logins, or lock users out after some.`,
		Example: `  bridgehead users compare /etc/bridgehead/users ldap
  bridgehead users compare /etc/bridgehead/users radius
  bridgehead users compare new-users file --json`,
		Args:      cobra.ExactArgs(2),
		ValidArgs: comparedWith(),
		RunE: func(c *cobra.Command, args []string) error {
			compare := comparers[args[1]]
			if compare == nil {
				return usage("BACKEND", fmt.Errorf("expected one of %v", comparedWith()))
			}
			conf, _, err := gateway.LoadConfig(file)
			if err != nil {
				return err
			}
			users, problems, err := secrets.List(args[0])
			if err != nil {
				return err
			}
			for _, p := range problems {
				fmt.Fprintln(a.err, visible(p.Error()))
			}
			said := compared{File: args[0], With: args[1], Users: []gateway.Comparison{}}
			err = a.compareUsers(c.Context(), &said, func(ctx context.Context, each func(gateway.Comparison)) error {
				return compare(ctx, conf, users, each)
			}, len(users))
			return a.printCompared(said, err, asJSON)
		},
	}
	configFlag(c, &file)
	jsonFlag(c, &asJSON)
	return c
}

// comparedWith names the backends that users can be compared with.
func comparedWith() []string {
	var names []string
	for name := range comparers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// compareUsers collects the outcomes and shows how far it is.
func (a *app) compareUsers(ctx context.Context, said *compared, run func(context.Context, func(gateway.Comparison)) error, all int) error {
	var done atomic.Int64
	stop := a.progress(func() string { return fmt.Sprintf("%d of %d users compared", done.Load(), all) })
	defer stop()
	return run(ctx, func(c gateway.Comparison) {
		done.Add(1)
		if c.Outcome == gateway.CompareSame {
			said.Same++
		} else {
			said.Others++
		}
		said.Users = append(said.Users, c)
	})
}

// printCompared prints who differs, and the sums.
func (a *app) printCompared(said compared, failed error, asJSON bool) error {
	if failed != nil {
		said.Problem = failed.Error()
	}
	var printed error
	if asJSON {
		printed = a.printJSON(said)
		if failed != nil {
			failed = errSaid
		}
	} else {
		rows := [][]string{{"USER", "OUTCOME", "NOTE"}}
		for _, u := range said.Users {
			rows = append(rows, []string{u.User, u.Outcome, u.Note})
		}
		printed = a.table(rows...)
		fmt.Fprintf(a.out, "\n%d users are the same in %s, %d are not\n", said.Same, said.With, said.Others)
	}
	if failed == nil && said.Others > 0 {
		failed = errSaid
	}
	return errors.Join(printed, failed)
}
