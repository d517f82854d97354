//go:build vectors

package vectors

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
)

// frame is one captured packet.
type frame struct {
	link uint32 // link-layer type
	data []byte
}

// Link-layer types of the captures at hand.
const (
	linkNull     = 0 // 4 octets of address family
	linkEthernet = 1
	linkRaw      = 101
)

// network is the frame without its link-layer header; nil if it is no IPv4
// packet.
func (f frame) network() []byte {
	ip := f.data
	switch {
	case f.link == linkEthernet && len(ip) >= 14 && ip[12] == 8 && ip[13] == 0:
		ip = ip[14:]
	case f.link == linkNull && len(ip) >= 4:
		ip = ip[4:]
	case f.link != linkRaw:
		return nil
	}
	if len(ip) < 20 || ip[0]>>4 != 4 {
		return nil
	}
	return ip
}

// capture reads a classic pcap or a pcapng file. Damaged records end it: some
// captures were made to be damaged.
func capture(t testing.TB, name string) []frame {
	t.Helper()
	b, err := os.ReadFile(file(t, name))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if b, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	switch {
	case len(b) < 24:
		t.Fatalf("%s is no capture", name)
	case binary.LittleEndian.Uint32(b) == 0xa1b2c3d4:
		return classic(b)
	case binary.LittleEndian.Uint32(b) == 0x0a0d0d0a:
		return blocks(b)
	}
	t.Fatalf("%s is neither pcap nor pcapng in little-endian order", name)
	return nil
}

func classic(b []byte) []frame {
	link := uint32(binary.LittleEndian.Uint16(b[20:])) // the upper half tells of checksums
	var frames []frame
	for b = b[24:]; len(b) >= 16; {
		n := int(binary.LittleEndian.Uint32(b[8:]))
		if n > len(b)-16 {
			break
		}
		frames = append(frames, frame{link, b[16 : 16+n]})
		b = b[16+n:]
	}
	return frames
}

// blocks reads the interface descriptions and enhanced packets of pcapng.
func blocks(b []byte) []frame {
	var links []uint32
	var frames []frame
	for len(b) >= 12 {
		kind, n := binary.LittleEndian.Uint32(b), int(binary.LittleEndian.Uint32(b[4:]))
		if n < 12 || n > len(b) {
			break
		}
		switch body := b[8 : n-4]; kind {
		case 1:
			links = append(links, uint32(binary.LittleEndian.Uint16(body)))
		case 6:
			id, size := int(binary.LittleEndian.Uint32(body)), int(binary.LittleEndian.Uint32(body[12:]))
			if id < len(links) && size <= len(body)-20 {
				frames = append(frames, frame{links[id], body[20 : 20+size]})
			}
		}
		b = b[n:]
	}
	return frames
}

// datagram is one UDP datagram.
type datagram struct {
	from, to netip.AddrPort
	data     []byte
}

// datagrams gives the UDP datagrams of a capture, fragments joined. Those whose
// last fragment is missing come at the end, cut short.
func datagrams(t testing.TB, name string) []datagram {
	t.Helper()
	var out []datagram
	parts := make(fragments)
	for _, f := range capture(t, name) {
		ip := f.network()
		if d, ok := parts.add(ip); ok {
			out = append(out, d)
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(parts), func(a, b fragmentKey) int { return bytes.Compare(a[:], b[:]) }) {
		if d, ok := udp(key, parts[key]); ok {
			out = append(out, d)
		}
	}
	return out
}

// fragmentKey is source, destination and identification of an IPv4 packet.
type fragmentKey [10]byte

// fragments are the datagrams that have begun, as far as they have come.
type fragments map[fragmentKey][]byte

// add takes an IPv4 packet, or none, and gives the datagram that is complete with it.
// Octets beyond the length field are cut.
func (parts fragments) add(ip []byte) (datagram, bool) {
	if len(ip) == 0 || ip[9] != 17 {
		return datagram{}, false
	}
	header, total := int(ip[0]&15)*4, int(binary.BigEndian.Uint16(ip[2:]))
	if header < 20 || header > len(ip) {
		return datagram{}, false
	}
	body := ip[header:min(max(total, header), len(ip))]
	key := fragmentKey(slices.Concat(ip[12:20], ip[4:6]))
	switch more, offset := ip[6]&0x20 != 0, int(binary.BigEndian.Uint16(ip[6:])&0x1fff)*8; {
	case offset != len(parts[key]):
		return datagram{}, false // of a datagram whose start is missing
	case more:
		parts[key] = append(parts[key], body...)
		return datagram{}, false
	case offset > 0:
		body = append(parts[key], body...)
		delete(parts, key)
	}
	return udp(key, body)
}

func udp(key fragmentKey, b []byte) (datagram, bool) {
	if len(b) < 8 {
		return datagram{}, false
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	return datagram{
		from: netip.AddrPortFrom(netip.AddrFrom4([4]byte(key[:])), binary.BigEndian.Uint16(b)),
		to:   netip.AddrPortFrom(netip.AddrFrom4([4]byte(key[4:])), binary.BigEndian.Uint16(b[2:])),
		data: b[8:min(max(length, 8), len(b))],
	}, true
}
