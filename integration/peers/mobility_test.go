package peers

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/initiator"
	"bridgehead/integration/lab"
)

// endlessPing is a ping every 10 ms.
type endlessPing struct {
	t       *testing.T
	process *lab.Process
}

func (c *client) endless(t *testing.T, host string) endlessPing {
	t.Helper()
	p := endlessPing{t, c.Start(time.Second, "ping", "-n", "-D", "-i", "0.01", host)}
	return p
}

var answered = regexp.MustCompile(`\[([\d.]+)\] .* icmp_seq=(\d+) `)

// end gives how many were sent up to the last one answered, and those of them
// that were lost, each with when the one before was answered: those after the
// last may be on their way.
func (p endlessPing) end() (sent int, lost []string) {
	p.t.Helper()
	if err := p.process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	<-p.process.Exited()
	at := map[int]string{}
	for _, m := range answered.FindAllStringSubmatch(p.process.Log(), -1) {
		n, _ := strconv.Atoi(m[2])
		at[n] = m[1]
		sent = max(sent, n)
	}
	for n := 1; n < sent; n++ {
		if at[n] == "" {
			lost = append(lost, fmt.Sprintf("%d after %s", n, at[n-1]))
		}
	}
	return sent, lost
}

// whereLost is what the kernel counts of packets at the gateway and the client.
func (s *site) whereLost(c *client) string {
	var all strings.Builder
	for _, n := range []*lab.Namespace{s.gateway, c.Namespace} {
		out, err := n.Try("sh", "-c", "cat /proc/net/xfrm_stat; nstat -az | awk '$2 != 0'; ip -s link")
		fmt.Fprintf(&all, "%s: %v\n%s", n.Name, err, out)
	}
	return all.String()
}

// losesNothing pings both hosts inside 100 times at 10 ms.
func (c *client) losesNothing(t *testing.T, when string) {
	t.Helper()
	for _, host := range []string{behind4, behind6} {
		out, err := c.Try("ping", "-q", "-i", "0.01", "-c", "100", "-W", "20", host)
		if err != nil || !strings.Contains(out, " 100 received") {
			t.Errorf("%s: ping %s: %v\n%s", when, host, err, out)
		}
	}
}

// newMobileSite is a site on a segment, whose gateway tells all its addresses
// to its clients, announces them, and runs a program that notes its calls in
// the file whose path is given.
func newMobileSite(t *testing.T) (s *site, calls string) {
	t.Helper()
	s = newSegment(t)
	calls = filepath.Join(s.dir, "calls")
	script := filepath.Join(s.dir, "updown")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho $PLUTO_VERB >>"+calls+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.configure(t, "mobile.toml", fmt.Sprintf("[server]\nlisten = [%q, %q]\n[addresses]\nannounce = \"eth0\"\n[hooks]\nupdown = %q\n",
		s.outside.IPv4, s.outside.IPv6, script))
	s.serve(t, "", segmentPool4, segmentPool6)
	return s, calls
}

// called are the calls of the program so far.
func called(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Fields(string(b))
}

// at waits until the gateway has its only client at an address.
func (s *site) at(t *testing.T, want netip.Addr) session {
	t.Helper()
	var in session
	lab.Eventually(t, lab.Patience, fmt.Sprintf("the client's session at %s", want), func() bool {
		in = s.oneSession(t)
		return strings.HasPrefix(in.Peer, net.JoinHostPort(want.String(), ""))
	})
	return in
}

// home is a NAT between a client and the internet.
type home struct {
	*lab.Namespace
	outer lab.Uplink
}

// newHome makes one that gives each flow a port at random.
func (s *site) newHome(t *testing.T, c *client) home {
	t.Helper()
	h := home{Namespace: s.Namespace("nat")}
	h.outer = s.internet.Join(h.Namespace)
	h.Forward()
	h.Rules(fmt.Sprintf("table ip nat {\nchain postrouting {\ntype nat hook postrouting priority srcnat\noifname %q meta l4proto udp masquerade to :30000-39999 random\n}\n}\n", h.outer.Link))
	s.Link(h.Namespace, []string{"192.168.9.1/24"}, c.Namespace, []string{"192.168.9.2/24"})
	return h
}

