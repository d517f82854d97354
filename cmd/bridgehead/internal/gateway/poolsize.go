package gateway

import (
	"fmt"

	"bridgehead/auth/secrets"
	"bridgehead/cmd/bridgehead/internal/config"
)

// checkPoolSizes warns of pools with fewer addresses than users.
func checkPoolSizes(c *config.Config, users []secrets.User) []config.Problem {
	wanted := make(map[string]uint64)
	for _, u := range users {
		pool := u.Pool
		if pool == "" {
			pool = config.DefaultPool
		}
		wanted[pool]++
	}
	var problems []config.Problem
	for _, named := range c.AllPools() {
		for _, family := range []string{"IPv4", "IPv6"} {
			size := poolSize(named, family)
			if users := wanted[named.Name]; size > 0 && size < users {
				problems = append(problems, c.Warn(named.Setting(), -1,
					fmt.Sprintf("%s: %d users share %d %s addresses", named.Setting(), users, size, family),
					"expected one for each device at the least; who comes last gets none").As(config.CauseSmallPool))
			}
		}
	}
	return problems
}

// poolSize is how many addresses of a family a pool gives out.
func poolSize(named config.NamedPool, family string) uint64 {
	var size uint64
	for _, p := range named.Addresses {
		if p.Is4() == (family == "IPv4") {
			size = min(size+min(p.Range.Size(), 1<<62), 1<<62) // more is as good
		}
	}
	return size
}
