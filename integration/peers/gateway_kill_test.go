package peers

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/transport"
	"bridgehead/integration/lab"
	"bridgehead/radius/accounting"
)

// defaultKills is how often the gateway, or its RADIUS server, is killed where
// $BRIDGEHEAD_KILLS does not say.
const defaultKills = 20

func kills(t *testing.T) int {
	t.Helper()
	text := os.Getenv("BRIDGEHEAD_KILLS")
	if text == "" {
		return defaultKills
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("BRIDGEHEAD_KILLS is %q, expected a number of kills", text)
	}
	return n
}

const (
	killUsers = 4 // who log in over and over
	// longAfter is after how many kills the gateway lives long enough that what
	// sessions carry is noted on disk.
	longAfter = 20
	longLife  = 2*accounting.NoteEvery + 3*time.Second
)

// overAccounting is RADIUS for logins and accounting.
const overAccounting = `[auth]
backend = "radius"
[radius.campus]
address     = "127.0.0.1"
secret_file = "radius.secret"
[accounting]
backend = "radius"
[dataplane]
kind = "userspace"
`

// sent is what one session sent, as its client knows it.
type sent struct {
	user  string
	up    time.Time
	steps []sentStep
	ended bool // the gateway answered its DELETE
}

// sentStep is how many octets were sent until then.
type sentStep struct {
	at     time.Time
	octets uint64
}

// until is how many octets were sent until then.
func (s *sent) until(t time.Time) (octets uint64) {
	for _, step := range s.steps {
		if !step.at.After(t) {
			octets = step.octets
		}
	}
	return octets
}

func (s *sent) all() uint64 { return s.until(s.up.Add(time.Hour)) }

// crowd is the clients of one machine.
type crowd struct {
	t         *testing.T
	machine   *lab.Namespace
	transport *transport.Transport
	client    *initiator.Client
	config    initiator.Config

	mu       sync.Mutex
	sessions []*sent
	logins   int // tried
	long     bool
}

func (s *site) newCrowd(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{t: t, machine: s.Namespace("crowd")}
	local := s.internet.Join(c.machine).IPv4
	var err error
	c.machine.Do(func() {
		c.transport, err = transport.Listen(transport.Config{Addresses: []netip.Addr{local}, Readers: 1})
	})
	if err != nil {
		t.Fatal(err)
	}
	c.client = initiator.NewClient(c.transport, func([]transport.ESPDatagram) {})
	var reading sync.WaitGroup
	reading.Go(func() { _ = c.transport.Serve(context.Background(), c.client) })
	t.Cleanup(func() {
		if err := c.transport.Close(); err != nil {
			t.Error(err)
		}
		reading.Wait()
	})
	c.config = initiator.Config{
		Server: s.outside.IPv4.String(), ServerName: gatewayName, Roots: s.root.Pool(), Password: auth.Secret(password), ForceEncap: true,
	}
	return c
}

// work logs in over and over, each time as another user, until ctx ends.
func (c *crowd) work(ctx context.Context, worker int) {
	for n := 0; ctx.Err() == nil; n++ {
		cfg := c.config
		cfg.User = fmt.Sprintf("user-%d-%d", worker, n)
		c.mu.Lock()
		c.logins++
		c.mu.Unlock()
		c.visit(ctx, cfg)
	}
}

// visit is one session: it sends for a while, and most log out.
func (c *crowd) visit(ctx context.Context, cfg initiator.Config) {
	patience, cancel := context.WithTimeout(ctx, 1500*time.Millisecond)
	defer cancel()
	var session *initiator.Session
	var err error
	c.machine.Do(func() { session, err = c.client.Dial(patience, cfg) })
	if err != nil {
		return
	}
	s := &sent{user: cfg.User, up: time.Now()}
	c.mu.Lock()
	c.sessions = append(c.sessions, s)
	stay := time.Duration(rand.Int64N(int64(400 * time.Millisecond)))
	if c.long {
		stay = longLife
	}
	c.mu.Unlock()
	out, err := esp.NewOutbound(session.Child().Out)
	if err != nil {
		c.t.Error(err)
		return
	}
	for time.Since(s.up) < stay && ctx.Err() == nil {
		octets, err := c.send(session, out)
		if err != nil {
			c.t.Errorf("sending: %v", err)
		}
		s.steps = append(s.steps, sentStep{time.Now(), s.all() + octets})
		time.Sleep(20 * time.Millisecond)
	}
	leaving, done := context.WithTimeout(context.Background(), 700*time.Millisecond)
	defer done()
	s.ended = session.Close(leaving) == nil
}

