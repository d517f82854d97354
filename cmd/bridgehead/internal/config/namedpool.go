package config

// DefaultPool is the name of the pool that addresses.pools makes. Users whose
// pool is not named get their addresses from it.
const DefaultPool = "default"

// NamedPool is [pools.NAME], or what addresses.pools makes.
type NamedPool struct {
	Name      string
	Addresses []Pool
}

// Setting is where the pool's addresses are set.
func (p NamedPool) Setting() string {
	if p.Name == DefaultPool {
		return "addresses.pools"
	}
	return "pools." + p.Name + ".addresses"
}

// AllPools are the default pool and, after it, the named ones.
func (c *Config) AllPools() []NamedPool {
	return append([]NamedPool{{DefaultPool, c.Addresses.Pools}}, c.Pools...)
}

// poolTable is [pools.NAME].
var poolTable = table{
	name: "pools", one: "pool", after: "addresses", example: `addresses = ["192.0.2.0/25"]`,
	settings: func(name string) []setting {
		return []setting{need(many(NamedPool{Name: name}.Setting(), "addresses of the users with pool="+name, poolKind(),
			func(c *Config) *[]Pool { return c.addressesOf(name) }))}
	},
	names: func(c *Config) []string {
		var list []string
		for _, p := range c.Pools {
			list = append(list, p.Name)
		}
		return list
	},
	reserved: DefaultPool, where: "its addresses are addresses.pools",
}

// addressesOf gives the list of a named pool, which is made where it is new.
func (c *Config) addressesOf(name string) *[]Pool {
	for i := range c.Pools {
		if c.Pools[i].Name == name {
			return &c.Pools[i].Addresses
		}
	}
	c.Pools = append(c.Pools, NamedPool{Name: name})
	return &c.Pools[len(c.Pools)-1].Addresses
}
