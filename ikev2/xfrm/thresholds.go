package xfrm

import "github.com/vishvananda/netlink/nl"

// Attributes of XFRM_MSG_GETSPDINFO and its answer (linux/xfrm.h).
const (
	spdThreshold4 = 3
	spdThreshold6 = 4
	spdFlagsLen   = 4
)

// thresholds say from which prefix lengths on the kernel finds a policy by
// hash: {local, remote} for each family. It keeps the others in a list, which
// Linux 6.1 walks for each policy that it adds: many take quadratic time. What
// policies mean does not depend on it.
type thresholds struct{ v4, v6 [2]byte }

// hostThresholds hash the policies of peers with one inner address, whatever
// they may reach.
var hostThresholds = thresholds{v4: [2]byte{0, 32}, v6: [2]byte{0, 128}}

// hashHosts sets hostThresholds for the network namespace, and notes what to
// put back. A kernel that cannot is only slower.
func (p *Plane) hashHosts() error {
	answers, err := p.link.do([]request{{
		kind: nl.XFRM_MSG_GETSPDINFO, body: make([]byte, spdFlagsLen), what: "read policy hash thresholds",
	}})
	if err != nil {
		return err
	}
	before, ok := parseThresholds(answers[0].body)
	if !ok || before == hostThresholds {
		return nil
	}
	if answers, err = p.link.do([]request{setThresholds(hostThresholds)}); err == nil && answers[0].err == nil {
		p.before = &before
	}
	return err
}

// restoreThresholds undoes hashHosts.
func (p *Plane) restoreThresholds() error {
	if p.before == nil {
		return nil
	}
	answers, err := p.link.do([]request{setThresholds(*p.before)})
	if err != nil {
		return err
	}
	return answers[0].err
}

func setThresholds(t thresholds) request {
	b := appendAttribute(make([]byte, spdFlagsLen), spdThreshold4, t.v4[:])
	return request{kind: nl.XFRM_MSG_NEWSPDINFO, body: appendAttribute(b, spdThreshold6, t.v6[:]), what: "set policy hash thresholds"}
}

func parseThresholds(b []byte) (t thresholds, ok bool) {
	if len(b) < spdFlagsLen {
		return t, false
	}
	v4, v6 := attribute(b[spdFlagsLen:], spdThreshold4), attribute(b[spdFlagsLen:], spdThreshold6)
	if len(v4) < 2 || len(v6) < 2 {
		return t, false
	}
	return thresholds{[2]byte(v4), [2]byte(v6)}, true
}
