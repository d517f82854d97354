package esp

import (
	"testing"

	"pgregory.net/rapid"
)

// naiveWindow keeps every number it has seen.
type naiveWindow struct {
	top  uint64
	seen map[uint64]bool
}

func (n *naiveWindow) commit(seq uint64) error {
	switch {
	case seq == 0, n.top >= WindowSize && seq <= n.top-WindowSize:
		return ErrTooOld
	case n.seen[seq]:
		return ErrReplayed
	}
	n.seen[seq] = true
	n.top = max(n.top, seq)
	return nil
}

func TestWindowAgainstANaiveOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w window
		naive := naiveWindow{seen: map[uint64]bool{}}
		step := rapid.OneOf(
			rapid.Int64Range(-1100, 1100), rapid.Int64Range(-70, 70),
			rapid.SampledFrom([]int64{-1025, -1024, -1023, -1088, 63, 64, 65, 1023, 1024, 1025, 1088, 1 << 20}),
		)
		for range rapid.IntRange(1, 400).Draw(t, "packets") {
			seq := uint64(max(0, int64(naive.top)+step.Draw(t, "step")))
			if got, want := w.check(seq), naive.peek(seq); got != want {
				t.Fatalf("check(%d) with top %d: %v, want %v", seq, naive.top, got, want)
			}
			if got, want := w.commit(seq), naive.commit(seq); got != want {
				t.Fatalf("commit(%d) with top %d: %v, want %v", seq, naive.top, got, want)
			}
		}
	})
}

func (n *naiveWindow) peek(seq uint64) error {
	copied := naiveWindow{top: n.top, seen: map[uint64]bool{seq: n.seen[seq]}}
	return copied.commit(seq)
}

// A number is inferred right if it lies less than 2^32 - WindowSize above the
// window's top or within the window below it (RFC 4303 appendix A2).
func TestInferredSequenceNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w window
		top := rapid.OneOf(
			rapid.Uint64Range(0, 3000), rapid.Uint64Range(1<<32-3000, 1<<32+3000),
			rapid.Uint64Range(5<<32-2, 5<<32+2), rapid.Uint64Range(0, 1<<62),
		).Draw(t, "top")
		w.top.Store(top)
		ahead := rapid.OneOf(rapid.Int64Range(-WindowSize+1, 3000), rapid.Int64Range(0, 1<<32-WindowSize)).Draw(t, "ahead")
		seq := int64(top) + ahead
		if seq < 1 {
			return
		}
		if got := w.infer(uint32(seq)); got != uint64(seq) {
			t.Fatalf("top %#x, packet %#x: inferred %#x", top, seq, got)
		}
	})
}

// Both ends of what can be inferred, at tops on both sides of the boundary
// between appendix A2.2's cases.
func TestInferredSequenceNumbersAtTheEdges(t *testing.T) {
	for _, top := range []uint64{
		5 << 32, 5<<32 + 1, 5<<32 + WindowSize - 2, 5<<32 + WindowSize - 1, 5<<32 + WindowSize, 6<<32 - 1,
	} {
		var w window
		w.top.Store(top)
		for _, seq := range []uint64{top - WindowSize + 1, top, top + 1, top + 1<<32 - WindowSize} {
			if got := w.infer(uint32(seq)); got != seq {
				t.Errorf("top %#x, packet %#x: inferred %#x", top, seq, got)
			}
		}
	}
}

// Before the first packet, low halves near 2^32 would belong to a number below
// zero: appendix A2.2's case B with no subspace before.
func TestNoSequenceNumberBelowTheFirst(t *testing.T) {
	var w window
	if got := w.infer(1<<32 - 5); got != 0 {
		t.Errorf("inferred %#x, want 0", got)
	}
	if err := w.check(0); err != ErrTooOld {
		t.Errorf("check(0) = %v", err)
	}
}
