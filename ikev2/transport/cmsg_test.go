package transport

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func drawAddr(t *rapid.T) netip.Addr {
	if rapid.Bool().Draw(t, "IPv4") {
		return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address")))
	}
	a := netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address")))
	if rapid.Bool().Draw(t, "link-local") {
		return netip.MustParseAddr("fe80::1%7")
	}
	return a
}

func TestSocketAddressesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := netip.AddrPortFrom(drawAddr(t), rapid.Uint16().Draw(t, "port"))
		var sa unix.RawSockaddrInet6
		putAddr(&sa, want)
		if got := getAddr(&sa); got != want {
			t.Fatalf("%s became %s", want, got)
		}
	})
}

// TestControlMessages: what is written for sending is laid out as what is read
// on receipt, whatever else stands between.
func TestControlMessages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		local, ecn := drawAddr(t), rapid.Uint8Range(0, 3).Draw(t, "ecn")
		b := appendPacketInfo(make([]byte, 0, controlLen), local)
		if local.Is4() {
			copy(b[len(b)-8:], b[len(b)-12:len(b)-8]) // the kernel gives ipi_addr
		}
		b = appendSegment(b, 1400) // which is no control message of receipt
		b = appendTrafficClass(b, local.Is6(), ecn)
		a := parseControl(b)
		if a.local != local || a.ecn != ecn || a.segment != 0 {
			t.Fatalf("%+v, want %s with ECN %d", a, local, ecn)
		}
		parseControl(b[:rapid.IntRange(0, len(b)).Draw(t, "cut")])
	})
}
