package dae

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"

	"bridgehead/auth"
)

const testSecret = "any octets: \x00\xff '\"#\\ end"

var (
	epoch  = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	campus = netip.MustParseAddrPort("192.0.2.10:40000")
	// phone and laptop are two sessions of alice, desk one of bob.
	phone = Session{
		ID: "5e55101", MultiID: "m1", User: "alice", Remote: netip.MustParseAddrPort("198.51.100.1:4500"), Local: netip.MustParseAddrPort("203.0.113.1:4500"),
		IPv4: netip.MustParseAddr("10.0.0.1"), IPv6: netip.MustParseAddr("2001:db8::1"), Port: 1,
		Class: [][]byte{[]byte("staff"), {0, 1, 2}}, ChargeableUser: []byte("cui-a"),
	}
	laptop = Session{
		ID: "5e55102", MultiID: "m1", User: "alice", Remote: netip.MustParseAddrPort("[2001:db8:1::2]:500"), Local: netip.MustParseAddrPort("[2001:db8:ffff::1]:500"),
		IPv4: netip.MustParseAddr("10.0.0.2"), Port: 2, Class: [][]byte{[]byte("staff")}, ChargeableUser: []byte("cui-a"),
	}
	desk = Session{
		ID: "5e55103", User: "bob", Remote: netip.MustParseAddrPort("198.51.100.1:4501"), Local: netip.MustParseAddrPort("203.0.113.1:4500"),
		IPv4: netip.MustParseAddr("10.0.0.3"),
	}
)

// fakeGateway has sessions and remembers what was done to them.
type fakeGateway struct {
	mu       sync.Mutex
	sessions []Session
	ended    []string
	changed  map[string]Change
	asked    int
	lost     error         // of Candidates
	fail     error         // of Disconnect and Change
	hold     chan struct{} // Disconnect waits for it; nil: it does not
	held     chan struct{} // told when it does
}

func (g *fakeGateway) Candidates(context.Context, Query) ([]Session, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	return slices.Clone(g.sessions), g.lost
}

func (g *fakeGateway) Disconnect(ctx context.Context, ids []string) error {
	if g.hold != nil {
		g.held <- struct{}{}
		<-g.hold
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fail != nil {
		return g.fail
	}
	g.ended = append(g.ended, ids...)
	g.sessions = slices.DeleteFunc(g.sessions, func(s Session) bool { return slices.Contains(ids, s.ID) })
	return ctx.Err()
}

func (g *fakeGateway) Change(_ context.Context, ids []string, c Change) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fail != nil {
		return g.fail
	}
	for _, id := range ids {
		g.changed[id] = c
	}
	return nil
}

// bench is a Server with a fake gateway and clock, without sockets.
type bench struct {
	*testing.T
	*Server
	gateway *fakeGateway
	now     time.Time
	next    uint8
	running sync.WaitGroup
}

