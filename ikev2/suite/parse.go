package suite

import (
	"fmt"
	"slices"
	"strings"

	"bridgehead/ikev2/message"
)

// ProposalError reports a proposal that cannot be used, for the person who
// wrote it.
type ProposalError struct {
	Word   string // the word or proposal in question, "" if it is missing
	Offset int    // of it in the input, in octets from 0
	Reason string // what is wrong and what to write instead
}

func (e *ProposalError) Error() string {
	if e.Word == "" {
		return fmt.Sprintf("proposal: column %d: %s", e.Offset+1, e.Reason)
	}
	return fmt.Sprintf("proposal: column %d: %q: %s", e.Offset+1, e.Word, e.Reason)
}

// maxProposals bounds a list: proposal numbers have one octet.
const maxProposals = 255

// ParseProposals reads a list in strongSwan's notation: proposals separated by
// commas, algorithm words by hyphens, as in
//
//	aes256-sha256-modp2048,aes128gcm16-prfsha256-x25519
//
// A final "!" (no other proposals) is accepted and changes nothing, since
// nothing is ever added. Without a prf word the PRF follows the integrity
// words, which beside an AEAD say nothing else. The order of words of one
// type is the order of preference. For ESP, no group leaves the key exchange
// of a rekey to the peer (see Select), "none" among groups makes it optional,
// and no esn word means noesn.
//
// The error is a *ProposalError.
func ParseProposals(p message.Protocol, s string) (Proposals, error) {
	if p != message.ProtocolIKE && p != message.ProtocolESP {
		return nil, &ProposalError{Reason: "proposals are for IKE or ESP, not " + p.String()}
	}
	list := strings.TrimRight(s, " \t")
	list = strings.TrimSuffix(list, "!")
	var ps Proposals
	for offset := 0; ; {
		text, _, more := strings.Cut(list[offset:], ",")
		proposal, err := parseProposal(p, text, offset)
		if err != nil {
			return nil, err
		}
		if len(ps) == maxProposals {
			return nil, &ProposalError{text, offset, fmt.Sprintf("more than %d proposals", maxProposals)}
		}
		ps = append(ps, proposal)
		if !more {
			return ps, nil
		}
		offset += len(text) + 1
	}
}

// parseProposal parses one proposal that stands at offset of the input.
func parseProposal(protocol message.Protocol, text string, offset int) (Proposal, error) {
	trimmed := strings.TrimLeft(text, " \t")
	offset += len(text) - len(trimmed)
	trimmed = strings.TrimRight(trimmed, " \t")
	if trimmed == "" {
		return Proposal{}, &ProposalError{"", offset, "empty proposal, expected words such as " + example(protocol)}
	}
	p := Proposal{Protocol: protocol}
	at := offset
	for word := range strings.SplitSeq(trimmed, "-") {
		t, err := parseWord(protocol, word)
		if err != nil {
			return Proposal{}, &ProposalError{word, at, err.Error()}
		}
		if !slices.ContainsFunc(p.Transforms, func(have message.Transform) bool { return sameTransform(have, t) }) {
			p.Transforms = append(p.Transforms, t)
		}
		at += len(word) + 1
	}
	p, reason := complete(p)
	if reason != "" {
		return Proposal{}, &ProposalError{trimmed, offset, reason}
	}
	return p, nil
}

func example(protocol message.Protocol) string {
	if protocol == message.ProtocolESP {
		return "aes256gcm16 or aes256-sha256"
	}
	return "aes256-sha256-modp2048"
}

// parseWord gives the transform of one word.
func parseWord(protocol message.Protocol, word string) (message.Transform, error) {
	a, ok := byWord[strings.ToLower(word)]
	if !ok {
		return message.Transform{}, fmt.Errorf("unknown algorithm; known are %s", knownWords(protocol, 0))
	}
	if !a.supported {
		return message.Transform{}, fmt.Errorf("not supported, %s; use one of %s", a.reason, knownWords(protocol, a.transform.Type))
	}
	if !belongs(protocol, a.transform) {
		return message.Transform{}, fmt.Errorf("has no meaning for %s; known are %s", protocol, knownWords(protocol, 0))
	}
	return a.transform, nil
}

// belongs reports whether a transform can stand in a proposal of a protocol
// (RFC 7296 §3.3.3). KE "none" is for ESP alone.
func belongs(protocol message.Protocol, t message.Transform) bool {
	switch t.Type {
	case message.TransformPRF:
		return protocol == message.ProtocolIKE
	case message.TransformESN:
		return protocol == message.ProtocolESP
	case message.TransformKE:
		return protocol == message.ProtocolESP || t.ID != uint16(GroupNone)
	}
	return true
}

// knownWords lists the words for a protocol, of one type unless kind is 0.
func knownWords(protocol message.Protocol, kind message.TransformType) string {
	var words []string
	for _, a := range algorithms {
		if a.supported && belongs(protocol, a.transform) && (kind == 0 || a.transform.Type == kind) {
			words = append(words, a.names[0])
		}
	}
	return strings.Join(words, ", ")
}

// complete adds what the notation implies and says what is missing.
func complete(p Proposal) (Proposal, string) {
	encr, integ := p.of(message.TransformENCR), p.of(message.TransformINTEG)
	if len(encr) == 0 {
		return p, "no encryption algorithm; add one of " + knownWords(p.Protocol, message.TransformENCR)
	}
	aeads := 0
	for _, t := range encr {
		if isAEAD(t.ID) {
			aeads++
		}
	}
	if aeads > 0 && aeads < len(encr) {
		return p, "AES-CBC and combined-mode ciphers (gcm, chacha20poly1305) cannot stand in one proposal (RFC 7296 §3.3); write two, separated by a comma"
	}
	if aeads == 0 && len(integ) == 0 {
		return p, "no integrity algorithm; add one of " + knownWords(p.Protocol, message.TransformINTEG)
	}
	if p.Protocol == message.ProtocolIKE {
		if len(p.of(message.TransformPRF)) == 0 {
			p.Transforms = append(p.Transforms, impliedPRFs(integ)...)
		}
		if len(p.of(message.TransformPRF)) == 0 {
			return p, "no pseudo-random function; add one of " + knownWords(p.Protocol, message.TransformPRF)
		}
		if len(p.of(message.TransformKE)) == 0 {
			return p, "no key exchange group; add one of " + knownWords(p.Protocol, message.TransformKE)
		}
	} else if len(p.of(message.TransformESN)) == 0 {
		p.Transforms = append(p.Transforms, message.Transform{Type: message.TransformESN, ID: ESNNo})
	}
	if aeads > 0 {
		p.Transforms = slices.DeleteFunc(p.Transforms, func(t message.Transform) bool { return t.Type == message.TransformINTEG })
	}
	slices.SortStableFunc(p.Transforms, func(a, b message.Transform) int { return int(a.Type) - int(b.Type) })
	return p, ""
}
