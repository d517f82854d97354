package gateway

import (
	"fmt"
	"strings"

	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/hostnet"
)

// tableName is that of the gateway's nftables table.
func (g *Gateway) tableName() string { return strings.ReplaceAll(g.plane.Name(), "-", "_") }

// openLimiter finds what holds users to filters and rates: the userspace plane
// does so itself, beside kernel ESP nftables does.
func (g *Gateway) openLimiter() {
	if !g.choice.kernel {
		return
	}
	if err := hostnet.NoLimits(); err != nil {
		g.caution(noLimits(err))
		return
	}
	g.limits = hostnet.NewLimiter(hostnet.LimitsTable(g.tableName()))
}

// limiter is what stands beside the data plane; nil: nothing.
func (g *Gateway) limiter() esp.Limiter {
	if g.limits == nil {
		return nil
	}
	return g.limits
}

func noLimits(err error) string {
	return fmt.Sprintf("users whom the backend gives a packet filter or a rate will be refused: %v", err)
}

// checkLimits warns where the backend may give what this host cannot hold users
// to.
func checkLimits(c *config.Config) []config.Problem {
	choice, err := choosePlane(c)
	if err != nil || !choice.kernel || !c.Auth.Uses(config.BackendRADIUS) {
		return nil
	}
	return checkLimitsBy(c, hostnet.NoLimits)
}

func checkLimitsBy(c *config.Config, probe func() error) []config.Problem {
	if err := probe(); err != nil {
		return []config.Problem{c.Warn(config.SettingPlane, -1, config.SettingPlane+": "+noLimits(err),
			`load nf_tables and nft_limit with modprobe, or choose "userspace", which needs neither`).As(config.CauseAdvice)}
	}
	return nil
}
