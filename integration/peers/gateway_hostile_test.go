package peers

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/initiator"
	"bridgehead/integration/lab"
)

// hostileDatagrams is how many go to each of the two ports.
const hostileDatagrams = 10000

// TestHostileDatagrams throws what is malformed, unexpected or forged at a
// gateway with a session. It counts all of it, never answers with more than
// three times the octets, keeps the session, and lets the next client in.
func TestHostileDatagrams(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve(t, "")
	user, late, attacker := s.newClient(t, "user"), s.newClient(t, "late"), s.newClient(t, "attacker")
	for _, c := range []*client{user, late} {
		s.swanctl(t, c, connection{server: s.outside.IPv4.String(), id: c.Name}.String())
	}
	user.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
	in := s.oneSession(t)
	s.gateway.Rules(fmt.Sprintf(`table inet watch {
counter received { }
counter sent { }
chain input { type filter hook input priority filter; ip saddr %[1]s counter name received; }
chain output { type filter hook output priority filter; ip daddr %[1]s counter name sent; }
}
`, attacker.uplink.IPv4))

	corpus := hostileCorpus(t, user.charon.Swanctl("--list-sas"))
	for _, port := range []string{"500", "4500"} {
		f := s.newFlood(t, attacker, port)
		f.run(t, corpus)
		f.checkAnswers(t, corpus.victim)
	}
	received, sent := s.gateway.Octets(t, "inet", "watch", "received"), s.gateway.Octets(t, "inet", "watch", "sent")
	t.Logf("%d octets received, %d sent", received, sent)
	if received < 2*hostileDatagrams*28 || sent == 0 || sent > 3*received {
		t.Errorf("%d octets received, %d sent", received, sent)
	}
	counted, dropped := s.metrics(t), 0.0
	for name, n := range counted {
		if strings.HasPrefix(name, "bridgehead_packets_dropped_total{") {
			dropped += n
		}
	}
	for _, reason := range []string{"malformed", "ikev1", "authip", "major_version", "unknown_spi", "not_authentic"} {
		if counted[`bridgehead_packets_dropped_total{layer="ike",reason="`+reason+`"}`] == 0 {
			t.Errorf("no datagram was counted as %s", reason)
		}
	}
	if dropped < hostileDatagrams {
		t.Errorf("only %.0f drops were counted: %v", dropped, counted)
	}
	// From 128 logins under way on, who wants one must prove its address.
	if now := s.status(t); now.HalfOpen == 0 || now.HalfOpen > 128+runtime.NumCPU() || now.Sessions != 1 || counted[`bridgehead_ike_events_total{event="sent_cookie"}`] == 0 {
		t.Errorf("%+v", now)
	}
	user.reaches(t, "the session of before", in.Addresses)
	late.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
	late.reaches(t, "the client that comes after", s.sessionFrom(t, late).Addresses)
}

// metrics reads every metric by its name with its labels.
func (s *site) metrics(t *testing.T) map[string]float64 {
	t.Helper()
	all := make(map[string]float64)
	for line := range strings.Lines(s.asked(t, "metrics")) {
		name, value, found := strings.Cut(strings.TrimSpace(line), "} ")
		if !found || strings.HasPrefix(line, "#") {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		all[name+"}"] = n
	}
	return all
}

// ikeHeader is 28 octets, the initiator's SPI zero (RFC 7296 §3.1).
func ikeHeader(responderSPI string, next, version, exchange, flags byte, id uint32, length int) []byte {
	h := make([]byte, 8, 28)
	spi, err := hex.DecodeString(responderSPI)
	if err != nil {
		panic(err)
	}
	h = append(append(h, spi...), next, version, exchange, flags)
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(h, id), uint32(length))
}

// corpus is what a flood sends, mutated: IKE messages, whose initiator's SPI
// it replaces by one of its own; messages with the SPIs of somebody's session;
// and whole datagrams that are no IKE.
type corpus struct {
	messages, forged, other [][]byte
	victim                  uint64 // the initiator's SPI of that session
}

