package tunnel

import "golang.zx2c4.com/wireguard/tun"

// Placeholder is a TUN device that no packet is meant to pass. Where the kernel
// encrypts it holds the route to the peers' inner addresses: the kernel looks
// for a route before it looks for a policy, answers ARP for others only what it
// would pass on by another interface, and takes the inner MTU from there. What
// reaches the device all the same is dropped. It goes when its process ends.
type Placeholder struct {
	queue tun.Device
	name  string
	mtu   int
}

// OpenPlaceholder makes the device as Open does, with the defaults of Config for
// what is empty. The error is a *DeviceError.
func OpenPlaceholder(device string, mtu int) (*Placeholder, error) {
	c := Config{Device: device, MTU: mtu}.withDefaults()
	if c.MTU < minMTU || c.MTU > maxPacket {
		return nil, &DeviceError{Name: c.Device, Err: errMTU}
	}
	queues, err := openDevice(c.Device, c.MTU, 1)
	if err != nil {
		return nil, err
	}
	name, err := queues[0].Name()
	if err != nil {
		return nil, &DeviceError{Name: c.Device, Err: err}
	}
	return &Placeholder{queue: queues[0], name: name, mtu: c.MTU}, nil
}

// Name is the interface's name.
func (p *Placeholder) Name() string { return p.name }

// MTU is the MTU of the device.
func (p *Placeholder) MTU() int { return p.mtu }

// Close removes the device.
func (p *Placeholder) Close() error { return closeAll([]tun.Device{p.queue}) }
