package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"bridgehead/ikev2/hostnet"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
)

func (a *app) connectCommand() *cobra.Command {
	var (
		d       dialFlags
		o       initiator.ConnectConfig
		state   string
		subnets []string
	)
	c := &cobra.Command{
		Use:   "connect ADDRESS",
		Short: "Connect this host through a gateway until Ctrl-C",
		Long: `Connect logs in and gives this host a tunnel: a TUN device with the addresses
and routes that the gateway gives. It needs root. Name servers are printed, not
set. Ctrl-C logs out and puts the host's network back as it was.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			prefixes, err := parseAll(subnets, netip.ParsePrefix)
			if err != nil {
				return usage("--subnet", err)
			}
			if o.Config, err = d.config(c.Context(), a, args[0]); err != nil {
				return err
			}
			defer o.Config.Password.Wipe()
			o.Config.RemoteSelectors = selectors(prefixes)
			o.Up = func(i initiator.Interface) (func() error, error) { return a.joinHost(state, i) }
			return failureError(initiator.Connect(c.Context(), o))
		},
	}
	d.add(c)
	c.Flags().StringVar(&o.Device, "device", "", "`NAME` of the TUN device; without it, the first free one")
	c.Flags().IntVar(&o.MTU, "mtu", 0, "of the TUN device, octets; 0: 1400")
	c.Flags().StringSliceVar(&subnets, "subnet", nil, "`PREFIX` to reach through the gateway; without it, everything it allows")
	c.Flags().StringVar(&state, "state", "/var/lib/bridgehead", "`FOLDER` for the note of what must be undone")
	return c
}

// selectors asks for prefixes; none asks for everything.
func selectors(prefixes []netip.Prefix) []message.Selector {
	var list []message.Selector
	for _, p := range prefixes {
		list = append(list, message.SelectorOf(p))
	}
	return list
}

// joinHost gives the device its addresses and routes, and what takes them back.
func (a *app) joinHost(state string, i initiator.Interface) (func() error, error) {
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, fmt.Errorf("%w; choose another folder with --state", err)
	}
	// One journal for each device: several connections may stand side by side.
	host, _, err := hostnet.Open(filepath.Join(state, "connect-"+i.Device+".journal"))
	if err != nil {
		return nil, err
	}
	addrs := make([]netip.Addr, len(i.Addresses))
	for n, p := range i.Addresses {
		addrs[n] = p.Addr()
	}
	err = host.ApplyClient(hostnet.Client{Device: i.Device, MTU: i.MTU, Addresses: addrs, Routes: i.Routes, Gateway: i.Gateway})
	if err != nil {
		return nil, errors.Join(err, host.Close())
	}
	fmt.Fprintf(a.out, "connected on %s: addresses %s, name servers %s, reaches %s; Ctrl-C ends it\n",
		i.Device, words(addrs), orDash(words(i.DNS)), words(i.Routes))
	return host.Close, nil
}