var spis = regexp.MustCompile(`([0-9a-f]{16})_i\*? ([0-9a-f]{16})_r[\s\S]*?\n +out +([0-9a-f]{8}),`)

// hostileCorpus takes the SPIs to forge from swanctl --list-sas.
func hostileCorpus(t *testing.T, sas string) corpus {
	t.Helper()
	const none, unknown = "0000000000000000", "0123456789abcdef"
	found := spis.FindStringSubmatch(sas)
	if found == nil {
		t.Fatalf("no SPIs in:\n%s", sas)
	}
	garbage := func(h []byte, n int) []byte {
		for i := range n {
			h = append(h, byte(i*7))
		}
		return h
	}
	sk := func(spir string, exchange byte, id uint32) []byte {
		m := ikeHeader(spir, 46, 0x20, exchange, 0x08, id, 28+68)
		return garbage(append(m, 35, 0, 0, 68), 64)
	}
	init := realInit(t)
	c := corpus{messages: [][]byte{
		init, init, init, init[:len(init)/2], append(init[:len(init):len(init)], make([]byte, 300)...),
		ikeHeader(none, 33, 0x20, 34, 0x08, 0, 28),
		ikeHeader(none, 33, 0x20, 34, 0x08, 0, 1<<31-1),
		garbage(ikeHeader(none, 33, 0x20, 34, 0x08, 0, 1400), 1400-28),
		garbage(ikeHeader(none, 1, 0x10, 2, 0, 0, 300), 300-28),    // IKEv1, main mode
		garbage(ikeHeader(none, 13, 0x10, 243, 0, 0, 300), 300-28), // AuthIP
		garbage(ikeHeader(none, 33, 0x30, 34, 0x08, 0, 64), 64-28), // IKEv3
		ikeHeader(none, 0, 0x20, 34, 0x20, 0, 28),                  // a response
		sk(unknown, 35, 1), sk(unknown, 36, 2), sk(unknown, 37, 0), sk(none, 35, 1),
	}}
	spii, err := hex.DecodeString(found[1])
	if err != nil {
		t.Fatal(err)
	}
	c.victim = binary.BigEndian.Uint64(spii)
	for exchange := byte(34); exchange < 39; exchange++ {
		for _, id := range []uint32{0, 1, 6, 1 << 31} {
			c.forged = append(c.forged, append(spii[:8:8], sk(found[2], exchange, id)[8:]...))
		}
	}
	esp, err := hex.DecodeString(found[3])
	if err != nil {
		t.Fatal(err)
	}
	c.other = [][]byte{
		{}, {0xff}, {0}, make([]byte, 4), make([]byte, 27), make([]byte, 1400),
		garbage(append(esp[:4:4], 0, 0, 0, 200), 80),     // ESP of the session
		garbage([]byte{0xde, 0xad, 0xbe, 0xef, 0, 0}, 9), // ESP of nobody
		garbage([]byte{0, 0, 0, 1, 0, 0, 0, 1}, 60),      // a reserved SPI
	}
	return c
}

// realInit is the first datagram of a real login.
func realInit(t *testing.T) []byte {
	t.Helper()
	listener, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = initiator.Dial(ctx, initiator.Config{ // cancelled below
			Server: "127.0.0.1", IKEPort: uint16(listener.LocalAddr().(*net.UDPAddr).Port), User: user, Password: auth.Secret(password),
		})
	}()
	buf := make([]byte, 65535)
	n, _, err := listener.ReadFrom(buf)
	cancel()
	<-ended
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// flood is an attacker's socket towards one port of the gateway.
type flood struct {
	conn    net.Conn
	natPort bool // IKE stands behind a marker (RFC 3948 §2.2)
	random  *rand.Rand
	serial  uint64

	mu            sync.Mutex
	sent, answers map[uint64]int // octets by the initiator's SPI
}

