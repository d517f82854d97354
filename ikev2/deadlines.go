package ikev2

import (
	"container/heap"
	"time"
)

// deadlines is a heap of the SAs that have one, the earliest first, so that a
// shard needs a single timer.
type deadlines []deadline

type deadline struct {
	sa   *SA
	when time.Time
}

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].when.Before(d[j].when) }
func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].sa.timer, d[j].sa.timer = i, j
}

// Push is for container/heap.
func (d *deadlines) Push(x any) {
	entry := x.(deadline)
	entry.sa.timer = len(*d)
	*d = append(*d, entry)
}

// Pop is for container/heap.
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	entry := (*d)[last]
	(*d)[last] = deadline{}
	*d = (*d)[:last]
	entry.sa.timer = -1
	return entry
}

// set takes note of an SA's deadline; zero takes it out.
func (d *deadlines) set(sa *SA, when time.Time) {
	switch {
	case when.IsZero() && sa.timer >= 0:
		heap.Remove(d, sa.timer)
	case when.IsZero():
	case sa.timer < 0:
		heap.Push(d, deadline{sa, when})
	case !(*d)[sa.timer].when.Equal(when):
		(*d)[sa.timer].when = when
		heap.Fix(d, sa.timer)
	}
}

// next is the earliest deadline; zero if there is none.
func (d deadlines) next() time.Time {
	if len(d) == 0 {
		return time.Time{}
	}
	return d[0].when
}
