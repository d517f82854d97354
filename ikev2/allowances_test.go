package ikev2

import (
	"testing"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// Whose order counts is Windows' own with W2 switched off, and nobody else's.
func TestW2IsAboutWindowsAlone(t *testing.T) {
	with, without := settings{}, settings{without: setOf(QuirkW2)}
	for _, c := range []client{clientUnknown, clientWindows, clientApple, clientAndroid, clientStrongSwan, clientBridgehead} {
		want := suite.GatewayOrder
		if c == clientWindows {
			want = suite.ClientOrder
		}
		if got := without.orderFor(c); got != want || with.orderFor(c) != suite.GatewayOrder {
			t.Errorf("%q: order %v, want %v", c, got, want)
		}
	}
}

// With A2 switched off proposals count from one by one, and none repeats
// another.
func TestNumbersOfProposals(t *testing.T) {
	proposals := func(numbers ...uint8) (ps []message.Proposal) {
		for i, n := range numbers {
			ps = append(ps, message.Proposal{Number: n, Transforms: []message.Transform{{Type: message.TransformENCR, ID: uint16(i)}}})
		}
		return ps
	}
	twice := proposals(1, 2)
	twice[1].Transforms = twice[0].Transforms
	for name, c := range map[string]struct {
		ps   []message.Proposal
		good bool
	}{
		"none": {nil, true}, "in order": {proposals(1, 2, 3), true}, "from two": {proposals(2, 3), false}, "from zero": {proposals(0, 1), false},
		"a gap": {proposals(1, 3), false}, "backwards": {proposals(2, 1), false}, "twice": {twice, false},
	} {
		strict, lenient := settings{without: setOf(QuirkA2)}, settings{}
		if err := strict.numbered(c.ps); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
		if err := lenient.numbered(c.ps); err != nil {
			t.Errorf("%s: with the allowance %v", name, err)
		}
	}
}
