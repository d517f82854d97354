package gateway

import (
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"

	"bridgehead/auth"
	"bridgehead/ikev2"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/lease"
	"bridgehead/ikev2/transport"
	"bridgehead/ikev2/tunnel"
)

// scripted is a backend whose only conversation plays steps.
type scripted struct {
	auth.Conversation
	steps []auth.Step
	err   error
}

func (s *scripted) Begin(context.Context, auth.Peer) (auth.Conversation, error) { return s, s.err }
func (s *scripted) Next(context.Context, []byte) (auth.Step, error) {
	step := s.steps[0]
	s.steps = s.steps[1:]
	return step, nil
}

// scraped are lines that TestMetrics must find.
const scraped = `
bridgehead_auth_requests_total{backend="file",result="accepted"} 1
bridgehead_auth_requests_total{backend="file",result="unavailable"} 1
bridgehead_certificate_not_after_seconds{subject=""} 99
bridgehead_child_sas 3
bridgehead_config_last_reload_success_timestamp_seconds 77
bridgehead_config_last_reload_successful 0
bridgehead_half_open_ike_sas 3
bridgehead_handshake_duration_seconds_bucket{result="accepted",le="0.01"} 0
bridgehead_handshake_duration_seconds_bucket{result="accepted",le="0.025"} 1
bridgehead_handshake_duration_seconds_count{result="refused"} 1
bridgehead_handshake_duration_seconds_sum{result="refused"} 2
bridgehead_handshake_duration_seconds_sum{result="silent"} 60
bridgehead_handshakes_total{reason="",result="accepted"} 1
bridgehead_handshakes_total{reason="wrong-password",result="refused"} 1
bridgehead_handshakes_total{reason="left-during-eap",result="silent"} 1
bridgehead_handshakes_total{reason="no-ike-proposal",result="refused"} 1
bridgehead_ike_events_total{event="sent_cookie"} 2
bridgehead_ike_sas{state="established"} 2
bridgehead_packets_dropped_total{layer="esp",reason="in_replayed"} 4
bridgehead_packets_dropped_total{layer="ike",reason="malformed"} 7
bridgehead_packets_dropped_total{layer="socket",reason="kernel"} 5
bridgehead_pool_addresses_in_use{family="IPv4",pool="default"} 2
bridgehead_pool_addresses{family="IPv4",pool="default"} 126
bridgehead_received_bytes_total 0
bridgehead_rekeys_total{kind="child"} 1
bridgehead_rekeys_total{kind="ike"} 1
bridgehead_sent_bytes_total 0
`

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := newMetrics(registry, "v1")
	registry.MustRegister(&collector{sources{
		sessions: func(context.Context) ([]ikev2.SessionInfo, error) {
			return []ikev2.SessionInfo{{Children: []esp.ChildID{1, 2}}, {Children: []esp.ChildID{3}}}, nil
		},
		counters: func() map[string]uint64 {
			return map[string]uint64{ikev2.DropMalformed.String(): 7, ikev2.SentCookie.String(): 2}
		},
		halfOpen: func() int { return 3 },
		pools: func() []lease.PoolUsage {
			return []lease.PoolUsage{{Pool: "default", Family: lease.IPv4, Size: 126, Held: 2}}
		},
		transport:    func() transport.Stats { return transport.Stats{Kernel: 5} },
		drops:        func() map[string]uint64 { return userspaceDrops(tunnel.Drops{tunnel.InReplayed: 4}) },
		carried:      func(context.Context) (in, out uint64) { return 0, 0 },
		certificates: func() []*x509.Certificate { return []*x509.Certificate{{NotAfter: time.Unix(99, 0)}} },
	}})
	m.reloaded(time.Unix(77, 0), nil)
	m.reloaded(time.Unix(88, 0), errors.New("broken"))
	for _, e := range []ikev2.SessionEvent{
		{Kind: ikev2.EventUp, Session: ikev2.SessionInfo{Took: 20 * time.Millisecond}}, {Kind: ikev2.EventDown, Cause: ikev2.CauseOperator},
		{Kind: ikev2.EventRefused, Cause: ikev2.CauseNoIKEProposal}, // by its first message: before any session
		{Kind: ikev2.EventRefused, Time: time.Unix(3, 0), Session: ikev2.SessionInfo{Since: time.Unix(1, 0)}, Cause: auth.CauseWrongPassword},
		{Kind: ikev2.EventRefused, Time: time.Unix(3, 0), Session: ikev2.SessionInfo{Since: time.Unix(1, 0), Took: 1}, Cause: ikev2.CauseNoESPProposal}, // a rekey
		{Kind: ikev2.EventSilent, Time: time.Unix(61, 0), Session: ikev2.SessionInfo{Since: time.Unix(1, 0)}, Cause: ikev2.CauseLeftInEAP},
		{Kind: ikev2.EventRekeyed, Detail: "IKE SA, aes256"}, {Kind: ikev2.EventRekeyed, Detail: "Child SA, aes256"},
	} {
		m.event(e)
	}
	backend := &metered{&scripted{steps: []auth.Step{{}, {Verdict: auth.Accept}}}, "file", m, time.Now}
	c, err := backend.Begin(t.Context(), auth.Peer{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := c.Next(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := (&metered{&scripted{err: errors.New("down")}, "file", m, time.Now}).Begin(t.Context(), auth.Peer{}); err == nil {
		t.Error("the backend's error is lost")
	}

	var got strings.Builder
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&got, f); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.SplitSeq(strings.TrimSpace(scraped), "\n") {
		if !strings.Contains(got.String(), "\n"+line+"\n") {
			t.Errorf("%s is not in\n%s", line, got.String())
		}
	}
	if strings.Contains(got.String(), string(ikev2.CauseNoESPProposal)) {
		t.Error("a refused rekey is counted as a login")
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("names: %v %v", problems, err)
	}
}

func TestMetricsWithoutAnAnswerLeaveAGap(t *testing.T) {
	c := &collector{sources{
		sessions: func(context.Context) ([]ikev2.SessionInfo, error) { return nil, context.DeadlineExceeded },
		counters: func() map[string]uint64 { return nil }, halfOpen: func() int { return 0 },
		pools: func() []lease.PoolUsage { return nil }, transport: func() transport.Stats { return transport.Stats{} },
		drops: func() map[string]uint64 { return nil }, carried: func(context.Context) (in, out uint64) { return 0, 0 }, certificates: func() []*x509.Certificate { return nil },
	}}
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "bridgehead_ike_sas" {
			t.Errorf("%v though the responder is silent", f)
		}
	}
}
