package tunnel

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/transport"
)

// TestBucket offers more than passes: what does is the rate and one burst.
func TestBucket(t *testing.T) {
	const size, seconds = 1400, 10
	for _, rate := range []uint64{64e3, 8e6, 1e9, 1 << 63} {
		b := newBucket(rate)
		var passed float64
		step := int64(max(size*nanosecondBits/4/float64(rate), 1)) // four times the rate
		end, now := int64(1), int64(1)
		for n := 0; n < 1e6 && now < seconds*1e9; n++ {
			if b.take(now, size) {
				passed += size
				end = now
			}
			now += step
		}
		want := float64(rate)/8*float64(end)/1e9 + float64(esp.Burst(rate))
		if rate < 1<<62 && (passed > want+size || passed < want-2*size) {
			t.Errorf("at %d bit/s %.0f octets passed, want %.0f", rate, passed, want)
		}
		if !b.take(now+3600*1e9, 1<<16-1) {
			t.Errorf("at %d bit/s the largest packet never passes", rate)
		}
	}
	if newBucket(0) != nil {
		t.Error("no limit has a bucket")
	}
}

// TestBucketIsShared: goroutines together get no more than one would.
func TestBucketIsShared(t *testing.T) {
	b := newBucket(8e6)
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range int64(2000) {
				if b.take(i*1e5, 1000) {
					passed.Add(1000)
				}
			}
		})
	}
	wg.Wait()
	// The clocks of the goroutines drift apart by what each has done, so the
	// latest of them bounds what passes.
	if most := int64(2000*1e5/1e3 + esp.Burst(8e6)); passed.Load() > most || passed.Load() < int64(esp.Burst(8e6))-1000 {
		t.Errorf("%d octets passed, at most %d may", passed.Load(), most)
	}
}

func limitsOf(t testing.TB, up, down uint64, rules ...string) *esp.Limits {
	t.Helper()
	f, err := auth.ParseFilter(rules)
	if err != nil {
		t.Fatal(err)
	}
	return &esp.Limits{Filter: f, RateUp: up, RateDown: down}
}

// limited has one Child SA of a session, and counts what passes.
type limited struct {
	t      *testing.T
	tn     *Tunnel
	send   func(inner []byte)
	child  esp.Child
	peer   func([]byte) []byte
	before esp.Usage
	drops  Drops
}

func newLimited(t *testing.T) *limited {
	tn, device, local := overLoopback(t, Config{}, 1)
	drain(t, device)
	l := &limited{t: t, tn: tn, child: manyChildren(0)}
	l.child.Session = "s"
	l.child.Path = esp.Path{Local: local, Remote: local, Encap: true}
	l.peer = peerOf(t, l.child)
	l.send = func(inner []byte) { device.Outbound <- inner }
	return l
}

// in and out offer a packet of the peer, or to it.
func (l *limited) in(to netip.Addr, size int) {
	sealed := l.peer(ipPacket(l.child.Remote[0].Start, to, 17, make([]byte, size)))
	l.tn.HandleESP([]transport.ESPDatagram{{Data: sealed, Local: l.child.Path.Local, Remote: l.child.Path.Remote, Encap: true}})
}

func (l *limited) out(from netip.Addr, size int) {
	l.send(ipPacket(from, l.child.Remote[0].Start, 17, make([]byte, size)))
}

// want compares what has passed and what was dropped, and why, since the last
// call.
func (l *limited) want(when string, in, out uint64, dropped map[Reason]uint64) {
	l.t.Helper()
	l.send([]byte{0}) // is taken, and dropped, once all before it went their way
	l.send([]byte{0})
	us, err := l.tn.Usage(l.t.Context(), []esp.ChildID{l.child.ID})
	if err != nil || len(us) != 1 {
		l.t.Fatal(us, err)
	}
	u, d := us[0], l.tn.Drops()
	if u.PacketsIn-l.before.PacketsIn != in || u.PacketsOut-l.before.PacketsOut != out {
		l.t.Errorf("%s: %d and %d packets passed, want %d and %d", when, u.PacketsIn-l.before.PacketsIn, u.PacketsOut-l.before.PacketsOut, in, out)
	}
	for _, r := range []Reason{InFilter, InRate, OutFilter, OutRate} {
		if n := d[r] - l.drops[r]; n != dropped[r] {
			l.t.Errorf("%s: %d dropped as %v, want %d", when, n, r, dropped[r])
		}
	}
	l.before, l.drops = u, d
}

