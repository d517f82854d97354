package gateway

import (
	"errors"
	"strings"
	"testing"

	"bridgehead/cmd/bridgehead/internal/config"
)

// TestLimitsThatThisHostLacks are told before a user meets them.
func TestLimitsThatThisHostLacks(t *testing.T) {
	c := config.Default()
	if p := checkLimitsBy(c, func() error { return nil }); p != nil {
		t.Errorf("nothing is missing, but %v", p)
	}
	p := checkLimitsBy(c, func() error { return errors.New("no nftables here") })
	if len(p) != 1 || p[0].Severity != config.SeverityWarning || !strings.Contains(p[0].Message, "no nftables here") || !strings.Contains(p[0].Hint, "userspace") {
		t.Errorf("%+v", p)
	}
	if (&Gateway{}).limiter() != nil {
		t.Error("a gateway without a limiter has one")
	}
}