func newBench(t *testing.T, change func(*Client)) *bench {
	t.Helper()
	client := Client{Name: "campus", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8:2::/48")}, Secret: auth.Secret(testSecret)}
	if change != nil {
		change(&client)
	}
	b := &bench{T: t, now: epoch, gateway: &fakeGateway{sessions: []Session{phone, laptop, desk}, changed: make(map[string]Change)}}
	var err error
	b.Server, err = NewServer(b.gateway, Config{
		Clients:  []Client{client},
		Identity: Identity{Identifier: "vpn.example.org", Owns: func(a netip.Addr) bool { return a == phone.Local.Addr() || a == laptop.Local.Addr() }},
	}, Options{Now: func() time.Time { return b.now }})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// draft is a request before it is on the wire.
type draft struct {
	code               codec.Code
	id                 uint8
	secret             string
	unsigned, macLast  bool
	wrongMAC, wrongSum bool
	attrs              codec.Attributes
}

func attr(t codec.Type, value string) *codec.AVP {
	return &codec.AVP{Type: t, Attribute: codec.Attribute(value)}
}

func number(t codec.Type, n uint32) *codec.AVP {
	return attr(t, string(binary.BigEndian.AppendUint32(nil, n)))
}

func session(id string) *codec.AVP { return attr(rfc2866.AcctSessionID_Type, id) }
func user(name string) *codec.AVP  { return attr(rfc2865.UserName_Type, name) }

// disconnect is a Disconnect-Request of now.
func (b *bench) disconnect(attrs ...*codec.AVP) *draft {
	b.next++
	return &draft{code: codec.CodeDisconnectRequest, id: b.next, secret: testSecret, attrs: append(attrs, b.dated(0))}
}

// coa is a CoA-Request of now.
func (b *bench) coa(attrs ...*codec.AVP) *draft {
	d := b.disconnect(attrs...)
	d.code = codec.CodeCoARequest
	return d
}

// dated is an Event-Timestamp from now.
func (b *bench) dated(ago time.Duration) *codec.AVP {
	return number(rfc2869.EventTimestamp_Type, uint32(b.now.Add(-ago).Unix()))
}

// wire encodes a draft by RFC 5176 §2.3 and §3.4, not by the code under test.
func (d *draft) wire() []byte {
	b := []byte{byte(d.code), d.id, 0, 0, 15: 0, 19: 0}
	mac := -1
	sign := func() {
		if !d.unsigned {
			mac = len(b) + 2
			b = append(b, 80, 18)
			b = append(b, make([]byte, 16)...)
		}
	}
	if !d.macLast {
		sign()
	}
	for _, a := range d.attrs {
		b = append(b, byte(a.Type), byte(len(a.Attribute)+2))
		b = append(b, a.Attribute...)
	}
	if d.macLast {
		sign()
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	if mac >= 0 {
		h := hmac.New(md5.New, []byte(d.secret))
		h.Write(b)
		copy(b[mac:], h.Sum(nil))
		if d.wrongMAC {
			b[mac] ^= 1
		}
	}
	sum := md5.Sum(append(slices.Clone(b), d.secret...))
	copy(b[4:], sum[:])
	if d.wrongSum {
		b[4] ^= 1
	}
	return b
}

// answer is a verified answer.
type answer struct {
	code  codec.Code
	attrs codec.Attributes
	raw   []byte
}

func (a *answer) cause() uint32 {
	v, ok := a.attrs.Lookup(101)
	if !ok {
		return 0
	}
	return binary.BigEndian.Uint32(v)
}

// send gives the server a packet and waits for what comes back; nil: nothing.
func (b *bench) send(packet []byte, from source) []byte {
	b.Helper()
	var got []byte
	replies := 0
	b.receive(b.Context(), &b.running, from, packet, func(a []byte) { got, replies = a, replies+1 })
	b.running.Wait()
	if replies > 1 {
		b.Fatalf("%d replies", replies)
	}
	return got
}

// ask sends a draft over UDP from the usual address; nil: no answer.
func (b *bench) ask(d *draft) *answer {
	b.Helper()
	return b.askFrom(d, source{addr: campus})
}

func (b *bench) askFrom(d *draft, from source) *answer {
	b.Helper()
	q := d.wire()
	got := b.send(q, from)
	if got == nil {
		return nil
	}
	a, err := verifyAnswer(got, q, d.secret)
	if err != nil {
		b.Fatal(err)
	}
	return a
}

// verifyAnswer checks an answer as a client does (RFC 5176 §2.3, §3.4).
func verifyAnswer(got, q []byte, secret string) (*answer, error) {
	if len(got) < 38 || int(binary.BigEndian.Uint16(got[2:])) != len(got) || got[1] != q[1] || got[20] != 80 || got[21] != 18 {
		return nil, errors.New("the answer is no packet with a Message-Authenticator first")
	}
	p := slices.Clone(got)
	copy(p[4:20], q[4:20])
	sum := md5.Sum(append(slices.Clone(p), secret...))
	if !hmac.Equal(sum[:], got[4:20]) {
		return nil, errors.New("the Response Authenticator is wrong")
	}
	clear(p[22:38])
	h := hmac.New(md5.New, []byte(secret))
	h.Write(p)
	if !hmac.Equal(h.Sum(nil), got[22:38]) {
		return nil, errors.New("the Message-Authenticator is wrong")
	}
	attrs, err := codec.ParseAttributes(got[20:])
	return &answer{codec.Code(got[0]), attrs, got}, err
}

// wantAnswer checks code and Error-Cause of the answer to a draft.
func (b *bench) wantAnswer(d *draft, cause ErrorCause) *answer {
	b.Helper()
	a := b.ask(d)
	if a == nil {
		b.Fatalf("no answer, discarded %v", b.Figures().Discarded)
	}
	want := d.code + 1
	if cause != 0 {
		want++
	}
	if a.code != want || a.cause() != uint32(cause) {
		b.Errorf("answered %s with Error-Cause %d, expected %s with %d", a.code, a.cause(), want, cause)
	}
	return a
}

// wantSilence checks that a packet is dropped for a reason, without effect.
func (b *bench) wantSilence(packet []byte, from source, reason discard) {
	b.Helper()
	before := b.Figures().Discarded[string(reason)]
	if got := b.send(packet, from); got != nil {
		b.Errorf("answered % x", got)
	}
	if after := b.Figures().Discarded[string(reason)]; after != before+1 {
		b.Errorf("not discarded as %s: %v", reason, b.Figures().Discarded)
	}
	if b.gateway.asked != 0 {
		b.Error("the gateway was asked")
	}
}

func (b *bench) wantEnded(ids ...string) {
	b.Helper()
	b.gateway.mu.Lock()
	defer b.gateway.mu.Unlock()
	if !slices.Equal(b.gateway.ended, ids) {
		b.Errorf("ended %v, expected %v", b.gateway.ended, ids)
	}
}

func printed(v any) []string {
	var list []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		list = append(list, fmt.Sprintf(verb, v))
	}
	return list
}

func containsSecret(text string) bool {
	return strings.Contains(text, testSecret) || strings.Contains(text, "any octets") || strings.Contains(text, fmt.Sprintf("%x", testSecret))
}
