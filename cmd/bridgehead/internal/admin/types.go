package admin

import (
	"context"
	"net/netip"
	"time"
)

// Gateway is what the socket looks into and commands.
type Gateway interface {
	Status(ctx context.Context) (Status, error)
	Sessions(ctx context.Context) ([]Session, error)
	Disconnect(ctx context.Context, which Selector) (Disconnected, error)
	Reload(ctx context.Context) (Reloaded, error)
}

// Status is the gateway at a glance.
type Status struct {
	Name     string        `json:"name"`      // what clients type
	Version  string        `json:"version"`   // of the program
	Started  time.Time     `json:"started"`   // when
	Uptime   time.Duration `json:"uptime_ns"` // nanoseconds
	Sessions int           `json:"sessions"`  // how many clients are logged in
	HalfOpen int           `json:"half_open"` // logins under way
	Listen   []string      `json:"listen"`    // where clients are served, for a person
	Backend  string        `json:"backend"`   // who decides, see auth.backend
	Plane    string        `json:"plane"`     // how traffic is moved, for a person
	Pools    []Pool        `json:"pools"`     // a line for each family of each pool
	Logins   Logins        `json:"logins"`    // since the start
	// Accounting is what waits for who is told of sessions, for a person; empty:
	// nobody is.
	Accounting string         `json:"accounting,omitempty"`
	RADIUS     []RADIUSServer `json:"radius,omitempty"` // each server, in the order in which they are asked
	Warnings   []string       `json:"warnings"`         // what an operator should see to
}

// Pool is how full a pool is.
type Pool struct {
	Name   string `json:"name"`   // of [pools.NAME]; "default" for addresses.pools
	Family string `json:"family"` // "IPv4" or "IPv6"
	Size   uint64 `json:"size"`   // addresses it can give, at most 2^64-1
	InUse  uint64 `json:"in_use"` // addresses that sessions hold
}

// Logins counts since the start.
type Logins struct {
	Accepted uint64 `json:"accepted"` // complete logins
	Refused  uint64 `json:"refused"`  // logins that the gateway, or the client, refused
	Silent   uint64 `json:"silent"`   // clients that left without a word
}

// Session is one client that is logged in.
type Session struct {
	ID          string       `json:"id"`               // also in every line of the log
	User        string       `json:"user"`             // the authenticated name
	Identity    string       `json:"identity"`         // IDi, as the client claims it
	Peer        string       `json:"peer"`             // where its packets come from
	Local       string       `json:"local"`            // the gateway's address they come to
	Client      string       `json:"client,omitempty"` // kind of client, where it was recognised
	Quirks      []string     `json:"quirks"`           // allowances made for it, by id, see ike.quirks_off
	Addresses   []netip.Addr `json:"addresses"`        // inner ones
	Established time.Time    `json:"established"`      // when the login was complete
	IKE         string       `json:"ike"`              // what was chosen, in strongSwan's notation
	ESP         string       `json:"esp"`              // the same of each Child SA, with commas
	BytesIn     uint64       `json:"bytes_in"`         // octets of users' packets from the client
	BytesOut    uint64       `json:"bytes_out"`        // and to it
	LastIn      time.Time    `json:"last_in,omitzero"` // when the last packet came
}

// Selector names the sessions to end: exactly one field is set.
type Selector struct {
	Session string `json:"session,omitempty"`
	User    string `json:"user,omitempty"`
	All     bool   `json:"all,omitempty"`
}

// Disconnected is the answer to a disconnect.
type Disconnected struct {
	Sessions int `json:"sessions"` // how many were ended
}

// Reloaded is the answer to a reload.
type Reloaded struct {
	Changed []string `json:"changed"` // what took effect
	Restart []string `json:"restart"` // what differs but needs a restart
}

// Event is something that happened. Which fields are set depends on Kind.
type Event struct {
	Time      time.Time    `json:"time"`                // when it happened
	Kind      Kind         `json:"kind"`                // what happened
	Session   string       `json:"session,omitempty"`   // its id
	User      string       `json:"user,omitempty"`      // the authenticated name; of a refused login as claimed
	Peer      string       `json:"peer,omitempty"`      // address and port of the client
	Client    string       `json:"client,omitempty"`    // kind of client, where it was recognised
	Addresses []netip.Addr `json:"addresses,omitempty"` // inner ones
	Cause     string       `json:"cause,omitempty"`     // stable name, why a session ended or a login was refused
	Text      string       `json:"text"`                // one line for a person
}

// Kind tells events apart.
type Kind string

// Kinds of events.
const (
	KindUp      Kind = "up"      // a client logged in
	KindDown    Kind = "down"    // a session ended; Cause says why
	KindRekeyed Kind = "rekeyed" // keys were replaced
	KindMoved   Kind = "moved"   // the client is at another outer address
	KindRefused Kind = "refused" // a login was refused
	KindSilent  Kind = "silent"  // a client left without a word
	KindNotice  Kind = "notice"  // about the gateway or this stream itself
)

// Refusal is one login that came to nothing, with what the gateway knows.
type Refusal struct {
	Time     time.Time  `json:"time"`               // when it came to nothing
	Silent   bool       `json:"silent"`             // the client left without a word
	Session  string     `json:"session,omitempty"`  // its id, where it had one
	Peer     string     `json:"peer"`               // where the client's packets came from
	Local    string     `json:"local,omitempty"`    // where they came to
	User     string     `json:"user,omitempty"`     // as claimed
	Identity string     `json:"identity,omitempty"` // IDi, as claimed
	Client   string     `json:"client,omitempty"`   // kind of client, where it was recognised
	Quirks   []string   `json:"quirks,omitempty"`   // allowances made for it, by id, see ike.quirks_off
	Cause    string     `json:"cause"`              // stable name
	Text     string     `json:"text"`               // a sentence for the cause
	Evidence []Evidence `json:"evidence,omitempty"` // what the gateway saw
	Advice   string     `json:"advice,omitempty"`   // what to do
	Remedy   []string   `json:"remedy,omitempty"`   // what to type at the client, a line each
	Likely   []string   `json:"likely,omitempty"`   // what may lie behind a silence, the likeliest first
}

// Evidence is one fact behind a refusal.
type Evidence struct {
	Key   string `json:"key"`   // what the fact is about
	Value string `json:"value"` // for a person
}
