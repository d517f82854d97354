package accounting

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2869"

	"bridgehead/auth"
)

// envVictim has the test binary be a spool that is killed: the folder of its
// file and of its server's socket.
const envVictim = "ACCOUNTING_VICTIM"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envVictim); dir != "" {
		victim(dir)
	}
	os.Exit(m.Run())
}

// victim begins and ends sessions as fast as it can, and says so once it was
// promised that they are safe, until it is killed.
func victim(dir string) {
	spool, err := Open(Config{
		Path: filepath.Join(dir, "accounting.db"), Sender: overSocket(filepath.Join(dir, "server.sock")), NAS: testNAS,
	})
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	go spool.Run(context.Background()) // ends with the process
	var saying sync.Mutex
	say := func(what, id string) {
		saying.Lock()
		defer saying.Unlock()
		fmt.Println(what, id)
	}
	for worker := range 8 {
		go func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%d-%d-%d", os.Getpid(), worker, n)
				if err := spool.Start(context.Background(), session(id)); err != nil {
					say("failed", err.Error())
					return
				}
				say("up", id)
				time.Sleep(time.Duration(rand.Int64N(int64(10 * time.Millisecond))))
				if err := spool.Stop(context.Background(), id, auth.Totals{BytesIn: 5}, auth.End{Cause: "client-disconnected", Time: time.Now()}); err != nil {
					say("failed", err.Error())
					return
				}
				say("ended", id)
			}
		}()
	}
	select {}
}

// overSocket sends records over a socket to the test.
type overSocket string

func (o overSocket) Account(_ context.Context, attrs codec.Attributes) error {
	conn, err := net.Dial("unix", string(o))
	if err != nil {
		return err
	}
	defer conn.Close()
	p := codec.Packet{Code: codec.CodeAccountingRequest, Attributes: attrs}
	b, err := p.MarshalBinary()
	if err != nil {
		return err
	}
	if _, err := conn.Write(b); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}

func (o overSocket) Answering() bool { return true }

// takeFrom answers what comes over a socket, into the server's memory. Some
// answers are lost.
func (s *server) takeFrom(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var taking sync.WaitGroup
	taking.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			taking.Go(func() {
				defer conn.Close()
				b := make([]byte, 4096)
				n, err := conn.Read(b)
				if err != nil || n < 20 {
					return
				}
				attrs, err := codec.ParseAttributes(b[20:n])
				if err != nil {
					t.Error(err)
					return
				}
				s.set(func(s *server) { s.seen = append(s.seen, attrs) })
				if rand.IntN(20) > 0 {
					_, _ = conn.Write([]byte{1}) // it may be dead by now
				}
			})
		}
	})
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		taking.Wait()
	})
}

// What Start and Stop have promised arrives, whenever the process is killed;
// what comes twice is the same record again.
func TestKilledAtAnyPoint(t *testing.T) {
	const kills = 40
	dir := t.TempDir()
	r := new(server)
	r.takeFrom(t, filepath.Join(dir, "server.sock"))
	promised := map[string]string{}
	for n := range kills {
		cmd := exec.Command(os.Args[0], "-test.run", "^$")
		cmd.Env = append(os.Environ(), envVictim+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// While it begins, or in the middle of its work, however fast it works.
		dying := time.AfterFunc(time.Hour, func() { _ = cmd.Process.Kill() })
		left := 20 + rand.IntN(10)
		if n%2 == 0 {
			left = -1
			dying.Reset(time.Duration(rand.Int64N(int64(100 * time.Millisecond))))
		}
		for lines := bufio.NewScanner(out); lines.Scan(); {
			what, id, _ := strings.Cut(lines.Text(), " ")
			if what == "failed" {
				t.Fatalf("the victim: %s", id)
			}
			if _, known := promised[id]; !known {
				if left--; left == 0 {
					dying.Reset(time.Duration(rand.Int64N(int64(5 * time.Millisecond))))
				}
			}
			promised[id] = what
		}
		_ = cmd.Wait() // it was killed
		dying.Stop()
	}
	drain(t, filepath.Join(dir, "accounting.db"), r)
	type one struct {
		kind kind
		id   string
	}
	first, at, again := map[one]int{}, map[one]uint32{}, 0
	for i, a := range r.seen {
		o := one{kindOf(a), idOf(a)}
		stamp := number(t, a, rfc2869.EventTimestamp_Type)
		if _, twice := first[o]; !twice {
			first[o], at[o] = i, stamp
		} else if again++; at[o] != stamp {
			t.Errorf("two different records %v of %s", o.kind, o.id)
		}
	}
	ended := 0
	for id, what := range promised {
		start, began := first[one{kindStart, id}]
		stop, stopped := first[one{kindStop, id}]
		if !began || !stopped || start > stop {
			t.Errorf("%s was promised to be %s: Start %v (%d), Stop %v (%d)", id, what, began, start, stopped, stop)
		}
		if what == "ended" {
			ended++
		}
	}
	for o := range first {
		if _, began := first[one{kindStart, o.id}]; o.kind == kindStop && !began {
			t.Errorf("%s has a Stop and no Start", o.id)
		}
	}
	if len(promised) < 10*kills {
		t.Errorf("only %d sessions were begun", len(promised))
	}
	t.Logf("%d kills, %d sessions promised, %d of them ended by themselves; %d records came, %d of them again", kills, len(promised), ended, len(r.seen), again)
}

// drain sends the rest of a spool.
func drain(t *testing.T, path string, to *server) {
	t.Helper()
	s, err := Open(Config{Path: path, Sender: to, NAS: testNAS})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	if err := s.Shut(ctx); err != nil || ctx.Err() != nil {
		t.Errorf("%v, %v", err, ctx.Err())
	}
	cancel()
	running.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// BenchmarkStart is how long one session waits for the disk, and how many a
// second are begun, with so many at once sharing the transactions.
func BenchmarkStart(b *testing.B) {
	for _, at := range []int{1, 32, 512} {
		b.Run(fmt.Sprintf("%d at once", at), func(b *testing.B) {
			s, err := Open(Config{Path: filepath.Join(b.TempDir(), "accounting.db"), Sender: new(server), NAS: testNAS, Limit: 1 << 40})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetParallelism(at / 2) // of two processors
			var n struct {
				sync.Mutex
				count int
			}
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					n.Lock()
					n.count++
					id := fmt.Sprint(n.count)
					n.Unlock()
					if err := s.Start(b.Context(), session(id)); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.StopTimer()
			if err := s.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}

// BenchmarkMemory is what a session that is up takes in memory.
func BenchmarkMemory(b *testing.B) {
	const sessions = 10000
	for b.Loop() {
		s, err := Open(Config{Path: filepath.Join(b.TempDir(), "accounting.db"), Sender: new(server), NAS: testNAS})
		if err != nil {
			b.Fatal(err)
		}
		heap := func() int64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		before := heap()
		var starting sync.WaitGroup
		for n := range sessions {
			starting.Go(func() {
				if err := s.Start(b.Context(), session(fmt.Sprint(n))); err != nil {
					b.Error(err)
				}
			})
		}
		starting.Wait()
		b.ReportMetric(float64(heap()-before)/sessions, "B/session")
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	}
}
