//go:build bench

package compare

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"bridgehead/integration/lab"
)

const (
	streamTime = 5 * time.Second
	streamPort = "5201"
)

// TestTCPThroughput compares one TCP stream through the tunnel, the same
// product in userspace at both ends.
func TestTCPThroughput(t *testing.T) {
	figures := make(map[string][]float64)
	for i := range repeats {
		for _, c := range contenders {
			t.Run(fmt.Sprintf("%s-%d", c.name, i), func(t *testing.T) {
				s := newScene(t)
				c.start(s, x25519)
				if c.name == "charon" {
					s.connectCharon(x25519)
				} else {
					s.connectBridgehead(x25519)
				}
				figures[c.name] = append(figures[c.name], s.stream())
			})
		}
	}
	row("one TCP stream, userspace ESP at both ends, aes128gcm16", "Gbit/s", figures["bridgehead"], figures["charon"], "3.0 or more")
}

// connectBridgehead joins the client's machine by "bridgehead connect".
func (s *scene) connectBridgehead(alg suites) {
	s.t.Helper()
	cmd := s.client.Command(bridgeheadBinary(s.t), "connect", gatewayAddress, "--user", user,
		"--server-name", gatewayName, "--ca", s.rootFile, "--ike", alg.ike, "--esp", alg.esp)
	cmd.Stdin = strings.NewReader(password + "\n")
	p := s.client.StartCommand(5*time.Second, cmd)
	lab.Eventually(s.t, 10*time.Second, "connect to reach the inside", func() bool {
		select {
		case <-p.Exited():
			s.t.Fatalf("connect ended:\n%s", p.Log())
		default:
		}
		return s.reaches()
	})
}

// connectCharon joins the client's machine by strongSwan with kernel-libipsec.
func (s *scene) connectCharon(alg suites) {
	s.t.Helper()
	charon := s.client.StartCharon(lab.CharonConfig{
		Connections: fmt.Sprintf(`connections { home {
  version = 2
  remote_addrs = %s
  vips = 0.0.0.0
  proposals = %s
  local { auth = eap-mschapv2
          eap_id = %s
          id = %s }
  remote { auth = pubkey
           id = %s }
  children { net { remote_ts = 10.99.0.0/24
                   esp_proposals = %s } }
} }
secrets { eap-1 { id = %s
  secret = %q } }
`, gatewayAddress, alg.ike, user, user, gatewayName, alg.esp, user, password),
		Authorities: map[string]*lab.Certificate{"root.pem": s.root},
	})
	charon.Swanctl("--initiate", "--child", "net")
	lab.Eventually(s.t, 10*time.Second, "charon to reach the inside", s.reaches)
}

func (s *scene) reaches() bool {
	_, err := s.client.Try("ping", "-c", "1", "-W", "1", insideAddress)
	return err == nil
}

// stream sends for streamTime from the client to the inside and gives Gbit/s.
func (s *scene) stream() float64 {
	s.t.Helper()
	address := net.JoinHostPort(insideAddress, streamPort)
	var listener net.Listener
	var sender net.Conn
	var err error
	s.gateway.Do(func() { listener, err = net.Listen("tcp", address) })
	if err != nil {
		s.t.Fatal(err)
	}
	defer listener.Close()
	received := make(chan int64, 1)
	go func() { // ends with the connection
		conn, err := listener.Accept()
		if err != nil {
			received <- 0
			return
		}
		defer conn.Close()
		n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{conn}, make([]byte, 256<<10))
		received <- n
	}()
	s.client.Do(func() { sender, err = net.DialTimeout("tcp", address, 5*time.Second) })
	if err != nil {
		s.t.Fatal(err)
	}
	began := time.Now()
	if err := sender.SetDeadline(began.Add(streamTime)); err != nil {
		s.t.Fatal(err)
	}
	block := make([]byte, 256<<10)
	for time.Since(began) < streamTime {
		if _, err := sender.Write(block); err != nil {
			break // the deadline
		}
	}
	sender.Close()
	n := <-received
	return float64(n) * 8 / time.Since(began).Seconds() / 1e9
}
