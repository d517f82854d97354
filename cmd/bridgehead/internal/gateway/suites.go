package gateway

import (
	"slices"

	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/ikev2"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// checkSuites warns of a group that can be broken, and tells how to do without.
func checkSuites(c *config.Config) []config.Problem {
	advice := "put aes256-sha256-modp2048 into ike.proposals, set Windows to it, and take modp1024 out"
	if line, ok := ikev2.WindowsSettings("NAME", c.IKE.Proposals, c.ESP.Proposals); ok {
		advice = "take it out once each Windows client was told in PowerShell, its connection's name for NAME: " + line
	}
	var problems []config.Problem
	for _, s := range []struct {
		setting string
		list    suite.Proposals
	}{{"ike.proposals", c.IKE.Proposals}, {"esp.proposals", c.ESP.Proposals}} {
		if slices.ContainsFunc(s.list, hasMODP1024) {
			problems = append(problems, c.Warn(s.setting, -1,
				s.setting+": modp1024 can be broken by who can afford it (RFC 8247)", advice).
				As(config.CauseWeakGroup, config.Symptom{Clients: "Windows that was told nothing, once modp1024 is out", Shows: "13868: Policy match error"}))
		}
	}
	return problems
}

func hasMODP1024(p suite.Proposal) bool {
	return slices.ContainsFunc(p.Transforms, func(t message.Transform) bool {
		return t.Type == message.TransformKE && suite.Group(t.ID) == suite.MODP1024
	})
}
