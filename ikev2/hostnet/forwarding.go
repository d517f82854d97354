package hostnet

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Family is an address family.
type Family uint8

// The families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// String is "IPv4" or "IPv6".
func (f Family) String() string { return fmt.Sprintf("IPv%d", uint8(f)) }

func (f Family) confDir() string { return fmt.Sprintf("net/ipv%d/conf/", uint8(f)) }

// forwardingSwitch is the setting that makes the machine a router.
func (f Family) forwardingSwitch() sysctl {
	if f == IPv4 {
		return "net/ipv4/ip_forward"
	}
	return "net/ipv6/conf/all/forwarding"
}

func (f Family) conf(device, name string) sysctl { return sysctl(f.confDir() + device + "/" + name) }

func (f Family) netlink() int {
	if f == IPv4 {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// Available tells whether the kernel has the family at all; IPv6 can be
// switched off at boot.
func (f Family) Available() bool {
	_, err := os.Stat(sysctlRoot + f.confDir())
	return err == nil
}

// forwardingChange turns the machine into a router for one family. The kernel
// then sets the same for each interface and, for IPv4, turns the acceptance of
// redirects (ip-sysctl.rst, "ip_forward"); Old holds all of these as they were.
type forwardingChange struct {
	Family Family            `json:"family"`
	Old    map[sysctl]string `json:"old"`
}

const forwardingOn = "1"

func (c *forwardingChange) String() string {
	key := c.Family.forwardingSwitch()
	return fmt.Sprintf("%v = %s (was %s)", key, forwardingOn, c.Old[key])
}

func (c *forwardingChange) apply() error { return c.Family.forwardingSwitch().write(forwardingOn) }

// undo leaves everything alone if somebody has switched forwarding off since.
func (c *forwardingChange) undo() error {
	key := c.Family.forwardingSwitch()
	now, err := key.read()
	if err != nil || now != forwardingOn {
		return err
	}
	if err := key.write(c.Old[key]); err != nil {
		return err
	}
	var errs []error
	for _, k := range slices.Sorted(maps.Keys(c.Old)) {
		now, err := k.read()
		switch {
		case errors.Is(err, fs.ErrNotExist): // the interface is gone
		case err != nil:
			errs = append(errs, err)
		case now != c.Old[k]:
			errs = append(errs, k.writeIfThere(c.Old[k]))
		}
	}
	return errors.Join(errs...)
}

// planForwarding plans to forward packets of one family that come in by device
// and those that come back.
func planForwarding(plan []entry, f Family, device string) ([]entry, error) {
	key := f.forwardingSwitch()
	old, err := key.read()
	if err != nil {
		return nil, err
	}
	if old != "0" {
		// The machine is a router already, but perhaps not on this link.
		return planSysctl(plan, f.conf(device, "forwarding"), forwardingOn)
	}
	if f == IPv6 {
		if plan, err = planRouterAdvertisements(plan); err != nil {
			return nil, err
		}
	}
	settings, err := interfaceSysctls(f, "forwarding")
	if err != nil {
		return nil, err
	}
	if f == IPv4 {
		settings = append(settings, f.conf("all", "accept_redirects"))
	}
	values, err := readThere(append(settings, key))
	if err != nil {
		return nil, err
	}
	return append(plan, entry{Forwarding: &forwardingChange{Family: f, Old: values}}), nil
}

// Values of accept_ra (ip-sysctl.rst).
const (
	acceptRAUnlessRouter = "1"
	acceptRAAlways       = "2"
)

// planRouterAdvertisements keeps interfaces listening for router advertisements
// whose default route the kernel would otherwise drop as soon as this machine
// becomes a router. It must come before forwarding is switched on.
func planRouterAdvertisements(plan []entry) ([]entry, error) {
	names, err := routerAdvertised()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if plan, err = planSysctl(plan, IPv6.conf(name, "accept_ra"), acceptRAAlways); err != nil {
			return nil, err
		}
	}
	return plan, nil
}

// routerAdvertised lists the interfaces that have a default route by router
// advertisement and would stop listening for them as a router's.
func routerAdvertised() ([]string, error) {
	routes, err := netlink.RouteList(nil, unix.AF_INET6)
	if err != nil {
		return nil, failed(err, "list the IPv6 routes")
	}
	var names []string
	for _, r := range routes {
		if r.Protocol != unix.RTPROT_RA || !isDefault(r) {
			continue
		}
		link, err := netlink.LinkByIndex(r.LinkIndex)
		if err != nil {
			return nil, failed(err, "find the interface of the default route")
		}
		name := link.Attrs().Name
		value, err := IPv6.conf(name, "accept_ra").read()
		if err != nil {
			return nil, err
		}
		if value == acceptRAUnlessRouter && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

func isDefault(r netlink.Route) bool {
	if r.Dst == nil {
		return true
	}
	ones, _ := r.Dst.Mask.Size()
	return ones == 0
}
