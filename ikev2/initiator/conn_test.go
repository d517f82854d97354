package initiator

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"bridgehead/auth"
)

// conn is a client, a gateway and a wire between them that loses what lose
// tells it to.
type conn struct {
	t       testing.TB
	sa      *SA
	gateway *gateway
	now     time.Time
	out     Outbox
	lose    func(toGateway bool, n int, data []byte) bool
	sent    [2]int // datagrams so far, to the client and to the gateway
	notices []Notice
	closed  time.Time // when the SA ended
	changes []Change
	wire    [][]byte // what the client sent
}

func testConfig() Config {
	return Config{Server: testName, ServerName: testName, Roots: chain().pool(), User: testUser, Password: auth.Secret(testPassword)}
}

func newConn(t testing.TB, seed uint64, cfg Config) *conn {
	t.Helper()
	c := &conn{t: t, gateway: newGateway(t, seed), now: epoch}
	c.gateway.rsa = cfg.Profile != nil && cfg.Profile.Name != "bridgehead"
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed+1)
	cfg.Rand = rand.NewChaCha8(key)
	sa, err := NewSA(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.sa = sa
	return c
}

var testEndpoints = Endpoints{
	LocalIKE: netip.MustParseAddrPort("192.168.0.2:40500"), RemoteIKE: netip.MustParseAddrPort("203.0.113.1:500"),
	LocalNATT: netip.MustParseAddrPort("192.168.0.2:44500"), RemoteNATT: netip.MustParseAddrPort("203.0.113.1:4500"),
}

// login runs a login until nothing more happens at once.
func (c *conn) login() { c.t.Helper(); c.handle(Start{testEndpoints}) }

// handle gives the client an event and carries what follows to and fro.
func (c *conn) handle(ev Event) {
	c.t.Helper()
	c.out.Reset()
	c.sa.Handle(c.now, ev, &c.out)
	c.notices = append(c.notices, c.out.Notices...)
	for _, n := range c.out.Notices {
		if _, over := n.(Closed); over {
			c.closed = c.now
		}
	}
	c.changes = append(c.changes, c.out.Plane...)
	for _, d := range slices.Clone(c.out.Send) {
		c.wire = append(c.wire, d.Data)
		if !c.lost(true, d.Data) {
			c.deliver(c.gateway.take(d.Data))
		}
	}
}

// deliver gives the client datagrams of the gateway.
func (c *conn) deliver(datagrams [][]byte) {
	c.t.Helper()
	for _, d := range datagrams {
		if !c.lost(false, d) {
			c.handle(Datagram{d})
		}
	}
}

func (c *conn) lost(toGateway bool, data []byte) bool {
	i := 0
	if toGateway {
		i = 1
	}
	c.sent[i]++
	return c.lose != nil && c.lose(toGateway, c.sent[i], data)
}

// pass jumps to the next deadline; false if there is none.
func (c *conn) pass() bool {
	c.t.Helper()
	if c.out.Deadline.IsZero() {
		return false
	}
	c.now = c.out.Deadline
	c.handle(Tick{})
	return true
}

// notice finds the first notice of a type.
func notice[N Notice](c *conn) (N, bool) {
	for _, n := range c.notices {
		if n, ok := n.(N); ok {
			return n, true
		}
	}
	var none N
	return none, false
}

// established checks that the login is complete.
func (c *conn) established() {
	c.t.Helper()
	if _, ok := notice[Established](c); !ok {
		closed, _ := notice[Closed](c)
		c.t.Fatalf("the login is not complete: %v, last dropped: %v", closed.Err, c.sa.dropped)
	}
}

// failure gives the Failure that ended the SA.
func (c *conn) failure() Failure {
	c.t.Helper()
	closed, ok := notice[Closed](c)
	if !ok {
		c.t.Fatalf("the SA has not ended; notices %v", c.notices)
	}
	f, ok := closed.Err.(Failure)
	if !ok {
		c.t.Fatalf("the SA ended with %v, which is no Failure", closed.Err)
	}
	return f
}
