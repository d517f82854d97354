package suite

import (
	"fmt"
	"slices"

	"bridgehead/ikev2/message"
)

// AnswerError reports an answering SA payload that is no choice from the
// offer. The exchange must be given up (RFC 7296 §3.3.6).
type AnswerError struct {
	Answered []message.Proposal
	Reason   string
}

func (e *AnswerError) Error() string {
	return fmt.Sprintf("ikev2: answered proposal %s refused: %s", Describe(e.Answered), e.Reason)
}

// Answered checks the proposals of an answering SA payload against the offer
// they answer and gives the choice, with the answerer's SPI. The error is an
// *AnswerError.
func Answered(offered, answer []message.Proposal) (Choice, error) {
	refuse := func(format string, args ...any) (Choice, error) {
		return Choice{}, &AnswerError{answer, fmt.Sprintf(format, args...)}
	}
	if len(answer) != 1 {
		return refuse("%d proposals, expected 1", len(answer))
	}
	a := &answer[0]
	i := slices.IndexFunc(offered, func(o message.Proposal) bool { return o.Number == a.Number && o.Protocol == a.Protocol })
	if i < 0 {
		return refuse("number %d for %s was not offered", a.Number, a.Protocol)
	}
	if len(a.SPI) != len(offered[i].SPI) {
		return refuse("SPI of %d octets, expected %d", len(a.SPI), len(offered[i].SPI))
	}
	c := Choice{Number: a.Number, Protocol: a.Protocol, SPI: a.SPI}
	for _, t := range a.Transforms {
		if len(t.Attributes) > 0 || !slices.ContainsFunc(offered[i].Transforms, func(o message.Transform) bool { return sameTransform(o, t) }) {
			return refuse("%s was not offered", name(t))
		}
		slot := c.slot(t.Type)
		if slot.Type != 0 {
			return refuse("more than one transform of type %s", t.Type)
		}
		*slot = t
	}
	for _, o := range offered[i].Transforms {
		if c.slot(o.Type).Type == 0 && !mayOmit(offered[i].Transforms, o.Type, c.Encr.ID) {
			return refuse("no transform of type %s", o.Type)
		}
	}
	return c, nil
}

// mayOmit reports whether an answer may leave out an offered type: where
// transform 0 was offered, which stands for its absence, and integrity beside
// an AEAD.
func mayOmit(offered []message.Transform, kind message.TransformType, encr uint16) bool {
	if kind == message.TransformINTEG && isAEAD(encr) {
		return true
	}
	return kind != message.TransformENCR && kind != message.TransformPRF &&
		slices.ContainsFunc(offered, func(o message.Transform) bool { return o.Type == kind && o.ID == 0 })
}
