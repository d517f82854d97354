package gateway

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"bridgehead/cmd/bridgehead/internal/admin"
	"bridgehead/ikev2"
)

// sink takes the responder's events, which it has logged already, and hands
// them to the journal, the metrics and the site's program. It is safe for concurrent use and never
// blocks.
type sink struct {
	journal *admin.Journal
	metrics *metrics
	visits  *visits // nil: no program hears of sessions
	informs *informs
}

// sink is where the responder's events go.
func (g *Gateway) sink() *sink {
	s := &sink{journal: g.journal, metrics: g.metrics, informs: g.informs}
	if g.script != nil {
		s.visits = &visits{g.script, &g.config}
	}
	return s
}

// Event implements ikev2.EventSink.
func (s *sink) Event(e ikev2.SessionEvent) {
	s.metrics.event(e)
	if e.Refusal != nil {
		s.journal.Refuse(refusal(e.Refusal))
		return
	}
	s.informs.event(e)
	if s.visits != nil {
		s.visits.event(e)
	}
	s.journal.Publish(sessionEvent(e))
}

// sessionEvent puts an event of a session into the journal's form.
func sessionEvent(e ikev2.SessionEvent) admin.Event {
	i := e.Session
	event := admin.Event{
		Time: e.Time, Session: i.ID, User: i.User, Peer: i.Remote.String(), Client: i.Client,
		Addresses: inner(i), Cause: string(e.Cause),
	}
	switch e.Kind {
	case ikev2.EventUp:
		event.Kind = admin.KindUp
		event.Text = fmt.Sprintf("%s logged in from %s, gets %s", who(i), i.Remote, addresses(event.Addresses))
	case ikev2.EventDown:
		event.Kind = admin.KindDown
		text, _ := ikev2.Explain(e.Cause)
		event.Text = fmt.Sprintf("%s logged out after %s: %s", who(i), e.Time.Sub(i.Since).Round(time.Second), admin.Clause(text))
	case ikev2.EventRekeyed:
		event.Kind = admin.KindRekeyed
		event.Text = fmt.Sprintf("%s has new keys: %s", who(i), e.Detail)
	case ikev2.EventMoved:
		event.Kind = admin.KindMoved
		event.Text = fmt.Sprintf("%s moved from %s", who(i), e.Detail)
	default:
		event.Kind = admin.KindNotice
		event.Text = fmt.Sprintf("%s: %s", who(i), e.Kind)
	}
	return event
}

// refusal puts a refusal into the journal's form.
func refusal(r *ikev2.Refusal) admin.Refusal {
	out := admin.Refusal{
		Time: r.Time, Silent: r.Silent, Session: r.Session, Peer: r.Peer.String(), User: r.User, Identity: r.Identity,
		Client: r.Client, Quirks: quirkIDs(r.Quirks), Cause: string(r.Cause), Advice: r.Advice,
		Text: r.Text, Remedy: r.Remedy, Likely: r.Likely,
	}
	if r.Local.IsValid() {
		out.Local = r.Local.String()
	}
	for _, e := range r.Evidence {
		out.Evidence = append(out.Evidence, admin.Evidence{Key: e.Key, Value: e.Value})
	}
	return out
}

// sessionOf puts a session into the form of the control socket.
func sessionOf(i ikev2.SessionInfo) admin.Session {
	s := admin.Session{
		ID: i.ID, User: i.User, Identity: i.Identity, Peer: i.Remote.String(), Local: i.Local.String(), Client: i.Client, Quirks: quirkIDs(i.Quirks),
		Addresses: inner(i), Established: i.Since, IKE: i.IKE, ESP: strings.Join(i.ESP, ","),
	}
	for _, u := range i.Usage {
		s.BytesIn += u.BytesIn
		s.BytesOut += u.BytesOut
		if u.LastIn.After(s.LastIn) {
			s.LastIn = u.LastIn
		}
	}
	return s
}

// quirkIDs names quirks for the control socket.
func quirkIDs(list []ikev2.Quirk) []string {
	ids := make([]string, len(list))
	for i, q := range list {
		ids[i] = q.String()
	}
	return ids
}

// inner lists a session's inner addresses.
func inner(i ikev2.SessionInfo) []netip.Addr {
	list := []netip.Addr{}
	for _, a := range []netip.Addr{i.IPv4, i.IPv6} {
		if a.IsValid() {
			list = append(list, a)
		}
	}
	return list
}

func addresses(list []netip.Addr) string {
	words := make([]string, len(list))
	for i, a := range list {
		words[i] = a.String()
	}
	return strings.Join(words, " and ")
}

// who names a session's user; a login that is not complete has none.
func who(i ikev2.SessionInfo) string {
	if i.User != "" {
		return i.User
	}
	return i.Identity
}
