package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bridgehead/radius/accounting"
)

// accountCollector describes accounting at the moment of a scrape.
type accountCollector struct{ spool *accounting.Spool }

var (
	descAccountsOpen    = desc("accounting_sessions_open", "Sessions that are up and accounted for.")
	descAccountsWaiting = desc("accounting_spool_sessions", "Sessions of which a record waits for a server.")
	descAccountsOldest  = desc("accounting_spool_oldest_seconds", "How long the record waits that has waited longest.")
	descAccountsOctets  = desc("accounting_spool_bytes", "Octets of the accounting spool.")
	descAccountsLimit   = desc("accounting_spool_limit_bytes", "The most octets of the accounting spool.")
	descAccountsUnsaved = desc("accounting_unsaved", "Writes that wait for a disk that does not take them.")
	descAccountsSent    = desc("accounting_records_total", "Accounting records that a server has answered, by kind.", "kind")
	descAccountsRetried = desc("accounting_retries_total", "Accounting requests that no server answered.")
	descAccountsDropped = desc("accounting_dropped_total", "What was not reported: the spool was full, damaged, or a server that lives did not answer.", "what")
	descAccountsRefused = desc("accounting_refused_logins_total", "Logins refused because the spool was full.")
	descAccountsCrashed = desc("accounting_crashed_sessions_total", "Sessions that were open when the gateway crashed before.")
)

// Describe implements prometheus.Collector.
func (c accountCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descAccountsOpen, descAccountsWaiting, descAccountsOldest, descAccountsOctets, descAccountsLimit, descAccountsUnsaved,
		descAccountsSent, descAccountsRetried, descAccountsDropped, descAccountsRefused, descAccountsCrashed,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c accountCollector) Collect(out chan<- prometheus.Metric) {
	if c.spool == nil {
		return
	}
	f := c.spool.Figures()
	gauge := func(d *prometheus.Desc, v float64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	oldest := 0.0
	if !f.Oldest.IsZero() {
		oldest = max(time.Since(f.Oldest).Seconds(), 0)
	}
	gauge(descAccountsOpen, float64(f.Open))
	gauge(descAccountsWaiting, float64(f.Waiting))
	gauge(descAccountsOldest, oldest)
	gauge(descAccountsOctets, float64(f.Octets))
	gauge(descAccountsLimit, float64(f.Limit))
	gauge(descAccountsUnsaved, float64(f.Unsaved))
	counter(descAccountsSent, f.Starts, "start")
	counter(descAccountsSent, f.Interims, "interim")
	counter(descAccountsSent, f.Stops, "stop")
	counter(descAccountsSent, f.Marks, "on_off")
	counter(descAccountsRetried, f.Retried)
	counter(descAccountsDropped, f.DroppedInterims, "interim")
	counter(descAccountsDropped, f.DroppedSessions, "session")
	counter(descAccountsDropped, f.DroppedMarks, "on_off")
	counter(descAccountsDropped, f.Unreadable, "unreadable")
	counter(descAccountsRefused, f.Refused)
	counter(descAccountsCrashed, f.Crashed)
}
