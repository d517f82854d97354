package ikev2

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/lease"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// largeWorld has room for many clients and a wire that takes no time.
func largeWorld(b testing.TB, ike, esp string) *world {
	b.Helper()
	w := newWorld(b, 1, func(c *Config) {
		r, err := lease.ParseRange("10.0.0.0/8")
		if err != nil {
			b.Fatal(err)
		}
		if c.Leases, err = lease.NewPools([]lease.PoolConfig{{Name: "main", Ranges: []lease.Range{r}}}, lease.NewMemory()); err != nil {
			b.Fatal(err)
		}
		if c.IKE, err = suite.ParseProposals(message.ProtocolIKE, ike); err != nil {
			b.Fatal(err)
		}
		if c.ESP, err = suite.ParseProposals(message.ProtocolESP, esp); err != nil {
			b.Fatal(err)
		}
		c.Limits.HalfOpenPerAddress = -1
	})
	w.wire.delay = 0
	return w
}

// addressed gives the n-th client an address of its own.
func (d *device) addressed(n int) *device {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 0x0b000000+uint32(n))
	d.addr = netip.AddrFrom4(a)
	return d
}

// BenchmarkLogin is a whole login and logout in memory, the gateway's and the
// client's part together and the gateway's alone.
func BenchmarkLogin(b *testing.B) {
	for _, s := range []struct{ name, ike, esp string }{
		{"aes128gcm16-prfsha256-x25519", "aes128gcm16-prfsha256-x25519", "aes128gcm16-noesn"},
		{"aes256-sha256-modp2048", "aes256-sha256-modp2048", "aes256-sha256-noesn"},
	} {
		b.Run(s.name, func(b *testing.B) {
			w := largeWorld(b, s.ike, s.esp)
			// The gateway's part is timed by what runs between its doors.
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n++
				w.clients = w.clients[:0]
				d := w.newDevice(nil).addressed(n).mustLogin()
				if err := d.command(initiator.Delete{}); err != nil {
					b.Fatal(err)
				}
				w.events = w.events[:0]
			}
			b.ReportMetric(float64(w.gatewayTime.Nanoseconds())/float64(n), "gateway-ns/op")
		})
	}
}

// BenchmarkEstablishedMemory reports the heap that one session keeps after
// its login, shard and leases included, data plane not.
func BenchmarkEstablishedMemory(b *testing.B) {
	const sessions = 2000
	for b.Loop() {
		w := largeWorld(b, "aes256-sha256-x25519", "aes256-sha256-noesn")
		w.plane = newFakePlane()
		before := heapInUse()
		for n := range sessions {
			w.clients = w.clients[:0]
			w.newDevice(func(c *initiator.Config) { c.Identity = fqdn(string(rune('a'+n%26)) + "dev.example.org") }).addressed(n).mustLogin()
			w.events = w.events[:0]
		}
		w.clients = nil
		w.run(2*time.Minute, nil)
		b.ReportMetric(float64(heapInUse()-before)/sessions, "B/session")
		if got := len(w.gateway.sessions()); got != sessions {
			b.Fatalf("%d sessions", got)
		}
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
