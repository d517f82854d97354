package provision

import (
	"encoding/pem"
	"fmt"
	"strings"
)

// networkManager writes a shell script that calls nmcli.
func (w writer) networkManager(p *Profile) {
	p.File, p.MediaType = w.slug()+".sh", "text/x-shellscript; charset=utf-8"
	uuid := w.uuid("networkmanager")
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("#!/bin/sh")
	line("# Makes the VPN connection %s to %s in NetworkManager. One that this script made", shell(w.Name), shell(w.Server))
	line("# earlier is replaced. Debian: apt install network-manager-strongswan libcharon-extauth-plugins")
	line("set -eu")
	data := w.vpnData()
	if w.Authority != nil {
		line(`ca="${XDG_DATA_HOME:-$HOME/.local/share}/bridgehead/%s.pem"`, w.slug())
		line(`mkdir -p "${ca%%/*}"`)
		line(`cat >"$ca" <<'CERTIFICATE'`)
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.Authority.Raw}))
		line("CERTIFICATE")
		line(`data=%s", certificate=$(printf %%s "$ca" | sed 's/[\\,]/\\&/g')"`, shell(data))
	} else {
		line("data=%s", shell(data))
	}
	line("nmcli connection delete uuid %s >/dev/null 2>&1 || true", uuid)
	more := ""
	if len(w.Domains) > 0 {
		for _, family := range w.families() {
			more += " " + family + ".dns-search " + shell(strings.Join(w.Domains, ","))
		}
	}
	line(`nmcli connection add type vpn vpn-type strongswan con-name %s ifname '*' connection.uuid %s vpn.data "$data"%s`, shell(w.Name), uuid, more)
	line("# To connect and be asked for the password: nmcli --ask connection up uuid %s", uuid)
	p.Text = b.String()
	if w.User == "" {
		p.Notes = append(p.Notes, "Enter the user name in the connection's settings, or give it with --user.")
	}
}

// families are NetworkManager's names of the families that clients have.
func (g Gateway) families() []string {
	var list []string
	if g.IPv4 {
		list = append(list, "ipv4")
	}
	if g.IPv6 {
		list = append(list, "ipv6")
	}
	return list
}

// vpnData are the settings of strongSwan's plug-in, as nmcli lists them. The
// password is the user's agent's business, never a file's.
func (w writer) vpnData() string {
	data := []string{"address=" + option(w.Server), "remote-identity=" + option(w.Server), "method=eap"}
	if w.User != "" {
		data = append(data, "user="+option(strongSwanIdentity(w.User)))
	}
	if w.moved() {
		data = append(data, fmt.Sprintf("server-port=%d", w.NATTPort)) // see moved
	}
	return strings.Join(append(data, "virtual=yes", "proposal=yes",
		"ike="+option(strongSwanWords(w.ike)), "esp="+option(strongSwanWords(w.esp)), "password-flags=1"), ", ")
}