// forget has the NAT lose all mappings, as it does when its line goes down.
func (h home) forget(s *site) {
	h.Run("ip", "link", "set", h.outer.Link, "down")
	h.Run("ip", "link", "set", h.outer.Link, "up")
	h.Run("ip", "route", "add", "default", "via", s.internetSide(h.outer))
}

// internetSide is the router's address on a machine's uplink.
func (s *site) internetSide(u lab.Uplink) string {
	a := u.IPv4.As4()
	a[3] = 1
	return netip.AddrFrom4(a).String()
}

// TestStrongSwanMovesThroughTheWorld has Debian's strongSwan lose its address
// and find another: of the same network, of the other family, behind a NAT;
// then the NAT forgets its mapping. The session stays what it is, rekeys work
// after each move, and nothing is taken from or given to the host.
func TestStrongSwanMovesThroughTheWorld(t *testing.T) {
	t.Parallel()
	s, calls := newMobileSite(t)
	c := s.newClient(t, "client")
	s.swanctl(t, c, connection{server: s.outside.IPv4.String(), more: "mobike = yes"}.String())
	h := s.newHome(t, c)
	c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
	first := s.at(t, c.uplink.IPv4)
	c.losesNothing(t, "after the login")
	proxies, ups := s.proxies(), called(t, calls)
	if len(proxies) != 2 || len(ups) != 2 {
		t.Fatalf("proxies %q, program called %q", proxies, ups)
	}
	next := c.uplink.IPv4.Next()
	steps := []struct {
		name string
		at   netip.Addr
		go_  func()
	}{
		{"another IPv4 address", next, func() {
			c.Run("ip", "addr", "flush", "dev", c.uplink.Link, "scope", "global")
			c.AddAddress(c.uplink.Link, next.String()+"/24")
			c.Run("ip", "route", "add", "default", "via", s.internetSide(c.uplink))
		}},
		{"IPv6", c.uplink.IPv6, func() {
			c.Run("ip", "-4", "addr", "flush", "dev", c.uplink.Link)
			c.AddAddress(c.uplink.Link, c.uplink.IPv6.String()+"/64")
			c.Run("ip", "-6", "route", "replace", "default", "via", netip.AddrFrom16(routerOf(c.uplink.IPv6)).String())
		}},
		{"behind a NAT", h.outer.IPv4, func() {
			c.Run("ip", "-6", "addr", "flush", "dev", c.uplink.Link, "scope", "global")
			c.Run("ip", "route", "add", "default", "via", "192.168.9.1")
		}},
		{"another mapping of the NAT", h.outer.IPv4, func() { h.forget(s) }},
		{"IPv4 again", c.uplink.IPv4, func() {
			c.Run("ip", "route", "del", "default")
			c.AddAddress(c.uplink.Link, c.uplink.IPv4.String()+"/24")
			c.Run("ip", "route", "add", "default", "via", s.internetSide(c.uplink))
			c.Run("ip", "addr", "del", "192.168.9.2/24", "dev", c.link("192.168.9.2"))
		}},
	}
	for n, step := range steps {
		ping := c.endless(t, behind4)
		before := s.oneSession(t)
		step.go_()
		lab.Eventually(t, lab.Patience, step.name+": the gateway's word that the client moved", func() bool {
			return s.moves(t) == n+1
		})
		in := s.at(t, step.at)
		_, lost := ping.end()
		t.Logf("%s: %d packets of a 10 ms ping lost from the loss of the address on", step.name, len(lost))
		c.losesNothing(t, step.name)
		c.rekey(t, "child", "home")
		c.rekey(t, "ike", "home")
		c.losesNothing(t, step.name+", and rekeys")
		if in.ID != first.ID || !slices.Equal(in.Addresses, first.Addresses) || in.Peer == before.Peer ||
			in.BytesIn < before.BytesIn || in.BytesOut < before.BytesOut {
			t.Errorf("%s: session %+v, was %+v", step.name, in, before)
		}
		if now := s.oneSession(t); now.Peer != in.Peer || now.ID != in.ID {
			t.Errorf("%s: after rekeys %+v, was %+v", step.name, now, in)
		}
		if now := s.proxies(); !slices.Equal(now, proxies) {
			t.Errorf("%s: proxies %q, were %q", step.name, now, proxies)
		}
		if now := called(t, calls); len(now) != len(ups) {
			t.Errorf("%s: the program was called with %q", step.name, now[len(ups):])
		}
	}
	c.charon.Swanctl("--terminate", "--ike", "home")
	s.nobodyIn(t)
	s.sameProxies(t, "after the logout")
	if left := s.why(t); len(left) > 0 {
		t.Errorf("refusals without any reason: %+v", left)
	}
}

