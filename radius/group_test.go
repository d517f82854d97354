package radius

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	codec "layeh.com/radius"
)

// newTestGroup is a group of servers in memory, named by their numbers.
func newTestGroup(t *testing.T, change func(i int, c *ServerConfig), wires ...*wire) *Group {
	t.Helper()
	g := &Group{Name: "all", rand: seeded(3)}
	for i, w := range wires {
		g.servers = append(g.servers, newTestServer(t, w, func(c *ServerConfig) {
			c.Name, c.Priority = fmt.Sprint("s", i), i
			if change != nil {
				change(i, c)
			}
		}))
	}
	g.sort()
	return g
}

func TestTheNextServerTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := &wire{answer: silence}, &wire{answer: honest(codec.CodeAccessAccept)}
		g := newTestGroup(t, nil, first, second)
		defer g.Close()
		for i := range 20 {
			began := time.Now()
			s, _, err := g.begin(within(t, 10*time.Second), someone())
			if err != nil || s.Name() != "s1" {
				t.Fatalf("login %d: %v, %v", i, s, err)
			}
			if took := time.Since(began); i == 0 && took > 6*time.Second || i > 0 && took > 0 {
				t.Errorf("login %d took %s", i, took)
			}
			time.Sleep(time.Second)
		}
		if n := len(requests(first.packets(), codec.CodeAccessRequest)); n > 3 {
			t.Errorf("the dead server got %d requests", n)
		}
		first.set(honest(codec.CodeAccessAccept))
		time.Sleep(time.Minute)
		if s, _, err := g.begin(t.Context(), someone()); err != nil || s.Name() != "s0" {
			t.Errorf("after it came back: %v, %v", s, err)
		}
	})
}

func TestWithoutStatusServerOneLoginAnIntervalTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := &wire{answer: silence}, &wire{answer: honest(codec.CodeAccessAccept)}
		g := newTestGroup(t, func(_ int, c *ServerConfig) { c.NoStatusServer = true }, first, second)
		defer g.Close()
		slow := 0
		for range 120 { // 2 minutes
			began := time.Now()
			if _, _, err := g.begin(within(t, 40*time.Second), someone()); err != nil {
				t.Fatal(err)
			}
			if time.Since(began) > 0 {
				slow++
			}
			time.Sleep(time.Second)
		}
		if slow < 3 || slow > 6 {
			t.Errorf("%d of 120 logins waited for the dead server", slow)
		}
		first.set(honest(codec.CodeAccessAccept))
		time.Sleep(31 * time.Second)
		if s, _, err := g.begin(t.Context(), someone()); err != nil || s.Name() != "s0" {
			t.Errorf("after it came back: %v, %v", s, err)
		}
	})
}

func TestAllDeadNamesEachBeforeAndroidLeaves(t *testing.T) {
	for name, known := range map[string]time.Duration{"found out by the login": 0, "known before": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newTestGroup(t, nil, &wire{answer: silence}, &wire{answer: silence})
				defer g.Close()
				time.Sleep(known)
				began := time.Now()
				_, _, err := g.begin(within(t, time.Minute), someone())
				var silent *SilentError
				if took := time.Since(began); !errors.As(err, &silent) || took > lastChance {
					t.Fatalf("after %s: %v", took, err)
				}
				for _, name := range []string{"s0", "s1"} {
					if want := "RADIUS server " + name + " did not answer within"; !contains(err, want) {
						t.Errorf("%q is missing in %v", want, err)
					}
				}
			})
		})
	}
}

func TestWeights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wires := []*wire{{answer: honest(codec.CodeAccessAccept)}, {answer: honest(codec.CodeAccessAccept)}, {answer: honest(codec.CodeAccessAccept)}}
		g := newTestGroup(t, func(i int, c *ServerConfig) { c.Priority, c.Weight = 0, []int{3, 1, 0}[i] }, wires...)
		defer g.Close()
		count := make(map[string]int)
		for range 4000 {
			count[g.pick(nil).Name()]++
		}
		if count["s2"] != 0 || count["s0"] < 2800 || count["s0"] > 3200 {
			t.Errorf("logins by server: %v", count)
		}
	})
}
