package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"bridgehead/cmd/bridgehead/internal/gateway"
	"bridgehead/ikev2"
)

// program is how the other verbs are called, as this one was.
func program() string { return programCalled(os.Args[0], os.Getenv("SUDO_USER") != "") }

func programCalled(name string, sudo bool) string {
	if strings.Contains(filepath.ToSlash(name), "/go-build") { // of "go run", gone with it
		name = "go run ./cmd/bridgehead"
	}
	if sudo {
		name = "sudo " + name
	}
	return name
}

// welcome says what to type and to import at each client.
func (a *app) welcome(q *gateway.Quickstart, listening []string) {
	password := q.Password
	if password == "" {
		password = "the one of the first run (another: --new-password)"
	}
	pools := make([]string, len(q.Config.Addresses.Pools))
	for i, p := range q.Config.Addresses.Pools {
		pools[i] = p.String()
	}
	fmt.Fprintf(a.out, "%s\n\n", a.paint(bold, "The gateway runs."))
	rows := [][]string{
		{"  server", q.Names[0]},
		{"  user", q.User},
		{"  password", password},
		{"  certificate authority", q.CA},
		{"  listening", strings.Join(listening, "; ")},
		{"  clients get", "addresses of " + strings.Join(pools, " and ") + "; name servers " + strings.ReplaceAll(addresses(q.Config.Addresses.DNS), " ", ", ")},
	}
	if len(q.Names) > 1 {
		rows = append(rows, []string{"  also named", strings.Join(q.Names[1:], ", ")})
	}
	_ = a.table(rows...) // a broken terminal is no reason to stop the gateway
	if q.Password != "" {
		fmt.Fprint(a.out, "\nWrite the password down: only its hash is kept, and it is not shown again.\n")
	}
	fmt.Fprint(a.out, "\n", clientHelp(q), "\n")
	for _, n := range q.Notes {
		fmt.Fprintf(a.out, "Note: %s\n", n)
	}
	fmt.Fprintf(a.out, "In another terminal: %s status%s; instead of status: sessions, why, events.\n", program(), controlHint(a))
	fmt.Fprintf(a.out, "To stay with this setup: %s serve --config %s\n", program(), q.File)
	fmt.Fprintf(a.out, "Ctrl-C ends it and puts this host's network back. Logins, logouts and refusals follow, a line each.\n\n")
}

// windowsLine is what has Windows offer more than modp1024 to this gateway.
func windowsLine(q *gateway.Quickstart) string {
	line, ok := ikev2.WindowsSettings("bridgehead", q.Config.IKE.Proposals, q.Config.ESP.Proposals)
	if !ok {
		return "# what this gateway accepts, Windows can't be set to"
	}
	return line
}

// clientHelp is the shortest way to a connection for each kind of client.
func clientHelp(q *gateway.Quickstart) string {
	return fmt.Sprintf(`At the client (copy %[2]s to it first):
  Windows     as administrator in PowerShell:
                Import-Certificate -FilePath ca.pem -CertStoreLocation Cert:\LocalMachine\Root
                Add-VpnConnection -Name bridgehead -ServerAddress %[1]s -TunnelType Ikev2 -AuthenticationMethod Eap -EncryptionLevel Maximum
                Add-VpnConnectionRoute -ConnectionName bridgehead -DestinationPrefix ::/1
                Add-VpnConnectionRoute -ConnectionName bridgehead -DestinationPrefix 8000::/1
                %[4]s
              then connect in Settings, Network, VPN, with user name and password
  Apple       open ca.pem and trust it; Settings, VPN, type IKEv2: server and remote ID %[1]s, user name and password
  Android     install ca.pem as a CA certificate; Settings, VPN, type IKEv2/IPSec MSCHAPv2: server %[1]s, identifier %[3]s
              or the strongSwan app: server %[1]s, IKEv2 EAP, the CA certificate chosen
  Linux       charon-cmd --cert ca.pem --host %[1]s --remote-identity %[1]s --identity %[3]s --profile ikev2-eap
              as root; Debian has it in the package charon-cmd
  To try it from outside, without a tunnel: bridgehead probe %[1]s --ca ca.pem --user %[3]s
`, q.Names[0], q.CA, q.User, windowsLine(q))
}
