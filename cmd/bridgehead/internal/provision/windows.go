package provision

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"

	"bridgehead/ikev2"
)

// windows writes a script for PowerShell. Connections made by it propose
// modp1024 only unless an IPsec policy says otherwise, and have no IPv6 route.
func (w writer) windows(p *Profile) {
	p.File, p.MediaType = w.slug()+".ps1", "text/plain; charset=utf-8"
	name, server := powerShell(w.Name), powerShell(w.Server)
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }

	line("#Requires -Version 5.1")
	line("# Makes the VPN connection %s to %s, for the user who runs it. An older one of", name, server)
	line("# the same name is replaced. Windows 10 and later:")
	line("#   powershell -ExecutionPolicy Bypass -File %s", p.File)
	line("$ErrorActionPreference = 'Stop'")
	line("if (Get-VpnConnection -Name %s -ErrorAction SilentlyContinue) {", name)
	line("    Remove-VpnConnection -Name %s -Force", name)
	line("}")
	line("# Eap without further settings is EAP-MSCHAPv2: user name and password.")
	line("Add-VpnConnection -Name %s -ServerAddress %s -TunnelType Ikev2 -AuthenticationMethod Eap -EncryptionLevel Maximum -RememberCredential -SplitTunneling:$%t%s -Force",
		name, server, !w.everything(allIPv4), w.suffix())
	line("# Without this, Windows proposes modp1024 only.")
	line("%s", ikev2.WindowsPolicy(name, w.ike, w.esp))
	w.windowsRoutes(&b, name)
	w.windowsAdministrator(&b, p)
	line("")
	user := "USER"
	if w.User != "" {
		user = powerShell(w.User)
	}
	line("# To connect from here: rasdial %s %s *", name, user)
	p.Text = b.String()
	if strings.Trim(p.Text, asciiText) != "" {
		p.Text = "\ufeff" + p.Text // else PowerShell 5.1 reads it in the system's code page
	}
	if w.User == "" {
		p.Notes = append(p.Notes, "Windows asks for user name and password at the first connection.")
	}
}

// asciiText are the characters of a script that is the same in every code
// page.
var asciiText = func() string {
	all := []byte{'\n'}
	for c := byte(' '); c <= '~'; c++ {
		all = append(all, c)
	}
	return string(all)
}()

// suffix names the domain in which short names are looked up.
func (w writer) suffix() string {
	if len(w.Domains) == 0 {
		return ""
	}
	return " -DnsSuffix " + powerShell(w.Domains[0])
}

// windowsRoutes adds what Windows does not take from the gateway. The cmdlet
// refuses ::/0, for which its two halves stand.
func (w writer) windowsRoutes(b *strings.Builder, name string) {
	add := func(route string) { fmt.Fprintf(b, "Add-VpnConnectionRoute %s %s\n", name, route) }
	for _, route := range w.reached() {
		switch route {
		case allIPv4: // as the default route
		case allIPv6:
			fmt.Fprintln(b, "# Windows makes no IPv6 default route of its own. The same for all connections of this")
			fmt.Fprintln(b, "# name, as administrator and for Windows before 8.1:")
			fmt.Fprintf(b, "#   netsh interface ipv6 add route ::/0 %s\n", name)
			add("::/1")
			add("8000::/1")
		default:
			add(route.String())
		}
	}
}

// windowsAdministrator writes what changes the whole machine: trust in the
// gateway's authority, and names that the tunnel's servers answer for while
// other traffic goes elsewhere.
func (w writer) windowsAdministrator(b *strings.Builder, p *Profile) {
	policy := len(w.Domains) > 0 && len(w.DNS) > 0 && !w.everything(allIPv4)
	if w.Authority == nil && !policy {
		return
	}
	p.Notes = append(p.Notes, "Run it as administrator once, for what concerns the whole machine.")
	line := func(format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }
	line("")
	line("# What follows concerns the whole machine.")
	line("$identity = [Security.Principal.WindowsPrincipal][Security.Principal.WindowsIdentity]::GetCurrent()")
	line("if ($identity.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {")
	if w.Authority != nil {
		line("    # The gateway's own authority, %s:", powerShell(visible(w.Authority.Subject.String())))
		line("    $file = Join-Path ([IO.Path]::GetTempPath()) ([IO.Path]::GetRandomFileName() + '.cer')")
		line("    [IO.File]::WriteAllBytes($file, [Convert]::FromBase64String('%s'))", base64.StdEncoding.EncodeToString(w.Authority.Raw))
		line(`    Import-Certificate -FilePath $file -CertStoreLocation Cert:\LocalMachine\Root | Out-Null`)
		line("    Remove-Item -LiteralPath $file")
	}
	if policy {
		comment := powerShell("VPN " + w.Server)
		line("    Get-DnsClientNrptRule | Where-Object Comment -EQ %s | Remove-DnsClientNrptRule -Force", comment)
		for _, d := range w.Domains {
			line("    Add-DnsClientNrptRule -Namespace %s -NameServers %s -Comment %s", powerShell("."+strings.TrimSuffix(d, ".")), powerShellList(w.DNS), comment)
		}
	}
	if w.Authority != nil {
		line(`} elseif (-not (Test-Path -LiteralPath 'Cert:\LocalMachine\Root\%X')) {`, sha1.Sum(w.Authority.Raw))
	} else {
		line("} else {")
	}
	line("    Write-Warning 'Not complete: run this script once as administrator.'")
	line("}")
}

// powerShellList is an array of addresses.
func powerShellList(list []netip.Addr) string {
	texts := make([]string, len(list))
	for i, a := range list {
		texts[i] = powerShell(a.String())
	}
	return strings.Join(texts, ",")
}
