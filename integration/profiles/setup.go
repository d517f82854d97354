package profiles

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// Setup is what a profile makes of a client.
type Setup struct {
	Name     string // of the connection
	Server   string // dialled
	Identity string // expected of the server
	Port     int    // 0: the client's own
	User     string // as sent; "": asked for

	IKE, ESP suite.Proposals // proposed; a group in ESP is for rekeys
	Root     *x509.Certificate

	Everything bool     // traffic goes through the tunnel unless a route says otherwise
	Routes     []string // destinations through the tunnel that the client adds itself
	Domains    []string // names asked of the tunnel's servers
}

// suites reads two proposals in strongSwan's notation.
func (s *Setup) suites(ike, esp string) error {
	var err error
	if s.IKE, err = suite.ParseProposals(message.ProtocolIKE, ike); err != nil {
		return fmt.Errorf("IKE proposal: %w", err)
	}
	if s.ESP, err = suite.ParseProposals(message.ProtocolESP, esp); err != nil {
		return fmt.Errorf("ESP proposal: %w", err)
	}
	return nil
}

// root reads a certificate, base64 of DER.
func (s *Setup) root(text string) error {
	der, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	s.Root, err = x509.ParseCertificate(der)
	return err
}

// translate looks a word up that must be known.
func translate(words map[string]string, what, word string) (string, error) {
	meaning, ok := words[word]
	if !ok {
		return "", fmt.Errorf("%s %q is none that the client knows", what, word)
	}
	return meaning, nil
}
