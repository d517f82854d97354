package radius

import (
	"encoding/binary"
	"io"
	"time"
)

// Retransmission says when an unanswered request is sent again (RFC 5080
// §2.2.1). Zero values mean the RFC's: 2 s, 16 s, 5 times, 30 s.
type Retransmission struct {
	Initial time.Duration // IRT: until the first retransmission
	Most    time.Duration // MRT: the longest time between two
	Count   int           // MRC: how often a request is sent at most
	Total   time.Duration // MRD: how long it is waited for altogether
}

func (r Retransmission) withDefaults() Retransmission {
	if r.Initial <= 0 {
		r.Initial = 2 * time.Second
	}
	if r.Most <= 0 {
		r.Most = 16 * time.Second
	}
	if r.Count <= 0 {
		r.Count = 5
	}
	if r.Total <= 0 {
		r.Total = 30 * time.Second
	}
	return r
}

// after is the time to wait after the one before; zero for the first.
func (r Retransmission) after(before time.Duration, rand io.Reader) time.Duration {
	rt := r.Initial
	if before > 0 {
		if rt = 2 * before; rt > r.Most {
			rt, before = r.Most, r.Most
		}
	} else {
		before = r.Initial
	}
	return rt + jitter(before, rand)
}

// jitter is a random part of d, between minus and plus a tenth. Without
// randomness there is none: a clumsy schedule beats a lost login.
func jitter(d time.Duration, rand io.Reader) time.Duration {
	var b [4]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return 0
	}
	return time.Duration(float64(d) * (float64(binary.BigEndian.Uint32(b[:]))/(1<<31) - 1) / 10)
}
