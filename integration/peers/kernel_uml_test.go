//go:build uml

package peers

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
	"bridgehead/integration/lab"
)

// kernelPlane is the configuration of kernel ESP.
const kernelPlane = "[dataplane]\nkind = \"kernel\"\n"

// Where clients come from that are behind a NAT.
const public, otherPublic = "198.18.0.2", "198.18.0.3"

// newKernelSite is a site with a gateway that runs and has ESP in its kernel.
func newKernelSite(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	s.serve(t, kernelPlane)
	return s
}

// newKernelClient is a client with strongSwan and ESP in its kernel.
func (s *site) newKernelClient(t *testing.T, server string) *client {
	t.Helper()
	c := s.newClient(t, "client")
	c.kernelESP = true
	s.swanctl(t, c, connection{server: server}.String())
	return c
}

func (c *client) initiate() { c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60") }

// translate has the internet show a client by another address. User-mode Linux
// has no nftables, so it is one address for one, which is NAT enough.
func (s *site) translate(c *client, to string) {
	link, from := c.uplink.RouterLink, c.uplink.IPv4.String()
	_, _ = s.internet.Try("tc", "qdisc", "del", "dev", link, "clsact") // there is none at first
	s.internet.Run("tc", "qdisc", "add", "dev", link, "clsact")
	for _, rule := range []string{
		"ingress protocol ip prio 1 u32 match ip src " + from + "/32 action nat egress " + from + "/32 " + to,
		"egress protocol ip prio 1 u32 match ip dst " + to + "/32 action nat ingress " + to + "/32 " + from,
	} {
		s.internet.Run("tc", append([]string{"filter", "add", "dev", link}, strings.Fields(rule)...)...)
	}
	s.internet.Run("ip", "route", "replace", to+"/32", "via", from, "dev", link)
}

var counted = regexp.MustCompile(`(\d+) packets transmitted, (\d+) received`)

// losesNoPing pings both hosts a hundred times a second while work is done.
func (c *client) losesNoPing(t *testing.T, work func()) {
	t.Helper()
	var pings []*lab.Process
	for _, host := range []string{behind4, behind6} {
		pings = append(pings, c.Start(time.Second, "ping", "-n", "-i", "0.01", "-c", "500", "-W", "20", host))
	}
	work()
	for _, p := range pings {
		select {
		case <-p.Exited():
			t.Error("a ping ended before the work did")
		default:
		}
	}
	for _, p := range pings {
		p.Code(t, lab.Patience)
		if n := counted.FindStringSubmatch(p.Log()); n == nil || n[1] != n[2] {
			t.Errorf("lost packets:\n%s", p.Log()[max(0, len(p.Log())-300):])
		}
	}
}

// TestKernelGateway: strongSwan and the gateway, both with ESP in their
// kernels, over all kinds of paths.
func TestKernelGateway(t *testing.T) {
	t.Parallel()
	s := newKernelSite(t)
	if log := s.process.Log(); strings.Count(log, `"data plane","kind":"kernel"`) != 1 {
		t.Errorf("the log does not tell the data plane once:\n%s", log)
	}
	c := s.newClient(t, "client")
	c.kernelESP = true
	v4, v6 := s.outside.IPv4.String(), s.outside.IPv6.String()
	s.swanctl(t, c, connection{name: "four", server: v4}.String(), connection{name: "six", server: v6, esp: "aes256-sha256"}.String())
	for _, test := range []struct {
		name, connection string
		nat              bool
	}{{"IPv4", "four", false}, {"IPv6", "six", false}, {"IPv4 behind a NAT", "four", true}} {
		t.Run(test.name, func(t *testing.T) {
			if test.nat {
				s.translate(c, public)
			}
			c.charon.Swanctl("--initiate", "--child", test.connection, "--timeout", "60")
			in := s.oneSession(t)
			c.reaches(t, "after the login", in.Addresses)
			states := s.gateway.Run("ip", "xfrm", "state")
			if encap := strings.Contains(states, "espinudp"); encap != test.nat || strings.Count(states, "proto esp") != 2 {
				t.Errorf("the kernel has\n%s", states)
			}
			c.losesNoPing(t, func() {
				c.rekey(t, "child", test.connection)
				c.rekey(t, "ike", test.connection)
			})
			c.reaches(t, "after the rekeys", in.Addresses)
			if again := s.oneSession(t); again.BytesIn < 1000*64 || again.BytesOut < 1000*64 {
				t.Errorf("session %+v after a thousand pings", again)
			}
			c.charon.Swanctl("--terminate", "--ike", test.connection)
			s.nobodyIn(t)
			s.nothingPasses(t, in.Addresses)
		})
	}
	interrupt(t, s.process)
	if left := s.gateway.Run("ip", "xfrm", "state") + s.gateway.Run("ip", "xfrm", "policy"); left != "" {
		t.Errorf("at the end the kernel has\n%s", left)
	}
}

// nothingPasses checks that nothing is left of a session, and that packets to
// its addresses stay inside even where the routes would let them out.
func (s *site) nothingPasses(t *testing.T, addresses []string) {
	t.Helper()
	if left := s.gateway.Run("ip", "xfrm", "state"); left != "" {
		t.Errorf("after the logout the kernel has\n%s", left)
	}
	policies := s.gateway.Run("ip", "xfrm", "policy")
	if n := strings.Count(policies, "action block"); n != 6 || strings.Count(policies, "src ")-strings.Count(policies, "tmpl src ") != n {
		t.Errorf("of policies for two pools alone the kernel has\n%s", policies)
	}
	for i, a := range addresses {
		pool := []string{pool4, pool6}[i]
		s.gateway.Run("ip", "route", "del", pool)
		blocked := s.statistic(t, "XfrmOutPolBlock")
		if out, err := s.inside.Try("ping", "-c", "1", "-W", "1", a); err == nil {
			t.Errorf("%s answered:\n%s", a, out)
		}
		if now := s.statistic(t, "XfrmOutPolBlock"); now <= blocked {
			t.Errorf("a packet to %s was not blocked", a)
		}
		s.gateway.Run("ip", "route", "add", pool, "dev", "bridgehead0")
	}
}

// statistic reads one of the gateway's /proc/net/xfrm_stat.
func (s *site) statistic(t *testing.T, name string) (n int) {
	t.Helper()
	text := s.gateway.Run("cat", "/proc/net/xfrm_stat")
	_, rest, _ := strings.Cut(text, name)
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatalf("%s: %v in\n%s", name, err, text)
	}
	return n
}