func routerOf(a netip.Addr) [16]byte {
	b := a.As16()
	b[15] = 1
	return b
}

// link is the interface that has an address.
func (c *client) link(addr string) string {
	return strings.Fields(c.Run("ip", "-o", "addr", "show", "to", addr))[1]
}

// moves counts the moves that the gateway tells of.
func (s *site) moves(t *testing.T) int {
	t.Helper()
	n := 0
	for _, e := range s.events(t) {
		if e.Kind == "moved" {
			n++
		}
	}
	return n
}

// TestMovesLoseNoPacket has our own client, with userspace ESP, change between
// addresses that both work all the time: of a ping every 10 ms not one packet
// is lost.
func TestMovesLoseNoPacket(t *testing.T) {
	t.Parallel()
	s, _ := newMobileSite(t)
	c := s.newClient(t, "client")
	second := c.uplink.IPv4.Next()
	c.AddAddress(c.uplink.Link, second.String()+"/24")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	up, ended := make(chan initiator.Interface, 1), make(chan error, 1)
	go c.Do(func() {
		ended <- initiator.Connect(ctx, initiator.ConnectConfig{
			Config: initiator.Config{
				Server: s.outside.IPv4.String(), ServerName: gatewayName, Roots: s.root.Pool(), User: user, Password: auth.Secret(password), MOBIKE: true,
			},
			Device: "tun0",
			Up: func(i initiator.Interface) (func() error, error) {
				up <- i
				return nil, nil
			},
		})
	})
	var i initiator.Interface
	select {
	case i = <-up:
	case err := <-ended:
		t.Fatal(err)
	}
	c.Run("ip", "link", "set", i.Device, "mtu", strconv.Itoa(i.MTU), "up")
	for _, p := range i.Addresses {
		c.AddAddress(i.Device, netip.PrefixFrom(p.Addr(), p.Addr().BitLen()).String())
	}
	c.Run("ip", "route", "add", "10.99.0.0/24", "dev", i.Device)
	c.Run("ip", "-6", "route", "add", "fd00:99::/64", "dev", i.Device)
	c.losesNothing(t, "after the login")
	v4, v6 := c.endless(t, behind4), c.endless(t, behind6)
	for n, to := range []netip.Addr{second, c.uplink.IPv6, c.uplink.IPv4, c.uplink.IPv6, second, c.uplink.IPv4} {
		if err := i.Session.Move(ctx, to, netip.Addr{}); err != nil {
			t.Fatalf("move %d to %s: %v", n+1, to, err)
		}
		s.at(t, to)
		c.Run("ping", "-q", "-i", "0.01", "-c", "30", behind6) // time for the packets that are counted
		if err := i.Session.RekeyChild(ctx, n%2 == 0); err != nil {
			t.Errorf("rekey after move %d: %v", n+1, err)
		}
		if err := i.Session.RekeyIKE(ctx); err != nil {
			t.Errorf("rekey of the IKE SA after move %d: %v", n+1, err)
		}
	}
	lab.Eventually(t, lab.Patience, "six moves", func() bool { return s.moves(t) == 6 })
	for _, p := range []endlessPing{v4, v6} {
		sent, lost := p.end()
		t.Logf("%d packets sent, %d lost", sent, len(lost))
		if len(lost) != 0 || sent < 100 {
			t.Errorf("of %d packets these were lost: %q\n%s", sent, lost, s.whereLost(c))
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	s.nobodyIn(t)
}
