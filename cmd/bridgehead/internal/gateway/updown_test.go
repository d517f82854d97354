package gateway

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/ikev2"
	"bridgehead/ikev2/hostnet"
)

// The site's program hears of begins and of ends, whatever ends a session, and
// of nothing between: neither rekeys nor moves.
func TestScriptHearsOfBeginsAndEnds(t *testing.T) {
	dir := t.TempDir()
	out, program := filepath.Join(dir, "out"), filepath.Join(dir, "updown")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$PLUTO_VERB ${PLUTO_PEER_CLIENT%/*} from $PLUTO_PEER\" >>"+out+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	script, err := hostnet.OpenScript(hostnet.ScriptConfig{
		Command: []string{program}, Journal: filepath.Join(dir, "journal"), Connection: connectionName, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- script.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	v := &visits{script: script, config: new(atomic.Pointer[config.Config])}
	v.config.Store(config.Default())
	var want []string
	for _, cause := range []ikev2.Cause{
		ikev2.CauseClientDisconnected, ikev2.CauseLostCarrier, ikev2.CauseOperator, ikev2.CauseSessionTimeout, ikev2.CauseIdleTimeout,
		ikev2.CauseShutdown, ikev2.CauseReplaced, ikev2.CauseSuperseded, ikev2.CausePacketsExhausted, ikev2.CauseReturnRoutability,
	} {
		i := ikev2.SessionInfo{
			ID: string(cause), Local: netip.MustParseAddrPort("127.0.0.1:4500"), Remote: netip.MustParseAddrPort("198.51.100.7:4500"),
			IPv4: netip.MustParseAddr("192.0.2.1"), IPv6: netip.MustParseAddr("2001:db8::1"),
		}
		tell := func(k ikev2.EventKind) { v.event(ikev2.SessionEvent{Kind: k, Session: i, Cause: cause}) }
		tell(ikev2.EventRefused)
		tell(ikev2.EventSilent)
		tell(ikev2.EventUp)
		drain(t, script)
		i.Remote = netip.MustParseAddrPort("203.0.113.9:61000")
		tell(ikev2.EventMoved)
		tell(ikev2.EventRekeyed)
		tell(ikev2.EventDown)
		drain(t, script)
		for _, verb := range []string{"up", "down"} {
			want = append(want, verb+"-client 192.0.2.1 from 198.51.100.7\n", verb+"-client-v6 2001:db8::1 from 198.51.100.7\n")
		}
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if lines := slices.Collect(strings.Lines(string(got))); !slices.Equal(lines, want) {
		t.Errorf("it heard %q, want %q", lines, want)
	}
}

func drain(t *testing.T, s *hostnet.Script) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.Drain(ctx); err != nil {
		t.Fatal(err)
	}
}
