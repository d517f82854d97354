//go:build uml

package xfrm

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"bridgehead/ikev2/esp"
	wire "bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// pair is a gateway and a client, each a Plane in a network namespace. The
// client has two outer addresses of each family.
type pair struct {
	*testing.T
	gateway, client *Plane
}

// Outer paths as the gateway sees them.
func pairPath(v6, encap bool, client int) esp.Path {
	local, remote := "192.0.2.1", fmt.Sprintf("192.0.2.%d", client)
	if v6 {
		local, remote = "2001:db8::1", fmt.Sprintf("2001:db8::%d", client)
	}
	at := func(a string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(a), 4500) }
	return esp.Path{Local: at(local), Remote: at(remote), Encap: encap}
}

func reversedPath(p esp.Path) esp.Path {
	return esp.Path{Local: p.Remote, Remote: p.Local, Encap: p.Encap}
}

func newPair(t *testing.T) *pair {
	t.Helper()
	w := &world{T: t}
	w.ip("netns add gateway")
	t.Cleanup(func() { w.ip("netns del gateway") })
	w.ip("netns add client")
	t.Cleanup(func() { w.ip("netns del client") })
	w.ip("link add outer netns gateway type veth peer name outer netns client")
	for _, end := range []struct{ name, inner, other, outer string }{
		{"gateway", "90", "91", "1"}, {"client", "91", "90", "8 9"},
	} {
		for _, line := range []string{
			"link set lo up", "link set outer up",
			"addr add 10." + end.inner + ".0.1/32 dev lo", "-6 addr add fd" + end.inner + "::1/128 dev lo nodad",
		} {
			w.ip("-n " + end.name + " " + line)
		}
		for _, host := range strings.Fields(end.outer) {
			w.ip("-n " + end.name + " addr add 192.0.2." + host + "/24 dev outer")
			w.ip("-n " + end.name + " -6 addr add 2001:db8::" + host + "/64 dev outer nodad")
		}
		w.ip("-n " + end.name + " route add 10." + end.other + ".0.0/16 dev outer src 10." + end.inner + ".0.1")
		w.ip("-n " + end.name + " -6 route add fd" + end.other + "::/64 dev outer src fd" + end.inner + "::1")
	}
	return &pair{t, openIn(t, "gateway", Config{RekeyGrace: time.Hour}), openIn(t, "client", Config{RekeyGrace: -1})}
}

// openIn opens a Plane in a namespace, with sockets for ESP in UDP.
func openIn(t *testing.T, namespace string, c Config) *Plane {
	t.Helper()
	type opened struct {
		plane *Plane
		err   error
	}
	done := make(chan opened)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		p, err := openInNamespace(t, namespace, c)
		done <- opened{p, err}
	}()
	o := <-done
	must(t, o.err)
	t.Cleanup(func() { must(t, o.plane.Close()) })
	return o.plane
}

func openInNamespace(t *testing.T, namespace string, c Config) (*Plane, error) {
	ns, err := netns.GetFromName(namespace)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	if err := netns.Set(ns); err != nil {
		return nil, err
	}
	for _, network := range []string{"udp4", "udp6"} {
		conn, err := net.ListenUDP(network, &net.UDPAddr{Port: 4500})
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { conn.Close() })
		if err := EnableUDPEncap(conn); err != nil {
			return nil, err
		}
	}
	return Open(c)
}

// child is the id-th Child SA as the gateway has it.
func (p *pair) child(id esp.ChildID, s suite.ESP, path esp.Path) esp.Child {
	sa := func(spi uint32, fill byte) esp.SA {
		key := counting(s.KeyLen() + s.SaltLen())
		key[0], key[1] = fill, byte(id)
		return esp.SA{SPI: spi + uint32(id), Suite: s, EncrKey: key, IntegKey: counting(s.IntegKeyLen())}
	}
	hosts := func(as ...string) (all []wire.Selector) {
		for _, a := range as {
			all = append(all, ports(0, 65535, a, a))
		}
		return all
	}
	return esp.Child{
		ID: id, Session: "pair", In: sa(1<<20, 1), Out: sa(2<<20, 2), Path: path,
		Local: hosts("10.90.0.1", "fd90::1"), Remote: hosts("10.91.0.1", "fd91::1"),
	}
}

// theirs is c as the client has it.
func theirs(c esp.Child) esp.Child {
	c.In, c.Out = c.Out, c.In
	c.Local, c.Remote = c.Remote, c.Local
	c.Path = reversedPath(c.Path)
	return c
}

func (p *pair) install(c esp.Child) {
	p.Helper()
	must(p.T, p.gateway.Install(p.Context(), c))
	must(p.T, p.client.Install(p.Context(), theirs(c)))
}

// ping pings the gateway's inner addresses from the client every 10 ms until
// the channel gives its result.
func (p *pair) ping(count int) <-chan error {
	done := make(chan error, 1)
	go func() {
		results := make(chan error)
		for _, a := range []string{"10.90.0.1", "fd90::1"} {
			go func() {
				out, err := exec.Command("ip", "netns", "exec", "client", "ping", "-q", "-i", "0.01", "-c", fmt.Sprint(count), "-W", "2", a).CombinedOutput()
				if err != nil || !strings.Contains(string(out), " 0% packet loss") {
					err = fmt.Errorf("ping %s: %v\n%s", a, err, out)
				}
				results <- err
			}()
		}
		first, second := <-results, <-results
		if first == nil {
			first = second
		}
		done <- first
	}()
	return done
}

