package gateway

import (
	"context"
	"crypto/x509"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bridgehead/auth"
	"bridgehead/ikev2"
	"bridgehead/ikev2/lease"
	"bridgehead/ikev2/transport"
)

// sources are where the metrics of a scrape are read.
type sources struct {
	sessions     func(ctx context.Context) ([]ikev2.SessionInfo, error)
	counters     func() map[string]uint64
	halfOpen     func() int
	pools        func() []lease.PoolUsage
	transport    func() transport.Stats
	drops        func() map[string]uint64 // of ESP, by reason
	carried      func(ctx context.Context) (in, out uint64)
	certificates func() []*x509.Certificate
}

// metrics counts what happens and describes what is. All names begin with
// "bridgehead_"; no label holds a name of a user.
type metrics struct {
	handshakes    *prometheus.CounterVec
	handshakeTime *prometheus.HistogramVec
	rekeys        *prometheus.CounterVec
	auth          *prometheus.CounterVec
	authTime      *prometheus.HistogramVec
	breakGlass    prometheus.Counter
	reloadOK      prometheus.Gauge
	reloadTime    prometheus.Gauge
}

const namespace = "bridgehead"

func newMetrics(r prometheus.Registerer, version string) *metrics {
	m := &metrics{
		handshakes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "handshakes_total", Help: "Logins by result, and by cause where they failed.",
		}, []string{"result", "reason"}),
		handshakeTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "handshake_duration_seconds",
			Help:    "Time of logins from the first message to their end, by result; those refused by their first message are left out.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"result"}),
		rekeys: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "rekeys_total", Help: "Security associations replaced, by kind.",
		}, []string{"kind"}),
		auth: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "auth_requests_total", Help: "EAP conversations by backend and outcome.",
		}, []string{"backend", "result"}),
		authTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "auth_duration_seconds", Help: "Time a backend took for one EAP packet.",
			Buckets: []float64{.0001, .001, .01, .1, .5, 1, 2.5, 5, 10},
		}, []string{"backend"}),
		breakGlass: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "auth_break_glass_total", Help: "Logins with accounts that are kept for an outage of the central backends.",
		}),
		reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "config_last_reload_successful", Help: "Whether the last reading of the configuration succeeded.",
		}),
		reloadTime: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "config_last_reload_success_timestamp_seconds", Help: "When the configuration was last read with success.",
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Version of the program; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	r.MustRegister(m.handshakes, m.handshakeTime, m.rekeys, m.auth, m.authTime, m.breakGlass, m.reloadOK, m.reloadTime, build)
	return m
}

// event counts an event of the responder.
func (m *metrics) event(e ikev2.SessionEvent) {
	switch e.Kind {
	case ikev2.EventUp:
		m.handshake("accepted", "", e.Session.Took)
	case ikev2.EventRefused:
		if e.Session.Took > 0 {
			return // what an established session asked for; the IKE engine counts it
		}
		m.handshake("refused", e.Cause, lasted(e))
	case ikev2.EventSilent:
		m.handshake("silent", e.Cause, lasted(e))
	case ikev2.EventRekeyed:
		kind := "child"
		if strings.HasPrefix(e.Detail, "IKE SA") {
			kind = "ike"
		}
		m.rekeys.WithLabelValues(kind).Inc()
	}
}

// lasted is the time of a login that came to nothing; zero for one that ended
// where it began.
func lasted(e ikev2.SessionEvent) time.Duration {
	if e.Session.Since.IsZero() {
		return 0
	}
	return e.Time.Sub(e.Session.Since)
}

// handshake counts a login.
func (m *metrics) handshake(result string, reason ikev2.Cause, took time.Duration) {
	m.handshakes.WithLabelValues(result, string(reason)).Inc()
	if took > 0 {
		m.handshakeTime.WithLabelValues(result).Observe(took.Seconds())
	}
}

// reloaded notes the outcome of reading the configuration.
func (m *metrics) reloaded(now time.Time, err error) {
	if err != nil {
		m.reloadOK.Set(0)
		return
	}
	m.reloadOK.Set(1)
	m.reloadTime.Set(float64(now.Unix()))
}

// collector describes what is at the moment of a scrape.
type collector struct{ sources }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

