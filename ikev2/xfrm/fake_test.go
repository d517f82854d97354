package xfrm

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// fakeKernel keeps states and policies as Linux does, from the messages
// themselves. It answers at once and in order.
type fakeKernel struct {
	t        testing.TB
	states   map[stateID]fakeState
	policies map[policyKey][]byte // message bodies
	rounds   int
	messages int
	refuse   func(n int, r request) unix.Errno // asked for the n-th message; nil: none
	hash     thresholds
}

type fakeState struct {
	body  []byte
	sent  uint64 // the last sequence number
	begun uint64 // the one that it was added with
	limit uint64 // of packets
}

func (s fakeState) packets() uint64 { return s.sent - s.begun }

// send has a state, if it is there, protect n packets and gives their numbers;
// it ends where its limit is passed.
func (k *fakeKernel) send(id stateID, n int) (numbers []uint64) {
	s, ok := k.states[id]
	if !ok {
		return nil
	}
	for range n {
		if s.packets() >= s.limit {
			delete(k.states, id)
			return numbers
		}
		s.sent++
		numbers = append(numbers, s.sent)
	}
	k.states[id] = s
	return numbers
}

func newFakeKernel(t testing.TB) *fakeKernel {
	return &fakeKernel{t: t, states: map[stateID]fakeState{}, policies: map[policyKey][]byte{}, hash: thresholds{[2]byte{32, 32}, [2]byte{128, 128}}}
}

func (k *fakeKernel) close() error { return nil }

func (k *fakeKernel) do(requests []request) ([]answer, error) {
	if len(requests) > 0 {
		k.rounds += (len(requests) + batchLimit - 1) / batchLimit
	}
	answers := make([]answer, len(requests))
	for i, r := range requests {
		k.messages++
		errno, body := unix.Errno(0), []byte(nil)
		if k.refuse != nil {
			errno = k.refuse(k.messages, r)
		}
		if errno == 0 {
			errno, body = k.handle(r)
		}
		answers[i].body = body
		if errno != 0 {
			answers[i].err = &KernelError{Doing: r.what, Errno: errno}
		}
		clear(r.body)
	}
	return answers, nil
}

func (k *fakeKernel) handle(r request) (unix.Errno, []byte) {
	body := bytes.Clone(r.body)
	switch r.kind {
	case nl.XFRM_MSG_NEWSA, nl.XFRM_MSG_UPDSA:
		return k.putState(body, r.kind == nl.XFRM_MSG_UPDSA), nil
	case nl.XFRM_MSG_NEWPOLICY, nl.XFRM_MSG_UPDPOLICY:
		f, err := parsePolicy(body)
		if err != nil {
			return unix.EINVAL, nil
		}
		if _, ok := k.policies[f.key]; ok && r.kind == nl.XFRM_MSG_NEWPOLICY {
			return unix.EEXIST, nil
		}
		k.policies[f.key] = body
		return 0, nil
	case nl.XFRM_MSG_GETSPDINFO:
		return 0, setThresholds(k.hash).body
	case nl.XFRM_MSG_NEWSPDINFO:
		k.hash, _ = parseThresholds(body)
		return 0, nil
	case nl.XFRM_MSG_DELPOLICY:
		key := keyOf(body)
		if _, ok := k.policies[key]; !ok {
			return unix.ENOENT, nil
		}
		delete(k.policies, key)
		return 0, nil
	}
	return k.aboutState(r.kind, idOf(body))
}

// aboutState is for the messages that name a state.
func (k *fakeKernel) aboutState(kind uint16, id stateID) (unix.Errno, []byte) {
	s, ok := k.states[id]
	if !ok {
		return unix.ESRCH, nil
	}
	switch kind {
	case nl.XFRM_MSG_DELSA:
		delete(k.states, id)
		return 0, nil
	case nl.XFRM_MSG_GETSA:
		return 0, bytes.Clone(s.body)
	case nl.XFRM_MSG_GETAE:
		b := make([]byte, aeventIDLen)
		window := &replay{sent: s.sent, window: 32, bitmap: []uint32{0}}
		b = appendAttribute(b, nl.XFRMA_REPLAY_ESN_VAL, window.append(nil))
		life := binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, 100*s.packets()), s.packets())
		return 0, appendAttribute(b, nl.XFRMA_LTIME_VAL, append(life, make([]byte, 16)...))
	}
	k.t.Errorf("message %d", kind)
	return unix.EINVAL, nil
}

func (k *fakeKernel) putState(body []byte, update bool) unix.Errno {
	f, err := parseState(body)
	if err != nil {
		return unix.EINVAL
	}
	s, ok := k.states[f.id]
	switch {
	case update && !ok:
		return unix.ESRCH
	case !update && ok:
		return unix.EEXIST
	}
	s.body = body
	if v := attribute(body[nl.SizeofXfrmUsersaInfo:], nl.XFRMA_REPLAY_ESN_VAL); !update {
		r, err := parseReplay(append(bytes.Clone(v), make([]byte, 128)...))
		if err != nil {
			return unix.EINVAL
		}
		s.sent, s.begun = r.sent, r.sent
	}
	var info nl.XfrmUsersaInfo
	copy(info.Serialize(), body)
	s.limit = info.Lft.HardPacketLimit
	k.states[f.id] = s
	if s.packets() >= s.limit {
		delete(k.states, f.id)
	}
	return 0
}

func (k *fakeKernel) dump(r request, each func([]byte) error) error {
	k.rounds++
	bodies := slices.Collect(maps.Values(k.policies))
	if r.kind == nl.XFRM_MSG_GETSA {
		bodies = nil
		for _, s := range k.states {
			bodies = append(bodies, s.body)
		}
	}
	for _, b := range bodies {
		k.messages++
		if err := each(bytes.Clone(b)); err != nil {
			return err
		}
	}
	return nil
}

func idOf(b []byte) stateID {
	var m nl.XfrmUsersaId
	copy(m.Serialize(), b)
	return stateID{addressOf(m.Daddr, m.Family), be32(m.Spi)}
}

func keyOf(b []byte) policyKey {
	var m nl.XfrmUserpolicyId
	copy(m.Serialize(), b)
	return policyKey{m.Dir, selectorOf(&m.Sel)}
}