func (s *site) newFlood(t *testing.T, from *client, port string) *flood {
	t.Helper()
	f := &flood{natPort: port == "4500", random: rand.New(rand.NewPCG(7296, 4500)), sent: make(map[uint64]int), answers: make(map[uint64]int)}
	var err error
	from.Do(func() { f.conn, err = net.Dial("udp", net.JoinHostPort(s.outside.IPv4.String(), port)) })
	if err != nil {
		t.Fatal(err)
	}
	listened := make(chan struct{})
	go func() { defer close(listened); f.listen() }()
	t.Cleanup(func() { f.conn.Close(); <-listened })
	return f
}

// listen counts what comes back, until the socket is closed.
func (f *flood) listen() {
	buf := make([]byte, 65535)
	for {
		n, err := f.conn.Read(buf)
		if err != nil {
			return
		}
		answer := buf[:n]
		if f.natPort && n >= 4 {
			answer = answer[4:]
		}
		if len(answer) >= 8 {
			f.mu.Lock()
			f.answers[binary.BigEndian.Uint64(answer)] += len(answer)
			f.mu.Unlock()
		}
	}
}

func (f *flood) run(t *testing.T, c corpus) {
	t.Helper()
	for n := range hostileDatagrams {
		switch f.random.IntN(10) {
		case 0:
			f.send(t, f.mutate(f.pick(c.other)), false)
		case 1:
			f.send(t, f.pick(c.forged), true)
		default:
			f.send(t, f.own(f.mutate(f.pick(c.messages))), true)
		}
		if n%100 == 99 {
			f.fence(t)
		}
	}
}

func (f *flood) pick(list [][]byte) []byte { return list[f.random.IntN(len(list))] }

// mutate changes some octets in a copy, or its length.
func (f *flood) mutate(d []byte) []byte {
	d = append([]byte(nil), d...)
	for range f.random.IntN(4) {
		if len(d) > 8 {
			d[8+f.random.IntN(len(d)-8)] = byte(f.random.Uint32())
		}
	}
	if f.random.IntN(8) == 0 {
		d = d[:f.random.IntN(len(d)+1)]
	}
	return d
}

// own gives a message an initiator's SPI that no other has.
func (f *flood) own(d []byte) []byte {
	f.serial++
	if len(d) >= 8 {
		binary.BigEndian.PutUint64(d, 0xbad0_0000_0000_0000|f.serial)
	}
	return d
}

func (f *flood) send(t *testing.T, d []byte, ike bool) {
	t.Helper()
	if (ike || !f.natPort) && len(d) >= 8 {
		f.mu.Lock()
		f.sent[binary.BigEndian.Uint64(d)] += len(d)
		f.mu.Unlock()
	}
	if ike && f.natPort {
		d = append(make([]byte, 4, 4+len(d)), d...)
	}
	if _, err := f.conn.Write(d); err != nil {
		t.Fatal(err)
	}
}

// fence waits until the gateway has worked off what was sent: it answers a
// message of a later version at once, whatever else it is busy with.
func (f *flood) fence(t *testing.T) {
	t.Helper()
	var spi uint64
	last := time.Time{}
	lab.Eventually(t, lab.Patience, "an answer to a message of a later version", func() bool {
		if time.Since(last) > time.Second {
			d := f.own(ikeHeader("0000000000000000", 33, 0x30, 34, 0x08, 0, 28))
			spi, last = binary.BigEndian.Uint64(d), time.Now()
			f.send(t, d, true)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.answers[spi] > 0
	})
}

// checkAnswers holds the octets of the answers against those of the questions;
// the victim's must have none.
func (f *flood) checkAnswers(t *testing.T, victim uint64) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for spi, octets := range f.answers {
		if octets > 3*f.sent[spi] {
			t.Errorf("%d octets were answered with %d (SPI %016x)", f.sent[spi], octets, spi)
		}
		if spi == victim {
			t.Error("a message with the SPIs of another's session was answered")
		}
	}
	t.Logf("%d of %d messages were answered", len(f.answers), len(f.sent))
}
