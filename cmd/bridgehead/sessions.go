package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bridgehead/cmd/bridgehead/internal/admin"
	"bridgehead/ikev2"
)

// sessionList is what `sessions --json` prints.
type sessionList struct {
	Sessions []admin.Session `json:"sessions"` // who is logged in
}

func (a *app) sessionsCommand() *cobra.Command {
	var asJSON, wide bool
	c := &cobra.Command{
		Use:               "sessions [USER|SESSION]",
		Short:             "List who is logged in",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeSessions,
		RunE: func(c *cobra.Command, args []string) error {
			g, ctx, cancel := a.gateway(c)
			defer cancel()
			list, err := g.Sessions(ctx)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				list = slices.DeleteFunc(list, func(s admin.Session) bool { return s.ID != args[0] && s.User != args[0] })
			}
			err = a.printSessions(list, asJSON, wide)
			if err == nil && len(args) == 1 && !asJSON {
				a.printQuirks(list)
			}
			if err == nil && len(args) == 1 && len(list) == 0 {
				return errSaid
			}
			return err
		},
	}
	jsonFlag(c, &asJSON)
	c.Flags().BoolVar(&wide, "wide", false, "print algorithms and identities, too")
	return c
}

func (a *app) printSessions(list []admin.Session, asJSON, wide bool) error {
	if asJSON {
		if list == nil {
			list = []admin.Session{}
		}
		return a.printJSON(sessionList{list})
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(a.out, "nobody is logged in")
		return err
	}
	head := []string{"SESSION", "USER", "ADDRESSES", "FROM", "SINCE", "IN", "OUT"}
	if wide {
		head = append(head, "CLIENT", "IDENTITY", "IKE", "ESP", "QUIRKS")
	}
	rows := [][]string{head}
	for _, s := range list {
		row := []string{s.ID, s.User, addresses(s.Addresses), s.Peer, ago(a.now().Sub(s.Established)), octets(s.BytesIn), octets(s.BytesOut)}
		if wide {
			row = append(row, s.Client, s.Identity, s.IKE, s.ESP, strings.Join(s.Quirks, " "))
		}
		rows = append(rows, row)
	}
	return a.table(rows...)
}

// printQuirks tells what allowances are made for the clients of sessions.
func (a *app) printQuirks(list []admin.Session) {
	var ids []string
	for _, s := range list {
		ids = append(ids, s.Quirks...)
	}
	if len(ids) > 0 {
		fmt.Fprintln(a.out, "\nallowances for the client:")
	}
	for _, q := range ikev2.AllQuirks() {
		if slices.Contains(ids, q.String()) {
			fmt.Fprintf(a.out, "  %-4s %s\n", q, q.Meaning())
		}
	}
}

func addresses(list []netip.Addr) string {
	words := make([]string, len(list))
	for i, a := range list {
		words[i] = a.String()
	}
	return strings.Join(words, " ")
}

// completeSessions offers the users and sessions of the running gateway.
func (a *app) completeSessions(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	g, ctx, cancel := a.gateway(c)
	defer cancel()
	list, err := g.Sessions(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var words []string
	for _, s := range list {
		words = append(words, visible(s.User)+"\tfrom "+visible(s.Peer), s.ID+"\t"+visible(s.User))
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}
