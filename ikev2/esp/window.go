package esp

import (
	"sync"
	"sync/atomic"
)

// WindowSize is the replay window, in packets (RFC 4303 §3.4.3). It is wide
// enough for the reordering that several cores and receive queues bring about.
const WindowSize = 1024

const (
	wordBits = 64
	// One word more than the window needs, so that the word of the newest
	// numbers never shares its place with numbers still inside the window.
	windowWords = WindowSize/wordBits + 1
)

// window is the replay window: a ring of bits (the scheme of RFC 6479), in
// which moving forward clears whole words.
//
// check takes no lock: it saves the work of authenticating a packet that is
// surely a replay, and may only err by letting one pass. commit decides.
type window struct {
	top  atomic.Uint64 // the highest sequence number authenticated
	bits [windowWords]atomic.Uint64
	mu   sync.Mutex // held by whoever changes top and bits
}

// check tells whether seq would be refused.
func (w *window) check(seq uint64) error {
	top := w.top.Load()
	switch {
	case seq > top:
		return nil
	case top-seq >= WindowSize || seq == 0:
		return ErrTooOld
	case w.word(seq).Load()&bit(seq) != 0:
		return ErrReplayed
	}
	return nil
}

// commit records seq, which must be authentic, unless it was there before.
func (w *window) commit(seq uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.check(seq); err != nil {
		return err
	}
	if top := w.top.Load(); seq > top {
		w.advance(top, seq)
	}
	word := w.word(seq)
	word.Store(word.Load() | bit(seq))
	return nil
}

// advance clears the words that the numbers up to seq will use. A concurrent
// check that still sees the old top finds at worst an empty word.
func (w *window) advance(top, seq uint64) {
	words := min(seq/wordBits-top/wordBits, windowWords)
	for i := range words {
		w.bits[(seq/wordBits-i)%windowWords].Store(0)
	}
	w.top.Store(seq)
}

func (w *window) word(seq uint64) *atomic.Uint64 { return &w.bits[seq/wordBits%windowWords] }

func bit(seq uint64) uint64 { return 1 << (seq % wordBits) }

// infer gives the full sequence number of which a packet carries the low half
// (RFC 4303 appendix A2.2). The result is 0, which no packet has, if the number
// would lie before the first.
func (w *window) infer(low uint32) uint64 {
	top := w.top.Load()
	high := top >> 32
	bottom := uint32(top) - (WindowSize - 1) // modulo 2^32, as the RFC has it
	if uint32(top) >= WindowSize-1 {         // the window lies within one subspace
		if low < bottom {
			high++
		}
	} else if low >= bottom { // the window reaches into the previous subspace
		if high == 0 {
			return 0
		}
		high--
	}
	return high<<32 | uint64(low)
}
