package radius_test

import (
	"context"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"layeh.com/radius/rfc2866"

	"bridgehead/auth"
	"bridgehead/integration/lab"
	"bridgehead/radius"
	"bridgehead/radius/accounting"
)

// spool keeps account at the scene's FreeRADIUS until the test's end.
func (s *scene) spool(path string, server radius.ServerConfig) *accounting.Spool {
	s.t.Helper()
	g, err := radius.NewGroup("all", []radius.ServerConfig{server}, radius.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	spool, err := accounting.Open(accounting.Config{
		Path: path, Sender: g, NAS: accounting.NAS{Identifier: "vpn.example.org", Authentic: rfc2866.AcctAuthentic_Value_RADIUS},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- spool.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
		if err := spool.Close(); err != nil {
			s.t.Error(err)
		}
		g.Close()
	})
	return spool
}

func aSession(id string) auth.Session {
	return auth.Session{
		ID: id, User: "alice@example.org", Class: [][]byte{[]byte("first"), []byte("second")},
		Addresses: []netip.Addr{netip.MustParseAddr("10.99.0.7"), netip.MustParseAddr("2001:db8:99::7")},
		Local:     netip.MustParseAddrPort("192.0.2.1:4500"), Remote: netip.MustParseAddrPort("198.51.100.9:61000"),
		Client: "windows", Suite: "aes256-sha256-modp2048", Began: time.Now(),
	}
}

// A session's records arrive in the database, over UDP to a port of their own
// and over TLS by the connection of everything else.
func TestAccountingArrives(t *testing.T) {
	s := newScene(t, "mschapv2")
	udp := s.config()
	udp.Accounting = s.radius.AccountingAddress()
	gateway := s.authority.NewClient(lab.ECDSA256, "gateway.example.org")
	for name, server := range map[string]radius.ServerConfig{"0123456789abcdef": udp, "fedcba9876543210": s.tls(gateway)} {
		spool := s.spool(filepath.Join(t.TempDir(), "accounting.db"), server)
		session := aSession(name)
		if err := spool.Start(t.Context(), session); err != nil {
			t.Fatal(err)
		}
		end := auth.End{Cause: "idle-timeout", Time: session.Began.Add(90 * time.Second)}
		if err := spool.Stop(t.Context(), name, auth.Totals{BytesIn: 5<<32 + 7, BytesOut: 9, PacketsIn: 3, PacketsOut: 2}, end); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if err := spool.Shut(ctx); err != nil || ctx.Err() != nil {
			t.Errorf("the rest: %v, %v", err, ctx.Err())
		}
		cancel()
		got := s.radius.Records(`SELECT kind, user, nas, port, framed_ip, framed_ipv6, bytes_in, bytes_out, packets_in, packets_out, lasted, cause, class, copies FROM records WHERE session = '` + name + `' ORDER BY number`)
		port := map[string]string{"0123456789abcdef": "162254319", "fedcba9876543210": "1985229328"}[name]
		who := "alice@example.org|vpn.example.org|" + port + "|10.99.0.7|2001:db8:99::7|"
		want := []string{
			"Start|" + who + "0|0|0|0|0||0x6669727374=2C0x7365636f6e64|0",
			"Stop|" + who + "21474836487|9|3|2|90|Idle-Timeout|0x6669727374=2C0x7365636f6e64|0",
		}
		compareRows(t, got, want)
	}
	compareRows(t, s.radius.Records(`SELECT kind, nas FROM records WHERE user = '' ORDER BY kind`), []string{
		"Accounting-Off|vpn.example.org", "Accounting-Off|vpn.example.org", "Accounting-On|vpn.example.org", "Accounting-On|vpn.example.org",
	})
}
