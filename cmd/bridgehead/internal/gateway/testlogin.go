package gateway

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	codec "layeh.com/radius"

	"bridgehead/auth"
	"bridgehead/auth/eap"
	"bridgehead/auth/mschapv2"
	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/radius"
)

// LoginTest is a login as a client would make it, without any client.
type LoginTest struct {
	User     string
	Password auth.Secret
	Hash     *auth.NTHash // in place of Password, where only this is known
	Identity string       // the EAP identity; empty: the user, and of Android none
	Client   string       // the kind of client that is played: "windows", "android", or any other
	From     netip.Addr
}

// LoginReport is what came of a LoginTest.
type LoginReport struct {
	User     string          `json:"user"`               // whose login was tried
	Backend  string          `json:"backend"`            // who decided, see auth.backend
	Session  string          `json:"session"`            // the id under which servers were asked, Acct-Session-Id for RADIUS
	Verdict  string          `json:"verdict"`            // "accepted", "refused", "unavailable", or "failed": the client's side did not accept the server
	Took     time.Duration   `json:"took_ns"`            // nanoseconds
	Cause    string          `json:"cause,omitempty"`    // stable name, of what was not accepted
	Text     string          `json:"text,omitempty"`     // a sentence for the cause
	Advice   string          `json:"advice,omitempty"`   // what to do
	Evidence []LoginEvidence `json:"evidence,omitempty"` // what was seen
	Told     string          `json:"told,omitempty"`     // what the client would tell its user
	Hops     []LoginHop      `json:"hops"`               // every packet, in order
	Grant    []LoginEvidence `json:"grant,omitempty"`    // what an accepted user gets
}

// LoginEvidence is one fact.
type LoginEvidence struct {
	Key   string `json:"key"`   // what the fact is about
	Value string `json:"value"` // for a person
}

// LoginHop is one packet of a login.
type LoginHop struct {
	At         time.Duration   `json:"at_ns"`                // since the beginning, nanoseconds
	From       string          `json:"from"`                 // "client", "gateway", or the name of a server
	To         string          `json:"to"`                   // the same
	Packet     string          `json:"packet"`               // what it is, such as "Access-Request 7" or "EAP-Request MSCHAPv2"
	RoundTrip  time.Duration   `json:"round_trip_ns"`        // of an answer, nanoseconds; else 0
	Again      bool            `json:"again"`                // the same was sent before
	Note       string          `json:"note,omitempty"`       // such as "sent again", or why it was discarded
	Attributes []LoginEvidence `json:"attributes,omitempty"` // of RADIUS, by name; secrets are left out
}

// Verdicts of a LoginReport.
const (
	LoginAccepted    = "accepted"
	LoginRefused     = "refused"
	LoginUnavailable = "unavailable"
	LoginFailed      = "failed"
)

// The ends of what is logged.
const endClient, endGateway = "client", "gateway"

// recorder collects hops; servers report theirs from goroutines of their own.
type recorder struct {
	began time.Time
	mu    sync.Mutex
	hops  []LoginHop
}

func (r *recorder) add(h LoginHop) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hops = append(r.hops, h)
}

// eap notes a packet between client and gateway.
func (r *recorder) eap(from, to string, packet []byte) {
	r.add(LoginHop{At: time.Since(r.began), From: from, To: to, Packet: eapName(packet)})
}

// eapName says what an EAP packet is, not what it holds.
func eapName(packet []byte) string {
	p, err := eap.Parse(packet)
	if err != nil {
		return fmt.Sprintf("EAP, %d octets that can't be read", len(packet))
	}
	name := "EAP-" + p.Code.String()
	if p.Code == eap.CodeRequest || p.Code == eap.CodeResponse {
		name += " " + p.Type.String()
	}
	return name
}

// observe notes a packet between gateway and server.
func (r *recorder) observe(h radius.Hop) {
	hop := LoginHop{
		At: h.Time.Sub(r.began), From: endGateway, To: h.Server, Packet: h.Code + " " + strconv.Itoa(int(h.Identifier)),
		RoundTrip: h.RoundTrip, Again: h.Try > 1,
	}
	for _, a := range h.Attributes {
		hop.Attributes = append(hop.Attributes, LoginEvidence{a.Name, a.Value})
	}
	switch {
	case h.Direction != radius.Sent:
		hop.From, hop.To = hop.To, hop.From
	case h.Try > 1:
		hop.Note = fmt.Sprintf("sent again, %d times in all", h.Try)
	}
	if h.Answers == codec.CodeStatusServer.String() {
		hop.Note = "answers Status-Server"
	}
	if h.Direction == radius.Discarded {
		hop.Note = "discarded: " + h.Error.Error()
	}
	r.add(hop)
}

