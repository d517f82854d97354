package tunnel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun/tuntest"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/transport"
)

func TestDeviceErrorsNameRemedy(t *testing.T) {
	for _, tc := range []struct {
		name   string
		errno  error
		remedy string
	}{
		{"a-name-that-is-much-too-long", unix.EINVAL, "at most 15 octets: choose another"},
		{"lo", unix.EBUSY, "choose another name"},
	} {
		tn, err := Open(Config{Device: tc.name})
		var refused *DeviceError
		if !errors.As(err, &refused) {
			tn.Close()
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if !errors.Is(err, tc.errno) || !strings.HasSuffix(err.Error(), tc.remedy) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	if _, err := Open(Config{MTU: 500}); !errors.Is(err, errMTU) {
		t.Errorf("an MTU of 500: %v", err)
	}
	for errno, remedy := range map[error]string{
		unix.ENOENT: "modprobe tun", unix.EPERM: "CAP_NET_ADMIN", unix.EACCES: "CAP_NET_ADMIN", unix.EBUSY: "exists already",
	} {
		if err := (&DeviceError{"bh0", errno}).Error(); !strings.Contains(err, remedy) {
			t.Errorf("%v: %s", errno, err)
		}
	}
}

// TestDeviceIsNotShared: another gateway's device is refused, not joined.
func TestDeviceIsNotShared(t *testing.T) {
	h := &host{ns: newNamespace(t)}
	h.in(t, func() error {
		first, err := Open(Config{MTU: 1350})
		if err != nil {
			return err
		}
		defer first.Close()
		if first.Name() != "bridgehead0" || first.MTU() != 1350 {
			t.Errorf("device %s, MTU %d", first.Name(), first.MTU())
		}
		if mtu, err := first.queues[0].MTU(); err != nil || mtu != 1350 {
			t.Errorf("the device's MTU is %d, %v", mtu, err)
		}
		if second, err := Open(Config{Device: first.Name()}); !errors.Is(err, unix.EBUSY) {
			second.Close()
			t.Errorf("the same device again: %v", err)
		}
		return nil
	})
}

// TestDeviceHeldByAChildMayBeOpenedAgain: a child that is about to exec holds
// the device for a moment longer than its owner.
func TestDeviceHeldByAChildMayBeOpenedAgain(t *testing.T) {
	h := &host{ns: newNamespace(t)}
	h.in(t, func() error {
		former, err := Open(Config{Device: "tun7"})
		if err != nil {
			return err
		}
		held, err := unix.Dup(int(former.queues[0].File().Fd()))
		if err != nil {
			return err
		}
		if err := former.Close(); err != nil {
			return err
		}
		if _, _, err := openQueue("tun7", true); !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("the device is not held: %v", err)
		}
		released := make(chan error, 1)
		time.AfterFunc(50*time.Millisecond, func() { released <- unix.Close(held) })
		next, err := Open(Config{Device: "tun7"})
		if err = errors.Join(err, <-released); err != nil {
			return err
		}
		return next.Close()
	})
}

// TestRunEndsWhenDeviceIsRemoved, with a word about it.
func TestRunEndsWhenDeviceIsRemoved(t *testing.T) {
	h := &host{ns: newNamespace(t)}
	var tr *transport.Transport
	var tn *Tunnel
	h.in(t, func() (err error) {
		if tr, err = transport.Listen(transport.Config{}); err == nil {
			tn, err = Open(Config{Transport: tr, Queues: 3})
		}
		return err
	})
	defer tr.Close()
	ended := make(chan error, 1)
	go func() { ended <- tn.Run(t.Context()) }()
	h.in(t, func() error {
		l, err := netlink.LinkByName(tn.Name())
		if err != nil {
			return err
		}
		return netlink.LinkDel(l)
	})
	select {
	case err := <-ended:
		var failed *DeviceError
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), "was removed while in use") {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(patience):
		t.Error("Run goes on without a device")
	}
}