var (
	gcmESN = suite.ESP{Encr: suite.EncrAESGCM16, KeyLength: 256, ESN: true}
	outers = []struct {
		name      string
		v6, encap bool
	}{{"ESP over IPv4", false, false}, {"ESP over IPv6", true, false}, {"UDP over IPv4", false, true}, {"UDP over IPv6", true, true}}
)

// TestEverySuiteBothFamilies carries both inner families in one tunnel, over
// each outer one.
func TestEverySuiteBothFamilies(t *testing.T) {
	for _, outer := range outers {
		for _, s := range []suite.ESP{
			gcmESN, {Encr: suite.EncrChaCha20Poly1305},
			{Encr: suite.EncrAESCBC, KeyLength: 256, Integ: suite.IntegHMACSHA2_256128, ESN: true},
		} {
			t.Run(outer.name+" "+s.String(), func(t *testing.T) {
				p := newPair(t)
				p.install(p.child(1, s, pairPath(outer.v6, outer.encap, 8)))
				must(t, <-p.ping(5))
				u, err := p.gateway.Usage(t.Context(), nil)
				must(t, err)
				const v4, v6 = 5 * (20 + 8 + 56), 5 * (40 + 8 + 56)
				if u[0].PacketsIn != 10 || u[0].PacketsOut != 10 || u[0].BytesIn != v4+v6 || u[0].BytesOut != v4+v6 {
					t.Errorf("10 pings were counted as %+v", u[0])
				}
			})
		}
	}
}

// TestRekeysLoseNothing rekeys without pause while pings run, in the order in
// which IKE does: the gateway as responder first, and the old Child SA goes once
// the gateway sends on the new one.
func TestRekeysLoseNothing(t *testing.T) {
	for _, outer := range outers {
		t.Run(outer.name, func(t *testing.T) {
			p := newPair(t)
			path := pairPath(outer.v6, outer.encap, 8)
			p.install(p.child(1, gcmESN, path))
			pings := p.ping(150)
			for id := esp.ChildID(1); ; id++ {
				next := p.child(id+1, gcmESN, path)
				must(t, p.gateway.Rekey(t.Context(), id, next))
				must(t, p.client.Rekey(t.Context(), id, theirs(next)))
				for sends := false; !sends; {
					select {
					case err := <-pings:
						must(t, err)
						t.Logf("%d rekeys", id)
						if id < 20 {
							t.Errorf("only %d rekeys", id)
						}
						return
					default:
					}
					u, err := p.gateway.Usage(t.Context(), []esp.ChildID{id + 1})
					must(t, err)
					sends = u[0].PacketsOut > 0
				}
				must(t, p.gateway.Remove(t.Context(), id))
				must(t, p.client.Remove(t.Context(), id))
			}
		})
	}
}

// TestMovesLoseNothing moves the gateway's end without pause between two
// addresses of the client, which takes packets at both.
func TestMovesLoseNothing(t *testing.T) {
	for _, outer := range outers {
		t.Run(outer.name, func(t *testing.T) {
			p := newPair(t)
			paths := []esp.Path{pairPath(outer.v6, outer.encap, 8), pairPath(outer.v6, outer.encap, 9)}
			p.install(p.child(1, gcmESN, paths[0]))
			second := p.client.children[1].inbound(reversedPath(paths[1]))
			answers, err := p.client.link.do([]request{newState(second, false)})
			must(t, err)
			must(t, answers[0].err)
			pings := p.ping(150)
			for n := 1; ; n++ {
				select {
				case err := <-pings:
					must(t, err)
					t.Logf("%d moves", n)
					u, err := p.gateway.Usage(t.Context(), nil)
					must(t, err)
					if n < 20 || u[0].PacketsIn != 300 || u[0].PacketsOut != 300 {
						t.Errorf("%d moves; 300 pings were counted as %+v", n, u[0])
					}
					return
				default:
				}
				must(t, p.gateway.Move(t.Context(), 1, paths[n%2]))
			}
		})
	}
}

// TestMovesEverywhere: from each kind of path to each other, with a kernel that
// keeps inbound states and as if with one before 5.17, which must replace them.
func TestMovesEverywhere(t *testing.T) {
	for _, keeps := range []bool{true, false} {
		t.Run(fmt.Sprint("keeps ", keeps), func(t *testing.T) {
			p := newPair(t)
			p.gateway.capabilities.MappingInterval = keeps
			p.client.capabilities.MappingInterval = keeps
			movesEverywhere(p)
		})
	}
}

func movesEverywhere(p *pair) {
	t := p.T
	at := pairPath(false, false, 8)
	p.install(p.child(1, gcmESN, at))
	for _, from := range outers {
		for _, to := range outers {
			for _, path := range []esp.Path{pairPath(from.v6, from.encap, 9), pairPath(to.v6, to.encap, 8)} {
				must(t, p.gateway.Move(t.Context(), 1, path))
				must(t, p.client.Move(t.Context(), 1, reversedPath(path)))
				if err := <-p.ping(2); err != nil {
					t.Fatalf("moved from %v to %v: %v", at, path, err)
				}
				at = path
			}
		}
	}
	for _, plane := range []*Plane{p.gateway, p.client} {
		if r, err := plane.Reconcile(t.Context()); err != nil || r.Removed+r.Restored+len(r.Lost)+r.Foreign != 0 {
			t.Errorf("reconciling: %v, %v", r, err)
		}
	}
}