// TestLogin logs a user in with the backend of a configuration, from the
// gateway's side: all but IKE is as in earnest. The error tells that the
// backend could not be opened.
func TestLogin(ctx context.Context, c *config.Config, t LoginTest) (*LoginReport, error) {
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	report := &LoginReport{User: t.User, Backend: c.Auth.Name(), Session: hex.EncodeToString(id[:]), Hops: []LoginHop{}}
	rec := &recorder{began: time.Now()}
	backend, closeIt, err := testBackend(c, rec.observe)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.IKE.LoginTimeout)
	defer cancel()
	report.play(ctx, backend, t, t.peer(c, report.Session), rec)
	closeIt()
	report.Took = time.Since(rec.began)
	report.Hops = append(report.Hops, rec.hops...)
	slices.SortStableFunc(report.Hops, func(a, b LoginHop) int { return cmp.Compare(a.At, b.At) })
	return report, nil
}

// testBackend opens the backend for one login.
func testBackend(c *config.Config, observe func(radius.Hop)) (auth.Backend, func(), error) {
	m := &members{log: slog.New(slog.DiscardHandler)}
	if c.Auth.Uses(config.BackendFile) {
		users, err := openUsers(c, m.log)
		if err != nil {
			return nil, nil, err
		}
		m.users = users
	}
	plan, err := readRADIUS(c)
	if err != nil {
		return nil, nil, err
	}
	a, err := plan.open(c, m, radius.Options{Observe: observe})
	if err != nil {
		return nil, nil, err
	}
	return a.backend, func() { a.retire(); a.closed.Wait() }, nil
}

// peer is the client as the backend is to see it.
func (t LoginTest) peer(c *config.Config, session string) auth.Peer {
	p := auth.Peer{Session: session, IDi: t.User, Client: t.Client, NoFinalFailure: t.Client == "windows"}
	if t.From.IsValid() {
		p.Remote = netip.AddrPortFrom(t.From, c.Server.NATTPort)
	}
	if len(c.Server.Listen) > 0 {
		p.Local = netip.AddrPortFrom(c.Server.Listen[0], c.Server.NATTPort)
	}
	return p
}

// maxSteps bounds the EAP packets of a login, as the gateway does.
const maxSteps = 64

// patience is how long a client waits for one answer; zero: as long as the login
// may last.
func (t LoginTest) patience() time.Duration {
	if t.Client == "android" {
		return 10 * time.Second
	}
	return 0
}

// newClient is the client's side of EAP-MSCHAPv2.
func (t LoginTest) newClient() *mschapv2.Client {
	if t.Hash != nil {
		return mschapv2.NewHashClient(t.User, *t.Hash, rand.Reader)
	}
	return mschapv2.NewClient(t.User, t.Password, rand.Reader)
}

// play makes the login.
func (r *LoginReport) play(ctx context.Context, backend auth.Backend, t LoginTest, peer auth.Peer, rec *recorder) {
	client := t.newClient()
	if t.Client == "android" {
		client.Identity = ""
	}
	if t.Identity != "" {
		client.Identity = t.Identity
	}
	conversation, err := backend.Begin(ctx, peer)
	if err != nil {
		r.unavailable(err)
		return
	}
	defer conversation.Close()
	var response []byte
	for range maxSteps {
		step, err := r.step(ctx, conversation, response, t.patience())
		if err != nil {
			r.unavailable(err)
			return
		}
		if step.Packet != nil && step.Verdict != auth.Unavailable {
			rec.eap(endGateway, endClient, step.Packet)
		}
		if !r.follow(step, client, rec, &response) {
			return
		}
	}
	r.Verdict, r.Text = LoginFailed, fmt.Sprintf("The login had no end within %d steps.", maxSteps)
}

func (*LoginReport) step(ctx context.Context, c auth.Conversation, response []byte, most time.Duration) (auth.Step, error) {
	if most > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, most)
		defer cancel()
	}
	return c.Next(ctx, bytes.Clone(response))
}

