package provision

import (
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
)

// pemMark begins the lines of a swanctl.conf that hold a certificate: a
// comment to strongSwan.
const pemMark = "#| "

// strongSwan writes a swanctl.conf and the command line of charon-cmd.
func (w writer) strongSwan(p *Profile) {
	name := w.slug()
	p.File, p.MediaType = name+".conf", "text/plain; charset=utf-8"
	user := "USER"
	if w.User != "" {
		user = w.User
	} else {
		p.Notes = append(p.Notes, "Write the user's name for USER, or give it with --user.")
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# The VPN connection %s to %s for strongSwan. Debian: apt install", swanctl(w.Name), w.Server)
	line("# strongswan-swanctl charon-systemd libcharon-extauth-plugins")
	line("#   - This file is /etc/swanctl/conf.d/%s.", p.File)
	authority := ""
	if w.Authority != nil {
		authority = "--cert /etc/swanctl/x509ca/" + name + ".pem "
		line("#   - The authority: sed -n 's/^%s//p' %s > /etc/swanctl/x509ca/%s.pem", pemMark, p.File, name)
	}
	line("#   - The password, in a file beside this one that only root reads:")
	line("#       secrets { eap-%s { id = %s", name, swanctl(strongSwanIdentity(user)))
	line("#         secret = \"...\" } }")
	line("#   - swanctl --load-all && swanctl --initiate --child %s", name)
	if !w.moved() {
		destinations := ""
		for _, n := range w.reached() {
			destinations += " --remote-ts " + n.String()
		}
		line("# Or without any of it but the authority:")
		line("#   charon-cmd %s--host %s --remote-identity %s --identity %s --profile ikev2-eap --ike-proposal %s --esp-proposal %s%s",
			authority, shell(w.Server), shell(w.Server), shell(strongSwanIdentity(user)), strongSwanWords(w.ike), strongSwanWords(w.esp), destinations)
	}
	w.swanctlConnection(&b, name, user)
	if w.Authority != nil {
		line("# %s:", visible(w.Authority.Subject.String()))
		for l := range strings.Lines(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.Authority.Raw}))) {
			b.WriteString(pemMark + l)
		}
	}
	p.Text = b.String()
}

// swanctlConnection writes the section connections.
func (w writer) swanctlConnection(b *strings.Builder, name, user string) {
	var vips []string
	if w.IPv4 {
		vips = append(vips, "0.0.0.0")
	}
	if w.IPv6 {
		vips = append(vips, "::")
	}
	port := ""
	if w.moved() {
		port = fmt.Sprintf("\n    local_port = 4500\n    remote_port = %d", w.NATTPort) // see moved
	}
	identity := swanctl(strongSwanIdentity(user))
	fmt.Fprintf(b, `connections {
  %[1]s {
    version = 2
    remote_addrs = %[2]s%[3]s
    vips = %[4]s
    proposals = %[5]s
    local {
      auth = eap-mschapv2
      id = %[6]s
      eap_id = %[6]s
    }
    remote {
      auth = pubkey
      id = %[2]s
    }
    children {
      %[1]s {
        remote_ts = %[7]s
        esp_proposals = %[8]s
      }
    }
  }
}
`, name, w.Server, port, strings.Join(vips, ", "), strongSwanWords(w.ike), identity, words(w.reached(), ", "), strongSwanWords(w.esp))
}

// strongSwanIdentity writes a user's name so that strongSwan takes it as it
// stands, even where it looks like an address, a distinguished name, a pattern
// or a name with its type in front. Those become key ids.
func strongSwanIdentity(user string) string {
	switch {
	case strings.HasPrefix(user, "#"): // would be read as hexadecimal
		return "keyid:#" + hex.EncodeToString([]byte(user))
	case strings.ContainsAny(user, "=*%:#/{") || strings.HasPrefix(user, "@") || strings.Trim(user, "0123456789.-") == "":
		return "keyid:" + user
	}
	return user
}
