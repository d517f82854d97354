package guard

import (
	"encoding/binary"
	"io"
	"time"
)

// longest is the longest delay of an answer that tells of a wrong password: it
// is far below the fifteen seconds or so after which clients give up.
const longest = 4 * time.Second

// spread is how much later still an answer may be, by chance: what is refused
// unasked takes no backend's time, and that is not to be measured.
const spread = 512 * time.Millisecond

// spreadOut adds chance to a delay. The first typing error waits for nothing.
func spreadOut(d time.Duration, rand io.Reader) time.Duration {
	if d == 0 {
		return 0
	}
	var chance [8]byte
	if _, err := io.ReadFull(rand, chance[:]); err != nil {
		return d + spread // the challenge of the next answer will fail, too
	}
	return d + time.Duration(binary.LittleEndian.Uint64(chance[:])%uint64(spread))
}

// byCount is the delay that goes with how many wrong passwords one user has:
// the first one is a typing error.
func byCount(full float64) time.Duration {
	switch {
	case full <= 1.5:
		return 0
	case full <= 2.5:
		return longest / 4
	case full <= 3.5:
		return longest / 2
	}
	return longest
}

// byShare is the delay that goes with how much of a place's limit is used up:
// many users may make their errors there.
func byShare(full float64, limit int) time.Duration {
	if limit <= 0 {
		return 0
	}
	switch share := (full - 1) / float64(limit); {
	case share < 0.25:
		return 0
	case share < 0.5:
		return longest / 4
	case share < 0.75:
		return longest / 2
	}
	return longest
}

// delay is how late the answer to a wrong password is to be. It is the same
// for users who are known at a place, who are not, and who do not exist, as far
// as what was counted is the same.
func (g *Guard) delay(now time.Time, a attempt) time.Duration {
	s := &g.settings
	d := byShare(g.addresses.full(now, g.placeKey(a.place), s.rate(s.PerAddress)), s.PerAddress)
	if a.user != "" && s.PerUser > 0 {
		d = max(d, byCount(g.users.full(now, g.userKey(a.user), s.rate(s.PerUser))))
	}
	if a.known && s.PerUser > 0 {
		d = max(d, byCount(g.pairs.full(now, g.pairKey(a), s.pair())))
	}
	return d
}
