package main

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bridgehead/auth"
	"bridgehead/auth/secrets"
	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/cmd/bridgehead/internal/gateway"
)

// userList is what `users list --json` prints; no hash is in it.
type userList struct {
	File     string   `json:"file"`     // that was read
	Users    []user   `json:"users"`    // in the order of the file
	Problems []string `json:"problems"` // lines that were passed over: file:line:column: what
}

type user struct {
	Name      string       `json:"name"`            // as the user types it
	Group     string       `json:"group,omitempty"` // the user's group
	Pool      string       `json:"pool,omitempty"`  // where the user's addresses come from
	Addresses []netip.Addr `json:"addresses"`       // fixed ones
	Settings  []string     `json:"settings"`        // what else the user has of his own, key=value as the file has it
	Disabled  bool         `json:"disabled"`        // kept out for now
}

func (a *app) usersCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "users",
		Short: "List and change the file of users",
		Long: `Users lists and changes the file of users, which holds NT hashes, never
passwords. A running gateway sees a change at once.`,
	}
	c.PersistentFlags().StringVar(&file, "file", config.Default().Auth.File.Path, "`FILE` of users")
	c.AddCommand(a.usersAdd(&file), a.usersList(&file), a.usersRemove(&file), a.usersPasswd(&file),
		a.usersConvert(), a.usersExport(&file), a.usersCompare())
	return c
}

func (a *app) usersAdd(file *string) *cobra.Command {
	var (
		u        secrets.User
		own      = make(map[string]*string)
		generate bool
	)
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a user; the password comes from the terminal or standard input",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			u.Name = args[0]
			for key, value := range own {
				if *value == "" {
					continue
				}
				if err := u.Set(key, *value); err != nil {
					return usage("--"+flagOf(key), err)
				}
			}
			shown := ""
			if generate {
				password, err := gateway.NewPassword(rand.Reader)
				if err != nil {
					return err
				}
				u.Hash, shown = auth.HashPassword([]byte(password)), password
			} else {
				hash, err := a.newPassword(c.Context(), u.Name)
				if err != nil {
					return err
				}
				u.Hash = hash
			}
			if err := secrets.Add(*file, u); err != nil {
				return err
			}
			if generate {
				fmt.Fprintln(a.out, "password:", shown)
			}
			_, err := fmt.Fprintf(a.out, "%s added to %s\n", visible(u.Name), *file)
			return err
		},
	}
	c.Flags().BoolVar(&generate, "generate", false, "make a password and print it once")
	for _, f := range ownFlags {
		own[f.key] = c.Flags().String(flagOf(f.key), "", f.help)
	}
	c.Flags().BoolVar(&u.Disabled, "disabled", false, "keep the user out for now")
	return c
}

// ownFlags are what a user can have of his own.
var ownFlags = []struct{ key, help string }{
	{"group", "the user's `GROUP`"},
	{"pool", "the `POOL` of the user's addresses"},
	{"pool6", "the `POOL` of the user's IPv6 address, where it is another"},
	{"ip4", "fixed IPv4 `ADDRESS`"},
	{"ip6", "fixed IPv6 `ADDRESS`"},
	{"dns", "`ADDRESSES` of name servers, with commas"},
	{"routes", "`PREFIXES` that the user reaches, with commas"},
	{"domains", "`DOMAINS` that the name servers are for, with commas"},
	{"session_timeout", "`TIME` after which a session ends, such as 8h"},
	{"idle_timeout", "`TIME` without a packet after which a session ends"},
	{"max_sessions", "`NUMBER` of sessions at once"},
	{"rate_up", "bits a second from the client, such as 10M"},
	{"rate_down", "bits a second to the client"},
}

func flagOf(key string) string { return strings.ReplaceAll(key, "_", "-") }

func (a *app) usersList(file *string) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the users",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			list, problems, err := secrets.List(*file)
			if err != nil {
				return err
			}
			result := userList{File: *file, Users: []user{}, Problems: []string{}}
			for _, u := range list {
				row := user{Name: u.Name, Group: u.Group, Pool: u.Pool, Addresses: []netip.Addr{}, Settings: []string{}, Disabled: u.Disabled}
				for _, s := range u.Settings() {
					if !slices.Contains([]string{"group", "pool", "ip4", "ip6"}, s.Key) {
						row.Settings = append(row.Settings, s.Key+"="+s.Value)
					}
				}
				for _, addr := range []netip.Addr{u.IPv4, u.IPv6} {
					if addr.IsValid() {
						row.Addresses = append(row.Addresses, addr)
					}
				}
				result.Users = append(result.Users, row)
			}
			for _, p := range problems {
				result.Problems = append(result.Problems, p.Error())
			}
			if asJSON {
				return a.printJSON(result)
			}
			return a.printUsers(result)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

func (a *app) printUsers(l userList) error {
	for _, p := range l.Problems {
		fmt.Fprintln(a.err, visible(p))
	}
	if len(l.Users) == 0 {
		_, err := fmt.Fprintln(a.out, "no users; add one with: bridgehead users add NAME")
		return err
	}
	rows := [][]string{{"NAME", "GROUP", "POOL", "ADDRESSES", "STATE", ""}}
	for _, u := range l.Users {
		state := "enabled"
		if u.Disabled {
			state = "disabled"
		}
		rows = append(rows, []string{u.Name, orDash(u.Group), orDash(u.Pool), orDash(addresses(u.Addresses)), state, strings.Join(u.Settings, " ")})
	}
	return a.table(rows...)
}

// orDash keeps a column visible that is empty.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (a *app) usersRemove(file *string) *cobra.Command {
	return &cobra.Command{
		Use:               "remove NAME",
		Short:             "Remove a user; sessions that are up stay",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeUsers(file),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := secrets.Remove(*file, args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(a.out, "%s removed from %s; end open sessions with: bridgehead disconnect %s\n", visible(args[0]), *file, visible(args[0]))
			return err
		},
	}
}

func (a *app) usersPasswd(file *string) *cobra.Command {
	return &cobra.Command{
		Use:               "passwd NAME",
		Short:             "Change a user's password, from the terminal or standard input",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeUsers(file),
		RunE: func(c *cobra.Command, args []string) error {
			hash, err := a.newPassword(c.Context(), args[0])
			if err != nil {
				return err
			}
			if err := secrets.SetPassword(*file, args[0], hash); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "password of %s changed in %s\n", visible(args[0]), *file)
			return err
		},
	}
}

// completeUsers offers the names in the file.
func completeUsers(file *string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list, _, err := secrets.List(*file)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names := make([]string, len(list))
		for i, u := range list {
			names[i] = u.Name
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// addressFlag is a flag that holds an address.
type addressFlag struct{ netip.Addr }

// Set implements pflag.Value.
func (f *addressFlag) Set(s string) error {
	addr, err := netip.ParseAddr(strings.TrimSpace(s))
	if err != nil {
		return fmt.Errorf("%q is not an address", s)
	}
	f.Addr = addr
	return nil
}

// Type implements pflag.Value.
func (*addressFlag) Type() string { return "address" }

// String implements pflag.Value; empty where nothing was set.
func (f *addressFlag) String() string {
	if !f.IsValid() {
		return ""
	}
	return f.Addr.String()
}