// TestKernelGatewayWithOurOwnClient, whose ESP is in userspace: in UDP over
// IPv4, by itself over IPv6.
func TestKernelGatewayWithOurOwnClient(t *testing.T) {
	t.Parallel()
	s := newKernelSite(t)
	c := s.newClient(t, "client")
	for _, server := range []string{s.outside.IPv4.String(), s.outside.IPv6.String()} {
		t.Run(server, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			up, ended := make(chan initiator.Interface, 1), make(chan error, 1)
			go c.Do(func() {
				ended <- initiator.Connect(ctx, initiator.ConnectConfig{
					Config: initiator.Config{
						Server: server, ServerName: gatewayName, Roots: s.root.Pool(), User: user, Password: auth.Secret(password),
						IKE: proposals(message.ProtocolIKE, "aes256-sha256-modp2048"), ESP: proposals(message.ProtocolESP, "chacha20poly1305"),
					},
					Up: func(i initiator.Interface) (func() error, error) {
						err := route(c.Namespace, i)
						up <- i
						return func() error { return nil }, err
					},
				})
			})
			var i initiator.Interface
			select {
			case i = <-up:
			case err := <-ended:
				t.Fatal(err)
			}
			in := s.oneSession(t)
			c.reaches(t, "after the login", in.Addresses)
			c.losesNoPing(t, func() {
				for _, rekey := range []func() error{
					func() error { return i.Session.RekeyChild(ctx, false) },
					func() error { return i.Session.RekeyIKE(ctx) },
					func() error { return i.Session.RekeyChild(ctx, true) },
				} {
					if err := rekey(); err != nil {
						t.Error(err)
					}
				}
			})
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			s.nobodyIn(t)
			s.nothingPasses(t, in.Addresses)
		})
	}
}

