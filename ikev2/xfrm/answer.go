package xfrm

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// message is a netlink message received, without its header.
type message struct {
	kind uint16
	seq  uint32
	body []byte
}

// parseMessages cuts a datagram into its messages.
func parseMessages(b []byte) ([]message, error) {
	var ms []message
	for len(b) > 0 {
		if len(b) < unix.NLMSG_HDRLEN {
			return nil, errTruncated
		}
		n := int(binary.NativeEndian.Uint32(b))
		if n < unix.NLMSG_HDRLEN || n > len(b) {
			return nil, errTruncated
		}
		ms = append(ms, message{
			kind: binary.NativeEndian.Uint16(b[4:]), seq: binary.NativeEndian.Uint32(b[8:]),
			body: b[unix.NLMSG_HDRLEN:n],
		})
		b = b[min((n+3)&^3, len(b)):]
	}
	return ms, nil
}

// attributeMask leaves out the flags of an attribute type (NLA_TYPE_MASK).
const attributeMask = 0x3fff

// attribute gives the value of the first attribute of a kind; nil if there is
// none.
func attribute(b []byte, kind uint16) []byte {
	for len(b) >= 4 {
		n := int(binary.NativeEndian.Uint16(b))
		if n < 4 || n > len(b) {
			return nil
		}
		if binary.NativeEndian.Uint16(b[2:])&attributeMask == kind {
			return b[4:n]
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return nil
}

// parseAck reads NLMSG_ERROR: the error number, 0 for success, and the text
// that the kernel may add (NLMSGERR_ATTR_MSG).
func parseAck(b []byte) (unix.Errno, string, error) {
	const errorLen = 4 + unix.NLMSG_HDRLEN
	if len(b) < errorLen {
		return 0, "", errTruncated
	}
	errno := unix.Errno(-int32(binary.NativeEndian.Uint32(b)))
	text := attribute(b[errorLen:], nl.NLMSGERR_ATTR_MSG)
	for len(text) > 0 && text[len(text)-1] == 0 {
		text = text[:len(text)-1]
	}
	return errno, string(text), nil
}

// replay is struct xfrm_replay_state_esn.
type replay struct {
	sent, received uint64 // the last sequence numbers
	window         uint32
	bitmap         []uint32
}

func (r *replay) append(b []byte) []byte {
	for _, v := range []uint32{
		uint32(len(r.bitmap)), uint32(r.sent), uint32(r.received),
		uint32(r.sent >> 32), uint32(r.received >> 32), r.window,
	} {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	for _, v := range r.bitmap {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return b
}

func parseReplay(b []byte) (*replay, error) {
	if len(b) < replayESNLen {
		return nil, errTruncated
	}
	u32 := func(i int) uint32 { return binary.NativeEndian.Uint32(b[4*i:]) }
	r := &replay{
		sent: uint64(u32(3))<<32 | uint64(u32(1)), received: uint64(u32(4))<<32 | uint64(u32(2)),
		window: u32(5),
	}
	n := int(u32(0))
	if n > (len(b)-replayESNLen)/4 {
		return nil, errTruncated
	}
	for i := range n {
		r.bitmap = append(r.bitmap, u32(6+i))
	}
	return r, nil
}

// counters are what a state has carried so far.
type counters struct {
	bytes, packets uint64
	replay         *replay
}

// parseCounters reads the answer to readState.
func parseCounters(b []byte) (c counters, err error) {
	if len(b) < aeventIDLen {
		return c, errTruncated
	}
	life := attribute(b[aeventIDLen:], nl.XFRMA_LTIME_VAL)
	if len(life) < nl.SizeofXfrmLifetimeCur {
		return c, errTruncated
	}
	c.bytes, c.packets = binary.NativeEndian.Uint64(life), binary.NativeEndian.Uint64(life[8:])
	c.replay, err = parseReplay(attribute(b[aeventIDLen:], nl.XFRMA_REPLAY_ESN_VAL))
	return c, err
}

// foundState is what a dump or an event tells of a state.
type foundState struct {
	id      stateID
	reqid   uint32
	mapping bool // the kernel knows XFRMA_MTIMER_THRESH
}

func parseState(b []byte) (f foundState, err error) {
	var info nl.XfrmUsersaInfo
	if len(b) < nl.SizeofXfrmUsersaInfo {
		return f, errTruncated
	}
	copy(info.Serialize(), b)
	f.id = stateID{addressOf(info.Id.Daddr, info.Family), be32(info.Id.Spi)}
	f.reqid = info.Reqid
	f.mapping = attribute(b[nl.SizeofXfrmUsersaInfo:], nl.XFRMA_MTIMER_THRESH) != nil
	return f, nil
}

// foundPolicy is what a dump tells of a policy.
type foundPolicy struct {
	key       policyKey
	templates []template
}

func parsePolicy(b []byte) (f foundPolicy, err error) {
	var info nl.XfrmUserpolicyInfo
	if len(b) < nl.SizeofXfrmUserpolicyInfo {
		return f, errTruncated
	}
	copy(info.Serialize(), b)
	f.key = policyKey{info.Dir, selectorOf(&info.Sel)}
	ts := attribute(b[nl.SizeofXfrmUserpolicyInfo:], nl.XFRMA_TMPL)
	for ; len(ts) >= nl.SizeofXfrmUserTmpl; ts = ts[nl.SizeofXfrmUserTmpl:] {
		var t nl.XfrmUserTmpl
		copy(t.Serialize(), ts)
		f.templates = append(f.templates, template{
			reqid: t.Reqid, source: addressOf(t.Saddr, t.Family), destination: addressOf(t.XfrmId.Daddr, t.Family),
			block: info.Action == policyBlock,
		})
	}
	return f, nil
}

// mapping is struct xfrm_user_mapping: an authentic packet of an inbound SA
// came from another address or port.
type mapping struct {
	id     stateID
	source netip.AddrPort
}

func parseMapping(b []byte) (m mapping, err error) {
	const length = nl.SizeofXfrmUsersaId + 4 + 16 + 16 + 4
	if len(b) < length {
		return m, errTruncated
	}
	var id nl.XfrmUsersaId
	copy(id.Serialize(), b)
	m.id = stateID{addressOf(id.Daddr, id.Family), be32(id.Spi)}
	var source nl.XfrmAddress
	copy(source[:], b[nl.SizeofXfrmUsersaId+4+16:])
	port := binary.BigEndian.Uint16(b[length-2:])
	m.source = netip.AddrPortFrom(addressOf(source, id.Family), port)
	return m, nil
}

// expiry is struct xfrm_user_expire: a state reached a limit.
type expiry struct {
	id   stateID
	hard bool // the kernel has removed it
}

func parseExpiry(b []byte) (e expiry, err error) {
	if len(b) < nl.SizeofXfrmUserExpire {
		return e, errTruncated
	}
	f, err := parseState(b)
	return expiry{f.id, b[nl.SizeofXfrmUsersaInfo] != 0}, err
}

func addressOf(x nl.XfrmAddress, family uint16) netip.Addr {
	if family == unix.AF_INET {
		return netip.AddrFrom4([4]byte(x[:4]))
	}
	return netip.AddrFrom16(x)
}

func (id stateID) String() string {
	return fmt.Sprintf("state %08x to %v", id.spi, id.destination)
}

func (k policyKey) String() string {
	return fmt.Sprintf("%s policy %v", [...]string{"in", "out", "forward"}[k.direction%3], k.selector)
}
