package config

import (
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"bridgehead/ikev2/hostnet"
)

// minLoginTimeout leaves time for a retransmission.
const minLoginTimeout = time.Second

// minHookTimeout leaves time for a program to begin at all.
const minHookTimeout = 100 * time.Millisecond

// validate checks what no single value shows: how settings fit together, and
// the files they name.
func (c *Config) validate() []Problem {
	problems := c.validatePools()
	problems = append(problems, c.validateServer()...)
	if c.IKE.HalfOpenPerAddress > c.IKE.HalfOpenTotal {
		problems = append(problems, c.At("ike.half_open_per_address", -1,
			fmt.Sprintf("ike.half_open_per_address: %d is more than half_open_total (%d)", c.IKE.HalfOpenPerAddress, c.IKE.HalfOpenTotal),
			"expected at most half_open_total"))
	}
	if d := c.IKE.LoginTimeout; d < minLoginTimeout {
		problems = append(problems, c.At("ike.login_timeout", -1, fmt.Sprintf("ike.login_timeout: %s is too short for any login", d), "expected 1s or more; 60s lets a person type"))
	}
	if d := c.IKE.DPD; d > 0 && d < 10*time.Second {
		problems = append(problems, c.Warn("ike.dpd", -1, "ike.dpd: under 10s wakes and loses sleeping phones", "40m suits phones"))
	}
	if d := c.Hooks.Timeout; d < minHookTimeout {
		problems = append(problems, c.At("hooks.timeout", -1, fmt.Sprintf("hooks.timeout: %s is too short for any program", d), "expected 100ms or more; 10s suits most"))
	}
	if c.DataPlane.OutputMark != 0 && c.DataPlane.Kind != PlaneKernel {
		problems = append(problems, c.Warn("dataplane.output_mark", -1, "dataplane.output_mark: userspace ESP sets no mark", `with dataplane.kind = "kernel" the gateway starts with kernel ESP or not at all`))
	}
	problems = append(problems, c.validatePolicies()...)
	problems = append(problems, c.validateSplit()...)
	problems = append(problems, c.validateRules()...)
	problems = append(problems, c.validateGroups()...)
	problems = append(problems, c.validateRADIUS()...)
	problems = append(problems, c.validateLDAP()...)
	problems = append(problems, c.validateDAE()...)
	problems = append(problems, c.validateAccounting()...)
	return append(problems, c.validateFiles()...)
}

// validatePools refuses pools that overlap, or that hold an address in use.
func (c *Config) validatePools() []Problem {
	type place struct {
		Pool
		setting string
	}
	var (
		problems []Problem
		seen     []place
	)
	for _, named := range c.AllPools() {
		setting := named.Setting()
		if e := c.entries[setting]; e != nil && e.value.kind == unstable.Array && len(e.value.items) == 0 {
			problems = append(problems, c.At(setting, -1, setting+": is empty", `expected a prefix such as "192.0.2.0/25", or a range such as "192.0.2.10-192.0.2.99"`))
		}
		for i, p := range named.Addresses {
			for _, q := range seen {
				if !p.Overlaps(q.Pool) {
					continue
				}
				other := q.String()
				if q.setting != setting {
					other += " of " + q.setting
				}
				problems = append(problems, c.At(setting, i, fmt.Sprintf("%s: %s overlaps %s", setting, p, other), "expected pools that share no address").As(CausePoolOverlap))
			}
			seen = append(seen, place{p, setting})
		}
	}
	problems = append(problems, c.outsidePools("addresses.dns", c.Addresses.DNS, "a client might get the name server's own address")...)
	return append(problems, c.outsidePools("server.listen", c.Server.Listen, "a client might get the gateway's own address")...)
}

// outsidePools refuses addresses that a pool could give away.
func (c *Config) outsidePools(setting string, list []netip.Addr, why string) []Problem {
	var problems []Problem
	for i, a := range list {
		for _, named := range c.AllPools() {
			for _, p := range named.Addresses {
				if p.Contains(a) {
					problems = append(problems, c.At(setting, i, fmt.Sprintf("%s: %s lies inside the pool %s", setting, a, p), why).As(CauseInsidePool))
				}
			}
		}
	}
	return problems
}

// validateServer checks certificates against keys in number, and the ports.
func (c *Config) validateServer() []Problem {
	var problems []Problem
	if n, k := len(c.Server.Certificates), len(c.Server.Keys); n != k && n > 0 && k > 0 {
		problems = append(problems, c.At("server.key", -1,
			fmt.Sprintf("server.key: %d keys for %d certificates", k, n), "expected one key for each certificate, in the same order").As(CauseKeyCount))
	}
	if c.Server.IKEPort == c.Server.NATTPort {
		setting := "server.nat_port"
		if _, ok := c.entries[setting]; !ok {
			setting = "server.ike_port"
		}
		problems = append(problems, c.At(setting, -1,
			fmt.Sprintf("%s: ike_port and nat_port are both %d", setting, c.Server.NATTPort), "expected two different ports; clients use 500 and 4500"))
	}
	return problems
}

// validateFiles looks at the files that the configuration names.
func (c *Config) validateFiles() []Problem {
	var problems []Problem
	for i, p := range c.Server.Certificates {
		problems = append(problems, c.needFile("server.certificate", i, p, "expected a PEM file")...)
	}
	for i, p := range c.Server.Keys {
		problems = append(problems, c.needFile("server.key", i, p, "expected a PEM file with the private key")...)
		problems = append(problems, c.private("server.key", i, p)...)
	}
	for i, p := range c.Server.Chain {
		if _, err := os.Stat(p); err != nil {
			problems = append(problems, c.At("server.chain", i, fmt.Sprintf("server.chain: %s: %s", p, reason(err)), "expected a file or a folder with certificates").As(CauseUnreadable))
		}
	}
	if p := c.Hooks.UpDown; p != "" {
		if err := hostnet.CheckScript(p); err != nil {
			problems = append(problems, c.At("hooks.updown", -1, "hooks.updown: "+err.Error(), ""))
		}
	}
	if !c.Auth.Uses(BackendFile) {
		return problems
	}
	return append(problems, c.needFile("auth.file.path", -1, c.Auth.File.Path, "make it with: "+c.AddUser())...)
}

// AddUser is the command that adds a user to the file of users.
func (c *Config) AddUser() string {
	command := "bridgehead users add NAME"
	if c.Auth.File.Path != Default().Auth.File.Path {
		command += " --file " + c.Auth.File.Path
	}
	return command
}

// needFile reports a file that isn't there, isn't one, or can't be read.
func (c *Config) needFile(setting string, index int, path, hint string) []Problem {
	f, err := os.Open(path)
	if err == nil {
		var info fs.FileInfo
		if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("is not a file")
		}
		_ = f.Close() // opened for reading alone
	}
	if err == nil {
		return nil
	}
	return []Problem{c.At(setting, index, fmt.Sprintf("%s: %s: %s", setting, path, reason(err)), hint).As(CauseUnreadable)}
}

// private warns of a file with secrets that others may read.
func (c *Config) private(setting string, index int, path string) []Problem {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o044 == 0 {
		return nil
	}
	return []Problem{c.Warn(setting, index, fmt.Sprintf("%s: %s can be read by others (mode %04o)", setting, path, info.Mode().Perm()), "chmod 600 "+path).As(CauseReadableSecret)}
}
