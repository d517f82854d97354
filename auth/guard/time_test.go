package guard

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bridgehead/auth"
	"bridgehead/auth/mschapv2"
)

// superiority is the probability that a value of one sample is above one of the
// other (Mann and Whitney's U, divided by the number of pairs): 0.5 where
// nothing tells them apart.
func superiority(a, b []time.Duration) float64 {
	type value struct {
		of bool
		d  time.Duration
	}
	var all []value
	for _, d := range a {
		all = append(all, value{true, d})
	}
	for _, d := range b {
		all = append(all, value{false, d})
	}
	slices.SortFunc(all, func(x, y value) int { return cmp.Compare(x.d, y.d) })
	ranks := 0.0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].d == all[i].d {
			j++
		}
		for _, v := range all[i:j] {
			if v.of {
				ranks += float64(i+j+1) / 2
			}
		}
		i = j
	}
	n := float64(len(a))
	return (ranks - n*(n+1)/2) / (n * float64(len(b)))
}

// A wrong password takes the same time for users who exist and users who do
// not, and with the delay also for those who are refused unasked: what these
// save is lost in the chance that is added. The samples are taken in turn, so
// that what else the machine does falls on all alike; the bound is wide, and
// far from what a lookup left out would show: a difference of one standard
// deviation gives 0.76.
func TestTimeTellsNoUser(t *testing.T) {
	const n = 3000
	limits := Settings{PerUser: 1 << 20, Window: time.Hour}
	free := New(limits)
	limits.PerAddress = 1
	full := New(limits)
	full.admit(start, hostile, "")
	users := []string{"alice", "nobdy", "alice"}
	for range 10 { // the delay is the longest by now
		free.admit(start, home, "alice")
		free.admit(start, home, "nobdy")
	}
	var work, seen [3][]time.Duration // without and with the delay
	backends := []auth.Backend{before(free, store{}), before(free, store{}), before(full, store{})}
	for i := range n {
		for k := range users {
			k = (k + i) % len(users)
			began := time.Now()
			steps := guesser(t, backends[k], from(hostile), users[k])
			took := time.Since(began)
			work[k] = append(work[k], took)
			for _, s := range steps {
				took += s.Delay
			}
			seen[k] = append(seen[k], took)
		}
	}
	for what, p := range map[string]float64{
		"known against unknown, the gateway's work": superiority(work[0], work[1]),
		"known against unknown, with the delay":     superiority(seen[0], seen[1]),
		"judged against refused, with the delay":    superiority(seen[0], seen[2]),
	} {
		t.Logf("%s: probability of being slower %.3f in %d conversations each", what, p, n)
		if p < 0.35 || p > 0.65 {
			t.Errorf("%s: %.3f, expected about 0.5", what, p)
		}
	}
}

// Whatever strangers do and whenever, who is known at a place is judged there.
func TestKnownPlacesAreNeverShutOutFromElsewhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := New(Settings{
			PerAddress: rapid.IntRange(1, 5).Draw(t, "per address"), PerUser: rapid.IntRange(1, 5).Draw(t, "per user"),
			Total: rapid.IntRange(1, 50).Draw(t, "total"), Window: time.Minute,
		})
		now := start
		g.login(now, home, "alice")
		for range rapid.IntRange(0, 300).Draw(t, "guesses") {
			now = now.Add(time.Duration(rapid.Int64Range(-int64(time.Minute), int64(time.Minute)).Draw(t, "later")))
			from := netip.AddrFrom4([4]byte{10, 0, 0, byte(rapid.IntRange(0, 9).Draw(t, "host"))})
			guess(g, now, from, rapid.SampledFrom([]string{"alice", "bob", "", "ALICE@x"}).Draw(t, "user"))
		}
		if _, cause := g.admit(now, home, "alice"); cause != "" {
			t.Fatalf("refused: %s", cause)
		}
	})
}

// BenchmarkGoodLogin is an EAP conversation of a user whose password is right,
// with and without the guard, and while somebody guesses at 1,000 a second.
func BenchmarkGoodLogin(b *testing.B) {
	attack := func(many bool) func(i int) netip.Addr {
		return func(i int) netip.Addr {
			a := [16]byte{0x20, 1, 0xd, 0xb8}
			binary.BigEndian.PutUint64(a[8:], uint64(i))
			if many {
				binary.BigEndian.PutUint16(a[6:], uint16(i%1000))
			}
			return netip.AddrFrom16(a)
		}
	}
	for _, c := range []struct {
		name    string
		guarded bool
		from    func(i int) netip.Addr
	}{
		{"unguarded", false, nil}, {"guarded", true, nil},
		{"one prefix guesses", true, attack(false)}, {"1000 prefixes guess", true, attack(true)},
	} {
		b.Run(c.name, func(b *testing.B) {
			backend := mschapv2.NewBackend(mschapv2.NewHashVerifier(store{}), mschapv2.Options{})
			if c.guarded {
				backend = New(Defaults()).Wrap(backend, time.Now, rand.Reader)
			}
			login(b, backend, from(home), "alice", "sesame")
			stop, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				tick := time.NewTicker(10 * time.Millisecond)
				defer tick.Stop()
				for i := 0; c.from != nil; {
					select {
					case <-stop:
						return
					case <-tick.C:
					}
					for range 10 {
						login(b, backend, from(c.from(i)), fmt.Sprintf("user%d", i%50), "guess")
						i++
					}
				}
			}()
			b.ReportAllocs()
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if s := login(b, backend, from(home), "alice", "sesame"); s.Verdict != auth.Accept {
					b.Fatalf("%+v", s)
				}
				took = append(took, time.Since(began))
			}
			close(stop)
			<-done
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}
