package exchange_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// ends are the two protections of one IKE SA.
func ends(t testing.TB, proposal string) (initiator, responder *exchange.Protection) {
	t.Helper()
	ps, err := suite.ParseProposals(message.ProtocolIKE, proposal)
	if err != nil {
		t.Fatal(err)
	}
	choice, err := suite.Select(ps, ps.Offer(nil), suite.GatewayOrder)
	if err != nil {
		t.Fatal(err)
	}
	s, err := choice.IKE()
	if err != nil {
		t.Fatal(err)
	}
	keys := s.Derive(suite.Secret("shared"), []byte("ni"), []byte("nr"), message.SPI{1}, message.SPI{2})
	if initiator, err = exchange.NewProtection(s, keys, true); err != nil {
		t.Fatal(err)
	}
	if responder, err = exchange.NewProtection(s, keys, false); err != nil {
		t.Fatal(err)
	}
	return initiator, responder
}

var suites = []string{"aes256-sha256-modp2048", "aes128gcm16-prfsha256-x25519", "chacha20poly1305-prfsha512-ecp256", "aes128-sha1-modp2048"}

func header(id uint32) message.Header {
	return message.Header{
		InitiatorSPI: message.SPI{1}, ResponderSPI: message.SPI{2}, Version: message.Version2,
		Exchange: message.ExchangeAuth, Flags: message.FlagInitiator, MessageID: id,
	}
}

