package gateway

import "github.com/prometheus/client_golang/prometheus"

var (
	descDAERequests = desc("dae_requests_total", "Authentic requests of dynamic authorization by client, kind and result, which is the Error-Cause where it was refused.", "client", "kind", "result")
	descDAERepeated = desc("dae_requests_repeated_total", "Repeated requests of dynamic authorization, answered as before.")
	descDAEDiscards = desc("dae_packets_discarded_total", "Packets for dynamic authorization that were not answered, by reason.", "reason")
)

// Describe implements prometheus.Collector.
func (d *dynamic) Describe(out chan<- *prometheus.Desc) {
	out <- descDAERequests
	out <- descDAERepeated
	out <- descDAEDiscards
}

// Collect implements prometheus.Collector.
func (d *dynamic) Collect(out chan<- prometheus.Metric) {
	if d == nil {
		return
	}
	counter := func(desc *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(v), labels...)
	}
	f := d.server.Figures()
	for _, a := range f.Answered {
		counter(descDAERequests, a.Count, a.Client, a.Kind, label(a.Cause.String()))
	}
	counter(descDAERepeated, f.Repeated)
	for reason, n := range f.Discarded {
		counter(descDAEDiscards, n, reason)
	}
}
