package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// controlLen holds every control message that a socket may give: packet info,
// segment size, drop counter, traffic class. It is a multiple of the
// alignment that the kernel expects.
const controlLen = 128

// ancillary is what the control messages of one receipt say.
type ancillary struct {
	local     netip.Addr
	segment   int    // UDP_GRO: size of each datagram in the buffer; 0: one datagram
	dropped   uint32 // SO_RXQ_OVFL: the socket's drops so far
	overflown bool   // dropped was given
	ecn       uint8
}

// parseControl reads control messages (cmsg(3)) as the kernel wrote them.
func parseControl(b []byte) ancillary {
	var a ancillary
	for len(b) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(b)))
		n := int(h.Len)
		if n < unix.SizeofCmsghdr || n > len(b) {
			break
		}
		a.take(h.Level, h.Type, b[unix.CmsgLen(0):n])
		b = b[min(unix.CmsgSpace(n-unix.CmsgLen(0)), len(b)):]
	}
	return a
}

func (a *ancillary) take(level, kind int32, data []byte) {
	switch {
	case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		// ipi_addr, the destination in the header; ipi_spec_dst would be the
		// address that routing prefers.
		a.local = netip.AddrFrom4([4]byte(data[8:12]))
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		a.local = zoned(netip.AddrFrom16([16]byte(data[:16])), binary.NativeEndian.Uint32(data[16:]))
	case level == unix.IPPROTO_UDP && kind == unix.UDP_GRO && len(data) >= 4:
		a.segment = int(int32(binary.NativeEndian.Uint32(data)))
	case level == unix.SOL_SOCKET && kind == unix.SO_RXQ_OVFL && len(data) >= 4:
		a.dropped, a.overflown = binary.NativeEndian.Uint32(data), true
	case level == unix.IPPROTO_IP && kind == unix.IP_TOS && len(data) >= 1:
		a.ecn = data[0] & 3
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_TCLASS && len(data) >= 4:
		a.ecn = uint8(binary.NativeEndian.Uint32(data)) & 3
	}
}

// appendPacketInfo asks that the datagram leaves from local.
func appendPacketInfo(b []byte, local netip.Addr) []byte {
	if local.Is4() {
		b, data := appendControl(b, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		a := local.As4()
		copy(data[4:], a[:]) // ipi_spec_dst
		return b
	}
	b, data := appendControl(b, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
	a := local.As16()
	copy(data, a[:])
	binary.NativeEndian.PutUint32(data[16:], zoneIndex(local))
	return b
}

// appendSegment asks for segmentation into datagrams of size octets.
func appendSegment(b []byte, size int) []byte {
	b, data := appendControl(b, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)
	binary.NativeEndian.PutUint16(data, uint16(size))
	return b
}

// appendTrafficClass sets the ECN field of the outer header.
func appendTrafficClass(b []byte, v6 bool, ecn uint8) []byte {
	level, kind := unix.IPPROTO_IP, unix.IP_TOS
	if v6 {
		level, kind = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
	}
	b, data := appendControl(b, level, kind, 4)
	binary.NativeEndian.PutUint32(data, uint32(ecn))
	return b
}

// appendControl appends a zeroed control message within b's capacity and
// returns its data.
func appendControl(b []byte, level, kind, size int) (all, data []byte) {
	off := len(b)
	b = b[:off+unix.CmsgSpace(size)]
	clear(b[off:])
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[off]))
	h.Level, h.Type = int32(level), int32(kind)
	h.SetLen(unix.CmsgLen(size))
	return b, b[off+unix.CmsgLen(0):]
}

// zoned gives link-local addresses their interface as a numeric zone.
func zoned(a netip.Addr, index uint32) netip.Addr {
	if index == 0 || !a.IsLinkLocalUnicast() {
		return a
	}
	return a.WithZone(strconv.FormatUint(uint64(index), 10))
}

// numericZone gives a an interface's number where it has its name: datagrams
// come with numbers, and people write names. A name that no interface has
// stays.
func numericZone(a netip.Addr) netip.Addr {
	if a.Zone() == "" || zoneIndex(a) != 0 {
		return a
	}
	link, err := net.InterfaceByName(a.Zone())
	if err != nil {
		return a
	}
	return a.WithZone(strconv.Itoa(link.Index))
}

// zoneIndex is the interface index of a numeric zone, 0 for none.
func zoneIndex(a netip.Addr) uint32 {
	if a.Zone() == "" {
		return 0
	}
	n, err := strconv.ParseUint(a.Zone(), 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// putAddr writes ap in the kernel's form and returns its length.
func putAddr(sa *unix.RawSockaddrInet6, ap netip.AddrPort) uint32 {
	port := swapPort(ap.Port())
	if a := ap.Addr(); a.Is4() {
		sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		*sa4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port, Addr: a.As4()}
		return unix.SizeofSockaddrInet4
	}
	*sa = unix.RawSockaddrInet6{
		Family: unix.AF_INET6, Port: port,
		Addr: ap.Addr().As16(), Scope_id: zoneIndex(ap.Addr()),
	}
	return unix.SizeofSockaddrInet6
}

// getAddr is the inverse of putAddr. A raw socket's port means nothing.
func getAddr(sa *unix.RawSockaddrInet6) netip.AddrPort {
	switch sa.Family {
	case unix.AF_INET:
		sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(sa4.Addr), swapPort(sa4.Port))
	case unix.AF_INET6:
		return netip.AddrPortFrom(zoned(netip.AddrFrom16(sa.Addr), sa.Scope_id), swapPort(sa.Port))
	}
	return netip.AddrPort{}
}

// swapPort turns a port between host order and the network order in which it
// stands in a socket address.
func swapPort(p uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], p)
	return binary.BigEndian.Uint16(b[:])
}
