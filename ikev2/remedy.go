package ikev2

import (
	"errors"
	"slices"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// windowsRegistry is what one value in the registry makes Windows offer.
const windowsRegistry = "aes256-sha256-modp2048"

// remedy is what to type at a client whose proposals were all refused, a line
// each; nil where there is no such thing. Windows offers nothing but modp1024
// until it is told otherwise. esp is what the gateway accepts for Child SAs.
func (c client) remedy(err error, esp suite.Proposals) []string {
	var refused *suite.NoProposalError
	if c != clientWindows || !errors.As(err, &refused) || !outdated(refused) {
		return nil
	}
	line, ok := WindowsSettings("NAME", refused.Configured, esp)
	if !ok {
		return nil
	}
	lines := []string{"# at the client, in PowerShell as administrator, for one connection (its name for NAME):", line}
	if !accepts(refused.Configured, windowsRegistry) {
		return lines
	}
	return append(lines,
		"# or, Windows 7 too, for all connections:",
		`New-ItemProperty -Path HKLM:\SYSTEM\CurrentControlSet\Services\RasMan\Parameters -Name NegotiateDH2048_AES256 -PropertyType DWord -Value 1 -Force`,
		"Restart-Service RasMan",
	)
}

// outdated tells whether an offer failed for holding nothing but modp1024, or
// nothing but 3DES.
func outdated(refused *suite.NoProposalError) bool {
	return slices.ContainsFunc(refused.Missing, func(m suite.Missing) bool {
		return m.Anywhere && len(m.Offered) == 1 && (m.Offered[0] == "modp1024" || m.Offered[0] == "3des")
	})
}

// accepts tells whether one proposal would be taken.
func accepts(configured suite.Proposals, offer string) bool {
	offered, err := suite.ParseProposals(message.ProtocolIKE, offer)
	if err != nil {
		return false
	}
	_, err = suite.Select(configured, offered.Offer(nil), suite.GatewayOrder)
	return err == nil
}
