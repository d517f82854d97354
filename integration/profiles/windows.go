package profiles

import (
	"fmt"
	"strings"
)

// The words of Set-VpnConnectionIPsecConfiguration, of which one each must be
// given.
var (
	windowsEncryption = map[string]string{
		"AES128": "aes128", "AES192": "aes192", "AES256": "aes256", "GCMAES128": "aes128gcm16", "GCMAES256": "aes256gcm16",
	}
	windowsCipher = map[string]string{
		"AES128": "aes128", "AES192": "aes192", "AES256": "aes256",
		"GCMAES128": "aes128gcm16", "GCMAES192": "aes192gcm16", "GCMAES256": "aes256gcm16",
	}
	windowsAuthentication = map[string]string{
		"SHA196": "-sha1", "SHA256128": "-sha256", "GCMAES128": "", "GCMAES192": "", "GCMAES256": "",
	}
	windowsIntegrity = map[string]string{"SHA1": "sha1", "SHA256": "sha256", "SHA384": "sha384"}
	windowsGroup     = map[string]string{"Group2": "modp1024", "Group14": "modp2048", "ECP256": "ecp256", "ECP384": "ecp384"}
	windowsPFS       = map[string]string{"None": "", "PFS2": "-modp1024", "PFS2048": "-modp2048", "ECP256": "-ecp256", "ECP384": "-ecp384"}
)

// Windows reads a PowerShell script that makes one connection.
func Windows(script string) (*Setup, error) {
	statements, err := PowerShell(script)
	if err != nil {
		return nil, err
	}
	s := new(Setup)
	for _, c := range Calls(statements) {
		if err := s.cmdlet(c); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Cmdlet, err)
		}
	}
	return s, s.windowsRoot(statements)
}

// windowsRoot finds what Import-Certificate is given: the only long string.
func (s *Setup) windowsRoot(statements [][]Word) error {
	const shortest = 200
	imports := false
	for _, words := range statements {
		imports = imports || words[0].Text == "Import-Certificate"
	}
	for _, words := range statements {
		if w := words[0]; w.Quoted && len(w.Text) > shortest && imports {
			return s.root(w.Text)
		}
	}
	return nil
}

// cmdlet does what one cmdlet does.
func (s *Setup) cmdlet(c Call) error {
	switch c.Cmdlet {
	case "Get-VpnConnection", "Remove-VpnConnection":
		return s.same(c.Named["Name"])
	case "Add-VpnConnection":
		if c.Named["TunnelType"] != "Ikev2" || c.Named["AuthenticationMethod"] != "Eap" {
			return fmt.Errorf("tunnel %q, authentication %q", c.Named["TunnelType"], c.Named["AuthenticationMethod"])
		}
		s.Server, s.Identity = c.Named["ServerAddress"], c.Named["ServerAddress"]
		s.Everything = c.Named["SplitTunneling"] == "false"
		return s.same(c.Named["Name"])
	case "Set-VpnConnectionIPsecConfiguration":
		if err := s.windowsPolicy(c.Named); err != nil {
			return err
		}
		return s.same(c.Named["ConnectionName"])
	case "Add-VpnConnectionRoute":
		if len(c.Positional) != 2 || strings.HasSuffix(c.Positional[1], "/0") {
			return fmt.Errorf("arguments %q", c.Positional)
		}
		s.Routes = append(s.Routes, c.Positional[1])
		return s.same(c.Positional[0])
	case "Add-DnsClientNrptRule":
		s.Domains = append(s.Domains, strings.TrimPrefix(c.Named["Namespace"], "."))
	case "Import-Certificate":
		if c.Named["CertStoreLocation"] != `Cert:\LocalMachine\Root` {
			return fmt.Errorf("store %q", c.Named["CertStoreLocation"])
		}
	case "Join-Path", "Test-Path", "Out-Null", "Remove-Item", "Write-Warning", "Get-DnsClientNrptRule", "Where-Object", "Remove-DnsClientNrptRule":
	default:
		return fmt.Errorf("unknown")
	}
	return nil
}

// same holds all cmdlets to one connection.
func (s *Setup) same(name string) error {
	if s.Name == "" {
		s.Name = name
	}
	if name == "" || name != s.Name {
		return fmt.Errorf("connection %q after %q", name, s.Name)
	}
	return nil
}

// windowsPolicy is the one proposal that the client makes.
func (s *Setup) windowsPolicy(p map[string]string) error {
	var words [6]string
	for i, look := range []struct {
		parameter string
		words     map[string]string
	}{
		{"EncryptionMethod", windowsEncryption}, {"IntegrityCheckMethod", windowsIntegrity}, {"DHGroup", windowsGroup},
		{"CipherTransformConstants", windowsCipher}, {"AuthenticationTransformConstants", windowsAuthentication}, {"PfsGroup", windowsPFS},
	} {
		var err error
		if words[i], err = translate(look.words, look.parameter, p[look.parameter]); err != nil {
			return err
		}
	}
	gcm := strings.HasPrefix(p["CipherTransformConstants"], "GCM")
	if gcm != strings.HasPrefix(p["AuthenticationTransformConstants"], "GCM") || gcm && p["CipherTransformConstants"] != p["AuthenticationTransformConstants"] {
		return fmt.Errorf("ESP with %s and %s", p["CipherTransformConstants"], p["AuthenticationTransformConstants"])
	}
	hash := words[1]
	if strings.HasPrefix(p["EncryptionMethod"], "GCM") {
		hash = "prf" + hash
	}
	return s.suites(words[0]+"-"+hash+"-"+words[2], words[3]+words[4]+words[5])
}
