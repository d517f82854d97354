package config

import "strings"

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
	return poolSections + p.Name + ".addresses"
}

// AllPools are the default pool and, after it, the named ones.
func (c *Config) AllPools() []NamedPool {
	return append([]NamedPool{{DefaultPool, c.Addresses.Pools}}, c.Pools...)
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

// poolSections is what the section of every named pool begins with.
const poolSections = "pools."

// namedPool gives the name in a section [pools.NAME], "" for another section.
func namedPool(section string) string {
	name, ok := strings.CutPrefix(section, poolSections)
	if !ok || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		return ""
	}
	return name
}

// poolSetting is the one setting of a [pools.NAME].
func poolSetting(name string) setting {
	return many(NamedPool{Name: name}.Setting(), "addresses of the users with pool="+name, poolKind(),
		func(c *Config) *[]Pool { return c.addressesOf(name) })
}

// settingAt finds the setting of a dotted path.
func settingAt(path string) (setting, bool) {
	for i := range schema {
		if schema[i].path == path {
			return schema[i], true
		}
	}
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		if name := namedPool(path[:i]); name != "" && name != DefaultPool {
			s := poolSetting(name)
			return s, s.path == path
		}
	}
	return setting{}, false
}

// settings are the fixed ones and, behind those of [addresses], those of the
// named pools.
func (c *Config) settings() []setting {
	list := make([]setting, 0, len(schema)+len(c.Pools))
	for i := range schema {
		list = append(list, schema[i])
		last := i+1 == len(schema) || schema[i+1].section() != schema[i].section()
		if schema[i].section() == "addresses" && last {
			for _, p := range c.Pools {
				list = append(list, poolSetting(p.Name))
			}
		}
	}
	return list
}