// send sends one packet of random length through the tunnel.
func (c *crowd) send(session *initiator.Session, out *esp.Outbound) (uint64, error) {
	child := session.Child()
	n := 28 + rand.IntN(1000)
	buf := make([]byte, out.HeaderLen()+n+out.TrailerLen(n))
	inner := buf[out.HeaderLen():]
	inner[0], inner[8], inner[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(inner[2:], uint16(n))
	for _, own := range session.Result().Config.Addresses {
		if own.Addr().Is4() {
			copy(inner[12:], own.Addr().AsSlice())
		}
	}
	copy(inner[16:], netip.MustParseAddr(behind4).AsSlice())
	binary.BigEndian.PutUint16(inner[24:], uint16(n-20))
	packet, err := out.Seal(buf, out.HeaderLen(), n, 4)
	if err != nil {
		return 0, err
	}
	sender := c.transport.NewSender()
	sender.Add(&transport.Path{Local: child.Path.Local, Remote: child.Path.Remote, Encap: child.Path.Encap}, 0, packet)
	return uint64(n), sender.Flush()
}

func (c *crowd) setLong(long bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.long = long
}

// account is one session in the database.
type account struct {
	starts, stops int
	first, last   int // numbers of Start and Stop
	bytes         uint64
	cause         string
	copies        int
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// accounts reads the database, by user, and the numbers of all
// Accounting-On.
func accounts(t *testing.T, db *lab.FreeRADIUS) (byUser map[string]*account, ons []int) {
	t.Helper()
	byUser = map[string]*account{}
	for _, row := range db.Records("SELECT number, kind, user, bytes_in, cause, copies, session FROM records ORDER BY number") {
		if row[1] == "Accounting-On" {
			ons = append(ons, number(t, row[0]))
		}
		if row[2] == "" {
			continue
		}
		a := byUser[row[2]]
		if a == nil {
			a = &account{}
			byUser[row[2]] = a
		}
		a.copies += number(t, row[5])
		switch row[1] {
		case "Start":
			a.starts++
			a.first = number(t, row[0])
		case "Stop":
			a.stops++
			a.last, a.bytes, a.cause = number(t, row[0]), uint64(number(t, row[3])), row[4]
		}
	}
	return byUser, ons
}

// TestAccountingSurvivesKills kills the gateway and FreeRADIUS at random points
// while clients come and go: in the database every session has exactly one
// Start and one Stop, each before the next Accounting-On, with what it carried
// but for what a crash may lose.
func TestAccountingSurvivesKills(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	file := s.writeConfig(t, overAccounting)
	s.secretFile(t, radiusSecret)
	authority := lab.NewCA(t, "RADIUS test CA", lab.ECDSA256)
	server := lab.FreeRADIUSConfig{
		On: s.gateway, Port: 1812, Accounting: 1813, Secret: radiusSecret, Quiet: true,
		Users:  fmt.Sprintf("DEFAULT\tCleartext-Password := %q\n", password),
		Server: authority.NewServer(lab.RSA2048, 3*time.Hour, "radius.example.org", "127.0.0.1"), Authority: authority,
	}
	radius := s.StartFreeRADIUS(server)
	gateway := s.gateway.Start(15*time.Second, program(t), "serve", "--config", file)
	c := s.newCrowd(t)
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	for w := range killUsers {
		working.Go(func() { c.work(ctx, w) })
	}
	kill := func(p *lab.Process) {
		if err := p.Signal(syscall.SIGKILL); err != nil {
			t.Errorf("a process ended by itself: %v\n%s", err, p.Log())
		}
		<-p.Exited()
	}
	var killed []time.Time // the gateway
	restarts := 0
	for n := range kills(t) {
		switch {
		case n%longAfter == longAfter/2:
			c.setLong(true)
			time.Sleep(longLife)
			c.setLong(false)
		case rand.IntN(4) == 0:
			time.Sleep(time.Duration(rand.Int64N(int64(150 * time.Millisecond))))
		default:
			time.Sleep(time.Duration(rand.Int64N(int64(1200 * time.Millisecond))))
		}
		if n%longAfter != longAfter/2 && rand.IntN(5) == 0 {
			kill(radius.Process)
			radius = s.StartFreeRADIUS(server)
			restarts++
			continue
		}
		kill(gateway)
		killed = append(killed, time.Now())
		gateway = s.gateway.Start(15*time.Second, program(t), "serve", "--config", file)
	}
	cancel()
	working.Wait()
	s.await(t, gateway)
	lab.Eventually(t, 5*time.Minute, "all accounting to be sent", func() bool {
		return waiting(t, s) == 0
	})
	if err := gateway.Stop(15 * time.Second); err != nil {
		t.Errorf("the gateway's end: %v", err)
	}
	c.check(killed, restarts, radius)
}

// metric is one of the gateway's figures.
func (s *site) metric(t *testing.T, name string) float64 {
	t.Helper()
	for line := range strings.Lines(s.asked(t, "metrics")) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// waiting is how many sessions have records that no server has, or are up.
func waiting(t *testing.T, s *site) (n int) {
	t.Helper()
	for _, name := range []string{"bridgehead_accounting_spool_sessions", "bridgehead_accounting_sessions_open"} {
		n += int(s.metric(t, name))
	}
	return n
}

// check compares what the clients know with the database.
func (c *crowd) check(killed []time.Time, restarts int, db *lab.FreeRADIUS) {
	t := c.t
	t.Helper()
	byUser, ons := accounts(t, db)
	crashed, copies, exact, short := 0, 0, 0, 0
	for user, a := range byUser {
		if a.starts != 1 || a.stops != 1 || a.first > a.last {
			t.Errorf("%s: %d Start and %d Stop, the first number %d and %d", user, a.starts, a.stops, a.first, a.last)
		}
		if slices.ContainsFunc(ons, func(n int) bool { return a.first < n && n < a.last }) {
			t.Errorf("%s: an Accounting-On between Start %d and Stop %d", user, a.first, a.last)
		}
		copies += a.copies
		if a.cause == "NAS-Reboot" {
			crashed++
		}
	}
	for _, s := range c.sessions {
		a := byUser[s.user]
		if a == nil {
			t.Errorf("%s logged in and is not in the database", s.user)
			continue
		}
		least, most := uint64(0), s.all()
		if i := slices.IndexFunc(killed, func(k time.Time) bool { return k.After(s.up) }); a.cause == "NAS-Reboot" && i >= 0 {
			least = s.until(killed[i].Add(-accounting.NoteEvery - 2*time.Second))
			if least > 0 {
				short++
			}
		} else if s.ended && a.cause == "User-Request" {
			least = most
			exact++
		}
		if a.bytes < least || a.bytes > most {
			t.Errorf("%s: %d octets by %s, expected %d to %d", s.user, a.bytes, a.cause, least, most)
		}
	}
	if len(c.sessions) == 0 || crashed == 0 || exact == 0 || short == 0 {
		t.Errorf("%d sessions, %d crashed, %d logged out, %d crashed after a note: the test shows little", len(c.sessions), crashed, exact, short)
	}
	t.Logf("%d kills of the gateway, %d of FreeRADIUS; %d logins tried, %d sessions up, %d in the database, each with one Start and one Stop; %d ended by a crash (%d of them old enough to have been noted), %d logged out, exact to the octet; %d records came more than once",
		len(killed), restarts, c.logins, len(c.sessions), len(byUser), crashed, short, exact, copies)
}
