package radius

import (
	"bytes"
	"strings"

	"bridgehead/auth"
)

// filterRule collects NAS-Filter-Rule attributes: together they are the rules,
// with a NUL between two, cut anywhere (RFC 4849 §2). Servers that put each rule
// into an attribute of its own leave out the NUL; where the attribute before has
// room left and the next begins as only a rule does, it is put in.
func filterRule(f *filling, b []byte) error {
	if !f.full && (bytes.HasPrefix(b, []byte("permit ")) || bytes.HasPrefix(b, []byte("deny "))) {
		f.rules = append(f.rules, 0)
	}
	f.rules, f.full = append(f.rules, b...), len(b) == maxValue
	return nil
}

// finishFilter reads the rules. One that can't be enforced is an error: no
// user comes in past a filter.
func (f *filling) finishFilter() error {
	var texts []string
	for _, rule := range strings.Split(string(f.rules), "\x00") {
		if strings.TrimSpace(rule) != "" {
			texts = append(texts, rule)
		}
	}
	if texts == nil {
		return nil
	}
	rules, err := auth.ParseFilter(texts)
	f.Filter = rules
	return err
}
