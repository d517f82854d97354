package esp

import (
	"testing"

	"bridgehead/integration/secrecy"
)

func TestKeysNeverPrint(t *testing.T) {
	for _, s := range testSuites() {
		sa := s.sa()
		out, in := pair(t, sa)
		child := Child{In: sa, Out: sa}
		secrecy.Check(t, sa.EncrKey, sa, &sa, child, &child, out, in, struct{ Nested Child }{child})
		if len(sa.IntegKey) > 0 {
			secrecy.Check(t, sa.IntegKey, sa, child, out, in)
		}
	}
}