// TestKernelGatewayCrash: the next one removes what a killed one left, says so,
// and leaves alone what is another program's.
func TestKernelGatewayCrash(t *testing.T) {
	t.Parallel()
	s := newKernelSite(t)
	s.gateway.Run("ip", strings.Fields("xfrm state add src 203.0.113.1 dst 203.0.113.2 proto esp spi 0x1001 reqid 7 mode tunnel aead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f10111213 128")...)
	foreign := s.gateway.Run("ip", "xfrm", "state")
	c := s.newKernelClient(t, s.outside.IPv4.String())
	c.initiate()
	s.oneSession(t)
	if err := s.process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.process.Code(t, lab.Patience)
	if left := strings.Count(s.gateway.Run("ip", "xfrm", "state"), "proto esp"); left != 3 {
		t.Errorf("the crash left %d states", left)
	}
	s.serve(t, kernelPlane)
	// Two states, six policies of the Child SA, six of the pools.
	if log := s.process.Log(); !strings.Contains(log, "undone after a crash: 14 states and policies of kernel ESP removed") {
		t.Errorf("the log does not tell what was left:\n%s", log)
	}
	if left := s.gateway.Run("ip", "xfrm", "state"); left != foreign {
		t.Errorf("after the restart the kernel has\n%s\nwant\n%s", left, foreign)
	}
	_, _ = c.charon.TrySwanctl("--terminate", "--ike", "home", "--force", "--timeout", "1") // nobody answers for it
	c.initiate()
	c.reaches(t, "after the restart", s.oneSession(t).Addresses)
	interrupt(t, s.process)
	if left := s.gateway.Run("ip", "xfrm", "state"); left != foreign {
		t.Errorf("at the end the kernel has\n%s\nwant\n%s", left, foreign)
	}
}

// TestKernelGatewayMends what another program breaks, within a minute, and says
// so. A policy is put back; a Child SA without its state is of no use, and its
// client hears so at once.
func TestKernelGatewayMends(t *testing.T) {
	t.Parallel()
	s := newKernelSite(t)
	c := s.newKernelClient(t, s.outside.IPv4.String())
	c.initiate()
	in := s.oneSession(t)
	s.gateway.Run("ip", "xfrm", "policy", "delete", "src", "10.99.0.0/24", "dst", in.Addresses[0]+"/32", "dir", "out")
	const said = "kernel ESP was not as it should be"
	lab.Eventually(t, 90*time.Second, "the policy's return", func() bool { return strings.Contains(s.process.Log(), said) })
	c.reaches(t, "after the policy's return", in.Addresses)
	s.gateway.Run("ip", "xfrm", "state", "flush")
	lab.Eventually(t, 90*time.Second, "the session's end", func() bool { return s.status(t).Sessions == 0 })
	if log := s.process.Log(); strings.Count(log, said) != 2 || !strings.Contains(log, "1 child SAs lost") {
		t.Errorf("the log does not tell what was mended and lost:\n%s", log)
	}
	lab.Eventually(t, lab.Patience, "the client's knowledge of it", func() bool {
		return !strings.Contains(c.charon.Swanctl("--list-sas"), "ESTABLISHED")
	})
}

