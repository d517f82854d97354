package provision

import (
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"strings"

	"bridgehead/ikev2/suite"
)

// appleLifetime is the longest that the payload takes, in minutes. Left to
// itself the client renews its keys every 24 and 48 minutes, each time a
// chance to lose the session.
const appleLifetime = 1440

// apple writes a configuration profile with a VPN payload of type IKEv2 and,
// where there is one, the authority.
func (w writer) apple(p *Profile) {
	p.File, p.MediaType = w.slug()+".mobileconfig", "application/x-apple-aspen-config"
	identifier := "bridgehead." + w.Server
	content := array{w.appleVPN(identifier)}
	if w.Authority != nil {
		content = append(content, dict{
			{"PayloadType", "com.apple.security.root"},
			{"PayloadVersion", 1},
			{"PayloadIdentifier", identifier + ".authority"},
			{"PayloadUUID", w.appleUUID("authority")},
			{"PayloadDisplayName", visible(w.Authority.Subject.String())},
			{"PayloadContent", w.Authority.Raw},
		})
	}
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
`)
	writePlist(&b, dict{
		{"PayloadType", "Configuration"},
		{"PayloadVersion", 1},
		{"PayloadIdentifier", identifier},
		{"PayloadUUID", w.appleUUID("profile")},
		{"PayloadDisplayName", w.Name},
		{"PayloadDescription", "VPN connection to " + w.Server},
		{"PayloadRemovalDisallowed", false},
		{"PayloadContent", content},
	}, 0)
	b.WriteString("</plist>\n")
	p.Text = b.String()
	p.Notes = append(p.Notes, "The profile is not signed: the device asks before it installs it, and for the password.")
	if w.User == "" {
		p.Notes = append(p.Notes, "Some versions want the user's name in the profile: give it with --user.")
	}
}

// appleVPN is the VPN payload.
func (w writer) appleVPN(identifier string) dict {
	ike := dict{
		{"RemoteAddress", w.Server},
		{"RemoteIdentifier", w.Server},
		{"LocalIdentifier", w.User},
		// EAP without a certificate of the client's own.
		{"AuthenticationMethod", "None"},
		{"ExtendedAuthEnabled", 1},
	}
	if w.User != "" {
		ike = append(ike, entry{"AuthName", w.User})
	}
	kind := appleKeyTypes(w)
	if kind != "" {
		ike = append(ike, entry{"CertificateType", kind})
	}
	// Makes the client ask for a certificate; needed beside CertificateType.
	// With a public authority it is left out where it can be: public
	// intermediates change their names.
	switch {
	case w.Authority != nil && w.Authority.Subject.CommonName != "":
		ike = append(ike, entry{"ServerCertificateIssuerCommonName", w.Authority.Subject.CommonName})
	case kind != "":
		ike = append(ike, entry{"ServerCertificateIssuerCommonName", w.Certificate.Issuer.CommonName})
	}
	pfs := 0
	if w.esp.Group() != suite.GroupNone {
		pfs = 1
	}
	return append(dict{
		{"PayloadType", "com.apple.vpn.managed"},
		{"PayloadVersion", 1},
		{"PayloadIdentifier", identifier + ".ikev2"},
		{"PayloadUUID", w.appleUUID("ikev2")},
		{"PayloadDisplayName", w.Name},
		{"UserDefinedName", w.Name},
		{"VPNType", "IKEv2"},
		{"IKEv2", append(ike,
			entry{"DeadPeerDetectionRate", "Medium"},
			entry{"DisableMOBIKE", 0},
			entry{"EnablePFS", pfs},
			entry{"IKESecurityAssociationParameters", appleSuite(w.ike, suite.PRF(w.ike.PRF.ID))},
			entry{"ChildSecurityAssociationParameters", appleSuite(w.esp, 0)},
		)},
	}, w.appleDNS()...)
}

// appleDNS names the domains that are asked of the tunnel's servers where other
// traffic goes elsewhere. The gateway says the same during the login (RFC 8598),
// to which not every version of the client listens.
func (w writer) appleDNS() dict {
	if len(w.Domains) == 0 || len(w.DNS) == 0 || w.everything(allIPv4) {
		return nil
	}
	var servers, domains array
	for _, a := range w.DNS {
		servers = append(servers, a.String())
	}
	for _, d := range w.Domains {
		domains = append(domains, strings.TrimSuffix(d, "."))
	}
	return dict{{"DNS", dict{{"ServerAddresses", servers}, {"SearchDomains", domains}, {"SupplementalMatchDomains", domains}}}}
}

func (w writer) appleUUID(thing string) string { return strings.ToUpper(w.uuid(thing + ".apple")) }

// appleKeyTypes names the gateway's key where it is not RSA, the default.
func appleKeyTypes(w writer) string {
	if w.Certificate == nil {
		return ""
	}
	key, ok := w.Certificate.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return ""
	}
	return fmt.Sprintf("ECDSA%d", key.Curve.Params().BitSize)
}

// appleSuite is a suite in the payload's words. prf is 0 for a Child SA, which
// has none.
func appleSuite(c suite.Choice, prf suite.PRF) dict {
	integrity := "SHA2-256" // of no effect beside an AEAD in a Child SA
	switch {
	case prf == suite.PRFHMACSHA1 || c.Integ.ID == suite.IntegHMACSHA1_96:
		integrity = "SHA1-96"
	case prf == suite.PRFHMACSHA384 || c.Integ.ID == suite.IntegHMACSHA2_384192:
		integrity = "SHA2-384"
	case prf == suite.PRFHMACSHA512 || c.Integ.ID == suite.IntegHMACSHA2_512256:
		integrity = "SHA2-512"
	}
	d := dict{{"EncryptionAlgorithm", appleCipher(c)}, {"IntegrityAlgorithm", integrity}}
	if c.Group() != suite.GroupNone {
		d = append(d, entry{"DiffieHellmanGroup", int(c.Group())})
	}
	return append(d, entry{"LifeTimeInMinutes", appleLifetime})
}

func appleCipher(c suite.Choice) string {
	switch c.Encr.ID {
	case suite.EncrChaCha20Poly1305:
		return "ChaCha20Poly1305"
	case suite.EncrAESGCM16:
		return fmt.Sprintf("AES-%d-GCM", c.Encr.KeyLength)
	}
	return fmt.Sprintf("AES-%d", c.Encr.KeyLength)
}

// The values of a property list beside string, int, bool and []byte.
type (
	dict  []entry
	array []any
	entry struct {
		key   string
		value any
	}
)

// writePlist writes a value of a property list, one element a line.
func writePlist(b *strings.Builder, value any, depth int) {
	indent := strings.Repeat("\t", depth)
	switch v := value.(type) {
	case string:
		fmt.Fprintf(b, "%s<string>%s</string>\n", indent, escapeXML(v))
	case int:
		fmt.Fprintf(b, "%s<integer>%d</integer>\n", indent, v)
	case bool:
		fmt.Fprintf(b, "%s<%t/>\n", indent, v)
	case []byte:
		fmt.Fprintf(b, "%s<data>%s</data>\n", indent, base64.StdEncoding.EncodeToString(v))
	case array:
		fmt.Fprintf(b, "%s<array>\n", indent)
		for _, x := range v {
			writePlist(b, x, depth+1)
		}
		fmt.Fprintf(b, "%s</array>\n", indent)
	case dict:
		fmt.Fprintf(b, "%s<dict>\n", indent)
		for _, e := range v {
			fmt.Fprintf(b, "%s\t<key>%s</key>\n", indent, e.key)
			writePlist(b, e.value, depth+1)
		}
		fmt.Fprintf(b, "%s</dict>\n", indent)
	}
}

func escapeXML(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder never fails
	return b.String()
}
