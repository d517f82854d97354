package tunnel

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"golang.zx2c4.com/wireguard/tun"
	"golang.zx2c4.com/wireguard/tun/tuntest"
	"pgregory.net/rapid"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
)

func TestTableBehavesAsMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		got, want := newTable[uint32, int](), map[uint32]*int{}
		key := rapid.Uint32Range(0, 200)
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				k, v := key.Draw(t, "key"), rapid.Int().Draw(t, "value")
				got.set(k, &v)
				want[k] = &v
			},
			"remove": func(t *rapid.T) {
				k := key.Draw(t, "key")
				got.remove(k)
				delete(want, k)
			},
			"": func(t *rapid.T) {
				if got.count != len(want) {
					t.Fatalf("count %d, want %d", got.count, len(want))
				}
				for k := range uint32(201) {
					if got.get(k) != want[k] {
						t.Fatalf("key %d: %v, want %v", k, got.get(k), want[k])
					}
				}
			},
		})
	})
}

// TestTableReadersNeverMissWhatStays: while others come and go, and the table
// grows, readers always find the entries that stay.
func TestTableReadersNeverMissWhatStays(t *testing.T) {
	const staying = 64
	tab := newTable[uint32, uint32]()
	for k := range uint32(staying) {
		tab.set(k, &k)
	}
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for k := uint32(0); !stop.Load(); k = (k + 1) % staying {
				if v := tab.get(k); v == nil || *v != k {
					t.Errorf("key %d: %v", k, v)
					return
				}
			}
		})
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		k := staying + r.Uint32N(4096)
		if r.IntN(2) == 0 {
			tab.set(k, &k)
		} else {
			tab.remove(k)
		}
	}
	stop.Store(true)
	readers.Wait()
}

func selector(start, end string, ports ...uint16) message.Selector {
	s := message.Selector{Start: netip.MustParseAddr(start), End: netip.MustParseAddr(end), EndPort: 65535}
	if len(ports) == 2 {
		s.Protocol, s.StartPort, s.EndPort = protocolTCP, ports[0], ports[1]
	}
	return s
}

func TestRoutesPreferNarrowestThenNewest(t *testing.T) {
	any4 := []message.Selector{selector("0.0.0.0", "255.255.255.255")}
	r := newRoutes()
	add := func(id esp.ChildID, remote ...message.Selector) *child {
		c := &esp.Child{ID: id, Local: any4, Remote: remote}
		n := &child{id: id, policy: esp.NewPolicy(c), remote: rangesOf(remote)}
		n.sending.Store(true)
		r.add(n)
		return n
	}
	all := add(1, any4...)
	net := add(2, selector("10.2.0.0", "10.2.255.255"))
	host := add(3, selector("10.2.0.2", "10.2.0.2"))
	web := add(4, selector("10.2.0.3", "10.2.0.3", 443, 443))
	newer := add(5, selector("10.2.0.0", "10.2.255.255"))
	check := func(to string, protocol uint8, want *child, reason Reason) {
		t.Helper()
		b := ipPacket(here4, netip.MustParseAddr(to), protocol, make([]byte, 20))
		if protocol == protocolTCP {
			b = tcpPacket(here4, netip.MustParseAddr(to), 0, nil) // to port 443
		}
		p, _ := parsePacket(b)
		if got, why := r.find(&p, 0); got != want || got == nil && why != reason {
			t.Errorf("%s protocol %d: %+v (%s)", to, protocol, got, why)
		}
	}
	check("10.2.0.2", 17, host, 0)
	check("10.2.0.3", protocolTCP, web, 0)
	check("10.2.0.3", 17, newer, 0) // not the web Child SA's
	check("10.2.9.9", 17, newer, 0)
	check("192.0.2.9", 17, all, 0)
	r.remove(newer)
	check("10.2.9.9", 17, net, 0)
	r.remove(net)
	r.remove(all)
	check("192.0.2.9", 17, nil, OutNoRoute)
	check("10.2.0.3", 17, nil, OutSelector)
	r.remove(host)
	check("10.2.0.2", 17, nil, OutNoRoute)
	r.remove(web)
	if len(*r.wide.Load()) != 0 || r.hosts.count != 0 {
		t.Errorf("left behind: %d wide, %d hosts", len(*r.wide.Load()), r.hosts.count)
	}
}

// inMemory is a Tunnel whose device is a pair of channels.
func inMemory(tb testing.TB, c Config) (*Tunnel, *tuntest.ChannelTUN) {
	tb.Helper()
	device := tuntest.NewChannelTUN()
	c.Devices = []tun.Device{device.TUN()}
	tn, err := Open(c)
	if err != nil {
		tb.Fatal(err)
	}
	return tn, device
}

// manyChildren is the i-th of many road warriors.
func manyChildren(i int) esp.Child {
	n := uint32(i + 1)
	client := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
	return esp.Child{
		ID: esp.ChildID(n), In: sa("aes128gcm16", 0x10000+n), Out: sa("aes128gcm16", 0x20000+n),
		Path:   esp.Path{Local: netip.MustParseAddrPort("192.0.2.1:4500"), Remote: netip.MustParseAddrPort("198.51.100.1:4500"), Encap: true},
		Local:  []message.Selector{selector("0.0.0.0", "255.255.255.255")},
		Remote: selectors(client),
	}
}

// TestInstallCostDoesNotGrow counts what installing allocates: the last
// thousand of 5,000 Child SAs as much as the second.
func TestInstallCostDoesNotGrow(t *testing.T) {
	tn, _ := inMemory(t, Config{})
	defer tn.Close()
	installed := 0
	thousand := func() float64 {
		return testing.AllocsPerRun(1, func() {
			for range 500 { // AllocsPerRun runs this twice
				if err := tn.Install(context.Background(), manyChildren(installed)); err != nil {
					t.Fatal(err)
				}
				installed++
			}
		})
	}
	var costs []float64
	for installed < 5000 {
		costs = append(costs, thousand())
	}
	t.Logf("allocations for 500 Child SAs, by thousands installed: %.0f", costs)
	if first, last := costs[1], costs[len(costs)-1]; last > 2*first {
		t.Errorf("500 installs took %.0f allocations at first and %.0f at last", first, last)
	}
	for i := range installed {
		if err := tn.Remove(context.Background(), esp.ChildID(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	if tn.spis.count != 0 || tn.routes.hosts.count != 0 || len(tn.children) != 0 {
		t.Errorf("left behind: %d SPIs, %d routes, %d children", tn.spis.count, tn.routes.hosts.count, len(tn.children))
	}
}
