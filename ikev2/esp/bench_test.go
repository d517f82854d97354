package esp

import (
	"fmt"
	"runtime"
	"testing"
	"unsafe"
)

func benchEach(b *testing.B, f func(b *testing.B, s testSuite, inner []byte)) {
	for _, s := range testSuites() {
		for _, n := range []int{64, 1420} {
			b.Run(fmt.Sprintf("%s/%d", s.name, n), func(b *testing.B) {
				b.SetBytes(int64(n))
				b.ReportAllocs()
				f(b, s, ipv4Packet(n))
			})
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	benchEach(b, func(b *testing.B, s testSuite, inner []byte) {
		out, _ := pair(b, s.sa())
		buf := make([]byte, 1600)
		copy(buf[64:], inner)
		for b.Loop() {
			if _, err := out.Seal(buf, 64, len(inner), 4); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkOpen includes copying the packet back, since opening is in place,
// and winds the window back so that one packet serves.
func BenchmarkOpen(b *testing.B) {
	benchEach(b, func(b *testing.B, s testSuite, inner []byte) {
		out, in := pair(b, s.sa())
		packet := seal(b, out, inner, 4)
		buf := make([]byte, len(packet))
		for b.Loop() {
			copy(buf, packet)
			in.window.bits[0].Store(0)
			if _, _, err := in.Open(buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkSealParallel(b *testing.B) {
	benchEach(b, func(b *testing.B, s testSuite, inner []byte) {
		out, _ := pair(b, s.sa())
		b.RunParallel(func(pb *testing.PB) {
			buf := make([]byte, 1600)
			copy(buf[64:], inner)
			for pb.Next() {
				if _, err := out.Seal(buf, 64, len(inner), 4); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

func BenchmarkWindow(b *testing.B) {
	b.Run("ascending", func(b *testing.B) {
		var w window
		var seq uint64
		b.ReportAllocs()
		for b.Loop() {
			seq++
			if w.check(seq) != nil || w.commit(seq) != nil {
				b.Fatal(seq)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		var w window
		out, _ := pair(b, testSuites()[0].sa())
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				seq := out.used.Add(1)
				_ = w.check(seq)
				_ = w.commit(seq)
			}
		})
	})
}

func BenchmarkPolicy(b *testing.B) {
	p := NewPolicy(everything("192.0.2.1"))
	inner := ipv4Packet(1420)
	b.ReportAllocs()
	for b.Loop() {
		if err := p.In(inner); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMemory reports the heap that one Child SA's pair of SAs holds.
func BenchmarkMemory(b *testing.B) {
	for _, s := range testSuites() {
		b.Run(s.name, func(b *testing.B) {
			const count = 200
			sa := s.sa()
			var before, after runtime.MemStats
			for b.Loop() {
				outs, ins := make([]*Outbound, count), make([]*Inbound, count)
				runtime.GC()
				runtime.ReadMemStats(&before)
				for i := range count {
					outs[i], ins[i] = pair(b, sa)
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				runtime.KeepAlive(outs)
				runtime.KeepAlive(ins)
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/count, "B/child")
			b.ReportMetric(float64(unsafe.Sizeof(Inbound{})), "B/Inbound")
		})
	}
}