// TestLimits: from before the first Child SA, through a rekey, changed and
// lifted while there are some.
func TestLimits(t *testing.T) {
	l := newLimited(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := netip.MustParseAddr("198.51.100.9")
	both := func() {
		for _, a := range []netip.Addr{here4, elsewhere} {
			l.in(a, 100)
			l.out(a, 100)
		}
	}
	ctx := t.Context()
	must(l.tn.Limit(ctx, "s", nil, limitsOf(t, 0, 0, "permit in ip from any to "+here4.String(), "permit out ip from "+here4.String()+" to any")))
	must(l.tn.Install(ctx, l.child))
	both()
	l.want("installed", 1, 1, map[Reason]uint64{InFilter: 1, OutFilter: 1})

	next := l.child
	next.ID, next.In.SPI, next.Out.SPI, next.Sending = 2, 0x777, 0x778, esp.SendAtOnce
	must(l.tn.Rekey(ctx, l.child.ID, next))
	must(l.tn.Remove(ctx, l.child.ID))
	l.in(elsewhere, 100) // on the old one, which still receives
	former := l.peer
	l.child, l.peer, l.before = next, peerOf(t, next), esp.Usage{}
	both()
	l.want("rekeyed", 1, 1, map[Reason]uint64{InFilter: 2, OutFilter: 1})

	must(l.tn.Limit(ctx, "s", nil, limitsOf(t, 0, 0, "deny in ip from any to any")))
	both()
	l.peer = former
	l.in(here4, 100)
	l.peer = peerOf(t, next)
	l.want("changed", 0, 2, map[Reason]uint64{InFilter: 3})

	must(l.tn.Unlimit(ctx, "another"))
	must(l.tn.Unlimit(ctx, "s"))
	l.in(here4, 100)
	l.out(elsewhere, 100)
	l.want("lifted", 0, 1, nil) // the peer's numbers begin anew: replayed
}

// TestRates: each direction has its own, shared by the session's Child SAs, and
// a change of the one does not forgive what the other owes.
func TestRates(t *testing.T) {
	l := newLimited(t)
	ctx := t.Context()
	second := manyChildren(1)
	second.Session = "s"
	for _, c := range []esp.Child{l.child, second} {
		if err := l.tn.Install(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.tn.Limit(ctx, "s", nil, limitsOf(t, 1, 1)); err != nil { // a burst, then nothing for days
		t.Fatal(err)
	}
	const size = 1000 // of packets
	fits := esp.Burst(1) / size
	for range fits {
		l.in(here4, size-20)
		l.out(here4, size-20)
	}
	l.want("a burst", fits, fits, nil)
	l.in(here4, size)
	l.out(here4, size)
	l.want("beyond", 0, 0, map[Reason]uint64{InRate: 1, OutRate: 1})
	if err := l.tn.Limit(ctx, "s", nil, limitsOf(t, 1, 2)); err != nil {
		t.Fatal(err)
	}
	l.in(here4, size)
	l.out(here4, size)
	l.want("one changed", 0, 1, map[Reason]uint64{InRate: 1})
	if err := l.tn.Unlimit(ctx, "s"); err != nil {
		t.Fatal(err)
	}
	l.in(here4, size)
	l.out(here4, size)
	l.want("lifted", 1, 1, nil)
}

// TestLimitsAllocateNothing looks at what stands in every packet's way.
func TestLimitsAllocateNothing(t *testing.T) {
	tn, _ := inMemory(t, Config{})
	defer tn.Close()
	if err := tn.Limit(t.Context(), "s", nil, limitsOf(t, 1e9, 1e9, "permit in ip from any to any", "permit out ip from any to any")); err != nil {
		t.Fatal(err)
	}
	held := tn.limits["s"]
	p := ipPacket(here4, here4, 17, make([]byte, 1000))
	now := int64(0)
	if n := testing.AllocsPerRun(100, func() {
		now += 1e6
		if _, ok := held.admitIn(p, now); !ok {
			t.Fatal("not admitted")
		}
		if _, ok := held.admitOut(p, now); !ok {
			t.Fatal("not admitted")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
