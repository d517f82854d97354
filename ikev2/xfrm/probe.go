package xfrm

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/suite"
)

// ErrNoESP is a kernel that adds no ESP state at all.
var ErrNoESP = errors.New("xfrm: the kernel has no ESP: load xfrm_user, esp4 and esp6 with modprobe, or choose the userspace data plane")

// Capabilities are what a kernel can do.
type Capabilities struct {
	ESP4, ESP6         bool // ESP over IPv4 and over IPv6
	Encap4, Encap6     bool // in UDP; over IPv6 since Linux 5.8
	GCM, CBC, ChaCha20 bool // ciphers; CBC with HMAC-SHA-2-256
	// MappingInterval: a changed source is not reported for every packet, so
	// that an inbound state can stay when its peer moves. Since Linux 5.17.
	MappingInterval bool
}

// String is the list in words.
func (c Capabilities) String() string {
	var words []string
	for _, w := range []struct {
		can  bool
		word string
	}{
		{c.ESP4, "ESP over IPv4"}, {c.ESP6, "ESP over IPv6"},
		{c.Encap4, "UDP encapsulation over IPv4"}, {c.Encap6, "UDP encapsulation over IPv6"},
		{c.GCM, "AES-GCM"}, {c.CBC, "AES-CBC with HMAC"}, {c.ChaCha20, "ChaCha20-Poly1305"},
	} {
		if w.can {
			words = append(words, w.word)
		}
	}
	if len(words) == 0 {
		return "no ESP"
	}
	return strings.Join(words, ", ")
}

// Needs are what a Plane will be asked for.
type Needs struct {
	IPv4, IPv6 bool        // outer addresses
	Suites     []suite.ESP // that may be negotiated
}

// Missing lists in words what of the needs the kernel cannot do; nil: nothing.
func (c Capabilities) Missing(n Needs) []string {
	var words []string
	need := func(asked, can bool, word string) {
		if asked && !can && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	need(n.IPv4, c.ESP4, "ESP over IPv4 (module esp4)")
	need(n.IPv6, c.ESP6, "ESP over IPv6 (module esp6)")
	need(n.IPv4 && c.ESP4, c.Encap4, "UDP encapsulation over IPv4")
	need(n.IPv6 && c.ESP6, c.Encap6, "UDP encapsulation over IPv6 (Linux 5.8)")
	if c.ESP4 || c.ESP6 {
		for _, s := range n.Suites {
			need(s.Encr == suite.EncrAESGCM16, c.GCM, "AES-GCM (module gcm)")
			need(s.Encr == suite.EncrAESCBC, c.CBC, "AES-CBC with HMAC (modules cbc, authenc and hmac)")
			need(s.Encr == suite.EncrChaCha20Poly1305, c.ChaCha20, "ChaCha20-Poly1305 (module chacha20poly1305)")
		}
	}
	return words
}

// Probe finds out what the kernel can do by adding states and removing them
// again, between addresses that are for documentation only (RFC 5737, RFC
// 3849); the kernel loads modules for it. That it can do nothing is not an
// error; having no right to ask is.
func Probe() (Capabilities, error) {
	s, err := openSocket()
	if err != nil {
		return Capabilities{}, err
	}
	c, err := probe(s, DefaultFirstReqID)
	return c, errors.Join(err, s.close())
}

// trial is one state of the probe and what it shows if it can be added.
type trial struct {
	state *state
	shows []*bool
}

func (c *Capabilities) trials(reqid uint32) ([]trial, error) {
	var all []trial
	for _, cipher := range []struct {
		suite suite.ESP
		shows *bool
	}{
		{suite.ESP{Encr: suite.EncrAESGCM16, KeyLength: 128}, &c.GCM},
		{suite.ESP{Encr: suite.EncrAESCBC, KeyLength: 128, Integ: suite.IntegHMACSHA2_256128}, &c.CBC},
		{suite.ESP{Encr: suite.EncrChaCha20Poly1305}, &c.ChaCha20},
	} {
		s := cipher.suite
		a, err := algorithmsOf(&esp.SA{
			Suite:   s,
			EncrKey: make(suite.Secret, s.KeyLen()+s.SaltLen()), IntegKey: make(suite.Secret, s.IntegKeyLen()),
		})
		if err != nil {
			return nil, err
		}
		for _, over := range []struct {
			here, there string
			encap       bool
			shows       *bool
		}{
			{"192.0.2.1", "192.0.2.2", true, &c.Encap4}, {"2001:db8::1", "2001:db8::2", true, &c.Encap6},
			{"192.0.2.1", "192.0.2.2", false, &c.ESP4}, {"2001:db8::1", "2001:db8::2", false, &c.ESP6},
		} {
			all = append(all, trial{&state{
				id:     stateID{netip.MustParseAddr(over.here), reqid + uint32(len(all))},
				source: netip.MustParseAddr(over.there), reqid: reqid, algorithms: a, inbound: true,
				encap: over.encap, sourcePort: 4500, destinationPort: 4500, softLimit: unlimited,
			}, []*bool{cipher.shows, over.shows}})
		}
	}
	return all, nil
}

// probe takes the SPIs of its states from reqid upwards.
func probe(l link, reqid uint32) (c Capabilities, err error) {
	trials, err := c.trials(reqid)
	if err != nil {
		return c, err
	}
	var add, read, remove []request
	for _, t := range trials {
		add = append(add, newState(t.state, false))
		read = append(read, getState(t.state.id))
		remove = append(remove, deleteState(t.state.id))
	}
	answers, err := l.do(add)
	if err != nil {
		return c, err
	}
	for i, a := range answers {
		if errors.Is(a.err, unix.EPERM) {
			return c, a.err
		}
		// Another probe may be under way, or may have been killed.
		if a.err == nil || errors.Is(a.err, unix.EEXIST) {
			for _, can := range trials[i].shows {
				*can = true
			}
		}
	}
	answers, err = l.do(read)
	for _, a := range answers {
		if f, err := parseState(a.body); err == nil && f.mapping {
			c.MappingInterval = true
		}
	}
	_, failed := l.do(remove)
	return c, errors.Join(err, failed)
}

// getState asks for a state whole, keys included.
func getState(id stateID) request {
	m := id.message()
	return request{kind: nl.XFRM_MSG_GETSA, body: append([]byte(nil), m.Serialize()...), what: "read " + id.String()}
}
