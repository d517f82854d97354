package admin

import "time"

// RADIUSServer is how a RADIUS server does. Counts are since the gateway began
// to ask it.
type RADIUSServer struct {
	Name            string        `json:"name"`            // of [radius.NAME]
	Address         string        `json:"address"`         // host and port
	Transport       string        `json:"transport"`       // "UDP" or "TLS"
	Group           string        `json:"group"`           // the realms of its users, or "others"
	State           string        `json:"state"`           // "unproven", "alive", "suspect" or "dead"
	Since           time.Time     `json:"since"`           // of the state
	Heard           time.Time     `json:"heard,omitzero"`  // the last authentic answer
	RoundTrip       time.Duration `json:"round_trip_ns"`   // smoothed, nanoseconds; 0: unknown
	InFlight        int           `json:"in_flight"`       // requests that wait for their answer
	Requests        uint64        `json:"requests"`        // sent, each counted once
	Retransmissions uint64        `json:"retransmissions"` // requests sent again
	Answers         uint64        `json:"answers"`         // authentic ones
	Timeouts        uint64        `json:"timeouts"`        // requests never answered
	Discarded       uint64        `json:"discarded"`       // replies that were not authentic
}
