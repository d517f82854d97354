package initiator

import (
	"errors"
	"fmt"
	"slices"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

func (c *Config) ikeProposals() []message.Proposal {
	if c.IKE != nil {
		return c.IKE.Offer(nil)
	}
	return c.Profile.IKE
}

func (c *Config) espProposals() []message.Proposal {
	if c.ESP != nil {
		return c.ESP.WithoutKE().Offer(nil)
	}
	return c.Profile.ESP
}

// withSPI is the proposals with an SPI of ours in each.
func withSPI(ps []message.Proposal, spi []byte) []message.Proposal {
	out := slices.Clone(ps)
	for i := range out {
		out[i].SPI = spi
	}
	return out
}

// firstGroup is the group that comes first, GroupNone if there is none.
func firstGroup(ps []message.Proposal) suite.Group {
	for _, p := range ps {
		for _, t := range p.Transforms {
			if t.Type == message.TransformKE {
				return suite.Group(t.ID)
			}
		}
	}
	return suite.GroupNone
}

// hasGroup reports whether g is in one of the proposals, or in all of them.
func hasGroup(ps []message.Proposal, g suite.Group, all bool) bool {
	in := func(p message.Proposal) bool {
		return slices.ContainsFunc(p.Transforms, func(t message.Transform) bool {
			return t.Type == message.TransformKE && t.ID == uint16(g)
		})
	}
	if all {
		return !slices.ContainsFunc(ps, func(p message.Proposal) bool { return !in(p) })
	}
	return slices.ContainsFunc(ps, in)
}

// accept checks the gateway's answer to the proposals offered: one proposal,
// out of one of ours, with one transform of each of its types (RFC 7296
// §2.7, §3.3). The error is a *NoProposalError.
func accept(s Step, p message.Protocol, offered []message.Proposal, sa *message.SA) (suite.Choice, error) {
	refuse := func(answered string, err error) (suite.Choice, error) {
		return suite.Choice{}, &NoProposalError{at: at{s}, Protocol: p, Offered: suite.Describe(offered), Answered: answered, Err: err}
	}
	if len(sa.Proposals) != 1 {
		return refuse(fmt.Sprintf("%d proposals", len(sa.Proposals)), errors.New("expected exactly one"))
	}
	answer := sa.Proposals[0]
	i := slices.IndexFunc(offered, func(o message.Proposal) bool { return o.Number == answer.Number })
	if i < 0 || answer.Protocol != p || !isOutOf(answer, offered[i]) {
		return refuse(suite.Describe(sa.Proposals), errors.New("that is not one suite out of the proposal of this number"))
	}
	choice, err := suite.Select(suite.Proposals{{Protocol: p, Transforms: answer.Transforms}}, sa.Proposals, suite.GatewayOrder)
	if err != nil {
		return refuse(suite.Describe(sa.Proposals), err)
	}
	return choice, nil
}

// isOutOf reports whether answer has one transform of each type that the
// proposal offered has, each of them offered. A type with NONE among its
// alternatives, whose id is 0 in each of the types that have it, may be left
// out.
func isOutOf(answer, offered message.Proposal) bool {
	needed := map[message.TransformType]bool{} // false: may be left out
	for _, t := range offered.Transforms {
		if before, seen := needed[t.Type]; !seen || before {
			needed[t.Type] = t.ID != 0
		}
	}
	for _, t := range answer.Transforms {
		if _, ok := needed[t.Type]; !ok || !slices.ContainsFunc(offered.Transforms, func(o message.Transform) bool {
			return o.Type == t.Type && o.ID == t.ID && o.KeyLength == t.KeyLength
		}) {
			return false
		}
		delete(needed, t.Type)
	}
	for _, n := range needed {
		if n {
			return false
		}
	}
	return true
}