// What one end seals, in one piece or in fragments that arrive in any order,
// some twice, the other end opens to the same payloads.
func TestSealOpenAndJoin(t *testing.T) {
	for _, s := range suites {
		t.Run(s, func(t *testing.T) {
			initiator, responder := ends(t, s)
			octets := rand.NewChaCha8([32]byte{1})
			rapid.Check(t, func(t *rapid.T) {
				ps := []message.Payload{&message.EAP{Packet: rapid.SliceOfN(rapid.Byte(), 0, 3000).Draw(t, "packet")}, &message.VendorID{Data: []byte("v")}}
				limit := rapid.IntRange(110, 1500).Draw(t, "limit")
				datagrams, err := initiator.Seal(header(7), ps, limit, octets)
				if err != nil {
					t.Fatal(err)
				}
				order := rapid.Permutation(append(slices.Clone(datagrams), datagrams[0])).Draw(t, "order")
				var joiner exchange.Reassembler
				var joined []message.Payload
				for _, d := range order {
					if len(d) > limit {
						t.Fatalf("%d octets, limit %d", len(d), limit)
					}
					m, err := message.Parse(d)
					if err != nil {
						t.Fatal(err)
					}
					first, plaintext, err := responder.Open(m, d)
					if err != nil {
						t.Fatal(err)
					}
					if f := exchange.FragmentOf(m); f != nil {
						if first, plaintext, err = joiner.Add(epoch, 7, f, plaintext); err != nil {
							t.Fatal(err)
						}
						if plaintext == nil {
							continue
						}
					}
					if joined, err = message.ParsePayloads(first, plaintext); err != nil {
						t.Fatal(err)
					}
					if body := exchange.PayloadBody(first, plaintext, message.TypeVendorID); string(body) != "v" {
						t.Fatalf("body %q", body)
					}
				}
				if want, got := message.AppendPayloads(nil, ps), message.AppendPayloads(nil, joined); !bytes.Equal(want, got) {
					t.Fatalf("joined %x, expected %x", got, want)
				}
			})
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, s := range suites {
		initiator, responder := ends(t, s)
		datagrams, err := initiator.Seal(header(1), []message.Payload{&message.EAP{Packet: make([]byte, 300)}}, 200, rand.NewChaCha8([32]byte{}))
		if err != nil {
			t.Fatal(err)
		}
		for n, d := range datagrams {
			for at := range d {
				bad := bytes.Clone(d)
				bad[at] ^= 0x10
				if m, err := message.Parse(bad); err == nil {
					if _, _, err = responder.Open(m, bad); err == nil {
						t.Fatalf("%s: fragment %d with octet %d altered was opened", s, n, at)
					}
				}
			}
			m, _ := message.Parse(d)
			var integrity *suite.IntegrityError
			if _, _, err := initiator.Open(m, d); !errors.As(err, &integrity) {
				t.Errorf("%s: our own message reflected: %v", s, err)
			}
		}
	}
	_, responder := ends(t, suites[0])
	plain := message.Message{Header: header(1), Payloads: []message.Payload{&message.EAP{}}}
	if _, _, err := responder.Open(&plain, plain.Append(nil)); !errors.Is(err, exchange.ErrUnprotected) {
		t.Errorf("an unprotected message: %v", err)
	}
}

func TestSealNeedsRoom(t *testing.T) {
	initiator, _ := ends(t, suites[0])
	var limit *exchange.LimitError
	if _, err := initiator.Seal(header(1), []message.Payload{&message.EAP{Packet: make([]byte, 300)}}, 60, rand.NewChaCha8([32]byte{})); !errors.As(err, &limit) {
		t.Errorf("a limit of 60 octets: %v", err)
	}
}

func TestResponsesWindow(t *testing.T) {
	var r exchange.Responses
	standing := func(id uint32, want exchange.Standing) {
		t.Helper()
		if got := r.Classify(id); got != want {
			t.Errorf("message id %d stands %d, expected %d", id, got, want)
		}
	}
	standing(0, exchange.Fresh)
	standing(1, exchange.Ahead)
	standing(1<<32-1, exchange.Ahead)
	r.Begin()
	standing(0, exchange.InProgress)
	r.Answer([][]byte{{1}})
	standing(0, exchange.Repeated)
	standing(1, exchange.Fresh)
	r.Begin()
	standing(0, exchange.Repeated)
	r.Answer([][]byte{{2}})
	standing(0, exchange.Stale)
	standing(1, exchange.Repeated)
	standing(2, exchange.Fresh)
	if r.Expected() != 2 || r.Last()[0][0] != 2 {
		t.Errorf("expected %d, last %v", r.Expected(), r.Last())
	}
}

func TestRequestsAreRepeatedAndGivenUp(t *testing.T) {
	policy := exchange.Retransmit{First: time.Second, Factor: 2, Tries: 3}
	var r exchange.Requests
	octets := rand.NewChaCha8([32]byte{})
	if !r.Deadline().IsZero() || r.Outstanding() {
		t.Fatal("something is outstanding")
	}
	r.Begin(epoch, [][]byte{{1}}, policy, octets)
	var at []time.Duration
	for {
		now := r.Deadline()
		if again, gaveUp := r.Due(now.Add(-1), policy, octets); again != nil || gaveUp {
			t.Fatal("due before the deadline")
		}
		again, gaveUp := r.Due(now, policy, octets)
		at = append(at, now.Sub(epoch))
		if gaveUp {
			break
		}
		if len(again) != 1 {
			t.Fatal("nothing to send again")
		}
	}
	if want := []time.Duration{time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second}; !slices.Equal(at, want) {
		t.Errorf("due at %v, expected %v", at, want)
	}
	if policy.Budget() != 15*time.Second || r.Sent() != 4 {
		t.Errorf("budget %s, sent %d", policy.Budget(), r.Sent())
	}
	if r.Answered(1) || !r.Answered(0) || r.Answered(0) || r.NextID() != 1 || r.Outstanding() {
		t.Error("answers are not told apart")
	}
	r.Begin(epoch, [][]byte{{2}}, policy, octets)
	r.Restart()
	if r.NextID() != 1 || r.Outstanding() {
		t.Error("a restart uses up the message id")
	}
}

func TestJitterStaysWithinItsFraction(t *testing.T) {
	policy := exchange.Retransmit{First: time.Second, Factor: 1, Tries: 1, Jitter: 0.1}
	octets := rand.NewChaCha8([32]byte{})
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		var r exchange.Requests
		r.Begin(epoch, [][]byte{{1}}, policy, octets)
		low, high = min(low, r.Deadline().Sub(epoch)), max(high, r.Deadline().Sub(epoch))
	}
	if low < 900*time.Millisecond || high > 1100*time.Millisecond || high-low < 100*time.Millisecond {
		t.Errorf("waits from %s to %s", low, high)
	}
}

func TestReassemblerRules(t *testing.T) {
	part := func(n, total uint16) *message.SKF {
		return &message.SKF{Number: n, Total: total, First: message.TypeEAP}
	}
	add := func(r *exchange.Reassembler, now time.Time, id uint32, n, total uint16, octets string) (string, error) {
		_, joined, err := r.Add(now, id, part(n, total), []byte(octets))
		return string(joined), err
	}
	want := func(t *testing.T, got string, err error, expected string) {
		t.Helper()
		if got != expected || err != nil {
			t.Errorf("got %q, %v, expected %q", got, err, expected)
		}
	}
	t.Run("a larger total starts anew", func(t *testing.T) {
		var r exchange.Reassembler
		add(&r, epoch, 1, 1, 2, "old")
		got, err := add(&r, epoch, 1, 2, 3, "b")
		want(t, got, err, "")
		add(&r, epoch, 1, 1, 3, "a")
		got, err = add(&r, epoch, 1, 3, 3, "c")
		want(t, got, err, "abc")
	})
	t.Run("a smaller total is refused", func(t *testing.T) {
		var r exchange.Reassembler
		add(&r, epoch, 1, 1, 3, "a")
		var fault *exchange.FragmentError
		if _, err := add(&r, epoch, 1, 2, 2, "x"); !errors.As(err, &fault) || fault.Total != 2 {
			t.Errorf("error %v", err)
		}
		if missing, total := r.Missing(); !slices.Equal(missing, []int{2, 3}) || total != 3 {
			t.Errorf("missing %v of %d", missing, total)
		}
	})
	t.Run("another message drops the first", func(t *testing.T) {
		var r exchange.Reassembler
		add(&r, epoch, 1, 1, 2, "old")
		add(&r, epoch, 2, 1, 2, "n")
		got, err := add(&r, epoch, 2, 2, 2, "ew")
		want(t, got, err, "new")
	})
	t.Run("the first of two equals counts", func(t *testing.T) {
		var r exchange.Reassembler
		add(&r, epoch, 1, 1, 2, "a")
		add(&r, epoch, 1, 1, 2, "forged")
		got, err := add(&r, epoch, 1, 2, 2, "b")
		want(t, got, err, "ab")
	})
	t.Run("what is incomplete expires", func(t *testing.T) {
		var r exchange.Reassembler
		add(&r, epoch, 1, 1, 2, "a")
		if got := r.Deadline(); !got.Equal(epoch.Add(exchange.FragmentLifetime)) {
			t.Errorf("deadline %s", got)
		}
		r.Expire(r.Deadline())
		if _, total := r.Missing(); total != 0 || !r.Deadline().IsZero() {
			t.Error("it did not")
		}
	})
	t.Run("numbers that lie", func(t *testing.T) {
		for _, f := range [][2]uint16{{0, 0}, {0, 5}, {6, 5}, {1, exchange.MaxFragments + 1}} {
			var r exchange.Reassembler
			if _, err := add(&r, epoch, 1, f[0], f[1], "x"); err == nil {
				t.Errorf("fragment %d of %d was taken", f[0], f[1])
			}
		}
	})
	t.Run("too much in all", func(t *testing.T) {
		var r exchange.Reassembler
		half := string(make([]byte, exchange.MaxReassembled/2+1))
		add(&r, epoch, 1, 1, 2, half)
		if _, err := add(&r, epoch, 1, 2, 2, half); err == nil {
			t.Error("taken")
		}
	})
}

// FuzzReassembler: no panic, nothing kept beyond the limits, and what is
// joined is the parts in their order.
func FuzzReassembler(f *testing.F) {
	f.Add([]byte{1, 3, 2, 3, 3, 3})
	f.Add([]byte{1, 2, 2, 3, 0, 0, 3, 3})
	f.Fuzz(func(t *testing.T, script []byte) {
		var r exchange.Reassembler
		now := epoch
		for len(script) >= 2 {
			n, total := uint16(script[0]), uint16(script[1])
			script = script[2:]
			_, joined, err := r.Add(now, uint32(total%2), &message.SKF{Number: n, Total: total}, bytes.Repeat([]byte{byte(n)}, 100))
			if err == nil && joined != nil && (len(joined) != 100*int(total) || !slices.IsSorted(joined)) {
				t.Fatalf("%d octets joined of %d fragments", len(joined), total)
			}
			if missing, total := r.Missing(); total > exchange.MaxFragments || total > 0 && len(missing) == 0 {
				t.Fatalf("%d missing of %d", len(missing), total)
			}
			now = now.Add(time.Second)
		}
	})
}

// FuzzPayloadBody agrees with the parser on where a payload's body is.
func FuzzPayloadBody(f *testing.F) {
	f.Add(uint8(message.TypeIDi), message.AppendPayloads(nil, []message.Payload{&message.ID{Kind: 2, Data: []byte("x")}}))
	f.Fuzz(func(t *testing.T, first uint8, plaintext []byte) {
		body := exchange.PayloadBody(message.PayloadType(first), plaintext, message.TypeIDi)
		ps, err := message.ParsePayloads(message.PayloadType(first), plaintext)
		if err != nil {
			return
		}
		id := message.FindID(ps, false)
		if (id == nil) != (body == nil) || id != nil && !bytes.Equal(id.Data, body[4:]) {
			t.Fatalf("body %x, payload %v", body, id)
		}
	})
}

// The hash of a worked example: SHA-1 over 0102030405060708, a zero responder
// SPI, 192.0.2.1 and port 500, made with sha1sum.
func TestNATHash(t *testing.T) {
	got := exchange.NATHash(message.SPI{1, 2, 3, 4, 5, 6, 7, 8}, message.SPI{}, netip.MustParseAddrPort("192.0.2.1:500"))
	const want = "644b4575455bd6fcc1efe2be8162a9218e448e5f"
	if hex.EncodeToString(got[:]) != want {
		t.Errorf("got %x", got)
	}
	if mapped := exchange.NATHash(message.SPI{1, 2, 3, 4, 5, 6, 7, 8}, message.SPI{}, netip.MustParseAddrPort("[::ffff:192.0.2.1]:500")); mapped != got {
		t.Error("an IPv4 address mapped into IPv6 counts as another")
	}
}