// TestKernelGatewayIsAuto: the kernel that can is used without being named, and
// clients announced on a segment are its neighbours as ever.
func TestKernelGatewayIsAuto(t *testing.T) {
	t.Parallel()
	s := newSegment(t)
	s.configure(t, "announce.toml", "[addresses]\nannounce = \"eth0\"\n")
	s.serve(t, "", segmentPool4, segmentPool6)
	if got := s.asked(t, "status"); !strings.Contains(got, "kernel ESP, bridgehead0 holding the routes") {
		t.Errorf("status:\n%s", got)
	}
	if got := bridgehead(t, s.gateway, "", "check", "--config", s.dir+"/bridgehead.toml"); !strings.Contains(got.out, "traffic: kernel ESP: the kernel has ESP over IPv4, ESP over IPv6, ") {
		t.Errorf("check: %s", got)
	}
	c := s.newKernelClient(t, s.outside.IPv6.String())
	c.initiate()
	addresses := s.oneSession(t).Addresses
	s.sameProxies(t, "after the login", addresses...)
	s.reachesBothWays(t, c, addresses)
	c.charon.Swanctl("--terminate", "--ike", "home")
	s.nobodyIn(t)
	s.sameProxies(t, "after the logout")
	interrupt(t, s.process)
	if left := s.gateway.Run("ip", "xfrm", "state") + s.gateway.Run("ip", "xfrm", "policy"); left != "" {
		t.Errorf("at the end the kernel has\n%s", left)
	}
}

// TestKernelGatewayTakesNoESPForIKE: what comes to the sockets beside IKE is
// counted or the kernel's to drop, and nothing else suffers.
func TestKernelGatewayTakesNoESPForIKE(t *testing.T) {
	t.Parallel()
	s := newKernelSite(t)
	c := s.newKernelClient(t, s.outside.IPv4.String())
	dropped := s.statistic(t, "XfrmInNoStates")
	for _, server := range []string{s.outside.IPv4.String(), s.outside.IPv6.String()} {
		var conn net.Conn
		var err error
		c.Do(func() { conn, err = net.Dial("udp", net.JoinHostPort(server, "4500")) })
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for _, b := range [][]byte{
			{1}, {0xff}, {1, 2, 3, 4, 5, 6}, bytes.Repeat([]byte{0xc0}, 100), {0, 0, 0, 0}, {0, 0, 0, 0, 1}, make([]byte, 200),
		} {
			if _, err := conn.Write(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.initiate()
	c.reaches(t, "after all that", s.oneSession(t).Addresses)
	if n := s.statistic(t, "XfrmInNoStates") - dropped; n != 2 {
		t.Errorf("%d ESP packets of unknown SPI, want one by IPv4 and one by IPv6", n)
	}
	metrics := s.asked(t, "metrics")
	for _, want := range []string{
		`bridgehead_packets_dropped_total{layer="socket",reason="runt_esp"} 4`,
		`bridgehead_packets_dropped_total{layer="socket",reason="runt_ike"} 4`,
		`bridgehead_packets_dropped_total{layer="esp",reason="in_no_states"} `,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in\n%s", want, metrics)
		}
	}
}

// TestKernelGatewayFollowsANAT: a NAT that maps the client anew is followed, by
// what the kernel tells, to where the client then answers from.
func TestKernelGatewayFollowsANAT(t *testing.T) {
	t.Parallel()
	s := newKernelSite(t)
	c := s.newKernelClient(t, s.outside.IPv4.String())
	s.translate(c, public)
	c.initiate()
	in := s.oneSession(t)
	c.reaches(t, "after the login", in.Addresses)
	s.translate(c, otherPublic)
	lab.Eventually(t, lab.Patience, "the gateway's answer at the new address", func() bool {
		_, err := c.Try("ping", "-c", "1", "-W", "1", behind4)
		return err == nil
	})
	if states := s.gateway.Run("ip", "xfrm", "state"); !strings.Contains(states, otherPublic) || strings.Contains(states, public+"\n") {
		t.Errorf("the kernel has\n%s", states)
	}
	c.reaches(t, "after the move", in.Addresses)
}
