package tunnel

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun"
)

const (
	cloneDevice = "/dev/net/tun"
	maxQueues   = 8
	minMTU      = 576 // what every IPv4 host takes (RFC 791 §3.1)
)

var errMTU = errors.New("MTU is not within 576 and 65535")

// DeviceError is a TUN device that could not be made or has failed. Its text
// ends in what the operator can do.
type DeviceError struct {
	Name string // as asked for
	Err  error
}

func (e *DeviceError) Error() string {
	return fmt.Sprintf("TUN device %q: %v: %s", e.Name, e.Err, e.remedy())
}

func (e *DeviceError) remedy() string {
	switch {
	case errors.Is(e.Err, errMTU):
		return "correct it; IPv6 needs 1280"
	case errors.Is(e.Err, os.ErrNotExist), errors.Is(e.Err, unix.ENODEV), errors.Is(e.Err, unix.ENXIO):
		return cloneDevice + " is missing: load the kernel's tun module (modprobe tun) or pass the device into the container"
	case errors.Is(e.Err, os.ErrPermission):
		return "CAP_NET_ADMIN or access to " + cloneDevice + " is missing: run as root or grant the capability"
	case errors.Is(e.Err, unix.EBUSY):
		return "the device exists already: remove it (ip link delete), stop its owner or choose another name"
	case errors.Is(e.Err, unix.EINVAL):
		return "the name must be that of an interface, at most 15 octets: choose another"
	}
	return "see `ip link` and the kernel's log, whether the device was removed while in use"
}

// Unwrap is the operating system's error.
func (e *DeviceError) Unwrap() error { return e.Err }

// openDevice makes the device with n queues, or as many as there are cores. The
// queues are not watched over netlink: whether the device is up is the
// concern of whoever set it up.
func openDevice(name string, mtu, n int) ([]tun.Device, error) {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	var queues []tun.Device
	for len(queues) < min(n, maxQueues) {
		q, resolved, err := openQueue(name, len(queues) == 0)
		if len(queues) == 0 && errors.Is(err, unix.EBUSY) {
			q, resolved, err = openLeft(name)
		}
		if err != nil {
			return nil, &DeviceError{Name: name, Err: errors.Join(err, closeAll(queues))}
		}
		queues, name = append(queues, q), resolved
	}
	if err := setMTU(name, mtu); err != nil {
		return nil, &DeviceError{Name: name, Err: errors.Join(err, closeAll(queues))}
	}
	return queues, nil
}

// A device is gone when its last holder has closed it. That need not be its
// owner: a child of the process holds it, too, until the kernel closes what is
// not to outlive exec, which Linux does after it has let the parent go on
// (begin_new_exec). So a device of the same name, opened right after the former
// one was closed, may find that in its way for a moment.
const (
	leftFor   = time.Second
	leftAgain = 5 * time.Millisecond
)

// openLeft opens the first queue of a device whose name is taken, if it becomes
// free within leftFor.
func openLeft(name string) (q tun.Device, resolved string, err error) {
	for end := time.Now().Add(leftFor); ; time.Sleep(leftAgain) {
		if q, resolved, err = openQueue(name, true); !errors.Is(err, unix.EBUSY) || time.Now().After(end) {
			return q, resolved, err
		}
	}
}

func closeAll(queues []tun.Device) error {
	var err error
	for _, q := range queues {
		err = errors.Join(err, q.Close())
	}
	return err
}

// openQueue attaches a queue to the device of this name, which the first one
// makes, and gives the name with the pattern resolved.
func openQueue(name string, first bool) (tun.Device, string, error) {
	flags := uint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR | unix.IFF_MULTI_QUEUE)
	if first {
		// Else a queue would be had of another process's device, and with it a
		// part of its packets.
		flags |= unix.IFF_TUN_EXCL
	}
	fd, err := attachQueue(name, flags)
	if err != nil {
		return nil, name, err
	}
	q, resolved, err := tun.CreateUnmonitoredTUNFromFD(fd)
	if err != nil {
		return nil, name, errors.Join(err, unix.Close(fd))
	}
	return q, resolved, nil
}

func setMTU(name string, mtu int) error {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	ifr.SetUint32(uint32(mtu))
	return errors.Join(unix.IoctlIfreq(fd, unix.SIOCSIFMTU, ifr), unix.Close(fd))
}

func attachQueue(name string, flags uint16) (fd int, err error) {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return -1, err
	}
	fd, err = unix.Open(cloneDevice, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	ifr.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}
