package main

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/cmd/bridgehead/internal/gateway"
	"bridgehead/cmd/bridgehead/internal/pki"
	"bridgehead/cmd/bridgehead/internal/provision"
)

func (a *app) profileCommand() *cobra.Command {
	var (
		file, output string
		conn         provision.Connection
		asJSON       bool
	)
	clients := make([]string, 0, len(provision.Clients()))
	for _, c := range provision.Clients() {
		clients = append(clients, string(c))
	}
	c := &cobra.Command{
		Use:   "profile " + strings.Join(clients, "|"),
		Short: "Write what sets up a client: a script, a profile or a configuration",
		Long: `Profile writes what sets up one kind of client for this gateway, as its
configuration stands: name, certificate authority, algorithms, routes. It holds
no password. With a certificate from a public authority, none is imported.

  windows         PowerShell, for the client built into Windows 10 and later
  apple           a .mobileconfig for iOS and macOS
  android         a .sswan for the strongSwan app
  networkmanager  a shell script that calls nmcli
  strongswan      a swanctl.conf, and the command line of charon-cmd`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: clients,
		RunE: func(_ *cobra.Command, args []string) error {
			if !slices.Contains(clients, args[0]) {
				hint := "one of " + strings.Join(clients, ", ")
				if near := config.Nearest(args[0], clients); near != "" {
					hint = "did you mean " + near + "?"
				}
				return &codedError{exitUsage, fmt.Errorf("unknown client %q; %s", args[0], hint)}
			}
			p, err := a.profile(file, provision.Client(args[0]), conn)
			if err != nil {
				return err
			}
			return a.writeProfile(p, output, asJSON)
		},
	}
	configFlag(c, &file)
	f := c.Flags()
	f.StringVar(&conn.User, "user", "", "`NAME` of the user; without it the client asks")
	f.StringVar(&conn.Name, "name", "My VPN", "`NAME` of the connection at the client")
	f.StringVarP(&output, "output", "o", "", "write to `FILE` instead of standard output")
	jsonFlag(c, &asJSON)
	return c
}

// profile reads the configuration as check does, and writes the client's side
// of it.
func (a *app) profile(file string, client provision.Client, conn provision.Connection) (*provision.Profile, error) {
	c, _, err := gateway.LoadConfig(file)
	if err != nil {
		return nil, err
	}
	g, err := a.gatewayForClients(c)
	if err != nil {
		return nil, err
	}
	p, err := g.Profile(client, conn)
	if name := new(provision.NameError); errors.As(err, &name) {
		return nil, &codedError{exitUsage, err}
	}
	return p, err
}

// gatewayForClients is what clients must know of a configuration.
func (a *app) gatewayForClients(c *config.Config) (provision.Gateway, error) {
	g := provision.Gateway{
		Server: c.Server.Name, IKEPort: c.Server.IKEPort, NATTPort: c.Server.NATTPort,
		IKE: c.IKE.Proposals, ESP: c.ESP.Proposals,
		Subnets: c.Addresses.Subnets, DNS: c.Addresses.DNS, Domains: c.Addresses.Domains,
	}
	for _, named := range c.AllPools() {
		for _, p := range named.Addresses {
			g.IPv4 = g.IPv4 || p.Range.First.Is4()
			g.IPv6 = g.IPv6 || p.Range.First.Is6()
		}
	}
	for i, certificate := range c.Server.Certificates {
		id, _, err := pki.Load(pki.Files{Certificate: certificate, Key: c.Server.Keys[i], Chain: c.Server.Chain}, c.Server.Name, a.now())
		if err != nil {
			return g, err
		}
		// Of several, every client can verify the one with an RSA key.
		if _, rsa := id.Chain[0].PublicKey.(*rsa.PublicKey); g.Certificate == nil || rsa {
			g.Certificate, g.Authority = id.Chain[0], id.Root
		}
	}
	return g, nil
}

// writeProfile prints a profile, and what is left to do where it is not lost
// in the profile.
func (a *app) writeProfile(p *provision.Profile, output string, asJSON bool) error {
	if output != "" {
		if err := os.WriteFile(output, []byte(p.Text), 0o644); err != nil {
			return fmt.Errorf("profile: %w", err)
		}
	}
	if asJSON {
		return a.printJSON(p)
	}
	if output == "" {
		if _, err := fmt.Fprint(a.out, p.Text); err != nil {
			return err
		}
	}
	for _, n := range p.Notes {
		fmt.Fprintln(a.err, "Note:", n)
	}
	return nil
}
