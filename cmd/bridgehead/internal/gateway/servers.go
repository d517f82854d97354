package gateway

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bridgehead/cmd/bridgehead/internal/admin"
	"bridgehead/radius"
)

// serverFigures are those of every RADIUS server in use, each with the name of
// its group.
func (a *authority) serverFigures(yield func(group string, f radius.Figures)) {
	if a == nil {
		return
	}
	for _, g := range a.groups {
		for _, f := range g.Figures() {
			yield(g.Name, f)
		}
	}
}

// up tells whether logins are given to a server.
func up(s radius.State) bool { return s == radius.Alive || s == radius.Suspect }

// serversOf puts the figures into the form of the control socket, with a
// warning for each server that is dead.
func serversOf(a *authority, now time.Time) (list []admin.RADIUSServer, warnings []string) {
	a.serverFigures(func(group string, f radius.Figures) {
		s := admin.RADIUSServer{
			Name: f.Name, Address: f.Address, Transport: "UDP", Group: group, State: f.State.String(), Since: f.Since, Heard: f.Heard,
			RoundTrip: f.RoundTrip, InFlight: f.InFlight, Requests: f.Requests, Retransmissions: f.Retransmissions,
			Answers: f.Answers, Timeouts: f.Timeouts, Discarded: f.Discarded(),
		}
		if f.TLS {
			s.Transport = "TLS"
		}
		list = append(list, s)
		if f.State != radius.Dead {
			return
		}
		text := fmt.Sprintf("the RADIUS server %s at %s has been silent for %s", f.Name, f.Address, now.Sub(f.Since).Round(time.Second))
		if f.Discarded() > 0 {
			text += fmt.Sprintf(", and %d replies were not authentic", f.Discarded())
		}
		warnings = append(warnings, text+"; ask what is wrong with: bridgehead check")
	})
	return list, warnings
}

// serverCollector describes the RADIUS servers at the moment of a scrape.
type serverCollector struct{ authorities *authorities }

// serverFigure is one metric of a server.
type serverFigure struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(f radius.Figures) float64
}

func gauged(name, help string, value func(f radius.Figures) float64) serverFigure {
	return serverFigure{desc("radius_"+name, help, "server"), prometheus.GaugeValue, value}
}

func counted(name, help string, value func(f radius.Figures) uint64) serverFigure {
	return serverFigure{desc("radius_"+name+"_total", help, "server"), prometheus.CounterValue, func(f radius.Figures) float64 { return float64(value(f)) }}
}

var serverMetrics = []serverFigure{
	gauged("server_up", "Whether logins are given to a RADIUS server.", func(f radius.Figures) float64 {
		if up(f.State) {
			return 1
		}
		return 0
	}),
	gauged("requests_in_flight", "Requests that wait for the answer of a RADIUS server.", func(f radius.Figures) float64 { return float64(f.InFlight) }),
	gauged("round_trip_seconds", "Smoothed time that a RADIUS server takes for an answer; 0: unknown.", func(f radius.Figures) float64 { return f.RoundTrip.Seconds() }),
	counted("requests", "Requests sent to a RADIUS server, retransmissions left out.", func(f radius.Figures) uint64 { return f.Requests }),
	counted("retransmissions", "Requests sent to a RADIUS server again.", func(f radius.Figures) uint64 { return f.Retransmissions }),
	counted("answers", "Authentic answers of a RADIUS server.", func(f radius.Figures) uint64 { return f.Answers }),
	counted("timeouts", "Requests that a RADIUS server never answered.", func(f radius.Figures) uint64 { return f.Timeouts }),
	counted("bad_authenticators", "Replies discarded for a wrong Response or Message-Authenticator: forged, or the secrets differ.", func(f radius.Figures) uint64 { return f.BadAuthenticators }),
	counted("message_authenticator_failures", "Replies discarded for a wrong or missing Message-Authenticator or a wrong Response Authenticator.", func(f radius.Figures) uint64 { return f.BadAuthenticators + f.Unsigned }),
	counted("malformed_replies", "Replies discarded since they can't be read.", func(f radius.Figures) uint64 { return f.Malformed }),
	counted("unexpected_replies", "Replies that nothing waited for, such as duplicates.", func(f radius.Figures) uint64 { return f.Unexpected }),
	counted("probes", "Status-Server requests sent.", func(f radius.Figures) uint64 { return f.Probes }),
	counted("probes_lost", "Status-Server requests that a RADIUS server did not answer.", func(f radius.Figures) uint64 { return f.ProbesLost }),
	counted("connect_failures", "Connections to a RADIUS server that could not be made.", func(f radius.Figures) uint64 { return f.ConnectFailures }),
}

// Describe implements prometheus.Collector.
func (serverCollector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range serverMetrics {
		out <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c serverCollector) Collect(out chan<- prometheus.Metric) {
	c.authorities.current.Load().serverFigures(func(_ string, f radius.Figures) {
		for _, m := range serverMetrics {
			out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(f), f.Name)
		}
	})
}