var (
	descIKESAs      = desc("ike_sas", "IKE security associations by state.", "state")
	descHalfOpen    = desc("half_open_ike_sas", "Logins under way.")
	descChildSAs    = desc("child_sas", "Child security associations.")
	descPool        = desc("pool_addresses", "Addresses a pool can give.", "pool", "family")
	descPoolInUse   = desc("pool_addresses_in_use", "Addresses of a pool that sessions hold.", "pool", "family")
	descReceived    = desc("received_bytes_total", "Octets of users' packets received from clients.")
	descSent        = desc("sent_bytes_total", "Octets of users' packets sent to clients.")
	descDropped     = desc("packets_dropped_total", "Packets dropped by layer and reason.", "layer", "reason")
	descIKE         = desc("ike_events_total", "Events of the IKE engine by name.", "event")
	descCertificate = desc("certificate_not_after_seconds", "When a certificate of the gateway ends, as Unix time.", "subject")
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descIKESAs, descHalfOpen, descChildSAs, descPool, descPoolInUse, descReceived, descSent, descDropped, descIKE, descCertificate,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	c.collectSessions(ctx, gauge)
	gauge(descHalfOpen, float64(c.halfOpen()))
	for event, v := range c.counters() {
		if reason, ok := strings.CutPrefix(event, "drop-"); ok {
			counter(descDropped, v, "ike", label(reason))
		} else {
			counter(descIKE, v, label(event))
		}
	}
	for reason, v := range c.drops() {
		counter(descDropped, v, "esp", reason)
	}
	s := c.transport()
	for reason, v := range map[string]uint64{
		"runt_ike": s.RuntIKE, "runt_esp": s.RuntESP, "reserved_spi": s.ReservedSPI, "truncated": s.Truncated,
		"bad_source": s.BadSource, "kernel": s.Kernel, "send_failed": s.SendFailed, "send_blocked": s.SendBlocked,
	} {
		counter(descDropped, v, "socket", reason)
	}
	for _, p := range c.pools() {
		gauge(descPool, float64(p.Size), p.Pool, p.Family.String())
		gauge(descPoolInUse, float64(p.Held), p.Pool, p.Family.String())
	}
	received, sent := c.carried(ctx)
	counter(descReceived, received)
	counter(descSent, sent)
	for _, x := range c.certificates() {
		gauge(descCertificate, float64(x.NotAfter.Unix()), x.Subject.String())
	}
}

// collectSessions leaves the gauges out where the responder does not answer: a
// gap tells more than a zero.
func (c *collector) collectSessions(ctx context.Context, gauge func(*prometheus.Desc, float64, ...string)) {
	sessions, err := c.sessions(ctx)
	if err != nil {
		return
	}
	children := 0
	for _, s := range sessions {
		children += len(s.Children)
	}
	gauge(descIKESAs, float64(len(sessions)), label(ikev2.StateEstablished.String()))
	gauge(descChildSAs, float64(children))
}

// label spells a name as labels' values are spelled.
func label(s string) string { return strings.NewReplacer("-", "_", " ", "_").Replace(s) }

// deviceOctets reads a counter of the TUN device. It is 0 where the counter is
// not there.
func deviceOctets(device, name string) uint64 {
	b, err := os.ReadFile(filepath.Join("/sys/class/net", device, "statistics", name))
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// metered measures a backend.
type metered struct {
	auth.Backend
	name    string
	metrics *metrics
	now     func() time.Time
}

// Begin implements auth.Backend.
func (m *metered) Begin(ctx context.Context, peer auth.Peer) (auth.Conversation, error) {
	c, err := m.Backend.Begin(ctx, peer)
	if err != nil {
		m.metrics.auth.WithLabelValues(m.name, "unavailable").Inc()
		return nil, err
	}
	return &meteredConversation{c, m}, nil
}

type meteredConversation struct {
	auth.Conversation
	backend *metered
}

// Next implements auth.Conversation.
func (c *meteredConversation) Next(ctx context.Context, response []byte) (auth.Step, error) {
	began := c.backend.now()
	step, err := c.Conversation.Next(ctx, response)
	m := c.backend.metrics
	m.authTime.WithLabelValues(c.backend.name).Observe(c.backend.now().Sub(began).Seconds())
	result := ""
	switch {
	case err != nil, step.Verdict == auth.Unavailable:
		result = "unavailable"
	case step.Verdict == auth.Accept:
		result = "accepted"
	case step.Verdict == auth.Reject:
		result = "refused"
	}
	if result != "" {
		m.auth.WithLabelValues(c.backend.name, result).Inc()
	}
	return step, err
}
