package xfrm

import (
	"encoding/binary"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Numbers of linux/xfrm.h and linux/udp.h.
const (
	directionIn      = 0
	directionOut     = 1
	directionForward = 2

	modeTunnel            = 1
	encapESPInUDP         = 2 // UDP_ENCAP_ESPINUDP
	everyAlgorithm        = ^uint32(0)
	unlimited             = nl.XFRM_INF
	replayWindow          = 1024 // packets
	replayESNLen          = nl.SizeofXfrmReplayStateEsn
	aeventIDLen           = 48 // struct xfrm_aevent_id
	aeventReplay   uint32 = 1 << 1
	aeventLife     uint32 = 1 << 2
)

// request is one netlink message without its header.
type request struct {
	kind uint16
	body []byte // may hold keys; wiped once sent
	what string // for errors: what is done to what
}

// stateID is how the kernel finds a state.
type stateID struct {
	destination netip.Addr
	spi         uint32
}

// state is an SA as this package installs it.
type state struct {
	id     stateID
	source netip.Addr
	reqid  uint32

	encap                       bool
	sourcePort, destinationPort uint16

	algorithms algorithms
	esn        bool
	inbound    bool
	softLimit  uint64 // packets after which EXPIRE is sent
	hardLimit  uint64 // packets after which it is gone; 0: unlimited
	mark, ifID uint32 // 0: none

	replay *replay // to continue from; nil: begin
}

// mappingInterval is for how many seconds one changed source is reported once
// (XFRMA_MTIMER_THRESH, Linux 5.17).
const mappingInterval = 10

// newState makes NEWSA, or UPDSA if update, out of s.
func newState(s *state, update bool) request {
	info := nl.XfrmUsersaInfo{
		Id:    nl.XfrmId{Daddr: address(s.id.destination), Spi: be32(s.id.spi), Proto: unix.IPPROTO_ESP},
		Saddr: address(s.source), Lft: noLimits(), Reqid: s.reqid,
		Family: family(s.id.destination), Mode: modeTunnel,
		// One state for inner packets of either family.
		Flags: nl.XFRM_STATE_AF_UNSPEC,
	}
	info.Lft.SoftPacketLimit = s.softLimit
	if s.hardLimit != 0 {
		info.Lft.HardPacketLimit = s.hardLimit
	}
	if s.esn {
		info.Flags |= nl.XFRM_STATE_ESN
	}
	b := append(make([]byte, 0, 640), info.Serialize()...)
	b = s.algorithms.append(b)
	b = appendAttribute(b, nl.XFRMA_REPLAY_ESN_VAL, s.replayState())
	if s.encap {
		e := nl.XfrmEncapTmpl{EncapType: encapESPInUDP, EncapSport: be16(s.sourcePort), EncapDport: be16(s.destinationPort)}
		b = appendAttribute(b, nl.XFRMA_ENCAP, e.Serialize())
		if s.inbound {
			b = appendUint32(b, nl.XFRMA_MTIMER_THRESH, mappingInterval)
		}
	}
	if s.mark != 0 && !s.inbound {
		b = appendUint32(b, nl.XFRMA_SET_MARK, s.mark)
		b = appendUint32(b, nl.XFRMA_SET_MARK_MASK, ^uint32(0))
	}
	if s.ifID != 0 {
		b = appendUint32(b, nl.XFRMA_IF_ID, s.ifID)
	}
	r := request{kind: nl.XFRM_MSG_NEWSA, body: b, what: "add " + s.id.String()}
	if update {
		r.kind, r.what = nl.XFRM_MSG_UPDSA, "update "+s.id.String()
	}
	return r
}

// replayState is struct xfrm_replay_state_esn, which holds the window also of
// SAs without extended sequence numbers. An outbound SA needs no window but the
// kernel wants one. To begin with, the bitmap may be left out.
func (s *state) replayState() []byte {
	if s.replay != nil {
		return s.replay.append(nil)
	}
	r := replay{window: 32, bitmap: make([]uint32, 1)}
	if s.inbound {
		r = replay{window: replayWindow, bitmap: make([]uint32, replayWindow/32)}
	}
	return r.append(nil)[:replayESNLen]
}

func deleteState(id stateID) request {
	m := id.message()
	return request{kind: nl.XFRM_MSG_DELSA, body: append([]byte(nil), m.Serialize()...), what: "delete " + id.String()}
}

// readState asks for counters and sequence numbers. GETAE is used since its
// answer, unlike that of GETSA, holds no keys.
func readState(id stateID) request {
	m := id.message()
	b := append(make([]byte, 0, aeventIDLen), m.Serialize()...)
	b = append(b, make([]byte, 16)...)
	b = binary.NativeEndian.AppendUint32(b, aeventReplay|aeventLife)
	b = binary.NativeEndian.AppendUint32(b, 0)
	return request{kind: nl.XFRM_MSG_GETAE, body: b, what: "read " + id.String()}
}

func (id stateID) message() nl.XfrmUsersaId {
	return nl.XfrmUsersaId{Daddr: address(id.destination), Spi: be32(id.spi), Family: family(id.destination), Proto: unix.IPPROTO_ESP}
}

// policyKey is what makes two policies the same to the kernel, which also
// compares type, mark and interface ID; those are the same for all of ours.
type policyKey struct {
	direction uint8
	selector  selector
}

// template says which states protect a policy's packets.
type template struct {
	reqid               uint32
	source, destination netip.Addr // the outer ones; inbound only the family counts
	block               bool       // none do: the packets are dropped
}

// Of linux/xfrm.h, and how much later than all others a policy comes that
// drops packets.
const (
	policyBlock   = 1
	blockPriority = 1 << 13
)

// newPolicy makes NEWPOLICY, or UPDPOLICY if update.
func newPolicy(k policyKey, t template, priority, ifID uint32, update bool) request {
	info := nl.XfrmUserpolicyInfo{
		Sel: k.selector.message(), Lft: noLimits(),
		Priority: priority + k.selector.width(), Dir: k.direction,
	}
	if t.block {
		info.Action = policyBlock
		info.Priority += blockPriority
	}
	tmpl := nl.XfrmUserTmpl{
		XfrmId: nl.XfrmId{Proto: unix.IPPROTO_ESP},
		Family: family(t.destination), Reqid: t.reqid, Mode: modeTunnel,
		Aalgos: everyAlgorithm, Ealgos: everyAlgorithm, Calgos: everyAlgorithm,
	}
	if k.direction == directionOut {
		tmpl.XfrmId.Daddr, tmpl.Saddr = address(t.destination), address(t.source)
	}
	b := append(make([]byte, 0, 256), info.Serialize()...)
	b = appendAttribute(b, nl.XFRMA_TMPL, tmpl.Serialize())
	if ifID != 0 {
		b = appendUint32(b, nl.XFRMA_IF_ID, ifID)
	}
	r := request{kind: nl.XFRM_MSG_NEWPOLICY, body: b, what: "add " + k.String()}
	if update {
		r.kind, r.what = nl.XFRM_MSG_UPDPOLICY, "update "+k.String()
	}
	return r
}

func deletePolicy(k policyKey, ifID uint32) request {
	m := nl.XfrmUserpolicyId{Sel: k.selector.message(), Dir: k.direction}
	b := append(make([]byte, 0, 80), m.Serialize()...)
	if ifID != 0 {
		b = appendUint32(b, nl.XFRMA_IF_ID, ifID)
	}
	return request{kind: nl.XFRM_MSG_DELPOLICY, body: b, what: "delete " + k.String()}
}

func noLimits() nl.XfrmLifetimeCfg {
	return nl.XfrmLifetimeCfg{
		SoftByteLimit: unlimited, HardByteLimit: unlimited,
		SoftPacketLimit: unlimited, HardPacketLimit: unlimited,
	}
}

// appendAttribute appends a netlink attribute, padded. b is aligned.
func appendAttribute(b []byte, kind int, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, uint16(kind))
	b = append(b, value...)
	return append(b, make([]byte, -len(value)&3)...)
}

func appendUint32(b []byte, kind int, v uint32) []byte {
	return appendAttribute(b, kind, binary.NativeEndian.AppendUint32(nil, v))
}

// be16 and be32 give the number whose octets in memory are v's in network
// order, as the structures of package nl want them.
func be16(v uint16) uint16 { return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v)) }
func be32(v uint32) uint32 { return binary.NativeEndian.Uint32(binary.BigEndian.AppendUint32(nil, v)) }

func address(a netip.Addr) (x nl.XfrmAddress) {
	if a.IsValid() {
		copy(x[:], a.AsSlice())
	}
	return x
}

func family(a netip.Addr) uint16 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
