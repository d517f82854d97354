package dae

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"layeh.com/radius/rfc2865"
)

// A repeated request gets its answer again and has no second effect.
func TestRepeatedRequest(t *testing.T) {
	b := newBench(t, nil)
	q := b.disconnect(session(phone.ID)).wire()
	first := b.send(q, source{addr: campus})
	b.gateway.sessions = append(b.gateway.sessions, phone) // the same again, as if it had come back
	for range 3 {
		b.now = b.now.Add(2 * time.Second)
		if again := b.send(q, source{addr: campus}); !bytes.Equal(first, again) {
			t.Errorf("answered % x, then % x", first, again)
		}
	}
	b.wantEnded(phone.ID)
	if b.Figures().Repeated != 3 {
		t.Errorf("%d repetitions", b.Figures().Repeated)
	}
}

// A recorded request has no second effect whenever and from wherever it is sent
// again: the answer is kept as long as its Event-Timestamp is of now.
func TestReplay(t *testing.T) {
	for _, ahead := range []time.Duration{0, 299 * time.Second, -299 * time.Second} {
		b := newBench(t, nil)
		d := b.disconnect(user("bob"))
		d.attrs[1] = b.dated(ahead)
		q := d.wire()
		b.send(q, source{addr: campus})
		for range 1300 {
			b.now = b.now.Add(time.Second)
			b.gateway.sessions = append(b.gateway.sessions[:0], desk)
			b.send(q, source{addr: netip.AddrPortFrom(campus.Addr(), uint16(b.now.Unix()%60000+1))})
		}
		b.wantEnded(desk.ID)
		if f := b.Figures(); f.Discarded["stale_event_timestamp"] == 0 || f.Repeated == 0 {
			t.Errorf("repeated %d, stale %d", f.Repeated, f.Discarded["stale_event_timestamp"])
		}
	}
}

// Without Event-Timestamp the same octets can be a new event: from another
// port, or later than a client repeats itself.
func TestUndatedRequestIsRepeatedForAWhile(t *testing.T) {
	b := newBench(t, func(c *Client) { c.AllowUndated = true })
	d := b.disconnect(session("nobody's"))
	d.attrs = d.attrs[:1]
	q := d.wire()
	asked := func(want int, from netip.AddrPort) {
		t.Helper()
		b.send(q, source{addr: from})
		if b.gateway.asked != want {
			t.Errorf("the gateway was asked %d times, expected %d", b.gateway.asked, want)
		}
	}
	asked(1, campus)
	b.now = b.now.Add(keep - time.Second)
	asked(1, campus)
	asked(2, netip.AddrPortFrom(campus.Addr(), 1))
	b.now = b.now.Add(time.Second)
	asked(3, campus)
}

// The answers kept are looked up only for what is authentic: nobody without
// the secret learns or gets anything from them.
func TestCacheIsBehindVerification(t *testing.T) {
	b := newBench(t, nil)
	d := b.disconnect(session(phone.ID))
	b.send(d.wire(), source{addr: campus})
	b.gateway.asked = 0
	d.wrongMAC = true
	b.wantSilence(d.wire(), source{addr: campus}, discardMAC)
	d.wrongMAC, d.secret = false, "guess"
	b.wantSilence(d.wire(), source{addr: campus}, discardAuthenticator)
	// The same id from the same port, but another request: it is no repetition.
	other := b.disconnect(session(laptop.ID))
	other.id = d.id
	b.wantAnswer(other, 0)
	b.wantEnded(phone.ID, laptop.ID)
}

func TestRepetitionOfARequestUnderWay(t *testing.T) {
	b := newBench(t, nil)
	b.gateway.hold, b.gateway.held = make(chan struct{}), make(chan struct{}, 1)
	q := b.disconnect(session(phone.ID)).wire()
	answers := make(chan []byte, 4)
	reply := func(a []byte) { answers <- a }
	b.receive(t.Context(), &b.running, source{addr: campus}, q, reply)
	<-b.gateway.held
	b.receive(t.Context(), &b.running, source{addr: campus}, q, reply)
	if n := b.Figures().Discarded["duplicate_under_way"]; n != 1 || len(answers) != 0 {
		t.Errorf("%d discarded, %d answers before the session is gone", n, len(answers))
	}
	close(b.gateway.hold)
	b.running.Wait()
	if len(answers) != 1 {
		t.Errorf("%d answers", len(answers))
	}
	b.wantEnded(phone.ID)
}

// What one client has worked on is bounded; what is too much is dropped, can
// be repeated, and leaves others alone.
func TestWorkIsBounded(t *testing.T) {
	b := newBench(t, nil)
	prefix := func(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
	var list []Client
	for i := range 6 {
		list = append(list, Client{Name: fmt.Sprint(i), Addresses: prefix(fmt.Sprintf("192.0.2.%d/32", i)), Secret: []byte(testSecret)})
	}
	if err := b.Configure(Config{Clients: list}); err != nil {
		t.Fatal(err)
	}
	b.gateway.hold, b.gateway.held = make(chan struct{}), make(chan struct{}, atOnce)
	answers := make(chan []byte, 4*atOnce)
	var dropped []byte
	for client := range list {
		from := source{addr: netip.AddrPortFrom(list[client].Addresses[0].Addr(), 1)}
		for i := range atOncePerClient + 1 {
			d := b.disconnect(session(desk.ID), attr(rfc2865.ProxyState_Type, fmt.Sprint(client, i)))
			d.id = byte(i)
			if client == 0 && i == atOncePerClient {
				dropped = d.wire()
			}
			b.receive(t.Context(), &b.running, from, d.wire(), func(a []byte) { answers <- a })
		}
	}
	for range atOnce {
		<-b.gateway.held
	}
	if n, want := b.Figures().Discarded["busy"], uint64(len(list)*(atOncePerClient+1)-atOnce); n != want {
		t.Errorf("%d dropped, expected %d", n, want)
	}
	close(b.gateway.hold)
	b.running.Wait()
	if len(answers) != atOnce {
		t.Errorf("%d answers", len(answers))
	}
	b.gateway.hold = nil
	if b.send(dropped, source{addr: netip.AddrPortFrom(list[0].Addresses[0].Addr(), 1)}) == nil {
		t.Error("what was dropped is not answered when it is repeated")
	}
}

func TestCacheIsBoundedAndForgets(t *testing.T) {
	c := newCache()
	now := epoch
	key := func(i int, client string) cacheKey {
		return cacheKey{client: client, id: byte(i), authenticator: [16]byte{byte(i >> 8), byte(i >> 16)}}
	}
	for i := range cachedPerClient {
		if _, err := c.begin(now, key(i, "a"), time.Time{}); err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		c.finish(key(i, "a"), []byte{1})
	}
	if _, err := c.begin(now, key(cachedPerClient, "a"), now); err != discardBusy {
		t.Errorf("one too many: %v", err)
	}
	if _, err := c.begin(now, key(0, "b"), now); err != nil {
		t.Errorf("another client: %v", err)
	}
	now = now.Add(keep + sweepEvery)
	if _, err := c.begin(now, key(1, "b"), now); err != nil || len(c.entries) != 2 || c.clients["a"] != 0 {
		t.Errorf("%v; %d entries, %d of the first client", err, len(c.entries), c.clients["a"])
	}
	now = now.Add(window + sweepEvery + time.Second)
	if _, err := c.begin(now, key(2, "b"), now); err != nil || len(c.entries) != 1 {
		t.Errorf("%v; %d entries", err, len(c.entries))
	}
}