// peerOf seals packets as the peer of c does.
func peerOf(t *testing.T, c esp.Child) func(inner []byte) []byte {
	t.Helper()
	out, err := esp.NewOutbound(c.In)
	if err != nil {
		t.Fatal(err)
	}
	return func(inner []byte) []byte {
		t.Helper()
		buf := make([]byte, headroom+len(inner)+tailroom)
		p, ok := parsePacket(inner)
		if !ok {
			t.Fatalf("not a packet: %x", inner)
		}
		copy(buf[headroom:], inner)
		sealed, err := out.Seal(buf, headroom, len(inner), p.nextHeader())
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
}

// drain takes what a channel device is given, until the test ends.
func drain(t *testing.T, device *tuntest.ChannelTUN) {
	t.Helper()
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	go func() {
		for {
			select {
			case <-device.Inbound:
			case <-stop:
				return
			}
		}
	}()
}

func TestRebindIsReportedOnlyWhenAuthentic(t *testing.T) {
	type report struct {
		id   esp.ChildID
		path esp.Path
	}
	var reports []report
	tn, device := inMemory(t, Config{OnRebind: func(id esp.ChildID, p esp.Path) {
		reports = append(reports, report{id, p})
	}})
	defer tn.Close()
	drain(t, device)
	c := manyChildren(0)
	if err := tn.Install(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	seal := peerOf(t, c)
	inner := ipPacket(c.Remote[0].Start, here4, 17, make([]byte, 40))
	elsewhere := netip.MustParseAddrPort("203.0.113.9:61000")
	handle := func(b []byte, from netip.AddrPort, encap bool) {
		tn.HandleESP([]transport.ESPDatagram{{Data: b, Local: c.Path.Local, Remote: from, Encap: encap}})
	}
	handle(seal(inner), c.Path.Remote, true)
	forged := seal(inner)
	forged[len(forged)-1] ^= 1
	handle(forged, elsewhere, true)
	handle(seal(inner), netip.AddrPortFrom(elsewhere.Addr(), 0), false)
	if len(reports) != 0 {
		t.Fatalf("reported %v", reports)
	}
	first := seal(inner)
	handle(first, elsewhere, true)
	handle(seal(inner), elsewhere, true) // within the same second
	want := report{c.ID, esp.Path{Local: c.Path.Local, Remote: elsewhere, Encap: true}}
	if len(reports) != 1 || reports[0] != want {
		t.Fatalf("reported %v, want %v once", reports, want)
	}
	if err := tn.Move(t.Context(), c.ID, want.path); err != nil {
		t.Fatal(err)
	}
	handle(seal(inner), elsewhere, true)
	if len(reports) != 1 {
		t.Fatalf("the path that is now the Child SA's was reported: %v", reports)
	}
}

func TestDropsNameTheirReason(t *testing.T) {
	tn, device := inMemory(t, Config{})
	defer tn.Close()
	drain(t, device)
	c := manyChildren(0)
	if err := tn.Install(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	seal := peerOf(t, c)
	client := c.Remote[0].Start
	good := ipPacket(client, here4, 17, make([]byte, 40))
	receive := func(b []byte, ecn uint8) {
		tn.HandleESP([]transport.ESPDatagram{{Data: b, Local: c.Path.Local, Remote: c.Path.Remote, Encap: true, ECN: ecn}})
	}
	once := seal(good)
	receive(append([]byte(nil), once...), 0)
	receive(once, 0)
	damaged := seal(good)
	damaged[20] ^= 1
	receive(damaged, 0)
	stranger := seal(good)
	binary.BigEndian.PutUint32(stranger, 0x999)
	receive(stranger, 0)
	receive(seal(ipPacket(here4, client, 17, nil)), 0)
	receive(seal(good), ce)
	receive(seal(good)[:20], 0)
	want := Drops{InReplayed: 1, InIntegrity: 1, InUnknownSPI: 1, InSelector: 1, InCongestion: 1, InMalformed: 1}
	if d := tn.Drops(); d != want {
		t.Errorf("dropped %v, want %v", d, want)
	}
	for r := range reasons {
		if name := r.String(); name == "" || name == "unknown" || !strings.HasPrefix(name, "in_") && !strings.HasPrefix(name, "out_") {
			t.Errorf("reason %d is called %q", r, name)
		}
	}
}

// TestTooBigIsAnsweredWithinLimit: the sender is told, but not endlessly.
func TestTooBigIsAnsweredWithinLimit(t *testing.T) {
	tn, device, _ := overLoopback(t, Config{OuterMTU: 1000}, 1)
	c := manyChildren(0)
	if err := tn.Install(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	big := ipPacket(here4, c.Remote[0].Start, 17, make([]byte, 1200))
	big[6] = flagDontFragment >> 8
	for range 3 {
		device.Outbound <- big
		answer := <-device.Inbound
		p, ok := parsePacket(answer)
		if !ok || p.protocol != protocolICMP || destinationOf(&p) != here4 {
			t.Fatalf("answered with %x", answer)
		}
		checkSums(t, answer)
		out, err := esp.NewOutbound(c.Out)
		if err != nil {
			t.Fatal(err)
		}
		if mtu := int(binary.BigEndian.Uint16(answer[26:])); mtu != out.MaxInner(1000-28) {
			t.Errorf("announced MTU %d, want %d", mtu, out.MaxInner(1000-28))
		}
	}
	if u, err := tn.Usage(context.Background(), nil); err != nil || u[0].PacketsOut != 0 || tn.Drops()[OutTooBig] != 3 {
		t.Errorf("usage %+v, %v, drops %v", u, err, tn.Drops())
	}
}
