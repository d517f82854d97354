package suite

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"bridgehead/ikev2/message"
)

// NoProposalError reports that nothing offered is acceptable. It answers to
// NO_PROPOSAL_CHOSEN.
type NoProposalError struct {
	Configured Proposals
	Offered    []message.Proposal
	// Nearest is the index in Offered of the proposal that lacks least, -1 if
	// none was worth a look: see SelectFor.
	Nearest int
	// Missing are the types for which Nearest has nothing acceptable.
	Missing []Missing
}

// Missing is one transform type on which the two sides do not meet, in the
// words of ParseProposals and Describe.
type Missing struct {
	Type     message.TransformType
	Offered  []string // in the whole offer if Anywhere, else in its nearest proposal
	Accepted []string // in all configured proposals
	Anywhere bool     // nothing in the whole offer is accepted in any proposal
	Settable bool     // the gateway could be configured to accept all of Offered
}

// newNoProposalError finds out what is missing.
func newNoProposalError(configured Proposals, offered []message.Proposal) *NoProposalError {
	e := &NoProposalError{Configured: configured, Offered: offered, Nearest: -1}
	var nearest typeSet
	for _, c := range configured {
		rules := newRules(c, GroupNone)
		for j := range offered {
			if !rules.considers(&offered[j]) {
				continue
			}
			_, missing := rules.match(&offered[j], GatewayOrder)
			if e.Nearest < 0 || bits.OnesCount8(uint8(missing)) < bits.OnesCount8(uint8(nearest)) {
				e.Nearest, nearest = j, missing
			}
		}
	}
	for kind := message.TransformENCR; kind <= message.TransformESN; kind++ {
		if nearest.has(kind) {
			e.Missing = append(e.Missing, e.missing(kind))
		}
	}
	return e
}

// missing compares the two sides in one transform type.
func (e *NoProposalError) missing(kind message.TransformType) Missing {
	accepted := map[transformKey]bool{}
	m := Missing{Type: kind, Anywhere: true, Settable: true}
	for _, c := range e.Configured {
		for _, t := range ofType(c.alternatives(), kind) {
			accepted[keyOf(t)] = true
			m.Accepted = appendNew(m.Accepted, name(t))
		}
	}
	for _, p := range e.Offered {
		for _, t := range ofType(p.Transforms, kind) {
			m.Anywhere = m.Anywhere && !accepted[keyOf(t)]
		}
	}
	from := e.Offered
	if !m.Anywhere {
		from = e.Offered[e.Nearest : e.Nearest+1]
	}
	for _, p := range from {
		for _, t := range ofType(p.Transforms, kind) {
			if len(m.Offered) < maxDescribedTransforms {
				m.Offered = appendNew(m.Offered, name(t))
				m.Settable = m.Settable && byTransform[keyOf(t)].supported && len(t.Attributes) == 0
			}
		}
	}
	return m
}

func appendNew(words []string, word string) []string {
	if slices.Contains(words, word) {
		return words
	}
	return append(words, word)
}

var typeNouns = map[message.TransformType]string{
	message.TransformENCR:  "encryption",
	message.TransformPRF:   "pseudo-random function",
	message.TransformINTEG: "integrity",
	message.TransformKE:    "key exchange",
	message.TransformESN:   "sequence numbers",
}

// Error names, for each type on which the sides do not meet, what is offered,
// what is accepted, and what to change.
func (e *NoProposalError) Error() string {
	if e.Nearest < 0 {
		return "ikev2: no proposal chosen: nothing usable in the offer (" + Describe(e.Offered) + "), the gateway accepts " + e.Configured.String()
	}
	texts := make([]string, len(e.Missing))
	for i, m := range e.Missing {
		texts[i] = m.String()
	}
	nearest := e.Offered[e.Nearest]
	return fmt.Sprintf("ikev2: no proposal chosen for %s: %s (nearest offer, number %d: %s)",
		nearest.Protocol, strings.Join(texts, "; "), nearest.Number, Describe(e.Offered[e.Nearest:e.Nearest+1]))
}

// String says what is offered, what is accepted, and what to change.
func (m Missing) String() string {
	noun, offered := typeNouns[m.Type], strings.Join(m.Offered, ", ")
	switch accepted := strings.Join(m.Accepted, ", "); {
	case len(m.Offered) == 0:
		return fmt.Sprintf("no %s offered, accepted %s: let the client offer one of these", noun, accepted)
	case len(m.Accepted) == 0:
		return fmt.Sprintf("%s %s offered, none accepted: add it to the gateway's proposals", noun, offered)
	case !m.Anywhere:
		return fmt.Sprintf("%s %s offered in this combination, accepted %s: let the client offer another combination", noun, offered, accepted)
	case !m.Settable:
		return fmt.Sprintf("only %s offered for %s, accepted %s: let the client offer one of these", offered, noun, accepted)
	default:
		return fmt.Sprintf("only %s offered for %s, accepted %s: let the client offer one of these, or add %s to the gateway's proposals", offered, noun, accepted, offered)
	}
}