// follow takes a step of the backend and gives the client's answer to it; false
// at the end.
func (r *LoginReport) follow(step auth.Step, client *mschapv2.Client, rec *recorder, response *[]byte) bool {
	if step.Verdict == auth.Unavailable {
		r.Verdict = LoginUnavailable
		r.explain(step.Reason)
		return false
	}
	var failed *mschapv2.FailedError
	answer, err := client.Respond(step.Packet)
	if errors.As(err, &failed) && failed.Code != 0 {
		r.Told = failed.Error()
	}
	switch {
	case step.Verdict == auth.Reject:
		r.Verdict = LoginRefused
		r.explain(step.Reason)
		return false
	case err != nil && failed == nil || err == nil && step.Verdict == auth.Accept && !client.Done():
		r.Verdict, r.Told = LoginFailed, fmt.Sprint(err)
		r.Text, r.Advice = "The client's side did not believe the server.", "The server must prove that it knows the password before it announces success: look at its EAP-MSCHAPv2 module."
		return false
	case step.Verdict == auth.Accept:
		r.accept(step.Grant, client.MSK())
		return false
	}
	rec.eap(endClient, endGateway, answer)
	*response = answer
	return true
}

// accept notes what the user gets, and whether both ends have the same key.
func (r *LoginReport) accept(g *auth.Grant, key auth.Secret) {
	r.Verdict = LoginAccepted
	defer g.MSK.Wipe()
	if subtle.ConstantTimeCompare(g.MSK, key) != 1 {
		r.Verdict, r.Text = LoginFailed, "Client and gateway have different keys, so that the client's AUTH payload could not be right."
		r.Advice = "The server's MS-MPPE keys are not those of the EAP login: look at use_mppe, and at proxies on the way that re-encrypt them."
		return
	}
	r.Grant = grantFacts(g)
}

// grantFacts are what a grant says, each once it says anything.
func grantFacts(g *auth.Grant) []LoginEvidence {
	list := []LoginEvidence{{"name", g.Name}}
	add := func(key, value string) {
		if value != "" {
			list = append(list, LoginEvidence{key, value})
		}
	}
	duration := func(d time.Duration) string {
		if d == 0 {
			return ""
		}
		return d.String()
	}
	rate := func(n uint64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatUint(n, 10) + " bit/s"
	}
	add("addresses", joined(g.Addresses))
	add("pool", g.Pool)
	add("IPv6 pool", g.Pool6)
	add("DNS", joined(g.DNS))
	add("routes", joined(g.Routes))
	add("domains", strings.Join(g.Domains, " "))
	add("session timeout", duration(g.SessionTimeout))
	add("idle timeout", duration(g.IdleTimeout))
	add("group", g.Group)
	if g.MaxSessions > 0 {
		add("sessions", fmt.Sprintf("at most %d", g.MaxSessions))
	}
	if len(g.Filter) > 0 {
		add("packet filter", fmt.Sprintf("%d rules", len(g.Filter)))
	}
	add("rate up", rate(g.RateUp))
	add("rate down", rate(g.RateDown))
	if len(g.Class) > 0 {
		add("class", fmt.Sprintf("%d values", len(g.Class)))
	}
	add("interim accounting", duration(g.InterimInterval))
	for _, e := range g.Remarks {
		add(e.Key, e.Value)
	}
	return list
}

func joined[T fmt.Stringer](list []T) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = v.String()
	}
	return strings.Join(words, " ")
}

// explain takes over why nobody was let in.
func (r *LoginReport) explain(reason auth.Reason) {
	r.Cause, r.Text, r.Advice = string(reason.Cause), reason.Text(), reason.Advice()
	for _, e := range reason.Evidence {
		r.Evidence = append(r.Evidence, LoginEvidence(e))
	}
}

// unavailable takes an error of the backend.
func (r *LoginReport) unavailable(err error) {
	r.Verdict = LoginUnavailable
	r.explain(auth.Reason{Cause: auth.CauseBackendUnavailable, Evidence: []auth.Evidence{{Key: "error", Value: err.Error()}}})
}

// Unanswered tells that nobody was heard in time.
func (r *LoginReport) Unanswered() bool {
	return r.Cause == string(auth.CauseBackendUnavailable) || r.Cause == string(auth.CauseBackendTimeout)
}
