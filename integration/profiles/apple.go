package profiles

import (
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
)

// The words of the VPN payload's SecurityAssociationParameters.
var (
	appleEncryption = map[string]string{
		"AES-128": "aes128", "AES-256": "aes256", "AES-128-GCM": "aes128gcm16", "AES-256-GCM": "aes256gcm16", "ChaCha20Poly1305": "chacha20poly1305",
	}
	appleIntegrity = map[string]string{"SHA1-96": "sha1", "SHA2-256": "sha256", "SHA2-384": "sha384", "SHA2-512": "sha512"}
	appleGroup     = map[string]string{
		"2": "modp1024", "5": "modp1536", "14": "modp2048", "15": "modp3072", "16": "modp4096", "17": "modp6144", "18": "modp8192",
		"19": "ecp256", "20": "ecp384", "21": "ecp521", "31": "x25519",
	}
)

var appleUUID = regexp.MustCompile(`^[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}$`)

// Apple reads a configuration profile with one VPN payload.
func Apple(text string) (*Setup, error) {
	value, err := Plist(text)
	if err != nil {
		return nil, err
	}
	top, _ := value.(map[string]any)
	payloads, _ := top["PayloadContent"].([]any)
	if top["PayloadType"] != "Configuration" || len(payloads) == 0 {
		return nil, errors.New("no configuration profile")
	}
	s := new(Setup)
	seen := map[any]bool{}
	for _, p := range append([]any{value}, payloads...) {
		p, _ := p.(map[string]any)
		id, _ := p["PayloadUUID"].(string)
		if !appleUUID.MatchString(id) || seen[id] || seen[p["PayloadIdentifier"]] || p["PayloadVersion"] != 1 {
			return nil, fmt.Errorf("payload %v of version %v with UUID %q", p["PayloadIdentifier"], p["PayloadVersion"], id)
		}
		seen[id], seen[p["PayloadIdentifier"]] = true, true
		switch p["PayloadType"] {
		case "com.apple.vpn.managed":
			err = s.applePayload(p)
		case "com.apple.security.root":
			der, _ := p["PayloadContent"].([]byte)
			s.Root, err = x509.ParseCertificate(der)
		case "Configuration":
		default:
			err = fmt.Errorf("payload type %v", p["PayloadType"])
		}
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Setup) applePayload(p map[string]any) error {
	v, _ := p["IKEv2"].(map[string]any)
	if p["VPNType"] != "IKEv2" || v["AuthenticationMethod"] != "None" || v["ExtendedAuthEnabled"] != 1 {
		return fmt.Errorf("not IKEv2 with EAP: %v", p)
	}
	for _, secret := range []string{"AuthPassword", "SharedSecret", "Password"} {
		if _, ok := v[secret]; ok {
			return fmt.Errorf("a secret: %s", secret)
		}
	}
	if _, ok := v["CertificateType"]; ok && v["ServerCertificateIssuerCommonName"] == nil {
		return errors.New("CertificateType without ServerCertificateIssuerCommonName")
	}
	if _, ok := v["LocalIdentifier"].(string); !ok {
		return errors.New("no LocalIdentifier")
	}
	s.Name, _ = p["UserDefinedName"].(string)
	s.Server, _ = v["RemoteAddress"].(string)
	s.Identity, _ = v["RemoteIdentifier"].(string)
	s.User, _ = v["AuthName"].(string)
	ike, err := appleSuite(v["IKESecurityAssociationParameters"], true, true)
	if err != nil {
		return err
	}
	esp, err := appleSuite(v["ChildSecurityAssociationParameters"], false, v["EnablePFS"] == 1)
	if err != nil {
		return err
	}
	if dns, ok := p["DNS"].(map[string]any); ok {
		if servers, _ := dns["ServerAddresses"].([]any); len(servers) == 0 {
			return errors.New("DNS without ServerAddresses")
		}
		matched, _ := dns["SupplementalMatchDomains"].([]any)
		for _, d := range matched {
			s.Domains = append(s.Domains, fmt.Sprint(d))
		}
	}
	return s.suites(ike, esp)
}

// appleSuite is one dictionary as a proposal.
func appleSuite(value any, ike, group bool) (string, error) {
	p, _ := value.(map[string]any)
	word := func(key string, words map[string]string) (string, error) {
		return translate(words, key, fmt.Sprint(p[key]))
	}
	encryption, err := word("EncryptionAlgorithm", appleEncryption)
	if err != nil {
		return "", err
	}
	hash, err := word("IntegrityAlgorithm", appleIntegrity)
	if err != nil {
		return "", err
	}
	if minutes, _ := p["LifeTimeInMinutes"].(int); minutes < 10 || minutes > 1440 {
		return "", fmt.Errorf("LifeTimeInMinutes %v", p["LifeTimeInMinutes"])
	}
	proposal := encryption
	switch aead := len(encryption) > len("aes256"); {
	case aead && ike:
		proposal += "-prf" + hash
	case !aead:
		proposal += "-" + hash
	}
	if group {
		g, err := word("DiffieHellmanGroup", appleGroup)
		if err != nil {
			return "", err
		}
		proposal += "-" + g
	}
	return proposal, nil
}
