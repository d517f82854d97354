package peers

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc3576"

	"bridgehead/integration/lab"
)

// originator is a FreeRADIUS that ends, at the gateway, each session that it
// gets an Accounting-Request about.
const originator = `prefix = /usr
libdir = /usr/lib/freeradius
name = originator
raddbdir = $ENV{LAB_DIR}
confdir = $ENV{LAB_DIR}
run_dir = $ENV{LAB_DIR}
logdir = $ENV{LAB_DIR}
db_dir = $ENV{LAB_DIR}
pidfile = $ENV{LAB_DIR}/pid
max_requests = 256
log {
	destination = stdout
}
security {
	max_attributes = 200
}
thread pool {
	start_servers = 1
	max_servers = 2
	min_spare_servers = 1
	max_spare_servers = 1
	max_requests_per_server = 0
}
client here {
	ipaddr = 127.0.0.1
	secret = asks
	coa_server = gateway
}
home_server gateway {
	type = coa
	ipaddr = 10.99.0.254
	port = 3799
	secret = "$ENV{LAB_SECRET}"
	coa {
		irt = 2
		mrt = 16
		mrc = 3
		mrd = 10
	}
}
modules {
	always ok {
		rcode = ok
	}
}
server here {
	listen {
		type = acct
		ipaddr = 127.0.0.1
		port = 1813
	}
	preacct {
		ok
	}
	accounting {
		update disconnect {
			&Acct-Session-Id := "%{Acct-Session-Id}"
			&Event-Timestamp := "%l"
			&Message-Authenticator := 0x00
		}
		ok
	}
}
`

// TestFreeRADIUSDisconnects has a RADIUS server itself end a session.
func TestFreeRADIUSDisconnects(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := os.WriteFile(filepath.Join(s.dir, "dae.secret"), []byte(daeSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.serve(t, daeSections)
	dir := s.Dir("originator")
	if err := os.WriteFile(filepath.Join(dir, "radiusd.conf"), []byte(originator), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := s.inside.Command("freeradius", "-f", "-xx", "-l", "stdout", "-d", dir, "-n", "radiusd")
	cmd.Env = append(os.Environ(), "LAB_DIR="+dir, "LAB_SECRET="+daeSecret)
	server := s.inside.StartCommand(5*time.Second, cmd)
	lab.Eventually(t, lab.Patience, "FreeRADIUS to serve", func() bool { return strings.Contains(server.Log(), "Ready to process requests") })

	c := s.newClient(t, "client")
	p := connect(t, c.Namespace, t.TempDir(), s.root, s.outside.IPv4.String())
	in := s.oneSession(t)
	ask := s.inside.Command("radclient", "-x", "127.0.0.1:1813", "acct", "asks")
	if got := finish(t, ask, "Acct-Status-Type = Interim-Update\nAcct-Session-Id = "+in.ID+"\n"); got.code != 0 {
		t.Fatal(got)
	}
	lab.Eventually(t, lab.Patience, "FreeRADIUS to have its answer", func() bool { return strings.Contains(server.Log(), "Received Disconnect-ACK") })
	if now := s.status(t); now.Sessions != 0 {
		t.Errorf("after the ACK: %+v", now)
	}
	if code := p.Code(t, lab.Patience); code != 1 {
		t.Errorf("the client ended with %d:\n%s", code, p.Log())
	}
}

// TestDynamicAuthorizationOverTLS has certificates tell who may end a session.
func TestDynamicAuthorizationOverTLS(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	partners, strangers := lab.NewCA(t, "Partners", lab.ECDSA256), lab.NewCA(t, "Strangers", lab.ECDSA256)
	partners.Write(filepath.Join(s.dir, "partners.pem"))
	sections := func(name string) string {
		return fmt.Sprintf(`
[dae.tls]
listen = ["0.0.0.0", "::"]
ca     = "partners.pem"

[dae.clients.inside]
address  = ["%s", "%s"]
tls_name = "%s"
`, behind4, behind6, name)
	}
	s.serve(t, sections("radius.example.org"))
	c := s.newClient(t, "client")
	p := connect(t, c.Namespace, t.TempDir(), s.root, s.outside.IPv4.String())
	in := s.oneSession(t)

	ask := func(host string, certificate *lab.Certificate, id string) (*codec.Packet, error) {
		t.Helper()
		q := codec.New(codec.CodeDisconnectRequest, []byte("radsec"))
		if err := rfc2866.AcctSessionID_SetString(q, id); err != nil {
			t.Fatal(err)
		}
		wire, err := q.Encode()
		if err != nil {
			t.Fatal(err)
		}
		var conn *tls.Conn
		s.inside.Do(func() {
			conn, err = tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", net.JoinHostPort(host, "2083"), &tls.Config{
				RootCAs: s.root.Pool(), ServerName: gatewayName,
				Certificates: []tls.Certificate{{Certificate: [][]byte{certificate.Raw}, PrivateKey: certificate.Key}},
			})
		})
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(wire); err != nil {
			return nil, err
		}
		buf := make([]byte, codec.MaxPacketLength)
		if _, err := io.ReadFull(conn, buf[:20]); err != nil {
			return nil, err
		}
		n := int(buf[2])<<8 | int(buf[3])
		if _, err := io.ReadFull(conn, buf[20:n]); err != nil {
			return nil, err
		}
		if !codec.IsAuthenticResponse(buf[:n], wire, []byte("radsec")) {
			return nil, errors.New("the answer is not authentic")
		}
		return codec.Parse(buf[:n], []byte("radsec"))
	}

	for name, certificate := range map[string]*lab.Certificate{
		"another name":      partners.NewClient(lab.ECDSA256, "other.example.org"),
		"another authority": strangers.NewClient(lab.ECDSA256, "radius.example.org"),
	} {
		if answer, err := ask("10.99.0.254", certificate, in.ID); err == nil {
			t.Errorf("%s: answered %s", name, answer.Code)
		}
	}
	known := partners.NewClient(lab.ECDSA256, "radius.example.org")
	answer, err := ask("fd00:99::fe", known, "nobody's")
	if err != nil {
		t.Fatal(err)
	}
	if answer.Code != codec.CodeDisconnectNAK || rfc3576.ErrorCause_Get(answer) != rfc3576.ErrorCause_Value_SessionContextNotFound {
		t.Errorf("answered %s with %s", answer.Code, rfc3576.ErrorCause_Get(answer))
	}
	s.writeConfig(t, sections("aaa.example.org"))
	s.asked(t, "reload")
	if answer, err := ask("10.99.0.254", known, in.ID); err == nil {
		t.Errorf("answered %s to a name that a reload took out", answer.Code)
	}
	s.writeConfig(t, sections("radius.example.org"))
	s.asked(t, "reload")
	if answer, err = ask("10.99.0.254", known, in.ID); err != nil || answer.Code != codec.CodeDisconnectACK {
		t.Fatalf("answered %v, %v", answer, err)
	}
	if now := s.status(t); now.Sessions != 0 {
		t.Errorf("after the ACK: %+v", now)
	}
	if code := p.Code(t, lab.Patience); code != 1 {
		t.Errorf("the client ended with %d:\n%s", code, p.Log())
	}
}
